//! The durable queue of batches on their way up: agent to hub, hub to server.
//!
//! A batch is in the spool before it is sent, and leaves it when an acknowledgement covers it. Its
//! number rises by one from batch to batch; what had to go in between (dropped to make room, refused
//! by the receiver, damaged on disk) stays known as `skipped` until a batch that reported it is
//! acknowledged, and is counted by cause, source and severity for good. So at any moment
//!
//! ```text
//! appended = delivered + held + lost (by cause)
//! ```
//!
//! The newest batches are also kept in memory, up to a bound, so that a sender that keeps up never
//! reads the disk. A damaged row is skipped and counted; it is never met twice. What the last run
//! may have had in flight is never dropped to make room.
//!
//! Calls may read the disk for a moment where the sender is behind; none waits for a commit.

mod types;
mod record;
mod ids;
mod state;
mod rows;
mod open;
mod admin;

use self::record::{CHECKPOINTS, Held, Hole, Mark};
use self::state::{Slot, State};
use super::db::{Db, completion, ignore};
use super::map::Map;
use super::op::Op;
use super::queue::{Class, Done};
use crate::fault;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::admin::{Check, Content, Entry, Quarantined};
pub use self::record::reread;
pub use self::types::{
    Batch, Cause, Instance, Limits, Loss, Missing, NewBatch, Placed, Skipped, SpoolError, Stats, WhenFull,
};

/// A handle of a spool; a clone is another handle of the same one.
#[derive(Clone)]
pub struct Spool {
    db: Db,
    memory: Arc<Memory>,
}

/// What the writer's thread reaches too. It holds no handle of the store: were the last one to go
/// there, the file would close at some later time than its owner thinks.
struct Memory {
    state: Mutex<State>,
    bell: (smol::channel::Sender<()>, smol::channel::Receiver<()>),
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("store", self.db.name()).finish_non_exhaustive()
    }
}

impl Spool {
    /// The store below, to combine changes and to see its health.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The small map in the same file: checkpoints of sources, what receivers acknowledged. Its
    /// changes go with [`Spool::append`].
    pub fn checkpoints(&self) -> Map {
        Map::new(self.db.clone(), CHECKPOINTS)
    }

    /// Who this spool is now.
    pub fn instance(&self) -> Instance {
        self.state().name.instance
    }

    /// Takes `batches`, and `also` other changes, in one commit; `done` hears when they are durable.
    /// Without batches it commits the changes alone. Gives where the batches stand.
    pub fn append(
        &self,
        batches: Vec<NewBatch>,
        mut also: Vec<Op>,
        when_full: WhenFull,
        done: Done,
    ) -> Result<Placed, SpoolError> {
        let more = self.weigh(&batches, &also)?;
        let mut state = self.state();
        self.db.admit(more.bytes as usize + also.iter().map(Op::bytes).sum::<usize>())?;
        let mut ops = Vec::with_capacity(batches.len() + 1 + also.len());
        if !batches.is_empty() && state.over(more) {
            self.make_room(&mut state, more, when_full, &mut ops)?;
        }
        let first = state.number(state.next.position);
        for NewBatch { header, body } in batches {
            let (held, op) = Held::place(state.next.position, state.next.before, header, body);
            ops.push(op);
            state.push(held);
        }
        let end = state.next.position;
        let numbers = first..state.number(end);
        let (base, is_empty) = (state.name.base, numbers.is_empty());
        if !numbers.is_empty() {
            ops.push(state.next.put_next());
        }
        ops.append(&mut also);
        let memory = self.memory.clone();
        self.db.submit(
            ops,
            Class::Upkeep,
            Box::new(move |result| {
                if result.is_ok() {
                    if !is_empty {
                        fault::point(fault::AFTER_SPOOL);
                    }
                    memory.committed(end);
                }
                done(result);
            }),
        )?;
        Ok(Placed { numbers, base })
    }

    /// As [`Spool::append`], for async callers: ends when the batches are durable. They are taken at
    /// once, not at the first poll.
    pub fn append_durably(
        &self,
        batches: Vec<NewBatch>,
        also: Vec<Op>,
        when_full: WhenFull,
    ) -> impl Future<Output = Result<Range<u64>, SpoolError>> + Send + use<> {
        let (done, end) = completion(self.db.name());
        let taken = self.append(batches, also, when_full, done);
        async move {
            let placed = taken?;
            end.await?;
            Ok(placed.numbers)
        }
    }

    /// Durable batches from number `from` on, in order, up to `bytes_max` of bodies, but one at
    /// least where there is one. What it gives counts as sent, and is not dropped to make room.
    pub fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<Batch>, SpoolError> {
        let mut found: Vec<Held> = Vec::new();
        let mut bytes = 0;
        let mut position = {
            let state = self.state();
            state.position(from).max(state.head.position)
        };
        while found.is_empty() || bytes < bytes_max {
            let slot = self.state().slot(position);
            match slot {
                Slot::End => break,
                Slot::Missing(last) => position = last + 1,
                Slot::Memory(held) => {
                    if !found.is_empty() && bytes + held.body.len() > bytes_max {
                        break;
                    }
                    bytes += held.body.len();
                    position += 1;
                    found.push(held);
                }
                Slot::Disk(end) => {
                    let chunk = self.fetch(position, end, bytes_max.saturating_sub(bytes))?;
                    let Some(last) = chunk.last() else {
                        self.repair(&mut self.state(), position)?;
                        continue;
                    };
                    position = last.position + 1;
                    bytes += chunk.iter().map(|held| held.body.len()).sum::<usize>();
                    found.extend(chunk);
                }
            }
        }
        Ok(self.state().hand_out(found))
    }

