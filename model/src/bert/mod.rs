//! LogBERT (Guo et al. 2021) in candle, for training: masked log keys and the DIST hypersphere.
//!
//! Pre-norm encoder with sine positions, no dropout. Layer norm, softmax and GELU are composed of
//! operations that have a backward pass: candle's own fused ones have none, and say nothing. This
//! module is the reference; serving uses [`crate::fast`], which a test holds equal to it.

mod layers;
mod loss;

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Result, Tensor, Var};

use crate::key::{Factor, PAD};
use crate::net::{NetError, Shape, Weights, sine_positions};
use crate::sequence::Sequence;
pub use loss::{DistLoss, category_loss, centre_loss, dist_logits, dist_loss, masked_loss};

/// A net whose weights can learn.
#[derive(Debug)]
pub struct Bert {
    shape: Shape,
    vars: BTreeMap<String, Var>,
    device: Device,
}

/// Sequences of one length, padded, as tensors.
#[derive(Debug)]
pub struct Batch {
    /// Tokens, `[rows, length]`.
    tokens: Tensor,
    /// How often each factor value stands at each position, `[rows * length, factor rows]`.
    factors: Option<Tensor>,
    /// 0 where there is a token and a large negative number where there is padding, `[rows, 1, 1, length]`.
    padding: Tensor,
    length: usize,
}

impl Batch {
    /// The batch of `sequences`, padded to the longest.
    ///
    /// # Errors
    /// candle's, where a tensor cannot be made.
    pub fn of(sequences: &[Sequence], shape: &Shape, device: &Device) -> Result<Self> {
        let length = sequences.iter().map(Sequence::len).max().unwrap_or(0);
        let rows = sequences.len();
        let at = |sequence: &Sequence, position: usize| sequence.tokens.get(position).copied();
        let cells = || sequences.iter().flat_map(|s| (0..length).map(move |position| (s, position)));
        let tokens: Vec<u32> = cells().map(|(s, position)| at(s, position).unwrap_or(PAD)).collect();
        let padding: Vec<f32> =
            cells().map(|(s, position)| if at(s, position).is_some() { 0.0 } else { -1e9 }).collect();
        let factors = if shape.factors {
            let columns = shape.factor_rows();
            let mut counts = vec![0f32; rows * length * columns];
            for ((s, position), row) in cells().zip(counts.chunks_exact_mut(columns)) {
                let mut first = 0;
                for factor in Factor::ALL {
                    let value = s.contexts.get(position).map(|context| usize::from(context.value(factor)));
                    if let Some(cell) = value.and_then(|value| row.get_mut(first + value)) {
                        *cell = 1.0;
                    }
                    first += factor.size();
                }
            }
            Some(Tensor::from_vec(counts, (rows * length, columns), device)?)
        } else {
            None
        };
        Ok(Self {
            tokens: Tensor::from_vec(tokens, (rows, length), device)?,
            factors,
            padding: Tensor::from_vec(padding, (rows, 1, 1, length), device)?,
            length,
        })
    }

    /// Positions of each row, padding included.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Bert {
    /// A net with the given weights, on the CPU.
    ///
    /// # Errors
    /// candle's, or [`NetError`] inside it where a tensor is missing.
    pub fn new(shape: Shape, weights: &Weights) -> Result<Self> {
        let device = Device::Cpu;
        let mut vars = BTreeMap::new();
        for (name, dims) in shape.tensors() {
            let values = weights.tensor(&name).map_err(candle_core::Error::wrap)?;
            vars.insert(name, Var::from_slice(values, dims, &device)?);
        }
        Ok(Self { shape, vars, device })
    }

    /// The shape of the net.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where the net computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The weights as they stand.
    ///
    /// # Errors
    /// candle's.
    pub fn weights(&self) -> Result<Weights> {
        let values = |(name, var): (&String, &Var)| Ok((name.clone(), var.flatten_all()?.to_vec1::<f32>()?));
        Ok(Weights(self.vars.iter().map(values).collect::<Result<_>>()?))
    }

    /// Every variable by name.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// The last layer's output after the final norm, `[rows, length, width]`.
    ///
    /// # Errors
    /// candle's.
    pub fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        let (rows, length) = batch.tokens.dims2()?;
        let d = self.shape.width;
        let emb = self.var("emb")?;
        let mut x = (emb.index_select(&batch.tokens.flatten_all()?, 0)? * (d as f64).sqrt())?;
        if let Some(factors) = &batch.factors {
            x = (x + factors.matmul(self.var("ctx")?)?)?;
        }
        let positions = Tensor::from_vec(sine_positions(length, d), (1, length, d), &self.device)?;
        let mut x = x.reshape((rows, length, d))?.broadcast_add(&positions)?;
        for layer in 0..self.shape.layers {
            let name = |part: &str| format!("{layer}.{part}");
            let normed = layers::norm(&x, self.var(&name("ln1.g"))?, self.var(&name("ln1.b"))?)?;
            let project = |part: &str| self.linear(&normed, &name(part));
            let mixed =
                layers::attention([&project("q")?, &project("k")?, &project("v")?], &batch.padding, self.shape.heads)?;
            x = (x + self.linear(&mixed, &name("o"))?)?;
            let normed = layers::norm(&x, self.var(&name("ln2.g"))?, self.var(&name("ln2.b"))?)?;
            let inner = layers::gelu(&self.linear(&normed, &name("f1"))?)?;
            x = (x + self.linear(&inner, &name("f2"))?)?;
        }
        layers::norm(&x, self.var("lnf.g")?, self.var("lnf.b")?)
    }

    /// A head's output: `mlkp` on any rows, `dist` and `cat` on the DIST position.
    ///
    /// # Errors
    /// candle's.
    pub fn head(&self, hidden: &Tensor, name: &str) -> Result<Tensor> {
        self.linear(hidden, name)
    }

    /// The hidden vectors of the DIST position, `[rows, width]`.
    ///
    /// # Errors
    /// candle's.
    pub fn first(hidden: &Tensor) -> Result<Tensor> {
        hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()
    }

    /// The hidden vectors of cells given as row * length + position, `[cells, width]`.
    ///
    /// # Errors
    /// candle's.
    pub fn cells(&self, hidden: &Tensor, cells: &[u32]) -> Result<Tensor> {
        let flat = hidden.reshape(((), hidden.dim(D::Minus1)?))?;
        flat.index_select(&Tensor::new(cells, &self.device)?, 0)
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let w = self.var(&format!("{name}.w"))?;
        let dims = x.dims().to_vec();
        let out = x.reshape(((), w.dim(0)?))?.matmul(w)?.broadcast_add(self.var(&format!("{name}.b"))?)?;
        let mut shape = dims;
        if let Some(last) = shape.last_mut() {
            *last = w.dim(1)?;
        }
        out.reshape(shape)
    }

    fn var(&self, name: &str) -> Result<&Tensor> {
        let missing = || candle_core::Error::wrap(NetError::Missing(name.to_owned()));
        self.vars.get(name).map(Var::as_tensor).ok_or_else(missing)
    }
}

/// The kind of number the net computes with.
pub const DTYPE: DType = DType::F32;
