//! A source that always talks and stopped (ATT&CK T1562): somebody switched off its logs, or it failed.
//!
//! Of each source the longest gap between two events is kept for each of the last seven days, by the hub's clock. Once it
//! is known for 24 h and 200 events, silence for ten times the longest gap of this day and the last one, for one and a
//! half of the longest of the week, and for 15 min at least, is LOW; four times that is MEDIUM, and so is silence within
//! an hour after the source was in a finding of HIGH or more. A source whose last words were that its host shuts down
//! stays LOW, but after such a finding. It is resolved when the source speaks again, and given up
//! after seven days; then the source is learned anew. Where more than half of the sources, and three at least, are silent
//! at once, it is the hub that does not hear: one LOW alert for all.
//!
//! Only events are seen here. An agent that holds back a backlog while its heartbeat is fine is taken for silent, and a
//! source that is made to talk ever more seldom teaches that this is usual. A restart begins afresh, and a clock that is
//! set is no silence.

use nms_proto::{
    event::{Body, Event},
    extraction::Extraction,
    finding::{Category, Evidence, Finding},
    id::{EndpointId, EventId},
    limits::SOURCES_MAX,
    severity::Severity,
    time::Stamp,
};

use super::on_host::shuts_down;
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
};

/// What must be known of a source.
const KNOWN_MS: i64 = DAY_MS;
const KNOWN_EVENTS: u64 = 200;
/// The shortest silence that is told, how often the longest gap of a day fits into it, and when it is worth a look.
const LEAST_MS: i64 = 15 * 60_000;
const TIMES: i64 = 10;
const TIMES_LONG: i64 = 4;
/// Days of which the longest gap is kept, and the time after which a source is given up.
const DAYS: usize = 7;
const DAY_MS: i64 = 24 * 60 * 60_000;
const GIVEN_UP_MS: i64 = DAYS as i64 * DAY_MS;
/// Time after a finding in which silence is worse, in milliseconds.
const TROUBLE_MS: i64 = 60 * 60_000;
/// Time in which a host that shuts down says its last words, in milliseconds.
const LAST_WORDS_MS: i64 = 3 * 60_000;
/// Sources that must be silent together before it is the hub's doing.
const TOGETHER_MIN: usize = 3;

/// What is known of a source. Times are the hub's clock but for `last_at`.
#[derive(Debug)]
struct Voice {
    first: i64,
    last: i64,
    last_event: EventId,
    last_at: Stamp,
    events: u64,
    /// The longest gap of each day, today's first, in milliseconds.
    gaps: [i64; DAYS],
    today: i64,
    /// When a finding was about it.
    troubled: Option<i64>,
    /// When it said that its host shuts down.
    shut: Option<i64>,
    said: Option<Severity>,
}

impl Suspicion for Voice {
    fn suspicion(&self) -> (u32, i64) {
        (u32::from(self.is_known()), self.last)
    }
}

impl Voice {
    fn new(event: &Event, now: i64) -> Self {
        Self {
            first: now,
            last: now,
            last_event: event.id,
            last_at: event.at,
            events: 0,
            gaps: [0; DAYS],
            today: now.div_euclid(DAY_MS),
            troubled: None,
            shut: None,
            said: None,
        }
    }

    fn is_known(&self) -> bool {
        self.events >= KNOWN_EVENTS && self.last - self.first >= KNOWN_MS
    }

    /// Takes an event; true where what is due may have come nearer.
    fn heard(&mut self, event: &Event, now: i64) -> bool {
        let was_known = self.is_known();
        let today = now.div_euclid(DAY_MS);
        let passed = usize::try_from(today - self.today).unwrap_or_default();
        if passed > 0 {
            self.gaps.rotate_right(passed.min(DAYS));
            self.gaps.iter_mut().take(passed).for_each(|gap| *gap = 0);
            self.today = today;
        }
        if let Some(gap) = self.gaps.first_mut() {
            *gap = (*gap).max(now - self.last);
        }
        self.last = self.last.max(now);
        (self.last_event, self.last_at) = (event.id, event.at);
        self.events += 1;
        passed > 0 || was_known != self.is_known()
    }

