//! Guessing below the limits of a burst (ATT&CK T1110.001): one address that fails again and again for hours.
//!
//! 20 failures within 24 h are worth a line: of three accounts and more once they span an hour, of fewer once they span
//! three, from inside six. Two hours of failures for one account are ordinary. From outside they go into the standing
//! incident of the service that is tried (`exposed`), since every exposed host has such visitors; from inside they are
//! LOW, since that is most often a program with an old password.
//!
//! 40 are MEDIUM where they aim at root or an administrator from outside, at an account that the host says exists, or at
//! three accounts and more. One account from inside, and one account of a mail server, stay LOW whatever the count: a
//! script or a telephone that nobody told of a new password; and so does an address from which three accounts logged in,
//! which people share. A success of an account that the address failed for clears it, unless it had tried three and more
//! from outside: that is HIGH (T1078).

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::Event,
    extraction::{Actor, AppFamily, Extraction},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{guessing::victim, unsaid::Unsaid};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_outside},
    text::cut,
};

/// Failures within [`DAY_MS`] that are worth a line, and worth a look.
const SOME: u64 = 20;
const MANY: u64 = 40;
/// Accounts from which on nobody merely forgot one.
const SEVERAL: usize = 3;
/// The least time that they span: of several accounts, of fewer, of those from inside; and the longest. In milliseconds.
const HOUR_MS: i64 = 60 * 60_000;
const LONG_MS: i64 = 3 * HOUR_MS;
const STUBBORN_MS: i64 = 6 * HOUR_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Accounts that are told apart, of one address.
const ACCOUNTS_KEPT: usize = 8;
/// Lines kept as evidence, and bytes of a name.
const EVIDENCE_KEPT: usize = 4;
const NAME_BYTES: usize = 64;
/// Accounts with all rights, as systems name them.
const ADMINISTRATORS: [&str; 4] = ["root", "admin", "administrator", "Administrator"];

/// What an address failed at within a day.
#[derive(Debug, Default)]
struct Failures {
    /// The first time and the count of each hour that had some.
    hours: VecDeque<(i64, u64)>,
    accounts: Vec<u64>,
    /// One of them, as it was written.
    named: Box<str>,
    /// It tried an administrator, or an account that is said to exist.
    aims_well: bool,
    /// Accounts that logged in from there.
    welcome: Vec<u64>,
    unsaid: Unsaid,
}

impl Suspicion for Failures {
    fn suspicion(&self) -> (u32, i64) {
        (self.count().saturating_sub(1) as u32, self.hours.back().map_or(0, |(at, _count)| *at))
    }
}

impl Failures {
    fn add(&mut self, at: i64, times: u64) {
        self.hours.retain(|(first, _count)| (at - first).abs() <= DAY_MS);
        if self.hours.is_empty() {
            self.clear();
        }
        if let Some((_first, count)) = self.hours.iter_mut().find(|(first, _count)| (at - first).abs() < HOUR_MS) {
            *count += times;
            return;
        }
        let place = self.hours.partition_point(|(first, _count)| *first <= at);
        self.hours.insert(place, (at, times));
    }

    /// Forgets what failed, and not who logged in.
    fn clear(&mut self) {
        *self = Self { welcome: std::mem::take(&mut self.welcome), ..Self::default() };
    }

    fn aim(&mut self, found: &Extraction<'_>) {
        let Some(account) = found.account else { return };
        self.aims_well |= ADMINISTRATORS.contains(&account) || found.account_exists == Some(true);
        let hash = xxh3_64(account.as_bytes());
        if self.accounts.len() < ACCOUNTS_KEPT && !self.accounts.contains(&hash) {
            self.accounts.push(hash);
            if self.named.is_empty() {
                self.named = cut(account, NAME_BYTES).into();
            }
        }
    }

    fn count(&self) -> u64 {
        self.hours.iter().map(|(_first, count)| count).sum()
    }

    fn took_ms(&self, at: i64) -> i64 {
        self.hours.front().map_or(0, |(first, _count)| at - first)
    }

    fn judge(&self, at: i64, outside: bool, mail: bool) -> Option<Severity> {
        let count = self.count();
        let several = self.accounts.len() >= SEVERAL;
        let least_ms = match (several, outside) {
            (true, _) => HOUR_MS,
            (false, true) => LONG_MS,
            (false, false) => STUBBORN_MS,
        };
        if count < SOME || self.took_ms(at) < least_ms {
            return None;
        }
        let aimed = several || (outside && self.aims_well && !(mail && self.accounts.len() < 2));
        let shared = self.welcome.len() >= SEVERAL;
        Some(if count >= MANY && aimed && !shared { Severity::Medium } else { Severity::Low })
    }

