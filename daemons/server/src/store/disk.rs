//! The store on redb: one folder, one small file that is always open, and the log's segments.
//!
//! A batch's number and hash stand in a slot of their own (`tenant | hub | number mod 1,024`) beside
//! it, so that one commit holds both and costs 16 bytes more. Retention by age drops whole segments; a
//! tenant that holds too much loses its oldest, never what was not analysed.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nms_detect::Standing;
use nms_kit::store::{
    Class, Db, Disks, Done, Found, Settings, StoreError,
    log::{Entry as Appending, Log, LogSettings, Usage},
};
use nms_proto::{
    id::{AlertId, Instance, TenantId},
    json::Decoder,
    limits::BATCH_HASHES_KEPT,
    session::receiver::{Receiver, ReceiverError},
};

use super::{
    Appended, Change, Entry, LogSeq, NewBatch, Owed, Progress, Snapshot, Store, TenantStore, entry, key::Prefix,
    look::Look, names, state, surplus,
};
use crate::config::Retention;

/// Page cache of the file that is always open, in bytes.
const STATE_CACHE_BYTES: usize = 8 << 20;
/// Page cache of the log's newest segment, in bytes.
const LOG_CACHE_BYTES: usize = 16 << 20;
const DAY_MS: i64 = 86_400_000;
/// Longest that retention's time goes on from one look to the next, which are an hour apart, in milliseconds.
const RETENTION_STEP_MS: i64 = DAY_MS;

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    state: Db,
    log: Log,
    origin: Instance,
    retention: Retention,
}

/// Everything below one folder.
#[derive(Debug)]
pub struct DiskStore {
    files: Arc<Files>,
    tenants: Mutex<Known>,
}

/// The number of each tenant in the log, and the handles that were asked for.
#[derive(Debug, Default)]
struct Known {
    numbers: BTreeMap<TenantId, u32>,
    handles: HashMap<TenantId, Arc<Handle>>,
}

#[derive(Debug)]
struct Handle {
    files: Arc<Files>,
    number: u32,
    prefix: Prefix,
    /// Held while a batch is handed over, so that its place is known beforehand.
    appending: Mutex<()>,
    alerts_let_go: AtomicU64,
}

impl DiskStore {
    /// Opens what lies in `folder`, or makes it, at `now_ms` (Unix).
    ///
    /// # Errors
    /// Names the file and what to do.
    pub fn open(folder: &Path, retention: Retention, now_ms: i64) -> Result<Self, StoreError> {
        Self::open_on(None, folder, retention, now_ms)
    }

