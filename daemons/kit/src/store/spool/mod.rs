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

mod admin;
mod ids;
mod open;
mod record;
mod rows;
mod state;

use self::record::{CHECKPOINTS, Held, Hole, Mark, Totals};
use self::state::{Slot, State};
use super::db::{Db, completion, ignore};
use super::error::StoreError;
use super::header::Header;
use super::map::Map;
use super::op::Op;
use super::queue::{Class, Done};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::admin::{Check, Entry, Quarantined};

/// Who a spool is: drawn when its file is made, kept in it.
pub type Instance = [u8; 16];

/// How much a spool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events, on disk.
    pub events_max: u64,
    /// Bytes of batches with their headers, on disk.
    pub bytes_max: u64,
    /// Bytes of the newest batches, in memory too.
    pub memory_bytes_max: usize,
    /// Bytes of delivered batches that stay on disk, to be looked at again after a restart; they are not held, and
    /// cost no write of their own.
    pub history_bytes_max: u64,
}

impl Limits {
    /// Whether `held` is within the limits.
    fn hold(&self, held: Totals) -> bool {
        held.events <= self.events_max && held.bytes <= self.bytes_max
    }
}

/// Why events that were in a spool will not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The spool was full, and the source could not wait.
    SpoolFull,
    /// The receiver refused their batch for good; it is in quarantine.
    Refused,
    /// Their row on the disk was damaged.
    Damaged,
}

impl Cause {
    /// The word for it on the wire and on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::SpoolFull => 1,
            Self::Refused => 2,
            Self::Damaged => 3,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::SpoolFull),
            2 => Some(Self::Refused),
            3 => Some(Self::Damaged),
            _ => None,
        }
    }
}

/// Batch numbers that will not come, to be reported in the next batch that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// First number.
    pub from: u64,
    /// Last number.
    pub to: u64,
    /// Events in them.
    pub events: u64,
    /// Why.
    pub cause: Cause,
}

/// Events lost in the spool's whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: Cause,
    /// Whose; `unknown` where the row could no longer be read.
    pub source: Box<str>,
    /// Severity, or [`super::header::SEVERITY_UNKNOWN`].
    pub severity: u8,
    /// How many.
    pub events: u64,
}

/// A batch to be put into the spool.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// What is known of it.
    pub header: Header,
    /// `origins` and `events`, encoded once; the same bytes are sent.
    pub body: Arc<[u8]>,
}

/// A batch to be sent.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number under the present instance.
    pub number: u64,
    /// What is known of it.
    pub header: Arc<Header>,
    /// The bytes that were appended.
    pub body: Arc<[u8]>,
    /// What is missing directly before it.
    pub skipped: Vec<Skipped>,
}

/// What an append does when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused: the source waits.
    Refuse,
    /// The oldest batches that were never sent go, whole, counted; for sources that cannot wait.
    DropOldest,
}

/// How full a spool is and what went through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Batches held.
    pub batches: u64,
    /// Events held.
    pub events: u64,
    /// Bytes held.
    pub bytes: u64,
    /// The higher of both fills, in percent of the limits.
    pub fill_percent: u64,
    /// The lowest number that is held, or [`Stats::next`] where none is.
    pub first: u64,
    /// The number that the next batch will have.
    pub next: u64,
    /// Events appended in the spool's life.
    pub appended: u64,
    /// Events acknowledged in the spool's life.
    pub delivered: u64,
    /// Batches in quarantine.
    pub quarantined: u64,
    /// Times a new instance was drawn.
    pub renumbered: u64,
}

/// Why a spool did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolError {
    /// The store below.
    Store(StoreError),
    /// The spool holds as much as it may.
    Full {
        /// Events held.
        events: u64,
        /// Bytes held.
        bytes: u64,
    },
    /// A number that is not held: beyond the last batch, or already gone.
    NotHeld {
        /// The number.
        batch: u64,
    },
    /// The event numbers in reserve are used up until the next commit.
    Reserving,
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Full { events, bytes } => {
                write!(f, "the spool is full ({events} events, {bytes} bytes): check the link to the receiver")
            }
            Self::NotHeld { batch } => write!(f, "batch {batch} is not in the spool"),
            Self::Reserving => write!(f, "event numbers are being reserved: try again after the next commit"),
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<StoreError> for SpoolError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

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
    /// Without batches it commits the changes alone. Gives the numbers of the batches.
    pub fn append(
        &self,
        batches: Vec<NewBatch>,
        mut also: Vec<Op>,
        when_full: WhenFull,
        done: Done,
    ) -> Result<Range<u64>, SpoolError> {
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
                    memory.committed(end);
                }
                done(result);
            }),
        )?;
        Ok(numbers)
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
            let numbers = taken?;
            end.await?;
            Ok(numbers)
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
        let delivered = state.acknowledge(Mark { position: position + 1, before }, &mut ops);
        self.db.submit(ops, Class::Lazy, ignore())?;
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
    /// sender used. The new instance may be shown when the future has ended.
    pub fn renumber(&self, fresh: Instance) -> impl Future<Output = Result<(), SpoolError>> + Send + use<> {
        let mut state = self.state();
        state.name.instance = fresh;
        state.name.base = state.head.position - 1;
        state.name.renumbered += 1;
        let commit = self.db.commit(vec![state.name.put()], Class::Upkeep);
        async move { Ok(commit.await?) }
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
        let percent = |part: u64, whole: u64| (u128::from(part) * 100 / u128::from(whole.max(1))) as u64;
        Stats {
            batches: state.batches(),
            events: held.events,
            bytes: held.bytes,
            fill_percent: percent(held.events, state.limits.events_max)
                .max(percent(held.bytes, state.limits.bytes_max)),
            first: state.number(state.head.position),
            next: state.number(state.next.position),
            appended: state.next.before.events,
            delivered: state.delivered,
            quarantined: state.quarantined,
            renumbered: state.name.renumbered,
        }
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
