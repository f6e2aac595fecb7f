//! The correlators: what many lines mean that no single one does.
//!
//! They run once, in the hub, on every event in the order in which it is spooled. Each is a small state
//! machine of its own file, with bounded state and with time as an argument: detection's time comes from
//! the event, and the hub's clock only says what cannot have happened yet and what has been quiet.
//! The same events give the same findings, whatever their order of arrival among sources and however
//! late they come; only that something did not come (silence, a log daemon that stays away) can be said no
//! sooner than by the hub's clock. See `incident` for how a finding's revisions are told.

mod clocks;
mod copies;
mod recent;
mod paths;
mod unsaid;
mod guessing;
mod knocks;
mod success;
mod blocked_outbound;
mod file_context;
mod spread;
mod web_signs;
mod web;
mod on_host;
mod spraying;
mod slow_guessing;
mod crowd;
mod encoded;
mod dns_tunnel;
mod silence;
mod connections;
mod router_lines;
mod router;
mod lan_lines;
mod lan;
mod alarm;
mod sensors;
mod network;

use nms_proto::{
    event::{Body, Event},
    extraction::{Action, Actor, AppFamily, Extraction, Outcome},
    finding::Finding,
    id::{EndpointId, Instance},
    time::Stamp,
};

use self::{
    blocked_outbound::BlockedOutbound,
    clocks::Clocks,
    copies::Copies,
    file_context::FileContext,
    guessing::Guessing,
    knocks::{Knocks, is_web},
    network::Network,
    on_host::OnHost,
    spread::Spread,
    success::Success,
    web::Web,
};
use crate::{
    bounded::total,
    extract,
    incident::When,
    incidents::Incidents,
    subject::{Subject, is_from_outside},
};

/// What the correlators must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The spool whose events these are; alert ids are derived from it.
    pub instance: Instance,
    /// Users whose session explains a change of settings, beside root. Groups (`admins` names sudo, wheel and adm
    /// by default) are turned into their members by whoever can read them.
    pub admins: Vec<Box<str>>,
}

/// What the correlators counted. Totals since they were made, but for what is said to be now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events seen.
    pub events: u64,
    /// Events that meant something to a correlator.
    pub judged: u64,
    /// Findings said.
    pub findings: u64,
    /// Lines not counted because another source had sent the same one.
    pub copies: u64,
    /// Times that a source fell back by more than five minutes and started afresh.
    pub fell_back: u64,
    /// Events dated more than five minutes ahead of the hub's clock.
    pub ahead: u64,
    /// Actors, flows and devices remembered now.
    pub actors: u64,
    /// Actors, flows and devices forgotten to make room.
    pub actors_forgotten: u64,
    /// Addresses, hosts, names and sources remembered now by the correlators of the network.
    pub traces: u64,
    /// Those forgotten to make room.
    pub traces_forgotten: u64,
    /// Incidents known now.
    pub incidents: u64,
    /// Incidents forgotten to make room.
    pub incidents_forgotten: u64,
}

/// All correlators of one hub, and the incidents they raised.
#[derive(Debug)]
pub struct Correlator {
    incidents: Incidents,
    clocks: Clocks,
    copies: Copies,
    guessing: Guessing,
    success: Success,
    blocked_outbound: BlockedOutbound,
    spread: Spread,
    web: Web,
    knocks: Knocks,
    file_context: FileContext,
    on_host: OnHost,
    network: Network,
    /// By how much the hub's clock was set since this was made, in milliseconds.
    set_ms: i64,
    events: u64,
    judged: u64,
    findings: u64,
}

