//! What a detector reaches at its threshold, and without one.

use std::fmt;

use serde::Serialize;

/// Standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// A detector's figures on one subset. Precision and F1 are those that a real share of normal sessions would give, not
/// those of the files.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub detector: String,
    /// Of training.
    pub split: &'static str,
    /// Of training; `mean` and `min` over several.
    pub seed: String,
    /// Of the sessions.
    pub subset: &'static str,
    /// Normal sessions flagged, of how many.
    pub fp: f64,
    /// Normal sessions.
    pub normals: usize,
    /// Abnormal sessions flagged, of how many.
    pub tp: f64,
    /// Abnormal sessions.
    pub anomalies: usize,
    /// False positive rate, with its 95 % interval (Wilson).
    pub fpr: f64,
    /// Its lower end.
    pub fpr_low: f64,
    /// Its upper end.
    pub fpr_high: f64,
    /// Share of abnormal sessions flagged.
    pub recall: f64,
    /// Rescaled.
    pub precision: f64,
    /// Of recall and rescaled precision.
    pub f1: f64,
    /// Chance that an abnormal score exceeds a normal one.
    pub auroc: f64,
    /// Average precision, rescaled.
    pub ap: f64,
}

/// A subset's sessions, as one detector scored them.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    pub(super) normal: Vec<f32>,
    pub(super) abnormal: Vec<f32>,
}

/// How many sessions there are where the files come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Population {
    pub(super) normal: f64,
    pub(super) abnormal: f64,
}

/// The smallest threshold that flags at most `most` of `normal`: a session is flagged above it.
pub(super) fn threshold(normal: &[f32], most: usize) -> f32 {
    let mut sorted = normal.to_vec();
    sorted.sort_by(|left, right| right.total_cmp(left));
    sorted.get(most).copied().unwrap_or(f32::NEG_INFINITY)
}

/// The figures at `threshold`.
pub(super) fn row(names: (&str, &'static str, &str, &'static str), scores: &Scores, at: f32, of: Population) -> Row {
    let (detector, split, seed, subset) = names;
    let over = |scores: &[f32]| scores.iter().filter(|score| **score > at).count();
    let (fp, tp) = (over(&scores.normal), over(&scores.abnormal));
    let (normals, anomalies) = (scores.normal.len(), scores.abnormal.len());
    let (fpr_low, fpr_high) = wilson(fp, normals);
    let fpr = share(fp, normals);
    let recall = share(tp, anomalies);
    let precision = precision(fpr, recall, of);
    Row {
        detector: detector.into(),
        split,
        seed: seed.into(),
        subset,
        fp: fp as f64,
        normals,
        tp: tp as f64,
        anomalies,
        fpr,
        fpr_low,
        fpr_high,
        recall,
        precision,
        f1: harmonic(precision, recall),
        auroc: nms_model::eval::auroc(&scores.normal, &scores.abnormal),
        ap: average_precision(scores, of),
    }
}

/// The threshold of the best F1 on the sessions that are then judged by it: how LogBERT was published, and no figure to
/// go by.
pub(super) fn best_threshold(scores: &Scores, of: Population) -> f32 {
    let (mut best, mut picked) = (f64::NEG_INFINITY, f32::INFINITY);
    walk(scores, |at, fpr, recall| {
        let f1 = harmonic(precision(fpr, recall, of), recall);
        if f1 > best {
            (best, picked) = (f1, at.next_down());
        }
    });
    picked
}

fn average_precision(scores: &Scores, of: Population) -> f64 {
    let (mut sum, mut before) = (0.0, 0.0);
    walk(scores, |_, fpr, recall| {
        sum += (recall - before) * precision(fpr, recall, of);
        before = recall;
    });
    sum
}

/// Goes through all scores from the highest on: the score, and the rates of what has it or more.
fn walk(scores: &Scores, mut see: impl FnMut(f32, f64, f64)) {
    let mut all: Vec<(f32, bool)> = scores.normal.iter().map(|score| (*score, false)).collect();
    all.extend(scores.abnormal.iter().map(|score| (*score, true)));
    all.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (mut fp, mut tp) = (0, 0);
    for ties in all.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq()) {
        let abnormal = ties.iter().filter(|(_, is_abnormal)| *is_abnormal).count();
        tp += abnormal;
        fp += ties.len() - abnormal;
        let at = ties.first().map_or(0.0, |(score, _)| *score);
        see(at, share(fp, scores.normal.len()), share(tp, scores.abnormal.len()));
    }
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn precision(fpr: f64, recall: f64, of: Population) -> f64 {
    let (true_ones, false_ones) = (recall * of.abnormal, fpr * of.normal);
    if true_ones + false_ones == 0.0 { 0.0 } else { true_ones / (true_ones + false_ones) }
}

fn harmonic(precision: f64, recall: f64) -> f64 {
    if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

/// The Wilson interval of a share.
fn wilson(part: usize, of: usize) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (of as f64, share(part, of));
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

impl Row {
    /// The mean and the minimum of the same detector over several seeds.
    pub(super) fn over(rows: &[&Self]) -> Vec<Self> {
        let Some(first) = rows.first() else { return Vec::new() };
        let mean = |of: fn(&Self) -> f64| rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64;
        let least = rows.iter().min_by(|left, right| left.f1.total_cmp(&right.f1)).copied().unwrap_or(first);
        let mean = Self {
            seed: "mean".into(),
            fp: mean(|row| row.fp),
            tp: mean(|row| row.tp),
            fpr: mean(|row| row.fpr),
            fpr_low: mean(|row| row.fpr_low),
            fpr_high: mean(|row| row.fpr_high),
            recall: mean(|row| row.recall),
            precision: mean(|row| row.precision),
            f1: mean(|row| row.f1),
            auroc: mean(|row| row.auroc),
            ap: mean(|row| row.ap),
            ..(*first).clone()
        };
        vec![mean, Self { seed: "min".into(), ..least.clone() }]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<46} {:<8} {:>4} {:<9} fp {:>6.1}/{:<5} tp {:>7.1}/{:<5} recall {:6.2} precision {:6.2} F1 {:6.2}  AUROC {:.4} AP {:.4}",
            self.detector,
            self.split,
            self.seed,
            self.subset,
            self.fp,
            self.normals,
            self.tp,
            self.anomalies,
            self.recall * 100.0,
            self.precision * 100.0,
            self.f1 * 100.0,
            self.auroc,
            self.ap
        )
    }
}
