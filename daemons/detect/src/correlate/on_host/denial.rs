//! Service made unusable: what kernels, web servers and firewalls say when they are flooded or run out (ATT&CK T1498, T1499).
//!
//! The kernel says each of its sentences once or once a while, so one is enough: a flood of SYN packets and a full table of
//! connections are MEDIUM, both within ten minutes HIGH. A process killed for want of memory is LOW, the same three times
//! within ten minutes MEDIUM: a service goes round in circles. nginx refuses by its limits all day: 100 refusals of one host
//! within a minute are MEDIUM, 1,000 HIGH. Of the rates of an ASA's threat detection (733100) those of attacks are
//! MEDIUM, the rest is weather; of FortiGate's anomalies a SYN flood is MEDIUM, another flood when it comes three times
//! within ten minutes.
//!
//! Sources of floods are mostly forged, so none is accused but the client that nginx or Apache itself has named.

use std::collections::VecDeque;

use nms_proto::{
    extraction::{Action, Actor, AppFamily},
    finding::Category,
    id::EndpointId,
    limits::SOURCES_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Case, Desk};
use crate::{
    bounded::{Bounded, Suspicion},
    extract::without_clock,
    incident::{Sign, span},
    subject::{Key, Story},
    text::{address, cut, pairs, starts, strip_any},
};

/// Time in which troubles of one source are taken together, in milliseconds.
const TOGETHER_MS: i64 = 10 * 60_000;
/// Times that the same process dies, or the same flood comes, until it is more than an accident.
const AGAIN: usize = 3;
/// Troubles of one source that are kept.
const KEPT: usize = 16;
/// Refusals of a web server in [`MINUTE_MS`] that are many, and a flood.
const REFUSED: [u32; 2] = [100, 1_000];
const MINUTE_MS: i64 = 60_000;
/// Bytes of a name in a sentence.
const NAME_BYTES: usize = 64;

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble<'a> {
    Syn,
    Connections,
    Memory,
    Neighbours,
    Killed(&'a str),
}

impl Trouble<'_> {
    /// A number for the kind, and the name of what was killed in it.
    fn hash(self) -> u64 {
        match self {
            Self::Syn => 1,
            Self::Connections => 2,
            Self::Memory => 3,
            Self::Neighbours => 4,
            Self::Killed(name) => xxh3_64(name.as_bytes()) | NAMED,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Syn => "a flood of SYN packets",
            Self::Connections => "a full table of connections",
            Self::Memory => "no memory left for TCP",
            Self::Neighbours => "a full table of neighbours",
            Self::Killed(_) => "no memory left",
        }
    }
}

/// Marks the hashes of names.
const NAMED: u64 = 1 << 63;
/// Marks the floods that a firewall names.
const FLOOD: u64 = 1 << 62;

/// Lately on one source.
#[derive(Debug, Default)]
struct Lately {
    troubles: VecDeque<(i64, u64)>,
    /// Since when refusals are counted, and how many.
    refused: (i64, u32),
    /// The client that was refused, where it is only one.
    client: Option<Client>,
}

/// A client, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    One(std::net::IpAddr),
    Several,
}

impl Suspicion for Lately {
    fn suspicion(&self) -> (u32, i64) {
        (self.troubles.len() as u32, self.troubles.back().map_or(0, |(at, _what)| *at))
    }
}

impl Lately {
    /// Takes a trouble; how often the same came lately, and in what time.
    fn add(&mut self, at: i64, what: u64) -> (usize, i64) {
        self.troubles.retain(|(seen, _what)| (at - seen).abs() <= TOGETHER_MS);
        if self.troubles.len() == KEPT {
            self.troubles.pop_front();
        }
        self.troubles.push_back((at, what));
        let same = || self.troubles.iter().filter(|(_at, other)| *other == what).map(|(at, _what)| *at);
        (same().count(), same().max().unwrap_or(at) - same().min().unwrap_or(at))
    }

    /// Whether two different signs of a flood came lately.
    fn is_mixed(&self) -> bool {
        let of_network =
            || self.troubles.iter().map(|(_at, what)| *what).filter(|what| *what < Trouble::Neighbours.hash());
        of_network().max() != of_network().min()
    }
}

/// Troubles of all sources.
#[derive(Debug)]
pub(super) struct Denial {
    sources: Bounded<EndpointId, Lately>,
}

impl Denial {
    pub(super) fn new() -> Self {
        Self { sources: Bounded::new(SOURCES_MAX) }
    }

