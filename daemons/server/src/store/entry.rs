//! The form of a batch in the log: what stands in front of its bytes, and how it is read back.
//!
//! ```text
//! version u8 = 1 | hub 16 | batch u64 (0: none) | arrived_ms i64        big-endian
//! ```
//! Behind it stands `"origins":[...],"events":[...]` as it came; it is read by the same decoder that
//! took it from the wire, so the same bytes give the same events.

use std::sync::Arc;

use nms_kit::store::log::Stored;
use nms_proto::{
    event::Event,
    id::{BatchSeq, EventId, EventSeq, Instance},
    json::Decoder,
    limits::BATCH_EVENTS_MAX,
    message::{self, Message, batch_frame},
    time::Stamp,
};

use super::{Entry, LogSeq, Logged, NewBatch};

const VERSION: u8 = 1;

/// What stands in front of a batch.
pub(super) fn header(batch: &NewBatch) -> Vec<u8> {
    let number = batch.batch.map_or(0, |batch| batch.0);
    [&[VERSION], &batch.hub.0[..], &number.to_be_bytes(), &batch.arrived_ms.to_be_bytes()].concat()
}

pub(super) struct Head {
    pub(super) hub: Instance,
    pub(super) batch: u64,
    pub(super) arrived_ms: i64,
}

pub(super) fn head(header: &[u8]) -> Option<Head> {
    let (&VERSION, rest) = header.split_first()? else { return None };
    let (hub, rest) = rest.split_first_chunk::<16>()?;
    let (batch, rest) = rest.split_first_chunk::<8>()?;
    let (arrived, _) = rest.split_first_chunk::<8>()?;
    Some(Head { hub: Instance(*hub), batch: u64::from_be_bytes(*batch), arrived_ms: i64::from_be_bytes(*arrived) })
}

/// The batch of a stored entry; damaged where it holds none. Events without an id are named by `origin`.
pub fn decode(decoder: &mut Decoder, origin: Instance, stored: &Stored) -> Entry {
    let seq = LogSeq(stored.sequence);
    try_decode(decoder, origin, stored).map_or(Entry::Damaged(seq), |logged| Entry::Batch(Arc::new(logged)))
}

fn try_decode(decoder: &mut Decoder, origin: Instance, stored: &Stored) -> Option<Logged> {
    let Head { hub, batch, arrived_ms } = head(&stored.header)?;
    let now = Stamp::utc(arrived_ms);
    let frame = batch_frame(BatchSeq(batch), now, &[], &stored.value).ok()?;
    let message = message::read(decoder, frame.get(4..)?, now).ok()?;
    let Message::Batch(batch) = message else { return None };
    let seq = LogSeq(stored.sequence);
    let mut events = batch.events;
    name(origin, seq, &mut events);
    Some(Logged { seq, hub, arrived_ms, bytes: stored.value.len(), events })
}

/// Names the events that came without an id: by `origin` and their place in the log.
pub fn name(origin: Instance, seq: LogSeq, events: &mut [Event]) {
    for (index, event) in events.iter_mut().enumerate() {
        if event.id.instance == Instance::UNNAMED {
            let number = seq.0.saturating_mul(BATCH_EVENTS_MAX as u64).saturating_add(index as u64);
            event.id = EventId { instance: origin, seq: EventSeq(number) };
        }
    }
}
