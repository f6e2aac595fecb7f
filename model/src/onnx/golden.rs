//! A golden vector: an input of a net and what the net answers, so that whoever reads a file knows that it computes the same.
//!
//! The same sequence goes through our own pass and through candle-onnx's evaluator, which are both held against what stands
//! in the file.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_onnx::onnx::ModelProto;
use serde::{Deserialize, Serialize};

use super::OnnxError;
use super::graph::{CATEGORIES, DISTANCE, FACTORS_INPUT, MASKED, TOKENS};
use crate::fast::{Fast, Input};
use crate::key::{Context, FACTORS, Factor, SPECIALS, Token};
use crate::net::{Shape, Weights};
use crate::random::Random;
use crate::sequence::Sequence;

/// How far two passes may be apart, as a share of the number where that is above 1.
pub const TOLERANCE: f32 = 1e-4;
/// Events of the sequence that is written.
const EVENTS: usize = 12;
/// Positions of a sequence that is read.
const POSITIONS_MAX: usize = 64;

/// What a net answers to a sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Logits of the head of masked positions, position by position.
    pub masked: Vec<f32>,
    /// The logit of DIST.
    pub distance: f32,
    /// Logits of the categories; empty for a net without.
    pub categories: Vec<f32>,
}

/// An input and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    tokens: Vec<Token>,
    factors: Vec<[u8; FACTORS]>,
    answer: Answer,
}

impl Golden {
    /// A sequence of a third hidden and two thirds shown keys, and what the net of `weights` answers.
    pub(super) fn new(shape: &Shape, weights: &Weights) -> Result<Self, OnnxError> {
        let mut random = Random::new(7);
        let keys = shape.vocabulary.saturating_sub(SPECIALS);
        let tokens: Vec<Token> = (0..EVENTS).map(|_| (SPECIALS + random.below(keys)) as Token).collect();
        let mut sequence = Sequence::bare(&tokens);
        if shape.factors {
            let mut value = |factor: Factor| random.below(factor.size()) as u8;
            let contexts = (0..sequence.len()).map(|_| Context::from_values(Factor::ALL.map(&mut value)));
            sequence.contexts = contexts.collect();
        }
        for position in (1..sequence.len()).step_by(3) {
            sequence.hide(position);
        }
        let factors = sequence.contexts.iter().map(|context| *context.values()).collect();
        let answer = ours(shape, weights, &sequence)?;
        Ok(Self { tokens: sequence.tokens, factors, answer })
    }

    /// Reads one that stands in a file.
    pub(super) fn read(text: &str, shape: &Shape) -> Result<Self, OnnxError> {
        let golden: Self = serde_json::from_str(text).map_err(|cause| OnnxError::Golden(cause.to_string()))?;
        let (Self { tokens, factors, answer }, positions) = (&golden, golden.tokens.len());
        let values = |context: &[u8; FACTORS]| Context::from_values(*context).values() == context;
        let fields = [
            ("tokens", (1..=POSITIONS_MAX).contains(&positions)),
            ("tokens", tokens.iter().all(|token| (1..shape.vocabulary).contains(&(*token as usize)))),
            ("factors", factors.len() == if shape.factors { positions } else { 0 }),
            ("factors", factors.iter().all(values)),
            ("answer.masked", answer.masked.len() == positions * shape.predicted()),
            ("answer.categories", answer.categories.len() == shape.categories),
        ];
        match fields.iter().find(|(_, fits)| !fits) {
            Some((field, _)) => Err(OnnxError::Golden(format!("{field} contradicts the shape"))),
            None => Ok(golden),
        }
    }

    /// Holds the answers of our pass and of candle-onnx against the one that stands here.
    pub(super) fn check(&self, shape: &Shape, weights: &Weights, model: &ModelProto) -> Result<(), OnnxError> {
        let contexts = self.factors.iter().map(|values| Context::from_values(*values)).collect();
        let sequence = Sequence { tokens: self.tokens.clone(), contexts };
        let ours = ours(shape, weights, &sequence)?;
        same("our pass", &ours, &self.answer)?;
        same("candle-onnx", &evaluate(model, &sequence)?, &self.answer)
    }

    /// The text that stands in a file.
    pub(super) fn text(&self) -> Result<String, OnnxError> {
        serde_json::to_string(self).map_err(|cause| OnnxError::Golden(cause.to_string()))
    }
}

/// Our own pass.
fn ours(shape: &Shape, weights: &Weights, sequence: &Sequence) -> Result<Answer, OnnxError> {
    let mut net = Fast::new(shape, weights).map_err(OnnxError::Weights)?;
    let wanted: Vec<usize> = (0..sequence.len()).collect();
    net.run(&[Input { sequence, wanted: &wanted }]);
    let masked = net.masked(0, sequence.len()).to_vec();
    Ok(Answer { masked, distance: net.distance(0), categories: net.categories(0).to_vec() })
}

/// What candle-onnx's evaluator makes of a graph of ours and a sequence.
///
/// # Errors
/// [`OnnxError::Evaluate`].
pub(super) fn evaluate(model: &ModelProto, sequence: &Sequence) -> Result<Answer, OnnxError> {
    evaluated(model, sequence).map_err(|cause| OnnxError::Evaluate(cause.to_string()))
}

fn evaluated(model: &ModelProto, sequence: &Sequence) -> candle_core::Result<Answer> {
    let positions = sequence.len();
    let tokens: Vec<i64> = sequence.tokens.iter().map(|token| i64::from(*token)).collect();
    let tokens = Tensor::from_vec(tokens, (1, positions), &Device::Cpu)?;
    let mut inputs = HashMap::from([(TOKENS.to_owned(), tokens)]);
    if !sequence.contexts.is_empty() {
        let values = sequence.contexts.iter().flat_map(Context::values).map(|value| i64::from(*value)).collect();
        let factors = Tensor::from_vec(values, (1, positions, FACTORS), &Device::Cpu)?;
        inputs.insert(FACTORS_INPUT.to_owned(), factors);
    }
    let outputs = candle_onnx::simple_eval(model, inputs)?;
    let flat = |name: &str| match outputs.get(name) {
        Some(tensor) => tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>(),
        None => Ok(Vec::new()),
    };
    let distance = flat(DISTANCE)?.first().copied().unwrap_or(f32::NAN);
    Ok(Answer { masked: flat(MASKED)?, distance, categories: flat(CATEGORIES)? })
}

/// Whether two answers are the same within [`TOLERANCE`]; NaN is no answer.
fn same(who: &'static str, left: &Answer, right: &Answer) -> Result<(), OnnxError> {
    let parts = [
        (MASKED, left.masked.as_slice(), right.masked.as_slice()),
        (DISTANCE, std::slice::from_ref(&left.distance), std::slice::from_ref(&right.distance)),
        (CATEGORIES, &left.categories, &right.categories),
    ];
    for (output, left, right) in parts {
        let close = |(left, right): (&f32, &f32)| (left - right).abs() <= TOLERANCE * right.abs().max(1.0);
        if left.len() != right.len() || !left.iter().zip(right).all(close) {
            return Err(OnnxError::Differs { who, output });
        }
    }
    Ok(())
}
