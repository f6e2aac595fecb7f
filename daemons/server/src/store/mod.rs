//! What the server keeps, and the one door to it: [`Store::tenant`].
//!
//! ```text
//! log/         segments shared by tenants: (tenant, seq) -> batch, lz4; the numbers of its senders, and whose is whose
//! state.redb   alerts, cursors, marks, snapshots, quarantine, results that wait for hubs
//! ```
//! A handle knows its tenant; no call of it takes another one's name, so no call can span tenants. The
//! traits are what a store must be able to do; [`disk`] is the one on redb. A batch is appended with
//! the numbers of its sender in one commit and answered after it; what analysis found is committed
//! with the cursor up to which it looked.

mod key;
pub mod entry;
mod state;
mod names;
mod surplus;
pub mod look;
pub mod disk;

use std::{collections::BTreeSet, fmt, sync::Arc};

use nms_detect::Standing;
pub use nms_kit::store::{Class, Done, StoreError};
use nms_proto::{
    event::Event,
    id::{AlertId, BatchSeq, Instance, TenantId},
    message::Results,
    session::receiver::Receiver,
};

/// A batch's place in its tenant's log: rising in the order of commit, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSeq(pub u64);

impl LogSeq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for LogSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A batch on its way into the log.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// The hub that sent it.
    pub hub: Instance,
    /// Its number there; none from an original sender.
    pub batch: Option<BatchSeq>,
    /// Hash of its content.
    pub content_hash: u64,
    /// When it came, on the tenant's analysis clock.
    pub arrived_ms: i64,
    /// Its origins and events as they came.
    pub content: Vec<u8>,
}

/// A batch of the log, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Where it stands.
    pub seq: LogSeq,
    /// The hub that sent it.
    pub hub: Instance,
    /// When it came, on the tenant's analysis clock: Unix milliseconds that never go back.
    pub arrived_ms: i64,
    /// Length of its content, in bytes.
    pub bytes: usize,
    /// Its events; those of an original sender are named by their place.
    pub events: Vec<Event>,
}

/// One entry as a read of the log meets it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A batch.
    Batch(Arc<Logged>),
    /// Bytes that are no batch any more: skipped and counted.
    Damaged(LogSeq),
}

impl Entry {
    /// Where it stands.
    pub fn seq(&self) -> LogSeq {
        match self {
            Self::Batch(logged) => logged.seq,
            Self::Damaged(seq) => *seq,
        }
    }
}

/// How far analysis came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here is analysed, and what it led to is stored.
    pub scored: LogSeq,
    /// Up to when, on the tenant's analysis clock, deadlines were handled after it.
    pub ticked_ms: i64,
}

/// Written before batches are analysed that may have ended the process before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first.
    pub from: LogSeq,
    /// The last.
    pub to: LogSeq,
    /// How often in a row the process ended at it before, where it names one batch.
    pub deaths: u32,
}

/// Where analysis takes up again after a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How far it came.
    pub cursor: Cursor,
    /// What it was about to analyse when the process ended.
    pub mark: Option<Mark>,
    /// Batches that are never analysed again.
    pub quarantined: BTreeSet<LogSeq>,
}

/// A tenant's analysis as it was at a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How far it had come.
    pub cursor: Cursor,
    /// Its state.
    pub bytes: Vec<u8>,
}

/// RESULTS that are owed to one hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Owed {
    /// The hub.
    pub hub: Instance,
    /// The next number to give.
    pub next: u64,
    /// What was not acknowledged, by rising number.
    pub waiting: Vec<(u64, Results)>,
}

/// One change to what is kept of a tenant. Those handed over together are committed together.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert at a new revision.
    Alert(Box<Standing>),
    /// RESULTS for a hub, under their number.
    Results {
        /// The hub.
        hub: Instance,
        /// Rising per hub.
        seq: u64,
        /// What it is told.
        results: Box<Results>,
    },
    /// RESULTS that are not owed any more, `from` and `to` included.
    Settled {
        /// The hub.
        hub: Instance,
        /// The lowest number.
        from: u64,
        /// The highest.
        to: u64,
    },
    /// How far analysis came.
    Cursor(Cursor),
    /// What is about to be analysed.
    Mark(Mark),
    /// It was analysed.
    Unmark,
    /// This batch is not analysed again.
    Quarantine {
        /// Which.
        seq: LogSeq,
        /// Why.
        reason: Box<str>,
    },
    /// The state to take up from.
    Snapshot(Snapshot),
    /// There is no such state any more.
    NoSnapshot,
    /// A hub is forgotten: its results and numbers.
    Forget(Instance),
}

/// Called once, with the place of a batch, when it is durable or never will be. It must be short.
pub type Appended = Box<dyn FnOnce(LogSeq, Result<(), StoreError>) + Send>;

/// What is kept of all tenants.
pub trait Store: Send + Sync + fmt::Debug {
    /// The handle of a tenant; a new one is empty.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    fn tenant(&self, id: &TenantId) -> Result<Arc<dyn TenantStore>, StoreError>;

    /// The tenants of whom anything is kept.
    ///
    /// # Errors
    /// As [`Store::tenant`].
    fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;

    /// Lets go of what is older or more than is to be kept, at `now_ms` (Unix).
    ///
    /// # Errors
    /// As [`Store::tenant`].
    fn tidy(&self, now_ms: i64) -> Result<(), StoreError>;
}

/// What is kept of one tenant.
pub trait TenantStore: Send + Sync + fmt::Debug {
    /// What is durable of a hub's batches.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    fn receiver(&self, hub: Instance) -> Result<Receiver, StoreError>;

    /// The origin of events that came without an id.
    fn origin(&self) -> Instance;

    /// Hands a batch to the log. `done` is called with its place when it is durable, in the order of the appends.
    ///
    /// # Errors
    /// It is not taken now; `done` is not called.
    fn append(&self, batch: NewBatch, done: Appended) -> Result<(), StoreError>;

    /// The place of the last batch that was handed over.
    fn last(&self) -> LogSeq;

    /// Durable batches from `from` on, in order, up to `bytes_max` of them as stored and at least one.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn read(&self, from: LogSeq, bytes_max: usize) -> Result<Vec<Entry>, StoreError>;

    /// Where analysis takes up.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn progress(&self) -> Result<Progress, StoreError>;

    /// The last snapshot; none where there is none, or none that can be read.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn snapshot(&self) -> Result<Option<Snapshot>, StoreError>;

    /// Commits changes together. `done` is called when they are durable, in the order of the calls.
    ///
    /// # Errors
    /// The store is of no use any more; `done` is not called.
    fn commit(&self, changes: Vec<Change>, class: Class, done: Done) -> Result<(), StoreError>;

    /// What is owed to each hub.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn owed(&self) -> Result<Vec<Owed>, StoreError>;

    /// An alert at its last revision.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn alert(&self, id: &AlertId) -> Result<Option<Standing>, StoreError>;

    /// Alerts that were let go since the start because there were too many.
    fn alerts_let_go(&self) -> u64;

    /// All alerts, each at its last revision, in the order of their ids.
    ///
    /// # Errors
    /// As [`TenantStore::receiver`].
    fn alerts(&self) -> Result<Vec<Standing>, StoreError>;
}
