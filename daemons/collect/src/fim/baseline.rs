//! What every watched file was when it was last looked at: the baseline, in a database of its own.
//!
//! ```text
//! table fim.v1
//!   f PATH      -> version u8 = 1 | hashed u8 | sha256 [32] | uid u32 | gid u32 | mode u32 | size u64
//!                  | dev u64 | inode u64 | mtime_ns i64 | ctime_ns i64 | hashed_s i64    (little-endian)
//!   d PATTERN   -> the folders that it stood for at the last full check, each ended by NUL
//! ```
//! A pattern without a `d` row was never walked to its end: what is found below it is taken as it
//! is, silently. Events are durable before the rows that they change, so a crash repeats an event
//! and loses none.

use std::{
    ops::ControlFlow,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use nms_kit::store::{Class, Db, Found, Op, Settings, StoreError, Table};
use nms_proto::event::Change;

const TABLE: Table = Table("fim.v1");
const VERSION: u8 = 1;
const ENTRY_BYTES: usize = 94;
/// Page cache of the baseline's database, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// Longest path that is kept: `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4_096;

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// What a file was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its content; none where it was too long or could not be read.
    pub sha256: Option<Sha256>,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Permission bits with set-user-id and its like.
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// Last modification, in nanoseconds since 1970 UTC.
    pub mtime_ns: i64,
    /// Last change of content, owner or mode, in nanoseconds since 1970 UTC.
    pub ctime_ns: i64,
    /// When the content was last hashed, in seconds since 1970 UTC.
    pub hashed_s: i64,
}

impl Entry {
    /// Whether the file may have changed since, going by what costs no reading: any write moves the
    /// ctime, which nobody can set back without the clock.
    pub fn differs(&self, now: &Self) -> bool {
        let key = |entry: &Self| (entry.size, entry.dev, entry.inode, entry.mtime_ns, entry.ctime_ns, entry.mode);
        key(self) != key(now) || (self.uid, self.gid) != (now.uid, now.gid)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_BYTES);
        bytes.extend([VERSION, u8::from(self.sha256.is_some())]);
        bytes.extend(self.sha256.unwrap_or_default());
        bytes.extend([self.uid, self.gid, self.mode].map(u32::to_le_bytes).as_flattened());
        bytes.extend([self.size, self.dev, self.inode].map(u64::to_le_bytes).as_flattened());
        bytes.extend([self.mtime_ns, self.ctime_ns, self.hashed_s].map(i64::to_le_bytes).as_flattened());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let [version, hashed] = fields.take()?;
        let sha256 = fields.take()?;
        let mut u32 = || fields.take().map(u32::from_le_bytes);
        let (uid, gid, mode) = (u32()?, u32()?, u32()?);
        let mut u64 = || fields.take().map(u64::from_le_bytes);
        let (size, dev, inode) = (u64()?, u64()?, u64()?);
        let mut i64 = || fields.take().map(i64::from_le_bytes);
        let (mtime_ns, ctime_ns, hashed_s) = (i64()?, i64()?, i64()?);
        let sha256 = (hashed == 1).then_some(sha256);
        let entry = Self { sha256, uid, gid, mode, size, dev, inode, mtime_ns, ctime_ns, hashed_s };
        (version == VERSION && fields.0.is_empty()).then_some(entry)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}

/// What happened between two looks at a file; none for nothing that counts.
///
/// Content that cannot be compared by hash is compared by length and modification. A new inode or
/// new times over the same content, owner and mode are nothing: editors and copies do that.
pub fn change(old: Option<&Entry>, new: Option<&Entry>) -> Option<Change> {
    let (old, new) = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some(Change::Created),
        (Some(_), None) => return Some(Change::Deleted),
        (Some(old), Some(new)) => (old, new),
    };
    let content_differs = match (old.sha256, new.sha256) {
        (Some(before), Some(after)) => before != after,
        _ => (old.size, old.mtime_ns) != (new.size, new.mtime_ns),
    };
    if content_differs {
        return Some(Change::Modified);
    }
    ((old.uid, old.gid, old.mode) != (new.uid, new.gid, new.mode)).then_some(Change::Attributes)
}

