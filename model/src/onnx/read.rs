//! A graph from outside, held node by node against the graph of its shape.
//!
//! Names are the writer's own: only inputs, outputs and what a node does count, in the order in which we write them. So a
//! graph that is taken computes what our pass computes, the evaluator is never given anything else, and which tensor is
//! which weight follows from where it is used. A node that reads what no earlier node wrote is refused, so no graph is a
//! circle.

use std::collections::{BTreeMap, HashMap};

use candle_onnx::onnx::tensor_proto::{DataLocation, DataType};
use candle_onnx::onnx::tensor_shape_proto::dimension;
use candle_onnx::onnx::type_proto::Value as TypeValue;
use candle_onnx::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::graph::{Graph, Initial, OPERATORS};
use super::{NUMBERS_MAX, OnnxError};
use crate::net::{NetError, Shape, Weights};

/// Versions of ONNX's operators that mean the same to ONNX Runtime and to candle-onnx.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=16;

/// Operators, versions and where they are from, before anything is believed.
pub(super) fn check_operators(model: &ModelProto) -> Result<&GraphProto, OnnxError> {
    let known = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    for opset in &model.opset_import {
        if !known(&opset.domain) {
            return Err(OnnxError::Field("opset_import", format!("domain {:?} is not ONNX's own", opset.domain)));
        }
        if !OPSETS.contains(&opset.version) {
            let (least, most) = (OPSETS.start(), OPSETS.end());
            let cause = format!("version is {}, allowed is {least} to {most}", opset.version);
            return Err(OnnxError::Field("opset_import", cause));
        }
    }
    if model.opset_import.is_empty() {
        return Err(OnnxError::Field("opset_import", "there is none".to_owned()));
    }
    let graph = model.graph.as_ref().ok_or_else(|| OnnxError::Field("graph", "there is none".to_owned()))?;
    let refused = graph.node.iter().find(|node| !known(&node.domain) || !OPERATORS.contains(&node.op_type.as_str()));
    match refused {
        Some(node) => Err(OnnxError::Operator { operator: node.op_type.clone(), node: node.name.clone() }),
        None => Ok(graph),
    }
}

/// The weights of a graph that is one of `shape`.
pub(super) fn weights(graph: &GraphProto, shape: &Shape) -> Result<Weights, OnnxError> {
    let ours = Graph::of(shape);
    values("graph.input", &graph.input, &ours.inputs)?;
    values("graph.output", &graph.output, &ours.outputs)?;
    let mut reading = Reading {
        initials: ours.initials.iter().map(|(name, initial)| (name.as_str(), initial)).collect(),
        tensors: HashMap::new(),
        values: ours.inputs.iter().map(|input| (input.name.as_str(), input.name.as_str())).collect(),
        weights: BTreeMap::new(),
    };
    for tensor in &graph.initializer {
        if reading.tensors.insert(&tensor.name, tensor).is_some() || reading.values.contains_key(tensor.name.as_str()) {
            return Err(OnnxError::Tensor { name: tensor.name.clone(), cause: "stands twice".to_owned() });
        }
    }
    for (at, expected) in ours.nodes.iter().enumerate() {
        let Some(node) = graph.node.get(at) else {
            let cause = format!("ends where {} is expected", expected.op_type);
            return Err(OnnxError::Structure { node: at, name: String::new(), cause });
        };
        let failed = |cause| OnnxError::Structure { node: at, name: node.name.clone(), cause };
        reading.node(node, expected).map_err(|error| match error {
            Mismatch::Structure(cause) => failed(cause),
            Mismatch::Error(error) => error,
        })?;
    }
    if let Some(node) = graph.node.get(ours.nodes.len()) {
        let cause = format!("{} stands behind the end of a LogBERT", node.op_type);
        return Err(OnnxError::Structure { node: ours.nodes.len(), name: node.name.clone(), cause });
    }
    for output in &graph.output {
        if reading.values.get(output.name.as_str()) != Some(&output.name.as_str()) {
            let cause = format!("{:?} is not what it is in a LogBERT", output.name);
            return Err(OnnxError::Field("graph.output", cause));
        }
    }
    let taken = Weights(reading.weights);
    for (name, _) in shape.tensors() {
        taken.tensor(&name).map_err(OnnxError::Weights)?;
    }
    Ok(taken)
}

