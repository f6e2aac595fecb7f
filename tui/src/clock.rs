//! The one place where the dashboard reads the time; everything else gets it as a message.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nms_proto::time::{Stamp, Tick};

use crate::msg::Now;

/// Both clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose ticks begin now.
    #[expect(clippy::disallowed_methods, reason = "the dashboard's one clock; it may not depend on the daemons' kit")]
    #[expect(clippy::new_without_default, reason = "a default that reads the time would hide that it does")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the dashboard's one clock; it may not depend on the daemons' kit")]
    pub fn now(self) -> Now {
        let tick = Tick(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX));
        // A clock before 1970 shows as 1970.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { tick, wall: Stamp::utc(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)) }
    }
}
