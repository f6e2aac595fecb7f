//! A table that cannot grow: what was not touched for longest is forgotten, the suspicious last.
//!
//! Two generations. New and touched entries live in the young one; when that holds half of what is
//! allowed, it becomes the old one, and what the old one still held is forgotten, but for its most
//! suspicious entries. So a lookup costs a hash or two, nothing is sorted on the way of a line, and a
//! million new names push out each other rather than the one that has been guessing for an hour.

use std::{collections::HashMap, hash::Hash};

/// How much an entry should be kept; 0 goes first.
pub(crate) trait Suspicion {
    /// Suspicion first, then the time of the last sign of it in Unix milliseconds.
    fn suspicion(&self) -> (u32, i64) {
        (0, 0)
    }
}

/// At most a fixed number of entries.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
    forgotten: u64,
}

impl<K: Hash + Eq, V: Suspicion> Bounded<K, V> {
    /// A table of at most `entries_max` entries.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (entries_max / 2).max(1), forgotten: 0 }
    }

    /// The entry of `key`, if it is remembered; not touched.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    /// The entry of `key`, touched; made where it is not remembered.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.turn();
        }
        let old = &mut self.old;
        let kept = if old.is_empty() { None } else { old.remove(&key) };
        self.young.entry(key).or_insert_with(|| kept.unwrap_or_else(make))
    }

    /// The young become the old; of the old at most a quarter of the table stays, the most suspicious.
    fn turn(&mut self) {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        let before = old.len();
        let mut suspicious: Vec<_> = old.into_iter().filter(|(_key, entry)| entry.suspicion().0 > 0).collect();
        suspicious.sort_by_key(|(_key, entry)| std::cmp::Reverse(entry.suspicion()));
        suspicious.truncate(self.half / 2);
        self.forgotten += (before - suspicious.len()) as u64;
        self.young = suspicious.into_iter().collect();
    }

    /// All entries, in no order; none is touched.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.young.iter_mut().chain(self.old.iter_mut())
    }

    /// Entries remembered now.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Entries forgotten to make room, so far.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// Entries remembered and forgotten, of several tables together.
pub(crate) fn total(sizes: impl IntoIterator<Item = (usize, u64)>) -> (usize, u64) {
    sizes.into_iter().fold((0, 0), |(held, gone), (more, forgotten)| (held + more, gone + forgotten))
}
