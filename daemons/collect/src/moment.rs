//! One moment on both clocks, for cores that wait on the one and stamp with the other.

use nms_kit::clock;
use nms_proto::time::{Stamp, Tick};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock.
    pub tick: Tick,
    /// The wall clock.
    pub stamp: Stamp,
}

impl Now {
    /// This moment.
    pub fn read() -> Self {
        Self { tick: clock::tick(), stamp: clock::stamp() }
    }
}
