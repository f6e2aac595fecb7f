//! Opening a spool: a new one is named, an old one found where it was left.
//!
//! The few small rows that say where the spool begins and ends are checked like all others. Where
//! one is damaged the batches themselves tell; where the name or the reserved numbers are damaged, a
//! new instance is drawn, because numbers that may have been given before must not be given again
//! under the same name. A restart never needs hands.

use super::ids::Ids;
use super::record::{
    BATCHES, Held, Hole, IDS, LOST, LostKey, META, Mark, Name, QUARANTINE, SKIPPED, put_ids, read_lost,
};
use super::state::State;
use super::{Instance, Limits, Memory, Spool, SpoolError};
use crate::store::bytes::{Fields, key_of, number_of};
use crate::store::db::Db;
use crate::store::health::Health;
use crate::store::queue::Class;
use crate::store::view::{Found, ReadError, View};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

impl Spool {
    /// Opens the spool in `db`, or makes it there under the name `fresh` (see
    /// [`crate::store::draw_instance`]), which is also taken where the old name is damaged. It waits
    /// for a commit where it had to write.
    pub fn open(db: Db, limits: Limits, fresh: Instance) -> Result<Self, SpoolError> {
        db.refuse_newer("spool.", 1)?;
        let found = db.read(Rows::read)?;
        let (mut state, named) = found.settle(limits, fresh);
        state.kept_at(db.read(|view| delivered_marks(view, state.head.position))?);
        if named || db.health() == Health::Sound {
            let mut ops = Vec::new();
            if named {
                // A new name must be durable before it is shown: without room there is no new spool.
                db.admit(0)?;
                ops.extend([state.name.put(), state.next.put_next(), state.head.put_head(state.delivered)]);
            }
            if let Some(limit) = state.ids.reserve(0) {
                ops.push(put_ids(limit));
                smol::block_on(db.commit(ops, Class::Upkeep))?;
                state.ids.reserved(limit);
            }
        }
        let bell = smol::channel::bounded(1);
        // Whoever only looks at a spool keeps all of it.
        let may_go = limits.history_bytes_max < u64::MAX;
        let memory = Arc::new(Memory { state: Mutex::new(state), bell });
        if may_go {
            let memory = memory.clone();
            db.set_relief(Arc::new(move || memory.state().drop_history()));
        }
        Ok(Self { db, memory })
    }
}

/// A small row: not there, damaged, or read.
type Row<T> = Option<Found<T>>;

/// What the tables hold, as far as it is needed to begin.
struct Rows {
    name: Row<Name>,
    next: Row<Mark>,
    head: Row<(Mark, u64)>,
    ids: Row<u64>,
    first: Option<Mark>,
    last: Option<Mark>,
    holes: BTreeMap<u64, Hole>,
    lost: BTreeMap<LostKey, u64>,
    quarantined: u64,
    quarantine_next: u64,
}

impl Rows {
    fn read(view: &View) -> Result<Self, ReadError> {
        let (low, high) = (key_of(0), key_of(u64::MAX));
        let mut first = None;
        view.range(BATCHES, &low, &high, |key, found| {
            first = batch_mark(key, found.sound(), false);
            ControlFlow::Break(())
        })?;
        let last = view.last(BATCHES, &low, &high)?;
        let quarantine_last = view.last(QUARANTINE, &low, &high)?.and_then(|(key, _)| number_of(&key));
        Ok(Self {
            name: row(view, Name::KEY, Name::read)?,
            next: row(view, Mark::NEXT, Mark::read)?,
            head: row(view, Mark::HEAD, Mark::read_head)?,
            ids: row(view, IDS, |value| Fields(value).u64())?,
            first,
            last: last.and_then(|(key, found)| batch_mark(&key, found.sound().as_deref(), true)),
            holes: read_holes(view)?,
            lost: read_losses(view)?,
            quarantined: view.len(QUARANTINE)?,
            quarantine_next: quarantine_last.map_or(1, |last| last + 1),
        })
    }

