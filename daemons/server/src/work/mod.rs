//! One tenant's analysis at work: batches from memory or the log, alerts and cursor into the store.
//!
//! ```text
//! snapshot -> replay in silence up to the stored cursor -> replay aloud to the log's end -> live
//! ```
//! Everything that a step found is committed together with how far it came, and told to the hubs when
//! that is durable. Nothing is kept anywhere else: an end at any point is taken up again from the log.

pub mod marks;
pub mod panics;
pub mod watch;
pub mod lines;
pub mod standings;
pub mod thread;

use std::{collections::HashMap, sync::Arc};

use nms_detect::Standing;
use nms_kit::fault;
use nms_model::cache::CacheCounts;
use nms_proto::{
    id::Instance,
    limits::RESULTS_ALERTS_MAX,
    message::{Results, ResultsStats},
    time::Tick,
};

use self::{lines::Lines, marks::Marks, standings::Standings, watch::Watch};
use crate::{
    analyse::{Analysis, Said, model::Model},
    live::{self, Tenant},
    store::{Change, Class, Cursor, Entry, LogSeq, Logged, Snapshot, StoreError},
};

/// Bytes of batches that a tenant is given before it is another's turn.
const SLICE_BYTES: usize = 1 << 20;
/// Batches looked at again in silence where there is no snapshot.
const BLIND_BATCHES: u64 = 4_096;
/// Time after which a cursor that nothing else waits for is stored, in milliseconds.
const CURSOR_MS: u64 = 250;
/// Time after which a snapshot is taken, in milliseconds; events after which, but then not more often than.
const SNAPSHOT_MS: u64 = 60_000;
const SNAPSHOT_EVENTS: u64 = 100_000;
const SNAPSHOT_MS_MIN: u64 = 5_000;

/// The two clocks, read by the shell.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic, for what is due.
    pub tick: Tick,
    /// Unix milliseconds, for the analysis clock.
    pub unix_ms: i64,
}

/// One tenant's analysis and how far it came.
#[derive(Debug)]
pub struct Work {
    tenant: Arc<Tenant>,
    analysis: Analysis,
    lines: Lines,
    at: Cursor,
    /// Up to here what is found was stored before.
    silent: Cursor,
    /// The cursor that was handed to the store, and when.
    stored: (Cursor, Tick),
    next: HashMap<Instance, u64>,
    standings: Standings,
    stats: ResultsStats,
    snapshot: (LogSeq, Tick, u64),
    used: Tick,
    damaged: u64,
}

