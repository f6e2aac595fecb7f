//! The rate of a sender whose receiver said `SERVER_BUSY`.
//!
//! Each SERVER_BUSY takes 10 % of the full rate, at most once per `retry_after_ms` and never below
//! 10 %; each 5 s without one give 10 % back. The full rate is what was really sent in the busier of
//! the last two seconds at 100 %, so that a percent of it means something; at 100 % nothing is ever
//! held back. After a SERVER_BUSY no batch goes before `retry_after_ms` is over.

use crate::{
    limits::{
        BUSY_RETRY_MS, BUSY_RETRY_MS_RANGE, RATE_FULL_BYTES_S_MIN, RATE_MIN_PERCENT, RATE_RISE_MS, RATE_STEP_PERCENT,
    },
    time::Tick,
};

/// How late a sender may be without losing rate by it, in microseconds: timers are never exact.
const LATE_US: u64 = 20_000;

/// Decides when the next batch may go.
#[derive(Debug)]
pub struct Pacer {
    percent: u64,
    /// When the percent last changed, or the last SERVER_BUSY came: it rises from here.
    rises_from: Tick,
    cut_from: Tick,
    held_until: Tick,
    /// When the bytes sent so far are paid for, in microseconds of the tick's clock.
    paid_at_us: u64,
    meter: Meter,
}

impl Default for Pacer {
    fn default() -> Self {
        let zero = Tick(0);
        Self {
            percent: 100,
            rises_from: zero,
            cut_from: zero,
            held_until: zero,
            paid_at_us: 0,
            meter: Meter::default(),
        }
    }
}

impl Pacer {
    /// The receiver asked to slow down, and to wait `retry_after_ms` ([`BUSY_RETRY_MS`] if it did not
    /// say; clamped to [`BUSY_RETRY_MS_RANGE`]).
    pub fn busy(&mut self, now: Tick, retry_after_ms: Option<u64>) {
        let wait =
            retry_after_ms.unwrap_or(BUSY_RETRY_MS).clamp(*BUSY_RETRY_MS_RANGE.start(), *BUSY_RETRY_MS_RANGE.end());
        self.rise(now);
        self.rises_from = now;
        self.held_until = self.held_until.max(now.plus(wait));
        if now >= self.cut_from {
            self.percent = self.percent.saturating_sub(RATE_STEP_PERCENT).max(RATE_MIN_PERCENT);
            self.cut_from = now.plus(wait);
        }
    }

    /// A batch of that many bytes was sent.
    pub fn sent(&mut self, now: Tick, bytes: usize) {
        self.rise(now);
        if self.percent == 100 {
            self.meter.count(now, bytes as u64);
            return;
        }
        let bytes_s = (self.meter.bytes_s() * self.percent / 100).max(1);
        let cost_us = (bytes as u64).saturating_mul(1_000_000) / bytes_s;
        let earliest_us = now.0.saturating_mul(1_000).saturating_sub(LATE_US);
        self.paid_at_us = self.paid_at_us.max(earliest_us).saturating_add(cost_us);
    }

    /// When the next batch may go; not later than `now` where it may go at once.
    pub fn next_at(&self, now: Tick) -> Tick {
        let paid_at = if self.percent(now) == 100 { Tick(0) } else { Tick(self.paid_at_us.div_ceil(1_000)) };
        self.held_until.max(paid_at)
    }

    /// The rate in percent of the full one, 10..=100.
    pub fn percent(&self, now: Tick) -> u64 {
        let steps = now.since(self.rises_from) / RATE_RISE_MS;
        steps.saturating_mul(RATE_STEP_PERCENT).saturating_add(self.percent).min(100)
    }

    fn rise(&mut self, now: Tick) {
        let steps = now.since(self.rises_from) / RATE_RISE_MS;
        self.percent = self.percent(now);
        self.rises_from = self.rises_from.plus(steps * RATE_RISE_MS);
    }
}

/// Bytes sent in this second and in the one before.
#[derive(Debug, Default)]
struct Meter {
    since: Tick,
    this: u64,
    last: u64,
}

impl Meter {
    fn count(&mut self, now: Tick, bytes: u64) {
        let seconds = now.since(self.since) / 1_000;
        if seconds > 0 {
            self.last = if seconds == 1 { self.this } else { 0 };
            self.this = 0;
            self.since = self.since.plus(seconds * 1_000);
        }
        self.this = self.this.saturating_add(bytes);
    }

    fn bytes_s(&self) -> u64 {
        self.this.max(self.last).max(RATE_FULL_BYTES_S_MIN)
    }
}
