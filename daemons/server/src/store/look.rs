//! The store as somebody sees it who only looks: the log and `state.redb`, by the tenants' names.
//!
//! The files are those of the server that runs, or are opened here where none does. Nothing is written,
//! and what is read comes in pages, each over a snapshot of its own, so that nobody is held up for long.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use nms_kit::store::{
    Db, FileBacking, Settings, StoreError,
    log::{Log, Stored},
};
use nms_proto::{
    id::{BatchSeq, Instance, TenantId},
    json::Decoder,
};

use super::{Entry, LogSeq, Snapshot, entry, key::Prefix, names, state};

/// Stored bytes of batches that are looked at in one snapshot, but one batch at least.
const PAGE_BYTES: usize = 64 << 10;
/// Page cache of a state file that is looked at, in bytes.
const CACHE_BYTES: usize = 1 << 20;

/// The account of who may enrol, and who is enrolled, in the state folder.
pub const IDENTITY: &str = "identity.redb";

/// Log and state, and whose is whose.
#[derive(Debug)]
pub struct Look {
    folder: PathBuf,
    log: Log,
    state: Option<Db>,
    identity: Option<Db>,
    numbers: BTreeMap<TenantId, u32>,
    closed: Vec<StoreError>,
}

/// A batch of the log as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The hub that sent it.
    pub hub: Instance,
    /// Its number there; none from an original sender.
    pub batch: Option<BatchSeq>,
    /// When it came, Unix milliseconds.
    pub arrived_ms: i64,
    /// Events in it.
    pub events: usize,
    /// `"origins":[...],"events":[...]` as they came.
    pub content: Vec<u8>,
}

/// A page of a tenant's log.
#[derive(Debug, Default)]
pub struct Page {
    /// What stands at each place; nothing where the bytes there are no batch any more.
    pub entries: Vec<(LogSeq, Option<Raw>)>,
    /// Where the next page begins.
    pub next: LogSeq,
}

/// What is kept of a tenant beside its log.
#[derive(Debug, Default)]
pub struct Kept {
    /// Up to here it is analysed.
    pub analysed: LogSeq,
    /// Alerts.
    pub alerts: u64,
    /// RESULTS that no hub acknowledged.
    pub results_owed: u64,
    /// The last state of its analysis.
    pub snapshot: Snapshotted,
}

/// How a snapshot was found.
#[derive(Debug, Default)]
pub enum Snapshotted {
    /// There is none.
    #[default]
    None,
    /// Its bytes are as they were written.
    Sound(Snapshot),
    /// They are not.
    Damaged,
}

impl Look {
    pub(super) fn of(folder: &Path, state: Db, log: Log, numbers: BTreeMap<TenantId, u32>) -> Self {
        let closed = log.set_aside().to_vec();
        Self { folder: folder.into(), log, state: Some(state), identity: None, numbers, closed }
    }

    /// Opens what lies in `folder`, where no server runs. What is damaged is left out and named.
    ///
    /// # Errors
    /// There is no log, somebody has it open, or the disk does not answer.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let log = Log::look(&folder.join("log"))?;
        let mut closed = log.set_aside().to_vec();
        let state = open_file(&folder.join("state.redb"), &mut closed)?;
        let identity = open_file(&folder.join(IDENTITY), &mut closed)?;
        let mut numbers = names::in_log(&log).unwrap_or_default();
        if let Some(state) = &state {
            for (tenant, number) in state::tenants(state).unwrap_or_default() {
                // The log is believed where it names the tenant or gives the number to another.
                if !numbers.values().any(|taken| *taken == number) {
                    numbers.entry(tenant).or_insert(number);
                }
            }
        }
        Ok(Self { folder: folder.into(), log, state, identity, numbers, closed })
    }

    /// With the account of who is enrolled, which the server that runs has open.
    #[must_use]
    pub fn with_identity(self, identity: Option<Db>) -> Self {
        Self { identity, ..self }
    }

    /// The account of who is enrolled; none where there is none, or it cannot be opened.
    pub fn identity(&self) -> Option<&Db> {
        self.identity.as_ref()
    }

    /// The tenants, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.numbers.keys()
    }

    /// Files that could not be opened, and why.
    pub fn closed(&self) -> &[StoreError] {
        &self.closed
    }

    /// The state folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The state file; none where there is none, or it cannot be opened.
    pub fn state(&self) -> Option<&Db> {
        self.state.as_ref()
    }

    /// What the state file says of a tenant.
    ///
    /// # Errors
    /// It cannot be read, and what to do.
    pub fn kept(&self, tenant: &TenantId) -> Result<Kept, StoreError> {
        let Some(state) = &self.state else { return Ok(Kept::default()) };
        let prefix = Prefix::new(tenant);
        let parts = state::count(state, state::SNAPSHOTS, &prefix)?;
        let snapshot = match state::snapshot(state, &prefix)? {
            _ if parts == 0 => Snapshotted::None,
            None => Snapshotted::Damaged,
            Some(snapshot) => Snapshotted::Sound(snapshot),
        };
        Ok(Kept {
            analysed: state::progress(state, &prefix)?.cursor.scored,
            alerts: state::count(state, state::ALERTS, &prefix)?,
            results_owed: state::count(state, state::OWED, &prefix)?,
            snapshot,
        })
    }

    /// A page of a tenant's log from `from` on; no entries behind its end, and of a tenant that is not known.
    ///
    /// # Errors
    /// A file cannot be read, and what to do.
    pub fn page(&self, tenant: &TenantId, from: LogSeq) -> Result<Page, StoreError> {
        let Some(number) = self.numbers.get(tenant) else { return Ok(Page::default()) };
        let stretch = self.log.read(*number, from.0, PAGE_BYTES)?;
        let mut decoder = Decoder::default();
        let sound = stretch.entries.into_iter().map(|stored| (LogSeq(stored.sequence), raw(&mut decoder, stored)));
        let damaged = stretch.damaged.into_iter().map(|sequence| (LogSeq(sequence), None));
        let mut entries: Vec<_> = sound.chain(damaged).collect();
        entries.sort_by_key(|(seq, _)| *seq);
        Ok(Page { entries, next: LogSeq(stretch.next) })
    }
}

/// A store's file where it is there; one that is damaged is left out and named in `closed`.
fn open_file(file: &Path, closed: &mut Vec<StoreError>) -> Result<Option<Db>, StoreError> {
    if !file.exists() {
        return Ok(None);
    }
    match Db::open(Box::new(FileBacking::with_reserve(file, None)), Settings::with_cache(CACHE_BYTES)) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if is_damage(&error) => {
            closed.push(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether a file is of no use, rather than out of reach.
fn is_damage(error: &StoreError) -> bool {
    use nms_kit::store::OpenCause::{Damaged, Newer, Older};
    matches!(error, StoreError::Open { cause: Damaged(_) | Newer(_) | Older(_), .. } | StoreError::Damaged { .. })
}

/// A stored entry taken apart; nothing where it is no batch that analysis could read.
fn raw(decoder: &mut Decoder, stored: Stored) -> Option<Raw> {
    let Entry::Batch(logged) = entry::decode(decoder, Instance::UNNAMED, &stored) else { return None };
    let entry::Head { hub, batch, arrived_ms } = entry::head(&stored.header)?;
    let batch = (batch > 0).then_some(BatchSeq(batch));
    Some(Raw { hub, batch, arrived_ms, events: logged.events.len(), content: stored.value })
}
