//! Guessing by many addresses, none of which reaches a limit of its own (ATT&CK T1110.001, T1110.003), and the login that
//! it leads to.
//!
//! Ten outside addresses that fail on one host within 10 min, or within an hour for one account that is not tried
//! everywhere, are MEDIUM; 30 are HIGH. Where so many come every day, a crowd is twice as many as usual, and three times
//! that is a large one: the most of each day is kept for a week, and the second of them is usual, so that one bad day
//! teaches nothing. Addresses that logged in before are customers and not counted: a mail server's
//! users mistype too. While such an incident is open, a login with a password by an address that never logged in there, for
//! an account that three of the crowd tried, is HIGH (T1078).
//!
//! What the internet tries all day is the background of an exposed host: five addresses within a day, once it has gone on
//! for six hours, or one that goes on for hours, make one standing LOW incident for each host and kind of service, and no
//! more. The actor of either incident is the address that completed it, one of many.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::{Body, Event},
    extraction::{Actor, AppFamily, Extraction},
    finding::{Category, Finding},
    id::EndpointId,
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{guessing::victim, unsaid::Unsaid};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_from_outside},
    text::cut,
};

/// Addresses that are a crowd, and a large one.
const MANY: usize = 10;
const LARGE: usize = 30;
/// How much more than usual a crowd is, and a large one; days whose most is kept.
const TIMES: usize = 2;
const TIMES_LARGE: usize = 6;
const DAYS: usize = 7;
/// Of the crowd, who must have tried an account before its login is believed to be guessed.
const TRIED: usize = 3;
/// Time in which addresses are taken together: towards a host, towards one account, and as its background; and how long a
/// background must have gone on. All in milliseconds.
const HOST_MS: i64 = 10 * 60_000;
const ACCOUNT_MS: i64 = 60 * 60_000;
const DAY_MS: i64 = 24 * 60 * 60_000;
const LONG_MS: i64 = 6 * 60 * 60_000;
/// Tries of a host that are kept, and addresses that are a background.
const KEPT: usize = 96;
const STANDING: usize = 5;
/// Hosts that are told apart.
const HOSTS_MAX: usize = 2_048;
/// Lines kept as evidence, and bytes of a name.
const EVIDENCE_KEPT: usize = 4;
const NAME_BYTES: usize = 64;
/// Accounts that the internet tries on every host.
const EVERYWHERE: [&str; 16] = [
    "root",
    "admin",
    "administrator",
    "Administrator",
    "user",
    "test",
    "guest",
    "ubuntu",
    "debian",
    "pi",
    "oracle",
    "postgres",
    "mysql",
    "git",
    "ftp",
    "support",
];

/// Who tried what on a host lately.
#[derive(Debug, Default)]
struct Tries {
    /// When, from where, and for which account.
    seen: VecDeque<(i64, IpAddr, u64)>,
    /// The most addresses within [`HOST_MS`] of each day, today's first; and which day that is.
    most: [usize; DAYS],
    today: i64,
    unsaid: Unsaid,
}

impl Suspicion for Tries {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, ..)| *at))
    }
}

impl Tries {
    /// Takes a try; false where it was known.
    fn add(&mut self, at: i64, by: IpAddr, account: u64) -> bool {
        self.seen.retain(|(seen, ..)| (at - seen).abs() <= ACCOUNT_MS);
        if self.seen.is_empty() {
            self.unsaid.clear();
        }
        let known = self.seen.iter().position(|(_at, other, tried)| (*other, *tried) == (by, account));
        let known = known.and_then(|place| self.seen.remove(place)).is_some();
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, by, account));
        !known
    }

    /// Takes how many addresses came within [`HOST_MS`].
    fn learn(&mut self, at: i64, count: usize) {
        let today = at.div_euclid(DAY_MS);
        let passed = usize::try_from(today - self.today).unwrap_or_default().min(DAYS);
        self.most.rotate_right(passed);
        self.most.iter_mut().take(passed).for_each(|most| *most = 0);
        self.today = self.today.max(today);
        if let Some(most) = self.most.first_mut() {
            *most = (*most).max(count);
        }
    }

    /// The second of the days before today: what is usual there.
    fn usual(&self) -> usize {
        let mut days = self.most;
        if let Some(today) = days.first_mut() {
            *today = 0;
        }
        days.sort_unstable_by(|one, other| other.cmp(one));
        days.get(1).copied().unwrap_or_default()
    }

    /// How many addresses are a crowd on the host, and a large one. What is not kept cannot be counted.
    fn limits(&self) -> (usize, usize) {
        let usual = self.usual();
        (MANY.max(usual * TIMES).min(KEPT), LARGE.max(usual * TIMES_LARGE).min(KEPT))
    }

    fn addresses(&self, fits: impl Fn(i64, u64) -> bool) -> usize {
        let tries = self.seen.iter().filter(|(at, _by, account)| fits(*at, *account));
        let mut addresses: Vec<IpAddr> = tries.map(|(_at, by, _account)| *by).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.len()
    }
}

