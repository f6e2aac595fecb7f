//! A hub and its server in one, in virtual time: events in, what a person would see out.
//!
//! ```text
//! event -> correlators (as in the hub) -> batch with its findings -> analysis (as in the server) -> alerts
//! ```
//! The cores are those of the daemons. Each deadline is kept at its own time, however far apart the
//! events lie. A batch is one event with the findings that it completed: the hub's batching adds its
//! delay ([`nms_proto::limits::BATCH_AGE_MS`]) and nothing else.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use nms_detect::{Correlator, Settings, Standing};
use nms_proto::{
    alert::Alert,
    event::{Body, Event},
    finding::Finding,
    id::{AlertId, EventId, EventSeq, Instance},
    time::Stamp,
};

use crate::{
    analyse::{
        self, Analysis, Said, Seen,
        model::Model,
        past::{Past, place},
    },
    store::{LogSeq, Logged},
};

/// Batches whose lines are at hand for evidence: one line each, with its findings.
const LINES_KEPT: usize = 1 << 16;

/// Lines at hand.
struct Kept(LruCache<LogSeq, Arc<Logged>>);

impl Past for Kept {
    fn event(&mut self, reference: u64) -> Option<(Instance, Event)> {
        let (seq, index) = place(reference);
        let batch = self.0.get(&seq)?;
        batch.events.get(index).map(|event| (batch.hub, event.clone()))
    }
}

/// What came out, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The hub found it.
    Finding(Finding),
    /// The server's alert, settled with what was known of it.
    Alert(Alert),
}

/// Correlators, analysis and what was said so far.
pub struct Chain {
    instance: Instance,
    correlator: Correlator,
    analysis: Analysis,
    model: Model,
    kept: Kept,
    standings: HashMap<AlertId, Standing>,
    next: u64,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Chain {
    /// A hub that has seen nothing, and a server that does not know it.
    pub fn new(settings: Settings, model: Model) -> Self {
        let kept = NonZeroUsize::new(LINES_KEPT).unwrap_or(NonZeroUsize::MIN);
        Self {
            instance: settings.instance,
            correlator: Correlator::new(settings),
            analysis: Analysis::default(),
            model,
            kept: Kept(LruCache::new(kept)),
            standings: HashMap::new(),
            next: 0,
        }
    }

    /// A name for the next event, as its place in the spool.
    fn id(&mut self) -> EventId {
        self.next += 1;
        EventId { instance: self.instance, seq: EventSeq(self.next) }
    }

    /// Takes an event that the hub got at `now`, after all that was due before; it gets its place in the spool here. `tell`
    /// is told the time too, `seen` is shown the event's meaning, with the finding that it completed.
    pub fn event(
        &mut self,
        now: Stamp,
        event: Event,
        tell: &mut dyn FnMut(Stamp, Told),
        seen: &mut dyn FnMut(&Seen<'_>, Option<&Finding>),
    ) {
        self.advance(now, tell);
        let event = Event { id: self.id(), ..event };
        let mut found = Vec::new();
        self.correlator.observe(now, &event, &mut found);
        self.batch(now, Some(event), found, tell, seen);
    }

    /// Does all that is due until `now`, each at its own time.
    pub fn advance(&mut self, now: Stamp, tell: &mut dyn FnMut(Stamp, Told)) {
        while let Some(due) = self.correlator.deadline().filter(|due| due.unix_ms <= now.unix_ms) {
            let due = Stamp { offset_min: now.offset_min, ..due };
            let found = self.correlator.tick(due);
            self.analyse_until(due, tell);
            if !found.is_empty() {
                self.batch(due, None, found, tell, &mut |_, _| ());
            }
        }
        self.analyse_until(now, tell);
    }

    /// The server does what is due until `now`, at its own times.
    fn analyse_until(&mut self, now: Stamp, tell: &mut dyn FnMut(Stamp, Told)) {
        while let Some(due_ms) = self.analysis.deadline().filter(|due_ms| *due_ms <= now.unix_ms) {
            let mut said = Vec::new();
            self.analysis.tick(&mut self.model, &mut self.kept, due_ms, &mut said);
            self.say(Stamp { unix_ms: due_ms, ..now }, said, tell);
        }
    }

    /// Hands an event with the findings that it completed to the analysis.
    fn batch(
        &mut self,
        now: Stamp,
        event: Option<Event>,
        found: Vec<Finding>,
        tell: &mut dyn FnMut(Stamp, Told),
        seen: &mut dyn FnMut(&Seen<'_>, Option<&Finding>),
    ) {
        let last = found.last().cloned();
        let at = event.as_ref().map_or(now, |event| event.at);
        let mut events: Vec<Event> = event.into_iter().collect();
        for finding in found {
            tell(now, Told::Finding(finding.clone()));
            let (id, source) = (self.id(), finding.source.clone());
            let body = Body::Finding(Box::new(finding));
            events.push(Event { id, source, at, device_at: None, host: None, raw: None, body });
        }
        let seq = LogSeq(self.next);
        let batch = Arc::new(Logged { seq, hub: self.instance, arrived_ms: now.unix_ms, bytes: 0, events });
        self.kept.0.put(seq, Arc::clone(&batch));
        let mut said = Vec::new();
        self.analysis.handle(&mut self.model, &mut self.kept, &batch, &mut said, |event| seen(event, last.as_ref()));
        self.say(now, said, tell);
    }

    fn say(&mut self, now: Stamp, said: Vec<Said>, tell: &mut dyn FnMut(Stamp, Told)) {
        for Said { finding, alert, .. } in said {
            let known = self.standings.get(&alert.id);
            let Some(settled) = Standing::settle(known, finding, alert) else { continue };
            tell(now, Told::Alert(settled.alert.clone()));
            self.standings.insert(settled.alert.id.clone(), settled);
        }
    }

    /// Alerts so far.
    pub fn alerts(&self) -> usize {
        self.standings.len()
    }

    /// What the analysis counted.
    pub fn counts(&self) -> analyse::Counts {
        self.analysis.counts()
    }

    /// Hits and misses of the window cache, and lines whose template the event cache knew.
    pub fn caches(&self) -> (nms_model::cache::CacheCounts, u64) {
        (self.model.cache(), self.analysis.event_cache().hits)
    }
}
