//! The one small file that is always open: what analysis found, and how far it came.
//!
//! ```text
//! tenants.v1     tenant                     -> its number in the log u32, as the log has it too
//! alerts.v1      tenant | id                -> alert and the finding it answers, JSON
//! owed.v1        tenant | hub | seq u64     -> RESULTS, JSON
//! hubs.v1        tenant | hub               -> next seq u64
//! cursors.v1     tenant                     -> scored u64 | ticked_ms i64
//! marks.v1       tenant                     -> from u64 | to u64 | deaths u32
//! quarantine.v1  tenant | seq u64           -> reason
//! snapshots.v1   tenant | part u64          -> part 0: scored u64 | ticked_ms i64 | bytes u64 | hash u64; then lz4
//! store.v1       "origin"                   -> 16 bytes
//!                "retention"                -> the time by which retention went last, Unix milliseconds i64
//! ```
//! Everything of one [`TenantStore::commit`](super::TenantStore::commit) is one transaction here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use nms_detect::Standing;
use nms_kit::{
    digest,
    store::{Db, Found, Op, StoreError, Table, draw_instance, ignore},
};
use nms_proto::{
    id::{AlertId, Instance, TenantId},
    json,
    message::Results,
};

use super::{
    Change, Class, Cursor, LogSeq, Mark, Owed, Progress, Snapshot,
    key::{Prefix, instance, number, tenant_of},
};

const TENANTS: Table = Table("tenants.v1");
pub(super) const ALERTS: Table = Table("alerts.v1");
pub(super) const OWED: Table = Table("owed.v1");
const HUBS: Table = Table("hubs.v1");
const CURSORS: Table = Table("cursors.v1");
const MARKS: Table = Table("marks.v1");
const QUARANTINE: Table = Table("quarantine.v1");
pub(super) const SNAPSHOTS: Table = Table("snapshots.v1");
const STORE: Table = Table("store.v1");
const RETENTION: &[u8] = b"retention";
const VERSION: u32 = 1;

/// Bytes of a snapshot in one row.
const PART_BYTES: usize = 1 << 20;
/// Rows that are counted over one snapshot of the file.
const COUNTED_ROWS: u64 = 4_096;
/// Longest snapshot that is read back, in bytes.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// Refuses a file of a later version; gives the origin of events without an id, drawn with the file.
pub(super) fn prepare(db: &Db) -> Result<Instance, StoreError> {
    for table in [TENANTS, ALERTS, OWED, HUBS, CURSORS, MARKS, QUARANTINE, SNAPSHOTS, STORE] {
        let stem = table.0.rsplit_once(".v").map_or(table.0, |(stem, _)| stem);
        db.refuse_newer(stem, VERSION)?;
    }
    let key = b"origin".to_vec();
    let stored = db.read(|view| view.value(STORE, &key))?.and_then(Found::sound);
    if let Some((origin, _)) = stored.as_deref().and_then(instance) {
        return Ok(origin);
    }
    let origin = Instance(draw_instance()?);
    let put = Op::Put { table: STORE, key, value: origin.0.to_vec() };
    smol::block_on(db.commit(vec![put], Class::Upkeep))?;
    Ok(origin)
}

/// The time by which retention went last, Unix milliseconds.
pub(super) fn kept_until(db: &Db) -> Result<Option<i64>, StoreError> {
    let stored = db.read(|view| view.value(STORE, RETENTION))?.and_then(Found::sound);
    Ok(stored.and_then(|value| value.as_slice().try_into().ok()).map(i64::from_be_bytes))
}

/// Retention goes by `at_ms` now; nobody waits for that to be durable.
pub(super) fn keep_until(db: &Db, at_ms: i64) -> Result<(), StoreError> {
    let put = Op::Put { table: STORE, key: RETENTION.to_vec(), value: at_ms.to_be_bytes().to_vec() };
    db.submit(vec![put], Class::Lazy, ignore())
}

/// Every tenant with its number in the log.
pub(super) fn tenants(db: &Db) -> Result<BTreeMap<TenantId, u32>, StoreError> {
    let mut tenants = BTreeMap::new();
    db.read(|view| {
        view.range(TENANTS, &[], &[u8::MAX; 8], |key, found| {
            if let (Some(tenant), Found::Value(&[a, b, c, d])) = (tenant_of(key), found) {
                tenants.insert(tenant, u32::from_be_bytes([a, b, c, d]));
            }
            ControlFlow::Continue(())
        })
    })?;
    Ok(tenants)
}

/// Says which number each tenant has.
pub(super) fn enlist<'t>(
    db: &Db,
    numbers: impl IntoIterator<Item = (&'t TenantId, &'t u32)>,
) -> Result<(), StoreError> {
    let row =
        |(tenant, number): (&TenantId, &u32)| put(TENANTS, Prefix::new(tenant).key(&[]), number.to_be_bytes().to_vec());
    let ops = numbers.into_iter().map(row).collect();
    smol::block_on(db.commit(ops, Class::Upkeep))
}

