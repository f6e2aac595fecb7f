//! A probability from a score: fitted, and judged.

/// Bins that a calibration is judged in.
const BINS: usize = 10;

/// Slope and offset of a logistic regression by Newton's method (Platt 1999).
pub(super) fn logistic(scores: &[(f32, bool)]) -> (f64, f64) {
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 1e-6, 0.0, 1e-6);
        for (score, is_attack) in scores {
            let x = f64::from(*score);
            let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
            let (error, weight) = (p - f64::from(u8::from(*is_attack)), p * (1.0 - p));
            (g0, g1) = (g0 + error, g1 + error * x);
            (h00, h01, h11) = (h00 + weight, h01 + weight * x, h11 + weight * x * x);
        }
        let determinant: f64 = h00 * h11 - h01 * h01;
        if determinant.abs() < 1e-9 {
            break;
        }
        let (d0, d1) = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        (offset, slope) = (offset - d0.clamp(-2.0, 2.0), slope - d1.clamp(-2.0, 2.0));
    }
    (slope, offset)
}

/// Expected calibration error over bins of equal width (Naeini et al. 2015).
pub(super) fn calibration_error(scores: &[(f32, bool)], slope: f64, offset: f64) -> f64 {
    let mut bins = vec![(0.0, 0.0, 0_usize); BINS];
    for (score, is_attack) in scores {
        let p = 1.0 / (1.0 + (-(slope * f64::from(*score) + offset)).exp());
        let at = ((p * BINS as f64) as usize).min(BINS - 1);
        if let Some((sum, hits, count)) = bins.get_mut(at) {
            (*sum, *hits, *count) = (*sum + p, *hits + f64::from(u8::from(*is_attack)), *count + 1);
        }
    }
    bins.iter().map(|(sum, hits, _)| (sum - hits).abs()).sum::<f64>() / scores.len().max(1) as f64
}