    /// As [`DiskStore::open`], with other places than files.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn open_on(
        disks: Option<&Arc<dyn Disks>>,
        folder: &Path,
        retention: Retention,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let settings = |cache_bytes| Settings { disks: disks.cloned(), ..Settings::with_cache(cache_bytes) };
        let segments = folder.join("log");
        fs::create_dir_all(&segments).map_err(|error| StoreError::Failing {
            store: segments.display().to_string().into(),
            message: error.to_string(),
        })?;
        let state = Db::open_file(&folder.join("state.redb"), settings(STATE_CACHE_BYTES))?;
        let origin = state::prepare(&state)?;
        let log = LogSettings { store: settings(LOG_CACHE_BYTES), ..LogSettings::with_cache(LOG_CACHE_BYTES) };
        let log = Log::open(&segments, log, now_ms)?;
        let numbers = names::settle(&log, &state)?;
        let files = Arc::new(Files { folder: folder.into(), state, log, origin, retention });
        Ok(Self { files, tenants: Mutex::new(Known { numbers, handles: HashMap::new() }) })
    }

    /// What stands in the way of new data in log and state, and what to do; none where nothing does.
    pub fn problem(&self) -> Option<StoreError> {
        self.files.log.problem().or_else(|| self.files.state.problem())
    }

    /// What lies in it, for who only looks.
    pub fn look(&self) -> Look {
        let Files { folder, state, log, .. } = &*self.files;
        Look::of(folder, state.clone(), log.clone(), self.known().numbers.clone())
    }

    /// Commits what waits and closes what analysis writes to; handles find it stopped.
    pub fn close(&self) {
        self.files.state.close();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for DiskStore {
    fn tenant(&self, id: &TenantId) -> Result<Arc<dyn TenantStore>, StoreError> {
        let mut known = self.known();
        let Known { numbers, handles } = &mut *known;
        if let Some(handle) = handles.get(id) {
            return Ok(Arc::clone(handle) as Arc<dyn TenantStore>);
        }
        let prefix = Prefix::new(id);
        let number = if let Some(number) = numbers.get(id) {
            *number
        } else {
            let number = names::enlist(&self.files.log, &self.files.state, numbers, id)?;
            numbers.insert(id.clone(), number);
            number
        };
        let Files { state, log, .. } = &*self.files;
        if log.next(number) <= state::progress(state, &prefix)?.cursor.scored.0 {
            log::warn!("the log of a tenant is shorter than what was analysed of it, analysis begins anew tenant={id}");
            state::begin_anew(state, &prefix)?;
        }
        let files = Arc::clone(&self.files);
        let (appending, alerts_let_go) = (Mutex::default(), AtomicU64::default());
        let handle = Arc::new(Handle { files, number, prefix, appending, alerts_let_go });
        handles.insert(id.clone(), Arc::clone(&handle));
        Ok(handle)
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        Ok(self.known().numbers.keys().cloned().collect())
    }

    fn tidy(&self, now_ms: i64) -> Result<(), StoreError> {
        let Files { state, log, retention, .. } = &*self.files;
        let believed_ms = retention_clock(state::kept_until(state)?, log.newest_since_ms(), now_ms);
        state::keep_until(state, believed_ms)?;
        let before_ms = believed_ms - i64::from(retention.days) * DAY_MS;
        let numbers = self.known().numbers.clone();
        for (tenant, number) in numbers {
            let prefix = Prefix::new(&tenant);
            let let_go = surplus::let_go(state, &prefix, before_ms, retention.alerts)?;
            if let Some(handle) = self.known().handles.get(&tenant) {
                handle.alerts_let_go.fetch_add(let_go, Ordering::Relaxed);
            }
            let scored = state::progress(state, &prefix)?.cursor.scored;
            let before = surplus_of(&log.usage(number), retention.bytes).min(scored.0);
            log.drop_tenant_before(number, before)?;
        }
        log.drop_before(before_ms)?;
        log.compact()?;
        Ok(())
    }
}

/// The time by which retention goes at a look when the clock says `now_ms`: at most [`RETENTION_STEP_MS`] after that of the
/// look before, or where there was none after the day on which the newest segment was begun. A clock that is wrong
/// for a while costs at most a day of what is kept each time; after a long stop retention catches up in hours.
fn retention_clock(before_ms: Option<i64>, newest_since_ms: i64, now_ms: i64) -> i64 {
    now_ms.min(before_ms.unwrap_or(newest_since_ms + DAY_MS).saturating_add(RETENTION_STEP_MS))
}

/// The sequence below which a tenant's entries go, so that at most `bytes_max` stay: whole segments, never the newest.
fn surplus_of(usage: &[Usage], bytes_max: u64) -> u64 {
    let mut bytes = 0;
    let over = usage.iter().rev().skip_while(|segment| {
        bytes += segment.bytes;
        bytes <= bytes_max
    });
    let newest = usage.last().map_or(0, |newest| newest.first);
    over.map(|segment| segment.next).next().unwrap_or(0).min(newest)
}

impl Handle {
    /// Where the number and hash of a hub's batch stand.
    fn slot(&self, hub: Instance, slot: u16) -> Vec<u8> {
        [&self.number.to_be_bytes()[..], &hub.0, &slot.to_be_bytes()].concat()
    }

    fn damaged(&self, error: ReceiverError) -> StoreError {
        StoreError::Damaged { store: self.files.state.name().clone(), message: error.to_string() }
    }
}

impl TenantStore for Handle {
    fn receiver(&self, hub: Instance) -> Result<Receiver, StoreError> {
        let mut rows: Vec<Vec<u8>> = Vec::new();
        for slot in 0..BATCH_HASHES_KEPT as u16 {
            rows.extend(self.files.log.meta(&self.slot(hub, slot))?.and_then(Found::sound));
        }
        // Big-endian: the order of the bytes is the order of the numbers.
        rows.sort_unstable();
        let Some(highest) = rows.last().and_then(|row| row.first_chunk::<8>()) else { return Ok(Receiver::default()) };
        let bytes: Vec<u8> = highest.iter().chain(rows.iter().flatten()).copied().collect();
        Receiver::from_bytes(&bytes).map_err(|error| self.damaged(error))
    }

    fn origin(&self) -> Instance {
        self.files.origin
    }

    fn append(&self, batch: NewBatch, done: Appended) -> Result<(), StoreError> {
        let numbers = batch.batch.map(|number| {
            let slot = (number.0 % BATCH_HASHES_KEPT as u64) as u16;
            let value = [number.0.to_be_bytes(), batch.content_hash.to_be_bytes()].concat();
            (self.slot(batch.hub, slot), value)
        });
        let now_ms = batch.arrived_ms;
        let entry = Appending { tenant: self.number, header: entry::header(&batch), value: batch.content };
        let appending = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = LogSeq(self.files.log.next(self.number));
        let told: Done = Box::new(move |result| done(seq, result));
        self.files.log.append(&[entry], numbers.into_iter().collect(), now_ms, told)?;
        drop(appending);
        Ok(())
    }

    fn last(&self) -> LogSeq {
        LogSeq(self.files.log.next(self.number).saturating_sub(1))
    }

    fn read(&self, from: LogSeq, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let stretch = self.files.log.read(self.number, from.0, bytes_max)?;
        let mut decoder = Decoder::default();
        let decoded = stretch.entries.iter().map(|stored| entry::decode(&mut decoder, self.files.origin, stored));
        let damaged = stretch.damaged.iter().map(|seq| Entry::Damaged(LogSeq(*seq)));
        let mut entries: Vec<Entry> = decoded.chain(damaged).collect();
        entries.sort_by_key(Entry::seq);
        Ok(entries)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        state::progress(&self.files.state, &self.prefix)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        state::snapshot(&self.files.state, &self.prefix)
    }

    fn commit(&self, changes: Vec<Change>, class: Class, done: Done) -> Result<(), StoreError> {
        let mut ops = Vec::with_capacity(changes.len());
        for change in changes {
            state::ops(&self.prefix, change, &mut ops)?;
        }
        self.files.state.submit(ops, class, done)
    }

    fn owed(&self) -> Result<Vec<Owed>, StoreError> {
        state::owed(&self.files.state, &self.prefix)
    }

    fn alert(&self, id: &AlertId) -> Result<Option<Standing>, StoreError> {
        state::alert(&self.files.state, &self.prefix, id)
    }

    fn alerts_let_go(&self) -> u64 {
        self.alerts_let_go.load(Ordering::Relaxed)
    }

    fn alerts(&self) -> Result<Vec<Standing>, StoreError> {
        state::alerts(&self.files.state, &self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's clock in days at one look after the other, and retention's.
    fn check(newest_day: i64, looks: &[f64], expected: &[f64]) {
        let ms = |days: f64| (days * DAY_MS as f64) as i64;
        let mut before = None;
        for (now, expected) in looks.iter().zip(expected) {
            let believed = retention_clock(before, newest_day * DAY_MS, ms(*now));
            assert_eq!(believed, ms(*expected), "at {now} of {looks:?}");
            before = Some(believed);
        }
    }

    #[test]
    fn a_clock_that_is_set_forward_lets_go_of_a_day_a_look() {
        check(100, &[100.25, 100.5], &[100.25, 100.5]);
        // A year forward for three hours, and back.
        check(100, &[100.25, 465.0, 465.0, 465.0, 100.5], &[100.25, 101.25, 102.25, 103.25, 100.5]);
        // A start with a wrong clock; and one after a stop of a week.
        check(100, &[465.0, 100.5], &[102.0, 100.5]);
        check(100, &[107.5; 7], &[102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 107.5]);
    }
}
