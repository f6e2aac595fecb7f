//! The log of all tenants, in segments: a file a day or a gibibyte, the newest written.
//!
//! ```text
//! log/00000007.redb
//!   batches.v1   tenant | seq u64            -> entry (see entry.rs)
//!   numbers.v1   tenant | hub | slot u16     -> batch u64 | content hash u64    slot = batch mod 1,024
//!   sizes.v1     tenant                      -> bytes of its entries here u64
//!   segment.v1   "made"                      -> Unix milliseconds i64
//! ```
//! A batch and its number commit together; the numbers are carried into each new segment, so that the
//! newest one answers what is durable of a sender. Age drops whole files; a tenant that holds too much
//! loses its part of the oldest closed ones. Nothing that was not analysed yet is let go.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nms_kit::store::{Class, Db, FileBacking, Found, Op, Settings, StoreError, Table};
use nms_proto::{
    id::{Instance, TenantId},
    limits::{BATCH_HASHES_KEPT, LOG_SEGMENT_BYTES},
    session::receiver::Receiver,
};

use super::{
    Appended, LogSeq, NewBatch, entry,
    key::{Prefix, number, tenant_of},
};
use crate::config::Retention;

const BATCHES: Table = Table("batches.v1");
const NUMBERS: Table = Table("numbers.v1");
const SIZES: Table = Table("sizes.v1");
const SEGMENT: Table = Table("segment.v1");
const VERSION: u32 = 1;
const MADE: &[u8] = b"made";

/// Page cache of the segment that is written, and of one that is only read, in bytes.
const CACHE_BYTES: usize = 16 << 20;
const CLOSED_CACHE_BYTES: usize = 1 << 20;
const DAY_MS: i64 = 86_400_000;
/// Rows that are carried into a new segment in one commit.
const CARRIED_ROWS: usize = 4_096;

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// None while nobody needs it.
    db: Option<Db>,
    made_ms: i64,
    /// Bytes of entries, by tenant.
    sizes: HashMap<TenantId, u64>,
}

impl Segment {
    fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }
}

#[derive(Debug, Default)]
struct Inner {
    segments: BTreeMap<u64, Segment>,
    /// The last place given to each tenant.
    last: HashMap<TenantId, LogSeq>,
}

/// The segments of a folder.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    retention: Retention,
    inner: Mutex<Inner>,
}

fn failing(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Failing { store: path.display().to_string().into(), message: error.to_string() }
}