/// The background of a service: addresses that failed within a day.
#[derive(Debug, Default)]
struct Background {
    seen: VecDeque<(i64, IpAddr)>,
    /// When it began.
    since: i64,
    unsaid: Unsaid,
}

impl Suspicion for Background {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, _by)| *at))
    }
}

impl Background {
    fn is_standing(&self, at: i64) -> bool {
        self.seen.len() >= STANDING && at - self.since >= LONG_MS
    }
}

/// An address that logged in.
#[derive(Debug)]
struct Known;

impl Suspicion for Known {}

/// Hosts that are tried by many.
#[derive(Debug)]
pub(super) struct Crowd {
    hosts: Bounded<(EndpointId, u64), Tries>,
    services: Bounded<(EndpointId, AppFamily), Background>,
    known: Bounded<(EndpointId, IpAddr), Known>,
}

impl Crowd {
    pub(super) fn new() -> Self {
        let (hosts, services) = (Bounded::new(HOSTS_MAX), Bounded::new(HOSTS_MAX));
        Self { hosts, services, known: Bounded::new(ACTORS_MAX) }
    }

    /// `attempts` logins that failed, and that no incident of their address tells of; `goes_on` where it did so for hours.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        (attempts, goes_on): (u64, bool),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (event, found) = line;
        let Some(Actor::Address(actor)) = found.actor.filter(|actor| is_from_outside(*actor)) else { return };
        if self.known.get_mut(&(event.source.clone(), actor)).is_some() {
            return;
        }
        if !self.crowded(incidents, (event, found), actor, when, out) {
            self.standing(incidents, line, (actor, attempts, goes_on), when, out);
        }
    }

    /// The address' own incident tells of its failures now: it is none of a crowd.
    pub(super) fn told_alone(&mut self, (event, found): (&Event, &Extraction<'_>)) {
        let (Some(Actor::Address(actor)), Some(tries)) = (found.actor, self.hosts.get_mut(&host_of(event))) else {
            return;
        };
        tries.seen.retain(|(_at, by, _account)| *by != actor);
    }

    /// True where a crowd's incident tells of the failure.
    fn crowded(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        actor: IpAddr,
        when: When,
        out: &mut Vec<Finding>,
    ) -> bool {
        let at = when.at.unix_ms;
        let account = found.account.unwrap_or_default();
        let hash = xxh3_64(account.as_bytes());
        let tries = self.hosts.entry(host_of(event), Tries::default);
        let fresh = tries.add(at, actor, hash);
        tries.unsaid.saw();
        let key = key(event);
        let said = incidents.severity(&key, at);
        let on_host = tries.addresses(|seen, _account| (at - seen).abs() <= HOST_MS);
        tries.learn(at, on_host);
        let named = !account.is_empty() && found.account_exists != Some(false) && !EVERYWHERE.contains(&account);
        let for_account = if named { tries.addresses(|_seen, tried| tried == hash) } else { 0 };
        let (many, large) = tries.limits();
        if many > MANY && on_host < many && for_account < MANY {
            // As every day: the standing incident of the service tells of it.
            tries.unsaid.clear();
            return false;
        }
        let by_account = for_account > on_host || on_host < many;
        let (count, many, large, window) =
            if by_account { (for_account, MANY, LARGE, ACCOUNT_MS) } else { (on_host, many, large, HOST_MS) };
        let severity = if count >= large { Severity::High } else { Severity::Medium };
        if !fresh || count < many || Some(severity) <= said {
            let lines_max = if fresh && tries.seen.len() >= MANY { EVIDENCE_KEPT } else { 0 };
            tries.unsaid.count_or_keep(incidents, &key, (event, lines_max), when, out);
            return said.is_some();
        }
        let host = victim(event);
        let limit = if severity == Severity::High { large } else { many };
        // Where all of them try one account, it is told, however usual its name.
        let same = tries.addresses(|_seen, tried| tried == hash);
        let (account, towards) = if !account.is_empty() && same >= on_host {
            (cut(account, NAME_BYTES), format!("{} on {host}", cut(account, NAME_BYTES)))
        } else {
            ("", host.to_string())
        };
        let (evidence, events) = tries.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "distributed_guessing",
            category: Category::BruteForce,
            severity,
            confidence: if severity == Severity::High { 0.85 } else { 0.7 },
            message: format!("many addresses guess passwords of {towards}"),
            reasons: vec![format!(
                "{count} outside addresses failed to log in to {towards} within {} (limit {limit}), none often enough to be told alone",
                span(window)
            )],
            techniques: if account.is_empty() { &["T1110", "T1110.003"] } else { &["T1110", "T1110.001"] },
            actor: Some(actor.to_string().into()),
            victim: Some(if account.is_empty() { host } else { format!("{account}@{host}").into() }),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
        true
    }

    /// The standing incident of an exposed service.
    fn standing(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        (actor, attempts, goes_on): (IpAddr, u64, bool),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let at = when.at.unix_ms;
        let service = self.services.entry((event.source.clone(), found.family), Background::default);
        service.seen.retain(|(seen, _by)| (at - seen).abs() <= DAY_MS);
        if service.seen.is_empty() {
            service.unsaid.clear();
            service.since = at;
        }
        service.seen.retain(|(_seen, by)| *by != actor);
        if service.seen.len() == STANDING {
            service.seen.pop_front();
        }
        service.seen.push_back((at, actor));
        (0..attempts.min(KEPT as u64)).for_each(|_attempt| service.unsaid.saw());
        let name = service_name(found);
        let key = standing_key((event, found));
        if incidents.is_open(&key, at) || !(goes_on || service.is_standing(at)) {
            service.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        }
        let reason = if goes_on {
            format!("{actor} fails to log in for hours (limit 20 failures in 24 h)")
        } else {
            format!("{STANDING} outside addresses failed to log in within 24 h (limit {STANDING})")
        };
        let (evidence, count) = service.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "exposed_service",
            category: Category::BruteForce,
            severity: Severity::Low,
            confidence: 0.3,
            message: format!("the internet tries passwords of {}, as it does everywhere", victim(event)),
            reasons: vec![reason, format!("the service is {name}: let only those reach it who need it")],
            techniques: &["T1110"],
            actor: Some(actor.to_string().into()),
            victim: Some(victim(event)),
            evidence,
            count,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// A login that succeeded after no burst of failures.
    pub(super) fn succeeded(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Some(Actor::Address(actor)) = found.actor.filter(|actor| is_from_outside(*actor)) else { return };
        let known = (event.source.clone(), actor);
        if self.known.get_mut(&known).is_some() {
            return;
        }
        self.known.entry(known, || Known);
        let Some(tries) = self.hosts.get_mut(&host_of(event)) else { return };
        let account = found.account.unwrap_or_default();
        let hash = xxh3_64(account.as_bytes());
        let tried = tries.addresses(|_at, tried| tried == hash);
        tries.seen.retain(|(_at, by, _account)| *by != actor);
        let key = key(event);
        if tried < TRIED || account.is_empty() || !incidents.is_open(&key, when.at.unix_ms) || is_by_key(event) {
            return;
        }
        let (account, host) = (cut(account, NAME_BYTES), victim(event));
        let sign = Sign {
            rule: "distributed_guessing",
            category: Category::AccountCompromise,
            severity: Severity::High,
            confidence: 0.85,
            message: format!("{account} on {host} logged in from {actor} while many addresses guess its password"),
            reasons: vec![
                format!("{tried} outside addresses tried {account} within {} (limit {TRIED})", span(ACCOUNT_MS)),
                format!("{actor} had not logged in to {host} before"),
            ],
            techniques: &["T1078", "T1110"],
            actor: Some(actor.to_string().into()),
            victim: Some(format!("{account}@{host}").into()),
            evidence: vec![evidence(event, when.at)],
            count: 1,
            news: true,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Hosts, services and addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let forgotten = self.hosts.forgotten() + self.services.forgotten() + self.known.forgotten();
        (self.hosts.len() + self.services.len() + self.known.len(), forgotten)
    }
}

/// The incident of what the internet tries at a service all day.
pub(super) fn standing_key((event, found): (&Event, &Extraction<'_>)) -> Key {
    Key { story: Story::Exposed, subject: Subject::Name(event.source.clone(), service_name(found).into()) }
}

fn service_name(found: &Extraction<'_>) -> String {
    format!("{:?}", found.family).to_lowercase()
}

fn host_of(event: &Event) -> (EndpointId, u64) {
    (event.source.clone(), event.host.as_deref().map_or(0, |host| xxh3_64(host.as_bytes())))
}

fn key(event: &Event) -> Key {
    Key { story: Story::Crowd, subject: Subject::Name(event.source.clone(), victim(event)) }
}

/// A key cannot be guessed.
pub(super) fn is_by_key(event: &Event) -> bool {
    matches!(&event.body, Body::Syslog(line) if line.message.trim_ascii_start().starts_with("Accepted publickey"))
}
