//! A log file looked at in its own time, by the cores that watch a network: "try it on your old logs".
//!
//! ```text
//! line -> proto::syslog -> correlators (as in the hub) -> analysis (as in the server) -> alerts
//! ```
//! Pure: lines come in, prints come out. A line's `at` is its stamp; without one it is that of the line
//! before. Deadlines are handled in the time of the lines, and at the end as if an hour of silence
//! followed, so that every incident has its last word.

mod print;
mod years;
mod lines;

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use nms_detect::{Correlator, Settings, Standing};
use nms_proto::{
    event::{Body, Event},
    finding::Finding,
    id::{AlertId, EndpointId, Instance},
};

pub use self::{
    lines::Lines,
    print::{Print, Style},
    years::{FirstYear, YEARS},
};
use crate::{
    analyse::{
        Analysis, Said,
        model::Model,
        past::{Past, place},
    },
    store::{LogSeq, Logged},
};

/// Silence that is taken to follow the last line, in milliseconds.
const SILENCE_MS: i64 = 61 * 60_000;
/// Batches whose lines are at hand for evidence: one line each, with its findings.
const LINES_KEPT: usize = 1 << 16;

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The source of every line; none for the host that a line names.
    pub source: Option<EndpointId>,
    /// Offset from UTC of stamps that name none, in seconds.
    pub utc_offset_s: i32,
    /// The year of the first stamp that names none, which goes on with the lines; none for the latest before
    /// `modified_ms`, each line by itself.
    pub year: Option<i16>,
    /// When the file was written last, in Unix milliseconds.
    pub modified_ms: i64,
    /// Users whose session explains a change of settings.
    pub admins: Vec<Box<str>>,
}

/// Lines at hand.
struct Kept(LruCache<LogSeq, Arc<Logged>>);

impl Past for Kept {
    fn event(&mut self, reference: u64) -> Option<(Instance, Event)> {
        let (seq, index) = place(reference);
        let batch = self.0.get(&seq)?;
        batch.events.get(index).map(|event| (batch.hub, event.clone()))
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no message.
    pub refused: u64,
    /// Revisions of alerts.
    pub revisions: u64,
    /// Alerts.
    pub alerts: u64,
    /// Windows that were scored.
    pub windows: u64,
    /// Of those, how many the cache knew.
    pub cache_hits: u64,
    /// How many it did not know.
    pub cache_misses: u64,
    /// Lines whose template the event cache knew.
    pub event_hits: u64,
}

/// A file being looked at.
pub struct Replay {
    lines: Lines,
    correlator: Correlator,
    analysis: Analysis,
    model: Model,
    kept: Kept,
    standings: HashMap<AlertId, Standing>,
    style: Style,
    counts: Counts,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Replay {
    /// Begins with nothing known.
    pub fn new(reading: Reading, model: Model, style: Style) -> Self {
        let kept = NonZeroUsize::new(LINES_KEPT).unwrap_or(NonZeroUsize::MIN);
        Self {
            lines: Lines::new(&reading),
            correlator: Correlator::new(Settings { instance: Lines::INSTANCE, admins: reading.admins }),
            analysis: Analysis::default(),
            model,
            kept: Kept(LruCache::new(kept)),
            standings: HashMap::new(),
            style,
            counts: Counts::default(),
        }
    }

    /// Takes one line, without its end; what is to be printed goes to `print`.
    pub fn line(&mut self, bytes: &[u8], print: &mut dyn FnMut(String)) {
        self.counts.lines += 1;
        let Some(event) = self.lines.event(bytes) else {
            self.counts.refused += 1;
            return;
        };
        let (at, now) = (event.at, self.lines.now());
        let mut found = self.due();
        self.correlator.observe(now, &Event { at, ..event.clone() }, &mut found);
        self.batch(Some(event), found, print);
    }

    /// Every line was taken; gives what was counted.
    pub fn finish(mut self, print: &mut dyn FnMut(String)) -> Counts {
        if self.lines.has_begun() {
            self.lines.fall_silent(SILENCE_MS);
            let now = self.lines.now();
            let found = self.correlator.tick(now);
            self.batch(None, found, print);
            let mut said = Vec::new();
            self.analysis.tick(&mut self.model, &mut self.kept, now.unix_ms, &mut said);
            self.say(said, print);
        }
        self.counts.alerts = self.standings.len() as u64;
        self.counts.windows = self.analysis.counts().windows;
        self.counts.cache_hits = self.model.cache().hits;
        self.counts.event_hits = self.analysis.event_cache().hits;
        self.counts.cache_misses = self.model.cache().misses;
        self.counts
    }

    /// What the correlators had to do before now.
    fn due(&mut self) -> Vec<Finding> {
        let now = self.lines.now();
        let is_due = self.correlator.deadline().is_some_and(|due| due.unix_ms <= now.unix_ms);
        if is_due { self.correlator.tick(now) } else { Vec::new() }
    }

    /// Hands a line with the findings that it completed to the analysis.
    fn batch(&mut self, event: Option<Event>, found: Vec<Finding>, print: &mut dyn FnMut(String)) {
        let category = found.last().map(|finding| finding.category.clone());
        let at = event.as_ref().map_or(self.lines.now(), |event| event.at);
        let mut events: Vec<Event> = event.into_iter().collect();
        for finding in found {
            let (id, source) = (self.lines.id(), finding.source.clone());
            let body = Body::Finding(Box::new(finding));
            events.push(Event { id, source, at, device_at: None, host: None, raw: None, body });
        }
        if events.is_empty() {
            return;
        }
        let seq = LogSeq(self.lines.number());
        let batch =
            Arc::new(Logged { seq, hub: Lines::INSTANCE, arrived_ms: self.lines.now().unix_ms, bytes: 0, events });
        self.kept.0.put(seq, Arc::clone(&batch));
        let (mut said, number, style) = (Vec::new(), self.counts.lines, self.style);
        self.analysis.handle(&mut self.model, &mut self.kept, &batch, &mut said, |seen| {
            if style.lines {
                print(print::line(number, seen, category.as_ref()));
            }
        });
        self.say(said, print);
    }

    fn say(&mut self, said: Vec<Said>, print: &mut dyn FnMut(String)) {
        for Said { finding, alert, .. } in said {
            let known = self.standings.get(&alert.id);
            let Some(settled) = Standing::settle(known, finding, alert) else { continue };
            self.counts.revisions += 1;
            print(print::alert(&settled.alert, self.style));
            self.standings.insert(settled.alert.id.clone(), settled);
        }
    }
}
