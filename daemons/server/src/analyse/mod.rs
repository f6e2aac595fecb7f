//! What a tenant's events mean: findings fused with the model, and what only the model noticed. Pure.
//!
//! ```text
//! event -> detect::extract -> proto::scan -> model::key -> window -> score -> detect::fuse -> Said
//! ```
//! Time comes in with the batches, from the tenant's analysis clock, and with [`Analysis::tick`];
//! before a batch is looked at, all that was due until it came is done. So the same log gives the same
//! words, however often it is replayed and whenever the ticks in between came. Only the lines that an
//! alert shows are looked up from outside ([`Past`]).

pub(crate) mod actors;
mod anomaly;
mod finding;
pub mod memory;
pub mod model;
pub mod past;
mod snapshot;
mod usual;
pub mod words;

use nms_detect::{Unusual, extract, model_only};
use nms_model::{
    key::{Scope, TypedKey},
    template::Miner,
    window::{KeyedEvent, Window, Windows, actor_id},
};
use nms_proto::{
    alert::Alert,
    event::{Body, Event},
    extraction::{Action, Actor, AppFamily, Extraction, Outcome},
    id::{EndpointId, Instance},
    limits::ALERT_EVIDENCE_MAX,
    scan::Scanner,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use self::{
    actors::Actors,
    anomaly::Anomalies,
    finding::OpenFindings,
    model::{ANOMALY_P, Judged, Model},
    past::{Past, evidence, reference},
};
use crate::store::Logged;
pub use snapshot::SnapshotError;
use usual::Usual;
use words::{Reader, Words};

/// Windows after which a tenant is known well enough that the model may speak up alone.
const LEARNING_WINDOWS: u64 = 2_000;
/// Time after which it is, in milliseconds of its events.
const LEARNING_MS: i64 = 24 * 60 * 60_000;

/// An alert as analysis has it: whoever stores it settles it with what is known under its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The hubs whose events are in its evidence.
    pub hubs: Vec<Instance>,
    /// Revision of the finding, or of the anomaly, that it answers.
    pub finding: u64,
    /// The alert.
    pub alert: Alert,
}

/// What an analysis counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events looked at.
    pub events: u64,
    /// Findings among them.
    pub findings: u64,
    /// Windows that were scored.
    pub windows: u64,
    /// Windows that the model found unusual.
    pub unusual: u64,
    /// Windows that the model had no word on.
    pub unscored: u64,
    /// Findings whose texts were cut.
    pub cut: u64,
}

/// What one event came to, for whoever wants to see.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The event.
    pub event: &'a Event,
    /// What it means.
    pub extraction: &'a Extraction<'a>,
    /// The windows that it made ready, with what the model says.
    pub judged: &'a [Judged],
}

/// One tenant's analysis.
#[derive(Debug)]
pub struct Analysis {
    windows: Windows,
    miner: Miner,
    scanner: Scanner,
    words: Words,
    usual: Usual,
    actors: Actors,
    anomalies: Anomalies,
    open: OpenFindings,
    /// The analysis clock, Unix milliseconds.
    now_ms: i64,
    /// Time of the first event.
    first_ms: Option<i64>,
    last_ms: i64,
    counts: Counts,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            windows: Windows::default(),
            miner: Miner::default(),
            scanner: Scanner::new(),
            words: Words::default(),
            usual: Usual::default(),
            actors: Actors::default(),
            anomalies: Anomalies::default(),
            open: OpenFindings::default(),
            now_ms: 0,
            first_ms: None,
            last_ms: 0,
            counts: Counts::default(),
        }
    }
}

/// Where a batch stands while its events are looked at.
struct Setting<'a> {
    hub: Instance,
    model: &'a mut Model,
    past: &'a mut dyn Past,
}

