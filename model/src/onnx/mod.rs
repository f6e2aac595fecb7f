//! A model as one ONNX file, out and in.
//!
//! Out: the graph of `graph.rs` with the bundle's weights, and as properties of the file what the graph cannot say, so that
//! other programs run it and this one takes it back:
//!
//! ```text
//! nms.format    "1"
//! nms.manifest  the bundle's manifest: shape, vocabulary, factors, categories, scoring, calibration
//! nms.golden    {"tokens": [..], "factors": [[10 values], ..],
//!                "answer": {"masked": [..], "distance": x, "categories": [..]}}
//! nms.words     the bundle's tables of words (safetensors), in hexadecimal; missing where it has none
//! ```
//! In: a file is looked over before it is decoded (`wire.rs`), its operators are on a list, its graph is held node by node
//! against the one of its shape (`read.rs`), and its golden vector goes through our pass and through candle-onnx's evaluator
//! (`golden.rs`). What is served is our own pass on the weights; the evaluator is slower and silently wrong on operators
//! that are not on the list, so it only checks.

mod wire;
mod graph;
mod golden;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use candle_onnx::onnx::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto};
use nms_proto::limits::MODEL_BUNDLE_BYTES_MAX;
use prost::Message as _;

use crate::bundle::{Bundle, BundleError, Manifest, WEIGHTS, hex, read_file};
use crate::net::{NetError, Shape};
use crate::words::Words;
use golden::Golden;
pub use golden::{Answer, TOLERANCE};
use graph::{Graph, Initial};

/// Version of the properties' form.
const FORMAT: &str = "1";
/// The version of ONNX's operators that is written.
const OPSET: i64 = 13;
/// The version of the file's form that goes with it.
const IR_VERSION: i64 = 7;
/// The property of the tables of words.
const WORDS: &str = "nms.words";
/// Numbers that a net from outside may have.
const NUMBERS_MAX: usize = MODEL_BUNDLE_BYTES_MAX / 4;

/// Why a file is no model.
#[derive(Debug)]
pub enum OnnxError {
    /// The file cannot be read, or is too large.
    Read(BundleError),
    /// It is cut, too much, or no ONNX file.
    Wire(String),
    /// A field of the file says what cannot be taken; which, and why.
    Field(&'static str, String),
    /// An operator that is not on the list.
    Operator {
        /// The operator.
        operator: String,
        /// The node's name.
        node: String,
    },
    /// A node is not the one of a LogBERT that stands there.
    Structure {
        /// The node's place, from 0.
        node: usize,
        /// The node's name.
        name: String,
        /// What is expected, and what is there.
        cause: String,
    },
    /// A tensor is not what it has to be.
    Tensor {
        /// Its name in the file.
        name: String,
        /// Why.
        cause: String,
    },
    /// The manifest in the properties is none.
    Manifest(BundleError),
    /// The weights make no net.
    Weights(NetError),
    /// The golden vector in the properties is none.
    Golden(String),
    /// What was computed is not what the golden vector says.
    Differs {
        /// Whose pass.
        who: &'static str,
        /// The output.
        output: &'static str,
    },
    /// candle-onnx cannot evaluate the graph.
    Evaluate(String),
}

impl fmt::Display for OnnxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(cause) => cause.fmt(f),
            Self::Wire(cause) => write!(f, "onnx: {cause}"),
            Self::Field(field, cause) => write!(f, "onnx: {field}: {cause}"),
            Self::Operator { operator, node } => write!(
                f,
                "onnx: node {node:?}: the operator {operator:?} is not taken; export with opset 13, the layer norm and GELU decomposed"
            ),
            Self::Structure { node, name, cause } => write!(
                f,
                "onnx: node {node} {name:?}: {cause}; only graphs of the structure that `model export-onnx` writes are taken"
            ),
            Self::Tensor { name, cause } => write!(f, "onnx: initializer {name:?} {cause}"),
            Self::Manifest(cause) => write!(f, "onnx: property nms.manifest: {cause}"),
            Self::Weights(cause) => write!(f, "onnx: {cause}"),
            Self::Golden(cause) => write!(f, "onnx: property nms.golden: {cause}"),
            Self::Differs { who, output } => {
                write!(f, "onnx: property nms.golden: {who} computes another {output:?}; export the file again")
            }
            Self::Evaluate(cause) => write!(f, "onnx: candle-onnx cannot evaluate the graph: {cause}"),
        }
    }
}

impl std::error::Error for OnnxError {}

/// A bundle as an ONNX file; inputs and outputs are those that `graph.rs` draws.
///
/// # Errors
/// [`OnnxError::Weights`] where the weights are not of the shape.
pub fn export(bundle: &Bundle) -> Result<Vec<u8>, OnnxError> {
    let shape = &bundle.manifest.shape;
    check_kind(&bundle.manifest)?;
    shape.check().map_err(OnnxError::Weights)?;
    let graph = Graph::of(shape);
    let mut initializer = Vec::new();
    for (name, initial) in &graph.initials {
        initializer.push(tensor(bundle, name, initial)?);
    }
    let manifest = serde_json::to_string(&bundle.manifest)
        .map_err(|cause| OnnxError::Manifest(BundleError::Manifest(cause.to_string())))?;
    let golden = Golden::new(shape, &bundle.weights)?.text()?;
    let property = |(key, value): (&str, String)| StringStringEntryProto { key: key.to_owned(), value };
    let mut properties = vec![("nms.format", FORMAT.to_owned()), ("nms.manifest", manifest), ("nms.golden", golden)];
    if let Some(words) = &bundle.words {
        properties.push((WORDS, hex(&words.to_safetensors().map_err(OnnxError::Weights)?)));
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "nms".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(GraphProto {
            name: "logbert".to_owned(),
            node: graph.nodes,
            initializer,
            input: graph.inputs,
            output: graph.outputs,
            ..GraphProto::default()
        }),
        metadata_props: properties.into_iter().map(property).collect(),
        ..ModelProto::default()
    };
    Ok(model.encode_to_vec())
}