/// What is left of a tenant's log is known no more: analysis begins anew with it.
pub(super) fn begin_anew(db: &Db, prefix: &Prefix) -> Result<(), StoreError> {
    let (first, last) = (prefix.number(0), prefix.number(u64::MAX));
    let mut ops: Vec<Op> = [CURSORS, MARKS].map(|table| Op::Delete { table, key: prefix.key(&[]) }).into();
    for table in [SNAPSHOTS, QUARANTINE] {
        ops.push(Op::DeleteRange { table, first: first.clone(), last: last.clone() });
    }
    smol::block_on(db.commit(ops, Class::Upkeep))
}

/// The operations that a change leads to.
pub(super) fn ops(prefix: &Prefix, change: Change, ops: &mut Vec<Op>) -> Result<(), StoreError> {
    match change {
        Change::Alert(alert) => {
            ops.push(put(ALERTS, prefix.key(&[alert.alert.id.as_str().as_bytes()]), encoded(&alert)?));
        }
        Change::Results { hub, seq, results } => {
            ops.push(put(OWED, prefix.hub_number(hub, seq), encoded(&results)?));
            ops.push(put(HUBS, prefix.hub(hub), seq.saturating_add(1).to_be_bytes().to_vec()));
        }
        Change::Settled { hub, from, to } => {
            let (first, last) = (prefix.hub_number(hub, from), prefix.hub_number(hub, to));
            ops.push(Op::DeleteRange { table: OWED, first, last });
        }
        Change::Cursor(cursor) => ops.push(put(CURSORS, prefix.key(&[]), cursor_bytes(cursor))),
        Change::Mark(Mark { from, to, deaths }) => {
            let value = [&from.0.to_be_bytes()[..], &to.0.to_be_bytes(), &deaths.to_be_bytes()].concat();
            ops.push(put(MARKS, prefix.key(&[]), value));
        }
        Change::Unmark => ops.push(Op::Delete { table: MARKS, key: prefix.key(&[]) }),
        Change::Quarantine { seq, reason } => {
            ops.push(put(QUARANTINE, prefix.number(seq.0), reason.as_bytes().to_vec()));
        }
        Change::Snapshot(snapshot) => snapshot_ops(prefix, &snapshot, ops),
        Change::NoSnapshot => ops.push(no_snapshot(prefix)),
        Change::Forget(hub) => {
            let (first, last) = (prefix.hub_number(hub, 0), prefix.hub_number(hub, u64::MAX));
            ops.push(Op::DeleteRange { table: OWED, first, last });
            ops.push(Op::Delete { table: HUBS, key: prefix.hub(hub) });
        }
    }
    Ok(())
}

fn put(table: Table, key: Vec<u8>, value: Vec<u8>) -> Op {
    Op::Put { table, key, value }
}

fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    let damaged = |error: json::JsonError| StoreError::Damaged { store: "alert".into(), message: error.to_string() };
    json::encode(value, &mut out).map_err(damaged)?;
    Ok(out)
}

fn cursor_bytes(cursor: Cursor) -> Vec<u8> {
    [cursor.scored.0.to_be_bytes(), cursor.ticked_ms.to_be_bytes()].concat()
}

fn cursor_of(bytes: &[u8]) -> Option<(Cursor, &[u8])> {
    let (scored, rest) = number(bytes)?;
    let (ticked, rest) = number(rest)?;
    Some((Cursor { scored: LogSeq(scored), ticked_ms: ticked as i64 }, rest))
}

fn no_snapshot(prefix: &Prefix) -> Op {
    Op::DeleteRange { table: SNAPSHOTS, first: prefix.number(0), last: prefix.number(u64::MAX) }
}

fn snapshot_ops(prefix: &Prefix, snapshot: &Snapshot, ops: &mut Vec<Op>) {
    let packed = lz4_flex::block::compress(&snapshot.bytes);
    let mut head = cursor_bytes(snapshot.cursor);
    head.extend_from_slice(&(snapshot.bytes.len() as u64).to_be_bytes());
    head.extend_from_slice(&digest::short(&packed).to_be_bytes());
    ops.push(no_snapshot(prefix));
    ops.push(put(SNAPSHOTS, prefix.number(0), head));
    for (part, bytes) in (1..).zip(packed.chunks(PART_BYTES)) {
        ops.push(put(SNAPSHOTS, prefix.number(part), bytes.to_vec()));
    }
}

/// The last snapshot; none where there is none or one part of it is damaged.
pub(super) fn snapshot(db: &Db, prefix: &Prefix) -> Result<Option<Snapshot>, StoreError> {
    let mut head = None;
    let mut packed = Vec::new();
    let mut is_sound = true;
    db.read(|view| {
        view.range(SNAPSHOTS, &prefix.number(0), &prefix.number(u64::MAX), |key, found| {
            match (number(prefix.rest(key)), found) {
                (Some((0, _)), Found::Value(value)) => head = Some(value.to_vec()),
                (Some(_), Found::Value(value)) => packed.extend_from_slice(value),
                _ => is_sound = false,
            }
            ControlFlow::Continue(())
        })
    })?;
    let snapshot = head.as_deref().filter(|_| is_sound).and_then(|head| unpack(head, &packed));
    if snapshot.is_none() && (head.is_some() || !is_sound) {
        log::warn!("a snapshot of a tenant's analysis is damaged and was left out; store={}", db.name());
    }
    Ok(snapshot)
}