impl Analysis {
    /// Takes a batch; what is to be said is added to `out`. `seen` is shown each event with its meaning.
    pub fn handle(
        &mut self,
        model: &mut Model,
        past: &mut dyn Past,
        batch: &Logged,
        out: &mut Vec<Said>,
        mut seen: impl FnMut(&Seen<'_>),
    ) {
        self.tick(model, past, batch.arrived_ms, out);
        let seed = xxh3_64(&batch.hub.0);
        let mut at = Setting { hub: batch.hub, model, past };
        for (index, event) in batch.events.iter().enumerate() {
            self.counts.events += 1;
            at.past.look_at(reference(batch.seq, index));
            match &event.body {
                Body::Finding(finding) => {
                    self.counts.findings += 1;
                    out.push(self.on_finding(&mut at, seed, finding));
                }
                Body::Report(_) | Body::Loss(_) | Body::Other(_) => {}
                _ => self.on_event(&mut at, seed, (event, reference(batch.seq, index)), out, &mut seen),
            }
        }
    }

    /// Does what is due up to `now_ms` of the analysis clock, each at its own time: what is said must not depend on who
    /// ticks, and when.
    pub fn tick(&mut self, model: &mut Model, past: &mut dyn Past, now_ms: i64, out: &mut Vec<Said>) {
        let mut at = Setting { hub: Instance::UNNAMED, model, past };
        while let Some(due_ms) = self.deadline().filter(|due_ms| *due_ms <= now_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            for window in self.windows.tick(self.now_ms.max(0) as u64) {
                self.on_window(&mut at, &window, out);
            }
            self.anomalies.tick(self.now_ms, out);
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// When [`Analysis::tick`] has something to do, on the analysis clock.
    pub fn deadline(&self) -> Option<i64> {
        let windows = self.windows.deadline().map(|due| due as i64);
        [windows, self.anomalies.deadline()].into_iter().flatten().min()
    }

    /// How the event cache did since the program began.
    pub fn event_cache(&self) -> nms_model::cache::CacheCounts {
        self.miner.cache()
    }

    /// What was counted since it began.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the tenant is still being learned: its first 2,000 windows or 24 hours, whichever is over first.
    pub fn is_learning(&self) -> bool {
        let known_ms = self.first_ms.map_or(0, |first| self.last_ms - first);
        self.counts.windows < LEARNING_WINDOWS && known_ms < LEARNING_MS
    }

    fn on_event(
        &mut self,
        at: &mut Setting<'_>,
        seed: u64,
        (event, token): (&Event, u64),
        out: &mut Vec<Said>,
        seen: &mut impl FnMut(&Seen<'_>),
    ) {
        let extraction = extract(event);
        let key = at.model.key(event, &extraction, &mut self.scanner);
        if matches!(event.body, Body::Syslog(_)) {
            let learnt = self.miner.learn(self.scanner.masked());
            self.words.note(key, learnt.id);
        }
        self.first_ms.get_or_insert(event.at.unix_ms);
        self.last_ms = self.last_ms.max(event.at.unix_ms);
        let keyed = KeyedEvent::of(event, &extraction, key, token);
        let source = source_id(seed, &event.source);
        let actor = extraction.actor.map(|actor| actor_scope(source, &actor));
        if let Some(actor) = actor {
            self.actors.note(actor, source);
        }
        let ready = self.windows.push(self.now_ms.max(0) as u64, source, actor, keyed);
        let judged: Vec<Judged> = ready.iter().filter_map(|window| self.on_window(at, window, out)).collect();
        seen(&Seen { event, extraction: &extraction, judged: &judged });
    }

    /// Who puts events into words of this tenant.
    fn reader<'a>(&'a mut self, past: &'a mut dyn Past) -> Reader<'a> {
        let known_ms = self.first_ms.map_or(0, |first| self.last_ms - first);
        Reader {
            past,
            words: &self.words,
            miner: &self.miner,
            usual: &self.usual,
            scanner: &mut self.scanner,
            known_ms,
        }
    }

    /// Scores a window; where it is unusual and no finding explains it, that is an anomaly. What an actor does at one
    /// source only is told by that source's own windows.
    fn on_window(&mut self, at: &mut Setting<'_>, window: &Window, out: &mut Vec<Said>) -> Option<Judged> {
        if matches!(window.scope, Scope::Actor(actor) if !self.actors.is_across(actor)) {
            return None;
        }
        self.counts.windows += 1;
        if let Some(last) = window.positions.last() {
            at.past.look_at(last.last);
        }
        let Some(judged) = at.model.judge(window) else {
            self.counts.unscored += 1;
            return None;
        };
        if self.open.of(window.scope).is_none() {
            self.usual.note(window, judged.verdict.p_value);
        }
        if judged.verdict.p_value <= ANOMALY_P && !self.is_learning() {
            self.counts.unusual += 1;
            out.extend(self.on_unusual(at, window, &judged));
        }
        Some(judged)
    }

    /// A window that fitted badly. Its lines are looked up only where they are told: of an anomaly that is known and was
    /// as bad before, it is only counted.
    fn on_unusual(&mut self, at: &mut Setting<'_>, window: &Window, judged: &Judged) -> Option<Said> {
        let part_of = self.open.of(window.scope).cloned();
        if self.anomalies.is_told(window.scope, &judged.verdict, part_of.as_ref()) {
            return self.anomalies.count(self.now_ms, window);
        }
        let mut hubs = Vec::new();
        let mut lines = Vec::new();
        let surplus = window.positions.len().saturating_sub(ALERT_EVIDENCE_MAX);
        for position in window.positions.iter().skip(surplus) {
            if let Some((hub, event)) = at.past.event(position.first) {
                hubs.push(hub);
                lines.push(evidence(&event));
            }
        }
        hubs.sort();
        hubs.dedup();
        let source = lines.last()?.source.clone();
        let family = match window.scope {
            Scope::Source(_, family) => family_name(family),
            Scope::Actor(_) => window.positions.last().map(|last| family_name(last.key.family())).unwrap_or_default(),
        };
        let mut reader = self.reader(&mut *at.past);
        let unexpected = at.model.unexpected(&judged.score, &mut reader);
        let beside_usual = reader.beside_usual(window);
        let mut alert = model_only(Unusual {
            instance: *hubs.first()?,
            source,
            family: family.into(),
            model: judged.verdict.clone(),
            unexpected,
            evidence: lines,
            learning: self.is_learning(),
            part_of,
        })?;
        alert.reasons.extend(beside_usual);
        self.anomalies.raise(self.now_ms, window, alert, hubs)
    }
}

/// The number of a source: of its name at its hub, so that two hubs' "self" are two.
pub(crate) fn source_id(hub_seed: u64, source: &EndpointId) -> u64 {
    xxh3_64_with_seed(source.as_str().as_bytes(), hub_seed)
}

/// The number of an actor: an address is one wherever it is seen, a name only at its source.
pub(crate) fn actor_scope(source: u64, actor: &Actor<'_>) -> u64 {
    match actor {
        Actor::Address(_) => actor_id(actor),
        Actor::Name(name) => xxh3_64_with_seed(name.as_bytes(), source),
    }
}

/// A family as it is written.
fn family_name(family: AppFamily) -> String {
    let name = TypedKey::new(family, Action::Other, Outcome::None).to_string();
    name.split('.').next().unwrap_or_default().to_owned()
}
