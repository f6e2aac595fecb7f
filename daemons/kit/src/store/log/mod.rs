//! The server's log: the bytes of many tenants' batches, each tenant in the order of its commits.
//!
//! Entries of all tenants share files ("segments"), one a day or one for so many bytes, so that
//! retention by age removes whole files and opening after a crash is quick. All entries of one call,
//! of whatever tenant, and the caller's `meta` commit together. `meta` (what the test for duplicates
//! needs) is carried into each new segment, so that only the newest is ever asked.
//!
//! When a segment ends, the old one is made durable before the new one takes anything: an
//! acknowledgement that covers a sequence never covers a hole. A closed segment that is damaged is
//! set aside and named, and the log goes on without it; a damaged newest one is an error, because
//! what it acknowledged is not elsewhere.

mod segment;
mod look;

pub use look::is_segment;
pub use segment::{decode, encode};

use self::segment::{Carried, ENTRIES, META, Place, Segment, Share, entry_key, put_share, sequence_of};
use super::error::{OpenCause, StoreError};
use super::health::Health;
use super::op::Op;
use super::queue::{Class, Done};
use super::view::Found;
use super::writer::Settings;
use nms_proto::limits::{LOG_SEGMENT_BYTES, STORE_VALUE_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Damaged entries that one read names; it ends there.
const DAMAGED_MAX: usize = 4_096;
/// Page cache of a closed segment, in bytes.
const CLOSED_CACHE_BYTES: usize = 1 << 20;

/// An entry to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub tenant: u32,
    /// What is to be known without unpacking it.
    pub header: Vec<u8>,
    /// The batch as it came; it is compressed (lz4) in the log.
    pub value: Vec<u8>,
}

/// A row of `meta`: key and value.
pub type Meta = (Vec<u8>, Vec<u8>);

/// An entry of one tenant, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number among the tenant's entries, rising by one from 1.
    pub sequence: u64,
    /// As it was appended.
    pub header: Vec<u8>,
    /// As it was appended.
    pub value: Vec<u8>,
}

/// A stretch of one tenant's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The entries, in order.
    pub entries: Vec<Stored>,
    /// Sequences in between whose stored form is damaged; they are left out.
    pub damaged: Vec<u64>,
    /// Where to go on reading.
    pub next: u64,
}

/// What one segment holds of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The day on which the segment was begun, in milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// First sequence.
    pub first: u64,
    /// The sequence after the last.
    pub next: u64,
    /// Bytes of the stored forms that were written.
    pub bytes: u64,
}

/// How a log is run.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How the newest segment is run.
    pub store: Settings,
    /// Size at which a segment ends, in bytes of stored entries.
    pub segment_bytes: u64,
}

impl LogSettings {
    /// The usual size of a segment, with a page cache of `cache_bytes` for the newest.
    pub const fn with_cache(cache_bytes: usize) -> Self {
        Self { store: Settings::with_cache(cache_bytes), segment_bytes: LOG_SEGMENT_BYTES }
    }
}

