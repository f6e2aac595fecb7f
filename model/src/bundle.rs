//! A model as files: a manifest, and weights whose SHA-256 stands in it.
//!
//! ```text
//! manifest.json         shape, vocabulary by name, factors, categories, scoring, calibration,
//!                       where it comes from, and the hash of every other file
//! weights.safetensors   the tensors of nms_model::net
//! words.safetensors     the words of lines that no extractor knows (nms_model::words::Words); may be missing
//! ```
//! A bundle is loaded whole into memory and refused by name: which file, which field, why. Keys go
//! by their names, so that a program with more families still reads an older bundle.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use nms_proto::limits::MODEL_BUNDLE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key::{Factor, Vocabulary, VocabularyError};
use crate::masked::Form;
use crate::net::{NetError, Shape, Weights};
use crate::words::Words;

/// Version of the manifest's form.
const FORMAT: u32 = 1;
/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
/// The weights' file name.
pub const WEIGHTS: &str = "weights.safetensors";
/// The words' file name.
pub const WORDS: &str = "words.safetensors";

/// How a window's events become its surprise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// Share of the most surprising events that the mean is taken of; at least one event.
    pub top_share: f32,
    /// Weight of an event's own factors beside its key.
    pub factor_weight: f32,
}

/// Scores of ordinary windows that training did not see, ascending, evenly spaced quantiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the surprise.
    pub surprise: Vec<f32>,
    /// Of the distance.
    pub distance: Vec<f32>,
}

/// What says what a bundle is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// Its name for people.
    pub name: String,
    /// The net.
    pub shape: Shape,
    /// What makes it a masked language model from elsewhere; none for a LogBERT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_lm: Option<Form>,
    /// Values of each factor; a program whose factors differ refuses the bundle.
    pub factors: Vec<usize>,
    /// Typed keys in the order of their tokens.
    pub vocabulary: Vec<String>,
    /// What the categories' head tells apart; the first is ordinary.
    pub categories: Vec<String>,
    /// How events become a surprise.
    pub scoring: Scoring,
    /// What ordinary windows score.
    pub calibration: Calibration,
    /// Where it comes from: seeds, steps, corpus, figures; for people.
    pub training: BTreeMap<String, String>,
    /// SHA-256 of every other file, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Why files are no bundle.
#[derive(Debug)]
pub enum BundleError {
    /// A file cannot be read.
    Read {
        /// Its name.
        file: String,
        /// Why.
        cause: String,
    },
    /// A file is larger than a bundle may be.
    TooLarge(String),
    /// The manifest is not of its form; the cause names line and field.
    Manifest(String),
    /// The manifest has another version.
    Format(u32),
    /// A file is not the one the manifest was made for.
    Hash(String),
    /// The manifest does not name the hash of a file that is needed.
    NoHash(String),
    /// The factors are not those of this program.
    Factors,
    /// A field contradicts another one or is out of bounds.
    Field(&'static str),
    /// The vocabulary holds something else than keys.
    Vocabulary(VocabularyError),
    /// The weights do not fit the shape.
    Weights(NetError),
    /// The tables of words are none.
    Words(NetError),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, cause } => write!(f, "model bundle: cannot read {file}: {cause}"),
            Self::TooLarge(file) => write!(f, "model bundle: {file} is larger than {MODEL_BUNDLE_BYTES_MAX} bytes"),
            Self::Manifest(cause) => write!(f, "model bundle: {MANIFEST} is not of its form: {cause}"),
            Self::Format(found) => {
                write!(f, "model bundle: {MANIFEST}: format is {found}, this program reads {FORMAT}; train it again")
            }
            Self::Hash(file) => {
                write!(f, "model bundle: the sha256 of {file} is not the one in {MANIFEST}; copy the bundle again")
            }
            Self::NoHash(file) => write!(f, "model bundle: {MANIFEST}: files lacks the sha256 of {file}"),
            Self::Factors => {
                write!(f, "model bundle: {MANIFEST}: factors are not those of this program; train it again")
            }
            Self::Field(field) => {
                write!(f, "model bundle: {MANIFEST}: {field} is out of bounds or contradicts the shape")
            }
            Self::Vocabulary(cause) => write!(f, "model bundle: {MANIFEST}: {cause}"),
            Self::Weights(cause) => write!(f, "model bundle: {WEIGHTS}: {cause}"),
            Self::Words(cause) => write!(f, "model bundle: {WORDS}: {cause}"),
        }
    }
}

impl std::error::Error for BundleError {}

/// A model in memory, checked.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What it is.
    pub manifest: Manifest,
    /// The keys it knows.
    pub vocabulary: Vocabulary,
    /// Its weights.
    pub weights: Weights,
    /// The words of lines that no extractor knows; none where it was made without.
    pub words: Option<Words>,
}

impl Bundle {
    /// The bundle that this program was built with.
    ///
    /// # Errors
    /// None as long as the checked-in files fit the program, which a test holds.
    pub fn shipped() -> Result<Self, BundleError> {
        Self::from_files(|file| match file {
            MANIFEST => Ok(include_bytes!("../bundle/manifest.json").to_vec()),
            WORDS => Ok(include_bytes!("../bundle/words.safetensors").to_vec()),
            _ => Ok(include_bytes!("../bundle/weights.safetensors").to_vec()),
        })
    }