    fn accounts(&self) -> String {
        match self.accounts.len() {
            0 => String::from("an account"),
            1 => self.named.to_string(),
            ACCOUNTS_KEPT.. => format!("{ACCOUNTS_KEPT} accounts and more, {} among them", self.named),
            several => format!("{several} accounts, {} among them", self.named),
        }
    }
}

/// Addresses that fail now and then.
#[derive(Debug)]
pub(super) struct SlowGuessing {
    actors: Bounded<IpAddr, Failures>,
}

impl SlowGuessing {
    pub(super) fn new() -> Self {
        Self { actors: Bounded::new(ACTORS_MAX) }
    }

    /// `attempts` logins that failed and that no incident of the address tells of; true where one of these does now, or
    /// where the service's standing incident should.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        attempts: u64,
        when: When,
        out: &mut Vec<Finding>,
    ) -> Slowly {
        let Some(Actor::Address(actor)) = found.actor else { return Slowly::Seldom };
        let (at, outside) = (when.at.unix_ms, is_outside(actor));
        let mail = matches!(found.family, AppFamily::Dovecot | AppFamily::Postfix);
        let failures = self.actors.entry(actor, Failures::default);
        failures.add(at, attempts);
        failures.aim(found);
        (0..attempts.min(MANY)).for_each(|_attempt| failures.unsaid.saw());
        let key = Key { story: Story::Slow, subject: Subject::Address(actor) };
        let said = incidents.severity(&key, at);
        let judged = failures.judge(at, outside, mail);
        if outside && judged == Some(Severity::Low) && said.is_none() {
            return Slowly::Exposed;
        }
        let Some(severity) = judged.filter(|severity| Some(*severity) > said) else {
            failures.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return if said.is_some() { Slowly::Told } else { Slowly::Seldom };
        };
        let (count, took, accounts) = (failures.count(), span(failures.took_ms(at)), failures.accounts());
        let limit = if severity == Severity::Medium { MANY } else { SOME };
        let mut reasons =
            vec![format!("{count} failed logins of {accounts} from {actor} within {took} (limit {limit} in 24 h)")];
        if failures.accounts.len() < 2 && !outside {
            reasons.push(String::from("one account from inside: perhaps a program with an old password"));
        }
        let (evidence, events) = failures.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "slow_guessing",
            category: Category::BruteForce,
            severity,
            confidence: if severity == Severity::Medium { 0.65 } else { 0.25 },
            message: format!("{actor} fails to log in again and again, as {accounts}"),
            reasons,
            techniques: &["T1110", "T1110.001"],
            actor: Some(actor.to_string().into()),
            victim: Some(victim(event)),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
        Slowly::Told
    }

    /// A login that succeeded after no burst of failures.
    pub(super) fn succeeded(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (Some(Actor::Address(actor)), Some(account)) = (found.actor, found.account) else { return };
        let hash = xxh3_64(account.as_bytes());
        let failures = self.actors.entry(actor, Failures::default);
        let was_shared = failures.welcome.len() >= SEVERAL;
        if !was_shared && !failures.welcome.contains(&hash) {
            failures.welcome.push(hash);
        }
        if !failures.accounts.contains(&hash) {
            return;
        }
        let at = when.at.unix_ms;
        let (count, tried, took) = (failures.count(), failures.accounts.len(), failures.took_ms(at));
        let key = Key { story: Story::Slow, subject: Subject::Address(actor) };
        let guessed = is_outside(actor) && !was_shared && tried >= SEVERAL && failures.judge(at, true, false).is_some();
        failures.clear();
        if !guessed {
            return;
        }
        let account = cut(account, NAME_BYTES);
        let host = victim(event);
        let sign = Sign {
            rule: "slow_guessing",
            category: Category::AccountCompromise,
            severity: Severity::High,
            confidence: 0.85,
            message: format!("{account} on {host} was guessed slowly from {actor} and logged in"),
            reasons: vec![format!(
                "{account} logged in from {actor} after {count} failed logins of {tried} accounts within {}",
                span(took)
            )],
            techniques: &["T1078", "T1110.001"],
            actor: Some(actor.to_string().into()),
            victim: Some(format!("{account}@{host}").into()),
            evidence: vec![evidence(event, when.at)],
            count: 1,
            news: true,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.actors.len(), self.actors.forgotten())
    }
}

/// What a failure below the limits of a burst is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slowly {
    /// Nothing yet.
    Seldom,
    /// The service's standing incident should tell of it.
    Exposed,
    /// The address' own incident tells of it.
    Told,
}
