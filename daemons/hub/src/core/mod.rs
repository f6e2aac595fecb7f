//! The hub's core: one thread that owns numbering, correlation, batching, accounts and the state.
//!
//! ```text
//! chunks -> name -> correlate -> [event + findings] one group -> spooler -> spool
//!                      |                                 \-> lines, accounts
//!                      +-> provisional alert -> state -> dashboards
//! news of the uplink -> accounts, alerts, link -> dashboards
//! ```
//! Everything here is a step on data; `run` feeds it. Sources that can wait come through a channel of
//! their own, which is not read while the spool is under pressure.

mod show;

use std::collections::BTreeMap;

use nms_detect::{Correlator, provisional};
use nms_kit::{
    clock,
    intake::{Chunk, Events},
    spooler::{NOT_DURABLE, Spooled, Spooler},
    store::spool::SpoolError,
};
use nms_proto::{
    dash::{CommandResult, DashCommand, EndpointKind, FromHub},
    event::{Body, Draft, Event, Loss},
    extraction::Action,
    finding::Finding,
    flow::ledger::OTHER,
    id::EndpointId,
    json::Decoder,
    limits::{CORRELATE_AGAIN_MS, SPOOL_PRESSURE_PERCENT, SPOOL_SHED_NOTICE_PERCENT},
    message::{Results, batch_events},
    time::{Stamp, Tick},
};

use crate::{
    alerts::AlertStore,
    books::Books,
    lines::Lines,
    state::{Change, Heard, State},
};

/// How far ahead of the hub's clock an event's time may be, in milliseconds; beyond it, the hub's is taken.
const AHEAD_MS_MAX: i64 = 300_000;

/// Sources whose shed lines are told apart upward, and the time between two such words, in milliseconds.
const SHED_SOURCES_MAX: usize = 64;
const SHED_MS: u64 = 1_000;

/// The core.
pub(crate) struct Core {
    state: State,
    lines: Lines,
    books: Books,
    spooler: Spooler,
    correlator: Correlator,
    store: AlertStore,
    /// Changes of alerts since dashboards were last told.
    news: Vec<FromHub>,
    findings: Vec<Finding>,
    group: Vec<Event>,
    /// Lines shed since that was told upward, by source.
    shed: BTreeMap<EndpointId, u64>,
    shed_due: Tick,
    /// What earlier runs gave up at their end, to be told upward, by source.
    given_up: BTreeMap<EndpointId, u64>,
    started: Tick,
}

/// How a chunk came, and so what may be done with it when room is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its source waits.
    Waits,
    /// From an agent: it was taken because there was room for it.
    Agents,
    /// Its source cannot wait (UDP): unimportant lines are shed.
    Sheds,
}

impl Core {
    pub(crate) fn new(
        spooler: Spooler,
        correlator: Correlator,
        store: AlertStore,
        now: Tick,
    ) -> Result<Self, SpoolError> {
        let mut core = Self {
            state: State::default(),
            lines: Lines::default(),
            books: Books::default(),
            spooler,
            correlator,
            store,
            news: Vec::new(),
            findings: Vec::new(),
            group: Vec::new(),
            shed: BTreeMap::new(),
            shed_due: now,
            given_up: BTreeMap::new(),
            started: now,
        };
        core.books.carry_over(core.spooler.spool())?;
        core.given_up = core.spooler.given_up()?;
        for (source, events) in &core.given_up {
            core.books.ledger.received(source, *events);
            core.books.ledger.dropped(source, NOT_DURABLE, *events);
        }
        core.look_again()?;
        for alert in core.store.load() {
            core.state.alert(alert);
        }
        Ok(core)
    }

    /// Shows the last lines again, and what happened in the last minutes to the correlators, without output: a run
    /// that spans a restart is one incident with the same id.
    fn look_again(&mut self) -> Result<(), SpoolError> {
        let since_ms = clock::unix_ms() - CORRELATE_AGAIN_MS;
        let mut decoder = Decoder::default();
        let spool = self.spooler.spool().clone();
        let mut ignored = Vec::new();
        let lines = &mut self.lines;
        spool.recent(|header, content| {
            for event in batch_events(&mut decoder, content).unwrap_or_default() {
                if header.oldest_at_ms >= since_ms && !matches!(event.body, Body::Finding(_)) {
                    self.correlator.observe(event.at, &event, &mut ignored);
                    ignored.clear();
                }
                lines.push(&event);
            }
        })?;
        lines.end_at(spool.stats().appended);
        Ok(())
    }

