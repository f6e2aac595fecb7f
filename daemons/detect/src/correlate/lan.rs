//! Oddities of the local network: addresses that change hands (ATT&CK T1557.002), a second DHCP server (T1557.003), leases
//! that somebody takes by the hundred (T1498), a device where another belongs (T1200).
//!
//! An address that moves between two hardware addresses is worth a line where it is a gateway's (the sender's own, or one
//! that ends in .1 or .254): LOW once, since routers are replaced; MEDIUM at three moves within 10 min, HIGH at eight,
//! since who poisons must repeat it against the true one. Others are LOW at six: a laptop at its dock, a host with two
//! cards. Addresses that routers share (VRRP, HSRP, CARP) move by design and say nothing.
//!
//! A DHCP server that nobody knows is MEDIUM where the switch or router names it. 100 hardware addresses of 50 makers that
//! ask for a lease within a minute are MEDIUM, and HIGH where the leases run out. A port's violation is LOW.
//! Read from arpwatch, the kernels of Linux and BSD, Cisco's switches, `MikroTik`, ISC's dhcpd and dnsmasq; all of it is
//! written by the device, and no outsider's name stands before it.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::{Body, Event},
    extraction::{Actor, AppFamily, Extraction},
    finding::{Category, Finding},
    id::EndpointId,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    guessing::victim,
    lan_lines::{Note, note},
    unsaid::Unsaid,
};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::cut,
};

/// Time in which moves are taken together, and requests for leases, in milliseconds.
const MOVES_MS: i64 = 10 * 60_000;
const LEASES_MS: i64 = 60_000;
/// Moves of a gateway's address that are worth a look, and worth one now; moves of another that are worth a line.
const MOVES: usize = 3;
const MANY_MOVES: usize = 8;
const MOVES_OF_OTHERS: usize = 6;
/// Hardware addresses that ask for a lease, and makers of them.
const CLIENTS: usize = 100;
const MAKERS: usize = 50;
/// Moves and clients that are kept, and addresses and sources that are told apart.
const MOVES_KEPT: usize = 16;
const CLIENTS_KEPT: usize = 128;
const ADDRESSES_MAX: usize = 4_096;
const SERVERS_MAX: usize = 1_024;
/// Lines kept as evidence, and bytes of a device's words that are shown.
const EVIDENCE_KEPT: usize = 4;
const SHOWN_BYTES: usize = 80;

/// The moves of an address.
#[derive(Debug, Default)]
struct Moves {
    seen: VecDeque<i64>,
    unsaid: Unsaid,
}

impl Suspicion for Moves {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().copied().unwrap_or_default())
    }
}

/// Who asked a server for a lease lately: when, and hashes of the hardware address and of its maker.
#[derive(Debug, Default)]
struct Clients {
    seen: VecDeque<(i64, u64, u64)>,
    ran_out: i64,
    unsaid: Unsaid,
}

impl Suspicion for Clients {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, ..)| *at))
    }
}

/// What is said at once, without counting.
struct Plain {
    about: Box<str>,
    category: Category,
    severity: Severity,
    confidence: f32,
    message: String,
    reason: String,
    techniques: &'static [&'static str],
    actor: Option<Box<str>>,
}

/// What devices of the local network tell of each other.
#[derive(Debug)]
pub(super) struct Lan {
    addresses: Bounded<(EndpointId, IpAddr), Moves>,
    servers: Bounded<EndpointId, Clients>,
}

impl Lan {
    pub(super) fn new() -> Self {
        Self { addresses: Bounded::new(ADDRESSES_MAX), servers: Bounded::new(SERVERS_MAX) }
    }

    /// A line that tells of the local network.
    pub(super) fn told(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Body::Syslog(line) = &event.body else { return };
        let app = line.app.as_deref().unwrap_or_default();
        if matches!(found.family, AppFamily::Dnsmasq | AppFamily::Dhcpd) {
            self.wanted(incidents, (event, found), when, out);
            return;
        }
        let host = victim(event);
        let plain = match note(app, line.message.trim_ascii()) {
            None => return,
            Some(Note::Moved { address, to, own }) => {
                self.moved(incidents, event, (address, to, own), when, out);
                return;
            }
            Some(Note::Server { by }) => Plain {
                about: "dhcp".into(),
                category: Category::NetworkAnomaly,
                severity: Severity::Medium,
                confidence: 0.65,
                message: format!("a DHCP server that nobody knows answers on the network of {host}"),
                reason: format!("{host} saw a DHCP server it does not know, {}", cut(by, SHOWN_BYTES)),
                techniques: &["T1557.003"],
                actor: (!by.is_empty()).then(|| cut(by, SHOWN_BYTES).into()),
            },
            Some(Note::Violation { at, by }) => Plain {
                about: at.into(),
                category: Category::PolicyViolation,
                severity: Severity::Low,
                confidence: 0.3,
                message: format!("a device that does not belong there speaks at {} of {host}", cut(at, SHOWN_BYTES)),
                reason: format!("the switch refused {} at {}", cut(by, SHOWN_BYTES), cut(at, SHOWN_BYTES)),
                techniques: &["T1200"],
                actor: (!by.is_empty()).then(|| cut(by, SHOWN_BYTES).into()),
            },
        };
        say(incidents, event, plain, when, out);
    }

