//! From named events to the spool: numbers, batches, and commits that hold together what belongs together.
//!
//! ```text
//! next_id -> push_group ... mark -> flush:  [closed batches] + [checkpoints]  one commit  -> done
//! ```
//! A chunk's checkpoints commit with, and never before, the last of its events: when a batch that was
//! closed in the middle of a chunk is committed, the open one is closed and goes with it. One owner
//! calls this from its own thread; a full or busy store makes it wait, which is how pressure reaches
//! the sources.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use nms_proto::{
    event::Event,
    flow::batcher::{Batcher, ClosedBatch},
    id::{BatchSeq, EventId, EventSeq, Instance},
    json::JsonError,
    message::{BatchHeader, SourceCount},
    time::Tick,
};
use smol::channel::Sender;

use crate::{
    clock,
    intake::Checkpoint,
    store::{
        StoreError,
        header::{Count, Header},
        spool::{NewBatch, Spool, SpoolError, WhenFull},
    },
};

/// Event numbers taken from the spool at a time.
const IDS_AT_ONCE: u64 = 4_096;
/// Wait before a refused commit is tried again, in milliseconds.
const RETRY_MS: u64 = 5;
/// Time without a commit after which the log says so, in milliseconds.
const STUCK_MS: u64 = 5_000;

/// A batch that went into the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Its number.
    pub batch: BatchSeq,
    /// Its events by source and severity.
    pub counts: Vec<SourceCount>,
}

/// The way into a spool.
#[derive(Debug)]
pub struct Spooler {
    spool: Spool,
    batcher: Batcher,
    instance: Instance,
    ids: Range<u64>,
    checkpoints: Vec<Checkpoint>,
    waiters: Vec<Sender<()>>,
}

impl Spooler {
    /// The way into `spool`.
    pub fn new(spool: Spool) -> Self {
        let instance = Instance(spool.instance());
        Self { spool, batcher: Batcher::default(), instance, ids: 0..0, checkpoints: Vec::new(), waiters: Vec::new() }
    }

    /// The spool.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Events in a batch, as the receiver asks.
    pub fn set_events_max(&mut self, events: usize) {
        self.batcher.set_events_max(events);
    }

    /// The spool's events are named anew from now on.
    pub fn renumbered(&mut self) {
        self.instance = Instance(self.spool.instance());
    }

    /// The next event's name; it was never given before. Waits where numbers are used faster than they are reserved.
    ///
    /// # Errors
    /// The store is damaged or closed.
    pub fn next_id(&mut self) -> Result<EventId, SpoolError> {
        while self.ids.is_empty() {
            match self.spool.event_ids(IDS_AT_ONCE) {
                Ok(ids) => self.ids = ids,
                Err(SpoolError::Reserving) => self.spool.db().flush()?,
                Err(error) => return Err(error),
            }
        }
        let seq = self.ids.start;
        self.ids.start += 1;
        Ok(EventId { instance: self.instance, seq: EventSeq(seq) })
    }

    /// Adds events that commit together: one, and the findings it completed.
    ///
    /// # Errors
    /// An event that cannot be encoded; it was not added.
    pub fn push_group(&mut self, now: Tick, group: &[Event]) -> Result<(), JsonError> {
        self.batcher.push_group(now, group)
    }

    /// Commits `checkpoints` with everything that was pushed so far, and tells `done` when that is durable.
    pub fn mark(&mut self, checkpoints: Vec<Checkpoint>, done: Option<Sender<()>>) {
        self.checkpoints.extend(checkpoints);
        self.waiters.extend(done);
    }

    /// When [`Spooler::flush`] is to be called at the latest.
    pub fn deadline(&self) -> Option<Tick> {
        self.batcher.deadline().or_else(|| self.has_marks().then_some(Tick(0)))
    }

    fn has_marks(&self) -> bool {
        !self.checkpoints.is_empty() || !self.waiters.is_empty()
    }

