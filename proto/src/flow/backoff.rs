//! Delays between attempts to connect: 1, 2, 4 ... 300 s, each between half and all of it.
//!
//! The spread keeps the hubs of a restarted server from coming back in step. It is drawn from a
//! seed, so that a run can be repeated; two senders must be given different seeds.

use crate::limits::{BACKOFF_MAX_MS, BACKOFF_MIN_MS};

/// The delays of one sender.
#[derive(Debug)]
pub struct Backoff {
    full_ms: u64,
    random: u64,
}

impl Backoff {
    /// Delays that start at [`BACKOFF_MIN_MS`], spread by `seed`.
    pub fn new(seed: u64) -> Self {
        Self { full_ms: BACKOFF_MIN_MS, random: seed }
    }

    /// The next delay in milliseconds: between half and all of a value that doubles up to [`BACKOFF_MAX_MS`].
    pub fn next_delay_ms(&mut self) -> u64 {
        let full = self.full_ms;
        self.full_ms = full.saturating_mul(2).min(BACKOFF_MAX_MS);
        full - self.draw() % (full / 2 + 1)
    }

    /// Starts over: the connection was good for long enough.
    pub fn reset(&mut self) {
        self.full_ms = BACKOFF_MIN_MS;
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014): spread, not secrecy.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
