//! Probabilities: how a correlator's confidence and the model's p value become one number.
//!
//! Both are taken as log odds and added. A p value alone is no probability of anything; the most that
//! it can say for "not ordinary" is the bound of Sellke, Bayarri and Berger (2001), a Bayes factor of
//! `-1 / (e p ln p)` for `p < 1/e`. Half of its logarithm is taken, because surprise does not tell an
//! attack from what is merely new. Above `1/e` a window is ordinary, and speaks a little against.
//!
//! ```text
//! log odds = log odds(correlator) + clamp(weight(p), lowest, highest)
//! weight(p) = 0.5 ln(-1 / (e p ln p))       p < 1/e
//!           = -(p - 1/e) / (1 - 1/e)        otherwise: 0 down to -1
//! ```
//! A fit on left-out systems takes the place of these constants when there is one.

use nms_proto::confidence::Confidence;

/// Chance that a window which is only surprising is malicious, before its p value is known.
const PRIOR: f32 = 0.02;
/// The most that surprise alone may claim.
const ALONE_MAX: f32 = 0.5;
/// The least p value that is believed: a score reservoir holds no more.
const P_MIN: f32 = 1e-6;

/// What a p value weighs, in log odds: 0 at 1/e, about +3 at 0.0001, -1 at 1.
pub(crate) fn weight(p_value: f32) -> f32 {
    let turn = (-1.0_f32).exp();
    let p = if p_value.is_nan() { 1.0 } else { p_value.clamp(P_MIN, 1.0) };
    if p < turn { 0.5 * (-1.0 / (std::f32::consts::E * p * p.ln())).ln() } else { -(p - turn) / (1.0 - turn) }
}

/// `confidence` moved by `shift` log odds.
pub(crate) fn shifted(confidence: Confidence, shift: f32) -> Confidence {
    let p = confidence.value().clamp(0.001, 0.999);
    logistic((p / (1.0 - p)).ln() + shift)
}

/// The probability that a window is malicious of which only the model says anything.
pub(crate) fn alone(p_value: f32) -> Confidence {
    let odds = (PRIOR / (1.0 - PRIOR)).ln() + weight(p_value);
    Confidence::clamped(logistic(odds).value().min(ALONE_MAX))
}

fn logistic(odds: f32) -> Confidence {
    Confidence::clamped(1.0 / (1.0 + (-odds).exp()))
}
