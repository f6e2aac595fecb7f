//! Short reads of a store, each over one snapshot.
//!
//! A view lives inside the closure of `Db::read` and no longer: a long read would pin pages, and
//! would hold up a writer that must open the file again. Values come verified; a value that does
//! not match its checksum is told apart from one that is not there.

use super::error::Fault;
use super::op::{Table, verify};
use redb::{ReadTransaction, ReadableTableMetadata as _, TableDefinition, TableError, TableHandle as _};
use std::ops::{Bound, ControlFlow};

type OpenTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A row as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'r> {
    pub(super) key: &'r [u8],
    /// The value with its checksum.
    pub(super) stored: &'r [u8],
    pub(super) is_sound: bool,
}

impl<'r> Row<'r> {
    pub(super) fn new(key: &'r [u8], stored: &'r [u8]) -> Self {
        Self { key, stored, is_sound: verify(key, stored).is_some() }
    }
}

/// A stored value, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<V> {
    /// As it was written.
    Value(V),
    /// Its checksum disagrees.
    Damaged,
}

impl<V> Found<V> {
    /// The value, where it is sound.
    pub fn sound(self) -> Option<V> {
        match self {
            Self::Value(value) => Some(value),
            Self::Damaged => None,
        }
    }
}

/// One snapshot of all tables.
#[derive(Debug)]
pub struct View {
    txn: ReadTransaction,
}

/// Why a read did not come about; the store's health says more.
#[derive(Debug)]
pub struct ReadError(pub(super) Fault);

impl ReadError {
    fn of(error: impl Into<redb::Error>) -> Self {
        Self(Fault::from_redb(error))
    }
}

impl View {
    pub(super) const fn new(txn: ReadTransaction) -> Self {
        Self { txn }
    }

    fn table(&self, table: Table) -> Result<Option<OpenTable>, ReadError> {
        match self.txn.open_table(table.definition()) {
            Ok(open) => Ok(Some(open)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(ReadError::of(error)),
        }
    }

    /// The value of `key`, or `None` where there is none.
    pub fn value(&self, table: Table, key: &[u8]) -> Result<Option<Found<Vec<u8>>>, ReadError> {
        let Some(open) = self.table(table)? else { return Ok(None) };
        let stored = open.get(key).map_err(ReadError::of)?;
        Ok(stored.map(|stored| match verify(key, stored.value()) {
            Some(value) => Found::Value(value.to_vec()),
            None => Found::Damaged,
        }))
    }

    /// Shows `visit` each key from `first` to `last`, both included, in order, until it breaks.
    pub fn range(
        &self,
        table: Table,
        first: &[u8],
        last: &[u8],
        mut visit: impl FnMut(&[u8], Found<&[u8]>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let Some(open) = self.table(table)? else { return Ok(()) };
        if first > last {
            return Ok(());
        }
        for entry in open.range(first..=last).map_err(ReadError::of)? {
            let (key, stored) = entry.map_err(ReadError::of)?;
            let found = verify(key.value(), stored.value()).map_or(Found::Damaged, Found::Value);
            if visit(key.value(), found).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Shows `visit` the rows of any table as they are stored, from a key on, in order, until it breaks.
    pub(super) fn stored(
        &self,
        table: &str,
        from: Bound<&[u8]>,
        mut visit: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let definition = TableDefinition::<&'static [u8], &'static [u8]>::new(table);
        let open: OpenTable = match self.txn.open_table(definition) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            open => open.map_err(ReadError::of)?,
        };
        for entry in open.range::<&[u8]>((from, Bound::Unbounded)).map_err(ReadError::of)? {
            let (key, stored) = entry.map_err(ReadError::of)?;
            let (key, stored) = (key.value(), stored.value());
            if visit(Row::new(key, stored)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The highest key from `first` to `last`, both included, with its value.
    pub fn last(&self, table: Table, first: &[u8], last: &[u8]) -> Result<Option<KeyValue>, ReadError> {
        let Some(open) = self.table(table)? else { return Ok(None) };
        if first > last {
            return Ok(None);
        }
        let mut range = open.range(first..=last).map_err(ReadError::of)?;
        let Some(entry) = range.next_back() else { return Ok(None) };
        let (key, stored) = entry.map_err(ReadError::of)?;
        let found = verify(key.value(), stored.value()).map_or(Found::Damaged, |value| Found::Value(value.to_vec()));
        Ok(Some((key.value().to_vec(), found)))
    }

    /// Entries of a table.
    pub fn len(&self, table: Table) -> Result<u64, ReadError> {
        self.table(table)?.map_or(Ok(0), |open| open.len().map_err(ReadError::of))
    }

    /// Bytes of keys and values of a table, without the pages' own.
    pub fn stored_bytes(&self, table: Table) -> Result<u64, ReadError> {
        let Some(open) = self.table(table)? else { return Ok(0) };
        Ok(open.stats().map_err(ReadError::of)?.stored_bytes())
    }

    /// Bytes of the pages of all tables. Every page is looked at.
    pub(super) fn page_bytes(&self) -> Result<u64, ReadError> {
        let mut bytes = 0;
        for name in self.tables()? {
            let definition = TableDefinition::<&'static [u8], &'static [u8]>::new(&name);
            match self.txn.open_table(definition) {
                Err(TableError::TableDoesNotExist(_)) => {}
                open => {
                    let stats = open.map_err(ReadError::of)?.stats().map_err(ReadError::of)?;
                    bytes += stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
                }
            }
        }
        Ok(bytes)
    }

    /// The names of all tables.
    pub fn tables(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.txn.list_tables().map_err(ReadError::of)?.map(|table| table.name().to_owned()).collect())
    }
}

/// A key with its value, as it was found.
pub type KeyValue = (Vec<u8>, Found<Vec<u8>>);
