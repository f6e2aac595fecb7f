//! The net as a graph of ONNX operators, opset 13: what export writes, and what import wants to see.
//!
//! Only operators are used that ONNX Runtime and candle-onnx agree on: layer norm and the tanh GELU are decomposed,
//! means go over one axis that is an attribute, and nothing is unsqueezed. The distance is written so that f32 does not
//! cancel: ln(e^a - 1) = ln tanh(a / 2) + ln(e^a + 1), and sqrt(s + 1) - 1 = s / (sqrt(s + 1) + 1).
//!
//! ```text
//! tokens  i64 [batch, positions]      DIST, keys, EOS, then PAD (0), which nobody attends to
//! factors i64 [batch, positions, 10]  values of the factors, 0 where hidden; only for nets with factors
//! masked     f32 [batch, positions, predicted]   logits: key, then each own factor
//! distance   f32 [batch]                         logit of DIST; high is abnormal
//! categories f32 [batch, categories]             only for nets with categories
//! ```

use candle_onnx::onnx::attribute_proto::AttributeType;
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::{Dimension, dimension};
use candle_onnx::onnx::type_proto::{Tensor, Value as TypeValue};
use candle_onnx::onnx::{AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto};

use crate::fast::POSITIONS_MAX;
use crate::key::{FACTORS, Factor};
use crate::net::{Shape, sine_positions};

/// The input of tokens.
pub(super) const TOKENS: &str = "tokens";
/// The input of factors.
pub(super) const FACTORS_INPUT: &str = "factors";
/// The output of masked positions.
pub(super) const MASKED: &str = "masked";
/// The output of the DIST position.
pub(super) const DISTANCE: &str = "distance";
/// The output that names a window.
pub(super) const CATEGORIES: &str = "categories";

/// Operators of the graph; any other one is refused.
pub(super) const OPERATORS: [&str; 22] = [
    "Add",
    "Cast",
    "Concat",
    "Div",
    "Equal",
    "Exp",
    "Gather",
    "Log",
    "MatMul",
    "Min",
    "Mul",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Slice",
    "Softmax",
    "Sqrt",
    "Sub",
    "Tanh",
    "Transpose",
];

/// What an initialiser holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Initial {
    /// The tensor of that name and these dimensions of [`Shape::tensors`].
    Weight(Vec<usize>),
    /// Numbers that are the same in every net of the shape.
    Floats(Vec<usize>, Vec<f32>),
    /// Indices and dimensions that are the same in every net of the shape.
    Integers(Vec<i64>),
}

/// The graph of a shape.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initials: Vec<(String, Initial)>,
    pub(super) inputs: Vec<ValueInfoProto>,
    pub(super) outputs: Vec<ValueInfoProto>,
}

impl Graph {
    /// The graph of nets of that shape.
    pub(super) fn of(shape: &Shape) -> Self {
        let mut graph = Self::default();
        for (name, dims) in shape.tensors() {
            graph.initials.push((name, Initial::Weight(dims)));
        }
        let mut x = graph.embedding(shape);
        let padding = graph.padding();
        for layer in 0..shape.layers {
            let normed = graph.norm(&x, &format!("{layer}.ln1"));
            let mixed = graph.attention(&normed, &padding, layer, shape);
            x = graph.op("Add", &[&x, &mixed]);
            let normed = graph.norm(&x, &format!("{layer}.ln2"));
            let up = graph.linear(&normed, &format!("{layer}.f1"));
            let inner = graph.gelu(&up);
            let down = graph.linear(&inner, &format!("{layer}.f2"));
            x = graph.op("Add", &[&x, &down]);
        }
        let hidden = graph.norm(&x, "lnf");
        graph.heads(&hidden, shape);
        graph
    }

    fn embedding(&mut self, shape: &Shape) -> String {
        let d = shape.width;
        self.inputs.push(value(TOKENS, DataType::Int64, &[None, None]));
        let embedded = self.with("Gather", &["emb", TOKENS], vec![int("axis", 0)]);
        let scale = self.number("scale.emb", (d as f32).sqrt());
        let mut x = self.op("Mul", &[&embedded, &scale]);
        if shape.factors {
            self.inputs.push(value(FACTORS_INPUT, DataType::Int64, &[None, None, Some(FACTORS)]));
            let firsts = Factor::ALL.iter().scan(0, |next, factor| {
                let first = *next;
                *next += factor.size() as i64;
                Some(first)
            });
            let firsts = self.integers("factors.first", firsts.collect());
            let rows = self.op("Add", &[FACTORS_INPUT, &firsts]);
            let flat = self.integers("shape.flat", vec![-1]);
            let rows = self.op("Reshape", &[&rows, &flat]);
            let rows = self.with("Gather", &["ctx", &rows], vec![int("axis", 0)]);
            let dims = self.integers("shape.factors", vec![-1, FACTORS as i64, d as i64]);
            let rows = self.op("Reshape", &[&rows, &dims]);
            let axis = self.integers("axis.factors", vec![1]);
            let sums = self.with("ReduceSum", &[&rows, &axis], vec![int("keepdims", 0)]);
            let batch = self.op("Shape", &[TOKENS]);
            let width = self.integers("width", vec![d as i64]);
            let dims = self.with("Concat", &[&batch, &width], vec![int("axis", 0)]);
            let sums = self.op("Reshape", &[&sums, &dims]);
            x = self.op("Add", &[&x, &sums]);
        }
        let table = sine_positions(POSITIONS_MAX, d);
        self.initials.push(("positions".to_owned(), Initial::Floats(vec![POSITIONS_MAX, d], table)));
        let dims = self.op("Shape", &[TOKENS]);
        let one = self.integers("index.positions", vec![1]);
        let length = self.with("Gather", &[&dims, &one], vec![int("axis", 0)]);
        let zero = self.integers("index.first", vec![0]);
        let positions = self.op("Slice", &["positions", &zero, &length, &zero]);
        self.op("Add", &[&x, &positions])
    }