impl Correlator {
    /// Correlators that have seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            incidents: Incidents::new(settings.instance),
            clocks: Clocks::new(),
            copies: Copies::new(),
            guessing: Guessing::new(),
            success: Success::default(),
            blocked_outbound: BlockedOutbound::new(),
            spread: Spread::new(),
            web: Web::new(),
            knocks: Knocks::new(),
            on_host: OnHost::new(&settings.admins),
            file_context: FileContext::new(settings.admins),
            network: Network::new(),
            set_ms: 0,
            events: 0,
            judged: 0,
            findings: 0,
        }
    }

    /// Takes `event`, seen when the hub's clock said `now`, and adds what was found to `out`.
    ///
    /// To rebuild the state after a restart, feed the same events again with the clock they were seen
    /// at and drop what comes out: ids and revisions go on as if nothing had happened.
    pub fn observe(&mut self, now: Stamp, event: &Event, out: &mut Vec<Finding>) {
        self.observe_as(now, event, &extract(event), out);
    }

    /// As [`Correlator::observe`], for an event whose extraction is already known.
    pub fn observe_as(&mut self, now: Stamp, event: &Event, found: &Extraction<'_>, out: &mut Vec<Finding>) {
        self.events += 1;
        let before = out.len();
        let runs_ms = self.runs_ms(now);
        self.file_context.tick(&mut self.incidents, runs_ms, out);
        self.on_host.tick(&mut self.incidents, runs_ms, out);
        self.network.heard(&mut self.incidents, (event, found), (runs_ms, self.set_ms), out);
        let (interesting, on_host) = (is_of_interest(found), on_host::is_of_interest(event, found));
        let matter = network::matter(event, found);
        if interesting || on_host || matter.is_some() {
            self.judged += 1;
            let at = self.clocks.time_of(event, now);
            if !self.copies.is_copy(event, at) {
                let when = When { at, now: runs_ms };
                if let Some(matter) = matter {
                    self.network.observe(&mut self.incidents, matter, (event, found), when, out);
                }
                if interesting {
                    self.correlate(event, found, when, out);
                }
                if on_host {
                    self.on_host.observe(&mut self.incidents, &self.success, (event, found), when, out);
                }
            }
        }
        if out.len() > before {
            self.network.found(out.iter().skip(before), runs_ms);
            self.findings += (out.len() - before) as u64;
        }
    }

    fn correlate(&mut self, event: &Event, found: &Extraction<'_>, when: When, out: &mut Vec<Finding>) {
        let incidents = &mut self.incidents;
        let line = (event, found);
        match (found.action, found.outcome) {
            // Of `None` is who began to log in and left; nothing else may tell of it.
            (Action::Login, Outcome::Failed | Outcome::None) => {
                let is_exposed = network::is_exposed(incidents, line, when);
                let tried = self.guessing.failed(incidents, line, is_exposed, when, out);
                self.network.failed(incidents, line, tried, when, out);
            }
            (Action::Login, _) => {
                let followed = self.success.logged_in(incidents, &mut self.guessing, line, when, out);
                if let Some(actor) = found.actor.filter(|_actor| !followed) {
                    self.guessing.succeeded(&Subject::of_actor(actor, &event.source), found.account);
                    self.network.logged_in(incidents, line, when, out);
                }
            }
            (Action::Command, _) => {
                self.success.escalated(incidents, line, when, out);
                if let Some(Actor::Name(user)) = found.actor {
                    self.file_context.administrator(&event.source, user, when.at);
                }
            }
            (Action::Block, _) => {
                self.blocked_outbound.blocked(incidents, line, when, out);
                self.spread.blocked(incidents, line, when, out);
            }
            (Action::Request, Outcome::Failed) if !is_web(found.family) && found.object.is_none() => {
                self.knocks.refused(incidents, line, when, out);
            }
            (Action::Connection, _) => self.knocks.refused(incidents, line, when, out),
            (Action::Request | Action::Ids, _) => self.web.requested(incidents, line, when, out),
            (Action::Account, _) => self.file_context.account_tool(&event.source, when.at),
            (Action::File, _) if matches!(event.body, Body::File(_)) => {
                self.file_context.changed(incidents, event, when, out);
            }
            _ => {}
        }
    }

    /// The hub's clock was set by `ms`, forward or back: no time passed with that, so nothing became quiet, and what waits
    /// waits no longer than it would have. The times of events are not touched.
    pub fn clock_was_set(&mut self, ms: i64) {
        self.set_ms = self.set_ms.saturating_add(ms);
    }

    /// The hub's clock as if it had never been set, Unix milliseconds: what is due goes by it.
    fn runs_ms(&self, now: Stamp) -> i64 {
        now.unix_ms.saturating_sub(self.set_ms)
    }

    /// Does what is due by the hub's clock: revisions that waited, incidents that went quiet.
    pub fn tick(&mut self, now: Stamp) -> Vec<Finding> {
        let mut out = Vec::new();
        let runs_ms = self.runs_ms(now);
        self.file_context.tick(&mut self.incidents, runs_ms, &mut out);
        self.on_host.tick(&mut self.incidents, runs_ms, &mut out);
        self.network.tick(&mut self.incidents, (runs_ms, self.set_ms), &mut out);
        self.incidents.tick(runs_ms, &mut out);
        self.findings += out.len() as u64;
        out
    }

    /// The hub's clock at which [`Correlator::tick`] has something to do.
    pub fn deadline(&self) -> Option<Stamp> {
        let due =
            [self.file_context.deadline(), self.on_host.deadline(), self.network.deadline(), self.incidents.deadline()];
        due.into_iter().flatten().min().map(|due_ms| Stamp::utc(due_ms.saturating_add(self.set_ms)))
    }

    /// Pairs of sources that send the same lines, each said once: what was found since the last call.
    pub fn take_overlaps(&mut self) -> Vec<(EndpointId, EndpointId)> {
        self.copies.take_pairs()
    }

    /// What was counted, and how much is remembered.
    pub fn counters(&self) -> Counters {
        let (actors, actors_forgotten) = total([
            self.guessing.sizes(),
            self.blocked_outbound.sizes(),
            self.spread.sizes(),
            self.web.sizes(),
            self.knocks.sizes(),
            self.on_host.sizes(),
        ]);
        let (traces, traces_forgotten) = self.network.sizes();
        let (incidents, incidents_forgotten) = self.incidents.sizes();
        Counters {
            events: self.events,
            judged: self.judged,
            findings: self.findings,
            copies: self.copies.found,
            fell_back: self.clocks.fell_back,
            ahead: self.clocks.ahead,
            actors: actors as u64,
            actors_forgotten,
            traces: traces as u64,
            traces_forgotten,
            incidents: incidents as u64,
            incidents_forgotten,
        }
    }
}

/// Whether any correlator looks at such an event; most lines end here.
fn is_of_interest(found: &Extraction<'_>) -> bool {
    match (found.action, found.outcome) {
        (Action::Login, Outcome::Failed | Outcome::Ok)
        | (Action::Request, _)
        | (Action::Block | Action::Connection, Outcome::Failed)
        | (Action::Account, Outcome::Ok) => true,
        (Action::Ids, Outcome::Failed) => is_web(found.family),
        // Who has no key for a host leaves so; from inside that is somebody's daily work.
        (Action::Login, Outcome::None) => {
            found.family == AppFamily::Sshd && found.times == 0 && found.actor.is_some_and(is_from_outside)
        }
        (Action::Command, Outcome::Ok) => found.family == AppFamily::Sudo,
        (Action::File, _) => found.family == AppFamily::FileIntegrity,
        _ => false,
    }
}
