//! The client's heartbeats: when one is due, how many are unanswered, how long an answer takes.
//!
//! They are counted when they are due, not when they are written, so that a stream that takes no
//! more bytes ends the connection as surely as one that gives none.

use std::collections::VecDeque;

use crate::{limits::HEARTBEATS_UNANSWERED_MAX, time::Tick};

/// The heartbeats of one connection.
#[derive(Debug)]
pub(super) struct Heartbeats {
    due: Tick,
    /// Due and not written yet.
    pending: bool,
    number: u64,
    unanswered: u32,
    /// Number and time of those that were written and not answered, oldest first.
    sent: VecDeque<(u64, Tick)>,
    /// The peer echoes numbers; from one that does not, any ACK is an answer.
    echoed: bool,
    rtt_ms: Option<u64>,
}

impl Heartbeats {
    /// The first is due at once: it measures the round trip.
    pub(super) fn new(now: Tick) -> Self {
        Self { due: now, pending: false, number: 0, unanswered: 0, sent: VecDeque::new(), echoed: false, rtt_ms: None }
    }

    pub(super) fn due(&self) -> Tick {
        self.due
    }

    /// Milliseconds between the last answered heartbeat and its answer.
    pub(super) fn rtt_ms(&self) -> Option<u64> {
        self.rtt_ms
    }

    /// Whether another one is due and too many are unanswered: the connection must end.
    pub(super) fn are_unanswered(&self, now: Tick) -> bool {
        now >= self.due && self.unanswered >= HEARTBEATS_UNANSWERED_MAX
    }

    /// Notes that one is due now.
    pub(super) fn handle_timeout(&mut self, now: Tick, interval_ms: u64) {
        self.pending = true;
        self.unanswered += 1;
        self.due = now.plus(interval_ms);
    }

    /// The peer asks for one every `interval_ms`: the next is not later than that.
    pub(super) fn asked(&mut self, now: Tick, interval_ms: u64) {
        self.due = self.due.min(now.plus(interval_ms));
    }

    /// The number of the heartbeat to write now.
    pub(super) fn poll(&mut self, now: Tick) -> Option<u64> {
        if !std::mem::take(&mut self.pending) {
            return None;
        }
        self.number += 1;
        self.sent.push_back((self.number, now));
        Some(self.number)
    }

    /// An ACK came that echoes `number`, or none.
    pub(super) fn answered(&mut self, now: Tick, number: Option<u64>) {
        if number.is_none() && self.echoed {
            return;
        }
        self.echoed = number.is_some();
        let number = number.unwrap_or(self.number);
        while let Some(&(oldest, at)) = self.sent.front()
            && oldest <= number
        {
            self.rtt_ms = Some(now.since(at));
            self.sent.pop_front();
            self.unanswered = u32::from(self.pending) + self.sent.len() as u32;
        }
    }
}
