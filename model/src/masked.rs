//! A masked language model from elsewhere: Hugging Face's `BertForMaskedLM`, computed by candle-transformers.
//!
//! Its form is another one than that of [`crate::net`] (post-norm, learnt positions, exact GELU), so its weights go into no
//! net of ours: they keep their names and their places, `[out, in]`, and candle-transformers computes them. What it has
//! not it does not say: no factors, no categories, and no distance, which is 0 and never unusual. It reads
//! `[CLS] keys [SEP]` in place of DIST, keys, EOS.

use std::collections::HashMap;
use std::fmt;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertForMaskedLM, Config, HiddenAct};
use nms_proto::limits::{MODEL_BUNDLE_BYTES_MAX, MODEL_WINDOW_EVENTS};
use serde::{Deserialize, Serialize};

use crate::fast::Input;
use crate::key::UNKNOWN;
use crate::net::{NetError, Shape, Weights};

/// Most positions that a file may have learnt.
const POSITIONS_MAX: usize = 1 << 14;
/// Positions of the longest window, [CLS] and [SEP] included.
const POSITIONS_MIN: usize = MODEL_WINDOW_EVENTS + 2;

/// What its layers put their numbers through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// The exact GELU.
    #[serde(rename = "gelu")]
    Gelu,
    /// GELU in its tanh form.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    Tanh,
    /// Negative numbers become 0.
    #[serde(rename = "relu")]
    Relu,
}

/// What a shape does not say of such a net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Words of its own vocabulary.
    pub words: usize,
    /// The word of each of our tokens, the special ones first.
    pub word_of: Vec<u32>,
    /// Positions that it has learnt.
    pub positions: usize,
    /// Kinds of segments that it has learnt; ours is the first.
    pub segments: usize,
    /// What its layers put their numbers through.
    pub activation: Activation,
    /// What keeps its norms from dividing by 0.
    pub epsilon: f64,
}

impl Form {
    /// Every tensor with its dimensions, by the names that Hugging Face gives.
    pub fn tensors(&self, shape: &Shape) -> Vec<(String, Vec<usize>)> {
        let (d, f) = (shape.width, shape.feed_forward);
        let mut all = Vec::new();
        for (name, rows) in [("word", self.words), ("position", self.positions), ("token_type", self.segments)] {
            all.push((format!("bert.embeddings.{name}_embeddings.weight"), vec![rows, d]));
        }
        let norm = |all: &mut Vec<(String, Vec<usize>)>, name: &str| {
            all.push((format!("{name}.LayerNorm.weight"), vec![d]));
            all.push((format!("{name}.LayerNorm.bias"), vec![d]));
        };
        let linear = |all: &mut Vec<(String, Vec<usize>)>, name: &str, from: usize, to: usize| {
            all.push((format!("{name}.weight"), vec![to, from]));
            all.push((format!("{name}.bias"), vec![to]));
        };
        norm(&mut all, "bert.embeddings");
        for layer in 0..shape.layers {
            let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
            for part in ["query", "key", "value"] {
                linear(&mut all, &name(&format!("attention.self.{part}")), d, d);
            }
            linear(&mut all, &name("attention.output.dense"), d, d);
            norm(&mut all, &name("attention.output"));
            linear(&mut all, &name("intermediate.dense"), d, f);
            linear(&mut all, &name("output.dense"), f, d);
            norm(&mut all, &name("output"));
        }
        linear(&mut all, "cls.predictions.transform.dense", d, d);
        norm(&mut all, "cls.predictions.transform");
        linear(&mut all, "cls.predictions.decoder", d, self.words);
        all
    }

