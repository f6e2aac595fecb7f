//! Named points at which a process ends as if its power had gone, for torture runs.
//!
//! ```text
//! NMS_FAULT=after_log:17       SIGKILL to itself when it comes to that point for the 17th time
//! NMS_LOSE=5,9                 batches 5 and 9 vanish when an uplink reads its spool, unseen: every account must show it
//! NMS_SNAPSHOT_MS=1000         a period that is too long to be met by chance, made short
//! NMS_DISK_FULL=FILE           while FILE is there, no store of the process finds room on its disk
//! NMS_CLOCK_FILE=FILE          the wall clock is wrong by the seconds that stand in FILE; none where there is no FILE
//! ```
//! Compiled into unoptimised builds, which tests and torture run, and with the feature `faults`; a
//! released program has none of it, and the calls cost nothing.

/// A batch was made durable in a spool, and nobody knows it yet.
pub const AFTER_SPOOL: &str = "after_spool";
/// A batch was written to the peer.
pub const AFTER_SEND: &str = "after_send";
/// A batch is durable in the server's log, and was not acknowledged.
pub const AFTER_LOG: &str = "after_log";
/// The acknowledgement of a batch was written to the peer.
pub const AFTER_ACK: &str = "after_ack";
/// What analysis said and how far it came are durable, and were told to nobody.
pub const AFTER_CURSOR: &str = "after_cursor";
/// A snapshot of analysis was handed to the store, and is not known to be durable.
pub const SNAPSHOTTING: &str = "while_snapshotting";

/// Every point.
pub const POINTS: [&str; 6] = [AFTER_SPOOL, AFTER_SEND, AFTER_LOG, AFTER_ACK, AFTER_CURSOR, SNAPSHOTTING];

pub use imp::{clock_offset_ms, disk_is_full, loses, period_ms, point, written};

#[cfg(any(feature = "faults", debug_assertions))]
mod imp {
    use std::{
        path::PathBuf,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::{AFTER_ACK, AFTER_SEND};

    /// Bytes of a frame in which its type and first members stand.
    const HEAD_BYTES: usize = 400;

    struct Fault {
        point: String,
        left: AtomicU64,
    }

    fn fault() -> Option<&'static Fault> {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        let read = || {
            let text = std::env::var("NMS_FAULT").ok()?;
            let (point, count) = text.split_once(':')?;
            Some(Fault { point: point.into(), left: AtomicU64::new(count.parse().ok()?) })
        };
        FAULT.get_or_init(read).as_ref()
    }

    /// Ends the process here, where it was asked to.
    pub fn point(name: &str) {
        let Some(fault) = fault().filter(|fault| fault.point == name) else { return };
        if fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap_or_default();
        }
    }

    /// A frame was written: the points behind a batch and behind an acknowledgement.
    pub fn written(frame: &[u8]) {
        if fault().is_none() {
            return;
        }
        let head = frame.get(..frame.len().min(HEAD_BYTES)).unwrap_or_default();
        let has = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
        if has(b"\"type\":\"BATCH_EVENT\"") {
            point(AFTER_SEND);
        } else if has(b"\"type\":\"ACK\"") && has(b"\"batch\":") {
            point(AFTER_ACK);
        }
    }

    /// Whether the batch of this number vanishes.
    pub fn loses(number: u64) -> bool {
        static LOST: OnceLock<Vec<u64>> = OnceLock::new();
        let numbers = || {
            let text = std::env::var("NMS_LOSE").unwrap_or_default();
            text.split(',').filter_map(|number| number.parse().ok()).collect()
        };
        LOST.get_or_init(numbers).contains(&number)
    }

    /// Whether the disk has no room now.
    pub fn disk_is_full() -> bool {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let file = FILE.get_or_init(|| std::env::var_os("NMS_DISK_FULL").map(PathBuf::from));
        file.as_ref().is_some_and(|file| file.exists())
    }

    /// By how much the wall clock is wrong, in milliseconds.
    pub fn clock_offset_ms() -> i64 {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let Some(file) = FILE.get_or_init(|| std::env::var_os("NMS_CLOCK_FILE").map(PathBuf::from)) else { return 0 };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.trim().parse::<i64>().map_or(0, |seconds| seconds.saturating_mul(1_000))
    }

    /// A period, in milliseconds, where the variable `name` does not say another.
    pub fn period_ms(name: &str, usual: u64) -> u64 {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    }
}

#[cfg(not(any(feature = "faults", debug_assertions)))]
mod imp {
    /// Nothing.
    #[inline]
    pub const fn point(_name: &str) {}

    /// Nothing.
    #[inline]
    pub const fn written(_frame: &[u8]) {}

    /// Never.
    #[inline]
    pub const fn loses(_number: u64) -> bool {
        false
    }

    /// Never.
    #[inline]
    pub const fn disk_is_full() -> bool {
        false
    }

    /// Not at all.
    #[inline]
    pub const fn clock_offset_ms() -> i64 {
        0
    }

    /// The usual period.
    #[inline]
    pub const fn period_ms(_name: &str, usual: u64) -> u64 {
        usual
    }
}
