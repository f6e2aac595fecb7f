//! BATCH_EVENT: the hot message. Events are encoded once; the same bytes are spooled and sent.
//!
//! ```text
//! {"type":"BATCH_EVENT","timestamp":"...","payload":{"batch":812,"skipped":[...],   written when sent
//!   "origins":["5f0c..."],"events":[{...},{...}]                                    the spooled content
//! }}
//! ```
//! A receiver tells a batch that comes again from another one of the same number by a hash over
//! `origins` and `events` as they stand in the frame, so `skipped` may differ between two sendings.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::payload::Skipped;
use crate::{
    event::{Event, EventError, Indexed, WireEvent},
    frame,
    id::{BatchSeq, EndpointId, EventId, EventSeq, Instance},
    json::{self, JsonError, Outline, Span},
    limits::{BATCH_BYTES_CLOSE, BATCH_BYTES_MAX, BATCH_EVENTS_MAX},
    time::Stamp,
};

/// Bytes of a content around its origins and events: `"origins":[],"events":[]`.
const EMPTY_BYTES: usize = 24;
/// Bytes of one origin: 32 digits, quotes and a comma.
const ORIGIN_BYTES: usize = 35;

/// Many events, as received.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its number; none from an original sender, whose batches are neither acknowledged nor deduplicated.
    pub batch: Option<BatchSeq>,
    /// Numbers before it that will never come.
    pub skipped: Vec<Skipped>,
    /// The events. Those of an original sender have [`Instance::UNNAMED`] and their index.
    pub events: Vec<Event>,
    /// Hash over `origins` and `events` as they came.
    pub content_hash: u64,
    /// `origins` and `events` as they came, in the form that [`batch_frame`] takes: what a server logs.
    pub content: Box<[u8]>,
    /// Events that were longer than is kept, and were cut; [`Batch::content`] has them whole.
    pub cut: usize,
}

/// One event that came alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// The event.
    pub event: Event,
    /// Whether it was longer than is kept, and was cut.
    pub is_cut: bool,
}

impl Batch {
    /// One event of an original sender as a batch without a number.
    ///
    /// # Errors
    /// As [`BatchBuilder::push_group`].
    pub fn of_one(Single { event, is_cut }: Single) -> Result<Self, JsonError> {
        let mut builder = BatchBuilder::default();
        builder.push_group(std::slice::from_ref(&event))?;
        let (_, content) = builder.finish();
        let content_hash = xxhash_rust::xxh3::xxh3_64(&content);
        let (events, content) = (vec![event], content.into());
        Ok(Self { batch: None, skipped: Vec::new(), events, content_hash, content, cut: is_cut.into() })
    }
}

/// Written only for tests and original receivers; the spool sends with [`batch_frame`].
impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut origins = Origins::default();
        let events: Vec<_> = self.events.iter().map(|event| indexed(event, origins.index(event.id.instance))).collect();
        let mut out = serializer.serialize_struct("Batch", 4)?;
        if let Some(batch) = self.batch {
            out.serialize_field("batch", &batch)?;
        }
        if !self.skipped.is_empty() {
            out.serialize_field("skipped", &self.skipped)?;
        }
        out.serialize_field("origins", &origins.0)?;
        out.serialize_field("events", &events)?;
        out.end()
    }
}

pub(super) fn indexed(event: &Event, origin: u64) -> Indexed<'_> {
    Indexed { event, origin }
}

#[derive(Debug, Default)]
struct Origins(Vec<Instance>);

