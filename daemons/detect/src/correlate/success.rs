//! Guessing that succeeded: a login by an actor whose guessing is still open is CRITICAL, and what the
//! account then does with another's rights joins the same incident (ATT&CK T1078, T1548.003).

use std::collections::VecDeque;

use nms_proto::{
    event::Event,
    extraction::{Actor, Extraction, Object},
    finding::{Category, Finding},
    id::EndpointId,
    severity::Severity,
};

use super::{
    crowd,
    guessing::{self, Guessing},
};
use crate::{
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Subject},
    text::cut,
};

/// Accounts that somebody guessed, kept for what they do next.
const TAKEN_MAX: usize = 64;
/// Time for which an account's commands join the incident, in milliseconds.
const FOLLOWED_MS: i64 = 60 * 60_000;
/// Bytes of a command in a reason.
const COMMAND_BYTES: usize = 120;

/// An account that was guessed.
#[derive(Debug)]
struct Taken {
    source: EndpointId,
    account: Box<str>,
    key: Key,
    at: i64,
}

/// Accounts lately guessed.
#[derive(Debug, Default)]
pub(super) struct Success {
    taken: VecDeque<Taken>,
}

impl Success {
    /// A login that succeeded; true where it followed guessing.
    pub(super) fn logged_in(
        &mut self,
        incidents: &mut Incidents,
        guessing: &mut Guessing,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) -> bool {
        let Some(Actor::Address(address)) = found.actor else { return false };
        let key = guessing::key(Subject::Address(address));
        // A key cannot be guessed.
        if crowd::is_by_key(event) || !guessing.is_guessed(incidents, &key.subject, found.account, when.at.unix_ms) {
            return false;
        }
        let account = found.account.unwrap_or("an account");
        // It is told once, or an incident of an address that people share would never be quiet.
        if self.was_taken(&event.source, Some(account), when.at.unix_ms) && incidents.is_open(&key, when.at.unix_ms) {
            return true;
        }
        let host = guessing::victim(event);
        let sign = Sign {
            rule: "success_after_guessing",
            category: Category::AccountCompromise,
            severity: Severity::Critical,
            confidence: 0.97,
            message: format!("{account} on {host} was guessed from {address} and logged in"),
            reasons: vec![format!("{account} logged in on {host} from {address} while its password guessing was open")],
            techniques: &["T1078"],
            actor: Some(key.subject.plain()),
            victim: Some(format!("{account}@{host}").into()),
            evidence: vec![evidence(event, when.at)],
            count: 1,
            news: true,
            key: key.clone(),
        };
        incidents.raise(sign, &event.source, when, out);
        if self.taken.len() == TAKEN_MAX {
            self.taken.pop_front();
        }
        let (source, account) = (event.source.clone(), account.into());
        self.taken.push_back(Taken { source, account, key, at: when.at.unix_ms });
        true
    }

    /// Whether somebody guessed the account `user` on `source`, or any where it is not known, within the hour before `at`.
    pub(super) fn was_taken(&self, source: &EndpointId, user: Option<&str>, at: i64) -> bool {
        let lately =
            self.taken.iter().filter(|taken| taken.source == *source && (0..=FOLLOWED_MS).contains(&(at - taken.at)));
        lately.into_iter().any(|taken| user.is_none_or(|user| user == &*taken.account))
    }

    /// A command run with another's rights.
    pub(super) fn escalated(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Some(Actor::Name(caller)) = found.actor else { return };
        let at = when.at.unix_ms;
        let by_caller = |taken: &&Taken| taken.source == event.source && &*taken.account == caller;
        let Some(taken) = self.taken.iter().rev().find(by_caller) else { return };
        if at - taken.at > FOLLOWED_MS || !incidents.is_open(&taken.key, at) {
            return;
        }
        let command = if let Some(Object::Program(command)) = found.object { cut(command, COMMAND_BYTES) } else { "" };
        let rights = found.account.unwrap_or("root");
        let host = guessing::victim(event);
        let sign = Sign {
            rule: "success_after_guessing",
            category: Category::AccountCompromise,
            severity: Severity::Critical,
            confidence: 0.99,
            message: format!("{caller} on {host} was guessed and runs commands as {rights}"),
            reasons: vec![format!(
                "{} after the login {caller} ran as {rights}: {command}",
                span((at - taken.at).max(0))
            )],
            techniques: &["T1548.003"],
            actor: None,
            victim: None,
            evidence: vec![evidence(event, when.at)],
            count: 1,
            news: true,
            key: taken.key.clone(),
        };
        incidents.raise(sign, &event.source, when, out);
    }
}
