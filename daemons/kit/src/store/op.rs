//! A change to a store, as data.
//!
//! Changes are values and not closures on purpose: a value cannot panic inside the transaction that
//! it shares with others, it can be applied again after a full disk (each puts or deletes absolute
//! keys, so twice is once), its size is known before it is taken, and the owner of a table decides
//! in memory what to write, so no change has to read. All tables map bytes to bytes; numbers in
//! keys are big-endian, so that their order is the keys' order.
//!
//! A stored value is `value | crc32 of key and value, little-endian`: a flipped bit, or a value
//! under another key, is found by whoever reads it.

use super::error::Fault;
use redb::{TableDefinition, WriteTransaction};

/// A table's name, ending in the version of its format: `.v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(pub &'static str);

impl Table {
    pub(super) const fn definition<'k, 'v>(self) -> TableDefinition<'static, &'k [u8], &'v [u8]> {
        TableDefinition::new(self.0)
    }
}

/// One change to one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key.
    Put {
        /// Where.
        table: Table,
        /// Which.
        key: Vec<u8>,
        /// To what.
        value: Vec<u8>,
    },
    /// Removes a key, where it is there.
    Delete {
        /// Where.
        table: Table,
        /// Which.
        key: Vec<u8>,
    },
    /// Removes all keys from `first` to `last`, both included.
    DeleteRange {
        /// Where.
        table: Table,
        /// Lowest key.
        first: Vec<u8>,
        /// Highest key.
        last: Vec<u8>,
    },
}

impl Op {
    /// What the change weighs in a commit, in bytes.
    pub fn bytes(&self) -> usize {
        const OVERHEAD: usize = 32;
        OVERHEAD
            + match self {
                Self::Put { key, value, .. } => key.len() + value.len(),
                Self::Delete { key, .. } => key.len(),
                Self::DeleteRange { first, last, .. } => first.len() + last.len(),
            }
    }

    /// The length of the value that is put; 0 for a removal.
    pub(super) fn value_bytes(&self) -> usize {
        if let Self::Put { value, .. } = self { value.len() } else { 0 }
    }

    /// Whether both change a key.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let ((first, last), (other_first, other_last)) = (self.keys(), other.keys());
        self.table() == other.table() && first <= other_last && other_first <= last
    }

    /// The lowest and the highest key that it changes.
    fn keys(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => (key, key),
            Self::DeleteRange { first, last, .. } => (first, last),
        }
    }

    const fn table(&self) -> Table {
        match self {
            Self::Put { table, .. } | Self::Delete { table, .. } | Self::DeleteRange { table, .. } => *table,
        }
    }
}

type OpenTable<'txn> = redb::Table<'txn, &'static [u8], &'static [u8]>;

/// Applies `ops` in order. Each table is opened once.
pub(super) fn apply<'op>(txn: &WriteTransaction, ops: impl Iterator<Item = &'op Op>) -> Result<(), Fault> {
    let mut open: Vec<(Table, OpenTable<'_>)> = Vec::new();
    for op in ops {
        let name = op.table();
        let index = if let Some(index) = open.iter().position(|(table, _)| *table == name) {
            index
        } else {
            open.push((name, txn.open_table(name.definition()).map_err(Fault::from_redb)?));
            open.len() - 1
        };
        if let Some((_, table)) = open.get_mut(index) {
            apply_one(table, op)?;
        }
    }
    Ok(())
}

fn apply_one(table: &mut OpenTable<'_>, op: &Op) -> Result<(), Fault> {
    match op {
        Op::Put { key, value, .. } => {
            let sum = checksum(key, value).to_le_bytes();
            let mut place = table.insert_reserve(key.as_slice(), value.len() + sum.len()).map_err(Fault::from_redb)?;
            let (body, end) = place.as_mut().split_at_mut(value.len());
            body.copy_from_slice(value);
            end.copy_from_slice(&sum);
        }
        Op::Delete { key, .. } => {
            table.remove(key.as_slice()).map_err(Fault::from_redb)?;
        }
        Op::DeleteRange { first, last, .. } => {
            if first <= last {
                table.retain_in(first.as_slice()..=last.as_slice(), |_, _| false).map_err(Fault::from_redb)?;
            }
        }
    }
    Ok(())
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// The value that was stored under `key`, without its checksum; `None` where the checksum disagrees.
pub(super) fn verify<'v>(key: &[u8], stored: &'v [u8]) -> Option<&'v [u8]> {
    let (value, sum) = stored.split_last_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(key, value)).then_some(value)
}
