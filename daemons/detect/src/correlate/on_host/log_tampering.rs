//! Logs that stop or go away (ATT&CK T1070.001, T1070.002, T1562.001, T1562.006, T1562.012).
//!
//! A log daemon that stops may only restart, and a log that goes may only be rotated, so both wait 60 s for what explains
//! them: the daemon's start, a rotated file that is called after the log. A host that shuts down (or says that it started)
//! explains daemons that stop within five minutes of it; the syslogd of BSD and of small devices waits as long, as nothing
//! else of theirs tells of a restart. By the events' own time, so that a backlog is judged as if it had come at once. What is left is MEDIUM for a daemon, HIGH at night; HIGH for a log of logins, MEDIUM for one
//! of the system; auditing that is switched off in the kernel is HIGH. A daemon that stops while a package manager is at work is LOW.
//! Windows says that its security log was cleared: HIGH at once; another log MEDIUM.
//!
//! The same holds for what keeps others out, such as a firewall, where systemd stops it. All of a host's logs are one
//! incident, with what was done to them by command lines.

use std::collections::VecDeque;

use nms_proto::{
    event::{Body, Change, Event, FileChange},
    extraction::{AppFamily, Extraction},
    finding::{Category, Finding},
    id::EndpointId,
    limits::{CHANGES_HELD_MAX, EVIDENCE_LINE_BYTES, NAME_BYTES_MAX, SOURCES_MAX},
    severity::Severity,
    time::Stamp,
};

use super::{
    Case, Desk,
    at_work::{AtWork, Work, is_night},
    logs::{self, Worth},
    units,
};
use crate::{
    bounded::{Bounded, Suspicion},
    extract::{windows_record, without_clock},
    incident::{Sign, When, span},
    incidents::Incidents,
    subject::Story,
    text::{cut, pairs, strip_any},
};

/// Time for which what stopped or went waits for its explanation, in milliseconds.
const WAIT_MS: i64 = 60_000;
/// Time for which a shutdown explains, in milliseconds.
const SHUTDOWN_MS: i64 = 5 * 60_000;
/// Rotated files of a source that are remembered.
const ROTATED_MAX: usize = 64;
/// The daemon whose host may say nothing but that it is back.
const SYSLOGD: &str = "syslogd";
/// Bytes of a path in a sentence.
const PATH_BYTES: usize = 120;
/// The subject of a host's logs.
pub(super) const LOGS: &str = "logs";
/// The subject of what protects a host.
pub(super) const DEFENCES: &str = "defences";

/// What a line says of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    Stopped(&'static str),
    Started(&'static str),
}

/// Auditing in the kernel.
const AUDITING: &str = "auditing";

