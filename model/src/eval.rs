//! Measures, and the simple detectors that every figure is printed beside.

use std::collections::{HashMap, HashSet};

use crate::key::TypedKey;
use crate::window::Window;

/// Area under the ROC curve: the chance that an abnormal score exceeds a normal one, ties counted
/// half. 0.5 where one side is empty.
pub fn auroc(normal: &[f32], abnormal: &[f32]) -> f64 {
    if normal.is_empty() || abnormal.is_empty() {
        return 0.5;
    }
    let mut all: Vec<(f32, bool)> = normal.iter().map(|score| (*score, false)).collect();
    all.extend(abnormal.iter().map(|score| (*score, true)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    let mut wins = 0.0;
    for ties in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let abnormal_here = ties.iter().filter(|(_, abnormal)| *abnormal).count() as f64;
        let normal_here = ties.len() as f64 - abnormal_here;
        wins += abnormal_here * (below + normal_here / 2.0);
        below += normal_here;
    }
    wins / (normal.len() as f64 * abnormal.len() as f64)
}

/// Counts the keys of a window that training never had.
#[derive(Clone, Debug, Default)]
pub struct UnseenKeys(HashSet<TypedKey>);

impl UnseenKeys {
    /// Knows the keys of `windows`.
    pub fn learn<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        Self(windows.into_iter().flat_map(|window| window.positions.iter().map(|position| position.key)).collect())
    }

    /// Positions of a window whose key is new.
    pub fn score(&self, window: &Window) -> f32 {
        window.positions.iter().filter(|position| !self.0.contains(&position.key)).count() as f32
    }
}

/// An n-gram over keys with back-off: the baseline that LogBERT is printed beside.
#[derive(Clone, Debug, Default)]
pub struct Ngram {
    /// For each history of up to two keys, what followed how often.
    next: HashMap<Vec<TypedKey>, HashMap<TypedKey, u32>>,
    keys: HashSet<TypedKey>,
}

/// Keys of history.
const HISTORY: usize = 2;
/// What a shorter history's probability is multiplied by.
const BACK_OFF: f32 = 0.4;

impl Ngram {
    /// Counts what follows what in `windows`.
    pub fn learn<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut model = Self::default();
        for window in windows {
            let keys: Vec<TypedKey> = window.positions.iter().map(|position| position.key).collect();
            for (at, key) in keys.iter().enumerate() {
                model.keys.insert(*key);
                for history in 0..=HISTORY.min(at) {
                    let before = keys.get(at - history..at).unwrap_or_default().to_vec();
                    *model.next.entry(before).or_default().entry(*key).or_default() += 1;
                }
            }
        }
        model
    }

    /// Mean negative log-likelihood of the window's least expected share of keys, in nats.
    pub fn score(&self, window: &Window, share: f32) -> f32 {
        let keys: Vec<TypedKey> = window.positions.iter().map(|position| position.key).collect();
        let mut surprises: Vec<f32> =
            (0..keys.len()).map(|at| -self.probability(keys.get(..=at).unwrap_or_default()).ln()).collect();
        surprises.sort_by(|a, b| b.total_cmp(a));
        let count = ((surprises.len() as f32 * share).ceil() as usize).max(1);
        surprises.iter().take(count).sum::<f32>() / count as f32
    }

    /// Probability of the last of `keys` behind those before it, and how many of `candidates` are more probable there.
    pub fn place(&self, keys: &[TypedKey], candidates: &[TypedKey]) -> (f32, usize) {
        let probability = self.probability(keys);
        let mut others = keys.to_vec();
        let better = candidates.iter().filter(|candidate| {
            if let Some(last) = others.last_mut() {
                *last = **candidate;
            }
            self.probability(&others) > probability
        });
        (probability, better.count())
    }

    /// Keys it knows.
    pub fn keys(&self) -> impl Iterator<Item = TypedKey> {
        self.keys.iter().copied()
    }

    /// Probability of the last of `keys` behind those before it.
    fn probability(&self, keys: &[TypedKey]) -> f32 {
        let Some((key, before)) = keys.split_last() else { return 1.0 };
        let mut weight = 1.0;
        for history in (0..=HISTORY.min(before.len())).rev() {
            let before = before.get(before.len() - history..).unwrap_or_default();
            if let Some(next) = self.next.get(before)
                && let Some(count) = next.get(key)
            {
                return weight * *count as f32 / next.values().sum::<u32>() as f32;
            }
            weight *= BACK_OFF;
        }
        weight / (self.keys.len() + 1) as f32
    }
}
