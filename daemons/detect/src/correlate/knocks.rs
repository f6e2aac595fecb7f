//! Turned away again and again: connections and requests that a service refuses before anybody logs in (ATT&CK T1595).
//!
//! A handshake that fails, a banner that is none, a mail or a name server's refusal: one means nothing, five of one
//! address within ten minutes are LOW, whoever it is. What web servers answer is looked at by `web`, what firewalls
//! block by `spread` and `blocked_outbound`.

use nms_proto::{
    event::Event,
    extraction::{Actor, AppFamily, Extraction},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};

use super::{guessing::victim, recent::Recent, unsaid::Unsaid};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
};

/// Refusals, and the time within which they are worth a line in the digest, in milliseconds.
const LIMIT: (usize, i64) = (5, 10 * 60_000);
/// Lines kept as evidence.
const EVIDENCE_KEPT: usize = 4;

/// The refusals of one address.
#[derive(Debug, Default)]
struct Refused {
    recent: Recent,
    unsaid: Unsaid,
}

impl Suspicion for Refused {
    fn suspicion(&self) -> (u32, i64) {
        (self.recent.len().saturating_sub(1) as u32, self.recent.last())
    }
}

/// Addresses that were turned away lately.
#[derive(Debug)]
pub(super) struct Knocks {
    actors: Bounded<std::net::IpAddr, Refused>,
}

/// Whether a request of that family is one of a web server, which has its own correlator.
pub(super) fn is_web(family: AppFamily) -> bool {
    matches!(family, AppFamily::Nginx | AppFamily::Apache)
}

impl Knocks {
    pub(super) fn new() -> Self {
        Self { actors: Bounded::new(ACTORS_MAX) }
    }

    /// A connection or a request that was refused.
    pub(super) fn refused(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Some(Actor::Address(actor)) = found.actor else { return };
        let at = when.at.unix_ms;
        let key = Key { story: Story::Knocks, subject: Subject::Address(actor) };
        let refused = self.actors.entry(actor, Refused::default);
        if at - refused.recent.last() > LIMIT.1 {
            refused.unsaid.clear();
        }
        refused.unsaid.saw();
        let place = refused.recent.insert(at);
        let took = refused.recent.span(place, LIMIT.0).filter(|took| *took <= LIMIT.1);
        let Some(took) = took.filter(|_took| incidents.severity(&key, at).is_none()) else {
            refused.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        };
        let (evidence, count) = refused.unsaid.take(evidence(event, when.at));
        let host = victim(event);
        let sign = Sign {
            rule: "knocks",
            category: Category::NetworkAnomaly,
            severity: Severity::Low,
            confidence: 0.4,
            message: format!("{actor} is turned away by {host} again and again"),
            reasons: vec![format!(
                "{} connections or requests of {actor} were refused within {} (limit {} in {} min)",
                LIMIT.0,
                span(took),
                LIMIT.0,
                LIMIT.1 / 60_000
            )],
            techniques: &["T1595"],
            actor: Some(actor.to_string().into()),
            victim: Some(host),
            evidence,
            count,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.actors.len(), self.actors.forgotten())
    }
}