/// What is missing.
#[derive(Debug)]
enum Missing {
    Daemon { name: &'static str, upgrade: bool },
    Log { path: Box<str>, worth: Worth, change: &'static str },
}

/// What waits for its explanation.
#[derive(Debug)]
struct Waiting {
    event: Event,
    at: Stamp,
    due: i64,
    missing: Missing,
}

/// When a source shut down or started, and which logs were rotated when.
#[derive(Debug, Default)]
struct Lately {
    shutdown: Option<i64>,
    rotated: VecDeque<(i64, Box<str>)>,
}

impl Suspicion for Lately {}

/// What is known of the logs of all sources.
#[derive(Debug)]
pub(super) struct LogTampering {
    sources: Bounded<EndpointId, Lately>,
    waiting: VecDeque<Waiting>,
}

impl LogTampering {
    pub(super) fn new() -> Self {
        Self { sources: Bounded::new(SOURCES_MAX), waiting: VecDeque::new() }
    }

    /// A line of a log daemon, of the audit log or of the kernel about it.
    pub(super) fn said(&mut self, desk: &mut Desk<'_>, work: &mut AtWork, case: &Case<'_>) {
        match daemon(case.app, case.text) {
            Some(Daemon::Stopped(name)) => {
                let known = self.waiting.iter().any(|waiting| waiting.is_of(&case.event.source, name));
                if known || self.shut_down(case) {
                    return;
                }
                let upgrade = matches!(work.now(case), Work::Tool { .. });
                self.wait(desk, case, Missing::Daemon { name, upgrade });
            }
            Some(Daemon::Started(name)) => {
                let place = self.waiting.iter().position(|waiting| waiting.is_of(&case.event.source, name));
                let stopped = place.and_then(|place| self.waiting.remove(place));
                // Where the hub's clock stood still meanwhile, the events' own time says how long it was away.
                if let Some(stopped) = stopped.filter(|stopped| stopped.away(case) > stopped.missing.wait_ms()) {
                    stopped.say(desk, case.when.now);
                }
            }
            None => {}
        }
    }

    /// A host that shuts down or has just started.
    pub(super) fn shut(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        let source = &case.event.source;
        self.sources.entry(source.clone(), Lately::default).shutdown = Some(case.at());
        let explains = |waiting: &Waiting| matches!(waiting.missing, Missing::Daemon { .. });
        self.explained(desk, case, explains);
    }

    /// Drops what a case `explains`, and says what had waited long enough by then.
    fn explained(&mut self, desk: &mut Desk<'_>, case: &Case<'_>, explains: impl Fn(&Waiting) -> bool) {
        self.waiting.retain(|waiting| {
            if waiting.event.source != case.event.source || !explains(waiting) {
                return true;
            }
            if waiting.away(case).abs() > waiting.missing.wait_ms() {
                waiting.say(desk, case.when.now);
            }
            false
        });
    }

    fn shut_down(&mut self, case: &Case<'_>) -> bool {
        let shutdown = self.sources.get_mut(&case.event.source).and_then(|lately| lately.shutdown);
        shutdown.is_some_and(|at| (case.at() - at).abs() <= SHUTDOWN_MS)
    }

    /// A watched file changed.
    pub(super) fn changed(&mut self, desk: &mut Desk<'_>, case: &Case<'_>, change: &FileChange) {
        let path = &*change.path;
        // The journal's own files come and go.
        let Some(worth) = logs::worth(path).filter(|_worth| !path.contains("/journal/")) else { return };
        let source = &case.event.source;
        let answers = change.package_manager || change.command_id.is_some();
        if logs::is_rotated(path) {
            // That an old one goes makes no room for a new one.
            if change.change != Change::Deleted {
                self.sources.entry(source.clone(), Lately::default).rotated(case.at(), path);
                let explains = |waiting: &Waiting| matches!(&waiting.missing, Missing::Log { path: log, .. } if logs::is_rotated_from(path, log));
                self.explained(desk, case, explains);
            }
            return;
        }
        let gone = match change.change {
            Change::Deleted => "deleted",
            Change::Modified if change.size == Some(0) => "emptied",
            _ => return,
        };
        let rotated = self.sources.get_mut(source).is_some_and(|lately| lately.was_rotated(case.at(), path));
        if worth > Worth::Little && !answers && !rotated {
            self.wait(desk, case, Missing::Log { path: path.into(), worth, change: gone });
        }
    }

    fn wait(&mut self, desk: &mut Desk<'_>, case: &Case<'_>, missing: Missing) {
        let mut event = case.event.clone();
        event.raw = None;
        if let Body::Syslog(line) = &mut event.body {
            // As much as its evidence shows: a line may be long, and many may wait.
            line.message = cut(&line.message, EVIDENCE_LINE_BYTES).into();
            line.structured_data = None;
        }
        let due = case.when.now + missing.wait_ms();
        let waiting = Waiting { event, at: case.when.at, due, missing };
        if self.waiting.len() == CHANGES_HELD_MAX
            && let Some(first) = self.waiting.pop_front()
        {
            // What waited longest has waited long enough.
            first.say(desk, case.when.now);
        }
        let place = self.waiting.iter().rposition(|before| before.due <= due).map_or(0, |before| before + 1);
        self.waiting.insert(place, waiting);
    }

    /// Says what waited long enough.
    pub(super) fn tick(&mut self, incidents: &mut Incidents, now: i64, out: &mut Vec<Finding>) {
        while self.waiting.front().is_some_and(|waiting| waiting.due <= now) {
            let Some(waiting) = self.waiting.pop_front() else { return };
            waiting.say(&mut Desk { incidents, out }, now);
        }
    }

    /// The hub's clock at which the next one has waited long enough, Unix milliseconds.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    /// A log of Windows was cleared.
    pub(super) fn cleared(desk: &mut Desk<'_>, case: &Case<'_>) {
        let Body::Syslog(line) = &case.event.body else { return };
        let record = windows_record(line);
        let security = match record.id {
            1102 | 517 if !record.sysmon => true,
            104 if !record.sysmon => false,
            _ => return,
        };
        let what = if security { "the security log" } else { "an event log" };
        let who = record.subject.or(record.target);
        let sign = case.sign(case.key(Story::Logs, LOGS), "log_tampering", Category::LogTampering);
        desk.raise(
            case,
            Sign {
                severity: if security { Severity::High } else { Severity::Medium },
                confidence: if security { 0.9 } else { 0.6 },
                message: format!("{what} of {} was cleared", case.host()),
                reasons: vec![format!("event {}: {what} was cleared by {}", record.id, who.unwrap_or("somebody"))],
                techniques: &["T1070.001"],
                actor: who.map(Into::into),
                ..sign
            },
        );
    }

    /// Sources remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.sources.len() + self.waiting.len(), self.sources.forgotten())
    }
}

impl Lately {
    fn rotated(&mut self, at: i64, path: &str) {
        self.rotated.retain(|(before, _path)| (at - before).abs() <= WAIT_MS);
        if self.rotated.len() == ROTATED_MAX {
            self.rotated.pop_front();
        }
        self.rotated.push_back((at, cut(path, NAME_BYTES_MAX).into()));
    }

