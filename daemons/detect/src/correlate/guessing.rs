//! Password guessing by one actor (ATT&CK T1110): 5 failed logins in 60 s are MEDIUM, 8 in 2 min HIGH. Where a service has
//! its standing incident (see `crowd`), what would be MEDIUM from the Internet is LOW.
//!
//! Attempts are counted, not lines: what goes with an attempt (`times: 0`) counts once per connection,
//! and only where no other line told of it. A login that succeeds clears the actor's failures where they
//! were all for that account: somebody mistyped.

use nms_proto::{
    event::{Body, Event},
    extraction::Extraction,
    finding::{Category, Evidence},
    id::EndpointId,
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::recent::{RECENT, Recent};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::cut,
};
use nms_proto::finding::Finding;

/// Failures and the window in which they are worth a look, and worth one now.
const MEDIUM: (usize, i64) = (5, 60_000);
const HIGH: (usize, i64) = (8, 120_000);
/// Time for which a login is believed to follow from a run, in milliseconds.
const FOLLOWS_MS: i64 = 60 * 60_000;
/// Names of accounts kept of one actor, and bytes of each.
const ACCOUNTS_KEPT: usize = 8;
const ACCOUNT_BYTES: usize = 64;
/// Connections of one actor whose attempts are told apart.
const CONNECTIONS_KEPT: usize = 4;
/// Time within which lines without a process id go with the same attempt, in milliseconds.
const SAME_ATTEMPT_MS: i64 = 2_000;

/// What is remembered of one actor.
#[derive(Debug, Default)]
struct Guesses {
    recent: Recent,
    accounts: Vec<Box<str>>,
    /// Connections lately counted, with the account, and whether a line of its own told of the attempt.
    connections: Vec<(u64, Option<u64>, bool)>,
    /// Failures not yet in an incident, with how many attempts each stands for.
    waiting: Vec<(Evidence, u64)>,
    /// When a run was last seen, whatever was said of it.
    run: Option<i64>,
    said: Option<Severity>,
}

impl Suspicion for Guesses {
    fn suspicion(&self) -> (u32, i64) {
        let weight = if self.said.is_some() { 100 } else { self.recent.len().saturating_sub(1) as u32 };
        (weight, self.recent.last())
    }
}

impl Guesses {
    /// How many attempts a line adds: none where its connection was counted by a line of the other kind. Another account on
    /// the same connection is another attempt.
    fn attempts(&mut self, event: &Event, account: Option<&str>, times: u32, at: i64) -> u64 {
        let companion = times == 0;
        let Some(connection) = connection(event) else {
            let told = self.recent.len() > 0 && (at - self.recent.last()).abs() <= SAME_ATTEMPT_MS;
            return if companion && told { 0 } else { u64::from(times.max(1)) };
        };
        let account = account.map(|account| xxh3_64(account.as_bytes()));
        let is_same = |known: Option<u64>| known.is_none() || account.is_none() || known == account;
        let known = self.connections.iter_mut().find(|(hash, known, _told)| *hash == connection && is_same(*known));
        if let Some((_hash, of, told)) = known {
            *of = of.or(account);
            let first_telling = !companion && !*told;
            *told |= !companion;
            return if companion || (first_telling && times == 1) { 0 } else { u64::from(times) };
        }
        if self.connections.len() == CONNECTIONS_KEPT {
            self.connections.remove(0);
        }
        self.connections.push((connection, account, !companion));
        u64::from(times.max(1))
    }

    fn account(&mut self, account: Option<&str>) {
        let Some(account) = account.map(|account| cut(account, ACCOUNT_BYTES)) else { return };
        if self.accounts.len() <= ACCOUNTS_KEPT && !self.accounts.iter().any(|known| &**known == account) {
            self.accounts.push(account.into());
        }
    }

    /// `root`, `root and admin`, `root, admin and others`, or nothing where no line named one.
    fn accounts(&self) -> String {
        match self.accounts.as_slice() {
            [] => String::from("an account"),
            [one] => one.to_string(),
            [one, two] => format!("{one} and {two}"),
            [one, two, ..] => format!("{one}, {two} and others"),
        }
    }

    /// The severity that the time at `place` brings, and the limit that was reached with the span it took.
    fn judge(&self, place: usize) -> Option<(Severity, usize, i64, i64)> {
        [(Severity::High, HIGH), (Severity::Medium, MEDIUM)].into_iter().find_map(|(severity, (count, window))| {
            let took = self.recent.span(place, count).filter(|&took| took <= window)?;
            Some((severity, count, took, window))
        })
    }

    /// Whether `account` was among those that were tried. Of more than are kept by an address of the Internet, any may be.
    fn tried(&self, account: Option<&str>, from_outside: bool) -> bool {
        let account = account.map(|account| cut(account, ACCOUNT_BYTES));
        let is_full = self.accounts.len() > ACCOUNTS_KEPT;
        self.accounts.is_empty()
            || (is_full && from_outside)
            || self.accounts.iter().any(|known| Some(&**known) == account)
    }
}

/// What a line about a failed login came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    /// Attempts that it adds; none where another line told of them.
    pub(super) attempts: u64,
    /// The actor's own incident tells of them.
    pub(super) told: bool,
}

/// Whether a line tells of a client that left before it logged in.
fn has_left(event: &Event) -> bool {
    let Body::Syslog(line) = &event.body else { return false };
    let said = line.message.trim_ascii_start();
    ["Connection closed by ", "Connection reset by ", "Disconnected from "].iter().any(|begin| said.starts_with(begin))
}

/// The process that served the connection: one of sshd's is one connection.
fn connection(event: &Event) -> Option<u64> {
    let Body::Syslog(line) = &event.body else { return None };
    let pid = line.pid.as_deref()?;
    Some(xxh3_64(pid.as_bytes()) ^ xxh3_64(event.source.as_str().as_bytes()).rotate_left(1))
}