    /// What is added to the scores of attention: nothing, or -1e9 at padding; `[batch, 1, 1, positions]`.
    fn padding(&mut self) -> String {
        let pad = self.integers("token.pad", vec![0]);
        let is_pad = self.op("Equal", &[TOKENS, &pad]);
        let is_pad = self.with("Cast", &[&is_pad], vec![int("to", DataType::Float as i64)]);
        let least = self.number("least", -1e9);
        let added = self.op("Mul", &[&is_pad, &least]);
        let dims = self.integers("shape.padding", vec![0, 1, 1, -1]);
        self.op("Reshape", &[&added, &dims])
    }

    fn norm(&mut self, x: &str, name: &str) -> String {
        let mean = self.mean(x);
        let centred = self.op("Sub", &[x, &mean]);
        let square = self.op("Mul", &[&centred, &centred]);
        let variance = self.mean(&square);
        let epsilon = self.number("epsilon", 1e-5);
        let variance = self.op("Add", &[&variance, &epsilon]);
        let deviation = self.op("Sqrt", &[&variance]);
        let normed = self.op("Div", &[&centred, &deviation]);
        let scaled = self.op("Mul", &[&normed, &format!("{name}.g")]);
        self.op("Add", &[&scaled, &format!("{name}.b")])
    }

    fn mean(&mut self, x: &str) -> String {
        self.with("ReduceMean", &[x], vec![ints("axes", &[2]), int("keepdims", 1)])
    }

    fn linear(&mut self, x: &str, name: &str) -> String {
        let product = self.op("MatMul", &[x, &format!("{name}.w")]);
        self.op("Add", &[&product, &format!("{name}.b")])
    }

    fn attention(&mut self, x: &str, padding: &str, layer: usize, shape: &Shape) -> String {
        let head = shape.width / shape.heads.max(1);
        let dims = self.integers("shape.heads", vec![0, 0, shape.heads as i64, head as i64]);
        let mut split = |part: &str, order: &[i64]| {
            let all = self.linear(x, &format!("{layer}.{part}"));
            let heads = self.op("Reshape", &[&all, &dims]);
            self.with("Transpose", &[&heads], vec![ints("perm", order)])
        };
        let query = split("q", &[0, 2, 1, 3]);
        let key = split("k", &[0, 2, 3, 1]);
        let values = split("v", &[0, 2, 1, 3]);
        let scores = self.op("MatMul", &[&query, &key]);
        let scale = self.number("scale.attention", 1.0 / (head as f32).sqrt());
        let scores = self.op("Mul", &[&scores, &scale]);
        let scores = self.op("Add", &[&scores, padding]);
        let weights = self.with("Softmax", &[&scores], vec![int("axis", 3)]);
        let mixed = self.op("MatMul", &[&weights, &values]);
        let mixed = self.with("Transpose", &[&mixed], vec![ints("perm", &[0, 2, 1, 3])]);
        let dims = self.integers("shape.mixed", vec![0, 0, shape.width as i64]);
        let mixed = self.op("Reshape", &[&mixed, &dims]);
        self.linear(&mixed, &format!("{layer}.o"))
    }

    /// GELU in its tanh form: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
    fn gelu(&mut self, x: &str) -> String {
        let cubic = self.number("gelu.cubic", 0.044_715);
        let one = self.number("one", 1.0);
        let scale = self.number("gelu.scale", (2.0 / std::f64::consts::PI).sqrt() as f32);
        let half = self.number("half", 0.5);
        let square = self.op("Mul", &[x, x]);
        let inner = self.op("Mul", &[&square, &cubic]);
        let inner = self.op("Add", &[&inner, &one]);
        let inner = self.op("Mul", &[&inner, x]);
        let inner = self.op("Mul", &[&inner, &scale]);
        let tanh = self.op("Tanh", &[&inner]);
        let tanh = self.op("Add", &[&tanh, &one]);
        let halved = self.op("Mul", &[x, &half]);
        self.op("Mul", &[&halved, &tanh])
    }