/// Why a node is not the one that is expected.
enum Mismatch {
    Structure(String),
    Error(OnnxError),
}

/// What is known of the names of a graph.
struct Reading<'a, 'b> {
    /// What our graph wants, by our names.
    initials: HashMap<&'b str, &'b Initial>,
    /// The graph's tensors, by its names.
    tensors: HashMap<&'a str, &'a TensorProto>,
    /// Our name of each value that was met, by the graph's name.
    values: HashMap<&'a str, &'b str>,
    weights: BTreeMap<String, Vec<f32>>,
}

impl<'a, 'b: 'a> Reading<'a, 'b> {
    fn node(&mut self, node: &'a NodeProto, expected: &'b NodeProto) -> Result<(), Mismatch> {
        let wrong = |cause: String| Err(Mismatch::Structure(cause));
        if node.op_type != expected.op_type {
            return wrong(format!("{} is expected, it is {}", expected.op_type, node.op_type));
        }
        if node.input.len() != expected.input.len() || node.output.len() != expected.output.len() {
            return wrong(format!("{} has another number of inputs or outputs", node.op_type));
        }
        if attributes(node) != attributes(expected) {
            return wrong(format!("{} has other attributes than {:?}", node.op_type, attributes(expected)));
        }
        for (input, expected) in node.input.iter().zip(&expected.input) {
            match self.values.get(input.as_str()) {
                Some(value) if value == expected => {}
                Some(_) => return wrong(format!("{} reads {input:?} in another place", node.op_type)),
                None => self.initial(input, expected)?,
            }
        }
        for (output, expected) in node.output.iter().zip(&expected.output) {
            let is_new = !self.tensors.contains_key(output.as_str());
            if !is_new || self.values.insert(output, expected).is_some() {
                return wrong(format!("writes {output:?}, which is there already"));
            }
        }
        Ok(())
    }

    /// The tensor `input` stands where `expected` does in our graph.
    fn initial(&mut self, input: &'a str, expected: &'b str) -> Result<(), Mismatch> {
        let Some(tensor) = self.tensors.get(input) else {
            return Err(Mismatch::Structure(format!("reads {input:?}, which nothing before it writes")));
        };
        let wrong = |cause: String| Mismatch::Error(OnnxError::Tensor { name: input.to_owned(), cause });
        match self.initials.get(expected) {
            None => return Err(Mismatch::Structure(format!("reads the tensor {input:?} where a result is expected"))),
            Some(Initial::Weight(dims)) => {
                let values = floats(tensor, dims).map_err(wrong)?;
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(Mismatch::Error(OnnxError::Weights(NetError::NotFinite(input.to_owned()))));
                }
                self.weights.insert(expected.to_owned(), values);
            }
            Some(Initial::Floats(dims, expected)) => {
                let values = floats(tensor, dims).map_err(wrong)?;
                // A lone number is a factor or an epsilon; a table was computed in another order elsewhere.
                let least = if expected.len() > 1 { 1.0 } else { 0.0 };
                let close = |(left, right): (&f32, &f32)| (left - right).abs() <= 1e-6 * right.abs().max(least);
                if !values.iter().zip(expected).all(close) {
                    return Err(wrong("has other numbers than LogBERT has there".to_owned()));
                }
            }
            Some(Initial::Integers(expected)) => {
                if integers(tensor).map_err(wrong)? != *expected {
                    return Err(wrong(format!("must be {expected:?}")));
                }
            }
        }
        Ok(())
    }
}

/// What a node's attributes say, in the order of their names.
fn attributes(node: &NodeProto) -> Vec<(&str, i32, i64, &[i64])> {
    let one = |attribute: &'_ AttributeProto| (attribute.r#type, attribute.i);
    let mut all: Vec<_> = (node.attribute.iter())
        .map(|attribute| {
            let (kind, i) = one(attribute);
            (attribute.name.as_str(), kind, i, attribute.ints.as_slice())
        })
        .collect();
    all.sort_unstable();
    all
}