/// A handle of the log; a clone is another handle of the same one.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    settings: LogSettings,
    /// By place; the last is the newest, which alone takes entries.
    segments: Mutex<BTreeMap<Place, Segment>>,
    set_aside: Vec<StoreError>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `folder`, or begins it there. `now_ms`: milliseconds since 1970 UTC.
    pub fn open(folder: &Path, settings: LogSettings, now_ms: i64) -> Result<Self, StoreError> {
        let mut places = places(folder)?;
        let mut segments = BTreeMap::new();
        let mut set_aside = Vec::new();
        while let Some(newest) = places.pop() {
            if let Some(segment) = Segment::open(folder, newest, settings.store.clone(), true)? {
                segments.insert(newest, segment);
                break;
            }
            // Nothing was promised of a segment whose beginning is not complete.
            remove(&newest.file(folder))?;
        }
        for place in places {
            match Segment::open(folder, place, closed(&settings.store), false) {
                Ok(segment) => segments.extend(segment.map(|segment| (place, segment))),
                Err(error @ StoreError::Open { cause: OpenCause::Damaged(_), .. }) => {
                    log::error!("a closed segment is set aside; error={error}");
                    set_aside.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        if segments.is_empty() {
            let place = Place { day: now_ms.div_euclid(DAY_MS), index: 0 };
            segments.insert(place, Segment::begin(folder, place, settings.store.clone(), Carried::default())?);
        }
        mend_next(&mut segments);
        let folder = folder.to_owned();
        Ok(Self { inner: Arc::new(Inner { folder, settings, segments: Mutex::new(segments), set_aside }) })
    }

    /// Closed segments that could not be opened.
    pub fn set_aside(&self) -> &[StoreError] {
        &self.inner.set_aside
    }

    /// How the newest segment stands.
    pub fn health(&self) -> Health {
        self.segments().last_key_value().map_or(Health::Stopped, |(_, newest)| newest.db.health())
    }

    /// Takes `entries` of any tenants and `meta` in one commit; `done` hears when they are durable.
    /// Gives the sequence of each entry. Keys of `meta` have at most 63 bytes. Where a segment ends it waits for the disk: call it from a
    /// thread that may.
    pub fn append(&self, entries: &[Entry], meta: Vec<Meta>, now_ms: i64, done: Done) -> Result<Vec<u64>, StoreError> {
        let stored: Vec<Vec<u8>> = entries.iter().map(encode).collect();
        let bytes: usize = stored.iter().map(Vec::len).sum();
        let mut segments = self.segments();
        self.turn_if_due(&mut segments, now_ms)?;
        let Some(mut newest) = segments.last_entry() else { return Err(self.stopped()) };
        let newest = newest.get_mut();
        newest.db.admit(bytes)?;
        let largest = stored.iter().chain(meta.iter().map(|(_, value)| value)).map(Vec::len).max().unwrap_or(0);
        if largest > STORE_VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { store: newest.db.name().clone(), bytes: largest });
        }
        let mut ops = Vec::with_capacity(stored.len() + meta.len() + 1);
        let mut touched: BTreeMap<u32, Share> = BTreeMap::new();
        let mut sequences = Vec::with_capacity(stored.len());
        for (entry, value) in entries.iter().zip(stored) {
            let share = newest.shares.entry(entry.tenant).or_insert(Share { first: 1, next: 1, bytes: 0 });
            sequences.push(share.next);
            let key = entry_key(entry.tenant, share.next);
            share.next += 1;
            share.bytes += value.len() as u64;
            touched.insert(entry.tenant, *share);
            ops.push(Op::Put { table: ENTRIES, key, value });
        }
        newest.bytes += bytes as u64;
        ops.extend(touched.into_iter().map(|(tenant, share)| put_share(tenant, share)));
        ops.extend(meta.into_iter().map(|(key, value)| Op::Put { table: META, key, value }));
        newest.db.submit(ops, Class::Upkeep, done)?;
        Ok(sequences)
    }

    /// The committed entries of `tenant` from sequence `from` on, up to `bytes_max` of stored bytes,
    /// but one at least where there is one.
    pub fn read(&self, tenant: u32, from: u64, bytes_max: usize) -> Result<Stretch, StoreError> {
        match self.read_once(tenant, from, bytes_max) {
            // A segment that just ended was closed to be opened again as a closed one.
            Err(StoreError::Stopped { .. }) => self.read_once(tenant, from, bytes_max),
            read => read,
        }
    }

    fn read_once(&self, tenant: u32, from: u64, bytes_max: usize) -> Result<Stretch, StoreError> {
        let sources: Vec<_> = self
            .segments()
            .values()
            .filter(|segment| segment.shares.get(&tenant).is_some_and(|share| share.next > from.max(share.first)))
            .map(|segment| segment.db.clone())
            .collect();
        let mut stretch = Stretch { next: from, ..Stretch::default() };
        let mut bytes = 0;
        for db in sources {
            let mut full = false;
            db.read(|view| {
                view.range(ENTRIES, &entry_key(tenant, stretch.next), &entry_key(tenant, u64::MAX), |key, found| {
                    let Some(sequence) = sequence_of(key) else { return ControlFlow::Continue(()) };
                    let size = if let Found::Value(stored) = &found { stored.len() } else { 0 };
                    full =
                        !stretch.entries.is_empty() && bytes + size > bytes_max || stretch.damaged.len() >= DAMAGED_MAX;
                    if full {
                        return ControlFlow::Break(());
                    }
                    bytes += size;
                    stretch.next = sequence + 1;
                    match found.sound().and_then(|stored| decode(sequence, stored)) {
                        Some(entry) => stretch.entries.push(entry),
                        None => stretch.damaged.push(sequence),
                    }
                    ControlFlow::Continue(())
                })
            })?;
            if full {
                break;
            }
        }
        Ok(stretch)
    }

    /// The committed value of a key of `meta`.
    pub fn meta(&self, key: &[u8]) -> Result<Option<Found<Vec<u8>>>, StoreError> {
        self.newest()?.read(|view| view.value(META, key))
    }

    /// The committed rows of `meta` whose keys stand from `first` to `last`, both included; damaged ones are left out.
    pub fn metas(&self, first: &[u8], last: &[u8]) -> Result<Vec<Meta>, StoreError> {
        let mut rows = Vec::new();
        self.newest()?.read(|view| {
            view.range(META, first, last, |key, found| {
                rows.extend(found.sound().map(|value| (key.to_vec(), value.to_vec())));
                ControlFlow::Continue(())
            })
        })?;
        Ok(rows)
    }

    /// Takes rows of `meta` alone, and blocks until they are durable; on a full or failing disk they are refused.
    pub fn keep(&self, meta: Vec<Meta>) -> Result<(), StoreError> {
        let ops = meta.into_iter().map(|(key, value)| Op::Put { table: META, key, value }).collect();
        let commit = {
            // Handed over under the lock: a segment that ends meanwhile carries them on.
            let segments = self.segments();
            let Some((_, newest)) = segments.last_key_value() else { return Err(self.stopped()) };
            // Refused where there is no room: who blocks for it would hold up everybody else.
            newest.db.admit(0)?;
            newest.db.commit(ops, Class::Upkeep)
        };
        smol::block_on(commit)
    }

    /// The day on which the newest segment was begun, in milliseconds since 1970 UTC; 0 where there is none.
    pub fn newest_since_ms(&self) -> i64 {
        self.segments().last_key_value().map_or(0, |(place, _)| place.day.saturating_mul(DAY_MS))
    }

    /// What stands in the way of new entries, and what to do; none where nothing does.
    pub fn problem(&self) -> Option<StoreError> {
        self.segments().last_key_value().and_then(|(_, newest)| newest.db.problem())
    }

    /// The highest number of a tenant that has, or had, entries.
    pub fn highest_tenant(&self) -> Option<u32> {
        self.segments().values().flat_map(|segment| segment.shares.keys()).max().copied()
    }

    /// The sequence that the next entry of `tenant` will have.
    pub fn next(&self, tenant: u32) -> u64 {
        let segments = self.segments();
        segments.values().next_back().and_then(|newest| newest.shares.get(&tenant)).map_or(1, |share| share.next)
    }

    /// What each segment holds of `tenant`, oldest first: what retention decides by.
    pub fn usage(&self, tenant: u32) -> Vec<Usage> {
        let segments = self.segments();
        let each = |segment: &Segment| {
            let Share { first, next, bytes } = *segment.shares.get(&tenant)?;
            (next > first).then_some(Usage { since_ms: segment.place.day.saturating_mul(DAY_MS), first, next, bytes })
        };
        segments.values().filter_map(each).collect()
    }

    /// Removes the segments that ended before `before_ms`; gives how many.
    pub fn drop_before(&self, before_ms: i64) -> Result<usize, StoreError> {
        let mut segments = self.segments();
        let ends: Vec<i64> = segments.keys().skip(1).map(|place| (place.day + 1).saturating_mul(DAY_MS)).collect();
        // A segment takes entries until the next begins, at the latest at the end of that one's first day.
        let going: Vec<Place> =
            segments.keys().zip(ends).take_while(|(_, end)| *end <= before_ms).map(|(place, _)| *place).collect();
        for place in &going {
            if let Some(segment) = segments.remove(place) {
                segment.db.close();
                remove(&place.file(&self.inner.folder))?;
            }
        }
        Ok(going.len())
    }

    /// Removes the entries of `tenant` below sequence `before`, in all segments.
    pub fn drop_tenant_before(&self, tenant: u32, before: u64) -> Result<(), StoreError> {
        let Some(last) = before.checked_sub(1) else { return Ok(()) };
        for segment in self.segments().values_mut() {
            let Some(share) = segment.shares.get_mut(&tenant).filter(|share| share.first < before) else { continue };
            share.first = before.min(share.next);
            if share.first == share.next {
                share.bytes = 0;
            }
            let delete = Op::DeleteRange { table: ENTRIES, first: entry_key(tenant, 0), last: entry_key(tenant, last) };
            let ops = vec![delete, put_share(tenant, *share)];
            segment.db.submit(ops, Class::Upkeep, super::db::ignore())?;
        }
        Ok(())
    }

    /// Gives back to the disk what deletions freed, in closed segments of which half is free. It
    /// blocks for as long as the copying takes; gives how many segments shrank.
    pub fn compact(&self) -> Result<usize, StoreError> {
        let closed: Vec<_> = {
            let segments = self.segments();
            let newest = segments.keys().next_back().copied();
            let closed = segments.values().filter(|segment| Some(segment.place) != newest);
            closed.map(|segment| (segment.place.file(&self.inner.folder), segment.db.clone())).collect()
        };
        let mut shrunk = 0;
        for (file, db) in closed {
            db.flush()?;
            let length = file.metadata().map_or(0, |meta| meta.len());
            if db.read(|view| view.stored_bytes(ENTRIES))? < length / 2 {
                shrunk += usize::from(db.compact()?);
            }
        }
        Ok(shrunk)
    }

    /// Ends the newest segment where its day or its size is over.
    fn turn_if_due(&self, segments: &mut BTreeMap<Place, Segment>, now_ms: i64) -> Result<(), StoreError> {
        let day = now_ms.div_euclid(DAY_MS);
        let Some((place, newest)) = segments.last_key_value() else { return Err(self.stopped()) };
        if day <= place.day && newest.bytes < self.inner.settings.segment_bytes {
            return Ok(());
        }
        let ended = *place;
        newest.db.admit(0)?;
        newest.db.flush()?;
        let place = ended.after(day);
        let next = Segment::begin(&self.inner.folder, place, self.inner.settings.store.clone(), newest.carried()?)?;
        segments.insert(place, next);
        self.close_segment(segments, ended);
        Ok(())
    }

    /// Runs the segment at `ended` from now on with the small cache of a closed one.
    fn close_segment(&self, segments: &mut BTreeMap<Place, Segment>, ended: Place) {
        let Some(segment) = segments.get_mut(&ended) else { return };
        segment.db.close();
        match Segment::open(&self.inner.folder, ended, closed(&self.inner.settings.store), false) {
            Ok(Some(reopened)) => segment.db = reopened.db,
            Ok(None) => {}
            Err(error) => log::error!("a segment that just ended cannot be read until a restart; error={error}"),
        }
    }

    fn newest(&self) -> Result<super::db::Db, StoreError> {
        self.segments().last_key_value().map(|(_, newest)| newest.db.clone()).ok_or_else(|| self.stopped())
    }

    fn stopped(&self) -> StoreError {
        StoreError::Stopped { store: self.inner.folder.display().to_string().into() }
    }

    fn segments(&self) -> MutexGuard<'_, BTreeMap<Place, Segment>> {
        self.inner.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(newest: &Settings) -> Settings {
    Settings { cache_bytes: CLOSED_CACHE_BYTES.min(newest.cache_bytes), ..newest.clone() }
}

/// No sequence is given twice, also where the newest segment's row of a tenant was damaged.
fn mend_next(segments: &mut BTreeMap<Place, Segment>) {
    let mut highest: BTreeMap<u32, u64> = BTreeMap::new();
    for (tenant, share) in segments.values().flat_map(|segment| &segment.shares) {
        let next = highest.entry(*tenant).or_insert(1);
        *next = share.next.max(*next);
    }
    if let Some(mut newest) = segments.last_entry() {
        for (tenant, next) in highest {
            let share = newest.get_mut().shares.entry(tenant).or_insert(Share { first: next, next, bytes: 0 });
            if share.next < next {
                *share = Share { first: next, next, bytes: share.bytes };
            }
        }
    }
}

/// The places of the segments in `folder`, in order.
fn places(folder: &Path) -> Result<Vec<Place>, StoreError> {
    let listed = std::fs::read_dir(folder).map_err(|error| io(folder, &error))?;
    let mut places = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| io(folder, &error))?;
        places.extend(entry.file_name().to_str().and_then(Place::of_file));
    }
    places.sort_unstable();
    Ok(places)
}

fn remove(file: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(file).map_err(|error| io(file, &error))
}

fn io(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Open { store: path.display().to_string().into(), cause: OpenCause::Io(error.to_string()) }
}
