//! `eval hdfs`: LogBERT on the public HDFS splits, as a user of the figures would want it measured.
//!
//! Trained on the training file alone; one threshold a detector, the smallest that flags at most one in a thousand of
//! the sessions of another normal file; everything else is fixed beforehand, the same for both splits. Beside it
//! the simple detectors, which are hard to beat.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use nms_model::key::{SPECIALS, Token};
use nms_model::net::Shape;
use nms_model::session::{Known, Parts, SessionModel, SessionScorer, fused, vocabulary};
use nms_model::train::{Against, Recipe, Sessions, Trainer};

use super::baseline::{Baselines, NAMES};
use super::measure::{Population, Row, Scores, best_threshold, row, threshold};

/// One normal session in this many may be flagged where thresholds are picked.
const FLAGGED_ONE_IN: usize = 1_000;
/// One training session in this many is held back, to look at the losses.
const HELD_BACK_ONE_IN: usize = 10;
/// Sessions of the whole data set: normal, abnormal, and abnormal of ten events or more. Every normal one has ten.
const POPULATION: (f64, f64, f64) = (553_366.0, 16_838.0, 10_647.0);
/// Length from which on a session is in the published subset.
const LONG: usize = 10;
/// The share of masked keys and the weight of the hypersphere, as LogBERT's code has them for this data.
const PLAIN_MASK_SHARE: f64 = 0.65;
const PLAIN_DIST_WEIGHT: f64 = 0.1;
/// What an unknown key adds to the net as published: it always flags.
const CERTAIN: f32 = 1_000.0;

/// Which published split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// LogBERT's.
    Logbert,
    /// `DeepLog`'s.
    Deeplog,
}

impl Split {
    const fn name(self) -> &'static str {
        match self {
            Self::Logbert => "logbert",
            Self::Deeplog => "deeplog",
        }
    }
}