    /// Whether what stands at number `from` and behind it can be read without the disk.
    pub fn is_at_hand(&self, from: u64) -> bool {
        let state = self.state();
        let position = state.position(from).max(state.head.position);
        !matches!(state.slot(position), Slot::Disk(_))
    }

    /// A receiver that ends whenever something was made durable since it last ended.
    pub fn bell(&self) -> smol::channel::Receiver<()> {
        self.memory.bell.1.clone()
    }

    /// The batches up to number `up_to` are durable at the receiver: they go. Gives how many events
    /// were delivered by it; 0 for an acknowledgement that came before. `NotHeld` for a number that
    /// was never appended: the spool is an older copy, see [`Spool::renumber`].
    pub fn ack(&self, up_to: u64) -> Result<u64, SpoolError> {
        let mut state = self.state();
        let mut position = state.position(up_to);
        if position >= state.durable {
            return Err(SpoolError::NotHeld { batch: up_to });
        }
        while let Some((first, _)) = state.hole_at(position) {
            // Nobody can have what was never sent; what stands before it may be covered.
            position = first.saturating_sub(1);
        }
        if position < state.head.position {
            return Ok(0);
        }
        let before = self.totals_before(&mut state, position + 1)?;
        let mut ops = Vec::new();
        let history_bytes_max = if self.db.is_sound() { state.limits.history_bytes_max } else { 0 };
        let delivered = state.acknowledge(Mark { position: position + 1, before }, history_bytes_max, &mut ops);
        self.db.submit(ops, Class::Room, ignore())?;
        Ok(delivered.events)
    }

    /// The receiver refuses this batch for good: it goes to quarantine with the `reason`, counted,
    /// and is reported as skipped.
    pub fn quarantine(&self, number: u64, reason: &str) -> Result<(), SpoolError> {
        let mut state = self.state();
        let position = state.position(number);
        let gone = SpoolError::NotHeld { batch: number };
        if position < state.head.position || position >= state.durable || state.hole_at(position).is_some() {
            return Err(gone);
        }
        let held = self.held(&state, position)?.ok_or(gone)?;
        let mut ops = admin::move_to_quarantine(&mut state, &held, reason);
        let hole = Hole { last: position, before: held.before, size: held.size(), cause: Cause::Refused };
        state.skip(position, hole, &held.header.counts, &mut ops);
        Ok(self.db.submit(ops, Class::Upkeep, ignore())?)
    }

    /// All that is held gets new numbers, from 1, under the instance `fresh`; nothing is deleted.
    /// For a spool that is an older copy than its receiver knows, and for a number that another
    /// sender used. The new instance may be shown when the future has ended; it gives the new base, see [`Placed`].
    pub fn renumber(&self, fresh: Instance) -> impl Future<Output = Result<u64, SpoolError>> + Send + use<> {
        let mut state = self.state();
        state.name.instance = fresh;
        state.name.base = state.head.position - 1;
        state.name.renumbered += 1;
        let base = state.name.base;
        let commit = self.db.commit(vec![state.name.put()], Class::Upkeep);
        async move {
            commit.await?;
            Ok(base)
        }
    }

    /// What the numbers are drawn from now, see [`Placed`].
    pub fn base(&self) -> u64 {
        self.state().name.base
    }

    /// `count` event numbers that were never given before, also not in an earlier run. `Reserving`
    /// where they are used up faster than they are reserved: await any commit, and try again.
    pub fn event_ids(&self, count: u64) -> Result<Range<u64>, SpoolError> {
        let mut state = self.state();
        let taken = state.ids.take(count);
        if let Some(limit) = state.ids.reserve(count) {
            let memory = self.memory.clone();
            let done: Done = Box::new(move |result| {
                if result.is_ok() {
                    memory.state().ids.reserved(limit);
                }
            });
            self.db.submit(vec![record::put_ids(limit)], Class::Upkeep, done)?;
        }
        taken.ok_or(SpoolError::Reserving)
    }

    /// How full it is and what went through it.
    pub fn stats(&self) -> Stats {
        let state = self.state();
        let held = state.held();
        Stats {
            batches: state.batches(),
            events: held.events,
            bytes: held.bytes,
            fill_percent: fill_percent(held.events, held.bytes, state.limits),
            first: state.number(state.head.position),
            next: state.number(state.next.position),
            durable: state.number(state.durable),
            appended: state.next.before.events,
            delivered: state.delivered,
            quarantined: state.quarantined,
            renumbered: state.name.renumbered,
        }
    }

    /// How full it will be with `more` events; of their bytes nothing is known yet.
    pub fn fill_percent_with(&self, more: u64) -> u64 {
        let state = self.state();
        let held = state.held();
        fill_percent(held.events.saturating_add(more), held.bytes, state.limits)
    }

    /// Events of batches that were taken and are not durable, by source: lost once the store is closed.
    pub fn not_durable(&self) -> BTreeMap<Box<str>, u64> {
        self.state().not_durable()
    }

    /// How much it may hold.
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Events lost in the spool's life, by cause, severity and source.
    pub fn losses(&self) -> Vec<Loss> {
        let state = self.state();
        let each = |((cause, severity, source), events): (&record::LostKey, &u64)| Loss {
            cause: *cause,
            source: source.clone(),
            severity: *severity,
            events: *events,
        };
        state.lost.iter().map(each).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.memory.state()
    }
}

/// The fuller of the two bounds.
fn fill_percent(events: u64, bytes: u64, limits: Limits) -> u64 {
    let percent = |part: u64, whole: u64| (u128::from(part) * 100 / u128::from(whole.max(1))) as u64;
    percent(events, limits.events_max).max(percent(bytes, limits.bytes_max))
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committed(&self, end: u64) {
        self.state().committed(end);
        // A bell that rang already rings.
        self.bell.0.try_send(()).unwrap_or_default();
    }
}