    /// Checks what comes from outside, before memory is given to it.
    ///
    /// # Errors
    /// [`NetError::Shape`] with the field that is out of bounds.
    pub fn check(&self, shape: &Shape) -> Result<(), NetError> {
        shape.check()?;
        let bounds = [
            ("words", self.words, shape.vocabulary, 1 << 16),
            ("word_of", self.word_of.len(), shape.vocabulary, shape.vocabulary),
            ("word_of", self.word_of.iter().max().map_or(0, |word| *word as usize), 0, self.words.saturating_sub(1)),
            ("positions", self.positions, POSITIONS_MIN, POSITIONS_MAX),
            ("segments", self.segments, 1, 16),
            ("factors", usize::from(shape.factors), 0, 0),
            ("categories", shape.categories, 0, 0),
        ];
        for (field, value, least, most) in bounds {
            if value < least || value > most {
                return Err(NetError::Shape { field, value, most });
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon < 1.0) {
            return Err(NetError::Shape { field: "epsilon", value: 0, most: 1 });
        }
        let numbers: usize = self.tensors(shape).iter().map(|(_, dims)| dims.iter().product::<usize>()).sum();
        if numbers > MODEL_BUNDLE_BYTES_MAX / 4 {
            return Err(NetError::Shape { field: "numbers", value: numbers, most: MODEL_BUNDLE_BYTES_MAX / 4 });
        }
        Ok(())
    }

    fn config(&self, shape: &Shape) -> Config {
        Config {
            vocab_size: self.words,
            hidden_size: shape.width,
            num_hidden_layers: shape.layers,
            num_attention_heads: shape.heads,
            intermediate_size: shape.feed_forward,
            hidden_act: match self.activation {
                Activation::Gelu => HiddenAct::Gelu,
                Activation::Tanh => HiddenAct::GeluApproximate,
                Activation::Relu => HiddenAct::Relu,
            },
            max_position_embeddings: self.positions,
            type_vocab_size: self.segments,
            layer_norm_eps: self.epsilon,
            ..Config::default()
        }
    }
}

/// Such a net for serving.
pub struct MaskedLm {
    shape: Shape,
    form: Form,
    net: BertForMaskedLM,
    logits: Vec<f32>,
}

impl fmt::Debug for MaskedLm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedLm").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl MaskedLm {
    /// The net of `weights`.
    ///
    /// # Errors
    /// [`NetError`] where the shape is out of bounds or a tensor is missing.
    pub fn new(shape: &Shape, form: &Form, weights: &Weights) -> Result<Self, NetError> {
        form.check(shape)?;
        let mut tensors = HashMap::new();
        let failed = |cause: candle_core::Error| NetError::Format(cause.to_string());
        for (name, dims) in form.tensors(shape) {
            let tensor = Tensor::from_slice(weights.tensor(&name)?, dims, &Device::Cpu).map_err(failed)?;
            tensors.insert(name, tensor);
        }
        let built = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let net = BertForMaskedLM::load(built, &form.config(shape)).map_err(failed)?;
        Ok(Self { shape: shape.clone(), form: form.clone(), net, logits: Vec::new() })
    }

    /// The shape of the net.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Longest sequence that is read.
    pub fn positions(&self) -> usize {
        self.form.positions
    }

    /// Computes the wanted positions of all inputs, one behind the other; NaN where it cannot.
    pub fn run(&mut self, inputs: &[Input<'_>]) {
        let wanted: usize = inputs.iter().map(|input| input.wanted.len()).sum();
        self.logits.clear();
        for input in inputs {
            if self.one(input).is_err() {
                break;
            }
        }
        // A score that holds one of these is refused and counted.
        self.logits.resize(wanted * self.shape.vocabulary, f32::NAN);
    }

    fn one(&mut self, input: &Input<'_>) -> candle_core::Result<()> {
        let word = |token: &u32| {
            let known = self.form.word_of.get(*token as usize).or_else(|| self.form.word_of.get(UNKNOWN as usize));
            known.copied().unwrap_or_default()
        };
        let words: Vec<u32> = input.sequence.tokens.iter().map(word).collect();
        let words = Tensor::new(words, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.net.forward(&words, &words.zeros_like()?, None)?.squeeze(0)?;
        let rows = logits.to_vec2::<f32>()?;
        for position in input.wanted {
            let row = rows.get(*position).map(Vec::as_slice).unwrap_or_default();
            let of = |word: &u32| row.get(*word as usize).copied().unwrap_or(f32::NAN);
            self.logits.extend(self.form.word_of.iter().map(of));
        }
        Ok(())
    }

    /// Logits of our tokens at the wanted positions from `first` on, `count` of them.
    pub fn masked(&self, first: usize, count: usize) -> &[f32] {
        let columns = self.shape.vocabulary;
        self.logits.get(first * columns..(first + count) * columns).unwrap_or_default()
    }
}
