//! What a step is made of.

use std::fmt;

use crate::random::Random;
use crate::sequence::Sequence;

/// A row whose hidden positions are to be named.
#[derive(Clone, Debug)]
pub struct Masked {
    /// What stands there.
    pub truth: Sequence,
    /// The row as it is shown before anything is hidden; the truth, but for keys that are shown as unknown.
    pub base: Sequence,
    /// Positions that are hidden, ascending; at least one.
    pub hidden: Vec<usize>,
}

impl Masked {
    /// The row as the net reads it.
    pub fn shown(&self) -> Sequence {
        let mut shown = self.base.clone();
        for position in &self.hidden {
            shown.hide(*position);
        }
        shown
    }
}

/// Rows for the hypersphere.
#[derive(Clone, Debug, Default)]
pub struct Sphere {
    /// The rows.
    pub rows: Vec<Sequence>,
    /// Whether each is damaged or an attack.
    pub corrupted: Vec<bool>,
    /// Rows whose category is known: (row, category).
    pub categories: Vec<(u32, u32)>,
}

/// Where the rows of a step come from. All that is random in them comes from the generator that is given.
pub trait Feed: fmt::Debug {
    /// Whether there is nothing to learn from.
    fn is_empty(&self) -> bool;
    /// Rows for the masked keys.
    fn masked(&mut self, random: &mut Random) -> Vec<Masked>;
    /// Rows for the hypersphere and the categories.
    fn sphere(&mut self, random: &mut Random) -> Sphere;
}

/// Things that are drawn by weight.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// Running sums of the weights.
    sums: Vec<f64>,
}

impl Draw {
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let sums = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { sums: sums.collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// One of them by its place; 0 where there are none.
    pub(super) fn at(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let point = random.uniform() * total;
        self.sums.partition_point(|sum| *sum <= point).min(self.sums.len().saturating_sub(1))
    }
}

/// Positions of a sequence that a row hides: each with the row's share, of keys and EOS, and one in any case.
pub(super) fn hidden(length: usize, (least, most): (f64, f64), random: &mut Random) -> Vec<usize> {
    let share = least + (most - least) * random.uniform();
    let always = 1 + random.below(length.saturating_sub(1));
    (1..length).filter(|position| *position == always || random.chance(share)).collect()
}
