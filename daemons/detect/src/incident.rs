//! Incidents: one alert id through rising revisions, however many events there are.
//!
//! A correlator raises a [`Sign`]; the first one of a key opens an incident whose id is the hash of the
//! instance, the key and the first evidence, so that the same events give the same id. A revision goes
//! out when the incident opens, at once when it becomes worse, at counts of 10, 100 and 1,000 but at
//! least 10 s apart, and once more with the true count after 60 quiet minutes (6 h for what comes slowly, 3 days for an
//! exposed service, 7 days for a source that is silent; see [`crate::subject::Story::quiet_ms`]).
//! The key raised again within 24 h reopens the incident under its id.
//!
//! What is due is done before an event is counted, in the event's own time, so that the revisions are
//! the same whether the hub's clock or the next event brought them: a replay repeats them.

use std::collections::VecDeque;

use nms_proto::{
    confidence::Confidence,
    event::{Body, Event},
    finding::{Category, Evidence, Finding},
    id::{AlertId, EndpointId, Instance},
    limits::{ALERT_REASONS_MAX, ALERT_TEXT_BYTES, EVIDENCE_LINE_BYTES, NAME_BYTES_MAX},
    severity::Severity,
    time::Stamp,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{subject::Key, text::cut};

/// Time after its last event within which the same key reopens an incident.
pub(crate) const REOPEN_MS: i64 = 24 * 60 * 60_000;
/// Least time between two revisions that only say that there is more.
const REVISION_MS: i64 = 10_000;
/// Counts at which a revision says that there is more.
const MILESTONES: [u64; 3] = [10, 100, 1_000];
/// Events kept as evidence from the beginning, and from the end.
const EVIDENCE_FIRST: usize = 8;
const EVIDENCE_LAST: usize = 4;

/// What a correlator says: this incident, this bad, for these reasons.
#[derive(Debug)]
pub(crate) struct Sign {
    pub(crate) key: Key,
    pub(crate) rule: &'static str,
    pub(crate) category: Category,
    pub(crate) severity: Severity,
    pub(crate) confidence: f32,
    pub(crate) message: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) techniques: &'static [&'static str],
    pub(crate) actor: Option<Box<str>>,
    pub(crate) victim: Option<Box<str>>,
    /// The events that led to it, oldest first, this one included.
    pub(crate) evidence: Vec<Evidence>,
    /// Events that it stands for and that were not counted yet.
    pub(crate) count: u64,
    /// A new kind of fact: a revision at once, even where nothing became worse.
    pub(crate) news: bool,
}

/// When a thing happened, and when the hub knew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    /// The event's time.
    pub(crate) at: Stamp,
    /// The hub's clock, Unix milliseconds.
    pub(crate) now: i64,
}

/// `event` as evidence, at detection's time.
pub(crate) fn evidence(event: &Event, at: Stamp) -> Evidence {
    let line = match &event.body {
        Body::Syslog(line) => match line.app.as_deref() {
            Some(app) => format!("{app}: {}", cut(&line.message, EVIDENCE_LINE_BYTES)),
            None => cut(&line.message, EVIDENCE_LINE_BYTES).to_owned(),
        },
        Body::File(file) => format!("{} {}", cut(&file.path, EVIDENCE_LINE_BYTES), file.change),
        Body::Process(start) if start.cmdline.is_empty() => cut(&start.exe, EVIDENCE_LINE_BYTES).to_owned(),
        Body::Process(start) => cut(&start.cmdline, EVIDENCE_LINE_BYTES).to_owned(),
        Body::Connection(made) => {
            format!(
                "{} {} {} port {}",
                cut(&made.exe, EVIDENCE_LINE_BYTES),
                made.direction,
                made.remote,
                made.remote_port
            )
        }
        other => other.name().to_owned(),
    };
    // With an application's name in front it may be longer again.
    let line = cut(&line, EVIDENCE_LINE_BYTES);
    Evidence { id: event.id, at, source: event.source.clone(), line: line.into() }
}

