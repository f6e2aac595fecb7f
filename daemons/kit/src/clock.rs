//! The clock, read here and nowhere else.
//!
//! The monotonic clock drives every deadline, delay and rate; the wall clock only stamps events. A
//! jump of the wall clock therefore moves stamps and nothing else.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nms_proto::time::{Stamp, Tick};

use crate::fault;

/// Difference between the two clocks from which the wall clock counts as set, in milliseconds; a clock that is slewed
/// stays far below it between two looks.
const SET_MS: i64 = 10_000;

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the clock's home")]
    *START.get_or_init(Instant::now)
}

/// Milliseconds since the program first asked.
pub fn monotonic_ms() -> u64 {
    start().elapsed().as_millis() as u64
}

/// The monotonic clock.
pub fn tick() -> Tick {
    Tick(monotonic_ms())
}

/// Microseconds since the program first asked, for measurements.
pub fn monotonic_us() -> u64 {
    start().elapsed().as_micros() as u64
}

/// CPU time of this process in microseconds, user and system, all threads; for measurements.
pub fn cpu_us() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as u64 * 1_000_000 + spent.tv_nsec as u64 / 1_000
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the clock's home")]
    let now = SystemTime::now();
    let unix_ms = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    };
    unix_ms.saturating_add(fault::clock_offset_ms())
}

/// Notices that the wall clock was set: pure, both clocks come in with each look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    last: Option<(Tick, i64)>,
}

impl Setting {
    /// By how much the wall clock was set since the last look, in milliseconds, forward or back; none where it only ran.
    pub fn look(&mut self, now: Tick, unix_ms: i64) -> Option<i64> {
        let (tick, before_ms) = self.last.replace((now, unix_ms))?;
        let set_ms = unix_ms.saturating_sub(before_ms).saturating_sub(now.since(tick) as i64);
        (set_ms.abs() >= SET_MS).then_some(set_ms)
    }
}

/// Seconds east of UTC here at that moment, summer time included.
pub fn offset_s(unix_ms: i64) -> i32 {
    let Ok(at) = jiff::Timestamp::from_millisecond(unix_ms) else { return 0 };
    zone().to_offset(at).seconds()
}

fn zone() -> &'static jiff::tz::TimeZone {
    static ZONE: OnceLock<jiff::tz::TimeZone> = OnceLock::new();
    ZONE.get_or_init(jiff::tz::TimeZone::system)
}

/// The wall clock, with the offset of this place.
pub fn stamp() -> Stamp {
    let unix_ms = unix_ms();
    Stamp { unix_ms, offset_min: (offset_s(unix_ms) / 60) as i16 }
}

/// Waits until the monotonic clock reaches `at`.
pub async fn until(at: Tick) {
    let wait = at.since(tick());
    if wait > 0 {
        smol::Timer::after(Duration::from_millis(wait)).await;
    }
}

/// Waits `ms` milliseconds.
pub async fn pause(ms: u64) {
    smol::Timer::after(Duration::from_millis(ms)).await;
}

/// Blocks this thread for `ms` milliseconds; for threads that serve no tasks.
pub fn block(ms: u64) {
    #[expect(clippy::disallowed_methods, reason = "the clock's home")]
    std::thread::sleep(Duration::from_millis(ms));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_runs() {
        let mut setting = Setting::default();
        let mut look = |tick_ms, unix_ms| setting.look(Tick(tick_ms), unix_ms);
        assert_eq!(look(0, 1_000_000), None, "the first look knows nothing");
        assert_eq!(look(60_000, 1_060_400), None, "slewed");
        assert_eq!(look(61_000, 32_061_400), Some(31_000_000));
        assert_eq!(look(62_000, 32_062_400), None, "said once");
        assert_eq!(look(63_000, 1_063_400), Some(-31_000_000));
    }
}
