//! One look at a file: what the baseline says, what the file is, hashed only where that may differ.

use std::{io, path::Path};

use nms_kit::store::StoreError;
use nms_proto::time::Stamp;

use super::{
    baseline::{Baseline, Entry, Known},
    scan::{self, Thing},
};

/// A file as it was and as it is.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What the baseline says.
    pub(super) old: Option<Box<Entry>>,
    /// What is there; as before where it cannot be looked at.
    pub(super) new: Option<Box<Entry>>,
    /// Content that was read, in bytes.
    pub(super) hashed_bytes: u64,
    /// Whether it could not be read.
    pub(super) unreadable: bool,
    /// Whether the baseline's row is damaged.
    pub(super) damaged: bool,
}

impl Look {
    /// Looks at `path`, hashing it where it may differ or was last hashed before `rehash_before_s`, in seconds
    /// since 1970 UTC.
    pub(super) fn at(path: &Path, baseline: &Baseline, rehash_before_s: i64, now: Stamp) -> Result<Self, StoreError> {
        let mut look = Self::default();
        match baseline.file(path)? {
            Known::No => {}
            Known::Yes(entry) => look.old = Some(entry),
            Known::Damaged => look.damaged = true,
        }
        let mut entry = match scan::look(path) {
            Ok(Thing::File(entry)) => entry,
            Ok(Thing::Gone | Thing::Folder | Thing::Other) => return Ok(look),
            Err(_) => {
                look.unreadable = true;
                look.new.clone_from(&look.old);
                return Ok(look);
            }
        };
        match &look.old {
            Some(old) if !old.differs(&entry) && old.hashed_s >= rehash_before_s => entry.clone_from(old),
            _ => look.hash(path, &mut entry, now),
        }
        look.new = Some(entry);
        Ok(look)
    }

    /// Hashes the file into `entry`; what cannot be read keeps its old hash while nothing says it differs.
    fn hash(&mut self, path: &Path, entry: &mut Entry, now: Stamp) {
        entry.hashed_s = now.unix_ms / 1_000;
        match scan::hash(path) {
            Ok(digest) => {
                self.hashed_bytes = if digest.is_some() { entry.size } else { 0 };
                entry.sha256 = digest;
            }
            Err(error) => {
                self.unreadable = error.kind() != io::ErrorKind::NotFound;
                let same = self.old.as_ref().filter(|old| (old.size, old.mtime_ns) == (entry.size, entry.mtime_ns));
                entry.sha256 = same.and_then(|old| old.sha256);
            }
        }
    }
}
