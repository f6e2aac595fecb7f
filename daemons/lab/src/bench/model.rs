//! `bench model`: our pass beside ONNX Runtime, one thread each, the same weights and windows, in turns; then what the
//! caches save on a replayed log and on the bench corpus.
//!
//! A window is what the server scores: 32 positions, DIST and EOS, once whole and once under each of the four masks. ONNX
//! Runtime gets the graph that `model export-onnx` writes, and the better of one window and four at a call. CPU time is the
//! process's own, so that neighbours of a shared machine cost ratios little.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use nms_e2e::Stage;
use nms_kit::clock;
use nms_model::{
    bundle::{Bundle, Manifest},
    fast::{Fast, Input},
    key::{Context, Factor},
    net::{Shape, Weights},
    onnx,
    random::Random,
    sequence::{Passes, Sequence},
};
use nms_proto::limits::MODEL_WINDOW_EVENTS;
use serde::Deserialize;

use super::{Figure, caches};

/// Distinct windows of a comparison.
const WINDOWS: usize = 64;
/// Turns of each.
const ROUNDS: usize = 5;
/// CPU time of a turn, near enough, in microseconds.
const TURN_US: u64 = 800_000;
/// Windows that ONNX Runtime gets at a call; the better one counts.
const TOGETHER: [usize; 2] = [1, 4];
/// The script that drives ONNX Runtime.
const SCRIPT: &str = include_str!("onnx_runtime.py");
/// The name of what we compare with.
const PEER: &str = "ONNX Runtime";

/// What to measure.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Widths of the nets.
    pub widths: Vec<usize>,
    /// Their layers.
    pub layers: usize,
    /// Weights, windows and the corpus.
    pub seed: u64,
    /// A python that has onnxruntime; without one ours is measured alone.
    pub python: PathBuf,
    /// A log to replay beside the corpus.
    pub log: Option<PathBuf>,
}

/// Measures passes, then caches.
///
/// # Errors
/// What could not be started, or that the two do not compute the same.
pub fn model(options: &ModelOptions) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for width in &options.widths {
        figures.extend(width_of(*width, options)?);
    }
    figures.extend(caches::figures(options.seed, options.log.as_deref())?);
    Ok(figures)
}

/// A net of that width with random weights, as a bundle.
fn bundle(width: usize, options: &ModelOptions) -> Result<Bundle, String> {
    let shipped = Bundle::shipped().map_err(|cause| cause.to_string())?;
    let known = &shipped.manifest;
    let shape =
        Shape { width, layers: options.layers, heads: width / 16, feed_forward: 2 * width, ..known.shape.clone() };
    shape.check().map_err(|cause| cause.to_string())?;
    let weights = Weights::random(&shape, &mut Random::new(options.seed));
    let categories: Vec<&str> = known.categories.iter().map(String::as_str).collect();
    let manifest = Manifest::new("bench", shape, &shipped.vocabulary, &categories, known.scoring);
    Ok(Bundle { manifest, vocabulary: shipped.vocabulary, weights, words: None })
}

/// A window at random: every position another key, so that nothing repeats.
fn window(shape: &Shape, random: &mut Random) -> Passes {
    let tokens: Vec<u32> = (0..MODEL_WINDOW_EVENTS).map(|_| 5 + random.below(shape.vocabulary - 5) as u32).collect();
    let mut sequence = Sequence::bare(&tokens);
    let mut value = |factor: Factor| random.below(factor.size()) as u8;
    sequence.contexts = (0..sequence.len()).map(|_| Context::from_values(Factor::ALL.map(&mut value))).collect();
    let mut passes = Passes::default();
    passes.fill(&sequence);
    passes
}

