//! One file of the log, and its rows.
//!
//! ```text
//! log.entries.v1   tenant u32, sequence u64 (big-endian)  -> length u32 | header | size u32 | lz4 of the value
//! log.tenants.v1   tenant u32                             -> next sequence u64 | bytes in this file u64
//! log.meta.v1      the caller's keys                      -> the caller's values, carried to the next file
//! log.segment.v1   "ready"                                -> nothing: what was carried is complete
//! ```

use super::{Entry, Stored};
use crate::store::bytes::{Fields, put_bytes};
use crate::store::db::Db;
use crate::store::error::StoreError;
use crate::store::op::{Op, Table};
use crate::store::view::{Found, ReadError, View};
use crate::store::writer::Settings;
use nms_proto::limits::STORE_VALUE_BYTES_MAX;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(super) const ENTRIES: Table = Table("log.entries.v1");
pub(super) const TENANTS: Table = Table("log.tenants.v1");
pub(super) const META: Table = Table("log.meta.v1");
const SEGMENT: Table = Table("log.segment.v1");
const READY: &[u8] = b"ready";

/// A file's place in the log: the day it was begun (days since 1970 UTC), and which of that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) day: i64,
    pub(super) index: u32,
}

impl Place {
    /// The place after this one for a file begun on `day`; a clock that went back begins none.
    pub(super) fn after(self, day: i64) -> Self {
        if day > self.day { Self { day, index: 0 } } else { Self { day: self.day, index: self.index + 1 } }
    }

    pub(super) fn file(self, folder: &Path) -> PathBuf {
        folder.join(format!("log-{:08}-{:04}.redb", self.day, self.index))
    }

    pub(super) fn of_file(name: &str) -> Option<Self> {
        let (day, index) = name.strip_prefix("log-")?.strip_suffix(".redb")?.split_once('-')?;
        Some(Self { day: day.parse().ok()?, index: index.parse().ok()? })
    }
}

/// What a file holds of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// First sequence that may be here.
    pub(super) first: u64,
    /// The sequence after the last.
    pub(super) next: u64,
    /// Bytes written here.
    pub(super) bytes: u64,
}

/// An open file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) place: Place,
    pub(super) db: Db,
    pub(super) shares: BTreeMap<u32, Share>,
    pub(super) bytes: u64,
}

impl Segment {
    /// Opens the file at `place`; `None` where the power went before it was begun.
    pub(super) fn open(
        folder: &Path,
        place: Place,
        settings: Settings,
        active: bool,
    ) -> Result<Option<Self>, StoreError> {
        let db = database(folder, place, settings, active)?;
        db.refuse_newer("log.", 1)?;
        let ready = db.read(|view| view.value(SEGMENT, READY))?.is_some();
        if !ready {
            return Ok(None);
        }
        let shares = db.read(read_shares)?;
        let bytes = shares.values().map(|share| share.bytes).sum();
        Ok(Some(Self { place, db, shares, bytes }))
    }

    /// Begins a file with what is `carried` from the one before, durably.
    pub(super) fn begin(folder: &Path, place: Place, settings: Settings, carried: Carried) -> Result<Self, StoreError> {
        use crate::store::queue::Class;
        let db = database(folder, place, settings, true)?;
        db.admit(0)?;
        let mut ops: Vec<Op> = Vec::with_capacity(carried.meta.len() + carried.next.len() + 1);
        ops.extend(carried.meta.into_iter().map(|(key, value)| Op::Put { table: META, key, value }));
        let shares: BTreeMap<u32, Share> =
            carried.next.into_iter().map(|(tenant, next)| (tenant, Share { first: next, next, bytes: 0 })).collect();
        ops.extend(shares.iter().map(|(tenant, share)| put_share(*tenant, *share)));
        ops.push(Op::Put { table: SEGMENT, key: READY.to_vec(), value: Vec::new() });
        smol::block_on(db.commit(ops, Class::Upkeep))?;
        Ok(Self { place, db, shares, bytes: 0 })
    }

