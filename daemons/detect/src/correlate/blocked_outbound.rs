//! A device inside that is blocked again and again on its way out (ATT&CK TA0011): malware calls home by
//! the clock, and a firewall that stops it is the first to know.
//!
//! Attempts are counted, not packets: a blocked SYN is sent again after 1, 2, 4, 8 s, and that is one
//! attempt. Six attempts within an hour towards one endpoint, or eight towards at most four, are MEDIUM;
//! with a rhythm, or sixteen of them, HIGH. Names and time (DNS, NTP and the like) are asked for by every
//! device all day, so towards those ports it stays LOW.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::Event,
    extraction::{Actor, Extraction, Object},
    finding::{Category, Evidence, Finding},
    limits::{ACTORS_MAX, FLOWS_MAX},
    severity::Severity,
};

use super::unsaid::Unsaid;
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_inside, is_outside},
};

/// Attempts whose times are kept.
const ATTEMPTS_KEPT: usize = 16;
/// Time in which attempts are taken together, in milliseconds.
const TOGETHER_MS: i64 = 60 * 60_000;
/// Attempts towards one endpoint, and towards at most [`FEW`], that are worth a look.
const TO_ONE: usize = 6;
const TO_FEW: usize = 8;
const FEW: usize = 4;
/// Attempts that show a rhythm, if there is one.
const RHYTHM_MIN: usize = 6;
/// Packets that one attempt may send (Linux sends seven).
const PACKETS_MAX: u32 = 7;
/// Packets of a flow kept as evidence.
const EVIDENCE_KEPT: usize = 3;
/// Ports that every device talks to: DNS, DHCP, NTP, Windows names, SSDP, mDNS, DNS over TLS.
const EVERYDAY: [u16; 9] = [53, 67, 68, 123, 137, 138, 853, 1900, 5353];

/// The attempts of a device, towards one endpoint or any.
#[derive(Debug, Default)]
struct Attempts {
    /// When, and where to.
    made: VecDeque<(i64, Endpoint)>,
    last_packet: i64,
    last_gap: i64,
    packets: u32,
    unsaid: Unsaid,
}

type Endpoint = (IpAddr, u16);

impl Suspicion for Attempts {
    fn suspicion(&self) -> (u32, i64) {
        (self.made.len().saturating_sub(1) as u32, self.last_packet)
    }
}

impl Attempts {
    /// Takes a packet; true where it begins a new attempt.
    fn packet(&mut self, at: i64, to: Endpoint) -> bool {
        let gap = at - self.last_packet;
        // The same packet again comes after about a second, then after twice the last wait.
        let doubled = self.last_gap > 0 && (gap * 100 >= self.last_gap * 185) && (gap * 100 <= self.last_gap * 215);
        let again = self.packets > 0 && self.packets < PACKETS_MAX && (gap <= 1_500 || (doubled && gap <= 70_000));
        self.last_packet = at;
        if again {
            self.packets += 1;
            self.last_gap = gap;
            return false;
        }
        self.packets = 1;
        self.last_gap = 0;
        self.made.retain(|(made, _to)| (at - made).abs() <= TOGETHER_MS);
        if self.made.is_empty() {
            self.unsaid.clear();
        }
        if self.made.len() == ATTEMPTS_KEPT {
            self.made.pop_front();
        }
        self.made.push_back((at, to));
        true
    }

    /// The period in milliseconds and its spread in percent, where the attempts keep one.
    fn rhythm(&self) -> Option<(i64, u32)> {
        if self.made.len() < RHYTHM_MIN {
            return None;
        }
        let times = self.made.iter().map(|(at, _to)| *at as f64);
        let gaps: Vec<f64> = times.clone().zip(times.skip(1)).map(|(one, next)| next - one).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let spread = variance.sqrt() / mean;
        (mean >= 5_000.0 && spread <= 0.25).then_some((mean as i64, (spread * 100.0).round() as u32))
    }

    fn endpoints(&self) -> usize {
        let mut to: Vec<_> = self.made.iter().map(|(_at, to)| *to).collect();
        to.sort_unstable();
        to.dedup();
        to.len()
    }