    /// A line of the kernel.
    pub(super) fn kernel(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        let Some(trouble) = trouble(case.text) else { return };
        let lately = self.sources.entry(case.event.source.clone(), Lately::default);
        let (times, took) = lately.add(case.at(), trouble.hash());
        let mixed = lately.is_mixed();
        let host = case.host();
        let severity = match trouble {
            Trouble::Killed(_) if times >= AGAIN => Severity::Medium,
            Trouble::Killed(_) | Trouble::Neighbours => Severity::Low,
            _ if mixed => Severity::High,
            _ => Severity::Medium,
        };
        let (key, message, reason) = if let Trouble::Killed(name) = trouble {
            let name = cut(name, NAME_BYTES);
            let reason = format!(
                "{name} was killed for want of memory {times} times within {} (limit {AGAIN} in 10 min)",
                span(took)
            );
            (case.key(Story::Denial, name), format!("{host} has no memory left for {name}"), reason)
        } else {
            let more = if mixed { ", and another sign of a flood within 10 min" } else { "" };
            (
                case.key(Story::Denial, "network"),
                format!("{host} tells of {}", trouble.what()),
                format!("the kernel told of {} {times} times within {}{more}", trouble.what(), span(took)),
            )
        };
        if desk.incidents.severity(&key, case.at()) >= Some(severity) && desk.count(case, &key) {
            return;
        }
        let sign = case.sign(key, "denial", Category::DenialOfService);
        desk.raise(
            case,
            Sign {
                severity,
                confidence: match severity {
                    Severity::High => 0.85,
                    Severity::Medium => 0.6,
                    _ => 0.2,
                },
                message,
                reasons: vec![reason],
                techniques: if matches!(trouble, Trouble::Killed(_)) { &["T1499"] } else { &["T1498", "T1499.001"] },
                ..sign
            },
        );
    }

    /// A request or connection that nginx refused by a limit.
    pub(super) fn limited(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        let client = match case.found.actor {
            Some(Actor::Address(address)) => Client::One(address),
            _ => Client::Several,
        };
        let lately = self.sources.entry(case.event.source.clone(), Lately::default);
        if !(0..=MINUTE_MS).contains(&(case.at() - lately.refused.0)) {
            (lately.refused, lately.client) = ((case.at(), 0), Some(client));
        }
        lately.refused.1 = lately.refused.1.saturating_add(case.found.times.max(1));
        if lately.client != Some(client) {
            lately.client = Some(Client::Several);
        }
        let (since, count) = lately.refused;
        let [many, flood] = REFUSED;
        let (severity, limit) = if count >= flood { (Severity::High, flood) } else { (Severity::Medium, many) };
        if count < many {
            return;
        }
        let key = case.key(Story::Denial, "web");
        if desk.incidents.severity(&key, case.at()) >= Some(severity) && desk.count(case, &key) {
            return;
        }
        let host = case.host();
        let (whom, actor): (String, Option<Box<str>>) = match lately.client {
            Some(Client::One(address)) => (address.to_string(), Some(address.to_string().into())),
            _ => (String::from("several clients"), None),
        };
        let sign = case.sign(key, "denial", Category::DenialOfService);
        let took = span((case.at() - since).max(0));
        desk.raise(
            case,
            Sign {
                severity,
                confidence: if severity == Severity::High { 0.85 } else { 0.65 },
                message: format!("the web server {host} is flooded by {whom}"),
                reasons: vec![format!(
                    "{count} requests of {whom} beyond the limits within {took} (limit {limit} in 60 s)"
                )],
                techniques: &["T1499.002"],
                actor,
                count: u64::from(count),
                ..sign
            },
        );
    }

    /// `Blacklisting address 192.0.2.7: possible DoS attack.`, of `mod_evasive` in Apache.
    pub(super) fn evasive(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        let Some(tail) = case.text.strip_prefix("Blacklisting address ") else { return };
        let Some(client) = tail.split(':').next().filter(|_c| tail.contains(": possible DoS attack")).and_then(address)
        else {
            return;
        };
        let key = case.key(Story::Denial, "web");
        let Some((severity, times, took)) = self.flooded(desk, case, &key, 1, false) else { return };
        let sign = case.sign(key, "denial", Category::DenialOfService);
        desk.raise(
            case,
            Sign {
                severity,
                confidence: if severity == Severity::Medium { 0.6 } else { 0.3 },
                message: format!("the web server {} is flooded by {client}", case.host()),
                reasons: vec![format!(
                    "Apache shut out {times} clients within {} (limit {AGAIN} in 10 min)",
                    span(took)
                )],
                techniques: &["T1499.002"],
                actor: Some(client.to_string().into()),
                ..sign
            },
        );
    }

    /// A rate that an ASA or a FortiGate found too high.
    pub(super) fn appliance(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        let asa = case.found.family == AppFamily::Asa;
        let Some((name, alone)) = (if asa { rate(case) } else { anomaly(case.text) }) else { return };
        let key = case.key(Story::Denial, "network");
        let what = xxh3_64(name.as_bytes()) >> 2;
        let Some((severity, times, took)) = self.flooded(desk, case, &key, what, alone) else { return };
        let name = cut(name, NAME_BYTES);
        let sign = case.sign(key, "denial", Category::DenialOfService);
        desk.raise(
            case,
            Sign {
                severity,
                confidence: if severity == Severity::Medium { 0.6 } else { 0.25 },
                message: format!("{} tells of a flood: {name}", case.host()),
                reasons: vec![format!(
                    "{name} was told {times} times within {} (limit {AGAIN} in 10 min, a SYN flood once)",
                    span(took)
                )],
                techniques: &["T1498"],
                ..sign
            },
        );
    }

