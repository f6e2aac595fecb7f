//! The spool's rows: what stands in which table, drawn.
//!
//! ```text
//! spool.batches.v1     position u64  -> events before u64 | bytes before u64 | length u32 | header | body
//! spool.skipped.v1     first u64     -> last u64 | before: events u64, bytes u64 | size: events u64, bytes u64 | cause u8
//! spool.quarantine.v1  number u64    -> instance [16] | batch u64 | length u32 | reason | length u32 | header | body
//! spool.lost.v1        cause u8, severity u8, source -> events u64
//! spool.meta.v1        "instance"    -> instance [16] | base u64 | renumbered u64
//!                      "next"        -> position u64 | events u64 | bytes u64
//!                      "head"        -> position u64 | events u64 | bytes u64 | delivered u64
//!                      "ids"         -> first number not reserved u64
//! ```
//!
//! A batch's position is its place in the spool's whole life, from 1; its number on the wire is its
//! position minus `base`, so that a new instance renumbers all that is held by one small row. Each
//! row carries the totals before it: what is held, and what a damaged row held, is a difference of
//! two rows and needs no index.

use super::types::{Cause, Limits};
use crate::store::bytes::{Fields, key_of, number_of, put_bytes};
use crate::store::header::Header;
use crate::store::op::{Op, Table};
use std::sync::Arc;

pub(super) const BATCHES: Table = Table("spool.batches.v1");
pub(super) const SKIPPED: Table = Table("spool.skipped.v1");
pub(super) const QUARANTINE: Table = Table("spool.quarantine.v1");
pub(super) const LOST: Table = Table("spool.lost.v1");
pub(super) const META: Table = Table("spool.meta.v1");
pub(super) const CHECKPOINTS: Table = Table("spool.checkpoints.v1");

/// Events, and bytes of their stored form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Totals {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self { events: self.events.saturating_add(other.events), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self { events: self.events.saturating_sub(other.events), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// Whether so much may be held.
    pub(super) const fn within(self, limits: Limits) -> bool {
        self.events <= limits.events_max && self.bytes <= limits.bytes_max
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
    }

    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { events: fields.u64()?, bytes: fields.u64()? })
    }
}

/// A batch at its place.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) position: u64,
    pub(super) before: Totals,
    pub(super) header: Arc<Header>,
    pub(super) body: Arc<[u8]>,
    /// Length of the stored value.
    pub(super) bytes: u64,
}

impl Held {
    /// Places a batch, and gives the row to be stored.
    pub(super) fn place(position: u64, before: Totals, header: Header, body: Arc<[u8]>) -> (Self, Op) {
        let mut head = Vec::with_capacity(header.encoded_bytes());
        header.encode(&mut head);
        let mut value = Vec::with_capacity(Self::stored_bytes(&header, &body));
        before.put(&mut value);
        put_bytes(&mut value, &head);
        value.extend_from_slice(&body);
        let held = Self { position, before, header: Arc::new(header), body, bytes: value.len() as u64 };
        (held, Op::Put { table: BATCHES, key: key_of(position), value })
    }

    /// Length of the value that a batch will be stored as.
    pub(super) fn stored_bytes(header: &Header, body: &[u8]) -> usize {
        20 + header.encoded_bytes() + body.len()
    }

    /// Reads a row.
    pub(super) fn read(position: u64, value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        let before = Totals::take(&mut fields)?;
        let header = Header::decode(fields.bytes()?)?;
        Some(Self { position, before, header: Arc::new(header), body: fields.0.into(), bytes: value.len() as u64 })
    }

    pub(super) fn size(&self) -> Totals {
        Totals { events: self.header.events(), bytes: self.bytes }
    }

    /// The totals after it.
    pub(super) fn after(&self) -> Totals {
        self.before.plus(self.size())
    }

    /// What it weighs in memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        const OVERHEAD: usize = 256;
        self.body.len() + OVERHEAD
    }
}

/// Neighbouring positions whose batches will not be sent; kept until a later batch, which reports
/// them, is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) last: u64,
    pub(super) before: Totals,
    pub(super) size: Totals,
    pub(super) cause: Cause,
}

impl Hole {
    pub(super) fn after(&self) -> Totals {
        self.before.plus(self.size)
    }

