//! The serving forward pass: the net of [`crate::bert`] on flat buffers, fused, without allocation
//! once its buffers have grown.
//!
//! Several sequences go through together (the masks of one window, or of a few windows), so that the
//! weights are read once. In the last layer only the positions that somebody wants are computed
//! beyond keys and values, which saves almost half of a two-layer net. Weights are checked when they
//! are loaded; tokens and factors outside the tables count as unknown.
#![expect(clippy::inline_always, reason = "only what is inlined into the dispatch gets its wide vectors")]

mod kernel;
mod attention;

use std::fmt;

use pulp::{Arch, Simd, WithSimd};

use crate::key::{Context, FACTORS, Factor, UNKNOWN};
use crate::net::{NetError, Shape, Weights, sine_positions};
pub use crate::sequence::Input;
use attention::{Heads, attend};
use kernel::{Panels, Rows, gelu, matmul, norm};
use nms_proto::limits::MODEL_WINDOW_EVENTS;

/// Longest sequence that is read, DIST and EOS included; what is behind is not seen (a scorer refuses it).
pub const POSITIONS_MAX: usize = 16 * MODEL_WINDOW_EVENTS;

/// A matrix with its bias.
struct Linear {
    panels: Vec<f32>,
    bias: Vec<f32>,
    depth: usize,
}

struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

struct Layer {
    first: Norm,
    query: Linear,
    key_value: Linear,
    output: Linear,
    second: Norm,
    up: Linear,
    down: Linear,
}

/// Buffers of a pass, kept between passes.
#[derive(Default)]
struct Scratch {
    x: Vec<f32>,
    normed: Vec<f32>,
    wanted_normed: Vec<f32>,
    query: Vec<f32>,
    key_value: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    pack: Vec<f32>,
    hidden: Vec<f32>,
    head: Vec<f32>,
    spans: Vec<Span>,
}

/// Where a sequence lies in the buffers.
#[derive(Clone, Copy)]
struct Span {
    rows: usize,
    wanted: usize,
}

/// A net for serving.
pub struct Fast {
    shape: Shape,
    arch: Arch,
    emb: Vec<f32>,
    factors: Vec<f32>,
    /// First row of each factor in `factors`.
    factor_first: [usize; FACTORS],
    positions: Vec<f32>,
    layers: Vec<Layer>,
    last: Norm,
    masked: Linear,
    dist: Linear,
    category: Option<Linear>,
    scratch: Scratch,
}

impl fmt::Debug for Fast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fast").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Fast {
    /// The net of `weights`.
    ///
    /// # Errors
    /// [`NetError`] where the shape is out of bounds or a tensor is missing.
    pub fn new(shape: &Shape, weights: &Weights) -> Result<Self, NetError> {
        shape.check()?;
        let scale = (shape.width as f32).sqrt();
        let mut factor_first = [0; FACTORS];
        let mut next = 0;
        for (first, factor) in factor_first.iter_mut().zip(Factor::ALL) {
            *first = next;
            next += factor.size();
        }
        Ok(Self {
            arch: Arch::new(),
            emb: weights.tensor("emb")?.iter().map(|value| value * scale).collect(),
            factors: if shape.factors { weights.tensor("ctx")?.to_vec() } else { Vec::new() },
            factor_first,
            positions: sine_positions(POSITIONS_MAX, shape.width),
            layers: (0..shape.layers).map(|layer| Layer::new(weights, layer)).collect::<Result<_, _>>()?,
            last: Norm::new(weights, "lnf")?,
            masked: Linear::new(weights, &["mlkp"])?,
            dist: Linear::new(weights, &["dist"])?,
            category: if shape.categories > 0 { Some(Linear::new(weights, &["cat"])?) } else { None },
            shape: shape.clone(),
            scratch: Scratch::default(),
        })
    }

    /// The shape of the net.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Computes the wanted positions of all inputs, one behind the other.
    pub fn run(&mut self, inputs: &[Input<'_>]) {
        let arch = self.arch;
        arch.dispatch(Run { net: self, inputs });
    }

    /// The head of masked positions for the wanted positions from `first` on, `count` of them;
    /// [`Shape::predicted`] logits each.
    pub fn masked(&mut self, first: usize, count: usize) -> &[f32] {
        let arch = self.arch;
        arch.dispatch(HeadOf { head: &self.masked, width: self.shape.width, scratch: &mut self.scratch, first, count });
        &self.scratch.head
    }

    /// Distance from the hypersphere's centre as a logit, for a wanted DIST position; high is abnormal.
    pub fn distance(&mut self, wanted: usize) -> f32 {
        let arch = self.arch;
        arch.dispatch(HeadOf {
            head: &self.dist,
            width: self.shape.width,
            scratch: &mut self.scratch,
            first: wanted,
            count: 1,
        });
        let square: f64 = self.scratch.head.iter().map(|z| f64::from(*z) * f64::from(*z)).sum();
        let a = (square + 1.0).sqrt() - 1.0 + 1e-6;
        (a.min(30.0).exp_m1().ln() + (a - 30.0).max(0.0)) as f32
    }

    /// Logits of the window's categories for a wanted DIST position; empty for a net without them.
    pub fn categories(&mut self, wanted: usize) -> &[f32] {
        let Some(head) = &self.category else { return &[] };
        let arch = self.arch;
        arch.dispatch(HeadOf { head, width: self.shape.width, scratch: &mut self.scratch, first: wanted, count: 1 });
        &self.scratch.head
    }
}