/// Files that are read and written.
#[derive(Clone, Debug, Default)]
pub struct HdfsFiles {
    /// The folder of public data.
    pub data: PathBuf,
    /// Normal sessions to pick thresholds on; the data folder's without it.
    pub dev: Option<PathBuf>,
    /// Normal sessions that are judged; those of `dev` without it.
    pub normal: Option<PathBuf>,
    /// Abnormal sessions that are judged; the split's without it.
    pub abnormal: Option<PathBuf>,
    /// A trained model to score with; nothing is trained then, and no threshold is picked.
    pub bundle: Option<PathBuf>,
    /// Where trained models are kept.
    pub out: Option<PathBuf>,
    /// A folder to keep where each training stands, and to go on from.
    pub checkpoints: Option<PathBuf>,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct HdfsOptions {
    /// Files.
    pub files: HdfsFiles,
    /// The split.
    pub split: Split,
    /// Seeds of training.
    pub seeds: Vec<u64>,
    /// Steps of training.
    pub steps: usize,
    /// Width, layers and heads of the net; its feed-forward layer is twice as wide.
    pub net: (usize, usize, usize),
    /// Whether the net as published is trained beside ours.
    pub plain: bool,
}

/// Sessions of a file.
type Keys = Vec<Vec<String>>;

struct Files {
    train: Keys,
    dev: Keys,
    normal: Keys,
    abnormal: Keys,
}

/// Measures, and gives a row for each detector and subset.
///
/// # Errors
/// A file that cannot be read, by name; training that fails; a bundle that is refused.
pub fn hdfs(options: &HdfsOptions, mut say: impl FnMut(&str)) -> Result<Vec<Row>, String> {
    let files = Files::read(options)?;
    let (held_back, training) = held_back(&files.train);
    if let Some(folder) = &options.files.bundle {
        let model = SessionModel::open(folder).map_err(|cause| cause.to_string())?;
        let mut judge = Judge::new(&files.train, &model, None)?;
        return judge.rows(&files, options.split, "-", &model.manifest.thresholds);
    }
    // What is known without a net needs nothing held back.
    let keys = vocabulary(files.train.iter().map(Vec::as_slice));
    let known = Known::learn(&keys, &files.train);
    let mut rows = Vec::new();
    for seed in &options.seeds {
        let mut train = |what: &str, recipe: Recipe| {
            say(&format!("hdfs: {} seed {seed}: training {what}", options.split.name()));
            let kept = format!("{}-{seed}-{}.checkpoint", options.split.name(), what.replace(' ', "-"));
            let kept = options.files.checkpoints.as_ref().map(|folder| folder.join(kept));
            trained((&keys, &known), &training, (recipe, options.net), kept.as_deref(), &mut say)
        };
        let recipe = Recipe { seed: *seed, steps: options.steps, ..Recipe::default() };
        let mut ours = train("LogBERT", recipe.clone())?;
        let plain = options.plain.then(|| train("LogBERT as published", plain(&recipe))).transpose()?;
        let losses = held_back_losses(&ours, &held_back)?;
        say(&format!("hdfs: {} seed {seed}: {losses}", options.split.name()));
        ours.manifest.training.insert("held back".into(), losses);
        let mut judge = Judge::new(&files.train, &ours, plain.as_ref())?;
        ours.manifest.thresholds = judge.thresholds(&files.dev)?;
        rows.extend(judge.rows(&files, options.split, &seed.to_string(), &ours.manifest.thresholds)?);
        if let Some(out) = &options.files.out {
            let folder = if options.seeds.len() == 1 { out.clone() } else { out.join(seed.to_string()) };
            keep(&folder, &ours)?;
            say(&format!("hdfs: kept in {}", folder.display()));
        }
    }
    if options.seeds.len() > 1 {
        rows.extend(summary(&rows));
    }
    Ok(rows)
}

/// The mean and the minimum over seeds, for each detector and subset.
fn summary(rows: &[Row]) -> Vec<Row> {
    let mut done = HashSet::new();
    let mut over = Vec::new();
    for row in rows {
        if done.insert((row.detector.as_str(), row.subset)) {
            let same: Vec<&Row> =
                rows.iter().filter(|other| other.detector == row.detector && other.subset == row.subset).collect();
            over.extend(Row::over(&same));
        }
    }
    over
}

impl Files {
    fn read(options: &HdfsOptions) -> Result<Self, String> {
        let folder = options.files.data.join("hdfs");
        let name = options.split.name();
        let abnormal = match options.split {
            Split::Logbert => "abnormal_loghub_dev.csv",
            Split::Deeplog => "abnormal_deeplog_dev.csv",
        };
        let path = |given: &Option<PathBuf>, usual: &str| given.clone().unwrap_or_else(|| folder.join(usual));
        let dev = path(&options.files.dev, "normal_dev.csv");
        Ok(Self {
            train: sessions(&folder.join(format!("train_{name}_4855.csv")))?,
            normal: sessions(options.files.normal.as_ref().unwrap_or(&dev))?,
            abnormal: sessions(&path(&options.files.abnormal, abnormal))?,
            dev: sessions(&dev)?,
        })
    }
}

/// Sessions of `id,space separated keys`, one a line.
fn sessions(path: &Path) -> Result<Keys, String> {
    let text = fs::read_to_string(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let mut sessions = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let keys = line.split_once(',').map(|(_, keys)| keys.split_whitespace().map(str::to_owned).collect());
        let keys: Vec<String> = keys.filter(|keys: &Vec<String>| !keys.is_empty()).ok_or_else(|| {
            format!("{}:{}: expected `id,keys`, keys separated by spaces", path.display(), number + 1)
        })?;
        sessions.push(keys);
    }
    if sessions.is_empty() {
        return Err(format!("{} holds no sessions", path.display()));
    }
    Ok(sessions)
}

/// Every tenth session is held back from training.
fn held_back(train: &Keys) -> (Keys, Keys) {
    let (mut back, mut rest) = (Keys::new(), Keys::new());
    for (at, session) in train.iter().enumerate() {
        if at % HELD_BACK_ONE_IN == HELD_BACK_ONE_IN - 1 { &mut back } else { &mut rest }.push(session.clone());
    }
    (back, rest)
}

/// LogBERT as its authors have it, in our form: masked keys, and a hypersphere trained against nothing.
fn plain(recipe: &Recipe) -> Recipe {
    Recipe {
        mask_share: (PLAIN_MASK_SHARE, PLAIN_MASK_SHARE),
        against: Against::Nothing,
        dist_weight: PLAIN_DIST_WEIGHT,
        ..recipe.clone()
    }
}

fn trained(
    (keys, known): (&[String], &Known),
    training: &Keys,
    (recipe, (width, layers, heads)): (Recipe, (usize, usize, usize)),
    checkpoint: Option<&Path>,
    say: &mut impl FnMut(&str),
) -> Result<SessionModel, String> {
    let tokens: Vec<Vec<Token>> = training.iter().map(|session| known.tokens(session)).collect();
    let (vocabulary, feed_forward) = (SPECIALS + keys.len(), 2 * width);
    let shape = Shape { width, layers, heads, feed_forward, vocabulary, factors: false, categories: 0 };
    let begun_ms = nms_kit::clock::monotonic_ms();
    let text = |cause: nms_model::train::TrainError| cause.to_string();
    let feed = Sessions::new(&tokens, shape.vocabulary, &recipe);
    let story = serde_json::to_string(&recipe).map_err(|cause| cause.to_string())?;
    let failed = |path: &Path, cause: std::io::Error| format!("{}: {cause}", path.display());
    let saved = checkpoint.filter(|path| path.exists()).map(|path| fs::read(path).map_err(|cause| failed(path, cause)));
    let mut trainer = match saved.transpose()? {
        Some(bytes) => Trainer::resume(&bytes, &recipe, &shape, feed),
        None => Trainer::new(recipe, &shape, feed),
    }
    .map_err(text)?;
    let first = trainer.progress().step;
    while !trainer.is_done() {
        let progress = trainer.step().map_err(text)?;
        if progress.step % 100 != 0 {
            continue;
        }
        say(&format!("hdfs: {}", progress.line(nms_kit::clock::monotonic_ms() - begun_ms, first)));
        if let Some(path) = checkpoint {
            fs::create_dir_all(path.parent().unwrap_or(path)).map_err(|cause| failed(path, cause))?;
            fs::write(path, trainer.checkpoint().map_err(text)?).map_err(|cause| failed(path, cause))?;
        }
    }
    let mut model = SessionModel::new(shape, keys, known, trainer.weights().map_err(text)?);
    model.manifest.training.insert("recipe".into(), story);
    Ok(model)
}

/// How far the sessions that were held back are from the centre, and how surprising.
fn held_back_losses(model: &SessionModel, held_back: &Keys) -> Result<String, String> {
    let known = model.known();
    let mut scorer = scorer(model)?;
    let (mut worst, mut surprise) = (f32::NEG_INFINITY, 0.0);
    for session in held_back {
        let score = scorer.score(&known.tokens(session)).map_err(|cause| cause.to_string())?;
        worst = worst.max(score.distance);
        surprise += score.surprise / held_back.len() as f32;
    }
    Ok(format!("{} sessions held back: mean surprise {surprise:.3}, greatest distance {worst:.2}", held_back.len()))
}

fn scorer(model: &SessionModel) -> Result<SessionScorer, String> {
    SessionScorer::new(&model.manifest.shape, &model.weights).map_err(|cause| cause.to_string())
}

/// The detectors of the net: name, and its score.
const NETS: [(&str, Parts); 5] = [
    ("LogBERT alone", Parts::ALONE),
    ("product", Parts::ALL),
    ("product without count vectors", Parts { seen: false, ..Parts::ALL }),
    ("product without length", Parts { length: false, ..Parts::ALL }),
    ("product without unknown keys", Parts { unknown: false, ..Parts::ALL }),
];
/// Those of the net as published: the mean surprise, and the greatest rank, which is what a choice of candidates goes by.
const PLAIN: [&str; 2] = ["LogBERT as published, surprise", "LogBERT as published, worst rank"];

/// Nets, baselines, and what training showed.
struct Judge {
    known: Known,
    baselines: Baselines,
    seen: HashSet<Vec<Token>>,
    ours: SessionScorer,
    plain: Option<SessionScorer>,
}

/// A detector's name, and whether it has a threshold to be picked; the others flag above 0.
type Detector = (&'static str, bool);

impl Judge {
    fn new(training: &Keys, model: &SessionModel, plain: Option<&SessionModel>) -> Result<Self, String> {
        let known = model.known();
        let tokens: Vec<Vec<Token>> = training.iter().map(|session| known.tokens(session)).collect();
        Ok(Self {
            baselines: Baselines::learn(&tokens, model.manifest.shape.vocabulary),
            seen: tokens.into_iter().collect(),
            known,
            ours: scorer(model)?,
            plain: plain.map(scorer).transpose()?,
        })
    }

    fn detectors(&self) -> Vec<Detector> {
        let plain = self.plain.iter().flat_map(|_| PLAIN.map(|name| (name, true)));
        NETS.map(|(name, _)| (name, true)).into_iter().chain(plain).chain(NAMES).collect()
    }

    /// A score by each detector.
    fn scores(&mut self, session: &[String]) -> Result<Vec<f32>, String> {
        let (tokens, facts) = (self.known.tokens(session), self.known.facts(session));
        let text = |cause: nms_model::score::ScoreError| cause.to_string();
        let ours = self.ours.score(&tokens).map_err(text)?;
        let mut scores: Vec<f32> = NETS.iter().map(|(_, parts)| fused(ours.distance, facts, *parts)).collect();
        if let Some(plain) = &mut self.plain {
            let plain = plain.score(&tokens).map_err(text)?;
            let certain = if facts.unknown > 0 { CERTAIN } else { 0.0 };
            scores.extend([plain.surprise + certain, plain.worst_rank as f32 + certain]);
        }
        scores.extend(self.baselines.scores(&tokens, facts));
        Ok(scores)
    }

    fn all(&mut self, sessions: &Keys) -> Result<Vec<Vec<f32>>, String> {
        sessions.iter().map(|session| self.scores(session)).collect()
    }

    /// The threshold of each detector that has one, from normal sessions.
    fn thresholds(&mut self, dev: &Keys) -> Result<BTreeMap<String, f32>, String> {
        let scores = self.all(dev)?;
        let column = |at: usize| scores.iter().filter_map(|row| row.get(at).copied()).collect::<Vec<f32>>();
        let picked = self.detectors().into_iter().enumerate().filter(|(_, (_, needs))| *needs);
        Ok(picked.map(|(at, (name, _))| (name.into(), threshold(&column(at), dev.len() / FLAGGED_ONE_IN))).collect())
    }

    fn rows(
        &mut self,
        files: &Files,
        split: Split,
        seed: &str,
        thresholds: &BTreeMap<String, f32>,
    ) -> Result<Vec<Row>, String> {
        let (normal, abnormal) = (self.all(&files.normal)?, self.all(&files.abnormal)?);
        let mut rows = Vec::new();
        for (at, (name, needs)) in self.detectors().into_iter().enumerate() {
            let picked = if needs { thresholds.get(name).copied() } else { Some(0.0) };
            let Some(picked) = picked else { continue };
            for (subset, belongs) in SUBSETS {
                let (scores, of) = self.subset((&files.normal, &normal), (&files.abnormal, &abnormal), at, belongs);
                rows.push(row((name, split.name(), seed, subset), &scores, picked, of));
                if PLAIN.contains(&name) {
                    let best = best_threshold(&scores, of);
                    let name = format!("{name} (threshold picked on test)");
                    rows.push(row((&name, split.name(), seed, subset), &scores, best, of));
                }
            }
        }
        Ok(rows)
    }

    /// A detector's scores on a subset, and how many such sessions there are where the files come from.
    fn subset(
        &self,
        normal: (&Keys, &[Vec<f32>]),
        abnormal: (&Keys, &[Vec<f32>]),
        detector: usize,
        belongs: Belongs,
    ) -> (Scores, Population) {
        let of = |(sessions, scores): (&Keys, &[Vec<f32>])| -> Vec<f32> {
            let chosen = sessions.iter().zip(scores).filter(|(session, _)| belongs(self, session));
            chosen.filter_map(|(_, row)| row.get(detector).copied()).collect()
        };
        let scores = Scores { normal: of(normal), abnormal: of(abnormal) };
        let part = |chosen: &[f32], all: &Keys| chosen.len() as f64 / all.len() as f64;
        let is_long = |session: &&Vec<String>| session.len() >= LONG;
        let abnormal_of = if abnormal.0.iter().filter(is_long).count() == scores.abnormal.len() {
            POPULATION.2
        } else {
            POPULATION.1 * part(&scores.abnormal, abnormal.0)
        };
        let population = Population { normal: POPULATION.0 * part(&scores.normal, normal.0), abnormal: abnormal_of };
        (scores, population)
    }
}

/// Whether a session is in a subset.
type Belongs = fn(&Judge, &[String]) -> bool;

const SUBSETS: [(&str, Belongs); 3] = [
    ("all", |_, _| true),
    ("long", |_, session| session.len() >= LONG),
    ("unseen", |judge, session| !judge.seen.contains(&judge.known.tokens(session))),
];

fn keep(folder: &Path, model: &SessionModel) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    for (name, bytes) in model.to_files().map_err(|cause| cause.to_string())? {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|cause| format!("{}: {cause}", path.display()))?;
    }
    Ok(())
}
