//! Password spraying (ATT&CK T1110.003): one address that tries few passwords on many accounts, too slowly for a burst.
//!
//! Eight accounts within 10 min are MEDIUM, and part of the address' own story, so that a login which follows is told as
//! guessed. An address from which three accounts logged in is shared by people (a gateway, a terminal server, a proxy):
//! from there 24 are LOW, as when a directory fails for everybody.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::Event,
    extraction::{Actor, Extraction},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{guessing, unsaid::Unsaid};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::cut,
};

/// Time in which accounts are taken together, in milliseconds.
const TOGETHER_MS: i64 = 10 * 60_000;
/// Different accounts that are spraying, and from an address that people share.
const MANY: usize = 8;
const MANY_OF_SHARED: usize = 24;
/// Accounts that logged in, from which on an address is shared.
const SHARED: usize = 3;
/// Accounts of an address that are kept; names of them that are told, and bytes of each.
const KEPT: usize = 32;
const NAMES_KEPT: usize = 3;
const NAME_BYTES: usize = 64;
/// Lines kept as evidence.
const EVIDENCE_KEPT: usize = 4;

/// The accounts that an address tried lately, each once with the last time.
#[derive(Debug, Default)]
struct Accounts {
    seen: VecDeque<(i64, u64)>,
    names: Vec<Box<str>>,
    /// Accounts that logged in from there.
    welcome: Vec<u64>,
    /// The open incident was begun here; else the address' burst counts what it does.
    begun: bool,
    unsaid: Unsaid,
}

impl Suspicion for Accounts {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, _account)| *at))
    }
}

impl Accounts {
    fn add(&mut self, at: i64, account: &str) {
        self.seen.retain(|(seen, _account)| (at - seen).abs() <= TOGETHER_MS);
        if self.seen.is_empty() {
            self.unsaid.clear();
            self.names.clear();
        }
        let hash = xxh3_64(account.as_bytes());
        let known = self.seen.iter().any(|(_seen, other)| *other == hash);
        self.seen.retain(|(_seen, other)| *other != hash);
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, hash));
        if !known && self.names.len() < NAMES_KEPT {
            self.names.push(cut(account, NAME_BYTES).into());
        }
    }

    fn is_shared(&self) -> bool {
        self.welcome.len() >= SHARED
    }

    fn took_ms(&self) -> i64 {
        let times = || self.seen.iter().map(|(at, _account)| *at);
        times().max().unwrap_or_default() - times().min().unwrap_or_default()
    }
}

/// Addresses that failed for an account lately.
#[derive(Debug)]
pub(super) struct Spraying {
    actors: Bounded<IpAddr, Accounts>,
}

impl Spraying {
    pub(super) fn new() -> Self {
        Self { actors: Bounded::new(ACTORS_MAX) }
    }

    /// A login that failed, and that no burst of its address tells of; true where spraying does.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) -> bool {
        let (Some(Actor::Address(actor)), Some(account)) = (found.actor, found.account) else { return false };
        let at = when.at.unix_ms;
        let accounts = self.actors.entry(actor, Accounts::default);
        accounts.add(at, account);
        accounts.unsaid.saw();
        let (limit, severity, key) = if accounts.is_shared() {
            let key = Key { story: Story::Slow, subject: Subject::Address(actor) };
            (MANY_OF_SHARED, Severity::Low, key)
        } else {
            (MANY, Severity::Medium, guessing::key(Subject::Address(actor)))
        };
        let said = incidents.severity(&key, at);
        let tried = accounts.seen.len();
        accounts.begun &= said.is_some();
        if said.is_some() && !accounts.begun {
            accounts.unsaid.clear();
        }
        if tried < limit || Some(severity) <= said {
            if said.is_some() && tried < limit {
                return false;
            }
            accounts.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return said.is_some();
        }
        let mut reasons = vec![format!(
            "{tried} accounts ({} and others) failed from {actor} within {} (limit {limit} in 10 min)",
            accounts.names.join(", "),
            span(accounts.took_ms())
        )];
        if accounts.is_shared() {
            reasons.push(String::from("several accounts log in from there: perhaps a directory fails for everybody"));
        }
        accounts.begun = said.is_none();
        let (evidence, count) = accounts.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "password_spraying",
            category: Category::BruteForce,
            severity,
            confidence: if severity == Severity::Medium { 0.8 } else { 0.3 },
            message: format!("{actor} tries passwords on many accounts"),
            reasons,
            techniques: &["T1110", "T1110.003"],
            actor: Some(actor.to_string().into()),
            victim: Some(guessing::victim(event)),
            evidence,
            count,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
        true
    }

    /// A login that succeeded: the account belongs there.
    pub(super) fn succeeded(&mut self, found: &Extraction<'_>, when: When) {
        let (Some(Actor::Address(actor)), Some(account)) = (found.actor, found.account) else { return };
        let hash = xxh3_64(account.as_bytes());
        let accounts = self.actors.entry(actor, Accounts::default);
        accounts.seen.retain(|(seen, tried)| *tried != hash && (when.at.unix_ms - seen).abs() <= TOGETHER_MS);
        if accounts.welcome.len() < SHARED && !accounts.welcome.contains(&hash) {
            accounts.welcome.push(hash);
        }
    }

    /// Addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.actors.len(), self.actors.forgotten())
    }
}