impl Log {
    /// Opens the segments in `folder`, or makes the first one, at `now_ms` (Unix).
    pub(super) fn open(folder: &Path, retention: Retention, now_ms: i64) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| failing(folder, &error))?;
        let log = Self { folder: folder.into(), retention, inner: Mutex::default() };
        let mut inner = log.inner();
        for entry in fs::read_dir(folder).map_err(|error| failing(folder, &error))? {
            let path = entry.map_err(|error| failing(folder, &error))?.path();
            let is_segment = path.extension().is_some_and(|extension| extension == "redb");
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (true, Some(number)) = (is_segment, number) {
                inner.segments.insert(number, read_segment(path)?);
            }
        }
        if inner.segments.is_empty() {
            log.begin(&mut inner, now_ms)?;
        }
        drop(inner);
        Ok(log)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next segment, with the numbers of the one before.
    fn begin(&self, inner: &mut Inner, now_ms: i64) -> Result<(), StoreError> {
        let number = inner.segments.keys().next_back().map_or(1, |last| last + 1);
        let path = self.folder.join(format!("{number:08}.redb"));
        let db = open_current(&self.folder, &path)?;
        if let Some(before) = inner.newest() {
            // Appends are answered in order: nothing may wait in the old file when the new one takes over.
            before.flush()?;
            carry(&before, &db)?;
        }
        // Written last: a segment without it was not finished, and is begun again.
        let made = Op::Put { table: SEGMENT, key: MADE.to_vec(), value: now_ms.to_be_bytes().to_vec() };
        smol::block_on(db.commit(vec![made], Class::Upkeep))?;
        inner.segments.insert(number, Segment { path, db: Some(db), made_ms: now_ms, sizes: HashMap::new() });
        Ok(())
    }

    /// What is durable of a hub's batches.
    pub(super) fn receiver(&self, prefix: &Prefix, hub: Instance) -> Result<Receiver, StoreError> {
        let Some(db) = self.current()? else { return Ok(Receiver::default()) };
        let mut rows = Vec::new();
        let (first, last) = (prefix.key(&[&hub.0, &[0; 2]]), prefix.key(&[&hub.0, &[u8::MAX; 2]]));
        db.read(|view| {
            view.range(NUMBERS, &first, &last, |_, found| {
                if let Found::Value(value) = found {
                    rows.extend(<[u8; 16]>::try_from(value).ok());
                }
                ControlFlow::Continue(())
            })
        })?;
        // Big-endian: the order of the bytes is the order of the numbers.
        rows.sort_unstable();
        let Some(highest) = rows.last().and_then(|row| row.first_chunk::<8>()) else { return Ok(Receiver::default()) };
        let bytes: Vec<u8> = highest.iter().chain(rows.iter().flatten()).copied().collect();
        let damaged = |error: nms_proto::session::receiver::ReceiverError| StoreError::Damaged {
            store: db.name().clone(),
            message: error.to_string(),
        };
        Receiver::from_bytes(&bytes).map_err(damaged)
    }

    /// The last place given to a tenant, at least `scored`.
    pub(super) fn last(&self, tenant: &TenantId, prefix: &Prefix, scored: LogSeq) -> Result<LogSeq, StoreError> {
        let mut inner = self.inner();
        if let Some(last) = inner.last.get(tenant) {
            return Ok(*last);
        }
        let mut last = scored;
        let (low, high) = (prefix.number(0), prefix.number(u64::MAX));
        for number in inner.segments.keys().rev().copied().collect::<Vec<_>>() {
            let db = self.db(&mut inner, number)?;
            let found = db.read(|view| view.last(BATCHES, &low, &high))?;
            if let Some((key, _)) = found {
                last = last.max(LogSeq(self::number(prefix.rest(&key)).map_or(0, |(seq, _)| seq)));
                break;
            }
        }
        inner.last.insert(tenant.clone(), last);
        Ok(last)
    }

    /// Hands a batch to the newest segment, under the tenant's next place.
    pub(super) fn append(
        &self,
        tenant: &TenantId,
        prefix: &Prefix,
        batch: &NewBatch<'_>,
        done: Appended,
    ) -> Result<(), StoreError> {
        // Packed before the lock is taken: others append meanwhile.
        let value = entry::encode(batch);
        let mut inner = self.inner();
        let Inner { segments, last } = &mut *inner;
        let Some(segment) = segments.values_mut().next_back() else { return Ok(()) };
        let Some(db) = segment.db.clone() else { return Ok(()) };
        let seq = last.get(tenant).copied().unwrap_or_default().next();
        let size = segment.sizes.get(tenant).copied().unwrap_or(0) + value.len() as u64;
        let mut ops = vec![
            Op::Put { table: BATCHES, key: prefix.number(seq.0), value },
            Op::Put { table: SIZES, key: prefix.key(&[]), value: size.to_be_bytes().to_vec() },
        ];
        if let Some(number) = batch.batch {
            let slot = ((number.0 % BATCH_HASHES_KEPT as u64) as u16).to_be_bytes();
            let value = [number.0.to_be_bytes(), batch.content_hash.to_be_bytes()].concat();
            ops.push(Op::Put { table: NUMBERS, key: prefix.key(&[&batch.hub.0, &slot]), value });
        }
        db.submit(ops, Class::Intake, Box::new(move |result| done(seq, result)))?;
        last.insert(tenant.clone(), seq);
        segment.sizes.insert(tenant.clone(), size);
        Ok(())
    }

    /// Stored entries from `from` on, in order, up to `bytes_max` and at least one.
    pub(super) fn read(
        &self,
        prefix: &Prefix,
        from: LogSeq,
        bytes_max: usize,
        mut take: impl FnMut(LogSeq, Found<&[u8]>),
    ) -> Result<(), StoreError> {
        let mut left = bytes_max;
        let mut is_first = true;
        for db in self.holding(prefix, from)? {
            db.read(|view| {
                view.range(BATCHES, &prefix.number(from.0), &prefix.number(u64::MAX), |key, found| {
                    let Some((seq, _)) = number(prefix.rest(key)) else { return ControlFlow::Continue(()) };
                    let bytes = if let Found::Value(value) = &found { value.len() } else { 0 };
                    if !is_first && bytes > left {
                        left = 0;
                        return ControlFlow::Break(());
                    }
                    is_first = false;
                    left = left.saturating_sub(bytes);
                    take(LogSeq(seq), found);
                    ControlFlow::Continue(())
                })
            })?;
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The segments that hold a tenant's entries from `from` on, oldest first.
    fn holding(&self, prefix: &Prefix, from: LogSeq) -> Result<Vec<Db>, StoreError> {
        let mut inner = self.inner();
        let mut holding = Vec::new();
        for number in inner.segments.keys().rev().copied().collect::<Vec<_>>() {
            let db = self.db(&mut inner, number)?;
            let mut first = None;
            db.read(|view| {
                view.range(BATCHES, &prefix.number(0), &prefix.number(u64::MAX), |key, _| {
                    first = self::number(prefix.rest(key)).map(|(seq, _)| LogSeq(seq));
                    ControlFlow::Break(())
                })
            })?;
            if first.is_some() {
                holding.push(db);
            }
            if first.is_some_and(|first| first <= from) {
                break;
            }
        }
        holding.reverse();
        Ok(holding)
    }

    /// The tenants with entries.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        let inner = self.inner();
        let mut tenants: Vec<_> = inner.segments.values().flat_map(|segment| segment.sizes.keys().cloned()).collect();
        tenants.sort();
        tenants.dedup();
        tenants
    }

    /// Forgets a hub's numbers.
    pub(super) fn forget(&self, prefix: &Prefix, hub: Instance) -> Result<(), StoreError> {
        let Some(db) = self.current()? else { return Ok(()) };
        let (first, last) = (prefix.key(&[&hub.0, &[0; 2]]), prefix.key(&[&hub.0, &[u8::MAX; 2]]));
        db.submit(vec![Op::DeleteRange { table: NUMBERS, first, last }], Class::Lazy, nms_kit::store::ignore())
    }

    /// Begins a new segment where it is time, and lets go of what is too old or too much. `scored`: how far a tenant's
    /// analysis came.
    pub(super) fn tidy(&self, now_ms: i64, scored: impl Fn(&TenantId) -> LogSeq) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let is_due = inner.segments.values().next_back().is_some_and(|newest| {
            newest.bytes() >= LOG_SEGMENT_BYTES || (newest.bytes() > 0 && now_ms - newest.made_ms >= DAY_MS)
        });
        if is_due {
            self.begin(&mut inner, now_ms)?;
        }
        let oldest_ms = now_ms - i64::from(self.retention.days) * DAY_MS;
        let numbers: Vec<u64> = inner.segments.keys().rev().skip(1).copied().collect();
        let mut kept: HashMap<TenantId, u64> =
            inner.segments.values().next_back().map(|newest| newest.sizes.clone()).unwrap_or_default();
        let mut ended_ms = inner.segments.values().next_back().map_or(now_ms, |newest| newest.made_ms);
        for number in numbers {
            let is_old = ended_ms < oldest_ms;
            ended_ms = inner.segments.get(&number).map_or(ended_ms, |segment| segment.made_ms);
            self.thin(&mut inner, number, is_old, &mut kept, &scored)?;
        }
        Ok(())
    }

    /// Lets go of tenants' parts of a closed segment: all of them where it `is_old`; the file where nothing is left.
    fn thin(
        &self,
        inner: &mut Inner,
        number: u64,
        is_old: bool,
        kept: &mut HashMap<TenantId, u64>,
        scored: &impl Fn(&TenantId) -> LogSeq,
    ) -> Result<(), StoreError> {
        let sizes = inner.segments.get(&number).map(|segment| segment.sizes.clone()).unwrap_or_default();
        let mut ops = Vec::new();
        for (tenant, bytes) in &sizes {
            let total = kept.entry(tenant.clone()).or_default();
            *total += bytes;
            if !is_old && *total <= self.retention.bytes {
                continue;
            }
            let prefix = Prefix::new(tenant);
            let (first, last) = (prefix.number(0), prefix.number(u64::MAX));
            let found = self.db(inner, number)?.read(|view| view.last(BATCHES, &first, &last))?;
            let highest = found.and_then(|(key, _)| self::number(prefix.rest(&key)).map(|(seq, _)| LogSeq(seq)));
            if highest.is_some_and(|highest| highest > scored(tenant)) {
                continue;
            }
            ops.push(Op::DeleteRange { table: BATCHES, first, last });
            ops.push(Op::Delete { table: SIZES, key: prefix.key(&[]) });
            *total -= bytes;
            if let Some(segment) = inner.segments.get_mut(&number) {
                segment.sizes.remove(tenant);
            }
        }
        let is_empty = inner.segments.get(&number).is_some_and(|segment| segment.sizes.is_empty());
        if is_empty {
            return remove(inner, number);
        }
        if !ops.is_empty() {
            smol::block_on(self.db(inner, number)?.commit(ops, Class::Upkeep))?;
        }
        // A closed segment is opened again by whoever reads it.
        if let Some(segment) = inner.segments.get_mut(&number) {
            segment.db = None;
        }
        Ok(())
    }

    /// The segment that is written.
    fn current(&self) -> Result<Option<Db>, StoreError> {
        let mut inner = self.inner();
        let newest = inner.segments.keys().next_back().copied();
        newest.map(|number| self.db(&mut inner, number)).transpose()
    }

    /// A segment's database, opened where it is not.
    fn db(&self, inner: &mut Inner, number: u64) -> Result<Db, StoreError> {
        let newest = inner.segments.keys().next_back().copied();
        let Some(segment) = inner.segments.get_mut(&number) else {
            return Err(StoreError::Stopped { store: self.folder.display().to_string().into() });
        };
        if let Some(db) = &segment.db {
            return Ok(db.clone());
        }
        let db = if newest == Some(number) {
            open_current(&self.folder, &segment.path)?
        } else {
            open_closed(&segment.path)?
        };
        segment.db = Some(db.clone());
        Ok(db)
    }

    /// Commits what waits.
    pub(super) fn close(&self) {
        for segment in self.inner().segments.values_mut() {
            if let Some(db) = &segment.db {
                db.close();
            }
        }
    }
}