impl Linear {
    /// Several matrices of one input side by side.
    fn new(weights: &Weights, names: &[&str]) -> Result<Self, NetError> {
        let mut bias = Vec::new();
        let mut parts = Vec::new();
        for name in names {
            let b = weights.tensor(&format!("{name}.b"))?;
            parts.push((weights.tensor(&format!("{name}.w"))?, b.len()));
            bias.extend_from_slice(b);
        }
        let depth = parts.first().map_or(0, |(w, columns)| w.len() / columns.max(&1));
        let row = |row: usize| {
            parts
                .iter()
                .flat_map(move |(w, columns)| w.chunks_exact(*columns).nth(row).unwrap_or_default().iter().copied())
        };
        let together: Vec<f32> = (0..depth).flat_map(row).collect();
        Ok(Self { panels: kernel::pack(&together, bias.len()), bias, depth })
    }

    fn panels(&self) -> Panels<'_> {
        Panels { data: &self.panels, depth: self.depth, columns: self.bias.len() }
    }

    /// x W + b of whole rows into `out`, each number through `then` with what stood there before.
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: &[f32], out: &mut [f32], pack: &mut Vec<f32>, then: impl Fn(f32, f32) -> f32) {
        let columns = self.bias.len();
        matmul(simd, Rows { data: x, stride: self.depth, first: 0 }, self.panels(), pack, |row, column, values| {
            let out = out.get_mut(row * columns + column..).unwrap_or_default();
            let bias = self.bias.get(column..).unwrap_or_default();
            for ((out, value), bias) in out.iter_mut().zip(values).zip(bias) {
                *out = then(*out, value + bias);
            }
        });
    }
}

impl Norm {
    fn new(weights: &Weights, name: &str) -> Result<Self, NetError> {
        Ok(Self {
            gain: weights.tensor(&format!("{name}.g"))?.to_vec(),
            bias: weights.tensor(&format!("{name}.b"))?.to_vec(),
        })
    }

    #[inline(always)]
    fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        let width = self.gain.len();
        out.resize(x.len(), 0.0);
        for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            norm(row, &self.gain, &self.bias, out);
        }
    }
}

impl Layer {
    fn new(weights: &Weights, layer: usize) -> Result<Self, NetError> {
        let name = |part: &str| format!("{layer}.{part}");
        let linear = |part: &str| Linear::new(weights, &[&name(part)]);
        Ok(Self {
            first: Norm::new(weights, &name("ln1"))?,
            query: linear("q")?,
            key_value: Linear::new(weights, &[&name("k"), &name("v")])?,
            output: linear("o")?,
            second: Norm::new(weights, &name("ln2"))?,
            up: linear("f1")?,
            down: linear("f2")?,
        })
    }
}

/// A head on some of the wanted rows.
struct HeadOf<'a> {
    head: &'a Linear,
    width: usize,
    scratch: &'a mut Scratch,
    first: usize,
    count: usize,
}

impl WithSimd for HeadOf<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scratch { hidden, head, pack, .. } = self.scratch;
        let rows = hidden.get(self.first * self.width..(self.first + self.count) * self.width).unwrap_or_default();
        head.clear();
        head.resize(rows.len() / self.width.max(1) * self.head.bias.len(), 0.0);
        self.head.apply(simd, rows, head, pack, |_, value| value);
    }
}