fn width_of(width: usize, options: &ModelOptions) -> Result<Vec<Figure>, String> {
    let bundle = bundle(width, options)?;
    let shape = &bundle.manifest.shape;
    let mut random = Random::new(options.seed + 1);
    let windows: Vec<Passes> = (0..WINDOWS).map(|_| window(shape, &mut random)).collect();
    let mut ours = Ours { net: Fast::new(shape, &bundle.weights).map_err(|cause| cause.to_string())?, next: 0 };
    let mut peer = Peer::start(&options.python, &bundle, &windows)?;
    if let Some(peer) = &peer {
        let apart = windows.iter().zip(&peer.hello.distances);
        let apart = apart.map(|(window, theirs)| (ours.one(window) - theirs).abs()).fold(0.0, f32::max);
        if apart > 1e-3 {
            return Err(format!("{width} wide: {PEER} computes another distance, {apart} apart"));
        }
    }
    let once_us = ours.turn(&windows, WINDOWS) * 1e6;
    let count = ((TURN_US as f64 / once_us.max(1.0)) as usize).max(WINDOWS);
    let (mut our_s, mut their_s) = (0.0, [0.0; TOGETHER.len()]);
    for _ in 0..ROUNDS {
        our_s += ours.turn(&windows, count) / ROUNDS as f64;
        if let Some(peer) = &mut peer {
            for (sum, together) in their_s.iter_mut().zip(TOGETHER) {
                *sum += peer.turn(count, together)? / ROUNDS as f64;
            }
        }
    }
    let layers = shape.layers;
    let figure = Figure::new("model", format!("our pass, {width} wide, {layers} layers"), 1.0 / our_s, UNIT);
    let Some(peer) = peer else { return Ok(vec![figure]) };
    let best_s = their_s.into_iter().fold(f64::INFINITY, f64::min);
    let name = format!("{PEER} {}", peer.hello.version);
    let theirs = Figure::new("model", format!("{name}, {width} wide, {layers} layers"), 1.0 / best_s, UNIT);
    Ok(vec![Figure { peer: Some(name), ratio: Some(best_s / our_s), ..figure }, theirs])
}

const UNIT: &str = "windows per CPU s";

struct Ours {
    net: Fast,
    next: usize,
}

impl Ours {
    /// One window as the scorer computes it; gives the distance.
    fn one(&mut self, passes: &Passes) -> f32 {
        self.net.run(&passes.inputs());
        let masked = self.net.masked(1, passes.masked().count()).first().copied().unwrap_or_default();
        let category = self.net.categories(0).first().copied().unwrap_or_default();
        std::hint::black_box((masked, category));
        self.net.distance(0)
    }

    /// CPU seconds a window.
    fn turn(&mut self, windows: &[Passes], count: usize) -> f64 {
        let begun_us = clock::cpu_us();
        for _ in 0..count {
            if let Some(window) = windows.get(self.next) {
                self.one(window);
            }
            self.next = (self.next + 1) % windows.len().max(1);
        }
        (clock::cpu_us() - begun_us) as f64 / 1e6 / count.max(1) as f64
    }
}

/// What ONNX Runtime says first.
#[derive(Debug, Deserialize)]
struct Hello {
    version: String,
    /// Of each window's whole pass.
    distances: Vec<f32>,
}

/// A python that runs the exported graph.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    hello: Hello,
    _stage: Stage,
}

impl Peer {
    /// None where there is no ONNX Runtime.
    fn start(python: &Path, bundle: &Bundle, windows: &[Passes]) -> Result<Option<Self>, String> {
        let there = Command::new(python).args(["-c", "import numpy, onnxruntime"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let failed = |cause: &dyn std::fmt::Display| format!("{PEER}: {cause}");
        let stage = Stage::bare("nms-bench-model-", Path::new("."))?;
        let graph = onnx::export(bundle).map_err(|cause| failed(&cause))?;
        let rows: Vec<serde_json::Value> = windows.iter().map(rows).collect();
        let rows = serde_json::to_vec(&rows).map_err(|cause| failed(&cause))?;
        let files = [("model.onnx", graph), ("windows.json", rows), ("peer.py", SCRIPT.as_bytes().to_vec())];
        for (name, bytes) in files {
            fs::write(stage.path(name), bytes).map_err(|cause| failed(&cause))?;
        }
        let mut child = Command::new(python)
            .arg(stage.path("peer.py"))
            .args([stage.path("model.onnx"), stage.path("windows.json")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| failed(&cause))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&"it has no input and output"));
        };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).map_err(|cause| failed(&cause))?;
        let hello = serde_json::from_str(&line).map_err(|cause| failed(&cause))?;
        Ok(Some(Self { child, input, output, hello, _stage: stage }))
    }

    /// CPU seconds a window.
    fn turn(&mut self, count: usize, together: usize) -> Result<f64, String> {
        let failed = |cause: &dyn std::fmt::Display| format!("{PEER}: {cause}");
        writeln!(self.input, "{count} {together}").map_err(|cause| failed(&cause))?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|cause| failed(&cause))?;
        line.trim().parse().map_err(|cause| failed(&cause))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn rows(passes: &Passes) -> serde_json::Value {
    let row = |input: &Input<'_>| {
        let factors: Vec<_> = input.sequence.contexts.iter().map(|context| *context.values()).collect();
        serde_json::json!({ "tokens": input.sequence.tokens, "factors": factors })
    };
    passes.inputs().iter().map(row).collect()
}
