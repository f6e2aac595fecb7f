//! Training on one's own windows: the shipped net goes on learning, with the keys of these logs added to its vocabulary.

use std::{collections::BTreeMap, fmt};

use nms_kit::digest;
use nms_model::{
    bundle::{Bundle, BundleError},
    key::{Vocabulary, VocabularyError},
    net::NetError,
    random::Random,
    score::calibrate,
    train::{Examples, Recipe, TrainError, Trainer, Windows as Feed},
    window::Window,
};

use super::{Gathered, Parts};

/// Fewest ordinary windows to learn from and to calibrate on, together.
pub const WINDOWS_MIN: usize = 200;
/// Fewest windows to calibrate on.
const CALIBRATE_MIN: usize = 20;
/// Highest learning rate of a net that knows something already.
const RATE: f64 = 5e-4;

/// What a training is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Optimiser steps.
    pub steps: usize,
    /// Where everything random comes from.
    pub seed: u64,
    /// The bundle's name for people.
    pub name: String,
    /// Each file with the SHA-256 of its bytes.
    pub files: Vec<(String, String)>,
}

/// Why there is no model.
#[derive(Debug)]
pub enum RetrainError {
    /// There is too little to learn from.
    TooFew {
        /// Ordinary windows in the logs.
        windows: usize,
        /// Windows left out for findings.
        suspect: usize,
    },
    /// None of the calibration's windows has a score.
    Uncalibrated,
    /// The model to go on from is none that can be trained.
    NotLogBert(String),
    /// A checkpoint of something else.
    Checkpoint,
    /// The vocabulary is none.
    Vocabulary(VocabularyError),
    /// The net is none.
    Net(NetError),
    /// Training failed.
    Train(TrainError),
    /// The bundle is none.
    Bundle(BundleError),
}

