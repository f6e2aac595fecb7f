//! What every reader of lines must give: an event within the bounds, which comes over the wire as it is.

use nms_proto::{
    event::{Body, Draft, Event},
    id::{EndpointId, EventId, EventSeq, Instance},
    json::Decoder,
    limits::{LINE_BYTES_MAX, NAME_BYTES_MAX},
    message::{BatchBuilder, batch_events},
    time::Stamp,
};

/// A moment, for whoever asks what time it is: 2026-01-05 14:30 UTC.
pub(crate) const NOW: Stamp = Stamp { unix_ms: 1_767_623_400_000, offset_min: 60 };

/// The draft as an event.
pub(crate) fn named(draft: Draft) -> Event {
    draft.named(EventId { instance: Instance([7; 16]), seq: EventSeq(9) }, EndpointId::new("192.0.2.7"), NOW)
}

/// Holds a draft of a line against the bounds of an event, and sends it over the wire.
pub(crate) fn line(draft: Draft) {
    let Body::Syslog(syslog) = &draft.body else { panic!("a line is a log line") };
    assert!(syslog.facility <= 23 && syslog.severity <= 7, "{syslog:?}");
    for name in [&draft.host, &syslog.app, &syslog.pid, &syslog.msgid].into_iter().flatten() {
        assert!(name.len() <= NAME_BYTES_MAX, "{name}");
    }
    // A byte that is no UTF-8 becomes three.
    assert!(syslog.message.len() <= 3 * LINE_BYTES_MAX);
    assert!(draft.raw.as_ref().is_none_or(|raw| raw.len() <= LINE_BYTES_MAX));
    let event = named(draft);
    // The wire cuts what a lossy reading made longer than a line.
    if event.body_bytes() <= LINE_BYTES_MAX {
        sent(&[event]);
    }
}

/// Events come out of a batch as they went in.
pub(crate) fn sent(events: &[Event]) {
    let mut builder = BatchBuilder::default();
    assert!(builder.push_group(events).unwrap(), "one group always fits alone");
    let (header, content) = builder.finish();
    assert_eq!(header.events as usize, events.len());
    assert_eq!(header.counts.iter().map(|count| count.events).sum::<u64>(), header.events);
    assert_eq!(batch_events(&mut Decoder::default(), &content).unwrap(), events);
}

trait Bytes {
    fn body_bytes(&self) -> usize;
}

impl Bytes for Event {
    fn body_bytes(&self) -> usize {
        if let Body::Syslog(line) = &self.body {
            line.message.len().max(line.structured_data.as_ref().map_or(0, |data| data.len()))
        } else {
            0
        }
    }
}
