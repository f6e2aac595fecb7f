//! The administration of routers and firewalls: who logs in to the device itself, and what is changed there (ATT&CK T1078,
//! T1098, T1562.004, T1562.008, T1601).
//!
//! One incident a device. Where it comes from and when decide:
//!
//! ```text
//! what                    inside, 8 to 18   evening, weekend   22 to 6   from outside
//! login                   -                 -                  -         HIGH
//! settings                INFO              LOW                MEDIUM    HIGH
//! rules, firmware         LOW               LOW                MEDIUM    HIGH
//! accounts                LOW               MEDIUM             HIGH      HIGH
//! where logs go           LOW               LOW                MEDIUM    HIGH
//! logs off                MEDIUM            HIGH               HIGH      HIGH
//! ```
//!
//! A network outside (a /24, a /48 of IPv6) from which somebody logged in there more than a day ago is an administrator's
//! home: LOW, and its changes count as those of an evening. A night's changes of settings and rules by one account on a fourth night are a
//! program's: LOW. dropbear also serves hosts that are no routers: a login by password from outside is MEDIUM, by key LOW.

use std::net::IpAddr;

use nms_proto::{
    event::{Body, Event},
    extraction::Extraction,
    finding::{Category, Finding},
    id::EndpointId,
    severity::Severity,
    time::Stamp,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    guessing::victim,
    router_lines::{Change, Told, told},
};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_outside},
    text::cut,
};

/// Time after which a network outside is an administrator's, in milliseconds.
const SETTLED_MS: i64 = 24 * 60 * 60_000;
/// Nights after which changes by one account are a program's, and the least time between two nights, in milliseconds.
const NIGHTS: u8 = 3;
const NIGHT_MS: i64 = 12 * 60 * 60_000;
/// Networks, accounts and devices that are told apart.
const KNOWN_MAX: usize = 4_096;
/// Bytes of a name that are shown.
const NAME_BYTES: usize = 64;

/// When something was first and last seen, and on how many nights.
#[derive(Debug)]
struct Seen {
    first: i64,
    last: i64,
    nights: u8,
}

impl Suspicion for Seen {
    fn suspicion(&self) -> (u32, i64) {
        (u32::from(self.nights), self.last)
    }
}

/// What a device's open incident told of, a bit for each kind of change.
#[derive(Debug, Default)]
struct Kinds(u16);

impl Suspicion for Kinds {}

/// Where a change came from, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Day,
    Evening,
    Night,
    Outside,
}

impl Change {
    fn severity(self, setting: Setting) -> Option<Severity> {
        use Severity::{High, Info, Low, Medium};
        let [day, evening, night] = match self {
            Self::Login | Self::Shell(_) => {
                let severity = match self {
                    Self::Shell(true) => Low,
                    Self::Shell(false) => Medium,
                    _ => High,
                };
                return (setting == Setting::Outside).then_some(severity);
            }
            Self::Settings => [Info, Low, Medium],
            Self::Rules | Self::Firmware | Self::LogTarget => [Low, Low, Medium],
            Self::Accounts => [Low, Medium, High],
            Self::LogOff => [Medium, High, High],
        };
        Some(match setting {
            Setting::Day => day,
            Setting::Evening => evening,
            Setting::Night => night,
            Setting::Outside => High,
        })
    }

    fn category(self, severity: Severity) -> Category {
        match self {
            Self::Login | Self::Shell(_) if severity >= Severity::High => Category::AccountCompromise,
            Self::Login | Self::Shell(_) | Self::Settings | Self::Rules | Self::Firmware => Category::PolicyViolation,
            Self::Accounts => Category::Persistence,
            Self::LogTarget | Self::LogOff => Category::LogTampering,
        }
    }

    fn techniques(self) -> &'static [&'static str] {
        match self {
            Self::Login | Self::Shell(_) => &["T1078", "T1133"],
            Self::Settings => &["T1601"],
            Self::Rules => &["T1562.004"],
            Self::Accounts => &["T1098", "T1136.001"],
            Self::LogTarget | Self::LogOff => &["T1562.008", "T1070"],
            Self::Firmware => &["T1601.001"],
        }
    }

    fn said(self) -> &'static str {
        match self {
            Self::Login | Self::Shell(_) => "logged in to",
            Self::Settings => "changed settings of",
            Self::Rules => "changed firewall rules of",
            Self::Accounts => "changed who may administer",
            Self::LogTarget => "changed where the logs go of",
            Self::LogOff => "switched off logs of",
            Self::Firmware => "changed the software of",
        }
    }

    fn bit(self) -> u16 {
        1 << match self {
            Self::Login => 0,
            Self::Shell(_) => 1,
            Self::Settings => 2,
            Self::Rules => 3,
            Self::Accounts => 4,
            Self::LogTarget => 5,
            Self::LogOff => 6,
            Self::Firmware => 7,
        }
    }
}

/// Devices, and who administers them.
#[derive(Debug)]
pub(super) struct Router {
    networks: Bounded<(EndpointId, u64), Seen>,
    programs: Bounded<(EndpointId, u64), Seen>,
    devices: Bounded<EndpointId, Kinds>,
}

