//! What the core shows: to dashboards, and to its server in heartbeats.

use nms_kit::clock;
use nms_proto::{
    dash::{FromHub, Snapshot},
    limits::DASH_SOURCES_MAX,
    message::Heartbeat,
    time::Tick,
};

use super::Core;
use crate::lines::{LINES_BYTES_MAX, Lines};

/// Lines that a new dashboard is sent at once.
const SNAPSHOT_LINES: usize = 1_000;
/// Alerts in a snapshot's frame: with their evidence they are a few KiB each.
const SNAPSHOT_ALERTS: usize = 200;

impl Core {
    /// What dashboards have not been told yet.
    pub(crate) fn news(&mut self) -> Vec<FromHub> {
        std::mem::take(&mut self.news)
    }

    /// What dashboards are told once a second.
    pub(crate) fn second(&mut self, now: Tick) -> Vec<FromHub> {
        let accounts = self.books.ledger.accounts(DASH_SOURCES_MAX);
        let problem = self.spooler.spool().db().problem().or_else(|| self.store.problem());
        self.state.link().queue = self.spooler.spool().stats().events;
        self.state.link().disk = problem.map(|problem| problem.to_string().into());
        self.state.second(now, accounts)
    }

    /// Everything as it stands: a snapshot, and the alerts that do not fit its frame after it.
    pub(crate) fn snapshot(&mut self, now: Tick) -> Vec<FromHub> {
        let accounts = self.books.ledger.accounts(DASH_SOURCES_MAX);
        let after = self.lines.next().saturating_sub(SNAPSHOT_LINES as u64 + 1);
        let lines = self.lines.after(after, SNAPSHOT_LINES, LINES_BYTES_MAX);
        let mut snapshot = Snapshot { lines, ..self.state.snapshot(now, accounts) };
        let spare = snapshot.alerts.len().saturating_sub(SNAPSHOT_ALERTS);
        let older: Vec<_> = snapshot.alerts.drain(..spare).map(|alert| FromHub::Alert(Box::new(alert))).collect();
        snapshot.alerts_follow = older.len() as u64;
        let mut messages = vec![FromHub::Snapshot(Box::new(snapshot))];
        messages.extend(older);
        messages
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// What the next heartbeats say.
    pub(crate) fn vitals(&self, now: Tick) -> Heartbeat {
        let spool = self.spooler.spool();
        let oldest = spool.oldest_at_ms().ok().flatten();
        let total = self.books.ledger.total();
        Heartbeat {
            uptime_seconds: now.since(self.started) / 1_000,
            events_queued: spool.stats().events,
            endpoints_connected: self.state.connected(now),
            received: Some(total.received),
            delivered: Some(total.delivered),
            dropped: total.dropped,
            rejected: total.rejected,
            oldest_age_ms: oldest.map(|at| clock::unix_ms().saturating_sub(at).max(0).unsigned_abs()),
            heartbeat: None,
        }
    }
}