impl fmt::Display for RetrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { windows, suspect } => write!(
                f,
                "the logs make {windows} ordinary windows ({suspect} more hold attacks), {WINDOWS_MIN} are needed; give logs of more days or more hosts"
            ),
            Self::Uncalibrated => {
                write!(f, "no window that was held back for the calibration has a score; give logs of more days")
            }
            Self::NotLogBert(name) => write!(f, "model {name} is not a LogBERT and cannot be trained further"),
            Self::Checkpoint => {
                write!(f, "the checkpoint is of other logs or another model; delete it, or give the same ones")
            }
            Self::Vocabulary(cause) => cause.fmt(f),
            Self::Net(cause) => cause.fmt(f),
            Self::Train(cause) => cause.fmt(f),
            Self::Bundle(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for RetrainError {}

/// A training that is ready to begin: examples, vocabulary, the weights to go on from.
#[derive(Debug)]
pub struct Training {
    plan: Plan,
    recipe: Recipe,
    examples: Examples,
    bundle: Bundle,
    /// What the checkpoint must be of.
    identity: [u8; 32],
}

impl Training {
    /// Prepares `from` to learn from the windows of `gathered`.
    ///
    /// # Errors
    /// [`RetrainError`], where there is too little to learn from, or `from` cannot be trained.
    pub fn new(plan: Plan, from: &Bundle, gathered: &Gathered) -> Result<Self, RetrainError> {
        let Parts { learn, calibrate, suspect, .. } = gathered.parts();
        let windows = learn.len() + calibrate.len();
        if windows < WINDOWS_MIN || calibrate.len() < CALIBRATE_MIN {
            return Err(RetrainError::TooFew { windows, suspect });
        }
        if from.manifest.masked_lm.is_some() {
            return Err(RetrainError::NotLogBert(from.manifest.name.clone()));
        }
        let learn: Vec<Window> = learn.into_iter().cloned().collect();
        let vocabulary = extended(&from.vocabulary, &learn)?;
        let mut shape = from.manifest.shape.clone();
        shape.vocabulary = vocabulary.size();
        let mut random = Random::new(plan.seed).fork(1);
        let weights = from.weights.widened(&from.manifest.shape, &shape, &mut random).map_err(RetrainError::Net)?;
        // These logs have no attacks with a name: their head stays as it is.
        let recipe = Recipe {
            seed: plan.seed,
            steps: plan.steps,
            rate: RATE,
            attack_share: 0.0,
            category_weight: 0.0,
            ..Recipe::default()
        };
        let examples = Examples::of(&learn, &vocabulary);
        let mut manifest = from.manifest.clone();
        manifest.name.clone_from(&plan.name);
        manifest.shape = shape;
        manifest.vocabulary = vocabulary.keys().iter().map(ToString::to_string).collect();
        manifest.files = BTreeMap::new();
        manifest.training = story(&plan, &recipe, from, gathered, &examples);
        let text = serde_json::to_vec(&manifest).unwrap_or_default();
        Ok(Self {
            plan,
            recipe,
            examples,
            bundle: Bundle { manifest, vocabulary, weights, words: from.words.clone() },
            identity: digest::sha256(&text),
        })
    }

    /// Trains, from `checkpoint` on where there is one; `each` sees the trainer after every step, with what makes a
    /// checkpoint of it. Then calibrates on the windows that were held back for it.
    ///
    /// # Errors
    /// [`RetrainError`], or what `each` gives.
    pub fn run<E: From<RetrainError>>(
        self,
        gathered: &Gathered,
        checkpoint: Option<&[u8]>,
        mut each: impl FnMut(&Trainer<'_>, &dyn Fn() -> Result<Vec<u8>, RetrainError>) -> Result<(), E>,
    ) -> Result<Bundle, E> {
        let Self { recipe, examples, mut bundle, identity, .. } = self;
        let shape = bundle.manifest.shape.clone();
        let feed = Feed::new(&examples, &recipe);
        let trainer = match checkpoint {
            Some(bytes) => {
                let saved = bytes.strip_prefix(&identity).ok_or(RetrainError::Checkpoint)?;
                Trainer::resume(saved, &recipe, &shape, feed)
            }
            None => Trainer::from_weights(recipe.clone(), &shape, &bundle.weights, feed),
        };
        let mut trainer = trainer.map_err(RetrainError::Train)?;
        while !trainer.is_done() {
            trainer.step().map_err(RetrainError::Train)?;
            each(&trainer, &|| {
                let saved = trainer.checkpoint().map_err(RetrainError::Train)?;
                Ok([identity.as_slice(), &saved].concat())
            })?;
        }
        bundle.weights = trainer.weights().map_err(RetrainError::Train)?;
        let held: Vec<Window> = gathered.parts().calibrate.into_iter().cloned().collect();
        bundle.manifest.calibration = calibrate(&bundle, &held).map_err(RetrainError::Net)?;
        if bundle.manifest.calibration.surprise.is_empty() {
            return Err(RetrainError::Uncalibrated.into());
        }
        // Through its files, so that it has its version, and what is written is what was checked.
        let files = bundle.to_files().map_err(RetrainError::Bundle)?;
        let read = |name: &str| Ok(files.get(name).cloned().unwrap_or_default());
        Ok(Bundle::from_files(read).map_err(RetrainError::Bundle)?)
    }

    /// Different windows to learn from.
    pub fn distinct(&self) -> usize {
        self.examples.ordinary.len()
    }

    /// Keys that the model before did not know.
    pub fn new_keys(&self, from: &Bundle) -> usize {
        self.bundle.vocabulary.size() - from.vocabulary.size()
    }

    /// Optimiser steps.
    pub fn steps(&self) -> usize {
        self.plan.steps
    }
}

/// The vocabulary with the keys of these windows behind its own, by falling frequency.
fn extended(known: &Vocabulary, windows: &[Window]) -> Result<Vocabulary, RetrainError> {
    let learnt = Vocabulary::learn(windows.iter().flat_map(|window| window.positions.iter().map(|at| at.key)));
    let new = learnt.keys().iter().filter(|key| !known.keys().contains(key));
    let names: Vec<String> = known.keys().iter().chain(new).map(ToString::to_string).collect();
    Vocabulary::from_names(names.iter().map(String::as_str)).map_err(RetrainError::Vocabulary)
}

fn story(
    plan: &Plan,
    recipe: &Recipe,
    from: &Bundle,
    gathered: &Gathered,
    examples: &Examples,
) -> BTreeMap<String, String> {
    let parts = gathered.parts();
    let mut story = BTreeMap::from([
        ("corpus".to_owned(), format!("{} lines of {} log files", gathered.lines, plan.files.len())),
        ("ordinary windows".to_owned(), format!("{} ({} distinct)", parts.learn.len(), examples.ordinary.len())),
        ("calibration windows".to_owned(), parts.calibrate.len().to_string()),
        ("windows left out for findings".to_owned(), parts.suspect.to_string()),
        ("went on from".to_owned(), format!("{} {}", from.manifest.name, from.version())),
        ("recipe".to_owned(), serde_json::to_string(recipe).unwrap_or_default()),
    ]);
    for (at, (name, hash)) in plan.files.iter().enumerate() {
        story.insert(format!("file {}", at + 1), format!("{name} sha256 {hash}"));
    }
    story
}