impl Router {
    pub(super) fn new() -> Self {
        Self { networks: Bounded::new(KNOWN_MAX), programs: Bounded::new(KNOWN_MAX), devices: Bounded::new(KNOWN_MAX) }
    }

    /// A line that tells of administration.
    pub(super) fn administered(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Body::Syslog(line) = &event.body else { return };
        let app = line.app.as_deref().unwrap_or_default();
        let Some(told) = told(found, app, line.message.trim_ascii()) else { return };
        let outside = told.from.filter(|from| is_outside(*from));
        let is_login = matches!(told.change, Change::Login | Change::Shell(_));
        if is_login && outside.is_none() {
            return;
        }
        let at = when.at.unix_ms;
        let settled = outside.is_some_and(|from| self.is_settled(&event.source, from, at, is_login));
        let setting = match outside {
            Some(_from) if !settled => Setting::Outside,
            Some(_from) => Setting::Evening,
            None => hour(when.at),
        };
        let severity = if is_login && settled { Some(Severity::Low) } else { told.change.severity(setting) };
        let Some(mut severity) = severity else { return };
        let mut program = false;
        if setting == Setting::Night && matches!(told.change, Change::Settings | Change::Rules) {
            program = self.is_program(&event.source, &told, at);
            severity = if program { Severity::Low } else { severity };
        }
        let host = victim(event);
        let key = Key { story: Story::Router, subject: Subject::Name(event.source.clone(), host.clone()) };
        let said = incidents.severity(&key, at);
        let kinds = self.devices.entry(event.source.clone(), Kinds::default);
        if said.is_none() {
            kinds.0 = 0;
        }
        // A new kind of change is told even where nothing becomes worse.
        let news = kinds.0 & told.change.bit() == 0 && severity >= Severity::Medium;
        if Some(severity) <= said && !news && incidents.count(&key, event, 1, when, out) {
            return;
        }
        kinds.0 |= told.change.bit();
        let by = if told.by.is_empty() { "somebody" } else { cut(told.by, NAME_BYTES) };
        let message = match told.from {
            Some(from) => format!("{by} {} {host} from {from}", told.change.said()),
            None => format!("{by} {} {host}", told.change.said()),
        };
        let sign = Sign {
            rule: "router",
            category: told.change.category(severity),
            severity,
            confidence: match severity {
                Severity::High => 0.75,
                Severity::Medium => 0.5,
                _ => 0.1,
            },
            reasons: vec![reason(&message, setting, (settled, program), when.at)],
            message,
            techniques: told.change.techniques(),
            actor: told.from.map(|from| from.to_string().into()),
            victim: Some(host),
            evidence: vec![evidence(event, when.at)],
            count: 1,
            news,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Whether somebody logged in from that network more than a day ago; a login is remembered.
    fn is_settled(&mut self, source: &EndpointId, from: IpAddr, at: i64, is_login: bool) -> bool {
        let network = match from {
            IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
            IpAddr::V6(v6) => (u128::from(v6) >> 80) as u64 | 1 << 48,
        };
        let place = (source.clone(), network);
        if let Some(seen) = self.networks.get_mut(&place) {
            return at - seen.first >= SETTLED_MS;
        }
        if is_login {
            self.networks.entry(place, || Seen { first: at, last: at, nights: 0 });
        }
        false
    }

    /// Whether the account changed things on several nights before.
    fn is_program(&mut self, source: &EndpointId, told: &Told<'_>, at: i64) -> bool {
        let place = (source.clone(), xxh3_64(told.by.as_bytes()));
        let seen = self.programs.entry(place, || Seen { first: at, last: at, nights: 0 });
        if at - seen.last >= NIGHT_MS {
            seen.nights = seen.nights.saturating_add(1);
            seen.last = at;
        }
        seen.nights >= NIGHTS
    }

    /// Networks, accounts and devices remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let forgotten = self.networks.forgotten() + self.programs.forgotten() + self.devices.forgotten();
        (self.networks.len() + self.programs.len() + self.devices.len(), forgotten)
    }
}

fn hour(at: Stamp) -> Setting {
    match at.local_hour_and_weekday() {
        (22.. | ..6, _day) => Setting::Night,
        (8..18, 0..5) => Setting::Day,
        _ => Setting::Evening,
    }
}

fn reason(message: &str, setting: Setting, (settled, program): (bool, bool), at: Stamp) -> String {
    let (hour, _day) = at.local_hour_and_weekday();
    let minute = (at.unix_ms.div_euclid(60_000) + i64::from(at.offset_min)).rem_euclid(60);
    let why = match (setting, settled, program) {
        (Setting::Outside, ..) => "from an outside network that did not log in there more than 24 h ago",
        (_, true, _) => "from an outside network that logged in there more than 24 h ago",
        (_, _, true) => "as on 3 nights before",
        (Setting::Night, ..) => "between 22:00 and 06:00",
        (Setting::Evening, ..) => "outside working hours",
        (Setting::Day, ..) => "within working hours",
    };
    format!("{message} at {hour:02}:{minute:02}, {why}")
}