    fn moved(
        &mut self,
        incidents: &mut Incidents,
        event: &Event,
        (address, to, own): (IpAddr, &str, bool),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let at = when.at.unix_ms;
        let gateway = own || is_gateway(address, &event.source);
        let moves = self.addresses.entry((event.source.clone(), address), Moves::default);
        moves.seen.retain(|seen| (at - seen).abs() <= MOVES_MS);
        if moves.seen.is_empty() {
            moves.unsaid.clear();
        }
        if moves.seen.len() == MOVES_KEPT {
            moves.seen.pop_front();
        }
        moves.seen.push_back(at);
        moves.unsaid.saw();
        let count = moves.seen.len();
        let judged = match (gateway, count) {
            (true, MANY_MOVES..) => Some((Severity::High, MANY_MOVES)),
            (true, MOVES..) => Some((Severity::Medium, MOVES)),
            (true, _) => Some((Severity::Low, 1)),
            (false, MOVES_OF_OTHERS..) => Some((Severity::Low, MOVES_OF_OTHERS)),
            (false, _) => None,
        };
        let subject = Subject::Name(event.source.clone(), address.to_string().into());
        let key = Key { story: Story::Lan, subject };
        let said = incidents.severity(&key, at);
        let Some((severity, limit)) = judged.filter(|(severity, _limit)| Some(*severity) > said) else {
            moves.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        };
        let took = moves.seen.front().map_or(0, |first| at - first);
        let (evidence, events) = moves.unsaid.take(evidence(event, when.at));
        let whose = if gateway { "the gateway's address " } else { "" };
        let sign = Sign {
            rule: "lan",
            category: Category::NetworkAnomaly,
            severity,
            confidence: match severity {
                Severity::High => 0.8,
                Severity::Medium => 0.6,
                _ => 0.15,
            },
            message: format!("{whose}{address} changes hands on the network of {}", victim(event)),
            reasons: vec![format!(
                "{address} moved {count} times within {}, the last time to {} (limit {limit} in 10 min)",
                span(took.max(0)),
                cut(to, SHOWN_BYTES)
            )],
            techniques: &["T1557.002"],
            actor: Some(cut(to, SHOWN_BYTES).into()),
            victim: Some(address.to_string().into()),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// A hardware address asked for a lease.
    fn wanted(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (Body::Syslog(line), Some(Actor::Name(hardware))) = (&event.body, found.actor) else { return };
        let at = when.at.unix_ms;
        let clients = self.servers.entry(event.source.clone(), Clients::default);
        let (client, maker) = (xxh3_64(hardware.as_bytes()), xxh3_64(cut(hardware, 8).as_bytes()));
        clients.seen.retain(|(seen, other, _maker)| (at - seen).abs() <= LEASES_MS && *other != client);
        if clients.seen.is_empty() {
            clients.unsaid.clear();
        }
        if clients.seen.len() == CLIENTS_KEPT {
            clients.seen.pop_front();
        }
        clients.seen.push_back((at, client, maker));
        clients.unsaid.saw();
        if line.message.ends_with("no free leases") || line.message.ends_with("no address available") {
            clients.ran_out = at;
        }
        let key = Key { story: Story::Lan, subject: Subject::Name(event.source.clone(), "leases".into()) };
        let count = clients.seen.len();
        if count < CLIENTS {
            return;
        }
        let ran_out = (at - clients.ran_out).abs() <= LEASES_MS;
        let severity = if ran_out { Severity::High } else { Severity::Medium };
        let mut makers: Vec<u64> = clients.seen.iter().map(|(.., maker)| *maker).collect();
        makers.sort_unstable();
        makers.dedup();
        if makers.len() < MAKERS || Some(severity) <= incidents.severity(&key, at) {
            clients.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        }
        let host = victim(event);
        let (evidence, events) = clients.unsaid.take(evidence(event, when.at));
        let mut reasons = vec![format!(
            "{count} hardware addresses of {} makers asked {host} for a lease within a minute (limits {CLIENTS} and {MAKERS})",
            makers.len()
        )];
        if ran_out {
            reasons.push("no lease was left".to_owned());
        }
        let sign = Sign {
            rule: "lan",
            category: Category::DenialOfService,
            severity,
            confidence: if ran_out { 0.8 } else { 0.6 },
            message: format!("somebody takes the leases of {host}"),
            reasons,
            techniques: &["T1498", "T1557.003"],
            actor: None,
            victim: Some(host),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Addresses and servers remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let forgotten = self.addresses.forgotten() + self.servers.forgotten();
        (self.addresses.len() + self.servers.len(), forgotten)
    }
}

/// Whether an address is the sender's own, or ends as gateways' do.
fn is_gateway(address: IpAddr, source: &EndpointId) -> bool {
    let usual = matches!(address, IpAddr::V4(v4) if matches!(v4.octets(), [.., 1 | 254]));
    usual || source.as_str().parse() == Ok(address)
}

fn say(incidents: &mut Incidents, event: &Event, plain: Plain, when: When, out: &mut Vec<Finding>) {
    let about = cut(&plain.about, SHOWN_BYTES);
    let key = Key { story: Story::Lan, subject: Subject::Name(event.source.clone(), about.into()) };
    let sign = Sign {
        rule: "lan",
        category: plain.category,
        severity: plain.severity,
        confidence: plain.confidence,
        message: plain.message,
        reasons: vec![plain.reason],
        techniques: plain.techniques,
        actor: plain.actor,
        victim: Some(victim(event)),
        evidence: vec![evidence(event, when.at)],
        count: 1,
        news: false,
        key,
    };
    incidents.raise(sign, &event.source, when, out);
}
