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

use std::collections::VecDeque;

use nms_detect::{Correlator, provisional};
use nms_kit::{
    clock,
    intake::{Chunk, Events},
    spooler::{Spooled, Spooler},
    store::spool::SpoolError,
};
use nms_proto::{
    dash::{CommandResult, DashCommand, EndpointKind, FromHub, Snapshot},
    event::{Body, Draft, Event, Loss},
    extraction::Action,
    finding::Finding,
    flow::ledger::Ledger,
    id::{BatchSeq, EndpointId},
    json::Decoder,
    limits::{CORRELATE_AGAIN_MS, SPOOL_PRESSURE_PERCENT, SPOOL_SHED_NOTICE_PERCENT},
    message::{Heartbeat, Results, SourceCount, batch_events},
    time::{Stamp, Tick},
};

use crate::{
    alerts::AlertStore,
    lines::{LINES_BYTES_MAX, Lines},
    state::{Change, Heard, State},
};

/// How far ahead of the hub's clock an event's time may be, in milliseconds; beyond it, the hub's is taken.
const AHEAD_MS_MAX: i64 = 300_000;
/// Lines that a new dashboard is sent at once.
const SNAPSHOT_LINES: usize = 1_000;
/// Alerts in a snapshot's frame: with their evidence they are a few KiB each.
const SNAPSHOT_ALERTS: usize = 200;

/// The core.
pub(crate) struct Core {
    state: State,
    lines: Lines,
    ledger: Ledger,
    spooler: Spooler,
    correlator: Correlator,
    store: AlertStore,
    /// Batches in the spool, oldest first.
    waiting: VecDeque<Spooled>,
    /// Changes of alerts since dashboards were last told.
    news: Vec<FromHub>,
    findings: Vec<Finding>,
    group: Vec<Event>,
    started: Tick,
}