/// The actors that failed to log in lately.
#[derive(Debug)]
pub(super) struct Guessing {
    actors: Bounded<Subject, Guesses>,
}

/// The incident of `actor`'s attempts to get in.
pub(super) fn key(actor: Subject) -> Key {
    Key { story: Story::Access, subject: actor }
}

impl Guessing {
    pub(super) fn new() -> Self {
        Self { actors: Bounded::new(ACTORS_MAX) }
    }

    /// A login that failed; how many attempts that was, and whether an incident tells of them. Where the service `is_exposed`
    /// and has its standing incident, a short run from the Internet is its background.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        is_exposed: bool,
        when: When,
        out: &mut Vec<Finding>,
    ) -> Tried {
        let Some(actor) = found.actor.map(|actor| Subject::of_actor(actor, &event.source)) else {
            return Tried::default();
        };
        let from_outside = actor.is_outside();
        // Whoever has no key for a host leaves so, inside every day; a password that is wrong has a line of its own.
        if !from_outside && has_left(event) {
            return Tried::default();
        }
        let at = when.at.unix_ms;
        let guesses = self.actors.entry(actor.clone(), Guesses::default);
        let attempts = guesses.attempts(event, found.account, found.times, at);
        if attempts == 0 {
            return Tried::default();
        }
        guesses.account(found.account);
        let mut place = 0;
        for _attempt in 0..attempts.min(RECENT as u64) {
            place = guesses.recent.insert(at);
        }
        let key = key(actor);
        if !incidents.is_open(&key, at) {
            guesses.said = None;
        }
        let judged = guesses.judge(place);
        guesses.run = judged.map(|_limit| at).or(guesses.run);
        let judged = judged.map(|(severity, count, took, window)| match severity {
            Severity::Medium if is_exposed && from_outside => (Severity::Low, count, took, window),
            _ => (severity, count, took, window),
        });
        match judged {
            Some(limit) if Some(limit.0) > guesses.said => {
                let sign = sign(key, guesses, limit, (event, attempts), when);
                guesses.said = Some(limit.0);
                incidents.raise(sign, &event.source, when, out);
                Tried { attempts, told: limit.0 > Severity::Low }
            }
            _ if guesses.said.is_some() && incidents.count(&key, event, attempts, when, out) => {
                Tried { attempts, told: guesses.said > Some(Severity::Low) }
            }
            _ => {
                guesses.waiting.retain(|(evidence, _attempts)| evidence.at.unix_ms + HIGH.1 >= at);
                if guesses.waiting.len() < MEDIUM.0 {
                    guesses.waiting.push((evidence(event, when.at), attempts));
                }
                Tried { attempts, told: false }
            }
        }
    }

    /// Whether a login of `account` by `actor` follows from guessing of it: a run within the hour, or one that an incident of
    /// MEDIUM or more tells of.
    pub(super) fn is_guessed(
        &mut self,
        incidents: &Incidents,
        actor: &Subject,
        account: Option<&str>,
        at: i64,
    ) -> bool {
        let Some(guesses) = self.actors.get_mut(actor) else { return false };
        let ran = guesses.run.is_some_and(|run| (0..=FOLLOWS_MS).contains(&(at - run)));
        let is_told = incidents.severity(&key(actor.clone()), at) >= Some(Severity::Medium);
        (ran || is_told) && guesses.tried(account, actor.is_outside())
    }

    /// A login of `account` that succeeded and followed no guessing.
    pub(super) fn succeeded(&mut self, actor: &Subject, account: Option<&str>) {
        if let Some(guesses) = self.actors.get_mut(actor)
            && guesses.accounts.iter().all(|known| Some(&**known) == account)
        {
            guesses.recent.clear();
            guesses.waiting.clear();
            guesses.connections.clear();
        }
    }

    /// Actors remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.actors.len(), self.actors.forgotten())
    }
}

fn sign(
    key: Key,
    guesses: &mut Guesses,
    (severity, count, took, window): (Severity, usize, i64, i64),
    (event, attempts): (&Event, u64),
    when: When,
) -> Sign {
    let actor = key.subject.plain();
    let accounts = guesses.accounts();
    let reason = format!(
        "{count} failed logins of {accounts} from {actor} within {} (limit {count} in {} s)",
        span(took),
        window / 1_000
    );
    let since = when.at.unix_ms - HIGH.1;
    let waiting = std::mem::take(&mut guesses.waiting);
    let waiting = waiting.into_iter().filter(|(evidence, _attempts)| evidence.at.unix_ms >= since);
    let (mut lines, counted): (Vec<Evidence>, Vec<u64>) = waiting.unzip();
    lines.push(evidence(event, when.at));
    let spraying = guesses.accounts.len() > 2;
    Sign {
        rule: "guessing",
        category: Category::BruteForce,
        severity,
        confidence: match severity {
            Severity::High => 0.92,
            Severity::Medium => 0.75,
            _ => 0.5,
        },
        message: format!("password guessing for {accounts} from {actor}"),
        reasons: vec![reason],
        techniques: if spraying { &["T1110", "T1110.003"] } else { &["T1110", "T1110.001"] },
        actor: Some(actor),
        victim: Some(victim(event)),
        evidence: lines,
        count: counted.iter().sum::<u64>() + attempts,
        news: false,
        key,
    }
}

/// The host that was aimed at: as the line names it, else the source.
pub(super) fn victim(event: &Event) -> Box<str> {
    host_of(event.host.as_deref(), &event.source)
}

fn host_of(host: Option<&str>, source: &EndpointId) -> Box<str> {
    host.unwrap_or(source.as_str()).into()
}