impl Origins {
    fn index(&mut self, instance: Instance) -> u64 {
        let at = self.0.iter().position(|known| *known == instance).unwrap_or_else(|| {
            self.0.push(instance);
            self.0.len() - 1
        });
        at as u64
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct WireBatch<'a> {
    batch: Option<BatchSeq>,
    #[serde(default)]
    skipped: Vec<Skipped>,
    #[serde(default)]
    origins: Vec<Instance>,
    #[serde(borrow)]
    events: WireEvents<'a>,
}

/// The events of a batch: no more than may be in one are kept, the others are counted. An empty object is two bytes on
/// the wire, and more than a hundred times that as an event.
#[derive(Debug, Default)]
struct WireEvents<'a> {
    kept: Vec<WireEvent<'a>>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for WireEvents<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = WireEvents<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of events")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut events: A) -> Result<Self::Value, A::Error> {
                let mut all = WireEvents::default();
                while all.count < BATCH_EVENTS_MAX
                    && let Some(event) = events.next_element()?
                {
                    all.kept.push(event);
                    all.count += 1;
                }
                while all.count >= BATCH_EVENTS_MAX && events.next_element::<de::IgnoredAny>()?.is_some() {
                    all.count += 1;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

impl WireBatch<'_> {
    pub(super) fn into_batch(self, frame: &[u8], outline: &Outline, now: Stamp) -> Result<Batch, JsonError> {
        if self.events.count > BATCH_EVENTS_MAX {
            return Err(refuse("payload.events", format!("{} events, at most {BATCH_EVENTS_MAX}", self.events.count)));
        }
        // What is hashed and logged must be what was decoded: bytes that may be others are refused.
        spanned("payload", &outline.payload, frame, true)?;
        let origins = spanned("payload.origins", &outline.origins, frame, self.origins.is_empty())?;
        let events = spanned("payload.events", &outline.events, frame, false)?;
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(origins);
        hash.update(events);
        let content = content(origins, events);
        let origins = self.origins;
        let mut events = Vec::with_capacity(self.events.count);
        let mut cut = 0;
        for (index, wire) in self.events.kept.into_iter().enumerate() {
            let event = wire.into_event(now, |id| name(&origins, id, index));
            let (event, is_cut) = event.map_err(|error| at_index(index, &error))?;
            events.push(event);
            cut += usize::from(is_cut);
        }
        Ok(Batch { batch: self.batch, skipped: self.skipped, events, content_hash: hash.digest(), content, cut })
    }
}

/// The bytes of a value of the outline; nothing where it may be missing and is.
fn spanned<'a>(field: &str, span: &Span, frame: &'a [u8], may_miss: bool) -> Result<&'a [u8], JsonError> {
    match span.of(frame) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) if may_miss => Ok(&[]),
        Ok(None) => Err(refuse(field, "expected an array directly in the object payload")),
        Err(problem) => Err(refuse(field, problem)),
    }
}

/// The two arrays as a batch's content; a sender without origins gets an empty one.
fn content(origins: &[u8], events: &[u8]) -> Box<[u8]> {
    let origins = if origins.is_empty() { b"[]" } else { origins };
    [b"\"origins\":", origins, b",\"events\":", events].concat().into()
}

fn name(origins: &[Instance], id: Option<(u64, u64)>, index: usize) -> Option<EventId> {
    let Some((origin, seq)) = id else {
        return Some(EventId { instance: Instance::UNNAMED, seq: EventSeq(index as u64) });
    };
    let instance = *origins.get(usize::try_from(origin).ok()?)?;
    Some(EventId { instance, seq: EventSeq(seq) })
}

fn at_index(index: usize, error: &EventError) -> JsonError {
    refuse(&format!("payload.events[{index}].{}", error.field), format!("expected {}", error.expected))
}

pub(super) fn refuse(field: &str, problem: impl Into<String>) -> JsonError {
    JsonError::Shape { field: field.into(), problem: problem.into() }
}

/// The one event of an EVENT message; its `id` has no origins to point into and is not believed.
pub(super) fn unnamed_event(wire: WireEvent<'_>, now: Stamp) -> Result<Single, JsonError> {
    let unnamed = EventId { instance: Instance::UNNAMED, seq: EventSeq(0) };
    wire.into_event(now, |_id| Some(unnamed))
        .map(|(event, is_cut)| Single { event, is_cut })
        .map_err(|error| refuse(&format!("payload.{}", error.field), format!("expected {}", error.expected)))
}

/// How many events of one source and severity a batch holds, to be counted if it is dropped whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    /// Whose.
    pub source: EndpointId,
    /// Syslog severity.
    pub severity: u8,
    /// How many.
    pub events: u64,
}

/// What a spool knows of a batch without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Events in it.
    pub events: u64,
    /// Detection time of its first event, Unix milliseconds.
    pub first_at_ms: i64,
    /// By source and severity.
    pub counts: Vec<SourceCount>,
}

/// Encodes events one by one into a batch's content.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    origins: Origins,
    events: Vec<u8>,
    count: u64,
    first_at_ms: i64,
    counts: BTreeMap<(EndpointId, u8), u64>,
}