impl Inner {
    fn newest(&self) -> Option<Db> {
        self.segments.values().next_back().and_then(|segment| segment.db.clone())
    }
}

fn open_current(folder: &Path, path: &Path) -> Result<Db, StoreError> {
    let reserve = folder.join("reserve");
    Db::open(Box::new(FileBacking::with_reserve(path, Some(&reserve))), Settings::with_cache(CACHE_BYTES))
}

fn open_closed(path: &Path) -> Result<Db, StoreError> {
    Db::open(Box::new(FileBacking::with_reserve(path, None)), Settings::with_cache(CLOSED_CACHE_BYTES))
}

/// What a file says of itself; its database is closed again.
fn read_segment(path: PathBuf) -> Result<Segment, StoreError> {
    let db = open_closed(&path)?;
    for table in [BATCHES, NUMBERS, SIZES, SEGMENT] {
        db.refuse_newer(table.0.rsplit_once(".v").map_or(table.0, |(stem, _)| stem), VERSION)?;
    }
    let mut sizes = HashMap::new();
    let made = db.read(|view| {
        view.range(SIZES, &[], &[u8::MAX; 8], |key, found| {
            if let (Some(tenant), Found::Value(value)) = (tenant_of(key), found) {
                sizes.insert(tenant, number(value).map_or(0, |(bytes, _)| bytes));
            }
            ControlFlow::Continue(())
        })?;
        view.value(SEGMENT, MADE)
    })?;
    let made = made.and_then(Found::sound);
    let made_ms = made.as_deref().and_then(number).map_or(0, |(made, _)| made as i64);
    Ok(Segment { path, db: None, made_ms, sizes })
}

/// Copies the numbers of all senders.
fn carry(from: &Db, to: &Db) -> Result<(), StoreError> {
    let mut ops = Vec::new();
    from.read(|view| {
        view.range(NUMBERS, &[], &[u8::MAX; 8], |key, found| {
            if let Found::Value(value) = found {
                ops.push(Op::Put { table: NUMBERS, key: key.to_vec(), value: value.to_vec() });
            }
            ControlFlow::Continue(())
        })
    })?;
    for rows in ops.chunks(CARRIED_ROWS) {
        smol::block_on(to.commit(rows.to_vec(), Class::Upkeep))?;
    }
    Ok(())
}

fn remove(inner: &mut Inner, number: u64) -> Result<(), StoreError> {
    let Some(segment) = inner.segments.remove(&number) else { return Ok(()) };
    if let Some(db) = segment.db {
        db.close();
    }
    fs::remove_file(&segment.path).map_err(|error| failing(&segment.path, &error))
}
