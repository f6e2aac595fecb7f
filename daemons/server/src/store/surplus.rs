//! Which alerts are let go: those that are too old, and the oldest where there are too many.
//!
//! Alerts are looked at one after another and never held together: a stretch of rows is read, of which
//! only age and status are decoded, and what goes is deleted in one commit a stretch.

use std::{collections::BinaryHeap, ops::ControlFlow};

use nms_kit::store::{Class, Db, Found, Op, StoreError};
use nms_proto::{alert::Status, json, time::Stamp};
use serde::Deserialize;

use super::{key::Prefix, state::ALERTS};

/// Rows that are read, or deleted, at a time.
const STRETCH_ROWS: usize = 4_096;
/// Surplus alerts that are picked at a time.
const PICKED_MAX: usize = 65_536;

/// What decides of an alert; the rest of it is passed over.
#[derive(Deserialize)]
struct Row {
    alert: Fate,
}

#[derive(Deserialize)]
struct Fate {
    last_seen: Option<Stamp>,
    status: Status,
}

/// The order in which alerts go: those that are over first, each by its last event; then its key.
type Rank = (bool, i64, Vec<u8>);

fn rank(key: &[u8], value: &[u8]) -> Option<Rank> {
    let Row { alert: Fate { last_seen, status } } = json::decode(value).ok()?;
    let is_over = matches!(status, Status::Closed | Status::Resolved);
    Some((!is_over, last_seen.map_or(i64::MAX, |last| last.unix_ms), key.to_vec()))
}

/// Lets go of a tenant's alerts whose last event is older than `before_ms`, and of the oldest above `alerts_max`; gives
/// how many the latter were. It waits for the disk.
pub(super) fn let_go(db: &Db, prefix: &Prefix, before_ms: i64, alerts_max: usize) -> Result<u64, StoreError> {
    let mut kept = 0;
    each_stretch(db, prefix, |rows| {
        let (old, rest): (Vec<Rank>, Vec<Rank>) = rows.into_iter().partition(|(_, last_ms, _)| *last_ms < before_ms);
        kept += rest.len();
        delete(db, old)
    })?;
    let surplus = kept.saturating_sub(alerts_max);
    let mut left = surplus;
    while left > 0 {
        let picked = left.min(PICKED_MAX);
        let mut first = BinaryHeap::with_capacity(picked + 1);
        each_stretch(db, prefix, |rows| {
            for row in rows {
                first.push(row);
                if first.len() > picked {
                    first.pop();
                }
            }
            Ok(())
        })?;
        if first.is_empty() {
            break;
        }
        left = left.saturating_sub(first.len());
        delete(db, first.into_vec())?;
    }
    Ok(surplus as u64)
}

fn each_stretch(
    db: &Db,
    prefix: &Prefix,
    mut look: impl FnMut(Vec<Rank>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut from, end) = (prefix.key(&[]), prefix.end());
    loop {
        let (mut rows, mut seen, mut next) = (Vec::new(), 0, None);
        db.read(|view| {
            view.range(ALERTS, &from, &end, |key, found| {
                if let Found::Value(value) = found {
                    rows.extend(rank(key, value));
                }
                seen += 1;
                if seen < STRETCH_ROWS {
                    return ControlFlow::Continue(());
                }
                next = Some([key, &[0]].concat());
                ControlFlow::Break(())
            })
        })?;
        look(rows)?;
        match next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

fn delete(db: &Db, rows: Vec<Rank>) -> Result<(), StoreError> {
    let mut ops = rows.into_iter().map(|(_, _, key)| Op::Delete { table: ALERTS, key }).peekable();
    while ops.peek().is_some() {
        smol::block_on(db.commit(ops.by_ref().take(STRETCH_ROWS).collect(), Class::Lazy))?;
    }
    Ok(())
}
