//! What happens on the network, and access spread over many: the correlators that look beyond one actor's burst, with one
//! switch in front of them.
//!
//! Most events are none of theirs, and are told so by a byte and the application's name.

use nms_proto::{
    event::{Body, Event},
    extraction::{Action, AppFamily, Extraction, Outcome},
    finding::{Category, Finding},
};

use super::{
    connections::Connections,
    crowd::{Crowd, standing_key},
    dns_tunnel::{self, DnsTunnel},
    guessing::Tried,
    lan::Lan,
    lan_lines,
    router::Router,
    router_lines, sensors,
    silence::Silence,
    slow_guessing::{SlowGuessing, Slowly},
    spraying::Spraying,
};
use crate::{bounded::total, incident::When, incidents::Incidents};

/// Which of these correlators an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    /// A sensor's alarm.
    Alarm,
    /// A name that was asked for.
    Question,
    /// The local network.
    Lan,
    /// A connection that a process made.
    Connection,
    /// The administration of a router.
    Router,
}

/// Which correlator `event` is for, if any; most are for none.
pub(super) fn matter(event: &Event, found: &Extraction<'_>) -> Option<Matter> {
    let line = match &event.body {
        Body::Syslog(line) => line,
        Body::Connection(_) => return Some(Matter::Connection),
        _ => return None,
    };
    match (found.family, found.action) {
        (AppFamily::Suricata | AppFamily::Fortigate | AppFamily::Asa, Action::Ids) => Some(Matter::Alarm),
        // The local network is a matter of switches, the rest of routers.
        (AppFamily::Ios, Action::Ids) => Some(if line.message.contains("Sig:") { Matter::Alarm } else { Matter::Lan }),
        (AppFamily::Dnsmasq | AppFamily::Dhcpd, Action::Lease) => {
            line.message.contains("DHCPDISCOVER").then_some(Matter::Lan)
        }
        (AppFamily::Fortigate | AppFamily::Asa, Action::Command | Action::Account | Action::Service)
        | (AppFamily::Ios | AppFamily::Mikrotik, Action::Command) => Some(Matter::Router),
        (
            AppFamily::Fortigate
            | AppFamily::Asa
            | AppFamily::Ios
            | AppFamily::Mikrotik
            | AppFamily::Openwrt
            | AppFamily::Dropbear,
            Action::Login,
        ) => (found.outcome == Outcome::Ok).then_some(Matter::Router),
        (AppFamily::Ios, Action::Other) => line.message.contains("Logging to host ").then_some(Matter::Router),
        (AppFamily::Kernel | AppFamily::Mikrotik, _) => lan_lines::is_suspect(&line.message).then_some(Matter::Lan),
        (AppFamily::Dnsmasq, _) => {
            let is_suspect = dns_tunnel::is_suspect(AppFamily::Dnsmasq, "", line.message.trim_ascii());
            is_suspect.then_some(Matter::Question)
        }
        _ => by_name(line.app.as_deref()?, &line.message),
    }
}

/// Whether the service that a line is of has its standing incident: the internet tries it all day.
pub(super) fn is_exposed(incidents: &Incidents, line: (&Event, &Extraction<'_>), when: When) -> bool {
    incidents.is_open(&standing_key(line), when.at.unix_ms)
}

/// By the names of applications that no extractor knows.
fn by_name(app: &str, text: &str) -> Option<Matter> {
    match app {
        "clamd" | "clamav" | "clamscan" | "clamav-milter" | "freshclam" | "fail2ban" | "fail2ban-server"
        | "fail2ban.actions" | "rkhunter" | "chkrootkit" | "zeek" | "bro" => Some(Matter::Alarm),
        "arpwatch" => Some(Matter::Lan),
        "php-fpm" | "php" | "audit" | "config" | "opnsense" => {
            router_lines::is_suspect(text.trim_ascii()).then_some(Matter::Router)
        }
        "named" | "bind" | "unbound" => {
            dns_tunnel::is_suspect(AppFamily::Generic, app, text.trim_ascii()).then_some(Matter::Question)
        }
        _ => None,
    }
}

/// The correlators of the network.
#[derive(Debug)]
pub(super) struct Network {
    spraying: Spraying,
    slow: SlowGuessing,
    crowd: Crowd,
    dns_tunnel: DnsTunnel,
    lan: Lan,
    router: Router,
    connections: Connections,
    silence: Silence,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            spraying: Spraying::new(),
            slow: SlowGuessing::new(),
            crowd: Crowd::new(),
            dns_tunnel: DnsTunnel::new(),
            lan: Lan::new(),
            router: Router::new(),
            connections: Connections::new(),
            silence: Silence::new(),
        }
    }

    /// Any event, before it is looked at: its source speaks. `clock` is the hub's, as if it had never been set, and by how
    /// much it was.
    pub(super) fn heard(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        clock: (i64, i64),
        out: &mut Vec<Finding>,
    ) {
        self.silence.tick(incidents, clock, out);
        self.silence.heard(incidents, line, clock, out);
    }

    /// What an event led to.
    pub(super) fn found<'a>(&mut self, findings: impl Iterator<Item = &'a Finding>, now: i64) {
        let others = findings.filter(|finding| finding.category != Category::Silence);
        self.silence.found(others.map(|finding| (&finding.source, finding.floor)), now);
    }

    /// Does what is due by the hub's clock.
    pub(super) fn tick(&mut self, incidents: &mut Incidents, clock: (i64, i64), out: &mut Vec<Finding>) {
        self.silence.tick(incidents, clock, out);
    }

    /// The hub's clock at which something is due, Unix milliseconds.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.silence.deadline()
    }

    /// An event that is for one of these.
    pub(super) fn observe(
        &mut self,
        incidents: &mut Incidents,
        matter: Matter,
        line: (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        match matter {
            Matter::Alarm => sensors::reported(incidents, line, when, out),
            Matter::Lan => self.lan.told(incidents, line, when, out),
            Matter::Router => self.router.administered(incidents, line, when, out),
            Matter::Connection => self.connections.made(incidents, line.0, when, out),
            Matter::Question => self.dns_tunnel.asked(incidents, line, when, out),
        }
    }

    /// A login that failed, with what its actor's own burst made of it.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        tried: Tried,
        when: When,
        out: &mut Vec<Finding>,
    ) {
        if tried.attempts == 0 {
            return;
        }
        if tried.told || self.spraying.failed(incidents, line, when, out) {
            self.crowd.told_alone(line);
            return;
        }
        let slowly = self.slow.failed(incidents, line, tried.attempts, when, out);
        if slowly == Slowly::Told {
            self.crowd.told_alone(line);
        } else {
            self.crowd.failed(incidents, line, (tried.attempts, slowly == Slowly::Exposed), when, out);
        }
    }

    /// A login that succeeded and followed no burst.
    pub(super) fn logged_in(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        self.slow.succeeded(incidents, line, when, out);
        self.crowd.succeeded(incidents, line, when, out);
        self.spraying.succeeded(line.1, when);
    }

    /// Entries remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        total([
            self.spraying.sizes(),
            self.slow.sizes(),
            self.crowd.sizes(),
            self.dns_tunnel.sizes(),
            self.lan.sizes(),
            self.router.sizes(),
            self.connections.sizes(),
            self.silence.sizes(),
        ])
    }
}