impl Work {
    /// Takes up a tenant's analysis where it was.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    pub fn open(tenant: Arc<Tenant>, now: Now) -> Result<Self, StoreError> {
        let store = tenant.store();
        let progress = store.progress()?;
        let (marks, guilty) = Marks::begin(&progress, tenant.inherited(), tenant.take_panicked());
        let (analysis, at) = restored(&tenant, progress.cursor, guilty)?;
        let mut watch = Watch::new(Arc::clone(&tenant), marks);
        if analysis.deadline().is_some() {
            watch.resume(at);
        }
        let next = store.owed()?.into_iter().map(|owed| (owed.hub, owed.next)).collect();
        Ok(Self {
            lines: Lines::new(Arc::clone(&tenant), watch),
            analysis,
            at,
            silent: progress.cursor,
            stored: (progress.cursor, now.tick),
            next,
            standings: Standings::default(),
            stats: ResultsStats::default(),
            snapshot: (at.scored, now.tick, 0),
            used: now.tick,
            damaged: 0,
            tenant,
        })
    }

    /// Analyses the next slice, or does what is due; true when there is more to do at once.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    pub fn step(&mut self, model: &mut Model, now: Now) -> Result<bool, StoreError> {
        let slice = self.slice()?;
        let began_us = nms_kit::clock::monotonic_us();
        let mut said = Vec::new();
        if slice.is_empty() {
            self.pass_over(model)?;
            self.tick(model, now, &mut said)?;
        } else {
            self.used = now.tick;
            if let (Some(first), Some(last)) = (slice.first(), slice.last()) {
                self.lines.watch.batches(first.seq(), last.seq())?;
            }
            self.analyse(model, &slice, &mut said);
        }
        self.stats.processing_time_ms += (nms_kit::clock::monotonic_us() - began_us) / 1_000;
        self.store(said, now)?;
        self.tenant.set_analysis(live::Standing {
            cache: model.cache(),
            not_finite: model.not_finite(),
            ..self.standing()
        });
        Ok(!slice.is_empty())
    }

    /// What comes next: from memory while it keeps up, else from the log. Of what an earlier life may have died of only
    /// as much as one mark names.
    fn slice(&self) -> Result<Vec<Entry>, StoreError> {
        let after = self.at.scored;
        let held = self.tenant.inbox().take(self.tenant.id(), after, SLICE_BYTES);
        let mut slice: Vec<Entry> = held.into_iter().map(Entry::Batch).collect();
        if slice.is_empty() && (self.tenant.gate().logged() > after || self.lines.watch.marks.covers(after.next())) {
            slice = self.tenant.store().read(after.next(), SLICE_BYTES)?;
        }
        if let (Some(first), Some(last)) = (slice.first().map(Entry::seq), slice.last().map(Entry::seq))
            && let Some(mark) = self.lines.watch.marks.mark(first, last)
        {
            slice.retain(|entry| entry.seq() <= mark.to);
        }
        Ok(slice)
    }

    fn analyse(&mut self, model: &mut Model, slice: &[Entry], said: &mut Vec<Said>) {
        for entry in slice {
            let seq = entry.seq();
            match entry {
                Entry::Batch(batch) if !self.lines.watch.marks.skips(seq) => self.batch(model, batch, said),
                Entry::Batch(_) => {}
                Entry::Damaged(_) => {
                    self.damaged += 1;
                    log::error!("a damaged batch of the log is skipped tenant={} seq={seq}", self.tenant.id());
                }
            }
            self.at.scored = self.at.scored.max(seq);
            self.tenant.gate().analysed(seq);
            if seq <= self.silent.scored {
                said.clear();
                self.catch_up(model, seq, said);
            }
        }
    }

    fn batch(&mut self, model: &mut Model, batch: &Arc<Logged>, said: &mut Vec<Said>) {
        self.lines.note(batch);
        self.analysis.handle(model, &mut self.lines, batch, said, |_| ());
        self.at.ticked_ms = self.at.ticked_ms.max(batch.arrived_ms);
        self.snapshot.2 += batch.events.len() as u64;
        if batch.seq > self.silent.scored {
            self.stats.events_processed += batch.events.len() as u64;
        }
        self.lines.watch.analysed(batch.seq, batch.arrived_ms);
    }

    /// At the stored cursor, the deadlines that were handled after it are handled again, in silence.
    fn catch_up(&mut self, model: &mut Model, seq: LogSeq, said: &mut Vec<Said>) {
        if seq == self.silent.scored {
            self.analysis.tick(model, &mut self.lines, self.silent.ticked_ms, said);
            self.lines.watch.ticked(self.silent.ticked_ms);
            self.at.ticked_ms = self.at.ticked_ms.max(self.silent.ticked_ms);
            said.clear();
        }
    }

    /// Where the log ends before the stored cursor (the rest was let go), analysis goes on from there.
    fn pass_over(&mut self, model: &mut Model) -> Result<(), StoreError> {
        if self.at.scored < self.silent.scored {
            self.lines.watch.deadlines(self.at.scored)?;
            self.at.scored = self.silent.scored;
            self.catch_up(model, self.silent.scored, &mut Vec::new());
        }
        Ok(())
    }

    /// Does what is due, where no batch is under way whose time may be earlier.
    fn tick(&mut self, model: &mut Model, now: Now, said: &mut Vec<Said>) -> Result<(), StoreError> {
        let Some(due) = self.analysis.deadline() else { return Ok(()) };
        let quiet = self.tenant.gate().quiet(now.unix_ms, self.at.scored);
        if let Some(at_ms) = quiet.filter(|at_ms| *at_ms >= due) {
            self.lines.watch.deadlines(self.at.scored)?;
            self.analysis.tick(model, &mut self.lines, at_ms, said);
            self.lines.watch.ticked(at_ms);
            self.at.ticked_ms = self.at.ticked_ms.max(at_ms);
        }
        Ok(())
    }

    /// Commits what was found with how far it came; the hubs hear of it when it is durable.
    fn store(&mut self, said: Vec<Said>, now: Now) -> Result<(), StoreError> {
        let found = self.settle(said)?;
        let mut changes: Vec<Change> = found.iter().map(|(_, known)| Change::Alert(Box::new(known.clone()))).collect();
        let owed = self.results(&found);
        for (hub, seq, results) in &owed {
            changes.push(Change::Results { hub: *hub, seq: *seq, results: Box::new(results.clone()) });
        }
        if self.lines.watch.look_away() {
            changes.push(Change::Unmark);
        }
        let is_ahead = self.at != self.stored.0 && self.at.scored >= self.silent.scored;
        let is_late = now.tick.since(self.stored.1) >= CURSOR_MS;
        if is_ahead && (is_late || !found.is_empty()) {
            changes.push(Change::Cursor(self.at));
            self.stored = (self.at, now.tick);
        }
        if self.is_snapshot_due(now) {
            changes.push(Change::Snapshot(self.take_snapshot(now)));
        }
        self.commit(changes, owed)
    }

    fn commit(&self, changes: Vec<Change>, owed: Vec<(Instance, u64, Results)>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let tenant = Arc::clone(&self.tenant);
        let class = if owed.is_empty() { Class::Lazy } else { Class::Upkeep };
        let told = Box::new(move |result: Result<(), StoreError>| match result {
            Ok(()) => {
                fault::point(fault::AFTER_CURSOR);
                for (hub, _, results) in owed {
                    tenant.owe(hub, results);
                }
            }
            Err(error) => log::error!("what was found is not stored tenant={} error={error}", tenant.id()),
        });
        let has_snapshot = changes.iter().any(|change| matches!(change, Change::Snapshot(_)));
        self.tenant.store().commit(changes, class, told)?;
        if has_snapshot {
            fault::point(fault::SNAPSHOTTING);
        }
        Ok(())
    }

    /// Settles what was said with what is known; the last revision of each alert, in the order of their first.
    fn settle(&mut self, said: Vec<Said>) -> Result<Vec<(Vec<Instance>, Standing)>, StoreError> {
        let mut found: Vec<(Vec<Instance>, Standing)> = Vec::new();
        for Said { hubs, finding, alert } in said {
            let id = alert.id.clone();
            if self.standings.get(&id).is_none()
                && let Some(stored) = self.tenant.store().alert(&id)?
            {
                self.standings.put(stored);
            }
            let Some(settled) = Standing::settle(self.standings.get(&id), finding, alert) else { continue };
            self.standings.put(settled.clone());
            match found.iter_mut().find(|(_, known)| known.alert.id == id) {
                Some(known) => *known = (hubs, settled),
                None => found.push((hubs, settled)),
            }
        }
        self.stats.anomalies_detected += found.len() as u64;
        Ok(found)
    }

    /// What each hub is to be told, under the numbers that follow on what it was told before.
    fn results(&mut self, found: &[(Vec<Instance>, Standing)]) -> Vec<(Instance, u64, Results)> {
        let mut hubs: Vec<Instance> = found.iter().flat_map(|(hubs, _)| hubs.iter().copied()).collect();
        hubs.sort();
        hubs.dedup();
        // A sender without an instance has no place to keep what it was told.
        hubs.retain(|hub| *hub != Instance::UNNAMED);
        let mut owed = Vec::new();
        for hub in hubs {
            let alerts = found.iter().filter(|(hubs, _)| hubs.contains(&hub)).map(|(_, known)| known.alert.clone());
            let alerts: Vec<_> = alerts.collect();
            let mut stats = std::mem::take(&mut self.stats);
            for alerts in alerts.chunks(RESULTS_ALERTS_MAX) {
                let next = self.next.entry(hub).or_insert(1);
                let results = Results { alerts: alerts.to_vec(), stats: std::mem::take(&mut stats), seq: Some(*next) };
                owed.push((hub, *next, results));
                *next += 1;
            }
        }
        owed
    }

    fn is_snapshot_due(&self, now: Now) -> bool {
        let (scored, taken, events) = self.snapshot;
        let age_ms = now.tick.since(taken);
        let is_old = age_ms >= fault::period_ms("NMS_SNAPSHOT_MS", SNAPSHOT_MS)
            || (events >= SNAPSHOT_EVENTS && age_ms >= SNAPSHOT_MS_MIN);
        is_old && self.at.scored > scored && self.at.scored >= self.silent.scored
    }

    fn take_snapshot(&mut self, now: Now) -> Snapshot {
        self.snapshot = (self.at.scored, now.tick, 0);
        Snapshot { cursor: self.at, bytes: self.analysis.snapshot() }
    }

    /// Milliseconds until there is something to do without a batch; none where there is nothing.
    pub fn wait_ms(&self, now: Now) -> Option<u64> {
        let due = self.analysis.deadline().map(|due_ms| self.tenant.gate().wait_ms(now.unix_ms, due_ms));
        let cursor = (self.at != self.stored.0).then(|| CURSOR_MS.saturating_sub(now.tick.since(self.stored.1)));
        let snapshot =
            (self.at.scored > self.snapshot.0).then(|| SNAPSHOT_MS.saturating_sub(now.tick.since(self.snapshot.1)));
        // A deadline that a batch under way holds up is looked at again when that batch calls, or after a moment.
        [due.map(|ms| ms.max(1)), cursor, snapshot].into_iter().flatten().min()
    }

    /// Time since it last had a batch, in milliseconds.
    pub fn idle_ms(&self, now: Now) -> u64 {
        now.tick.since(self.used)
    }

    /// Writes snapshot and cursor, so that it can be dropped and taken up again.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    pub fn finish(&mut self, now: Now) -> Result<(), StoreError> {
        if self.at.scored < self.silent.scored || self.at == self.stored.0 && self.at.scored == self.snapshot.0 {
            return Ok(());
        }
        self.stored = (self.at, now.tick);
        let snapshot = self.take_snapshot(now);
        self.commit(vec![Change::Cursor(self.at), Change::Snapshot(snapshot)], Vec::new())
    }

    /// Memory of the alerts at hand, in bytes.
    pub fn standings_bytes(&self) -> usize {
        self.standings.bytes()
    }

    /// How it stands, but for the model's cache.
    pub fn standing(&self) -> live::Standing {
        live::Standing {
            cursor: self.at,
            counts: self.analysis.counts(),
            quarantined: self.lines.watch.marks.quarantined(),
            damaged: self.damaged,
            cache: CacheCounts::default(),
            not_finite: 0,
        }
    }
}

