//! Looking around: one address towards many ports of a host, or one port of many hosts (ATT&CK T1046, T1595.001).
//!
//! What a firewall blocked is looked at. Within a minute, 15 ports of one host are a scan and 15 hosts at one port a sweep;
//! 50 are a loud one. From inside that is MEDIUM and HIGH: nobody inside looks around by accident. From outside it is
//! weather: a scan of one host is LOW and loud MEDIUM, a sweep LOW. Many ports of many hosts, as file sharing has
//! them, are neither.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::Event,
    extraction::{Actor, Extraction, Object},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};

use super::unsaid::Unsaid;
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_inside},
};

/// Time in which targets are taken together, in milliseconds.
const TOGETHER_MS: i64 = 60_000;
/// Targets that are a scan or a sweep, and a loud one.
const MANY: usize = 15;
const LOUD: usize = 50;
/// Targets of one address that are kept.
const KEPT: usize = 64;
/// Packets kept as evidence.
const EVIDENCE_KEPT: usize = 4;

/// What an address was blocked towards lately: each target once, with the last time.
#[derive(Debug, Default)]
struct Targets {
    seen: VecDeque<(i64, IpAddr, u16)>,
    unsaid: Unsaid,
}

impl Suspicion for Targets {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, ..)| *at))
    }
}

/// What was found.
#[derive(Clone, Copy)]
enum Look {
    /// So many ports of a host.
    Ports(usize, IpAddr),
    /// So many hosts at a port.
    Hosts(usize, u16),
}

impl Targets {
    /// Takes a target; false where it was there already.
    fn add(&mut self, at: i64, to: (IpAddr, u16)) -> bool {
        self.seen.retain(|(seen, ..)| (at - seen).abs() <= TOGETHER_MS);
        if self.seen.is_empty() {
            self.unsaid.clear();
        }
        let known = self.seen.iter().position(|(_at, address, port)| (*address, *port) == to);
        let known = known.and_then(|place| self.seen.remove(place)).is_some();
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, to.0, to.1));
        !known
    }

    /// What the target that just came belongs to.
    fn look(&self, (address, port): (IpAddr, u16)) -> Option<Look> {
        let ports = self.seen.iter().filter(|(_at, other, _port)| *other == address).count();
        let hosts = self.seen.iter().filter(|(_at, _other, other)| *other == port).count();
        match (ports, hosts) {
            (MANY.., _) if ports >= hosts => Some(Look::Ports(ports, address)),
            (_, MANY..) => Some(Look::Hosts(hosts, port)),
            _ => None,
        }
    }

    fn took_ms(&self) -> i64 {
        let times = || self.seen.iter().map(|(at, ..)| *at);
        times().max().unwrap_or_default() - times().min().unwrap_or_default()
    }
}

impl Look {
    fn severity(self, inside: bool) -> Severity {
        match (inside, self) {
            (true, Self::Ports(LOUD.., _) | Self::Hosts(LOUD.., _)) => Severity::High,
            (true, _) | (false, Self::Ports(LOUD.., _)) => Severity::Medium,
            (false, _) => Severity::Low,
        }
    }

    fn counted(self) -> String {
        match self {
            Self::Ports(count, address) => format!("{count} ports of {address}"),
            Self::Hosts(count, port) => format!("{count} hosts at port {port}"),
        }
    }

    fn what(self) -> String {
        match self {
            Self::Ports(_, address) => format!("the ports of {address}"),
            Self::Hosts(_, port) => format!("hosts at port {port}"),
        }
    }
}

/// Addresses that were blocked towards something lately.
#[derive(Debug)]
pub(super) struct Spread {
    actors: Bounded<IpAddr, Targets>,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self { actors: Bounded::new(ACTORS_MAX) }
    }

    /// A packet that a firewall blocked.
    pub(super) fn blocked(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (Some(Actor::Address(actor)), Some(Object::Endpoint { address, port: Some(port) })) =
            (found.actor, found.object)
        else {
            return;
        };
        let at = when.at.unix_ms;
        let key = Key { story: Story::Look, subject: Subject::Address(actor) };
        let targets = self.actors.entry(actor, Targets::default);
        let fresh = targets.add(at, (address, port));
        targets.unsaid.saw();
        let look = targets.look((address, port)).filter(|_look| fresh);
        let severity = look.map(|look| look.severity(is_inside(actor)));
        if let (Some(look), Some(severity)) = (look, severity.filter(|s| Some(*s) > incidents.severity(&key, at))) {
            let (evidence, count) = targets.unsaid.take(evidence(event, when.at));
            let reason = format!(
                "{actor} was blocked towards {} within {} (limit {MANY} in 60 s)",
                look.counted(),
                span(targets.took_ms())
            );
            let sign = Sign {
                rule: "spread",
                category: Category::PortScan,
                severity,
                confidence: if is_inside(actor) { 0.9 } else { 0.7 },
                message: format!("{actor} looks through {}", look.what()),
                reasons: vec![reason],
                techniques: if is_inside(actor) { &["T1046"] } else { &["T1595.001"] },
                actor: Some(actor.to_string().into()),
                victim: matches!(look, Look::Ports(..)).then(|| address.to_string().into()),
                evidence,
                count,
                news: false,
                key,
            };
            incidents.raise(sign, &event.source, when, out);
        } else {
            let lines_max = if fresh { EVIDENCE_KEPT } else { 0 };
            targets.unsaid.count_or_keep(incidents, &key, (event, lines_max), when, out);
        }
    }

    /// Addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.actors.len(), self.actors.forgotten())
    }
}
