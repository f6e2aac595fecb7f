//! Layer norm, attention and GELU, composed of operations that all have a backward pass.

use candle_core::{D, Result, Tensor};

const EPSILON: f64 = 1e-5;

/// Layer norm over the last dimension, biased variance.
pub(super) fn norm(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
    normed.broadcast_mul(gain)?.broadcast_add(bias)
}

/// Softmax over the last dimension; the maximum is a constant to the gradient.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let exp = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

/// Logarithm of the softmax over the last dimension.
pub(super) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&sum)
}

/// Multi-head attention of queries, keys and values `[rows, length, width]`; `padding` is added to the scores.
pub(super) fn attention([q, k, v]: [&Tensor; 3], padding: &Tensor, heads: usize) -> Result<Tensor> {
    let (rows, length, width) = q.dims3()?;
    let split = |x: &Tensor| x.reshape((rows, length, heads, width / heads))?.transpose(1, 2)?.contiguous();
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let scores = (split(q)?.matmul(&split(k)?.transpose(2, 3)?.contiguous()?)? * scale)?;
    let weights = softmax(&scores.broadcast_add(padding)?)?;
    weights.matmul(&split(v)?)?.transpose(1, 2)?.contiguous()?.reshape((rows, length, width))
}

/// GELU in its tanh form.
pub(super) fn gelu(x: &Tensor) -> Result<Tensor> {
    let inner = ((x.sqr()? * 0.044_715)? + 1.0)?.mul(x)?;
    let tanh = (inner * (2.0 / std::f64::consts::PI).sqrt())?.tanh()?;
    (x * 0.5)?.mul(&(tanh + 1.0)?)
}
