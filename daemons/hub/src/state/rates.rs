//! Events of the last second and of each of the last 60 minutes.

use std::collections::VecDeque;

use nms_proto::time::Tick;

const MINUTE_MS: u64 = 60_000;
const MINUTES: usize = 60;

#[derive(Debug, Default)]
pub(crate) struct Rates {
    total: u64,
    second: u64,
    in_second: u64,
    last_second: u64,
    minute: u64,
    minutes: VecDeque<u64>,
}

impl Rates {
    /// Counts events.
    pub(crate) fn count(&mut self, now: Tick, events: u64) {
        self.turn(now);
        self.total += events;
        self.in_second += events;
        if let Some(minute) = self.minutes.back_mut() {
            *minute += events;
        }
    }

    fn turn(&mut self, now: Tick) {
        let second = now.0 / 1_000;
        if second != self.second {
            self.last_second = if second == self.second + 1 { self.in_second } else { 0 };
            self.in_second = 0;
            self.second = second;
        }
        let minute = now.0 / MINUTE_MS;
        let passed = (minute - self.minute.min(minute)).min(MINUTES as u64);
        let fresh = if self.minutes.is_empty() { 1 } else { passed };
        for _ in 0..fresh {
            self.minutes.push_back(0);
        }
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        self.minute = minute;
    }

    /// Events since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Events of the last whole second.
    pub(crate) fn per_s(&mut self, now: Tick) -> f32 {
        self.turn(now);
        self.last_second as f32
    }

    /// Events of each of the last minutes, the running one last.
    pub(crate) fn per_min(&mut self, now: Tick) -> Vec<u64> {
        self.turn(now);
        self.minutes.iter().copied().collect()
    }
}
