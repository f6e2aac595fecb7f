//! When a batch is closed, and how long one may be.
//!
//! A batch is closed at the count its receiver asked for, before it would pass 256 KiB, or 10 ms after
//! its first event. A lone event does not wait: where the link is idle and no batch was closed for 10 ms, one is
//! closed at once; the events of a stream gather, which spares a commit and a frame each. A finding
//! goes in through [`Batcher::push_group`] together with the event that completed it, and the group
//! is never cut: both are durable, or neither is. A group that cannot be encoded, or is longer than any
//! frame, is refused to the caller, who counts it; nothing else is.

use std::collections::VecDeque;

use crate::{
    event::Event,
    json::JsonError,
    limits::{BATCH_AGE_MS, BATCH_EVENTS_DEFAULT, BATCH_EVENTS_MAX, BATCHES_PER_S},
    message::{BatchBuilder, BatchHeader},
    time::Tick,
};

/// A batch as it goes to the spool: what is known of it, and its encoded content.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedBatch {
    /// Counts and time of its events.
    pub header: BatchHeader,
    /// `"origins":[...],"events":[...]`, sent as it is by [`crate::message::batch_frame`].
    pub content: Vec<u8>,
}

/// Gathers events into batches.
#[derive(Debug)]
pub struct Batcher {
    builder: BatchBuilder,
    events_max: usize,
    opened: Tick,
    /// When a batch was closed last; none before the first.
    rested: Option<Tick>,
    closed: VecDeque<ClosedBatch>,
}

impl Default for Batcher {
    fn default() -> Self {
        Self {
            builder: BatchBuilder::default(),
            events_max: BATCH_EVENTS_DEFAULT,
            opened: Tick(0),
            rested: None,
            closed: VecDeque::new(),
        }
    }
}

impl Batcher {
    /// Sets the count at which a batch is closed, as the receiver asked; clamped to 1..=[`BATCH_EVENTS_MAX`].
    pub fn set_events_max(&mut self, events: usize) {
        self.events_max = events.clamp(1, BATCH_EVENTS_MAX);
    }

    /// Adds an event.
    ///
    /// # Errors
    /// The event could not be encoded, and was not added.
    pub fn push(&mut self, now: Tick, event: &Event) -> Result<(), JsonError> {
        self.push_group(now, std::slice::from_ref(event))
    }

    /// Adds events that must be in one batch: an event and the findings it completed. A group is at
    /// most [`BATCH_EVENTS_MAX`] events; it may go over the receiver's count, and alone over 256 KiB.
    ///
    /// # Errors
    /// An event could not be encoded, or no frame would hold the group; nothing of it was added.
    pub fn push_group(&mut self, now: Tick, group: &[Event]) -> Result<(), JsonError> {
        if !self.builder.is_empty() && self.builder.len() + group.len() > self.events_max {
            self.close(now);
        }
        let was_empty = self.builder.is_empty();
        let fits = self.builder.push_group(group)?;
        if !fits {
            self.close(now);
            self.builder.push_group(group)?;
        }
        if was_empty || !fits {
            self.opened = now;
        }
        if self.builder.is_full(self.events_max) {
            self.close(now);
        }
        Ok(())
    }

    /// The next closed batch. Call it after the events at hand were pushed, and at the deadline;
    /// `link_idle` when nothing is waiting or in flight.
    pub fn poll(&mut self, now: Tick, link_idle: bool) -> Option<ClosedBatch> {
        let is_lone = self.rested.is_none_or(|closed| now >= closed.plus(BATCH_AGE_MS));
        let is_due = (link_idle && is_lone) || now >= self.opened.plus(BATCH_AGE_MS);
        if self.closed.is_empty() && is_due {
            self.close(now);
        }
        self.closed.pop_front()
    }

    /// Closes the open batch, if one is, whatever its age: something waits for it.
    pub fn close(&mut self, now: Tick) {
        if self.builder.is_empty() {
            return;
        }
        let (header, content) = self.builder.finish();
        self.rested = Some(now);
        self.closed.push_back(ClosedBatch { header, content });
    }

    /// Events in it, in the open batch and in closed ones.
    pub fn events(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|batch| batch.header.events).sum();
        closed + self.builder.len() as u64
    }

    /// Bytes of closed batches in it.
    pub fn closed_bytes(&self) -> usize {
        self.closed.iter().map(|batch| batch.content.len()).sum()
    }

    /// When the open batch is closed by its age.
    pub fn deadline(&self) -> Option<Tick> {
        (!self.builder.is_empty()).then(|| self.opened.plus(BATCH_AGE_MS))
    }
}

/// Asks for longer batches as the rate grows, so that about [`BATCHES_PER_S`] come at any rate:
/// 64 events up to 6,400 a second, 1,024 from 51,200 a second on.
#[derive(Debug, Default)]
pub struct BatchSizer {
    since: Tick,
    events: u64,
    size: Option<usize>,
}

impl BatchSizer {
    /// Counts a batch that came.
    pub fn count(&mut self, now: Tick, events: usize) {
        let elapsed_ms = now.since(self.since);
        if elapsed_ms >= 1_000 {
            let events_s = self.events.saturating_mul(1_000) / elapsed_ms;
            let wanted = (events_s / BATCHES_PER_S).checked_next_power_of_two().unwrap_or(u64::MAX);
            self.size = Some((wanted as usize).clamp(BATCH_EVENTS_DEFAULT, BATCH_EVENTS_MAX));
            (self.since, self.events) = (now, 0);
        }
        self.events = self.events.saturating_add(events as u64);
    }

    /// Events to ask for in a batch.
    pub fn size(&self) -> usize {
        self.size.unwrap_or(BATCH_EVENTS_DEFAULT)
    }
}
