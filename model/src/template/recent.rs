//! The event cache: whole masked lines whose template is known, so that a line which comes again costs one hash and one
//! comparison instead of a pass over its tokens.
//!
//! A line stands here once it joined a template and changed nothing. It is believed as long as no template of its leaf
//! began or was widened since, because then the tree would give the same answer; texts are compared whole, so nobody who
//! makes hashes collide gets another line's template. One place a hash, and the later line takes it: bounded, and without
//! allocation once places hold a text. It is not part of a snapshot: what is learnt is the same without it.

use super::tree::Leaf;
use crate::cache::CacheCounts;

/// Places.
const PLACES: usize = 2_048;
/// Longest line that is kept, in bytes.
const LINE_BYTES_MAX: usize = 192;
/// Most memory, in bytes.
pub(super) const BYTES_MAX: usize = PLACES * (size_of::<Known>() + LINE_BYTES_MAX);

/// A line with its template.
#[derive(Clone, Debug, Default)]
struct Known {
    masked: String,
    answer: Option<Answer>,
}

/// What the tree said of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) id: u32,
    pub(super) leaf: Leaf,
    /// Changes of the leaf when it said so.
    pub(super) changes: u32,
}

/// Lines that came lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    places: Vec<Known>,
    counts: CacheCounts,
    is_off: bool,
}

impl Recent {
    /// What is known of `masked`, where `holds` says that it still stands.
    pub(super) fn get(&mut self, hash: u64, masked: &str, holds: impl Fn(&Answer) -> bool) -> Option<Answer> {
        let known = self.places.get(place(hash)).filter(|known| known.masked == masked);
        let answer = known.and_then(|known| known.answer).filter(holds);
        self.counts.hits += u64::from(answer.is_some());
        self.counts.misses += u64::from(answer.is_none());
        answer
    }

    /// Keeps what was said of `masked`.
    pub(super) fn put(&mut self, hash: u64, masked: &str, answer: Answer) {
        if self.is_off || masked.len() > LINE_BYTES_MAX {
            return;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Known::default());
        }
        if let Some(known) = self.places.get_mut(place(hash)) {
            known.masked.clear();
            known.masked.reserve_exact(masked.len());
            known.masked.push_str(masked);
            known.answer = Some(answer);
        }
    }

    pub(super) fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// One that keeps nothing.
    pub(super) fn off() -> Self {
        Self { is_off: true, ..Self::default() }
    }
}

/// The upper bits choose: a hash's lowest one says something else.
fn place(hash: u64) -> usize {
    (hash >> 32) as usize % PLACES
}
