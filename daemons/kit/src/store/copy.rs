//! Every row of a store, looked at or copied: what a check and a backup are made of.
//!
//! Rows go over as they are stored, with their checksums, and each is verified on the way; a damaged
//! one is copied, counted and named, because the copy is to be no worse and no better than what it is a
//! copy of. A copy is a new file, written in commits of [`CHUNK_BYTES`] and durable when it is finished.
//! Nothing here holds a lock for longer than one stretch of rows, but for [`Db::copy_to`], which pins one
//! snapshot and no lock, and gives up where the writer has to open the file again.

use super::backing::{open_new, sync_folder};
use super::db::Db;
use super::error::StoreError;
use super::view::{ReadError, Row, View};
use redb::{Database, TableDefinition};
use std::fmt;
use std::fs::File;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

/// Bytes of rows in one commit of a copy.
pub const CHUNK_BYTES: usize = 8 << 20;
/// Bytes of rows that are read over one snapshot, but one row at least; and rows.
const STRETCH_BYTES: usize = 1 << 20;
const STRETCH_ROWS: usize = 4_096;
/// Damaged rows that are named; the others are counted.
const DAMAGED_NAMED_MAX: usize = 100;
/// Page cache of a copy, in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// What was met in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows, damaged ones included.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Rows whose checksum disagrees.
    pub damaged: u64,
    /// The first of them: table and key.
    pub named: Vec<String>,
}

impl Rows {
    fn count(&mut self, table: &str, row: &Row<'_>) {
        self.rows += 1;
        self.bytes += bytes_of(row) as u64;
        if !row.is_sound {
            self.damaged += 1;
            if self.named.len() < DAMAGED_NAMED_MAX {
                self.named.push(format!("{table} {}", crate::digest::hex(row.key)));
            }
        }
    }
}

const fn bytes_of(row: &Row<'_>) -> usize {
    row.key.len() + row.stored.len()
}

/// Why there is no copy.
#[derive(Debug)]
pub enum CopyError {
    /// What is to be copied cannot be read.
    Source(StoreError),
    /// The copy cannot be written, and why.
    Target(PathBuf, String),
    /// Nobody wants it any more.
    Unwanted,
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Target(path, problem) => write!(f, "cannot write {}: {problem}", path.display()),
            Self::Unwanted => f.write_str("it was given up because nobody listens any more"),
        }
    }
}

impl std::error::Error for CopyError {}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Source(error)
    }
}

/// Whoever hears of rows on their way says whether they are still wanted.
pub type GoOn<'g> = &'g mut dyn FnMut(&Rows) -> bool;

impl Db {
    /// Reads every row of every table, in stretches of a snapshot each.
    pub fn check(&self) -> Result<Rows, StoreError> {
        let mut met = Rows::default();
        for table in self.read(View::tables)? {
            let mut from = Vec::new();
            while let Some(next) = self.read(|view| stretch(view, &table, &from, |row| met.count(&table, &row)))? {
                from = next;
            }
        }
        Ok(met)
    }

    /// Copies every row, as they are in one snapshot, to a new file. `go_on` hears how far it came after each
    /// commit of the copy.
    pub fn copy_to(&self, to: &Path, go_on: GoOn<'_>) -> Result<Rows, CopyError> {
        let mut copy = Copy::begin(to)?;
        let view = self.snapshot()?;
        for table in view.tables().map_err(|error| self.fault(error.0))? {
            let mut from = Vec::new();
            while let Some(next) = copy.stretch(self, &view, &table, &from)? {
                if let Some(refusal) = self.health().refusal(self.name()) {
                    return Err(refusal.into());
                }
                copy.go_on(go_on)?;
                from = next;
            }
        }
        copy.finish()
    }
}

/// Shows a stretch of a table from the key `from` on; gives where the next begins.
pub(super) fn stretch(
    view: &View,
    table: &str,
    from: &[u8],
    mut show: impl FnMut(Row<'_>),
) -> Result<Option<Vec<u8>>, ReadError> {
    let (mut rows, mut bytes, mut next) = (0, 0, None);
    view.stored(table, Bound::Included(from), |row| {
        rows += 1;
        bytes += bytes_of(&row);
        show(row);
        if rows < STRETCH_ROWS && bytes < STRETCH_BYTES {
            return ControlFlow::Continue(());
        }
        // The key that follows on this one.
        next = Some([row.key, &[0]].concat());
        ControlFlow::Break(())
    })?;
    Ok(next)
}

/// A copy that is being made.
pub(super) struct Copy {
    path: PathBuf,
    database: Database,
    met: Rows,
    table: String,
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    waiting_bytes: usize,
    is_new: bool,
}

impl Copy {
    /// Begins a copy in a new file.
    pub(super) fn begin(path: &Path) -> Result<Self, CopyError> {
        let failed = |problem: String| CopyError::Target(path.to_owned(), problem);
        let database = open_new(path, CACHE_BYTES).map_err(|error| failed(error.to_string()))?;
        let (met, table, waiting) = (Rows::default(), String::new(), Vec::new());
        Ok(Self { path: path.to_owned(), database, met, table, waiting, waiting_bytes: 0, is_new: false })
    }

    /// Takes the next row.
    pub(super) fn take(&mut self, table: &str, row: &Row<'_>) -> Result<(), CopyError> {
        if self.table != table {
            self.commit()?;
            table.clone_into(&mut self.table);
        }
        self.met.count(table, row);
        self.waiting_bytes += bytes_of(row);
        self.waiting.push((row.key.to_vec(), row.stored.to_vec()));
        if self.waiting_bytes >= CHUNK_BYTES { self.commit() } else { Ok(()) }
    }

    /// Takes a stretch of a table from a snapshot; gives where the next begins.
    pub(super) fn stretch(
        &mut self,
        db: &Db,
        view: &View,
        table: &str,
        from: &[u8],
    ) -> Result<Option<Vec<u8>>, CopyError> {
        let mut taken = Ok(());
        let next = stretch(view, table, from, |row| {
            if taken.is_ok() {
                taken = self.take(table, &row);
            }
        });
        taken?;
        Ok(next.map_err(|error| db.fault(error.0))?)
    }

    /// Tells how far it came, after each commit.
    pub(super) fn go_on(&mut self, go_on: GoOn<'_>) -> Result<(), CopyError> {
        if std::mem::take(&mut self.is_new) && !go_on(&self.met) { Err(CopyError::Unwanted) } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), CopyError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let write = || -> Result<(), redb::Error> {
            let txn = self.database.begin_write()?;
            {
                let definition = TableDefinition::<&[u8], &[u8]>::new(&self.table);
                let mut open = txn.open_table(definition)?;
                for (key, stored) in &self.waiting {
                    open.insert(key.as_slice(), stored.as_slice())?;
                }
            }
            Ok(txn.commit()?)
        };
        write().map_err(|error| CopyError::Target(self.path.clone(), error.to_string()))?;
        self.waiting.clear();
        (self.waiting_bytes, self.is_new) = (0, true);
        Ok(())
    }

    /// Makes the copy durable.
    pub(super) fn finish(mut self) -> Result<Rows, CopyError> {
        self.commit()?;
        let Self { path, database, met, .. } = self;
        let failed = |problem: String| CopyError::Target(path.clone(), problem);
        database.close().map_err(|error| failed(error.to_string()))?;
        let synced = File::open(&path).and_then(|file| file.sync_all()).and_then(|()| sync_folder(&path));
        synced.map_err(|error| failed(error.to_string()))?;
        Ok(met)
    }
}