/// A name as the wire keeps it, so that who reads the finding there reads what was said here.
fn name(name: &str) -> Box<str> {
    cut(name, NAME_BYTES_MAX).into()
}

/// A sentence as a server keeps it.
fn text(text: &str) -> Box<str> {
    cut(text, ALERT_TEXT_BYTES).into()
}

/// One incident, open or resolved within the last day.
#[derive(Debug)]
pub(crate) struct Incident {
    pub(crate) alert: AlertId,
    revision: u64,
    rule: &'static str,
    category: Category,
    pub(crate) severity: Severity,
    confidence: f32,
    message: Box<str>,
    reasons: Vec<Box<str>>,
    techniques: Vec<&'static str>,
    actor: Option<Box<str>>,
    victim: Option<Box<str>>,
    source: EndpointId,
    count: u64,
    first: Stamp,
    pub(crate) last: Stamp,
    begin: Vec<Evidence>,
    end: VecDeque<Evidence>,
    pub(crate) open: bool,
    /// Count of the last revision, when it went out in the events' time, and by the hub's clock.
    said: (u64, i64, i64),
    /// The hub's clock at the last event.
    pub(crate) touched: i64,
    /// The hub's clock at which it must be looked at again, as it stands in the queue.
    pub(crate) due: i64,
}

impl Incident {
    /// The incident that a sign opens; none where the sign shows no event.
    pub(crate) fn open(instance: Instance, sign: Sign, source: &EndpointId, when: When) -> Option<Self> {
        let first = sign.evidence.first()?;
        let text = format!("{instance}\n{}\n{}", sign.key, first.id);
        let mut incident = Self {
            alert: AlertId::from_hash(xxh3_64(text.as_bytes())),
            revision: 0,
            rule: sign.rule,
            category: sign.category,
            severity: sign.severity,
            confidence: sign.confidence,
            message: sign.message.into(),
            reasons: sign.reasons.into_iter().map(Into::into).collect(),
            techniques: sign.techniques.to_vec(),
            actor: sign.actor,
            victim: sign.victim,
            source: source.clone(),
            count: sign.count,
            first: first.at,
            last: when.at,
            begin: Vec::new(),
            end: VecDeque::new(),
            open: true,
            said: (0, 0, 0),
            touched: when.now,
            due: i64::MAX,
        };
        sign.evidence.into_iter().for_each(|evidence| incident.keep(evidence));
        Some(incident)
    }

    /// Counts `times` more events.
    pub(crate) fn advance(&mut self, times: u64, when: When) {
        self.count += times;
        self.touched = when.now;
        if when.at.unix_ms > self.last.unix_ms {
            self.last = when.at;
        }
        if when.at.unix_ms < self.first.unix_ms {
            self.first = when.at;
        }
    }

    /// Opens a resolved incident again; what made it bad stays, since nobody was asked in between.
    pub(crate) fn reopen(&mut self, at: i64) {
        let quiet = span((at - self.last.unix_ms).max(0));
        self.reason(format!("again, after {quiet} of quiet"));
        self.open = true;
    }

    /// The revision that closes it, for a reason of its own.
    pub(crate) fn resolve(&mut self, key: &Key, reason: String, when: When) -> Finding {
        self.reason(reason);
        self.open = false;
        self.touched = when.now;
        self.revise(key, when.at.unix_ms, when.now)
    }

    /// The revision that was due by the hub's clock.
    pub(crate) fn overdue(&mut self, key: &Key, now: i64) -> Finding {
        if self.has_more() {
            return self.revise(key, self.said.1 + REVISION_MS, now);
        }
        self.open = false;
        self.revise(key, self.last.unix_ms + key.story.quiet_ms(), now)
    }

    /// Whether a milestone was passed since the last revision.
    fn has_more(&self) -> bool {
        MILESTONES.iter().any(|&count| self.said.0 < count && self.count >= count)
    }

    /// The hub's clock at which something is due.
    pub(crate) fn next_due(&self, key: &Key) -> i64 {
        if !self.open {
            self.touched + REOPEN_MS
        } else if self.has_more() {
            self.said.2 + REVISION_MS
        } else {
            self.touched + key.story.quiet_ms()
        }
    }