/// Inputs or outputs: the same names, in any order, of the same kinds.
fn values(field: &'static str, theirs: &[ValueInfoProto], ours: &[ValueInfoProto]) -> Result<(), OnnxError> {
    for expected in ours {
        let Some(value) = theirs.iter().find(|value| value.name == expected.name) else {
            return Err(OnnxError::Field(field, format!("{:?} is missing", expected.name)));
        };
        let (kind, dims) = kind(value);
        let (expected_kind, expected_dims) = self::kind(expected);
        let fits = |(dim, expected): (&Option<i64>, &Option<i64>)| dim == expected;
        let is_same = dims.len() == expected_dims.len() && dims.iter().zip(&expected_dims).all(fits);
        if kind != expected_kind || !is_same {
            let cause = format!(
                "{:?} must be of type {expected_kind} and dimensions {expected_dims:?}, is of type {kind} and {dims:?}",
                expected.name
            );
            return Err(OnnxError::Field(field, cause));
        }
    }
    match theirs.iter().find(|value| !ours.iter().any(|expected| expected.name == value.name)) {
        Some(value) => Err(OnnxError::Field(field, format!("{:?} is none of a LogBERT", value.name))),
        None if theirs.len() != ours.len() => Err(OnnxError::Field(field, "a name stands twice".to_owned())),
        None => Ok(()),
    }
}

/// The type and the dimensions of a value; none for a dimension that is free.
fn kind(value: &ValueInfoProto) -> (i32, Vec<Option<i64>>) {
    let Some(TypeValue::TensorType(tensor)) = value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return (0, Vec::new());
    };
    let dim = |dim: &Option<dimension::Value>| match dim {
        Some(dimension::Value::DimValue(dim)) => Some(*dim),
        _ => None,
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|one| dim(&one.value)).collect();
    (tensor.elem_type, dims)
}

/// How many numbers a tensor holds by its dimensions.
fn count(tensor: &TensorProto) -> Option<usize> {
    let mut dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok());
    let count = dims.try_fold(1usize, |count, dim| count.checked_mul(dim?))?;
    (count <= NUMBERS_MAX && tensor.data_location != DataLocation::External as i32).then_some(count)
}

fn floats(tensor: &TensorProto, expected: &[usize]) -> Result<Vec<f32>, String> {
    let is_same = tensor.dims.len() == expected.len()
        && tensor.dims.iter().zip(expected).all(|(dim, expected)| usize::try_from(*dim) == Ok(*expected));
    if tensor.data_type != DataType::Float as i32 || !is_same {
        return Err(format!("must be f32 {expected:?}, is of type {} and {:?}", tensor.data_type, tensor.dims));
    }
    let count = count(tensor).ok_or("is too large, or lies in another file")?;
    let (chunks, rest) = tensor.raw_data.as_chunks::<4>();
    match (tensor.float_data.len() == count, chunks.len() == count && rest.is_empty()) {
        (true, _) if tensor.raw_data.is_empty() => Ok(tensor.float_data.clone()),
        (_, true) if tensor.float_data.is_empty() => {
            Ok(chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        _ => Err(format!("holds another number of values than {:?}", tensor.dims)),
    }
}

fn integers(tensor: &TensorProto) -> Result<Vec<i64>, String> {
    if tensor.data_type != DataType::Int64 as i32 || tensor.dims.len() != 1 {
        return Err(format!("must be a list of i64, is of type {} and {:?}", tensor.data_type, tensor.dims));
    }
    let count = count(tensor).ok_or("is too large, or lies in another file")?;
    let (chunks, rest) = tensor.raw_data.as_chunks::<8>();
    match (tensor.int64_data.len() == count, chunks.len() == count && rest.is_empty()) {
        (true, _) if tensor.raw_data.is_empty() => Ok(tensor.int64_data.clone()),
        (_, true) if tensor.int64_data.is_empty() => {
            Ok(chunks.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
        }
        _ => Err(format!("holds another number of values than {:?}", tensor.dims)),
    }
}
