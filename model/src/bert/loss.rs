//! The losses: masked log keys, the hypersphere against corruptions, the window's category.

use candle_core::{D, Result, Tensor};

use super::layers::log_softmax;

/// How far the centre moves to the mean of a batch.
const CENTRE_STEP: f32 = 0.05;

/// What the hypersphere says of a batch.
#[derive(Debug)]
pub struct DistLoss {
    /// Mean binary cross-entropy.
    pub loss: Tensor,
    /// The logit of each row; high is corrupted.
    pub logits: Tensor,
}

/// Mean negative log-likelihood of masked cells. `logits` is `[cells, columns]`, `groups` cuts the
/// columns, `targets` holds for each group the column of each cell; a group's mean counts with its weight.
///
/// # Errors
/// candle's.
pub fn masked_loss(logits: &Tensor, groups: &[(usize, usize, f64)], targets: &[Vec<u32>]) -> Result<Tensor> {
    let mut total = Tensor::zeros((), logits.dtype(), logits.device())?;
    for ((first, columns, weight), targets) in groups.iter().zip(targets) {
        let log = log_softmax(&logits.narrow(1, *first, *columns)?)?;
        let chosen = Tensor::new(targets.as_slice(), logits.device())?.unsqueeze(1)?;
        total = (total - (log.gather(&chosen, 1)?.mean_all()? * *weight)?)?;
    }
    Ok(total)
}

/// The DIST score as a logit: a = sqrt(|z|^2 + 1) - 1, p(normal) = e^-a, logit = ln(e^a - 1).
///
/// # Errors
/// candle's.
pub fn dist_logits(z: &Tensor) -> Result<Tensor> {
    let a = ((z.sqr()?.sum(D::Minus1)? + 1.0)?.sqrt()? - (1.0 - 1e-6))?;
    let near = a.minimum(30.0)?;
    (near.exp()? - 1.0)?.log()? + (a - 30.0)?.relu()?
}

/// Binary cross-entropy of the DIST logits; 1 stands for corrupted, and weights scale rows.
///
/// # Errors
/// candle's.
pub fn dist_loss(z: &Tensor, corrupted: &[f32]) -> Result<DistLoss> {
    let logits = dist_logits(z)?;
    let wanted = Tensor::new(corrupted, z.device())?;
    // max(s, 0) - s y + ln(1 + e^-|s|)
    let softplus = ((logits.abs()?.neg()?.exp()? + 1.0)?.log()? + logits.relu()?)?;
    let loss = (softplus - logits.mul(&wanted)?)?.mean_all()?;
    Ok(DistLoss { loss, logits })
}

/// Mean squared distance of DIST to the centre of ordinary sequences, as published. The centre is the running mean of
/// what the net says, and no gradient goes through it.
///
/// # Errors
/// candle's.
pub fn centre_loss(z: &Tensor, centre: &mut Vec<f32>) -> Result<Tensor> {
    let mean = z.detach().mean(0)?.to_vec1::<f32>()?;
    if centre.is_empty() {
        centre.clone_from(&mean);
    }
    for (centre, now) in centre.iter_mut().zip(&mean) {
        *centre += CENTRE_STEP * (now - *centre);
    }
    let centre = Tensor::new(centre.as_slice(), z.device())?;
    z.broadcast_sub(&centre)?.sqr()?.sum(D::Minus1)?.mean_all()
}

/// Cross-entropy of the category head over the rows.
///
/// # Errors
/// candle's.
pub fn category_loss(logits: &Tensor, categories: &[u32]) -> Result<Tensor> {
    let chosen = Tensor::new(categories, logits.device())?.unsqueeze(1)?;
    log_softmax(logits)?.gather(&chosen, 1)?.mean_all()?.neg()
}
