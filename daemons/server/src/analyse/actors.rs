//! Which actors were seen at more than one source: only their windows say more than their sources' own.

use std::{fmt, num::NonZeroUsize};

use lru::LruCache;

/// Actors that are remembered; the one unseen for longest is forgotten first.
pub(super) const ACTORS_KEPT: usize = 4_096;

/// The actors of one tenant.
pub(crate) struct Actors(LruCache<u64, Seen>);

/// The source at which an actor was seen first, and whether it was seen at another one since.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    source: u64,
    elsewhere: bool,
}

impl fmt::Debug for Actors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actors").field("kept", &self.0.len()).finish_non_exhaustive()
    }
}

impl Default for Actors {
    fn default() -> Self {
        Self(LruCache::new(NonZeroUsize::new(ACTORS_KEPT).unwrap_or(NonZeroUsize::MIN)))
    }
}

impl Actors {
    /// An actor did something at a source.
    pub(crate) fn note(&mut self, actor: u64, source: u64) {
        let seen = self.0.get_or_insert_mut(actor, || Seen { source, elsewhere: false });
        seen.elsewhere |= seen.source != source;
    }

    /// Whether an actor was seen at more than one source.
    pub(crate) fn is_across(&self, actor: u64) -> bool {
        self.0.peek(&actor).is_some_and(|seen| seen.elsewhere)
    }

    pub(super) fn save(&self) -> Vec<(u64, u64, bool)> {
        self.0.iter().rev().map(|(actor, seen)| (*actor, seen.source, seen.elsewhere)).collect()
    }

    pub(super) fn load(saved: Vec<(u64, u64, bool)>) -> Self {
        let mut actors = Self::default();
        for (actor, source, elsewhere) in saved {
            actors.0.put(actor, Seen { source, elsewhere });
        }
        actors
    }
}
