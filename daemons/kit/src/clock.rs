//! The clock: the only place where time is read.
//!
//! Cores take time as an argument, so that tests and replays run in their own time; their shells
//! call these functions once at the edge. Intervals, deadlines and rates run on the monotonic
//! clock, which no administrator and no NTP step moves; stamps shown to people run on the wall
//! clock. It refuses to sleep: waiting belongs to a deadline.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static STARTED: LazyLock<Instant> = LazyLock::new(read_monotonic);

#[expect(clippy::disallowed_methods, reason = "the home of the monotonic clock")]
fn read_monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the home of the wall clock")]
fn read_wall() -> SystemTime {
    SystemTime::now()
}

/// Microseconds on the monotonic clock since the process first asked.
pub fn monotonic_us() -> u64 {
    let started = *STARTED;
    u64::try_from(read_monotonic().duration_since(started).as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds on the monotonic clock since the process first asked.
pub fn monotonic_ms() -> u64 {
    monotonic_us() / 1_000
}

/// Milliseconds since 1970-01-01 UTC on the wall clock; negative where the clock stands before that.
pub fn unix_ms() -> i64 {
    match read_wall().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Seconds that local time stands east of UTC now, by the host's time zone.
pub fn local_offset_s() -> i32 {
    jiff::Timestamp::from_millisecond(unix_ms()).map_or(0, |now| jiff::tz::TimeZone::system().to_offset(now).seconds())
}