/// How a chunk came, and so what may be done with it when room is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its source waits.
    Waits,
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
            ledger: Ledger::default(),
            spooler,
            correlator,
            store,
            waiting: VecDeque::new(),
            news: Vec::new(),
            findings: Vec::new(),
            group: Vec::new(),
            started: now,
        };
        core.carry_over()?;
        core.look_again()?;
        for alert in core.store.load() {
            core.state.alert(alert);
        }
        Ok(core)
    }

    /// What an earlier run left in the spool is received and waiting in this one.
    fn carry_over(&mut self) -> Result<(), SpoolError> {
        let held = self.held()?;
        for batch in &held {
            self.ledger.carried_over(&batch.counts);
        }
        self.waiting = held.into();
        Ok(())
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

    fn held(&self) -> Result<Vec<Spooled>, SpoolError> {
        let spool = self.spooler.spool();
        let mut held = Vec::new();
        let mut from = 0;
        loop {
            let page = spool.entries(from)?;
            let Some(last) = page.last() else { return Ok(held) };
            from = last.number + 1;
            held.extend(page.into_iter().filter_map(|entry| {
                let counts = entry.header?.counts.into_iter().map(|count| SourceCount {
                    source: EndpointId::new(&count.source),
                    severity: count.severity,
                    events: count.events.into(),
                });
                Some(Spooled { batch: BatchSeq(entry.number), counts: counts.collect() })
            }));
        }
    }

    /// The state, for what needs no more than it.
    pub(crate) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// Fill of the spool at which sources that can wait are no longer read.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.spooler.spool().stats().fill_percent >= SPOOL_PRESSURE_PERCENT
    }

    /// Takes a chunk.
    pub(crate) fn take(&mut self, now: Tick, stamp: Stamp, way: Way, chunk: Chunk) -> Result<(), SpoolError> {
        let Chunk { events, checkpoints, done, tally } = chunk;
        for rejected in &tally.rejected {
            self.ledger.received(&rejected.source, 1);
            self.ledger.rejected(&rejected.source, rejected.reason, 1);
            self.state.rejected(now, stamp, rejected);
        }
        let fill = if way == Way::Sheds { self.spooler.spool().stats().fill_percent } else { 0 };
        match events {
            Events::Drafts(drafts) => self.drafts(now, stamp, fill, drafts)?,
            Events::Numbered(events) => {
                for event in events {
                    self.event(now, stamp, &EndpointKind::Agent, event)?;
                }
            }
        }
        for source in tally.cut {
            self.state.cut(stamp, &source);
        }
        for lost in tally.lost {
            self.ledger.received(&lost.source, lost.events);
            self.ledger.dropped(&lost.source, lost.cause, lost.events);
            let loss = Loss { source: lost.source.clone(), cause: lost.cause.into(), count: lost.events };
            let draft = Draft::new(Body::Loss(Box::new(loss)));
            self.drafts(now, stamp, 0, vec![(lost.source, draft)])?;
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
        fill: u64,
        drafts: Vec<(EndpointId, Draft)>,
    ) -> Result<(), SpoolError> {
        for (source, draft) in drafts {
            let event = draft.named(self.spooler.next_id()?, source, stamp);
            if fill >= SPOOL_PRESSURE_PERCENT && may_shed(fill, &event) {
                self.ledger.received(&event.source, 1);
                self.ledger.dropped(&event.source, "shed", 1);
                continue;
            }
            self.event(now, stamp, &EndpointKind::Syslog, event)?;
        }
        Ok(())
    }

    fn event(&mut self, now: Tick, stamp: Stamp, kind: &EndpointKind, mut event: Event) -> Result<(), SpoolError> {
        if event.at.unix_ms > stamp.unix_ms + AHEAD_MS_MAX {
            event.at = stamp;
        }
        self.correlator.observe(stamp, &event, &mut self.findings);
        self.group.push(event);
        self.group_findings(stamp)?;
        self.queue(now, stamp, kind);
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
            self.ledger.received(&event.source, 1);
            if pushed.is_ok() {
                self.ledger.queued(&event.source, 1);
            } else {
                self.ledger.dropped(&event.source, "not_encodable", 1);
            }
            let kind = if event.source.as_str() == EndpointId::SELF { &EndpointKind::Own } else { kind };
            let heard = Heard { source: &event.source, kind, events: 1, parse_errors: 0 };
            self.state.heard(now, stamp, &heard);
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
        Ok(self.spooler.spool().db().flush()?)
    }

    fn spooled(&mut self, spooled: Vec<Spooled>) {
        if spooled.is_empty() {
            return;
        }
        self.waiting.extend(spooled);
        self.account_for_losses();
    }

    /// Batches that the spool gave up are dropped, with the cause that it names.
    fn account_for_losses(&mut self) {
        for run in self.spooler.spool().skipped() {
            let gone = |batch: &Spooled| (run.from..=run.to).contains(&batch.batch.0);
            let (lost, kept): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut self.waiting).into_iter().partition(gone);
            self.waiting = kept;
            for batch in lost {
                self.ledger.dropped_from_queue(&batch.counts, run.cause.word());
            }
        }
    }

    /// Everything up to that batch was delivered.
    pub(crate) fn delivered(&mut self, batch: BatchSeq) {
        while let Some(first) = self.waiting.pop_front_if(|first| first.batch <= batch) {
            self.ledger.delivered(&first.counts);
        }
    }

    /// A batch went to the quarantine.
    pub(crate) fn quarantined(&mut self, batch: BatchSeq) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.batch == batch)
            && let Some(gone) = self.waiting.remove(at)
        {
            self.ledger.dropped_from_queue(&gone.counts, "refused");
        }
    }

    /// The spool's batches have new numbers, in the same order, ending before its next one.
    pub(crate) fn renumbered(&mut self) {
        self.spooler.renumbered();
        let mut number = self.spooler.spool().stats().next;
        for batch in self.waiting.iter_mut().rev() {
            number = number.saturating_sub(1);
            batch.batch = BatchSeq(number);
        }
    }

    /// The server's alerts; `done` once they are durable here.
    pub(crate) fn results(&mut self, results: Results, done: impl FnOnce() + Send + 'static) {
        self.state.analysed(results.stats.processing_time_ms);
        for alert in results.alerts {
            self.alert(alert);
        }
        self.store.when_durable(done);
    }

    /// A person does something with an alert.
    pub(crate) fn command(&mut self, uid: u32, stamp: Stamp, command: &DashCommand) -> CommandResult {
        match self.state.settle(uid, stamp, command) {
            Ok(alert) => {
                let message = format!("{} {}", alert.id, alert.status).into();
                self.changed(Change { alert, forgotten: None });
                CommandResult { id: command.id, ok: true, message }
            }
            Err(problem) => CommandResult { id: command.id, ok: false, message: problem.into() },
        }
    }

    /// Time passed: incidents go quiet.
    pub(crate) fn tick(&mut self, now: Tick, stamp: Stamp) -> Result<(), SpoolError> {
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
        let quiet = self.correlator.deadline().map(|at| now.plus((at.unix_ms - stamp.unix_ms).max(0).unsigned_abs()));
        [self.spooler.deadline(), quiet].into_iter().flatten().min()
    }

    /// What the server asked to keep to.
    pub(crate) fn set_batch_events(&mut self, events: usize) {
        self.spooler.set_events_max(events);
    }

    /// What dashboards have not been told yet.
    pub(crate) fn news(&mut self) -> Vec<FromHub> {
        std::mem::take(&mut self.news)
    }

    /// What dashboards are told once a second.
    pub(crate) fn second(&mut self, now: Tick) -> Vec<FromHub> {
        let accounts = self.ledger.accounts();
        let stats = self.spooler.spool().stats();
        self.state.link().queue = stats.events;
        self.state.second(now, accounts)
    }

    /// Everything as it stands: a snapshot, and the alerts that do not fit its frame after it.
    pub(crate) fn snapshot(&mut self, now: Tick) -> Vec<FromHub> {
        let accounts = self.ledger.accounts();
        let after = self.lines.next().saturating_sub(SNAPSHOT_LINES as u64 + 1);
        let lines = self.lines.after(after, SNAPSHOT_LINES, LINES_BYTES_MAX);
        let mut snapshot = Snapshot { lines, ..self.state.snapshot(now, accounts) };
        let spare = snapshot.alerts.len().saturating_sub(SNAPSHOT_ALERTS);
        let older: Vec<_> = snapshot.alerts.drain(..spare).map(|alert| FromHub::Alert(Box::new(alert))).collect();
        let mut messages = vec![FromHub::Snapshot(Box::new(snapshot))];
        messages.extend(older);
        messages
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// What the next heartbeats say.
    pub(crate) fn vitals(&self, now: Tick) -> Heartbeat {
        let spool = self.spooler.spool();
        let oldest = spool.oldest_at_ms().ok().flatten();
        Heartbeat {
            uptime_seconds: now.since(self.started) / 1_000,
            events_queued: spool.stats().events,
            endpoints_connected: self.state.connected(now),
            dropped: self.ledger.dropped_total(),
            oldest_age_ms: oldest.map(|at| clock::unix_ms().saturating_sub(at).max(0).unsigned_abs()),
            heartbeat: None,
        }
    }
}

/// From 80 % full, debug and info lines that say nothing known; from 95 %, notices too.
fn may_shed(fill: u64, event: &Event) -> bool {
    let least = if fill >= SPOOL_SHED_NOTICE_PERCENT { 5 } else { 6 };
    event.body.syslog_severity() >= least && nms_detect::extract(event).action == Action::Other
}
