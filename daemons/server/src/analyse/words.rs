//! What an explanation says in words of this tenant: its own lines with what varies in them masked, and how often such
//! lines come here.
//!
//! The template miner knows both. A kind of event that was expected and did not happen has no line; it is shown by the last
//! template that this kind of event had here.

use nms_model::{
    explain::describe,
    key::TypedKey,
    score::EventScore,
    template::{Miner, TemplateId},
    window::Window,
};
use nms_proto::{
    event::Body,
    extraction::Action,
    id::EventId,
    limits::{EVIDENCE_LINE_BYTES, SCAN_BYTES_MAX},
    scan::Scanner,
};

use super::{past::Past, usual::Usual};

/// Least time over which something is called normal, in milliseconds of the tenant's events.
const NORMAL_MS_MIN: i64 = 60 * 60_000;
const HOUR_MS: f32 = 3_600_000.0;

/// The last template of each kind of event.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<Option<TemplateId>>);

impl Words {
    /// Memory, in bytes.
    pub(super) const BYTES_MAX: usize = TypedKey::COUNT * size_of::<Option<TemplateId>>() + SCAN_BYTES_MAX;

    /// A line of this kind has this template.
    pub(super) fn note(&mut self, key: TypedKey, template: TemplateId) {
        if self.0.is_empty() {
            self.0.resize(TypedKey::COUNT, None);
        }
        if let Some(place) = self.0.get_mut(key.index()) {
            *place = Some(template);
        }
    }

    /// Each kind's name with its template's number, to be stored.
    pub(super) fn save(&self) -> Vec<(String, u32)> {
        let named = |(index, template): (usize, &Option<TemplateId>)| {
            Some((TypedKey::from_index(index)?.to_string(), (*template)?.0))
        };
        self.0.iter().enumerate().filter_map(named).collect()
    }

    /// What was stored; kinds that this version does not know are left out.
    pub(super) fn load(saved: &[(String, u32)]) -> Self {
        let mut words = Self::default();
        for (name, template) in saved {
            if let Some(key) = TypedKey::parse(name) {
                words.note(key, TemplateId(*template));
            }
        }
        words
    }
}

/// What is told of an event that did not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The event's name; none where its line is not kept any more.
    pub event: Option<EventId>,
    /// It in words.
    pub text: Box<str>,
    /// How often such an event comes here in an hour, and over how many hours that was measured; none where that is too
    /// short a time, or the event is no line.
    pub normal: Option<(f32, f32)>,
}

/// Puts events into words.
pub struct Reader<'a> {
    pub(super) past: &'a mut dyn Past,
    pub(super) words: &'a Words,
    pub(super) miner: &'a Miner,
    pub(super) usual: &'a Usual,
    pub(super) scanner: &'a mut Scanner,
    /// Time between the tenant's first event and its last, in milliseconds.
    pub(super) known_ms: i64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("known_ms", &self.known_ms).finish_non_exhaustive()
    }
}

impl Reader<'_> {
    /// An event that happened. What happened in the window itself does not count as normal.
    pub fn event(&mut self, event: &EventScore) -> Told {
        let found = self.past.event(event.first).map(|(_, event)| event);
        let template = found.as_ref().and_then(|found| match &found.body {
            Body::Syslog(line) => {
                self.scanner.scan(&line.message);
                self.miner.find(self.scanner.masked())
            }
            _ => None,
        });
        let text = template.and_then(|template| self.template(event.key, template));
        let normal = template.filter(|_| self.known_ms >= NORMAL_MS_MIN).map(|template| {
            let hours = self.known_ms as f32 / HOUR_MS;
            (self.miner.count(template).saturating_sub(event.count.into()) as f32 / hours, hours)
        });
        let event_id = found.filter(|_| event.count == 1).map(|found| found.id);
        Told { event: event_id, text: text.unwrap_or_else(|| describe(event.key).into()), normal }
    }

    /// A kind of event that was expected.
    pub fn expected(&self, key: TypedKey) -> Box<str> {
        let of_kind = self.words.0.get(key.index()).copied().flatten();
        // Other messages have little in common, unless their words put them into a group: the last one says nothing of the next.
        let is_kind = key.is_group() || key.action() != Action::Other;
        let text = of_kind.filter(|_| is_kind).and_then(|template| self.template(key, template));
        text.unwrap_or_else(|| describe(key).into())
    }

    /// What is missing from a window or too many in it, beside the most alike ordinary one that was seen here.
    pub fn beside_usual(&self, window: &Window) -> Option<Box<str>> {
        self.usual.compare(window, |key| self.expected(key))
    }

    /// A template behind its application, cut like a line of evidence.
    fn template(&self, key: TypedKey, template: TemplateId) -> Option<Box<str>> {
        let text = self.miner.text(template)?;
        // A group has no application of its own.
        let text = if key.is_group() { text } else { format!("{}: {text}", super::family_name(key.family())) };
        let end = text.floor_char_boundary(EVIDENCE_LINE_BYTES.min(text.len()));
        text.get(..end).map(Into::into)
    }
}