    /// The state to begin with, and whether it has a new name.
    fn settle(self, limits: Limits, fresh: Instance) -> (State, bool) {
        let sound_head = self.head.clone().and_then(Found::sound);
        let sound_next = self.next.clone().and_then(Found::sound);
        let first_hole = self.holes.iter().next().map(|(first, hole)| Mark { position: *first, before: hole.before });
        let last_hole =
            self.holes.values().next_back().map(|hole| Mark { position: hole.last + 1, before: hole.after() });
        let earliest = self.first.into_iter().chain(first_hole).min_by_key(|mark| mark.position);
        let latest = self.last.into_iter().chain(last_hole).max_by_key(|mark| mark.position);
        let next = sound_next.or(latest).or(sound_head.map(|(mark, _)| mark)).unwrap_or(Mark::FIRST);
        let head = sound_head.map(|(mark, _)| mark).or(earliest).unwrap_or(next);

        let ids = self.ids.clone().and_then(Found::sound);
        let name =
            self.name.and_then(Found::sound).filter(|_| ids.is_some() && (sound_head, sound_next) != (None, None));
        let named = name.is_none();
        let renumbered = u64::from(next != Mark::FIRST);
        let name = name.unwrap_or(Name { instance: fresh, base: head.position - 1, renumbered });
        if named && renumbered > 0 {
            log::warn!("the name of a spool was damaged, it has a new one and sends again what it holds");
        }

        let ids = Ids::starting_at(if named { 0 } else { ids.unwrap_or(0) });
        let mut state = State::new(limits, name, head, 0, next, ids);
        state.holes = self.holes.into_iter().filter(|(first, _)| *first >= head.position).collect();
        state.lost = self.lost;
        state.quarantined = self.quarantined;
        state.quarantine_next = self.quarantine_next;
        let lost: u64 = state.lost.values().sum();
        state.delivered = sound_head.map_or_else(
            || next.before.events.saturating_sub(state.held().events).saturating_sub(lost),
            |(_, delivered)| delivered,
        );
        (state, named)
    }
}

/// Where the delivered batches that are still on disk begin.
fn delivered_marks(view: &View, head: u64) -> Result<Vec<Mark>, ReadError> {
    let mut marks = Vec::new();
    view.range(BATCHES, &key_of(0), &key_of(head.saturating_sub(1)), |key, found| {
        marks.extend(batch_mark(key, found.sound(), false));
        ControlFlow::Continue(())
    })?;
    Ok(marks)
}

fn row<T>(view: &View, key: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Result<Row<T>, ReadError> {
    let found = view.value(META, key)?;
    Ok(found.map(|found| found.sound().and_then(|value| read(&value)).map_or(Found::Damaged, Found::Value)))
}

/// Where the batch under `key` begins, or ends; a damaged one weighs nothing.
fn batch_mark(key: &[u8], value: Option<&[u8]>, end: bool) -> Option<Mark> {
    let position = number_of(key)?;
    let held = value.and_then(|value| Held::read(position, value));
    let (before, after) = held.map_or_else(Default::default, |held| (held.before, held.after()));
    Some(if end { Mark { position: position + 1, before: after } } else { Mark { position, before } })
}

fn read_holes(view: &View) -> Result<BTreeMap<u64, Hole>, ReadError> {
    let mut holes = BTreeMap::new();
    view.range(SKIPPED, &key_of(0), &key_of(u64::MAX), |key, found| {
        // A hole that is lost shows as damaged rows, and is found again.
        holes.extend(number_of(key).zip(found.sound().and_then(Hole::read)));
        ControlFlow::Continue(())
    })?;
    Ok(holes)
}

fn read_losses(view: &View) -> Result<BTreeMap<LostKey, u64>, ReadError> {
    let mut lost = BTreeMap::new();
    view.range(LOST, &[0], &[u8::MAX], |key, found| {
        lost.extend(found.sound().and_then(|value| read_lost(key, value)));
        ControlFlow::Continue(())
    })?;
    Ok(lost)
}
