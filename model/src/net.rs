//! The shape of a LogBERT and its weights by name: what training writes and serving reads.
//!
//! Weights are stored as `[in, out]` (y = x W + b) under the names `emb`, `ctx`, `{layer}.q.w`, ...,
//! `lnf.g`, `mlkp.w`, `dist.w`, `cat.w`. A file from outside is checked against the shape before
//! anything is computed: every tensor there, of its size, finite.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::key::Factor;

/// Widest net that is taken from a file.
const WIDTH_MAX: usize = 1024;
/// Deepest net that is taken from a file.
const LAYERS_MAX: usize = 16;
/// Largest vocabulary that is taken from a file.
const VOCABULARY_MAX: usize = 1 << 16;

/// The shape of a net.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of a position's vector.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Tokens, the special ones included.
    pub vocabulary: usize,
    /// Whether positions carry the factors of [`crate::key::Context`].
    pub factors: bool,
    /// Categories of the head that names a window; 0 without one.
    pub categories: usize,
}

impl Shape {
    /// The net of the recipe: 64 wide, 2 layers, 4 heads, with factors.
    pub fn small(vocabulary: usize, categories: usize) -> Self {
        Self { width: 64, layers: 2, heads: 4, feed_forward: 128, vocabulary, factors: true, categories }
    }

    /// Rows of the factors' embedding table.
    pub fn factor_rows(&self) -> usize {
        if self.factors { Factor::ALL.iter().map(|factor| factor.size()).sum() } else { 0 }
    }

    /// What a masked position predicts: its key, then each factor of its own; as (first column, columns).
    pub fn groups(&self) -> Vec<(usize, usize)> {
        let mut groups = vec![(0, self.vocabulary)];
        let own = Factor::ALL.iter().filter(|factor| self.factors && factor.is_own());
        let mut next = self.vocabulary;
        for factor in own {
            groups.push((next, factor.size()));
            next += factor.size();
        }
        groups
    }

    /// Columns of the head of masked positions.
    pub fn predicted(&self) -> usize {
        self.groups().iter().map(|(_, columns)| columns).sum()
    }

    /// Every tensor of the net with its dimensions, in the order of their names' use.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (d, f) = (self.width, self.feed_forward);
        let mut all = vec![("emb".to_owned(), vec![self.vocabulary, d])];
        if self.factors {
            all.push(("ctx".to_owned(), vec![self.factor_rows(), d]));
        }
        for layer in 0..self.layers {
            let mut add = |name: &str, dims: &[usize]| all.push((format!("{layer}.{name}"), dims.to_vec()));
            for norm in ["ln1", "ln2"] {
                add(&format!("{norm}.g"), &[d]);
                add(&format!("{norm}.b"), &[d]);
            }
            for (name, from, to) in [("q", d, d), ("k", d, d), ("v", d, d), ("o", d, d), ("f1", d, f), ("f2", f, d)] {
                add(&format!("{name}.w"), &[from, to]);
                add(&format!("{name}.b"), &[to]);
            }
        }
        let mut head = |name: &str, to: usize| {
            all.push((format!("{name}.w"), vec![d, to]));
            all.push((format!("{name}.b"), vec![to]));
        };
        head("mlkp", self.predicted());
        head("dist", d);
        if self.categories > 0 {
            head("cat", self.categories);
        }
        all.push(("lnf.g".to_owned(), vec![d]));
        all.push(("lnf.b".to_owned(), vec![d]));
        all
    }

    /// Checks a shape from outside before memory is given to it.
    ///
    /// # Errors
    /// [`NetError::Shape`] with the field that is out of bounds.
    pub fn check(&self) -> Result<(), NetError> {
        let bounds = [
            ("width", self.width, WIDTH_MAX),
            ("layers", self.layers, LAYERS_MAX),
            ("heads", self.heads, self.width.max(1)),
            ("feed_forward", self.feed_forward, 4 * WIDTH_MAX),
            ("vocabulary", self.vocabulary, VOCABULARY_MAX),
        ];
        for (field, value, most) in bounds {
            if value == 0 || value > most {
                return Err(NetError::Shape { field, value, most });
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(NetError::Shape { field: "heads", value: self.heads, most: self.width });
        }
        if self.categories > 64 {
            return Err(NetError::Shape { field: "categories", value: self.categories, most: 64 });
        }
        Ok(())
    }
}

/// Why weights do not make a net.
#[derive(Clone, Debug, PartialEq)]
pub enum NetError {
    /// A field of the shape is zero, too large, or does not divide.
    Shape {
        /// The field.
        field: &'static str,
        /// What it said.
        value: usize,
        /// The most it may say.
        most: usize,
    },
    /// The file is no safetensors file, or is cut.
    Format(String),
    /// A tensor is missing.
    Missing(String),
    /// A tensor has other dimensions or is not f32.
    Tensor {
        /// Its name.
        name: String,
        /// The dimensions the shape asks for.
        expected: Vec<usize>,
        /// The dimensions it has.
        found: Vec<usize>,
    },
    /// A weight is NaN or infinite.
    NotFinite(String),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { field, value, most } => write!(f, "net shape: {field} is {value}, allowed is 1 to {most}"),
            Self::Format(cause) => write!(f, "weights are no safetensors file: {cause}"),
            Self::Missing(name) => write!(f, "weights lack the tensor {name:?}"),
            Self::Tensor { name, expected, found } => {
                write!(f, "weights: tensor {name:?} must be f32 {expected:?}, is {found:?}")
            }
            Self::NotFinite(name) => write!(f, "weights: tensor {name:?} holds NaN or infinity"),
        }
    }
}

impl std::error::Error for NetError {}