    /// Why, in a sentence.
    fn told(&self, device: IpAddr) -> String {
        let took = self.made.back().map_or(0, |(at, _to)| *at) - self.made.front().map_or(0, |(at, _to)| *at);
        let whereto = match (self.endpoints(), self.made.back()) {
            (1, Some((_at, to))) => shown(*to),
            (several, _last) => format!("{several} endpoints outside"),
        };
        let count = self.made.len();
        let told = format!("{device} was blocked {count} times towards {whereto} within {}", span(took.max(0)));
        match self.rhythm() {
            Some((period, spread)) => format!("{told}, every {} (spread {spread} %)", span(period)),
            None => format!("{told} (limit {TO_ONE} in 60 min)"),
        }
    }

    /// How bad it is towards one endpoint, or towards few.
    fn judge(&self, least: usize, everyday: bool) -> Option<Severity> {
        let count = self.made.len();
        if count < least {
            return None;
        }
        if everyday {
            return Some(Severity::Low);
        }
        let steady = self.rhythm().is_some() && count >= TO_FEW;
        Some(if steady || count >= ATTEMPTS_KEPT { Severity::High } else { Severity::Medium })
    }
}

/// Devices that were blocked lately.
#[derive(Debug)]
pub(super) struct BlockedOutbound {
    flows: Bounded<(IpAddr, Endpoint), Attempts>,
    devices: Bounded<IpAddr, Attempts>,
}

impl BlockedOutbound {
    pub(super) fn new() -> Self {
        Self { flows: Bounded::new(FLOWS_MAX), devices: Bounded::new(ACTORS_MAX) }
    }

    /// A packet that a firewall blocked.
    pub(super) fn blocked(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (Some(Actor::Address(device)), Some(Object::Endpoint { address: to, port })) = (found.actor, found.object)
        else {
            return;
        };
        if !is_inside(device) || !is_outside(to) {
            return;
        }
        let to = (to, port.unwrap_or_default());
        let everyday = EVERYDAY.contains(&to.1);
        let at = when.at.unix_ms;
        let key = Key { story: Story::Control, subject: Subject::Address(device) };
        let flow = self.flows.entry((device, to), Attempts::default);
        let mut fresh = flow.packet(at, to);
        flow.unsaid.saw();
        let said = incidents.severity(&key, at);
        let mut worst = flow.judge(TO_ONE, everyday).filter(|_severity| fresh);
        let mut why: Option<&Attempts> = None;
        if !everyday {
            let all = self.devices.entry(device, Attempts::default);
            fresh |= all.packet(at, to);
            let few = all.judge(TO_FEW, false).filter(|severity| Some(*severity) > said && all.endpoints() <= FEW);
            if few > worst {
                worst = few;
                why = Some(all);
            }
        }
        if let Some(severity) = worst.filter(|worst| fresh && Some(*worst) > said) {
            let reason = why.unwrap_or(flow).told(device);
            let sign = sign(key, (device, to), (severity, reason), flow, evidence(event, when.at));
            incidents.raise(sign, &event.source, when, out);
        } else {
            let lines_max = if fresh { EVIDENCE_KEPT } else { 0 };
            flow.unsaid.count_or_keep(incidents, &key, (event, lines_max), when, out);
        }
    }

    /// Flows and devices remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.flows.len() + self.devices.len(), self.flows.forgotten() + self.devices.forgotten())
    }
}

/// `203.0.113.66:4444`, or the address alone where the packet has no port.
fn shown((address, port): Endpoint) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (IpAddr::V4(v4), port) => format!("{v4}:{port}"),
        (IpAddr::V6(v6), port) => format!("[{v6}]:{port}"),
    }
}

fn sign(
    key: Key,
    (device, to): (IpAddr, Endpoint),
    (severity, reason): (Severity, String),
    flow: &mut Attempts,
    last: Evidence,
) -> Sign {
    let (evidence, count) = flow.unsaid.take(last);
    let confidence = match severity {
        Severity::High => 0.85,
        Severity::Medium => 0.6,
        _ => 0.25,
    };
    Sign {
        rule: "blocked_outbound",
        category: Category::C2Communication,
        severity,
        confidence,
        message: format!("{device} is blocked again and again towards {}", shown(to)),
        reasons: vec![reason],
        techniques: if matches!(to.1, 80 | 443) { &["T1071.001"] } else { &["T1071", "T1571"] },
        actor: Some(device.to_string().into()),
        victim: Some(shown(to).into()),
        evidence,
        count,
        news: false,
        key,
    }
}
