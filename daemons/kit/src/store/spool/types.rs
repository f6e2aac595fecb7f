//! The words of the spool: what goes in, what comes out, why something is missing, how full it is.

use crate::store::error::StoreError;
use crate::store::header::Header;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// Who a spool is: drawn when its file is made, kept in it.
pub type Instance = [u8; 16];

/// How much a spool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events, on disk.
    pub events_max: u64,
    /// Bytes of batches with their headers, on disk.
    pub bytes_max: u64,
    /// Bytes of the newest batches, in memory too.
    pub memory_bytes_max: usize,
    /// Bytes of delivered batches that stay on disk, to be looked at again after a restart; they are not held, and
    /// cost no write of their own.
    pub history_bytes_max: u64,
}

/// Why events that were in a spool will not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The spool was full, and the source could not wait.
    SpoolFull,
    /// The receiver refused their batch for good; it is in quarantine.
    Refused,
    /// Their row on the disk was damaged.
    Damaged,
    /// They are not there, and nothing says why.
    Missing,
}

impl Cause {
    /// The word for it on the wire and on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::SpoolFull => 1,
            Self::Refused => 2,
            Self::Damaged => 3,
            Self::Missing => 4,
        }
    }

    pub(super) const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::SpoolFull),
            2 => Some(Self::Refused),
            3 => Some(Self::Damaged),
            4 => Some(Self::Missing),
            _ => None,
        }
    }
}

/// Where batches were put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Their numbers on the wire.
    pub numbers: Range<u64>,
    /// What the numbers were drawn from: a batch's position is its number and this, and stays when it is renumbered.
    pub base: u64,
}

/// Batches that will not be delivered, by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Their positions.
    pub positions: RangeInclusive<u64>,
    /// Why.
    pub cause: Cause,
}

/// Batch numbers that will not come, to be reported in the next batch that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// First number.
    pub from: u64,
    /// Last number.
    pub to: u64,
    /// Events in them.
    pub events: u64,
    /// Why.
    pub cause: Cause,
}

/// Events lost in the spool's whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: Cause,
    /// Whose; `unknown` where the row could no longer be read.
    pub source: Box<str>,
    /// Severity, or [`crate::store::header::SEVERITY_UNKNOWN`].
    pub severity: u8,
    /// How many.
    pub events: u64,
}

/// A batch to be put into the spool.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// What is known of it.
    pub header: Header,
    /// `origins` and `events`, encoded once; the same bytes are sent.
    pub body: Arc<[u8]>,
}

/// A batch to be sent.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number under the present instance.
    pub number: u64,
    /// What is known of it.
    pub header: Arc<Header>,
    /// The bytes that were appended.
    pub body: Arc<[u8]>,
    /// What is missing directly before it.
    pub skipped: Vec<Skipped>,
}

/// What an append does when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused: the source waits.
    Refuse,
    /// The oldest batches that were never sent go, whole, counted; for sources that cannot wait.
    DropOldest,
}

/// How full a spool is and what went through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Batches held.
    pub batches: u64,
    /// Events held.
    pub events: u64,
    /// Bytes held.
    pub bytes: u64,
    /// The higher of both fills, in percent of the limits.
    pub fill_percent: u64,
    /// The lowest number that is held, or [`Stats::next`] where none is.
    pub first: u64,
    /// The number that the next batch will have.
    pub next: u64,
    /// The number after the last batch that is durable: those from here to [`Stats::next`] cannot be read yet.
    pub durable: u64,
    /// Events appended in the spool's life.
    pub appended: u64,
    /// Events acknowledged in the spool's life.
    pub delivered: u64,
    /// Batches in quarantine.
    pub quarantined: u64,
    /// Times a new instance was drawn.
    pub renumbered: u64,
}

/// Why a spool did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolError {
    /// The store below.
    Store(StoreError),
    /// The spool holds as much as it may.
    Full {
        /// Events held.
        events: u64,
        /// Bytes held.
        bytes: u64,
    },
    /// A number that is not held: beyond the last batch, or already gone.
    NotHeld {
        /// The number.
        batch: u64,
    },
    /// The event numbers in reserve are used up until the next commit.
    Reserving,
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Full { events, bytes } => {
                write!(f, "the spool is full ({events} events, {bytes} bytes): check the link to the receiver")
            }
            Self::NotHeld { batch } => write!(f, "batch {batch} is not in the spool"),
            Self::Reserving => write!(f, "event numbers are being reserved: try again after the next commit"),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<StoreError> for SpoolError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
