//! Trying for another's rights by sudo or su (ATT&CK T1548.003).
//!
//! One refusal is LOW, as people try what they may not; one wrong password is kept and not told, as they mistype. Three within ten minutes by one user are MEDIUM, and one
//! by a user whose account was guessed within the last hour is HIGH. Where the same user's password guessing is already
//! told (5 failures in 60 s) the tries belong there. A refusal because nobody could be asked for a password
//! is a job that is set up wrongly, and su towards others than root is counted only.

use nms_proto::{
    extraction::{Action, AppFamily, Outcome},
    finding::Category,
    id::EndpointId,
    limits::ACTORS_MAX,
    severity::Severity,
};

use super::{Case, Desk};
use crate::{
    bounded::{Bounded, Suspicion},
    correlate::{guessing, recent::Recent, success::Success, unsaid::Unsaid},
    incident::{Sign, evidence, span},
    subject::{Story, Subject},
    text::cut,
};

/// Refusals that are worth a look, and the time in which they are taken together, in milliseconds.
const MANY: usize = 3;
const TOGETHER_MS: i64 = 10 * 60_000;
/// Lines kept as evidence, and bytes of a command or name in a sentence.
const EVIDENCE_KEPT: usize = 4;
const SHOWN_BYTES: usize = 80;

#[derive(Debug, Default)]
struct Tries {
    recent: Recent,
    unsaid: Unsaid,
}

impl Suspicion for Tries {
    fn suspicion(&self) -> (u32, i64) {
        (self.recent.len().saturating_sub(1) as u32, self.recent.last())
    }
}

/// Users who were refused lately.
#[derive(Debug)]
pub(super) struct Rights {
    users: Bounded<(EndpointId, Box<str>), Tries>,
}

impl Rights {
    pub(super) fn new() -> Self {
        Self { users: Bounded::new(ACTORS_MAX) }
    }

    /// A refusal by sudo or su.
    pub(super) fn refused(&mut self, desk: &mut Desk<'_>, success: &Success, case: &Case<'_>) {
        let (Some(user), Some(why)) = (case.user(), why(case)) else { return };
        let at = case.at();
        let source = &case.event.source;
        if desk.incidents.is_open(&guessing::key(Subject::Name(source.clone(), user.into())), at) {
            return;
        }
        let tries = self.users.entry((source.clone(), user.into()), Tries::default);
        if (at - tries.recent.last()).abs() > TOGETHER_MS {
            tries.recent.clear();
            tries.unsaid.clear();
        }
        let place = tries.recent.insert(at);
        let took = tries.recent.span(place, MANY).filter(|took| *took <= TOGETHER_MS);
        tries.unsaid.saw();
        let towards_root = case.found.account.is_none_or(|account| account == "root");
        let severity = match took {
            _ if success.was_taken(source, Some(user), at) => Severity::High,
            Some(_took) if towards_root => Severity::Medium,
            None if tries.recent.len() < 2 && is_mistyped(case) => Severity::Info,
            _ if towards_root || took.is_some() => Severity::Low,
            _ => Severity::Info,
        };
        let key = case.key(Story::Rights, user);
        if severity == Severity::Info || Some(severity) <= desk.incidents.severity(&key, at) {
            tries.unsaid.count_or_keep(desk.incidents, &key, (case.event, EVIDENCE_KEPT), case.when, desk.out);
            return;
        }
        let (evidence, count) = tries.unsaid.take(evidence(case.event, case.when.at));
        let (user, host) = (cut(user, SHOWN_BYTES), case.host());
        let mut reasons = vec![format!("{user} was refused: {why}")];
        if let Some(took) = took {
            reasons.push(format!("{MANY} refusals of {user} within {} (limit {MANY} in 10 min)", span(took)));
        }
        if severity == Severity::High {
            reasons.push(format!("{user} was guessed on this host within the last 60 min"));
        }
        let sign = case.sign(key, "rights", Category::PrivilegeEscalation);
        desk.raise(
            case,
            Sign {
                severity,
                confidence: match severity {
                    Severity::High => 0.9,
                    Severity::Medium => 0.6,
                    _ => 0.2,
                },
                message: format!("{user} tries for root's rights on {host}"),
                reasons,
                techniques: &["T1548.003"],
                actor: Some(user.into()),
                evidence,
                count,
                ..sign
            },
        );
    }

    /// Users remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.users.len(), self.users.forgotten())
    }
}

/// Whether the refusal may be one password that was mistyped; sudo counts them in one line.
fn is_mistyped(case: &Case<'_>) -> bool {
    case.found.action == Action::Login && case.found.times <= 1
}

/// Why somebody was refused; nothing where that is no try.
fn why(case: &Case<'_>) -> Option<&'static str> {
    let found = case.found;
    match (found.family, found.action, found.outcome) {
        (AppFamily::Sudo, Action::Login, Outcome::Failed) => Some("wrong passwords"),
        (AppFamily::Su, Action::Login, Outcome::Failed) => Some("su failed"),
        (AppFamily::Sudo, Action::Command, Outcome::Failed) => {
            let (_user, rest) = case.text.split_once(" : ")?;
            if rest.starts_with("user NOT in sudoers") || rest.starts_with("user NOT authorized on host") {
                Some("not in sudoers")
            } else if rest.starts_with("command not allowed") {
                Some("a command that is not allowed")
            } else {
                None
            }
        }
        _ => None,
    }
}