    /// The hub's clock was set by so much: what is due by it is due as much later, or earlier.
    pub(crate) fn clock_was_set(&mut self, by_ms: i64) {
        self.correlator.clock_was_set(by_ms);
    }

    /// The state, for what needs no more than it.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Whether sources that can wait are not read.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.is_stuck() || self.spooler.fill_percent() >= SPOOL_PRESSURE_PERCENT
    }

    /// Whether nothing at all can be taken for now.
    pub(crate) fn is_stuck(&self) -> bool {
        self.spooler.is_stuck()
    }

    /// Whether what was taken is to be flushed before more is.
    pub(crate) fn has_gathered(&self) -> bool {
        self.spooler.has_gathered()
    }

    /// Events that fit before sources that can wait have to.
    pub(crate) fn room(&self) -> u64 {
        if self.is_under_pressure() {
            return 0;
        }
        let least = self.spooler.spool().limits().events_max / 100 * SPOOL_PRESSURE_PERCENT;
        least.saturating_sub(self.spooler.spool().stats().events)
    }

    /// Takes a chunk.
    pub(crate) fn take(&mut self, now: Tick, stamp: Stamp, way: Way, chunk: Chunk) -> Result<(), SpoolError> {
        let Chunk { events, checkpoints, done, tally } = chunk;
        for rejected in &tally.rejected {
            self.books.ledger.received(&rejected.source, 1);
            self.books.ledger.rejected(&rejected.source, rejected.reason, 1);
            self.state.rejected(now, stamp, rejected);
        }
        let fill = if way == Way::Sheds { self.spooler.fill_percent() } else { 0 };
        let kind = if way == Way::Agents { EndpointKind::Agent } else { EndpointKind::Syslog };
        match events {
            Events::Drafts(drafts) => self.drafts(now, stamp, (&kind, fill), drafts)?,
            Events::Numbered(events) => {
                for event in events {
                    if let Body::Loss(loss) = &event.body {
                        self.told_of(now, stamp, loss);
                    }
                    self.event(now, stamp, &kind, event)?;
                }
            }
        }
        for source in tally.cut {
            self.state.cut(stamp, &source, 1);
        }
        for lost in tally.lost {
            self.books.ledger.received(&lost.source, lost.events);
            self.books.ledger.dropped(&lost.source, lost.cause, lost.events);
            let loss = Loss::of(lost.source.clone(), lost.cause, lost.events);
            let draft = Draft::new(Body::Loss(Box::new(loss)));
            self.drafts(now, stamp, (&kind, 0), vec![(lost.source, draft)])?;
        }
        if !checkpoints.is_empty() || done.is_some() {
            self.spooler.mark(checkpoints, done);
        }
        Ok(())
    }

    fn drafts(
        &mut self,
        now: Tick,
        stamp: Stamp,
        (kind, fill): (&EndpointKind, u64),
        drafts: Vec<(EndpointId, Draft)>,
    ) -> Result<(), SpoolError> {
        for (source, draft) in drafts {
            let event = draft.named(self.spooler.next_id()?, source, stamp);
            if fill >= SPOOL_PRESSURE_PERCENT && may_shed(fill, &event) {
                self.books.ledger.received(&event.source, 1);
                self.books.ledger.dropped(&event.source, "shed", 1);
                let place = if self.shed.len() < SHED_SOURCES_MAX { event.source } else { EndpointId::new(OTHER) };
                *self.shed.entry(place).or_default() += 1;
                continue;
            }
            self.event(now, stamp, kind, event)?;
        }
        Ok(())
    }

    /// An agent counted what it lost, turned away or cut: that belongs to the account of its source.
    fn told_of(&mut self, now: Tick, stamp: Stamp, loss: &Loss) {
        let Loss { source, cause, count, sample } = loss;
        if &**cause == Loss::TRUNCATED {
            self.state.cut(stamp, source, *count);
            return;
        }
        self.books.ledger.received(source, *count);
        match loss.rejected() {
            None => self.books.ledger.dropped(source, cause, *count),
            Some(reason) => {
                self.books.ledger.rejected(source, reason, *count);
                self.state.turned_away(now, stamp, (source, &EndpointKind::Agent), (reason, *count, sample.as_deref()));
            }
        }
    }

    fn event(&mut self, now: Tick, stamp: Stamp, kind: &EndpointKind, mut event: Event) -> Result<(), SpoolError> {
        if event.at.unix_ms > stamp.unix_ms + AHEAD_MS_MAX {
            event.at = stamp;
        }
        self.correlator.observe(stamp, &event, &mut self.findings);
        self.group.push(event);
        self.group_findings(stamp)?;
        self.queue(now, stamp, kind);
        for (one, other) in self.correlator.take_overlaps() {
            log::info!("the same lines come from two sources, each is counted once one={one} other={other}");
            self.state.overlap(&one, &other);
        }
        Ok(())
    }

    /// Each finding becomes an event of the same group, and an alert at once.
    fn group_findings(&mut self, stamp: Stamp) -> Result<(), SpoolError> {
        for finding in std::mem::take(&mut self.findings) {
            self.alert(provisional(&finding));
            let draft = Draft::new(Body::Finding(Box::new(finding)));
            let id = self.spooler.next_id()?;
            self.group.push(draft.named(id, EndpointId::new(EndpointId::SELF), stamp));
        }
        Ok(())
    }

    /// Counts the group and puts it on its way.
    fn queue(&mut self, now: Tick, stamp: Stamp, kind: &EndpointKind) {
        let mut group = std::mem::take(&mut self.group);
        let pushed = self.spooler.push_group(now, &group);
        for event in group.drain(..) {
            self.books.ledger.received(&event.source, 1);
            if pushed.is_ok() {
                self.books.ledger.queued(&event.source, 1);
            } else {
                self.books.ledger.dropped(&event.source, "not_encodable", 1);
            }
            // What the hub found, nobody sent.
            if !matches!(event.body, Body::Finding(_)) {
                let kind = if event.source.as_str() == EndpointId::SELF { &EndpointKind::Own } else { kind };
                let heard = Heard { source: &event.source, kind, events: 1, parse_errors: 0 };
                self.state.heard(now, stamp, &heard);
            }
            self.lines.push(&event);
        }
        self.group = group;
    }

    fn alert(&mut self, alert: nms_proto::alert::Alert) {
        if let Some(change) = self.state.alert(alert) {
            self.changed(change);
        }
    }

    fn changed(&mut self, change: Change) {
        self.store.save(&change.alert, change.forgotten.as_ref());
        self.news.push(FromHub::Alert(Box::new(change.alert)));
    }

    /// Hands to the spool what is due.
    pub(crate) fn flush(&mut self, now: Tick, link_idle: bool) -> Result<(), SpoolError> {
        let spooled = self.spooler.flush(now, link_idle)?;
        self.spooled(spooled);
        Ok(())
    }

    /// Hands everything to the spool and waits until it is durable: nothing more will come.
    pub(crate) fn finish(&mut self, now: Tick) -> Result<(), SpoolError> {
        let spooled = self.spooler.finish(now)?;
        self.spooled(spooled);
        Ok(())
    }

    /// Nothing more will come, and not everything is durable, or was taken: what is lost with that is counted, for this
    /// run's log and the next one's accounts. Agents, and the collectors of the own host, hand theirs over again.
    pub(crate) fn give_up(&mut self, now: Tick, untaken: BTreeMap<EndpointId, u64>) {
        let Self { spooler, state, .. } = self;
        let is_lost = |source: &EndpointId| source.as_str() != EndpointId::SELF && !state.is_agent(source);
        match spooler.give_up(now, untaken, is_lost) {
            Ok(0) => {}
            Ok(events) => {
                log::error!("events were received and are not durable: they are lost and counted events={events}");
            }
            Err((events, error)) => log::error!(
                "events were received and are not durable: they are lost, and the count found no room events={events} error={error}"
            ),
        }
    }

    fn spooled(&mut self, spooled: Vec<Spooled>) {
        if !spooled.is_empty() {
            self.books.spooled(spooled);
            self.books.missing(&self.spooler.spool().missing());
        }
    }

    /// The accounts, for what the uplink has news of.
    pub(crate) fn books(&mut self) -> &mut Books {
        &mut self.books
    }

    /// The spool's batches have new numbers: their positions less `base`.
    pub(crate) fn renumbered(&mut self, base: u64) {
        self.books.renumbered(base);
        self.spooler.renumbered();
    }

    /// The server's alerts; `done` once they are durable here.
    pub(crate) fn results(&mut self, results: Results, done: impl FnOnce() + Send + 'static) {
        self.state.analysed(results.stats.processing_time_ms);
        for alert in results.alerts {
            self.alert(alert);
        }
        self.store.when_durable(done);
    }

    /// A person does something with an alert; `told` hears what became of it, once it is durable.
    pub(crate) fn command(
        &mut self,
        uid: u32,
        stamp: Stamp,
        command: &DashCommand,
        told: impl FnOnce(CommandResult) + Send + 'static,
    ) {
        let id = command.id;
        match self.state.settle(uid, stamp, command) {
            Ok(alert) => {
                let message = format!("{} {}", alert.id, alert.status).into();
                self.changed(Change { alert, forgotten: None });
                self.store.when_durable(move || told(CommandResult { id, ok: true, message }));
            }
            Err(problem) => told(CommandResult { id, ok: false, message: problem.into() }),
        }
    }

    /// Time passed: what was shed is told upward, incidents go quiet.
    pub(crate) fn tick(&mut self, now: Tick, stamp: Stamp) -> Result<(), SpoolError> {
        if now >= self.shed_due && !self.shed.is_empty() && !self.is_stuck() {
            self.shed_due = now.plus(SHED_MS);
            for (source, events) in std::mem::take(&mut self.shed) {
                let loss = Loss::of(source.clone(), "shed", events);
                let draft = Draft::new(Body::Loss(Box::new(loss)));
                self.drafts(now, stamp, (&EndpointKind::Syslog, 0), vec![(source, draft)])?;
            }
        }
        // What is due needs names, which a full disk does not give; it is due until then.
        if self.is_stuck() {
            return Ok(());
        }
        if !self.given_up.is_empty() {
            for (source, events) in std::mem::take(&mut self.given_up) {
                let loss = Loss::of(source.clone(), NOT_DURABLE, events);
                let draft = Draft::new(Body::Loss(Box::new(loss)));
                self.drafts(now, stamp, (&EndpointKind::Syslog, 0), vec![(source, draft)])?;
            }
            self.spooler.mark(vec![Spooler::told_of_given_up()], None);
        }
        // No event completed them, so each is a group of its own: all together may be more than a frame holds.
        for finding in self.correlator.tick(stamp) {
            self.findings.push(finding);
            self.group_findings(stamp)?;
            self.queue(now, stamp, &EndpointKind::Own);
        }
        Ok(())
    }

    /// When `flush` or `tick` is next to be called.
    pub(crate) fn deadline(&self, now: Tick, stamp: Stamp) -> Option<Tick> {
        let quiet = self.correlator.deadline().filter(|_due| !self.is_stuck());
        let quiet = quiet.map(|at| now.plus((at.unix_ms - stamp.unix_ms).max(0).unsigned_abs()));
        [self.spooler.deadline(), quiet].into_iter().flatten().min()
    }

    /// What the server asked to keep to.
    pub(crate) fn set_batch_events(&mut self, events: usize) {
        self.spooler.set_events_max(events);
    }
}

/// From 80 % full, debug and info lines that say nothing known; from 95 %, notices too.
fn may_shed(fill: u64, event: &Event) -> bool {
    let least = if fill >= SPOOL_SHED_NOTICE_PERCENT { 5 } else { 6 };
    event.body.syslog_severity() >= least && nms_detect::extract(event).action == Action::Other
}
