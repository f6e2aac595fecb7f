//! Processes that start, by looking at /proc every second.
//!
//! A process is known by its number and when it started, because numbers come again. The first look is the baseline. What
//! a process is, is read when it is first seen, and once more at the next look: who was seen between fork and exec is
//! somebody else then, and is told again under the other executable.
//!
//! Missed is what starts and ends between two looks, and what replaces itself by exec later. The kernel would tell of each
//! start over its proc connector, to whoever has `CAP_NET_ADMIN`; that way is left open. Where /proc is mounted with
//! `hidepid`, or the agent is not root, executables of others have only the short name that the kernel keeps.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{intake::Sender, task::Tasks};
use nms_proto::{
    event::{Body, Draft, ProcessStart},
    id::EndpointId,
    time::Stamp,
};

use crate::{
    counters::{Counters, What},
    names::Names,
    polled,
    portion::Portion,
    procfs::{self, Procfs, parse::Stat},
};

/// Time between two looks where the settings name none, in milliseconds.
pub const INTERVAL_MS: u64 = 1_000;
/// Most processes that are remembered.
pub const PROCESSES_MAX: usize = 65_536;
/// Most starts that are sent of one look.
pub const STARTS_MAX: usize = 512;

/// Processes beyond [`PROCESSES_MAX`]: how many more there are than at the look before.
pub const PROCESSES_OVER: &str = "processes_over_limit";
/// Starts beyond [`STARTS_MAX`].
pub const STARTS_OVER: &str = "process_starts_over_limit";

/// A process that was seen.
#[derive(Debug)]
struct Known {
    started: u64,
    /// The executable that was told, where the process was new at the last look.
    told: Option<Box<str>>,
}

/// The processes of a host.
#[derive(Debug)]
pub struct Processes {
    users: Names,
    passwd: PathBuf,
    /// None before the first look.
    known: Option<HashMap<u32, Known>>,
    over: u64,
    counters: Arc<Counters>,
}

impl Processes {
    /// Nothing seen yet; users are named by `passwd`.
    pub fn new(passwd: &Path, counters: Arc<Counters>) -> Self {
        Self { users: Names::default(), passwd: passwd.into(), known: None, over: 0, counters }
    }

    /// What started since the last look at the /proc below `root`; nothing at the first.
    pub fn look(&mut self, root: &Path, now: Stamp) -> Portion {
        let procfs = Procfs::at(root);
        let mut portion = Portion::default();
        let (pids, over) = match procfs.pids(PROCESSES_MAX) {
            Ok(found) => found,
            Err(error) => {
                self.counters.add(What::ProcessesUnreadable, 1);
                log::warn!("cannot look at processes path={} error={error}", root.display());
                return portion;
            }
        };
        self.users.refresh(&self.passwd);
        let is_first = self.known.is_none();
        let mut before = self.known.take().unwrap_or_default();
        let mut known = HashMap::with_capacity(pids.len());
        for pid in pids {
            let Some(stat) = procfs.stat(pid) else { continue };
            let old = before.remove(&pid).filter(|old| old.started == stat.started);
            let is_settled = old.as_ref().is_some_and(|old| old.told.is_none());
            let told = if is_first || is_settled || stat.is_kernel || stat.has_ended {
                None
            } else {
                self.newcomer(procfs, (pid, &stat), old.and_then(|old| old.told).as_deref(), (now, &mut portion))
            };
            known.insert(pid, Known { started: stat.started, told });
        }
        self.counters.set(What::Processes, known.len() as u64);
        self.known = Some(known);
        self.count(over, is_first, &mut portion);
        portion
    }

    /// Tells of a process that was not there at the look before, or was new there and told as `told`; gives the
    /// executable that was told now.
    fn newcomer(
        &self,
        procfs: Procfs<'_>,
        (pid, stat): (u32, &Stat),
        told: Option<&str>,
        (now, portion): (Stamp, &mut Portion),
    ) -> Option<Box<str>> {
        let exe = procfs.exe(pid);
        if told.is_some_and(|told| exe.as_deref().is_none_or(|exe| exe == told)) {
            return None;
        }
        if portion.drafts.len() >= STARTS_MAX {
            portion.lose(STARTS_OVER, 1);
            return None;
        }
        let (cmdline, is_cut) = procfs.cmdline(pid);
        if exe.is_none() && cmdline.is_empty() {
            return None;
        }
        let user = self.users.name(procfs.user(pid)?);
        let exe = exe.unwrap_or_else(|| stat.name.clone());
        let parent = (stat.parent > 0).then(|| procfs.program(stat.parent)).flatten().unwrap_or_default();
        let body = Body::Process(Box::new(ProcessStart { pid, exe: exe.clone(), cmdline, parent, user }));
        portion.drafts.push(Draft { at: Some(now), ..Draft::new(body) });
        portion.cut += u64::from(is_cut);
        Some(exe)
    }

    fn count(&mut self, over: u64, is_first: bool, portion: &mut Portion) {
        self.counters.add(What::ProcessesStarted, portion.drafts.len() as u64);
        self.counters.set(What::ProcessesOver, over);
        let before = std::mem::replace(&mut self.over, over);
        if over > 0 && before == 0 {
            log::warn!("too many processes to look at all of them max={PROCESSES_MAX} left_out={over}");
        }
        if !is_first {
            portion.lose(PROCESSES_OVER, over.saturating_sub(before));
        }
    }
}

/// Looks every `interval_ms` on a thread of its own until the stop.
///
/// # Errors
/// The thread cannot be started.
pub fn start(mut processes: Processes, interval_ms: u64, tasks: &Tasks, to: (Sender, EndpointId)) -> io::Result<()> {
    polled::start("processes", interval_ms, tasks, to, move |now| processes.look(Path::new(procfs::PATH), now.stamp))
}
