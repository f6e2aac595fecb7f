//! The account of every event: received = delivered + waiting + dropped (by cause) + rejected (by reason).
//!
//! Each number is counted where the thing happens, and none is computed from the others, so that a
//! sum that does not add up is a fault that shows ([`Ledger::imbalance`]). At most [`SOURCES_MAX`]
//! sources are kept apart; later ones share one account named `other`, as do causes after the first
//! [`CAUSES_MAX`] of a source. An event that a hub makes itself (a finding, a loss) is received from
//! the source it is filed under.

use std::collections::{BTreeMap, HashMap};

use crate::{
    dash::SourceAccount,
    id::EndpointId,
    limits::{CAUSES_MAX, SOURCES_MAX},
    message::SourceCount,
};

/// Name of the account, cause or reason that takes what has no place of its own.
pub const OTHER: &str = "other";

/// The accounts of all sources since the daemon started.
#[derive(Debug)]
pub struct Ledger {
    accounts: HashMap<EndpointId, Account>,
    sources_max: usize,
}

#[derive(Debug, Default)]
struct Account {
    /// Wider than what is shown: a peer may name any count of 64 bits as lost, and as often as it likes.
    received: u128,
    delivered: u128,
    /// Signed, so that a batch that leaves without having entered shows as an imbalance.
    waiting: i128,
    dropped: BTreeMap<Box<str>, u128>,
    rejected: BTreeMap<Box<str>, u128>,
}

impl Account {
    fn add(&mut self, more: &Self) {
        self.received += more.received;
        self.delivered += more.delivered;
        self.waiting += more.waiting;
        for (into, from) in [(&mut self.dropped, &more.dropped), (&mut self.rejected, &more.rejected)] {
            for (cause, events) in from {
                add(into, cause, *events);
            }
        }
    }

    fn row(&self, source: &EndpointId) -> SourceAccount {
        SourceAccount {
            source: source.clone(),
            received: shown(self.received),
            delivered: shown(self.delivered),
            waiting: shown(self.waiting.try_into().unwrap_or(0)),
            dropped: self.dropped.iter().map(|(cause, events)| (cause.clone(), shown(*events))).collect(),
            rejected: self.rejected.iter().map(|(reason, messages)| (reason.clone(), shown(*messages))).collect(),
        }
    }

    fn imbalance(&self) -> i64 {
        let sum = |causes: &BTreeMap<Box<str>, u128>| causes.values().sum::<u128>();
        let settled = self.delivered + sum(&self.dropped) + sum(&self.rejected);
        let missing = self.received as i128 - self.waiting - settled as i128;
        missing.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(SOURCES_MAX)
    }
}

impl Ledger {
    /// An empty ledger of at most `sources_max` accounts beside `other`.
    pub fn new(sources_max: usize) -> Self {
        Self { accounts: HashMap::new(), sources_max }
    }

    /// Messages came from a source, whole or malformed.
    pub fn received(&mut self, source: &EndpointId, events: u64) {
        self.account(source).received += u128::from(events);
    }

    /// Events were put on their way: into the batcher, and so into the spool.
    pub fn queued(&mut self, source: &EndpointId, events: u64) {
        self.account(source).waiting += i128::from(events);
    }

    /// Batches of an earlier run were found in the spool: received and waiting in this one.
    pub fn carried_over(&mut self, counts: &[SourceCount]) {
        for count in counts {
            self.received(&count.source, count.events);
            self.queued(&count.source, count.events);
        }
    }

    /// A batch was acknowledged and left the spool.
    pub fn delivered(&mut self, counts: &[SourceCount]) {
        for count in counts {
            let account = self.account(&count.source);
            account.waiting -= i128::from(count.events);
            account.delivered += u128::from(count.events);
        }
    }

    /// Events were lost before they were queued: shed, or never read.
    pub fn dropped(&mut self, source: &EndpointId, cause: &str, events: u64) {
        add(&mut self.account(source).dropped, cause, events.into());
    }

    /// A queued batch was given up: pushed out of a full spool, damaged, or refused into quarantine.
    pub fn dropped_from_queue(&mut self, counts: &[SourceCount], cause: &str) {
        for count in counts {
            let account = self.account(&count.source);
            account.waiting -= i128::from(count.events);
            add(&mut account.dropped, cause, count.events.into());
        }
    }

    /// Malformed messages were turned away.
    pub fn rejected(&mut self, source: &EndpointId, reason: &str, messages: u64) {
        add(&mut self.account(source).rejected, reason, messages.into());
    }

    /// Accounts as the dashboard shows them, by name; a queue that is short shows as 0 waiting. Beyond `rows_max` those
    /// that received least are summed up as [`OTHER`].
    pub fn accounts(&self, rows_max: usize) -> Vec<SourceAccount> {
        let mut all: Vec<(&EndpointId, &Account)> = self.accounts.iter().collect();
        let mut rest = Account::default();
        if all.len() > rows_max {
            // The one that is `other` already is among the rest, so that it stands once.
            all.sort_by_key(|(source, account)| (source.as_str() == OTHER, std::cmp::Reverse(account.received)));
            for (_, account) in all.drain(rows_max.saturating_sub(1)..) {
                rest.add(account);
            }
        }
        let other = EndpointId::new(OTHER);
        let rest = (rest.received > 0).then_some((&other, &rest));
        let mut rows: Vec<_> = all.into_iter().chain(rest).map(|(source, account)| account.row(source)).collect();
        rows.sort_by(|a, b| a.source.cmp(&b.source));
        rows
    }

    /// The account of all sources together, for the heartbeat, under the name [`OTHER`].
    pub fn total(&self) -> SourceAccount {
        let mut total = Account::default();
        for account in self.accounts.values() {
            total.add(account);
        }
        total.row(&EndpointId::new(OTHER))
    }

    /// Sources whose account does not add up, with what is missing (above 0) or too much: a fault of ours.
    pub fn imbalance(&self) -> BTreeMap<EndpointId, i64> {
        let all = self.accounts.iter().map(|(source, account)| (source.clone(), account.imbalance()));
        all.filter(|(_, events)| *events != 0).collect()
    }

    fn account(&mut self, source: &EndpointId) -> &mut Account {
        // A table that is full stays full, so a source stays in the account it was first given.
        if self.accounts.contains_key(source) || self.accounts.len() < self.sources_max {
            return self.accounts.entry(source.clone()).or_default();
        }
        self.accounts.entry(EndpointId::new(OTHER)).or_default()
    }
}

/// A count as it is shown and sent.
fn shown(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn add(causes: &mut BTreeMap<Box<str>, u128>, cause: &str, events: u128) {
    let known = causes.contains_key(cause) || causes.len() < CAUSES_MAX;
    let cause = if known { cause } else { OTHER };
    *causes.entry(cause.into()).or_default() += events;
}