    fn was_rotated(&self, at: i64, log: &str) -> bool {
        self.rotated.iter().any(|(then, path)| (at - then).abs() <= WAIT_MS && logs::is_rotated_from(path, log))
    }
}

impl Missing {
    /// Time for which it waits for its explanation, in milliseconds.
    fn wait_ms(&self) -> i64 {
        match self {
            Self::Daemon { name, .. } if *name == SYSLOGD => SHUTDOWN_MS,
            Self::Daemon { .. } | Self::Log { .. } => WAIT_MS,
        }
    }
}

impl Waiting {
    /// Time from what it tells to a case, in milliseconds.
    fn away(&self, case: &Case<'_>) -> i64 {
        case.at() - self.at.unix_ms
    }

    fn is_of(&self, source: &EndpointId, daemon: &str) -> bool {
        self.event.source == *source && matches!(self.missing, Missing::Daemon { name, .. } if name == daemon)
    }

    fn say(&self, desk: &mut Desk<'_>, now: i64) {
        let found = Extraction::unknown(AppFamily::Generic);
        let case = Case::of((&self.event, &found), When { at: self.at, now });
        let host = case.host();
        let night = is_night(self.at);
        let wait = span(self.missing.wait_ms());
        let (severity, confidence, message, reason) = match &self.missing {
            Missing::Daemon { name, .. } if *name == AUDITING => (
                Severity::High,
                0.8,
                format!("auditing on {host} was switched off"),
                format!("the kernel was told to write no audit records, and for {wait} not to go on"),
            ),
            Missing::Daemon { name, upgrade } => (
                match (upgrade, night) {
                    (true, _) => Severity::Low,
                    (false, true) => Severity::High,
                    (false, false) => Severity::Medium,
                },
                if *upgrade { 0.15 } else { 0.6 },
                format!("{name} on {host} was stopped"),
                format!("{name} stopped and did not start within {wait}, and the host did not shut down"),
            ),
            Missing::Log { path, worth, change } => (
                if *worth == Worth::Much { Severity::High } else { Severity::Medium },
                if *worth == Worth::Much { 0.8 } else { 0.5 },
                format!("{} on {host} was {change}", cut(path, PATH_BYTES)),
                format!("{} was {change}, and no rotated file came beside it within {wait}", cut(path, PATH_BYTES)),
            ),
        };
        let (key, category, techniques): (_, _, &[&str]) = match &self.missing {
            Missing::Daemon { name, .. } if units::protects(name) => {
                (case.key(Story::Process, DEFENCES), Category::SuspiciousProcess, &["T1562.001", "T1562.004"])
            }
            Missing::Daemon { .. } => {
                (case.key(Story::Logs, LOGS), Category::LogTampering, &["T1562.001", "T1562.006"])
            }
            Missing::Log { .. } => (case.key(Story::Logs, LOGS), Category::LogTampering, &["T1070.002"]),
        };
        let sign = case.sign(key, "log_tampering", category);
        desk.raise(&case, Sign { severity, confidence, message, reasons: vec![reason], techniques, ..sign });
    }
}

/// Whether an application's lines may tell of a log daemon.
pub(super) fn is_daemon(app: &str) -> bool {
    matches!(app, "rsyslogd" | "syslogd" | "syslog-ng" | "auditd" | "systemd-journald" | "systemd-journal")
}

/// Whether a line tells of auditing in the kernel: `audit: type=1305 audit(1773137472.1:7): op=set audit_enabled=0 old=1 ...`.
pub(super) fn is_auditing(text: &str) -> bool {
    let text = without_clock(text);
    strip_any(
        text,
        &["type=CONFIG_CHANGE ", "CONFIG_CHANGE ", "audit: type=1305 ", "type=DAEMON_END ", "type=DAEMON_START "],
    )
    .is_some()
}

/// What a line says of a daemon.
fn daemon(app: &str, text: &str) -> Option<Daemon> {
    if app == "systemd" {
        let (name, runs) = units::of(text)?;
        return Some(if runs { Daemon::Started(name) } else { Daemon::Stopped(name) });
    }
    if is_auditing(text) {
        let text = without_clock(text);
        if text.starts_with("type=DAEMON") {
            let stopped = text.starts_with("type=DAEMON_END");
            return Some(if stopped { Daemon::Stopped("auditd") } else { Daemon::Started("auditd") });
        }
        let (_key, enabled) = pairs(text).find(|(key, _value)| *key == "audit_enabled")?;
        return match enabled {
            "0" => Some(Daemon::Stopped(AUDITING)),
            "1" | "2" => Some(Daemon::Started(AUDITING)),
            _ => None,
        };
    }
    // rsyslogd: `[origin software="rsyslogd" ... x-info="https://www.rsyslog.com"] exiting on signal 15.`
    let said = match text.strip_prefix("[origin ") {
        Some(tail) => tail.split_once("] ")?.1,
        None => text,
    };
    let (name, stop, start): (_, &[&str], &[&str]) = match app {
        "rsyslogd" => ("rsyslogd", &["exiting on signal 15", "exiting on signal 2", "exiting on signal 9"], &["start"]),
        "syslogd" => (
            SYSLOGD,
            &["exiting", "syslogd exiting"],
            &["restart", "start", "syslogd started", "syslogd start", "kernel boot file is "],
        ),
        "syslog-ng" => ("syslog-ng", &["syslog-ng shutting down"], &["syslog-ng starting up"]),
        "auditd" => ("auditd", &["The audit daemon is exiting"], &["Init complete, auditd"]),
        "systemd-journald" | "systemd-journal" => ("systemd-journald", &["Journal stopped"], &["Journal started"]),
        _ => return None,
    };
    let begins = |starts: &[&str]| strip_any(said, starts).is_some();
    if begins(stop) {
        Some(Daemon::Stopped(name))
    } else if begins(start) || said.ends_with(": restart.") {
        Some(Daemon::Started(name))
    } else {
        None
    }
}

/// Whether an application's lines, where it has no family, may tell that the host shuts down.
pub(super) fn ends_hosts(app: &str) -> bool {
    matches!(app, "shutdown" | "reboot" | "halt" | "poweroff")
}

/// Whether a line of systemd, logind, the kernel or what ends hosts says that the host shuts down, or that it has just started.
pub(super) fn shuts_down(family: AppFamily, text: &str) -> bool {
    match family {
        AppFamily::Kernel => {
            let text = without_clock(text);
            let starts =
                ["Linux version ", "Command line: BOOT_IMAGE", "reboot: ", "---<<BOOT>>---", "Copyright (c) 1992-"];
            strip_any(text, &starts).is_some()
        }
        // Of BSD: `shutdown: reboot by root:`, `reboot: rebooted by root`.
        AppFamily::Generic => {
            let ends = ["reboot by ", "rebooted by ", "halt by ", "halted by ", "power-down by ", "power-cycle by "];
            strip_any(text, &ends).is_some()
        }
        AppFamily::Systemd => {
            let begins = |starts: &[&str]| strip_any(text, starts).is_some();
            if let Some(target) = strip_any(text, &["Reached target ", "Stopped target "]) {
                let target = target.to_ascii_lowercase();
                let of_end = ["shutdown", "reboot", "power", "halt", "final step"];
                return if text.starts_with("Reached") {
                    of_end.iter().any(|word| target.contains(word))
                } else {
                    target.starts_with("multi-user") || target.starts_with("graphical") || target.starts_with("basic")
                };
            }
            begins(&["System is powering", "System is rebooting", "System is halting", "System is going down"])
                || begins(&[
                    "The system will ",
                    "Shutting down.",
                    "Powering off.",
                    "Rebooting.",
                    "Switching to runlevel: 6",
                    "Switching to runlevel: 0",
                ])
        }
        _ => false,
    }
}