/// The weights of a net by name, each a row-major matrix or vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub(crate) BTreeMap<String, Vec<f32>>);

impl Weights {
    /// Random weights as training begins with: E ~ N(0, 1/d), W ~ N(0, 1/fan-in), norms 1, biases 0.
    pub fn random(shape: &Shape, random: &mut crate::random::Random) -> Self {
        let mut weights = BTreeMap::new();
        for (name, dims) in shape.tensors() {
            let count = dims.iter().product();
            let values = match dims.as_slice() {
                [_] if name.rsplit('.').next() == Some("g") => vec![1.0; count],
                [_] => vec![0.0; count],
                [rows, columns, ..] => {
                    // `ctx` rows are summed, ten a position, beside one of `emb`.
                    let fan_in = if name == "emb" || name == "ctx" { *columns } else { *rows };
                    let scale = 1.0 / (fan_in as f64).sqrt();
                    (0..count).map(|_| (random.normal() * scale) as f32).collect()
                }
                [] => Vec::new(),
            };
            weights.insert(name, values);
        }
        Self(weights)
    }

    /// Reads a safetensors file and checks it against `shape`.
    ///
    /// # Errors
    /// [`NetError`] naming the tensor that does not fit.
    pub fn from_safetensors(bytes: &[u8], shape: &Shape) -> Result<Self, NetError> {
        shape.check()?;
        Self::read(bytes, &shape.tensors(), |_| Vec::new())
    }

    /// Reads the tensors of a file that a net needs. Where one is not there by its name, `else_by` gives names that other
    /// writers have for it.
    pub(crate) fn read(
        bytes: &[u8],
        tensors: &[(String, Vec<usize>)],
        else_by: impl Fn(&str) -> Vec<String>,
    ) -> Result<Self, NetError> {
        let file = SafeTensors::deserialize(bytes).map_err(|cause| NetError::Format(cause.to_string()))?;
        let mut weights = BTreeMap::new();
        for (name, expected) in tensors {
            let named = std::iter::once(name.clone()).chain(else_by(name)).find_map(|name| file.tensor(&name).ok());
            let view = named.ok_or_else(|| NetError::Missing(name.clone()))?;
            if view.dtype() != Dtype::F32 || view.shape() != expected {
                let (name, expected, found) = (name.clone(), expected.clone(), view.shape().to_vec());
                return Err(NetError::Tensor { name, expected, found });
            }
            let (chunks, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            if !values.iter().all(|value| value.is_finite()) {
                return Err(NetError::NotFinite(name.clone()));
            }
            weights.insert(name.clone(), values);
        }
        Ok(Self(weights))
    }

    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// [`NetError::Format`] where the weights are not of `shape`.
    pub fn to_safetensors(&self, shape: &Shape) -> Result<Vec<u8>, NetError> {
        self.write(&shape.tensors())
    }

    /// The tensors of a net as a safetensors file.
    pub(crate) fn write(&self, tensors: &[(String, Vec<usize>)]) -> Result<Vec<u8>, NetError> {
        let mut raw = Vec::new();
        for (name, dims) in tensors {
            let values = self.tensor(name)?;
            raw.push((name, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()));
        }
        let mut views = Vec::new();
        for (name, dims, bytes) in &raw {
            let view = TensorView::new(Dtype::F32, (*dims).clone(), bytes)
                .map_err(|cause| NetError::Format(cause.to_string()))?;
            views.push((name.as_str(), view));
        }
        safetensors::serialize(views, None).map_err(|cause| NetError::Format(cause.to_string()))
    }

    /// The values of a tensor, row by row.
    ///
    /// # Errors
    /// [`NetError::Missing`].
    pub fn tensor(&self, name: &str) -> Result<&[f32], NetError> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| NetError::Missing(name.to_owned()))
    }

    /// The weights of a net of shape `from` for one of shape `to`, whose vocabulary goes on behind `from`'s; what is new is
    /// random, as training begins with.
    ///
    /// # Errors
    /// [`NetError`] where a tensor is missing, or the shapes differ in more than the vocabulary.
    pub fn widened(&self, from: &Shape, to: &Shape, random: &mut crate::random::Random) -> Result<Self, NetError> {
        let (old, new) = (from.vocabulary, to.vocabulary);
        if new < old || (Shape { vocabulary: new, ..from.clone() }) != *to {
            return Err(NetError::Shape { field: "vocabulary", value: new, most: old });
        }
        let mut weights = Self::random(to, random);
        for (name, values) in &mut weights.0 {
            let known = self.tensor(name)?;
            if name == "emb" {
                values.iter_mut().zip(known).for_each(|(value, known)| *value = *known);
            } else if name == "mlkp.w" || name == "mlkp.b" {
                // Columns of the keys, then those of the factors, which stand behind the new keys now.
                let rows = values.chunks_exact_mut(to.predicted()).zip(known.chunks_exact(from.predicted()));
                for (row, known) in rows {
                    let (keys, factors) = row.split_at_mut(new);
                    let (known_keys, known_factors) = known.split_at(old);
                    keys.iter_mut().zip(known_keys).for_each(|(value, known)| *value = *known);
                    factors.copy_from_slice(known_factors);
                }
            } else {
                values.clone_from(&known.to_vec());
            }
        }
        Ok(weights)
    }

    /// Numbers in all tensors together.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

/// The sine positions of the recipe, interleaved: sin at even columns, cos at odd ones.
pub(crate) fn sine_positions(positions: usize, width: usize) -> Vec<f32> {
    let value = |position: usize, column: usize| {
        let angle = position as f64 / 10_000f64.powf((column / 2 * 2) as f64 / width as f64);
        (if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    (0..positions).flat_map(|position| (0..width).map(move |column| value(position, column))).collect()
}
