//! A small keyed map: checkpoints, what a receiver acknowledged, settings that survive a restart.
//!
//! It gives changes instead of making them, so that they commit together with others: a tailed
//! file's checkpoint with the events read from it. The version of the format is part of the table's
//! name; a map of another version is another table.

use super::db::Db;
use super::error::StoreError;
use super::op::{Op, Table};
use super::view::Found;
use std::ops::ControlFlow;

/// A table of few keys.
#[derive(Clone, Debug)]
pub struct Map {
    db: Db,
    table: Table,
}

impl Map {
    /// The map in `table` of `db`; it needs no creation.
    pub const fn new(db: Db, table: Table) -> Self {
        Self { db, table }
    }

    /// Where it lies.
    pub const fn table(&self) -> Table {
        self.table
    }

    /// Sets `key` to `value`.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Op {
        Op::Put { table: self.table, key: key.to_vec(), value: value.to_vec() }
    }

    /// Removes `key`.
    pub fn delete(&self, key: &[u8]) -> Op {
        Op::Delete { table: self.table, key: key.to_vec() }
    }

    /// The committed value of `key`; a damaged one is told apart from none.
    pub fn value(&self, key: &[u8]) -> Result<Option<Found<Vec<u8>>>, StoreError> {
        self.db.read(|view| view.value(self.table, key))
    }

    /// The store that it is in.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// All committed keys that begin with `prefix`, in order.
    pub fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        self.each(prefix, |key, _| keys.push(key.to_vec()))?;
        Ok(keys)
    }

    fn each(&self, prefix: &[u8], mut show: impl FnMut(&[u8], Found<&[u8]>)) -> Result<(), StoreError> {
        // No key is longer than this; shorter keys with the prefix sort below it.
        let mut last = prefix.to_vec();
        last.extend_from_slice(&[u8::MAX; 256]);
        self.db.read(|view| {
            view.range(self.table, prefix, &last, |key, found| {
                show(key, found);
                ControlFlow::Continue(())
            })
        })
    }

    /// All committed keys that begin with `prefix`, in order, with their sound values, and the
    /// number of damaged ones.
    pub fn scan(&self, prefix: &[u8]) -> Result<Scan, StoreError> {
        let mut scan = Scan::default();
        self.each(prefix, |key, found| match found {
            Found::Value(value) => scan.entries.push((key.to_vec(), value.to_vec())),
            Found::Damaged => scan.damaged += 1,
        })?;
        Ok(scan)
    }
}

/// What a scan of a map found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Keys with their values, in the order of the keys.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Values whose checksum disagrees.
    pub damaged: u64,
}