    /// Keeps an event as evidence: the first ones, and the last.
    pub(crate) fn keep(&mut self, evidence: Evidence) {
        if self.begin.len() < EVIDENCE_FIRST {
            self.begin.push(evidence);
            return;
        }
        if self.end.len() == EVIDENCE_LAST {
            self.end.pop_front();
        }
        self.end.push_back(evidence);
    }

    /// Adds a reason; where there are too many the first stays and the next oldest goes.
    fn reason(&mut self, reason: String) {
        let reason: Box<str> = reason.into();
        if self.reasons.contains(&reason) {
            return;
        }
        // One place is left for the count.
        if self.reasons.len() >= ALERT_REASONS_MAX - 1 {
            self.reasons.remove(1);
        }
        self.reasons.push(reason);
    }

    /// The next revision, said at `when`.
    pub(crate) fn revise(&mut self, key: &Key, at: i64, now: i64) -> Finding {
        self.revision += 1;
        self.said = (self.count, at, now);
        let mut reasons = self.reasons.clone();
        if self.count > 1 {
            let span = span((self.last.unix_ms - self.first.unix_ms).max(0));
            reasons.push(format!("{} events in {span}, the last at {}", self.count, self.last).into());
        }
        Finding {
            alert: self.alert.clone(),
            revision: self.revision,
            rule: self.rule.into(),
            key: text(&key.to_string()),
            category: self.category.clone(),
            floor: self.severity,
            confidence: Confidence::clamped(self.confidence),
            message: text(&self.message),
            reasons: reasons.iter().map(|reason| text(reason)).collect(),
            techniques: self.techniques.iter().map(|&technique| technique.into()).collect(),
            actor: self.actor.as_deref().map(name),
            victim: self.victim.as_deref().map(name),
            source: self.source.clone(),
            count: self.count,
            first_seen: self.first,
            last_seen: self.last,
            evidence: self.begin.iter().chain(&self.end).cloned().collect(),
            resolved: !self.open,
        }
    }

    /// Takes over what a sign says: its words where it is as bad as anything before, its reasons always.
    pub(crate) fn take(&mut self, sign: Sign) {
        if sign.severity >= self.severity {
            self.rule = sign.rule;
            self.category = sign.category;
            self.severity = sign.severity;
            self.message = sign.message.into();
            self.actor = sign.actor.or(self.actor.take());
            self.victim = sign.victim.or(self.victim.take());
        }
        self.confidence = self.confidence.max(sign.confidence);
        for technique in sign.techniques {
            if !self.techniques.contains(technique) {
                self.techniques.push(technique);
            }
        }
        sign.reasons.into_iter().for_each(|reason| self.reason(reason));
        sign.evidence.into_iter().for_each(|evidence| self.keep(evidence));
    }

    /// A revision where a milestone was passed and the last one is old enough.
    pub(crate) fn say_more(&mut self, key: &Key, when: When, out: &mut Vec<Finding>) {
        if self.has_more() && when.at.unix_ms >= self.said.1 + REVISION_MS {
            out.push(self.revise(key, when.at.unix_ms, when.now));
        }
    }

    /// What was due before `at`: a revision that waited, the end of a quiet incident.
    pub(crate) fn settle(&mut self, key: &Key, at: i64, now: i64, out: &mut Vec<Finding>) {
        if !self.open {
            return;
        }
        if self.has_more() && at >= self.said.1 + REVISION_MS {
            out.push(self.revise(key, self.said.1 + REVISION_MS, now));
        }
        if at > self.last.unix_ms + key.story.quiet_ms() {
            self.open = false;
            out.push(self.revise(key, self.last.unix_ms + key.story.quiet_ms(), now));
        }
    }
}

/// `3 s`, `12 min`, `5 h`: a span of milliseconds for people.
pub(crate) fn span(ms: i64) -> String {
    match ms {
        ..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{} s", ms / 1_000),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
