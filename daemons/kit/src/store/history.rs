//! The newest entries of a stream, bounded by items and bytes: the hub's cache of lines and alerts.
//!
//! One entry may carry many items (a batch of lines is one value, because a row a line costs more
//! than the line). The oldest go with the commit that adds the newest. It gives changes instead of
//! making them, as [`super::map::Map`] does; a history whose change was refused has only forgotten
//! that entry. Damaged entries are left out of what it shows.

use super::bytes::{Fields, key_of, number_of};
use super::db::Db;
use super::error::StoreError;
use super::op::{Op, Table};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much a history keeps. The newest entry is kept whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Items.
    pub items_max: u64,
    /// Bytes of values.
    pub bytes_max: u64,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its place in the stream, rising.
    pub sequence: u64,
    /// Items in it.
    pub items: u32,
    /// What was pushed.
    pub value: Vec<u8>,
}

/// A newest-N log in a table of its own.
#[derive(Clone, Debug)]
pub struct History {
    db: Db,
    table: Table,
    kept: Kept,
    window: Arc<Mutex<Window>>,
}

/// What is in the table: the sizes, oldest first.
#[derive(Debug, Default)]
struct Window {
    sizes: VecDeque<(u32, u64)>,
    next: u64,
    items: u64,
    bytes: u64,
}

impl Window {
    fn first(&self) -> u64 {
        self.next - self.sizes.len() as u64
    }

    fn push(&mut self, items: u32, bytes: u64) {
        self.sizes.push_back((items, bytes));
        self.next += 1;
        self.items += u64::from(items);
        self.bytes += bytes;
    }

    /// Forgets the oldest beyond `kept`; gives the sequences that go.
    fn trim(&mut self, kept: Kept) -> Option<(u64, u64)> {
        let first = self.first();
        while self.sizes.len() > 1 && (self.items > kept.items_max || self.bytes > kept.bytes_max) {
            let (items, bytes) = self.sizes.pop_front().unwrap_or_default();
            self.items -= u64::from(items);
            self.bytes -= bytes;
        }
        let now = self.first();
        (now > first).then(|| (first, now - 1))
    }
}

impl History {
    /// Opens the history in `table`: reads it once through to learn the sizes.
    pub fn open(db: Db, table: Table, kept: Kept) -> Result<Self, StoreError> {
        let mut window = Window { next: 1, ..Window::default() };
        db.read(|view| {
            view.range(table, &key_of(0), &key_of(u64::MAX), |key, found| {
                let sequence = number_of(key).unwrap_or(window.next);
                if window.sizes.is_empty() {
                    window.next = sequence;
                }
                while window.next < sequence {
                    window.push(0, 0);
                }
                let value = found.sound().unwrap_or_default();
                window.push(Fields(value).u32().unwrap_or(0), value.len() as u64);
                ControlFlow::Continue(())
            })
        })?;
        Ok(Self { db, table, kept, window: Arc::new(Mutex::new(window)) })
    }

    /// The changes that add `value` with so many `items` and remove what is too old.
    pub fn push(&self, items: u32, value: &[u8]) -> Vec<Op> {
        let mut stored = items.to_le_bytes().to_vec();
        stored.extend_from_slice(value);
        let mut window = self.window();
        let put = Op::Put { table: self.table, key: key_of(window.next), value: stored };
        window.push(items, value.len() as u64 + 4);
        let mut ops = vec![put];
        if let Some((first, last)) = window.trim(self.kept) {
            ops.push(Op::DeleteRange { table: self.table, first: key_of(first), last: key_of(last) });
        }
        ops
    }

    /// The newest committed entries that together hold at least `items`, oldest first.
    pub fn newest(&self, items: u64) -> Result<Vec<Past>, StoreError> {
        let from = {
            let window = self.window();
            let mut left = items;
            let wanted = window.sizes.iter().rev().take_while(|(more, _)| {
                let go_on = left > 0;
                left = left.saturating_sub(u64::from(*more));
                go_on
            });
            window.next - wanted.count() as u64
        };
        self.since(from)
    }

    /// The committed entries from `sequence` on.
    pub fn since(&self, sequence: u64) -> Result<Vec<Past>, StoreError> {
        let mut found = Vec::new();
        self.db.read(|view| {
            view.range(self.table, &key_of(sequence), &key_of(u64::MAX), |key, value| {
                found.extend(number_of(key).zip(value.sound()).and_then(|(sequence, value)| read(sequence, value)));
                ControlFlow::Continue(())
            })
        })?;
        Ok(found)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(sequence: u64, value: &[u8]) -> Option<Past> {
    let mut fields = Fields(value);
    Some(Past { sequence, items: fields.u32()?, value: fields.0.to_vec() })
}
