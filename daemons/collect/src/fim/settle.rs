//! Changes wait a moment before they are looked at: pure, time as an argument.
//!
//! An editor that writes a new file and moves it over the old one, or a file that is written in many
//! pieces, is one change. A path is due when it was quiet for [`QUIET_MS`], and at the latest
//! [`WAIT_MS_MAX`] after its first notice. Who was logged in is what it was at that first notice.
//! At most [`FIM_PENDING_MAX`] paths wait; beyond that the answer is that everything must be checked.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use nms_proto::{
    limits::FIM_PENDING_MAX,
    time::{Stamp, Tick},
};

use super::context::Context;

/// Quiet after which a path is looked at, in milliseconds.
pub const QUIET_MS: u64 = 200;
/// Longest wait for quiet, in milliseconds.
pub const WAIT_MS_MAX: u64 = 2_000;

/// A path that changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Which.
    pub path: PathBuf,
    /// When that was first noticed.
    pub at: Stamp,
    /// Who was there at that moment.
    pub context: Arc<Context>,
}

#[derive(Debug)]
struct Pending {
    first: Tick,
    last: Tick,
    at: Stamp,
    context: Arc<Context>,
}

impl Pending {
    fn due(&self) -> Tick {
        self.last.plus(QUIET_MS).min(self.first.plus(WAIT_MS_MAX))
    }
}

/// The paths that wait.
#[derive(Debug, Default)]
pub struct Settle(BTreeMap<PathBuf, Pending>);

impl Settle {
    /// Notes a change of `path`. False where no more can wait, and a full check is due instead.
    pub fn note(&mut self, now: Tick, path: PathBuf, at: Stamp, context: impl FnOnce() -> Arc<Context>) -> bool {
        if let Some(pending) = self.0.get_mut(&path) {
            pending.last = now;
            return true;
        }
        if self.0.len() >= FIM_PENDING_MAX {
            return false;
        }
        self.0.insert(path, Pending { first: now, last: now, at, context: context() });
        true
    }

    /// Up to `limit` paths whose time has come, in order.
    pub fn due(&mut self, now: Tick, limit: usize) -> Vec<Changed> {
        let due = self.0.iter().filter(|(_, pending)| pending.due() <= now);
        let due: Vec<PathBuf> = due.map(|(path, _)| path.clone()).take(limit).collect();
        let take = |path: PathBuf| {
            let pending = self.0.remove(&path)?;
            Some(Changed { path, at: pending.at, context: pending.context })
        };
        due.into_iter().filter_map(take).collect()
    }

    /// When the next path is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.0.values().map(Pending::due).min()
    }

    /// Forgets what waits: a full check finds it.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