    /// The bundle in a folder.
    ///
    /// # Errors
    /// [`BundleError`] naming the file and the field.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        Self::from_files(|file| read_file(folder, file))
    }

    /// The bundle of files that `read` gives by name.
    ///
    /// # Errors
    /// [`BundleError`] naming the file and the field.
    pub fn from_files(read: impl Fn(&str) -> Result<Vec<u8>, BundleError>) -> Result<Self, BundleError> {
        let text = read(MANIFEST)?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|cause| BundleError::Manifest(cause.to_string()))?;
        let vocabulary = manifest.check()?;
        let bytes = read(WEIGHTS)?;
        let mut words = None;
        for (file, hash) in &manifest.files {
            let other = if file == WEIGHTS { Vec::new() } else { read(file)? };
            if *hash != sha256(if file == WEIGHTS { &bytes } else { &other }) {
                return Err(BundleError::Hash(file.clone()));
            }
            if file == WORDS {
                words = Some(Words::from_safetensors(&other).map_err(BundleError::Words)?);
            }
        }
        let weights = Weights::read(&bytes, &manifest.tensors(), |_| Vec::new()).map_err(BundleError::Weights)?;
        Ok(Self { manifest, vocabulary, weights, words })
    }

    /// The files of the bundle by name; the manifest's hashes are made anew.
    ///
    /// # Errors
    /// [`BundleError::Weights`] where the weights are not of the shape.
    pub fn to_files(&self) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
        let weights = self.weights.write(&self.manifest.tensors()).map_err(BundleError::Weights)?;
        let mut files = BTreeMap::from([(WEIGHTS.to_owned(), weights)]);
        if let Some(words) = &self.words {
            files.insert(WORDS.to_owned(), words.to_safetensors().map_err(BundleError::Words)?);
        }
        let mut manifest = self.manifest.clone();
        manifest.files = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
        let mut text =
            serde_json::to_vec_pretty(&manifest).map_err(|cause| BundleError::Manifest(cause.to_string()))?;
        text.push(b'\n');
        files.insert(MANIFEST.to_owned(), text);
        Ok(files)
    }

    /// A name for exactly this model: the hash of its weights, shortened; it goes with every score.
    pub fn version(&self) -> &str {
        self.manifest.files.get(WEIGHTS).and_then(|hash| hash.get(..12)).unwrap_or("unsaved")
    }
}

impl Manifest {
    /// The manifest of a new bundle of this program.
    pub fn new(name: &str, shape: Shape, vocabulary: &Vocabulary, categories: &[&str], scoring: Scoring) -> Self {
        Self {
            format: FORMAT,
            name: name.to_owned(),
            shape,
            masked_lm: None,
            factors: factor_sizes(),
            vocabulary: vocabulary.keys().iter().map(ToString::to_string).collect(),
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            scoring,
            calibration: Calibration::default(),
            training: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Every tensor of its net with its dimensions.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.masked_lm.as_ref().map_or_else(|| self.shape.tensors(), |form| form.tensors(&self.shape))
    }

    /// Whether its fields are in bounds and fit each other; the vocabulary where they do.
    pub(crate) fn check(&self) -> Result<Vocabulary, BundleError> {
        if self.format != FORMAT {
            return Err(BundleError::Format(self.format));
        }
        if self.shape.factors && self.factors != factor_sizes() {
            return Err(BundleError::Factors);
        }
        if !self.files.contains_key(WEIGHTS) {
            return Err(BundleError::NoHash(WEIGHTS.to_owned()));
        }
        let vocabulary =
            Vocabulary::from_names(self.vocabulary.iter().map(String::as_str)).map_err(BundleError::Vocabulary)?;
        let ascending = |values: &[f32]| values.is_sorted() && values.iter().all(|value| value.is_finite());
        let fields = [
            ("vocabulary", vocabulary.size() == self.shape.vocabulary),
            ("categories", self.categories.len() == self.shape.categories),
            (
                "scoring",
                (0.0..=1.0).contains(&self.scoring.top_share) && (0.0..=10.0).contains(&self.scoring.factor_weight),
            ),
            ("calibration", ascending(&self.calibration.surprise) && ascending(&self.calibration.distance)),
        ];
        match fields.iter().find(|(_, fits)| !fits) {
            Some((field, _)) => return Err(BundleError::Field(field)),
            None => self.shape.check().map_err(BundleError::Weights)?,
        }
        match &self.masked_lm {
            Some(form) => form.check(&self.shape).map(|()| vocabulary).map_err(BundleError::Weights),
            None => Ok(vocabulary),
        }
    }
}

fn factor_sizes() -> Vec<usize> {
    Factor::ALL.iter().map(|factor| factor.size()).collect()
}

/// A file of a bundle, if it is not larger than one may be, whatever it says of its own length.
pub(crate) fn read_file(folder: &Path, file: impl AsRef<Path>) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(file);
    let failed =
        |cause: std::io::Error| BundleError::Read { file: path.display().to_string(), cause: cause.to_string() };
    let mut bytes = Vec::new();
    let open = File::open(&path).map_err(failed)?;
    open.take(MODEL_BUNDLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MODEL_BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge(path.display().to_string()));
    }
    Ok(bytes)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
