//! The cache in front of the model: what was computed once for equal input is not computed again.
//!
//! Equal input is compared whole, never by hash alone, so that a cached answer is bit for bit the
//! computed one, and nobody who makes hashes collide gets another window's answer. It is bounded,
//! forgets what was unused for longest, and counts. One of no entries keeps nothing, and only counts.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

/// How a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Answers from the cache.
    pub hits: u64,
    /// Answers that had to be computed.
    pub misses: u64,
}

impl CacheCounts {
    /// Share of hits, 0 to 1.
    pub fn hit_rate(self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }
}

/// A bounded map that counts its hits.
pub struct Cache<K: Hash + Eq, V> {
    /// None where nothing is kept.
    entries: Option<LruCache<K, V>>,
    counts: CacheCounts,
}

impl<K: Hash + Eq, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.entries.as_ref().map_or(0, LruCache::len))
            .field("counts", &self.counts)
            .finish()
    }
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// An empty cache of at most `entries_max`; of 0 it keeps nothing.
    pub fn new(entries_max: usize) -> Self {
        Self { entries: NonZeroUsize::new(entries_max).map(LruCache::new), counts: CacheCounts::default() }
    }

    /// What was kept for `key`.
    pub fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let found = self.entries.as_mut().and_then(|entries| entries.get(key));
        self.counts.hits += u64::from(found.is_some());
        self.counts.misses += u64::from(found.is_none());
        found
    }

    /// Keeps `value` for `key`.
    pub fn put(&mut self, key: K, value: V) {
        if let Some(entries) = &mut self.entries {
            entries.put(key, value);
        }
    }

    /// Forgets everything; the counts stay.
    pub fn clear(&mut self) {
        if let Some(entries) = &mut self.entries {
            entries.clear();
        }
    }

    /// How it did so far.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }
}