impl BatchBuilder {
    /// Adds events that must be in one batch. False where they do not fit beside what is there: nothing was added,
    /// [`BatchBuilder::finish`] makes room.
    ///
    /// # Errors
    /// The events alone are longer than [`BATCH_BYTES_MAX`], or the encoder's error; nothing was added.
    pub fn push_group(&mut self, group: &[Event]) -> Result<bool, JsonError> {
        let (bytes, origins) = (self.events.len(), self.origins.0.len());
        let fits = self.encode(group).and_then(|()| match self.content_bytes() {
            all if !self.is_empty() => Ok(all <= BATCH_BYTES_CLOSE),
            all if all <= BATCH_BYTES_MAX => Ok(true),
            all => Err(refuse("payload.events", format!("{all} bytes, at most {BATCH_BYTES_MAX} in one batch"))),
        });
        if !matches!(fits, Ok(true)) {
            self.events.truncate(bytes);
            self.origins.0.truncate(origins);
            return fits;
        }
        for event in group {
            if self.count == 0 {
                self.first_at_ms = event.at.unix_ms;
            }
            self.count += 1;
            *self.counts.entry((event.source.clone(), event.body.syslog_severity())).or_default() += 1;
        }
        Ok(true)
    }

    fn encode(&mut self, group: &[Event]) -> Result<(), JsonError> {
        for event in group {
            if !self.events.is_empty() {
                self.events.push(b',');
            }
            let origin = self.origins.index(event.id.instance);
            json::encode(&Indexed { event, origin }, &mut self.events)?;
        }
        Ok(())
    }

    /// Bytes of the content, were it finished now.
    fn content_bytes(&self) -> usize {
        EMPTY_BYTES + ORIGIN_BYTES * self.origins.0.len() + self.events.len()
    }

    /// Events so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing more is to be added: at `events_max` events or [`BATCH_BYTES_CLOSE`].
    pub fn is_full(&self, events_max: usize) -> bool {
        self.len() >= events_max.min(BATCH_EVENTS_MAX) || self.content_bytes() >= BATCH_BYTES_CLOSE
    }

    /// The header and the content of what was added; the builder is empty afterwards.
    pub fn finish(&mut self) -> (BatchHeader, Vec<u8>) {
        let Self { origins, events, count, first_at_ms, counts } = std::mem::take(self);
        let mut content = Vec::with_capacity(EMPTY_BYTES + ORIGIN_BYTES * origins.0.len() + events.len());
        content.extend_from_slice(b"\"origins\":[");
        for (index, origin) in origins.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            content.extend_from_slice(format!("{comma}\"{origin}\"").as_bytes());
        }
        content.extend_from_slice(b"],\"events\":[");
        content.extend_from_slice(&events);
        content.push(b']');
        let counts = counts.into_iter().map(|((source, severity), events)| SourceCount { source, severity, events });
        (BatchHeader { events: count, first_at_ms, counts: counts.collect() }, content)
    }
}

/// The events of a batch's `content`, as [`BatchBuilder::finish`] gave it.
///
/// # Errors
/// The content was not written by this crate, or is damaged.
pub fn batch_events(decoder: &mut json::Decoder, content: &[u8]) -> Result<Vec<Event>, JsonError> {
    let frame = batch_frame(BatchSeq(1), Stamp::default(), &[], content)?;
    let payload = frame.get(4..).unwrap_or_default();
    match super::read(decoder, payload, Stamp::default())? {
        super::Message::Batch(batch) => Ok(batch.events),
        _ => Ok(Vec::new()),
    }
}

/// The frame that sends a batch's `content` under its number.
///
/// # Errors
/// None in practice; the encoder's error is passed on.
pub fn batch_frame(batch: BatchSeq, now: Stamp, skipped: &[Skipped], content: &[u8]) -> Result<Vec<u8>, JsonError> {
    frame::frame(|out| {
        out.reserve(content.len() + 160);
        let now = Stamp::utc(now.unix_ms);
        out.extend_from_slice(
            format!("{{\"type\":\"BATCH_EVENT\",\"timestamp\":\"{now}\",\"payload\":{{\"batch\":{batch},").as_bytes(),
        );
        if !skipped.is_empty() {
            out.extend_from_slice(b"\"skipped\":");
            json::encode(skipped, out)?;
            out.push(b',');
        }
        out.extend_from_slice(content);
        out.extend_from_slice(b"}}");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{BATCH_EVENTS_MAX, WireBatch};

    #[test]
    fn of_a_million_empty_events_no_more_than_a_batch_holds_are_kept() {
        let text = format!(r#"{{"events":[{}{{}}]}}"#, "{},".repeat(999_999));
        let batch: WireBatch<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!((batch.events.kept.len(), batch.events.count), (BATCH_EVENTS_MAX, 1_000_000));
        assert!(batch.events.kept.capacity() <= 2 * BATCH_EVENTS_MAX);
    }
}