    fn heads(&mut self, hidden: &str, shape: &Shape) {
        self.outputs.push(value(MASKED, DataType::Float, &[None, None, Some(shape.predicted())]));
        let product = self.op("MatMul", &[hidden, "mlkp.w"]);
        self.named("Add", &[&product, "mlkp.b"], Vec::new(), MASKED);
        let zero = self.integers("index.first", vec![0]);
        let first = self.with("Gather", &[hidden, &zero], vec![int("axis", 1)]);
        let dims = self.integers("shape.first", vec![-1, shape.width as i64]);
        let first = self.op("Reshape", &[&first, &dims]);
        self.outputs.push(value(DISTANCE, DataType::Float, &[None]));
        let z = self.linear(&first, "dist");
        self.distance(&z);
        if shape.categories > 0 {
            self.outputs.push(value(CATEGORIES, DataType::Float, &[None, Some(shape.categories)]));
            let product = self.op("MatMul", &[&first, "cat.w"]);
            self.named("Add", &[&product, "cat.b"], Vec::new(), CATEGORIES);
        }
    }

    /// a = sqrt(|z|^2 + 1) - 1 + 1e-6, logit = ln(e^min(a, 30) - 1) + max(a - 30, 0).
    fn distance(&mut self, z: &str) {
        let (one, half) = (self.number("one", 1.0), self.number("half", 0.5));
        let square = self.op("Mul", &[z, z]);
        let axis = self.integers("axis.width", vec![1]);
        let square = self.with("ReduceSum", &[&square, &axis], vec![int("keepdims", 0)]);
        let root = self.op("Add", &[&square, &one]);
        let root = self.op("Sqrt", &[&root]);
        let root = self.op("Add", &[&root, &one]);
        let a = self.op("Div", &[&square, &root]);
        let least = self.number("distance.least", 1e-6);
        let a = self.op("Add", &[&a, &least]);
        let far = self.number("distance.far", 30.0);
        let near = self.op("Min", &[&a, &far]);
        let tanh = self.op("Mul", &[&near, &half]);
        let tanh = self.op("Tanh", &[&tanh]);
        let tanh = self.op("Log", &[&tanh]);
        let exp = self.op("Exp", &[&near]);
        let exp = self.op("Add", &[&exp, &one]);
        let exp = self.op("Log", &[&exp]);
        let logit = self.op("Add", &[&tanh, &exp]);
        let minus = self.number("distance.minus_far", -30.0);
        let beyond = self.op("Add", &[&a, &minus]);
        let beyond = self.op("Relu", &[&beyond]);
        self.named("Add", &[&logit, &beyond], Vec::new(), DISTANCE);
    }

    fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.with(operator, inputs, Vec::new())
    }

    fn with(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("v{}", self.nodes.len());
        self.named(operator, inputs, attributes, &output);
        output
    }

    fn named(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: &str) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{operator}.{}", self.nodes.len()),
            op_type: operator.to_owned(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// A number that is used by this name, however often.
    fn number(&mut self, name: &str, number: f32) -> String {
        self.once(name, Initial::Floats(vec![1], vec![number]))
    }

    fn integers(&mut self, name: &str, integers: Vec<i64>) -> String {
        self.once(name, Initial::Integers(integers))
    }

    fn once(&mut self, name: &str, initial: Initial) -> String {
        if !self.initials.iter().any(|(other, _)| other == name) {
            self.initials.push((name.to_owned(), initial));
        }
        name.to_owned()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let ints = ints.to_vec();
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Ints as i32, ints, ..AttributeProto::default() }
}

/// An input or output; a dimension that is not given is free.
fn value(name: &str, kind: DataType, dims: &[Option<usize>]) -> ValueInfoProto {
    let free = ["batch", "positions"];
    let dim = dims.iter().enumerate().map(|(at, dim)| {
        let free = || dimension::Value::DimParam(free.get(at).copied().unwrap_or_default().to_owned());
        let value = dim.map_or_else(free, |dim| dimension::Value::DimValue(dim as i64));
        Dimension { value: Some(value), ..Dimension::default() }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = TypeValue::TensorType(Tensor { elem_type: kind as i32, shape });
    let r#type = Some(TypeProto { value: Some(tensor), ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}

/// A tensor of f32 as a file holds it.
pub(super) fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, DataType::Float, dims, raw_data)
}

/// A list of i64 as a file holds it.
pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, DataType::Int64, &[values.len()], raw_data)
}

fn tensor(name: &str, kind: DataType, dims: &[usize], raw_data: Vec<u8>) -> TensorProto {
    let dims = dims.iter().map(|dim| *dim as i64).collect();
    TensorProto { name: name.to_owned(), data_type: kind as i32, dims, raw_data, ..TensorProto::default() }
}
