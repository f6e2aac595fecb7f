//! What can go wrong in a store, told so that a person knows which file it is and what to do.
//!
//! Two layers. [`Fault`] is what one attempt at the database met; the writer answers it by opening
//! the file again or by giving up. [`StoreError`] is what callers see: intake turned away for now
//! (`Full`, `Busy`, `Failing`), or a store that is of no more use (`Damaged`, `Stopped`). A change
//! that was taken is never answered with one of the first kind: the writer keeps it until it is
//! durable.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The file could not be opened; the cause says what to do.
    Open {
        /// The file.
        store: Arc<str>,
        /// What stands in the way, and the remedy.
        cause: OpenCause,
    },
    /// The disk is full: intake is refused until there is room again, without a restart.
    Full {
        /// The file.
        store: Arc<str>,
    },
    /// Too much waits to be committed: try again after the next commit.
    Busy {
        /// The file.
        store: Arc<str>,
        /// Bytes that wait.
        waiting_bytes: usize,
    },
    /// The disk answers with errors: intake is refused while the writer tries again.
    Failing {
        /// The file.
        store: Arc<str>,
        /// The last answer of the operating system.
        message: String,
    },
    /// The file is not what this program wrote: nothing more is taken.
    Damaged {
        /// The file.
        store: Arc<str>,
        /// What was found.
        message: String,
    },
    /// A value above `STORE_VALUE_BYTES_MAX`.
    TooLarge {
        /// The file.
        store: Arc<str>,
        /// Size of the value.
        bytes: usize,
    },
    /// The operating system gave no randomness to name a new store; its answer.
    NoRandomness(String),
    /// The store was closed before the change was durable.
    Stopped {
        /// The file.
        store: Arc<str>,
    },
}

/// Why a file could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenCause {
    /// Another process has it open.
    InUse,
    /// It is not a store, or its pages contradict each other.
    Damaged(String),
    /// A later version of the program wrote it; the name of the table that says so.
    Newer(String),
    /// An earlier, incompatible version of the database library wrote it; the version of its format.
    Older(u8),
    /// The disk has no room to open it.
    Full,
    /// The operating system refused.
    Io(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { store, cause } => cause.write(store, f),
            Self::Full { store } => {
                write!(f, "the disk of {store} is full: free some space, intake goes on by itself")
            }
            Self::Busy { store, waiting_bytes } => {
                write!(f, "{waiting_bytes} bytes wait to be written to {store}: try again shortly")
            }
            Self::Failing { store, message } => {
                write!(f, "cannot write {store} ({message}): check the disk, intake goes on by itself")
            }
            Self::Damaged { store, message } => write!(f, "{store} is damaged ({message}): {}", remedy(store)),
            Self::TooLarge { store, bytes } => write!(f, "a value of {bytes} bytes is too large for {store}"),
            Self::NoRandomness(answer) => {
                write!(f, "cannot name a new store, the system gives no randomness ({answer}): check /dev/urandom")
            }
            Self::Stopped { store } => write!(f, "{store} was closed before the change was durable"),
        }
    }
}

impl std::error::Error for StoreError {}

impl OpenCause {
    fn write(&self, store: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => {
                write!(f, "{store} is open in another process: stop it, or ask it through its control socket")
            }
            Self::Damaged(what) => write!(f, "cannot open {store}, it is damaged ({what}): {}", remedy(store)),
            Self::Newer(table) => {
                write!(f, "cannot open {store}, a newer version wrote its table {table}: install that version again")
            }
            Self::Older(format) => write!(
                f,
                "cannot open {store}, its format {format} is from an older version: drain it with that version first"
            ),
            Self::Full => write!(f, "cannot open {store}, its disk is full: free some space"),
            Self::Io(what) => {
                write!(f, "cannot open {store} ({what}): check that its folder exists and belongs to this user")
            }
        }
    }
}

/// What to do with a damaged file.
fn remedy(store: &str) -> String {
    format!("move it aside (mv {store} {store}.damaged) and start again; what it held is in the moved file")
}

/// What one attempt at the database met.
#[derive(Debug)]
pub(super) enum Fault {
    /// No room on the disk, or the quota is used up.
    Full,
    /// Another error of the operating system, or one that a new opening may mend.
    Io(String),
    /// The file contradicts itself.
    Damaged(String),
}

impl Fault {
    /// Sorts what the database library reports.
    pub(super) fn from_redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => Self::from_io(&error),
            redb::Error::Corrupted(what) => Self::Damaged(what),
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)) => Self::Damaged(error.to_string()),
            error => Self::Io(error.to_string()),
        }
    }

    /// Sorts what stood in the way when the file was opened again: most of it may pass.
    pub(super) fn from_open(store: &Arc<str>, cause: OpenCause) -> Self {
        match cause {
            OpenCause::Full => Self::Full,
            cause => Self::Io(StoreError::Open { store: store.clone(), cause }.to_string()),
        }
    }

    /// Sorts an error of the operating system.
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error.to_string()),
        }
    }
}

/// Sorts what the opening of a database reports.
pub(super) fn open_cause(error: redb::DatabaseError) -> OpenCause {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => OpenCause::InUse,
        redb::DatabaseError::UpgradeRequired(format) => OpenCause::Older(format),
        redb::DatabaseError::RepairAborted => OpenCause::Damaged("its repair did not finish".to_owned()),
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(what)) => OpenCause::Damaged(what),
        redb::DatabaseError::Storage(redb::StorageError::Io(error))
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenCause::Damaged(error.to_string())
        }
        redb::DatabaseError::Storage(redb::StorageError::Io(error)) => match Fault::from_io(&error) {
            Fault::Full => OpenCause::Full,
            _ => OpenCause::Io(error.to_string()),
        },
        error => OpenCause::Damaged(error.to_string()),
    }
}
