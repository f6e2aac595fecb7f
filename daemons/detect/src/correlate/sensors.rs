//! What intrusion detection and virus scanners report: Suricata and Snort (`fast.log`, EVE), FortiGate, Firepower, IOS IPS,
//! Zeek's notices, `ClamAV`, rkhunter and chkrootkit, fail2ban.
//!
//! Priority 1 is HIGH, 2 MEDIUM, 3 LOW, as the sensor says, with three corrections that every exposed sensor needs. What
//! came from outside and was stopped is one step less, and a scan or a listed address from outside is LOW: weather.
//! What only informs (`ET POLICY`, `ET INFO`, the engine's own events, traffic that is only unknown or unusual) is LOW at most. What concerns nobody inside is one
//! step less. All LOW ones of a sensor about outsiders are one alert for each kind; from MEDIUM on each actor has its own,
//! which is shared with the other correlators of that story. A ban by fail2ban is INFO.
//!
//! The signature's name and class stand before anything that an outsider wrote, and are read there only.
//! ATT&CK: T1204, T1071, T1190, T1046, T1595.001, T1498, T1110.

use std::net::IpAddr;

use nms_proto::{
    event::{Body, Event},
    extraction::{Actor, AppFamily, Extraction, Object},
    finding::{Category, Finding},
    severity::Severity,
};

use super::{
    alarm::{Alarm, Kind, alarm},
    guessing::victim,
};
use crate::{
    incident::{Sign, When, evidence},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_inside, is_outside},
    text::cut,
};

/// Bytes of a signature's name that are shown.
const NAME_BYTES: usize = 160;

impl Kind {
    fn category(self) -> Category {
        match self {
            Self::Malware => Category::Malware,
            Self::Control => Category::C2Communication,
            Self::Web => Category::WebAttack,
            Self::Scan => Category::PortScan,
            Self::Flood => Category::DenialOfService,
            Self::Guess | Self::Ban => Category::BruteForce,
            Self::Policy => Category::PolicyViolation,
            Self::Other => Category::NetworkAnomaly,
        }
    }

    /// The story that it shares with the other correlators.
    fn story(self) -> Story {
        match self {
            Self::Malware | Self::Control => Story::Control,
            Self::Web => Story::Web,
            Self::Scan => Story::Look,
            Self::Flood | Self::Guess | Self::Ban | Self::Policy | Self::Other => Story::Ids,
        }
    }

    fn techniques(self, outside: bool) -> &'static [&'static str] {
        match self {
            Self::Malware => &["T1204"],
            Self::Control => &["T1071"],
            Self::Web => &["T1190"],
            Self::Scan if outside => &["T1595.001"],
            Self::Scan => &["T1046"],
            Self::Flood => &["T1498"],
            Self::Guess | Self::Ban => &["T1110"],
            Self::Policy => &["T1048"],
            Self::Other if outside => &["T1190"],
            Self::Other => &["T1210"],
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Malware => "malware",
            Self::Control => "a controller outside",
            Self::Web => "an attack on a web server",
            Self::Scan => "a scan",
            Self::Flood => "a flood",
            Self::Guess => "password guessing",
            Self::Ban => "bans after failed logins",
            Self::Policy => "what a rule of the house forbids",
            Self::Other => "an attack",
        }
    }
}

/// An alarm that a sensor raised.
pub(super) fn reported(
    incidents: &mut Incidents,
    (event, found): (&Event, &Extraction<'_>),
    when: When,
    out: &mut Vec<Finding>,
) {
    let Body::Syslog(line) = &event.body else { return };
    let app = line.app.as_deref().unwrap_or_default();
    let Some(alarm) = alarm(found.family, app, line.message.trim_ascii()) else { return };
    let (from, to) = ends(found, &alarm);
    let severity = judge(&alarm, from, to);
    let outside = from.is_some_and(is_outside);
    let infected = matches!(alarm.kind, Kind::Malware | Kind::Control);
    let actor = match (from, to) {
        // A controller's answer is reported as coming from outside: who has the illness is inside.
        (Some(from), Some(to)) if infected && is_outside(from) && is_inside(to) => Some(to),
        _ => from,
    };
    let story = alarm.kind.story();
    let subject = match actor {
        Some(actor) if severity >= Severity::Medium || is_inside(actor) => Subject::Address(actor),
        _ => Subject::Name(event.source.clone(), alarm.kind.category().as_str().into()),
    };
    let key = Key { story: if matches!(subject, Subject::Name(..)) { Story::Ids } else { story }, subject };
    let at = when.at.unix_ms;
    if Some(severity) <= incidents.severity(&key, at) && incidents.count(&key, event, 1, when, out) {
        return;
    }
    let name = cut(alarm.name, NAME_BYTES);
    let host = victim(event);
    let about = match &key.subject {
        Subject::Address(address) => format!("{} by {address}", alarm.kind.what()),
        Subject::Name(..) => alarm.kind.what().to_owned(),
    };
    let mut reasons = vec![format!("the signature is {name}, of priority {}", alarm.severity.as_str())];
    if !alarm.class.is_empty() {
        reasons.push(format!("its class is {}", cut(alarm.class, NAME_BYTES)));
    }
    if alarm.stopped {
        reasons.push("the sensor stopped it".to_owned());
    }
    if let (Subject::Name(..), Some(from)) = (&key.subject, actor) {
        reasons.push(format!("it came from {from}, perhaps one of many"));
    }
    let other = if actor == to { from } else { to };
    let sign = Sign {
        rule: "sensor",
        category: alarm.kind.category(),
        severity,
        confidence: match severity {
            Severity::High | Severity::Critical => 0.8,
            Severity::Medium => 0.6,
            _ => 0.25,
        },
        message: format!("{host} reports {about}: {name}"),
        reasons,
        techniques: alarm.kind.techniques(outside),
        actor: actor.filter(|_actor| matches!(key.subject, Subject::Address(_))).map(|actor| actor.to_string().into()),
        victim: Some(other.map_or(host, |other| other.to_string().into())),
        evidence: vec![evidence(event, when.at)],
        count: 1,
        news: false,
        key,
    };
    incidents.raise(sign, &event.source, when, out);
}

/// Both ends: as the extractor cut them, or as the alarm names them.
fn ends(found: &Extraction<'_>, alarm: &Alarm<'_>) -> (Option<IpAddr>, Option<IpAddr>) {
    let from = match found.actor {
        Some(Actor::Address(address)) if alarm.from.is_none() && found.family != AppFamily::Generic => Some(address),
        _ => alarm.from,
    };
    let to = match found.object {
        Some(Object::Endpoint { address, .. }) if alarm.to.is_none() => Some(address),
        _ => alarm.to,
    };
    (from, to)
}

fn judge(alarm: &Alarm<'_>, from: Option<IpAddr>, to: Option<IpAddr>) -> Severity {
    let outside = from.is_some_and(is_outside);
    let infected = matches!(alarm.kind, Kind::Malware | Kind::Control);
    let mut severity = alarm.severity;
    let both = from.is_some() && to.is_some();
    let nobody_inside = both && !from.is_some_and(is_inside) && !to.is_some_and(is_inside);
    if nobody_inside || (alarm.stopped && (outside || !both) && !infected) {
        severity = less(severity);
    }
    let weather = outside && (alarm.kind == Kind::Scan || alarm.is_listed);
    if weather || alarm.informs {
        severity = severity.min(Severity::Low);
    }
    severity
}

/// One step less.
fn less(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Info => Severity::Info,
    }
}
