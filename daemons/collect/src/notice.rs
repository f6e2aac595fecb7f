//! Change notices of folders: inotify on a descriptor of our own, waited for by a thread.
//!
//! A notice says that something about a name changed, never what the file holds now; whoever asked
//! looks for himself. When the kernel's queue overflowed, everything must be looked at. A folder
//! beyond the kernel's limit is refused with the limit's name and value, and is the caller's to poll.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt, fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

/// Where the kernel says how many folders one user may watch.
pub const WATCH_LIMIT_PATH: &str = "/proc/sys/fs/inotify/max_user_watches";
/// Room for the notices of one read.
const BUFFER_BYTES: usize = 64 << 10;

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something about a name in a folder changed.
    Changed {
        /// The folder.
        folder: Arc<Path>,
        /// The name in it; none for the folder itself.
        name: Option<OsString>,
        /// What happened.
        kind: Kind,
    },
    /// Notices were lost: everything must be looked at.
    Overflow,
}

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name is a folder.
    pub is_folder: bool,
    /// The name is new there: created or moved to.
    pub came: bool,
    /// The name is gone: deleted or moved away.
    pub went: bool,
}

/// Why a folder is not watched.
#[derive(Debug)]
pub enum WatchError {
    /// The kernel's limit is reached; its value, where it can be read.
    Limit(Option<u64>),
    /// The folder cannot be watched.
    Folder(io::Error),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(Some(limit)) => {
                write!(f, "the kernel's limit of {limit} watches is reached: raise {WATCH_LIMIT_PATH}")
            }
            Self::Limit(None) => write!(f, "the kernel's limit of watches is reached: raise {WATCH_LIMIT_PATH}"),
            Self::Folder(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WatchError {}

/// Folders that are watched.
pub struct Notices {
    queue: OwnedFd,
    folders: HashMap<i32, Arc<Path>>,
    watched: HashMap<Arc<Path>, i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("folders", &self.folders.len()).finish_non_exhaustive()
    }
}

impl Notices {
    /// Opens a queue of notices; it fails where the kernel has none, or its limit of queues is reached.
    pub fn open() -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        Ok(Self { queue, folders: HashMap::new(), watched: HashMap::new(), buffer })
    }

    /// Watches the names in `folder`; nothing happens where it is watched already.
    pub fn watch(&mut self, folder: &Path) -> Result<(), WatchError> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        let number = inotify::add_watch(&self.queue, folder, flags).map_err(|error| match error {
            Errno::NOSPC => WatchError::Limit(watch_limit()),
            other => WatchError::Folder(other.into()),
        })?;
        let folder: Arc<Path> = folder.into();
        if let Some(before) = self.folders.insert(number, Arc::clone(&folder))
            && before != folder
        {
            self.watched.remove(&before);
        }
        self.watched.insert(folder, number);
        Ok(())
    }

    /// Whether `folder` is watched.
    pub fn watches(&self, folder: &Path) -> bool {
        self.watched.contains_key(folder)
    }

    /// Folders that are watched.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Whether no folder is watched.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Stops watching `folder` and all folders below it.
    pub fn forget(&mut self, folder: &Path) {
        let gone: Vec<i32> =
            self.folders.iter().filter(|(_, path)| path.starts_with(folder)).map(|(n, _)| *n).collect();
        for number in gone {
            // The kernel may have forgotten it before us.
            inotify::remove_watch(&self.queue, number).unwrap_or_default();
            self.drop_watch(number);
        }
    }

    /// Waits up to `ms` for notices and gives those that are there.
    pub fn wait(&mut self, ms: u64) -> io::Result<Vec<Notice>> {
        let timeout = Timespec { tv_sec: (ms / 1_000) as i64, tv_nsec: (ms % 1_000 * 1_000_000) as _ };
        match poll(&mut [PollFd::new(&self.queue, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut notices = Vec::new();
        let mut ended = Vec::new();
        let mut reader = inotify::Reader::new(&self.queue, &mut self.buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    if event.events().contains(ReadFlags::IGNORED) {
                        ended.push(event.wd());
                    }
                    notices.extend(notice(&self.folders, &event));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => break,
                Err(error) => return Err(error.into()),
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        for number in ended {
            self.drop_watch(number);
        }
        Ok(notices)
    }

    fn drop_watch(&mut self, number: i32) {
        if let Some(folder) = self.folders.remove(&number)
            && self.watched.get(&folder) == Some(&number)
        {
            self.watched.remove(&folder);
        }
    }
}

fn notice(folders: &HashMap<i32, Arc<Path>>, event: &inotify::Event<'_>) -> Option<Notice> {
    let flags = event.events();
    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Notice::Overflow);
    }
    let folder = Arc::clone(folders.get(&event.wd())?);
    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
    let kind = Kind {
        is_folder: flags.contains(ReadFlags::ISDIR) || name.is_none(),
        came: flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO),
        went: flags
            .intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF),
    };
    Some(Notice::Changed { folder, name, kind })
}

/// How many folders one user may watch.
fn watch_limit() -> Option<u64> {
    fs::read_to_string(WATCH_LIMIT_PATH).ok()?.trim().parse().ok()
}

/// The path that a notice is about.
pub fn path_of(folder: &Path, name: Option<&OsStr>) -> PathBuf {
    name.map_or_else(|| folder.to_owned(), |name| folder.join(name))
}