    /// Takes a flood, the `what`th kind of the source, which is enough `alone` or when it comes again: how bad it is, how often
    /// it came lately and in what time; nothing where the incident of `key` tells of it already.
    fn flooded(
        &mut self,
        desk: &mut Desk<'_>,
        case: &Case<'_>,
        key: &Key,
        what: u64,
        alone: bool,
    ) -> Option<(Severity, usize, i64)> {
        let lately = self.sources.entry(case.event.source.clone(), Lately::default);
        let (times, took) = lately.add(case.at(), FLOOD | what);
        let severity = if alone || times >= AGAIN { Severity::Medium } else { Severity::Low };
        let is_told = desk.incidents.severity(key, case.at()) >= Some(severity) && desk.count(case, key);
        (!is_told).then_some((severity, times, took))
    }

    /// Sources remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.sources.len(), self.sources.forgotten())
    }
}

/// Whether a line of the kernel tells of one of its troubles.
pub(super) fn is_trouble(text: &str, action: Action) -> bool {
    matches!(action, Action::Ids | Action::Process | Action::Other) && trouble(text.trim_ascii_start()).is_some()
}

/// What the kernel says; its own words begin the line.
fn trouble(text: &str) -> Option<Trouble<'_>> {
    let text = without_clock(text);
    let bare = strip_any(text, &["TCP: ", "neighbour: ", "nf_conntrack: ", "ip_conntrack: "]).unwrap_or(text);
    let bare = strip_any(bare, &["request_sock_TCP: ", "request_sock_TCPv6: ", "TCP: ", "TCPv6: ", "nf_conntrack: "])
        .unwrap_or(bare);
    let killed = ["Out of memory: Kill", "Memory cgroup out of memory: Kill"];
    if starts(bare, "possible syn flooding on port") {
        Some(Trouble::Syn)
    } else if bare.len() < text.len() && bare.starts_with("table full, dropping packet") {
        Some(Trouble::Connections)
    } else if text.starts_with("TCP: out of memory") || text.starts_with("TCP: too many orphaned sockets") {
        Some(Trouble::Memory)
    } else if starts(bare, "neighbour table overflow")
        || starts(bare, "neighbor table overflow")
        || bare.starts_with("arp_cache: neighbor table overflow")
        || bare.starts_with("ndisc_cache: neighbor table overflow")
    {
        Some(Trouble::Neighbours)
    } else if let Some(tail) = strip_any(text, &killed) {
        let (_pid, name) = tail.split_once(" (")?;
        Some(Trouble::Killed(name.split(')').next()?))
    } else {
        None
    }
}

/// What nginx says when it refuses by a limit: `... [error] 12#12: *7 limiting requests, excess: 20.340 by zone ...`.
pub(super) fn limited(text: &str) -> Option<&str> {
    let (head, said) = text.split_once(" *")?;
    let (_number, said) = said.split_once(' ')?;
    let own = head.len() <= NAME_BYTES
        && (said.starts_with("limiting requests, excess: ") || said.starts_with("limiting connections by zone "));
    own.then_some(said)
}

/// `[ SYN attack] drop rate-1 exceeded. ...`: what exceeded its rate, and whether once is enough.
fn rate<'a>(case: &Case<'a>) -> Option<(&'a str, bool)> {
    let numbered = case.app.contains("733100") || cut(case.text, NAME_BYTES).contains("733100");
    let (_head, tail) = case.text.split_once('[').filter(|_tail| numbered)?;
    let (name, said) = tail.split_once(']')?;
    let (name, said) = (name.trim_ascii(), said.trim_ascii_start());
    if !said.starts_with("drop rate") {
        return None;
    }
    match name {
        "SYN attack" | "DoS attack" => Some((name, true)),
        "ICMP attack" | "Bad pkts" => Some((name, false)),
        _ => None,
    }
}

/// FortiGate's `subtype="anomaly" ... attack="tcp_syn_flood"`.
fn anomaly(text: &str) -> Option<(&str, bool)> {
    let (mut of_anomaly, mut attack) = (false, None);
    for (key, value) in pairs(text) {
        match key {
            "subtype" | "type" => of_anomaly |= value == "anomaly",
            // The first is the device's; later text may be anybody's.
            "attack" | "attackname" if attack.is_none() => attack = Some(value),
            _ => {}
        }
    }
    let name = attack.filter(|_name| of_anomaly)?;
    (name.ends_with("_flood") || name.ends_with("_session")).then_some((name, name == "tcp_syn_flood"))
}
