//! A folder as Hugging Face's `save_pretrained` writes it for a `BertForMaskedLM`, read as a bundle.
//!
//! ```text
//! config.json        model_type "bert", sizes, hidden_act
//! vocab.txt          a word a line: [PAD] [UNK] [CLS] [SEP] [MASK], and names of typed keys (sshd.login.failed)
//! model.safetensors  f32, by Hugging Face's names; a decoder that is tied to the embeddings may be left out
//! nms.json           ours, may be missing: {"scoring": .., "calibration": ..} as in a bundle's manifest
//! ```
//! Words that are no keys stay in the net and are never expected. Without a calibration no window is unusual: the net
//! explains and ranks, and does not speak up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::bundle::{Bundle, BundleError, Calibration, Manifest, Scoring, read_file};
use crate::key::{SPECIALS, TypedKey, Vocabulary};
use crate::masked::{Activation, Form};
use crate::net::{NetError, Shape, Weights};

const CONFIG: &str = "config.json";
const VOCABULARY: &str = "vocab.txt";
const MODEL: &str = "model.safetensors";
const OURS: &str = "nms.json";
/// The words of our special tokens, in the order of their numbers: PAD, UNKNOWN, EOS, DIST, MASK.
const SPECIAL_WORDS: [&str; SPECIALS] = ["[PAD]", "[UNK]", "[SEP]", "[CLS]", "[MASK]"];
/// How events become a surprise where nothing else is said.
const SCORING: Scoring = Scoring { top_share: 0.25, factor_weight: 0.0 };

/// Why a folder is no model.
#[derive(Debug)]
pub enum HfError {
    /// A file cannot be read, or is too large.
    Read(BundleError),
    /// A file is not of its form, or a field of it says what cannot be taken.
    File(&'static str, String),
    /// The weights do not fit the configuration.
    Weights(NetError),
    /// What was read makes no bundle.
    Bundle(BundleError),
}

impl fmt::Display for HfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(cause) => cause.fmt(f),
            Self::File(file, cause) => write!(f, "{file}: {cause}"),
            Self::Weights(cause) => write!(f, "{MODEL}: {cause}"),
            Self::Bundle(cause) => write!(f, "{CONFIG}: {cause}"),
        }
    }
}

impl std::error::Error for HfError {}

/// What is read of the configuration; the rest does not change what is computed.
#[derive(Debug, Deserialize)]
struct HfConfig {
    model_type: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
}

/// What may stand beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    scoring: Scoring,
    calibration: Calibration,
}

/// The bundle of a folder.
///
/// # Errors
/// [`HfError`] naming the file and the field.
pub fn import(folder: &Path) -> Result<Bundle, HfError> {
    let config: HfConfig = json(folder, CONFIG)?;
    let expected = [
        ("model_type", config.model_type == "bert"),
        ("position_embedding_type", config.position_embedding_type.as_deref().is_none_or(|kind| kind == "absolute")),
        ("is_decoder", !config.is_decoder),
    ];
    if let Some((field, _)) = expected.iter().find(|(_, fits)| !fits) {
        return Err(HfError::File(CONFIG, format!("{field} is not that of a BertForMaskedLM")));
    }
    let (word_of, keys) = words(folder, config.vocab_size)?;
    let vocabulary = Vocabulary::from_names(keys.iter().map(String::as_str))
        .map_err(|cause| HfError::File(VOCABULARY, cause.to_string()))?;
    let shape = Shape {
        width: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        feed_forward: config.intermediate_size,
        vocabulary: vocabulary.size(),
        factors: false,
        categories: 0,
    };
    let form = Form {
        words: config.vocab_size,
        word_of,
        positions: config.max_position_embeddings,
        segments: config.type_vocab_size,
        activation: config.hidden_act,
        epsilon: config.layer_norm_eps,
    };
    form.check(&shape).map_err(|cause| HfError::File(CONFIG, cause.to_string()))?;
    let ours = if folder.join(OURS).exists() {
        json(folder, OURS)?
    } else {
        Ours { scoring: SCORING, calibration: Calibration::default() }
    };
    let bytes = read_file(folder, MODEL).map_err(HfError::Read)?;
    let weights = Weights::read(&bytes, &form.tensors(&shape), other_names).map_err(HfError::Weights)?;
    let name = folder.file_name().map_or_else(|| "bert".into(), |name| name.to_string_lossy().into_owned());
    let mut manifest = Manifest::new(&name, shape, &vocabulary, &[], ours.scoring);
    manifest.masked_lm = Some(form);
    manifest.calibration = ours.calibration;
    manifest.training = BTreeMap::from([("imported from".to_owned(), "a folder of BertForMaskedLM".to_owned())]);
    let files = Bundle { manifest, vocabulary, weights, words: None }.to_files().map_err(HfError::Bundle)?;
    let missing = |file: &str| BundleError::NoHash(file.to_owned());
    Bundle::from_files(|file| files.get(file).cloned().ok_or_else(|| missing(file))).map_err(HfError::Bundle)
}

fn json<T: for<'a> Deserialize<'a>>(folder: &Path, file: &'static str) -> Result<T, HfError> {
    let bytes = read_file(folder, file).map_err(HfError::Read)?;
    serde_json::from_slice(&bytes).map_err(|cause| HfError::File(file, cause.to_string()))
}

/// The word of each of our tokens, and the keys among the words in their order.
fn words(folder: &Path, count: usize) -> Result<(Vec<u32>, Vec<String>), HfError> {
    let wrong = |cause: String| HfError::File(VOCABULARY, cause);
    let bytes = read_file(folder, VOCABULARY).map_err(HfError::Read)?;
    let text = String::from_utf8(bytes).map_err(|cause| wrong(cause.to_string()))?;
    let found = text.lines().count();
    if found != count {
        return Err(wrong(format!("it has {found} words, vocab_size in {CONFIG} is {count}")));
    }
    let mut word_of = Vec::new();
    for special in SPECIAL_WORDS {
        let at = text.lines().position(|word| word == special);
        word_of.push(at.ok_or_else(|| wrong(format!("the word {special} is missing")))? as u32);
    }
    let mut keys = Vec::new();
    for (at, word) in text.lines().enumerate().filter(|(_, word)| TypedKey::parse(word).is_some()) {
        word_of.push(at as u32);
        keys.push(word.to_owned());
        // There are no more keys than that, so one stands twice, which is named later.
        if keys.len() > TypedKey::COUNT {
            break;
        }
    }
    if keys.is_empty() {
        return Err(wrong(format!(
            "none of its {count} words is a log key of this version, such as sshd.login.failed"
        )));
    }
    Ok((word_of, keys))
}

/// Other names of a tensor: those of old norms, and of what a tied decoder shares.
fn other_names(name: &str) -> Vec<String> {
    match name {
        "cls.predictions.decoder.weight" => vec!["bert.embeddings.word_embeddings.weight".to_owned()],
        "cls.predictions.decoder.bias" => vec!["cls.predictions.bias".to_owned()],
        _ => vec![name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")],
    }
}
