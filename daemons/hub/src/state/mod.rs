//! What the dashboard shows, and nothing else: pure, time comes in, deltas go out.
//!
//! [`State`] is told what happened by the hub's core and answers with what changed since it was
//! last asked. It counts; it decides nothing about delivery or detection.

mod alerts;
mod endpoints;
mod malformed;
mod rates;

pub(crate) use alerts::Change;
pub(crate) use endpoints::{About, Heard};

use nms_kit::intake::Rejected;
use nms_proto::{
    alert::Alert,
    dash::{DashCommand, EndpointKind, FromHub, Link, Snapshot, SourceAccount, Stats},
    event::Loss,
    id::EndpointId,
    time::{Stamp, Tick},
};

use alerts::Alerts;
use endpoints::Endpoints;
use malformed::Malformed;
use rates::Rates;

/// Everything the dashboard shows, but the log lines.
#[derive(Debug, Default)]
pub(crate) struct State {
    endpoints: Endpoints,
    malformed: Malformed,
    alerts: Alerts,
    rates: Rates,
    link: Link,
    analysis_ms: Option<u64>,
}

impl State {
    /// Something came from an endpoint.
    pub(crate) fn heard(&mut self, now: Tick, stamp: Stamp, heard: &Heard<'_>) {
        self.rates.count(now, heard.events);
        self.endpoints.heard(now, stamp, heard);
    }

    /// An agent connected or sent a heartbeat.
    pub(crate) fn agent(&mut self, now: Tick, stamp: Stamp, source: &EndpointId, about: &About) {
        let heard = Heard { source, kind: &EndpointKind::Agent, events: 0, parse_errors: 0 };
        self.endpoints.heard(now, stamp, &heard);
        self.endpoints.described(source, about);
    }

    /// Whether that source is an agent.
    pub(crate) fn is_agent(&self, source: &EndpointId) -> bool {
        self.endpoints.is_agent(source)
    }

    /// Two sources have sent the same lines.
    pub(crate) fn overlap(&mut self, one: &EndpointId, other: &EndpointId) {
        self.endpoints.overlap(one, other);
    }

    /// A malformed message was turned away.
    pub(crate) fn rejected(&mut self, now: Tick, stamp: Stamp, rejected: &Rejected) {
        self.malformed.add(stamp, rejected);
        let heard = Heard { source: &rejected.source, kind: &EndpointKind::Syslog, events: 0, parse_errors: 1 };
        self.endpoints.heard(now, stamp, &heard);
    }

    /// An agent turned away `count` lines for one `reason`, of which one began so (base64).
    pub(crate) fn turned_away(
        &mut self,
        now: Tick,
        stamp: Stamp,
        (source, kind): (&EndpointId, &EndpointKind),
        (reason, count, sample): (&str, u64, Option<&str>),
    ) {
        self.malformed.told(stamp, source, reason, count, sample);
        self.endpoints.heard(now, stamp, &Heard { source, kind, events: 0, parse_errors: count });
    }

    /// Messages were cut at the longest line, and taken all the same.
    pub(crate) fn cut(&mut self, stamp: Stamp, source: &EndpointId, count: u64) {
        self.malformed.count(stamp, source, Loss::TRUNCATED, count);
    }

    /// An alert has a revision; the change, if it is news.
    pub(crate) fn alert(&mut self, alert: Alert) -> Option<Change> {
        self.alerts.take(alert)
    }

    /// A person does something with an alert.
    pub(crate) fn settle(&mut self, uid: u32, now: Stamp, command: &DashCommand) -> Result<Alert, &'static str> {
        self.alerts.settle(uid, now, command)
    }

    /// The link to the server, but the accounts, which are asked for when shown.
    pub(crate) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// How long the server took for its last results.
    pub(crate) fn analysed(&mut self, milliseconds: u64) {
        self.analysis_ms = Some(milliseconds);
    }

    /// Endpoints that are up.
    pub(crate) fn connected(&self, now: Tick) -> u64 {
        self.endpoints.connected(now)
    }

    /// What a dashboard is sent once a second.
    pub(crate) fn second(&mut self, now: Tick, accounts: Vec<SourceAccount>) -> Vec<FromHub> {
        let mut deltas = vec![
            FromHub::Stats(self.stats(now)),
            FromHub::Endpoints(self.endpoints.list(now)),
            FromHub::Link(Box::new(self.link_with(accounts))),
        ];
        let changed = self.malformed.changed();
        if !changed.is_empty() {
            deltas.push(FromHub::ParseErrors(changed));
        }
        deltas
    }

    /// Everything as it stands, without log lines.
    pub(crate) fn snapshot(&mut self, now: Tick, accounts: Vec<SourceAccount>) -> Snapshot {
        Snapshot {
            alerts: self.alerts.list(),
            alerts_follow: 0,
            lines: Vec::new(),
            endpoints: self.endpoints.list(now),
            stats: self.stats(now),
            parse_errors: self.malformed.list(),
            link: self.link_with(accounts),
        }
    }

    fn link_with(&self, accounts: Vec<SourceAccount>) -> Link {
        Link { sources: accounts, ..self.link.clone() }
    }

    fn stats(&mut self, now: Tick) -> Stats {
        Stats {
            events: self.rates.total(),
            events_per_s: self.rates.per_s(now),
            events_per_min: self.rates.per_min(now),
            parse_errors: self.malformed.total(),
            endpoints: Some(self.endpoints.count()),
            alerts_open: self.alerts.open(),
            alerts: self.alerts.len(),
            analysis_ms: self.analysis_ms,
        }
    }
}