    /// The silence from which on it is told, in milliseconds.
    fn limit_ms(&self) -> i64 {
        let longest = |days: usize| self.gaps.iter().take(days).max().copied().unwrap_or_default();
        LEAST_MS.max(longest(2).saturating_mul(TIMES)).max(longest(DAYS).saturating_mul(3) / 2)
    }

    /// The host shut down, and this was the last that it said.
    fn is_shut(&self) -> bool {
        self.shut.is_some_and(|at| self.last - at <= LAST_WORDS_MS)
    }

    /// What is said next, and when.
    fn next(&self) -> Option<(i64, Severity)> {
        let limit = self.limit_ms();
        let after_trouble = self.troubled.is_some_and(|at| self.last - at <= TROUBLE_MS);
        match self.said {
            _ if !self.is_known() => None,
            None if after_trouble => Some((self.last + limit, Severity::Medium)),
            None => Some((self.last + limit, Severity::Low)),
            Some(Severity::Low) if self.is_shut() => Some((self.last + GIVEN_UP_MS, Severity::Info)),
            Some(Severity::Low) => Some((self.last + limit.saturating_mul(TIMES_LONG), Severity::Medium)),
            Some(_) => Some((self.last + GIVEN_UP_MS, Severity::Info)),
        }
    }
}