fn unpack(head: &[u8], packed: &[u8]) -> Option<Snapshot> {
    let (cursor, rest) = cursor_of(head)?;
    let (length, rest) = number(rest)?;
    let (hash, _) = number(rest)?;
    if length > SNAPSHOT_BYTES_MAX || hash != digest::short(packed) {
        return None;
    }
    let bytes = lz4_flex::block::decompress(packed, length as usize).ok()?;
    Some(Snapshot { cursor, bytes })
}

pub(super) fn progress(db: &Db, prefix: &Prefix) -> Result<Progress, StoreError> {
    db.read(|view| {
        let own = prefix.key(&[]);
        let cursor = view.value(CURSORS, &own)?.and_then(Found::sound);
        let mark = view.value(MARKS, &own)?.and_then(Found::sound);
        let mut quarantined = BTreeSet::new();
        view.range(QUARANTINE, &prefix.number(0), &prefix.number(u64::MAX), |key, _| {
            quarantined.extend(number(prefix.rest(key)).map(|(seq, _)| LogSeq(seq)));
            ControlFlow::Continue(())
        })?;
        Ok(Progress {
            cursor: cursor.as_deref().and_then(cursor_of).map(|(cursor, _)| cursor).unwrap_or_default(),
            mark: mark.as_deref().and_then(mark_of),
            quarantined,
        })
    })
}

fn mark_of(bytes: &[u8]) -> Option<Mark> {
    let (from, rest) = number(bytes)?;
    let (to, rest) = number(rest)?;
    let deaths = rest.first_chunk::<4>()?;
    Some(Mark { from: LogSeq(from), to: LogSeq(to), deaths: u32::from_be_bytes(*deaths) })
}

pub(super) fn owed(db: &Db, prefix: &Prefix) -> Result<Vec<Owed>, StoreError> {
    let mut owed: Vec<Owed> = Vec::new();
    db.read(|view| {
        view.range(HUBS, &prefix.hub(Instance([0; 16])), &prefix.hub(Instance([u8::MAX; 16])), |key, found| {
            let next = if let Found::Value(value) = found { number(value).map(|(next, _)| next) } else { None };
            if let Some((hub, _)) = instance(prefix.rest(key)) {
                owed.push(Owed { hub, next: next.unwrap_or(1), waiting: Vec::new() });
            }
            ControlFlow::Continue(())
        })?;
        for Owed { hub, waiting, .. } in &mut owed {
            let (first, last) = (prefix.hub_number(*hub, 0), prefix.hub_number(*hub, u64::MAX));
            view.range(OWED, &first, &last, |key, found| {
                waiting.extend(results_of(prefix, key, &found));
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    })?;
    Ok(owed)
}

fn results_of(prefix: &Prefix, key: &[u8], found: &Found<&[u8]>) -> Option<(u64, Results)> {
    let (_, rest) = instance(prefix.rest(key))?;
    let (seq, _) = number(rest)?;
    let Found::Value(value) = found else { return None };
    Some((seq, json::decode(value).ok()?))
}

pub(super) fn alert(db: &Db, prefix: &Prefix, id: &AlertId) -> Result<Option<Standing>, StoreError> {
    let key = prefix.key(&[id.as_str().as_bytes()]);
    let stored = db.read(|view| view.value(ALERTS, &key))?.and_then(Found::sound);
    Ok(stored.and_then(|value| json::decode(&value).ok()))
}

pub(super) fn alerts(db: &Db, prefix: &Prefix) -> Result<Vec<Standing>, StoreError> {
    let mut alerts = Vec::new();
    db.read(|view| {
        view.range(ALERTS, &prefix.key(&[]), &prefix.end(), |_, found| {
            if let Found::Value(value) = found {
                alerts.extend(json::decode::<Standing>(value).ok());
            }
            ControlFlow::Continue(())
        })
    })?;
    Ok(alerts)
}

/// A tenant's rows in a table, damaged ones included.
pub(super) fn count(db: &Db, table: Table, prefix: &Prefix) -> Result<u64, StoreError> {
    let (mut from, end, mut rows) = (prefix.key(&[]), prefix.end(), 0);
    loop {
        let mut next = None;
        db.read(|view| {
            view.range(table, &from, &end, |key, _| {
                rows += 1;
                if rows % COUNTED_ROWS > 0 {
                    return ControlFlow::Continue(());
                }
                next = Some([key, &[0]].concat());
                ControlFlow::Break(())
            })
        })?;
        match next {
            Some(next) => from = next,
            None => return Ok(rows),
        }
    }
}
