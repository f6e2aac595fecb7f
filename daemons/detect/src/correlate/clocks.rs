//! Detection's time: the `at` of events, per source never going back.
//!
//! A source whose stamps fall back by more than five minutes starts afresh, as after a reset clock; a
//! smaller step back is read as standing still. A stamp more than five minutes ahead of the hub's clock
//! is not believed: the hub's clock is taken. Late events keep their own time, so that a backlog is
//! judged as if it had come when it happened.

use nms_proto::{event::Event, id::EndpointId, limits::SOURCES_MAX, time::Stamp};

use crate::bounded::{Bounded, Suspicion};

/// Distance from which a stamp is not believed, in milliseconds.
const STEP_MS: i64 = 5 * 60_000;

#[derive(Debug)]
struct Last(i64);

impl Suspicion for Last {}

/// The last time of each source.
#[derive(Debug)]
pub(super) struct Clocks {
    last: Bounded<EndpointId, Last>,
    /// Sources that fell back and started afresh.
    pub(super) fell_back: u64,
    /// Events dated ahead of the hub's clock.
    pub(super) ahead: u64,
}

impl Clocks {
    pub(super) fn new() -> Self {
        Self { last: Bounded::new(SOURCES_MAX), fell_back: 0, ahead: 0 }
    }

    /// Detection's time of `event`, seen when the hub's clock said `now`.
    pub(super) fn time_of(&mut self, event: &Event, now: Stamp) -> Stamp {
        let mut at = event.at;
        if at.unix_ms > now.unix_ms.saturating_add(STEP_MS) {
            self.ahead += 1;
            at.unix_ms = now.unix_ms;
        }
        let last = self.last.entry(event.source.clone(), || Last(at.unix_ms));
        if at.unix_ms < last.0.saturating_sub(STEP_MS) {
            self.fell_back += 1;
            last.0 = at.unix_ms;
        }
        last.0 = last.0.max(at.unix_ms);
        at.unix_ms = last.0;
        at
    }
}