    /// Hands closed batches, and the open one where it is due or `link_idle`, to the spool. Gives what went in.
    ///
    /// # Errors
    /// The store is damaged or closed: nothing more can be taken.
    pub fn flush(&mut self, now: Tick, link_idle: bool) -> Result<Vec<Spooled>, SpoolError> {
        let mut closed: Vec<ClosedBatch> = std::iter::from_fn(|| self.batcher.poll(now, link_idle)).collect();
        if !closed.is_empty() && self.has_marks() {
            closed.extend(self.rest(now));
        }
        let marks_only = closed.is_empty() && self.has_marks() && self.batcher.deadline().is_none();
        if closed.is_empty() && !marks_only {
            return Ok(Vec::new());
        }
        self.commit(closed)
    }

    /// Hands over all that was pushed, due or not: the end is near.
    ///
    /// # Errors
    /// The store is damaged or closed: nothing more can be taken.
    pub fn finish(&mut self, now: Tick) -> Result<Vec<Spooled>, SpoolError> {
        let closed = self.rest(now);
        if closed.is_empty() && !self.has_marks() {
            return Ok(Vec::new());
        }
        self.commit(closed)
    }

    fn rest(&mut self, now: Tick) -> Vec<ClosedBatch> {
        self.batcher.close(now);
        std::iter::from_fn(|| self.batcher.poll(now, false)).collect()
    }

    fn commit(&mut self, closed: Vec<ClosedBatch>) -> Result<Vec<Spooled>, SpoolError> {
        let mut counts: VecDeque<_> = closed.iter().map(|batch| batch.header.counts.clone()).collect();
        let batches: Vec<NewBatch> = closed.into_iter().map(new_batch).collect();
        let map = self.spool.checkpoints();
        let ops: Vec<_> = std::mem::take(&mut self.checkpoints)
            .into_iter()
            .map(|checkpoint| map.put(checkpoint.key.as_bytes(), &checkpoint.value))
            .collect();
        let waiters = std::mem::take(&mut self.waiters);
        let waiters = Arc::new(std::sync::Mutex::new(waiters));
        let mut waited_ms = 0;
        let numbers = loop {
            let told = Arc::clone(&waiters);
            let done = Box::new(move |result: Result<(), StoreError>| {
                let mut waiting = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for waiter in std::mem::take(&mut *waiting) {
                    if result.is_ok() {
                        waiter.try_send(()).ok();
                    }
                }
            });
            match self.spool.append(batches.clone(), ops.clone(), WhenFull::DropOldest, done) {
                Ok(numbers) => break numbers,
                Err(error) if may_pass(&error) => {
                    waited_ms += RETRY_MS;
                    // A disk that is slower than its sources is no news; one that takes nothing for long is, once.
                    if waited_ms == STUCK_MS {
                        log::warn!("the spool has taken nothing for {STUCK_MS} ms, sources wait error={error}");
                    }
                    clock::block(RETRY_MS);
                }
                Err(error) => return Err(error),
            }
        };
        if waited_ms >= STUCK_MS {
            log::info!("the spool takes events again waited_ms={waited_ms}");
        }
        let spooled = |number| Spooled { batch: BatchSeq(number), counts: counts.pop_front().unwrap_or_default() };
        Ok(numbers.map(spooled).collect())
    }
}

/// Whether waiting can help.
fn may_pass(error: &SpoolError) -> bool {
    match error {
        SpoolError::Full { .. } | SpoolError::Reserving => true,
        SpoolError::Store(error) => {
            matches!(error, StoreError::Full { .. } | StoreError::Busy { .. } | StoreError::Failing { .. })
        }
        SpoolError::NotHeld { .. } => false,
    }
}

fn new_batch(closed: ClosedBatch) -> NewBatch {
    NewBatch { header: header(&closed.header), body: closed.content.into() }
}

fn header(header: &BatchHeader) -> Header {
    let count = |count: &SourceCount| Count {
        source: count.source.as_str().into(),
        severity: count.severity,
        events: count.events as u32,
    };
    Header { oldest_at_ms: header.first_at_ms, counts: header.counts.iter().map(count).collect() }
}