/// The encoder on all inputs.
struct Run<'a, 'b> {
    net: &'a mut Fast,
    inputs: &'a [Input<'b>],
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { net, inputs } = self;
        net.embed(inputs);
        let width = net.shape.width;
        let last = net.layers.len().saturating_sub(1);
        let heads = Heads { count: net.shape.heads, width: width / net.shape.heads.max(1) };
        for (at, layer) in net.layers.iter().enumerate() {
            layer.run(simd, &mut net.scratch, heads, (at == last).then_some(inputs));
        }
        let Scratch { x, hidden, .. } = &mut net.scratch;
        net.last.apply(x, hidden);
    }
}

impl Fast {
    /// Fills `x` with token, factors and position of each row.
    #[inline(always)]
    fn embed(&mut self, inputs: &[Input<'_>]) {
        let width = self.shape.width;
        let Scratch { x, spans, .. } = &mut self.scratch;
        x.clear();
        spans.clear();
        for input in inputs {
            let rows = input.sequence.tokens.len().min(POSITIONS_MAX);
            spans.push(Span { rows, wanted: rows });
            let contexts = input.sequence.contexts.iter().map(Some).chain(std::iter::repeat(None));
            for ((token, context), position) in
                input.sequence.tokens.iter().zip(contexts).zip(self.positions.chunks_exact(width))
            {
                let start = x.len();
                let token = if (*token as usize) < self.shape.vocabulary { *token } else { UNKNOWN } as usize;
                x.extend_from_slice(row(&self.emb, token, width));
                let out = x.get_mut(start..).unwrap_or_default();
                let factors = context.filter(|_| self.shape.factors);
                for (first, value) in self.factor_first.iter().zip(factors.into_iter().flat_map(Context::values)) {
                    add(out, row(&self.factors, first + usize::from(*value), width));
                }
                add(out, position);
            }
        }
    }
}

#[inline(always)]
fn row(table: &[f32], index: usize, width: usize) -> &[f32] {
    table.get(index * width..(index + 1) * width).unwrap_or_default()
}

#[inline(always)]
fn add(out: &mut [f32], values: &[f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out += value;
    }
}

impl Layer {
    /// One layer; with `only`, beyond keys and values just the wanted rows, which `x` shrinks to.
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, s: &mut Scratch, heads: Heads, only: Option<&[Input<'_>]>) {
        let width = heads.count * heads.width;
        self.first.apply(&s.x, &mut s.normed);
        s.key_value.resize(2 * s.x.len(), 0.0);
        self.key_value.apply(simd, &s.normed, &mut s.key_value, &mut s.pack, |_, value| value);
        if let Some(inputs) = only {
            keep_wanted(s, inputs, width);
            std::mem::swap(&mut s.normed, &mut s.wanted_normed);
        }
        s.query.resize(s.x.len(), 0.0);
        self.query.apply(simd, &s.normed, &mut s.query, &mut s.pack, |_, value| value);
        attend(simd, s, heads);
        self.output.apply(simd, &s.mixed, &mut s.x, &mut s.pack, |before, value| before + value);
        self.second.apply(&s.x, &mut s.normed);
        s.inner.resize(s.x.len() / width * self.up.bias.len(), 0.0);
        self.up.apply(simd, &s.normed, &mut s.inner, &mut s.pack, |_, value| value);
        for value in &mut s.inner {
            *value = gelu(*value);
        }
        self.down.apply(simd, &s.inner, &mut s.x, &mut s.pack, |before, value| before + value);
    }
}

/// Shrinks `x` and `normed` to the wanted rows; `mixed` serves as the buffer between.
fn keep_wanted(s: &mut Scratch, inputs: &[Input<'_>], width: usize) {
    s.wanted_normed.clear();
    s.mixed.clear();
    let mut first = 0;
    for (span, input) in s.spans.iter_mut().zip(inputs) {
        span.wanted = 0;
        for position in input.wanted.iter().filter(|position| **position < span.rows) {
            s.wanted_normed.extend_from_slice(row(&s.normed, first + position, width));
            s.mixed.extend_from_slice(row(&s.x, first + position, width));
            span.wanted += 1;
        }
        first += span.rows;
    }
    std::mem::swap(&mut s.x, &mut s.mixed);
}
