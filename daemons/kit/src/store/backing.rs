//! Where a database's bytes live: a file with a reserve beside it, or what a test puts in its place.
//!
//! The reserve is a file of real blocks. When the disk is full it is given up, so that the writer
//! can commit what it took and what acknowledgements delete (whose piece of it only they may use);
//! intake stays closed until it is there again. A new database file is made durable in its folder before the first commit is promised.

use super::error::{OpenCause, open_cause};
use nms_proto::limits::{STORE_RESERVE_BYTES, STORE_RESERVE_LAST_BYTES};
use redb::backends::FileBackend;
use redb::{Builder, Database};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub use redb::{BackendError, Builder as DatabaseBuilder, Database as RawDatabase, DatabaseError, StorageBackend};

/// What the operating system counts a file's room in.
const STAT_BLOCK_BYTES: u64 = 512;

/// A place that a database can be opened from, again and again.
pub trait Backing: fmt::Debug + Send + Sync + 'static {
    /// The name that messages give it: the file's path.
    fn name(&self) -> String;

    /// Opens the database, or makes it where there is none.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Makes the reserve, where it is not there yet; it fails when the disk has no room for it.
    fn hold_reserve(&self) -> io::Result<()>;

    /// Gives the reserve's room back to the disk: all of it, or all but the last piece, which is kept for what makes room.
    fn release_reserve(&self, all: bool) -> io::Result<()>;

    /// Room that the database takes on its disk, in bytes; none where that is not known.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// Where databases lie: files of a folder, or what a test puts in their place.
pub trait Disks: fmt::Debug + Send + Sync + 'static {
    /// The place of the database `file`, with a reserve beside it or without.
    fn backing(&self, file: &Path, reserve: Option<&Path>) -> Box<dyn Backing>;
}

/// A database in a file of its own.
#[derive(Clone, Debug)]
pub struct FileBacking {
    path: PathBuf,
    reserve: Option<PathBuf>,
}

impl FileBacking {
    /// The database in `path`, its reserve beside it in `<path>.reserve`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), reserve: Some(Self::reserve_of(path)) }
    }

    /// Where the reserve of the database in `path` lies.
    pub(super) fn reserve_of(path: &Path) -> PathBuf {
        let mut reserve = path.as_os_str().to_owned();
        reserve.push(".reserve");
        reserve.into()
    }

    /// The database in `path`, with a reserve that it shares with others, or none.
    pub fn with_reserve(path: &Path, reserve: Option<&Path>) -> Self {
        Self { path: path.to_owned(), reserve: reserve.map(Path::to_owned) }
    }
}

impl FileBacking {
    /// Makes an empty database beside its place and moves it there when it is durable: a power cut
    /// in between must not leave half a file, which no restart could open.
    fn create(&self, builder: &Builder) -> Result<(), DatabaseError> {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        builder.create_with_backend(FileBackend::new(file)?)?.close()?;
        File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        Ok(sync_folder(&self.path)?)
    }
}

impl Backing for FileBacking {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        if !self.path.try_exists()? {
            self.create(builder)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        builder.create_with_backend(FileBackend::new(file)?)
    }

    fn hold_reserve(&self) -> io::Result<()> {
        let Some(path) = &self.reserve else { return Ok(()) };
        if path.metadata().is_ok_and(|meta| meta.len() >= STORE_RESERVE_BYTES) {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        fill(file).inspect_err(|_| {
            // Half a reserve is none, and its room is needed.
            self.release_reserve(false).unwrap_or_default();
        })
    }

    fn length(&self) -> Option<u64> {
        self.path.metadata().ok().map(|meta| meta.blocks() * STAT_BLOCK_BYTES)
    }

    fn release_reserve(&self, all: bool) -> io::Result<()> {
        let Some(path) = &self.reserve else { return Ok(()) };
        match path.metadata() {
            Err(_) => Ok(()),
            Ok(meta) if !all && meta.len() >= STORE_RESERVE_LAST_BYTES => {
                OpenOptions::new().write(true).open(path)?.set_len(STORE_RESERVE_LAST_BYTES)
            }
            Ok(_) => std::fs::remove_file(path),
        }
    }
}

/// Writes real blocks: a sparse file would promise room that is not there.
fn fill(mut file: File) -> io::Result<()> {
    let piece = vec![0xA5_u8; 64 << 10];
    let mut left = STORE_RESERVE_BYTES;
    while left > 0 {
        file.write_all(&piece)?;
        left = left.saturating_sub(piece.len() as u64);
    }
    file.sync_all()
}

/// Makes the file's name in its folder durable: after a power cut a new file may else be gone, with
/// all that was committed to it.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Makes a database in a file that is not there yet.
pub(super) fn open_new(path: &Path, cache_bytes: usize) -> Result<Database, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.create_with_backend(FileBackend::new(file)?)
}

/// Opens the database behind `backing` with a page cache of `cache_bytes`.
pub(super) fn open(backing: &dyn Backing, cache_bytes: usize) -> Result<Database, OpenCause> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    backing.open(&builder).map_err(open_cause)
}