/// What the baseline knows of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    No,
    /// What it was.
    Yes(Box<Entry>),
    /// A row that contradicts its checksum.
    Damaged,
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Op);

impl Row {
    /// The file at `path` is `entry` now; gone where there is none. No row for a path that is too long.
    pub fn file(path: &Path, entry: Option<&Entry>) -> Option<Self> {
        let key = file_key(path);
        if key.len() > PATH_BYTES_MAX {
            return None;
        }
        Some(Self(match entry {
            Some(entry) => Op::Put { table: TABLE, key, value: entry.encode() },
            None => Op::Delete { table: TABLE, key },
        }))
    }

    /// `pattern` was walked to its end, and stood for `roots`.
    pub fn done(pattern: &Path, roots: &[PathBuf]) -> Self {
        let mut value = Vec::new();
        for root in roots {
            value.extend_from_slice(root.as_os_str().as_bytes());
            value.push(0);
        }
        Self(Op::Put { table: TABLE, key: pattern_key(pattern), value })
    }
}

/// The baseline of one host.
#[derive(Clone, Debug)]
pub struct Baseline(Db);

impl Baseline {
    /// Opens the baseline at `path`, or makes an empty one.
    ///
    /// # Errors
    /// Names the file and what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = Db::open_file(path, Settings::with_cache(CACHE_BYTES))?;
        db.refuse_newer("fim", u32::from(VERSION))?;
        Ok(Self(db))
    }

    /// What is known of `path`.
    pub fn file(&self, path: &Path) -> Result<Known, StoreError> {
        let found = self.0.read(|view| view.value(TABLE, &file_key(path)))?;
        Ok(match found {
            None => Known::No,
            Some(Found::Damaged) => Known::Damaged,
            Some(Found::Value(value)) => Entry::decode(&value).map_or(Known::Damaged, |entry| Known::Yes(entry.into())),
        })
    }

    /// The folders that `pattern` stood for; none where it was never walked to its end.
    pub fn done(&self, pattern: &Path) -> Result<Option<Vec<PathBuf>>, StoreError> {
        let found = self.0.read(|view| view.value(TABLE, &pattern_key(pattern)))?;
        let Some(Found::Value(value)) = found else { return Ok(None) };
        let roots = value.split(|byte| *byte == 0).filter(|root| !root.is_empty()).map(path_from);
        Ok(Some(roots.collect()))
    }

    /// Up to `limit` paths behind `after`, in order; those below `folder` where one is given.
    pub fn page(&self, after: &Path, folder: Option<&Path>, limit: usize) -> Result<Vec<PathBuf>, StoreError> {
        let mut first = file_key(after);
        first.push(0);
        let mut last = folder.map_or_else(|| b"f".to_vec(), file_key);
        last.push(if folder.is_some() { b'/' + 1 } else { u8::MAX });
        let mut paths = Vec::new();
        self.0.read(|view| {
            view.range(TABLE, &first, &last, |key, _| {
                paths.extend(key.get(1..).map(path_from));
                if paths.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        })?;
        paths.retain(|path| folder.is_none_or(|folder| path.starts_with(folder)));
        Ok(paths)
    }

    /// Rows in it: files and patterns.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.0.read(|view| view.len(TABLE))
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Writes `rows`; ends when they are durable.
    pub async fn keep(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.0.commit(rows.into_iter().map(|row| row.0).collect(), Class::Upkeep).await
    }
}

fn file_key(path: &Path) -> Vec<u8> {
    [b"f", path.as_os_str().as_bytes()].concat()
}

fn pattern_key(pattern: &Path) -> Vec<u8> {
    [b"d", pattern.as_os_str().as_bytes()].concat()
}

fn path_from(bytes: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}
