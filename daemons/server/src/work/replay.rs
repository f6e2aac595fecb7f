//! What is analysed again after a restart, and how a batch that ends the process is found. Pure.
//!
//! Before batches of an earlier life are analysed, a mark is written that names them. A mark that is
//! found at a start says that the process ended while they were analysed: they are then marked and
//! analysed one by one, and the one that is found marked again goes to quarantine. So a poisoned batch
//! costs a few starts and never a loop.

use std::collections::BTreeSet;

use crate::store::{LogSeq, Mark, Progress};

/// Marks of one batch alone, or of it among others, after which it goes to quarantine.
pub const TRIES_MAX: u32 = 2;

/// The part of the log that an earlier life may have died of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    to: LogSeq,
    suspects: Option<Mark>,
    quarantined: BTreeSet<LogSeq>,
}

impl Replay {
    /// The replay of a log up to `last`, and the batch that must go to quarantine before it.
    pub fn begin(progress: &Progress, last: LogSeq) -> (Self, Option<LogSeq>) {
        let mut quarantined = progress.quarantined.clone();
        let guilty = progress.mark.filter(|mark| mark.from == mark.to && mark.tries >= TRIES_MAX);
        let guilty = guilty.map(|mark| mark.from);
        quarantined.extend(guilty);
        let suspects = progress.mark.filter(|_| guilty.is_none());
        (Self { to: last, suspects, quarantined }, guilty)
    }

    /// The mark to write before batches `from` to `to` are analysed, and only those that it names may be. None for
    /// batches of this life.
    pub fn mark(&self, from: LogSeq, to: LogSeq) -> Option<Mark> {
        if from > self.to {
            return None;
        }
        let to = to.min(self.to);
        match self.suspects {
            Some(Mark { from: first, to: last, tries }) if (first..=last).contains(&from) => {
                Some(Mark { from, to: from, tries: tries.saturating_add(1) })
            }
            Some(Mark { from: first, .. }) if from < first && first <= to => {
                Some(Mark { from, to: LogSeq(first.0.saturating_sub(1)), tries: 1 })
            }
            _ => Some(Mark { from, to, tries: 1 }),
        }
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