    pub(super) fn put(&self, first: u64) -> Op {
        let mut value = self.last.to_le_bytes().to_vec();
        self.before.put(&mut value);
        self.size.put(&mut value);
        value.push(self.cause.code());
        Op::Put { table: SKIPPED, key: key_of(first), value }
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        Some(Self {
            last: fields.u64()?,
            before: Totals::take(&mut fields)?,
            size: Totals::take(&mut fields)?,
            cause: Cause::of(fields.u8()?)?,
        })
    }
}

/// The row `meta/instance`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) instance: [u8; 16],
    pub(super) base: u64,
    pub(super) renumbered: u64,
}

impl Name {
    pub(super) const KEY: &'static [u8] = b"instance";

    pub(super) fn put(&self) -> Op {
        let mut value = self.instance.to_vec();
        value.extend_from_slice(&self.base.to_le_bytes());
        value.extend_from_slice(&self.renumbered.to_le_bytes());
        meta(Self::KEY, value)
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        Some(Self { instance: fields.instance()?, base: fields.u64()?, renumbered: fields.u64()? })
    }
}

/// A position with the totals before it: the rows `meta/next` and `meta/head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: u64,
    pub(super) before: Totals,
}

impl Mark {
    pub(super) const NEXT: &'static [u8] = b"next";
    pub(super) const HEAD: &'static [u8] = b"head";
    pub(super) const FIRST: Self = Self { position: 1, before: Totals { events: 0, bytes: 0 } };

    fn encode(self) -> Vec<u8> {
        let mut value = self.position.to_le_bytes().to_vec();
        self.before.put(&mut value);
        value
    }

    pub(super) fn put_next(self) -> Op {
        meta(Self::NEXT, self.encode())
    }

    pub(super) fn put_head(self, delivered: u64) -> Op {
        let mut value = self.encode();
        value.extend_from_slice(&delivered.to_le_bytes());
        meta(Self::HEAD, value)
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut fields = Fields(value);
        Some(Self { position: fields.u64()?, before: Totals::take(&mut fields)? })
    }

    pub(super) fn read_head(value: &[u8]) -> Option<(Self, u64)> {
        let mut fields = Fields(value);
        let mark = Self { position: fields.u64()?, before: Totals::take(&mut fields)? };
        Some((mark, fields.u64()?))
    }
}

/// The row `meta/ids`.
pub(super) const IDS: &[u8] = b"ids";

pub(super) fn put_ids(limit: u64) -> Op {
    meta(IDS, limit.to_le_bytes().to_vec())
}

/// What lost events are counted under: cause, severity, source.
pub(super) type LostKey = (Cause, u8, Box<str>);

pub(super) fn put_lost(key: &LostKey, events: u64) -> Op {
    let (cause, severity, source) = key;
    let mut row = vec![cause.code(), *severity];
    row.extend_from_slice(source.as_bytes());
    Op::Put { table: LOST, key: row, value: events.to_le_bytes().to_vec() }
}

pub(super) fn read_lost(key: &[u8], value: &[u8]) -> Option<(LostKey, u64)> {
    let (&[cause, severity], source) = key.split_first_chunk::<2>()?;
    let source = std::str::from_utf8(source).ok()?;
    Some(((Cause::of(cause)?, severity, source.into()), Fields(value).u64()?))
}

fn meta(key: &[u8], value: Vec<u8>) -> Op {
    Op::Put { table: META, key: key.to_vec(), value }
}

/// The removal of the batches from `first` to `last`.
pub(super) fn delete_batches(first: u64, last: u64) -> Op {
    if first == last {
        return Op::Delete { table: BATCHES, key: key_of(first) };
    }
    Op::DeleteRange { table: BATCHES, first: key_of(first), last: key_of(last) }
}

/// Reads a row of one of the spool's tables, and gives the change that would write what was read; none where it is no
/// such row. What stands behind a row's fields is passed over.
pub fn reread(table: Table, key: &[u8], value: &[u8]) -> Option<Op> {
    match (table, key) {
        (BATCHES, _) => {
            let Held { position, before, header, body, .. } = Held::read(number_of(key)?, value)?;
            Some(Held::place(position, before, Arc::unwrap_or_clone(header), body).1)
        }
        (SKIPPED, _) => Some(Hole::read(value)?.put(number_of(key)?)),
        (LOST, _) => read_lost(key, value).map(|(key, events)| put_lost(&key, events)),
        (META, Name::KEY) => Some(Name::read(value)?.put()),
        (META, Mark::NEXT) => Some(Mark::read(value)?.put_next()),
        (META, Mark::HEAD) => Mark::read_head(value).map(|(mark, delivered)| mark.put_head(delivered)),
        _ => None,
    }
}