    /// What the next file begins with.
    pub(super) fn carried(&self) -> Result<Carried, StoreError> {
        let mut meta = Vec::new();
        self.db.read(|view| {
            view.range(META, &[], &[u8::MAX; 64], |key, found| {
                if let Found::Value(value) = found {
                    meta.push((key.to_vec(), value.to_vec()));
                }
                ControlFlow::Continue(())
            })
        })?;
        Ok(Carried { meta, next: self.shares.iter().map(|(tenant, share)| (*tenant, share.next)).collect() })
    }
}

/// What goes from one file to the next.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) meta: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) next: Vec<(u32, u64)>,
}

fn database(folder: &Path, place: Place, settings: Settings, active: bool) -> Result<Db, StoreError> {
    // One reserve serves the folder; closed files need none.
    let reserve = folder.join("log.reserve");
    let backing = settings.backing(&place.file(folder), active.then_some(reserve.as_path()));
    Db::open(backing, settings)
}

pub(super) fn read_shares(view: &View) -> Result<BTreeMap<u32, Share>, ReadError> {
    let mut shares = BTreeMap::new();
    view.range(TENANTS, &[0; 4], &[u8::MAX; 4], |key, found| {
        let tenant = key.try_into().ok().map(u32::from_be_bytes);
        let mut fields = Fields(found.sound().unwrap_or_default());
        let share = fields.u64().zip(fields.u64()).map(|(next, bytes)| Share { first: 0, next, bytes });
        shares.extend(tenant.map(|tenant| (tenant, share.unwrap_or_default())));
        ControlFlow::Continue(())
    })?;
    for (tenant, share) in &mut shares {
        let (low, high) = (entry_key(*tenant, 0), entry_key(*tenant, u64::MAX));
        share.first = share.next;
        view.range(ENTRIES, &low, &high, |key, _| {
            share.first = sequence_of(key).unwrap_or(share.first);
            ControlFlow::Break(())
        })?;
        // A damaged row of the tenant is mended by its entries: no sequence is given twice.
        let last = view.last(ENTRIES, &low, &high)?.and_then(|(key, _)| sequence_of(&key));
        share.next = share.next.max(last.map_or(0, |last| last + 1));
        share.first = share.first.min(share.next);
    }
    Ok(shares)
}

pub(super) fn put_share(tenant: u32, share: Share) -> Op {
    let mut value = share.next.to_le_bytes().to_vec();
    value.extend_from_slice(&share.bytes.to_le_bytes());
    Op::Put { table: TENANTS, key: tenant.to_be_bytes().to_vec(), value }
}

pub(super) fn entry_key(tenant: u32, sequence: u64) -> Vec<u8> {
    let mut key = tenant.to_be_bytes().to_vec();
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn sequence_of(key: &[u8]) -> Option<u64> {
    key.get(4..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The stored form of an entry; the value is compressed here, outside of any lock.
pub fn encode(entry: &Entry) -> Vec<u8> {
    let packed = lz4_flex::block::compress(&entry.value);
    let mut stored = Vec::with_capacity(8 + entry.header.len() + packed.len());
    put_bytes(&mut stored, &entry.header);
    stored.extend_from_slice(&(entry.value.len() as u32).to_le_bytes());
    stored.extend_from_slice(&packed);
    stored
}

/// Reads the stored form of the entry of that number; none where it is none, or is said to be longer than a value may be.
pub fn decode(sequence: u64, stored: &[u8]) -> Option<Stored> {
    let mut fields = Fields(stored);
    let header = fields.bytes()?.to_vec();
    let size = usize::try_from(fields.u32()?).ok().filter(|size| *size <= STORE_VALUE_BYTES_MAX)?;
    let value = lz4_flex::block::decompress(fields.0, size).ok()?;
    Some(Stored { sequence, header, value })
}
