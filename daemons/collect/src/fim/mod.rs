//! File integrity: who changed which file, at once where the kernel tells, within minutes elsewhere.
//!
//! The way of a change: `watch` (a notice) -> `settle` (200 ms of quiet) -> `scan` (what the file is
//! now) -> `baseline` (what it was) -> an event with the sessions open and whether a package manager
//! ran (`context`) -> made durable -> the baseline follows. `turn` finds by walking what no notice
//! told, every five minutes; everything is hashed again once a day. One thread does all of it.

pub mod baseline;
pub mod context;
pub mod settle;
pub mod scan;
pub mod roots;
mod look;
mod job;
mod watch;
mod guard;
mod turn;

use std::{fmt, path::Path, sync::Arc};

use nms_kit::{
    intake::{Chunk, Closed, Sender},
    store::StoreError,
    task::{Stop, Tasks},
};
use nms_proto::id::EndpointId;
use smol::channel;

pub use self::{
    baseline::Baseline,
    guard::{CHECK_MS, Guard, Outcome, REHASH_S},
    roots::Roots,
    watch::Watch,
};
use crate::{
    counters::{Counters, What},
    moment::Now,
    pattern::Pattern,
};

/// What is watched where the settings say nothing: system settings, programs, boot, keys, timetables.
pub const INCLUDE_DEFAULT: [&str; 11] = [
    "/etc",
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/boot",
    "/root/.ssh",
    "/home/*/.ssh",
    "/var/spool/cron",
];
/// What is left out where the settings say nothing: what changes by itself, and editors' scratch files.
pub const EXCLUDE_DEFAULT: [&str; 5] = ["/etc/mtab", "/etc/adjtime", "/etc/.pwd.lock", ".*.swp", ".*.swx"];
/// Reports that may wait for one another.
const REPORTS_MAX: usize = 16;
/// Longest wait for a notice before the stop is looked at, in milliseconds.
const WAIT_MS: u64 = 250;

/// Which files.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Paths with `*`; a folder means all below it.
    pub include: Vec<Pattern>,
    /// What of them is left out.
    pub exclude: Vec<Pattern>,
}

/// Why a report was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportError {
    /// As many wait as may.
    Busy,
    /// File integrity is off or has ended.
    Off,
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "other file integrity reports are being made: try again later",
            Self::Off => "file integrity is switched off here: set fim.enabled",
        })
    }
}

impl std::error::Error for ReportError {}

/// Asks the running file integrity for reports.
#[derive(Clone, Debug)]
pub struct Handle(channel::Sender<Box<str>>);

impl Handle {
    /// Asks for a report: a row for each file, then its end, all with `command_id`.
    pub fn report(&self, command_id: &str) -> Result<(), ReportError> {
        self.0.try_send(command_id.into()).map_err(|error| match error {
            channel::TrySendError::Full(_) => ReportError::Busy,
            channel::TrySendError::Closed(_) => ReportError::Off,
        })
    }
}

/// Opens the baseline at `path` and watches on a thread of its own until the stop.
///
/// # Errors
/// The baseline cannot be opened; the message names the file and what to do.
pub fn start(
    settings: Settings,
    path: &Path,
    counters: Arc<Counters>,
    tasks: &Tasks,
    (sender, source): (Sender, EndpointId),
) -> Result<Handle, StoreError> {
    let baseline = Baseline::open(path)?;
    let before = |pattern: &Pattern| baseline.done(pattern.as_path()).ok().flatten();
    let roots = Roots::new(settings.include, settings.exclude, before);
    let guard = Guard::new(baseline, roots, Watch::open(), Arc::clone(&counters))?;
    let (handle, reports) = channel::bounded(REPORTS_MAX);
    let stop = tasks.stop().clone();
    let shell = Shell { guard, reports, counters, stop, sender, source };
    let started = tasks.thread("fim", move || {
        if shell.run().is_err() {
            log::debug!("files are no longer watched: the core has ended");
        }
    });
    if let Err(error) = started {
        log::error!("file integrity cannot start error={error}");
    }
    Ok(Handle(handle))
}

struct Shell {
    guard: Guard,
    reports: channel::Receiver<Box<str>>,
    counters: Arc<Counters>,
    stop: Stop,
    sender: Sender,
    source: EndpointId,
}

impl Shell {
    fn run(mut self) -> Result<(), Closed> {
        while !self.stop.is_requested() {
            if !self.guard.is_busy()
                && let Ok(command_id) = self.reports.try_recv()
            {
                self.guard.report(&command_id);
            }
            self.guard.wait(if self.guard.is_busy() { 0 } else { WAIT_MS }, Now::read);
            match self.guard.step(Now::read()) {
                Ok(outcome) => self.keep(outcome)?,
                Err(error) => {
                    log::warn!("the file integrity baseline cannot be read error={error}");
                    nms_kit::clock::block(WAIT_MS);
                }
            }
        }
        Ok(())
    }

    /// Makes the events durable, then the rows.
    fn keep(&self, outcome: Outcome) -> Result<(), Closed> {
        let Outcome { drafts, rows } = outcome;
        if !drafts.is_empty() {
            let commit = self.sender.commit(Chunk::of(&self.source, drafts));
            match smol::block_on(self.stop.or(commit)) {
                Some(durable) => durable?,
                // The rows stay as they were: the next run finds the same changes.
                None => return Ok(()),
            }
        }
        if let Some(Err(error)) = smol::block_on(self.stop.or(self.guard.baseline().keep(rows))) {
            self.counters.add(What::FimUnwritten, 1);
            log::warn!("the file integrity baseline cannot be written, changes will be reported again error={error}");
        }
        Ok(())
    }
}