/// The state of the last snapshot and its cursor, or a new one and where to begin. A batch that is `guilty` goes to
/// quarantine, and with it a snapshot that holds its events: it would end where the batch did.
fn restored(tenant: &Tenant, cursor: Cursor, guilty: Option<LogSeq>) -> Result<(Analysis, Cursor), StoreError> {
    let mut snapshot = tenant.store().snapshot()?.filter(|snapshot| snapshot.cursor.scored <= cursor.scored);
    if let Some(seq) = guilty {
        log::error!(
            "a batch ended the process again and again, it goes to quarantine tenant={} seq={seq}",
            tenant.id()
        );
        let reason = "its analysis ended the process again and again".into();
        let mut changes = vec![Change::Quarantine { seq, reason }, Change::Unmark];
        if snapshot.as_ref().is_some_and(|snapshot| snapshot.cursor.scored >= seq) {
            snapshot = None;
            changes.push(Change::NoSnapshot);
        }
        tenant.store().commit(changes, Class::Upkeep, nms_kit::store::ignore())?;
    }
    if let Some(snapshot) = snapshot {
        match Analysis::restore(&snapshot.bytes) {
            Ok(analysis) => return Ok((analysis, snapshot.cursor)),
            Err(error) => log::warn!("{error} tenant={}", tenant.id()),
        }
    }
    let scored = LogSeq(cursor.scored.0.saturating_sub(BLIND_BATCHES));
    Ok((Analysis::default(), Cursor { scored, ticked_ms: 0 }))
}
