//! What is analysed again after a restart, and how a batch that ends the process is found. Pure.
//!
//! Before batches of an earlier life are analysed, a mark is written that names them. A mark that is
//! found at a start says that the process ended while they were analysed: they are then marked and
//! analysed one by one. Most ends are nobody's fault (kill -9, a power cut, another tenant's memory),
//! so a batch goes to quarantine only after [`DEATHS_MAX`] ends in a row at it alone. A panic names its
//! batch ([`super::panics`]): two of them are enough. So a poisoned batch costs a few starts and never
//! a loop, and whoever only stood near an end is not blamed.

use std::collections::BTreeSet;

use crate::store::{LogSeq, Mark, Progress};

/// Ends in a row while a batch was analysed alone, after which it goes to quarantine.
pub const DEATHS_MAX: u32 = 8;
/// As many of them as a panic counts for that named its batch.
const PANIC_DEATHS: u32 = DEATHS_MAX / 2;

/// The part of the log that an earlier life may have died of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    to: LogSeq,
    suspects: Option<Mark>,
    quarantined: BTreeSet<LogSeq>,
}

impl Marks {
    /// What an earlier life left of a log up to `last`, and the batch that must go to quarantine before it. `panicked`
    /// is the batch that its panic named.
    pub fn begin(progress: &Progress, last: LogSeq, panicked: Option<LogSeq>) -> (Self, Option<LogSeq>) {
        let alone = |mark: &Mark, seq| mark.from == seq && mark.to == seq;
        let suspects = match (panicked, progress.mark) {
            (Some(seq), mark) => {
                let before = mark.filter(|mark| alone(mark, seq)).map_or(0, |mark| mark.deaths);
                Some(Mark { from: seq, to: seq, deaths: before.saturating_add(PANIC_DEATHS) })
            }
            (None, Some(mark)) => Some(Mark { deaths: mark.deaths.saturating_add(1), ..mark }),
            (None, None) => None,
        };
        let guilty = suspects.filter(|mark| alone(mark, mark.from) && mark.deaths >= DEATHS_MAX).map(|mark| mark.from);
        let mut quarantined = progress.quarantined.clone();
        quarantined.extend(guilty);
        (Self { to: last, suspects: suspects.filter(|_| guilty.is_none()), quarantined }, guilty)
    }

    /// The mark to write before batches `from` to `to` are analysed, and only those that it names may be. None for
    /// batches of this life.
    pub fn mark(&self, from: LogSeq, to: LogSeq) -> Option<Mark> {
        if from > self.to {
            return None;
        }
        let to = to.min(self.to);
        match self.suspects {
            Some(Mark { from: first, to: last, .. }) if (first..=last).contains(&from) => Some(self.alone(from)),
            Some(Mark { from: first, .. }) if from < first && first <= to => {
                Some(Mark { from, to: LogSeq(first.0.saturating_sub(1)), deaths: 0 })
            }
            _ => Some(Mark { from, to, deaths: 0 }),
        }
    }

    /// The mark of a batch that an earlier life may have died of, where only it is looked at.
    pub fn suspect(&self, seq: LogSeq) -> Option<Mark> {
        let is_suspect = self.suspects.is_some_and(|mark| (mark.from..=mark.to).contains(&seq));
        is_suspect.then(|| self.alone(seq))
    }

    /// The mark of deadlines that batches `from` to `to` may have left.
    pub fn among(&self, from: LogSeq, to: LogSeq) -> Mark {
        if from == to { self.alone(from) } else { Mark { from, to, deaths: 0 } }
    }

    /// The mark of one batch, with the ends that it was alone at.
    fn alone(&self, seq: LogSeq) -> Mark {
        let known = self.suspects.filter(|mark| mark.from == seq && mark.to == seq);
        Mark { from: seq, to: seq, deaths: known.map_or(0, |mark| mark.deaths) }
    }

    /// Whether a batch was there before this life.
    pub fn covers(&self, seq: LogSeq) -> bool {
        seq <= self.to
    }

    /// Whether a batch is never analysed again.
    pub fn skips(&self, seq: LogSeq) -> bool {
        self.quarantined.contains(&seq)
    }

    /// Batches in quarantine.
    pub fn quarantined(&self) -> usize {
        self.quarantined.len()
    }
}