/// Sources, and who of them is silent.
#[derive(Debug)]
pub(super) struct Silence {
    voices: Bounded<EndpointId, Voice>,
    due: Option<i64>,
    /// How many are silent, and how many are known, as of the last look.
    silent: usize,
    known: usize,
    /// The hub does not hear.
    deaf: bool,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self { voices: Bounded::new(SOURCES_MAX), due: None, silent: 0, known: 0, deaf: false }
    }

    /// An event, whatever it says; `set_ms` is by how much the hub's clock was set.
    pub(super) fn heard(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        (now, set_ms): (i64, i64),
        out: &mut Vec<Finding>,
    ) {
        if !matches!(event.body, Body::Syslog(_) | Body::File(_) | Body::Process(_) | Body::Connection(_)) {
            return;
        }
        let Some(voice) = self.voices.get_mut(&event.source) else {
            self.voices.entry(event.source.clone(), || Voice::new(event, now));
            return;
        };
        let quiet = now - voice.last;
        let spoke = voice.said.take().is_some();
        if shuts_down(event, found) {
            voice.shut = Some(now);
        }
        if voice.heard(event, now) && voice.is_known() {
            let soon = now + LEAST_MS;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
        if !spoke {
            return;
        }
        self.silent = self.silent.saturating_sub(1);
        let when = When { at: Stamp::utc(now + set_ms), now };
        let reason = format!("{} speaks again after {}", event.source, span(quiet));
        incidents.resolve(&key(&event.source), reason, when, out);
        if self.deaf && self.silent * 2 <= self.known {
            self.deaf = false;
            incidents.resolve(&key(&all()), "most sources speak again".to_owned(), when, out);
            // Who is silent still is so for a reason of his own.
            self.voices.entries_mut().for_each(|(_source, voice)| voice.said = None);
            self.silent = 0;
            self.due = Some(now + LEAST_MS);
        }
    }

    /// What was found of sources: silence after that is worse.
    pub(super) fn found<'a>(&mut self, findings: impl Iterator<Item = (&'a EndpointId, Severity)>, now: i64) {
        for (source, severity) in findings {
            if severity >= Severity::High
                && let Some(voice) = self.voices.get_mut(source)
            {
                voice.troubled = Some(now);
            }
        }
    }

    /// Says who is silent for too long.
    pub(super) fn tick(&mut self, incidents: &mut Incidents, (now, set_ms): (i64, i64), out: &mut Vec<Finding>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        let mut late = Vec::new();
        (self.known, self.silent) = (0, 0);
        for (source, voice) in self.voices.entries_mut() {
            self.known += usize::from(voice.is_known());
            while let Some((due, severity)) = voice.next().filter(|(due, _severity)| *due <= now) {
                if severity == Severity::Info {
                    // Given up: it is learned anew when it speaks.
                    (voice.events, voice.first, voice.said) = (0, now, None);
                    break;
                }
                voice.said = Some(severity);
                late.push((due, source.clone(), severity));
            }
            self.silent += usize::from(voice.said.is_some());
        }
        late.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let deaf = self.silent >= TOGETHER_MIN && self.silent * 2 > self.known;
        if deaf && !self.deaf {
            self.deaf = true;
            self.say_deaf(incidents, &late, (now, set_ms), out);
        }
        if !self.deaf {
            for (due, source, severity) in &late {
                self.say(incidents, source, (*due, *severity), (now, set_ms), out);
            }
        }
        let next =
            self.voices.entries_mut().filter_map(|(_source, voice)| voice.next()).map(|(due, _severity)| due).min();
        self.due = next.map(|due| due.max(now + 1));
    }

    fn say(
        &mut self,
        incidents: &mut Incidents,
        source: &EndpointId,
        (due, severity): (i64, Severity),
        (now, set_ms): (i64, i64),
        out: &mut Vec<Finding>,
    ) {
        let Some(voice) = self.voices.get_mut(source) else { return };
        let when = When { at: Stamp::utc(due + set_ms), now };
        let mut reasons = vec![format!(
            "nothing came from {source} for {}: its longest gap of two days was {} (limit {})",
            span(due - voice.last),
            span(voice.gaps.iter().take(2).max().copied().unwrap_or_default()),
            span(voice.limit_ms())
        )];
        if let Some(at) = voice.troubled.filter(|at| voice.last - at <= TROUBLE_MS) {
            reasons.push(format!("a finding was about it {} before", span((voice.last - at).max(0))));
        }
        if voice.is_shut() {
            reasons.push(format!("{source} said before that its host shuts down or starts"));
        }
        let sign = Sign {
            rule: "silence",
            category: Category::Silence,
            severity,
            confidence: if severity == Severity::Medium { 0.5 } else { 0.2 },
            message: format!("{source} always talks and is silent"),
            reasons,
            techniques: &["T1562"],
            actor: None,
            victim: Some(source.as_str().into()),
            evidence: vec![last_words(source, voice)],
            count: 1,
            news: false,
            key: key(source),
        };
        incidents.raise(sign, source, when, out);
    }

    fn say_deaf(
        &mut self,
        incidents: &mut Incidents,
        late: &[(i64, EndpointId, Severity)],
        (now, set_ms): (i64, i64),
        out: &mut Vec<Finding>,
    ) {
        let Some((due, source, _severity)) = late.last() else { return };
        let Some(voice) = self.voices.get_mut(source) else { return };
        let evidence = vec![last_words(source, voice)];
        let sign = Sign {
            rule: "silence",
            category: Category::Silence,
            severity: Severity::Low,
            confidence: 0.2,
            message: String::from("most sources are silent: perhaps the hub does not hear them"),
            reasons: vec![format!("{} of {} sources are silent (limit more than half)", self.silent, self.known)],
            techniques: &["T1562"],
            actor: None,
            victim: None,
            evidence,
            count: 1,
            news: false,
            key: key(&all()),
        };
        incidents.raise(sign, &all(), When { at: Stamp::utc(due + set_ms), now }, out);
    }

    /// The hub's clock at which somebody is silent for too long, if nothing comes.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.due
    }

    /// Sources remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.voices.len(), self.voices.forgotten())
    }
}

/// The hub, which hears all of them.
fn all() -> EndpointId {
    EndpointId::new(EndpointId::SELF)
}

fn key(source: &EndpointId) -> Key {
    Key { story: Story::Silence, subject: Subject::Name(source.clone(), "all".into()) }
}

fn last_words(source: &EndpointId, voice: &Voice) -> Evidence {
    let line = format!("the last event of {source}, the {}th since it is known", voice.events);
    Evidence { id: voice.last_event, at: voice.last_at, source: source.clone(), line: line.into() }
}