fn tensor(bundle: &Bundle, name: &str, initial: &Initial) -> Result<TensorProto, OnnxError> {
    match initial {
        Initial::Weight(dims) => {
            let values = bundle.weights.tensor(name).map_err(OnnxError::Weights)?;
            Ok(graph::floats(name, dims, values))
        }
        Initial::Floats(dims, values) => Ok(graph::floats(name, dims, values)),
        Initial::Integers(values) => Ok(graph::integers(name, values)),
    }
}

/// The bundle of an ONNX file.
///
/// # Errors
/// [`OnnxError`] naming the field, the node or the tensor.
pub fn open(file: &Path) -> Result<Bundle, OnnxError> {
    import(&read_file(Path::new(""), file).map_err(OnnxError::Read)?)
}

/// The bundle of the bytes of an ONNX file; of at most [`MODEL_BUNDLE_BYTES_MAX`].
///
/// # Errors
/// [`OnnxError`] naming the field, the node or the tensor.
pub fn import(bytes: &[u8]) -> Result<Bundle, OnnxError> {
    let model = decode(bytes)?;
    let graph = read::check_operators(&model)?;
    if property(&model, "nms.format")? != FORMAT {
        return Err(OnnxError::Field("nms.format", format!("this program reads {FORMAT}")));
    }
    let mut manifest: Manifest = serde_json::from_str(property(&model, "nms.manifest")?)
        .map_err(|cause| OnnxError::Manifest(BundleError::Manifest(cause.to_string())))?;
    // The file of the weights is made anew, and so is its hash.
    manifest.files = BTreeMap::from([(WEIGHTS.to_owned(), String::new())]);
    let vocabulary = manifest.check().map_err(OnnxError::Manifest)?;
    check_kind(&manifest)?;
    check_size(&manifest.shape)?;
    let golden = Golden::read(property(&model, "nms.golden")?, &manifest.shape)?;
    let weights = read::weights(graph, &manifest.shape)?;
    golden.check(&manifest.shape, &weights, &model)?;
    let words = model.metadata_props.iter().any(|property| property.key == WORDS);
    let words = words.then(|| words_of(property(&model, WORDS)?)).transpose()?;
    let files = Bundle { manifest, vocabulary, weights, words }.to_files().map_err(OnnxError::Manifest)?;
    let missing = |file: &str| BundleError::Read { file: file.to_owned(), cause: "it is not there".to_owned() };
    Bundle::from_files(|file| files.get(file).cloned().ok_or_else(|| missing(file))).map_err(OnnxError::Manifest)
}

/// The tables of words of a property.
fn words_of(text: &str) -> Result<Words, OnnxError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        Some((digit(*high)? * 16 + digit(*low)?) as u8)
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    let bytes = bytes.filter(|_| rest.is_empty());
    let bytes = bytes.ok_or_else(|| OnnxError::Field(WORDS, "it is not hexadecimal".to_owned()))?;
    Words::from_safetensors(&bytes).map_err(|cause| OnnxError::Field(WORDS, cause.to_string()))
}

/// What candle-onnx's evaluator makes of a file and a sequence, masked already: the reference for other passes.
///
/// # Errors
/// As [`import`], which the file must pass first: the evaluator is given nothing else.
pub fn evaluate(bytes: &[u8], sequence: &crate::sequence::Sequence) -> Result<Answer, OnnxError> {
    import(bytes)?;
    golden::evaluate(&decode(bytes)?, sequence)
}

fn decode(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    if bytes.len() > MODEL_BUNDLE_BYTES_MAX {
        return Err(OnnxError::Wire(format!("it is larger than {MODEL_BUNDLE_BYTES_MAX} bytes")));
    }
    wire::check(bytes).map_err(OnnxError::Wire)?;
    ModelProto::decode(bytes).map_err(|cause| OnnxError::Wire(format!("it is no ONNX file: {cause}")))
}

fn property<'a>(model: &'a ModelProto, key: &'static str) -> Result<&'a str, OnnxError> {
    let mut found = model.metadata_props.iter().filter(|property| property.key == key);
    match (found.next(), found.next()) {
        (Some(property), None) => Ok(&property.value),
        (None, _) => Err(OnnxError::Field("metadata_props", format!("{key} is missing"))),
        (Some(_), Some(_)) => Err(OnnxError::Field("metadata_props", format!("{key} stands twice"))),
    }
}

fn check_kind(manifest: &Manifest) -> Result<(), OnnxError> {
    let is_logbert = manifest.masked_lm.is_none();
    let other = || OnnxError::Field("masked_lm", "only a LogBERT goes out and in as ONNX".to_owned());
    is_logbert.then_some(()).ok_or_else(other)
}

fn check_size(shape: &Shape) -> Result<(), OnnxError> {
    shape.check().map_err(OnnxError::Weights)?;
    let numbers: usize = shape.tensors().iter().map(|(_, dims)| dims.iter().product::<usize>()).sum();
    if numbers > NUMBERS_MAX {
        return Err(OnnxError::Field(
            "nms.manifest",
            format!("shape: a net of {numbers} numbers, at most {NUMBERS_MAX}"),
        ));
    }
    Ok(())
}
