//! The form of a batch in the log.
//!
//! ```text
//! version u8 = 1 | hub 16 | batch u64 (0: none) | arrived_ms i64 | length u32 | lz4(content)
//! ```
//! Big-endian. `content` is `"origins":[...],"events":[...]` as it came; it is read back by the same
//! decoder that took it from the wire, so the same bytes give the same events.

use std::sync::Arc;

use nms_proto::{
    id::{BatchSeq, EventId, EventSeq, Instance},
    json::Decoder,
    limits::{BATCH_EVENTS_MAX, FRAME_BYTES_MAX},
    message::{self, Message, batch_frame},
};

use super::{Entry, LogSeq, Logged, NewBatch, arrival};

const VERSION: u8 = 1;

/// The stored form of a batch.
pub(super) fn encode(batch: &NewBatch<'_>) -> Vec<u8> {
    let packed_max = lz4_flex::block::get_maximum_output_size(batch.content.len());
    let mut out = Vec::with_capacity(37 + packed_max);
    out.push(VERSION);
    out.extend_from_slice(&batch.hub.0);
    out.extend_from_slice(&batch.batch.map_or(0, |batch| batch.0).to_be_bytes());
    out.extend_from_slice(&batch.arrived_ms.to_be_bytes());
    out.extend_from_slice(&(batch.content.len() as u32).to_be_bytes());
    let head = out.len();
    out.resize(head + packed_max, 0);
    let packed = out.get_mut(head..).and_then(|room| lz4_flex::block::compress_into(batch.content, room).ok());
    // The room is as long as the algorithm can need.
    out.truncate(head + packed.unwrap_or(0));
    out
}

/// What stands in front of a stored batch.
struct Head {
    hub: Instance,
    batch: u64,
    arrived_ms: i64,
    length: usize,
}

fn head(value: &[u8]) -> Option<(Head, &[u8])> {
    let (&VERSION, rest) = value.split_first()? else { return None };
    let (hub, rest) = rest.split_first_chunk::<16>()?;
    let (batch, rest) = rest.split_first_chunk::<8>()?;
    let (arrived, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let head = Head {
        hub: Instance(*hub),
        batch: u64::from_be_bytes(*batch),
        arrived_ms: i64::from_be_bytes(*arrived),
        length: u32::from_be_bytes(*length) as usize,
    };
    Some((head, rest))
}

/// The batch that a stored value holds; damaged where it holds none.
pub(super) fn decode(decoder: &mut Decoder, origin: Instance, seq: LogSeq, value: &[u8]) -> Entry {
    try_decode(decoder, origin, seq, value).map_or(Entry::Damaged(seq), |logged| Entry::Batch(Arc::new(logged)))
}

fn try_decode(decoder: &mut Decoder, origin: Instance, seq: LogSeq, value: &[u8]) -> Option<Logged> {
    let (head, packed) = head(value)?;
    if head.length > FRAME_BYTES_MAX {
        return None;
    }
    let content = lz4_flex::block::decompress(packed, head.length).ok()?;
    let now = arrival(head.arrived_ms);
    let frame = batch_frame(BatchSeq(head.batch), now, &[], &content).ok()?;
    let message = message::read(decoder, frame.get(4..)?, now).ok()?;
    let Message::Batch(mut batch) = message else { return None };
    name(origin, seq, &mut batch.events);
    Some(Logged { seq, hub: head.hub, arrived_ms: head.arrived_ms, bytes: content.len(), events: batch.events })
}

/// Names the events that came without an id: by this store, and their place in the log.
pub fn name(origin: Instance, seq: LogSeq, events: &mut [nms_proto::event::Event]) {
    for (index, event) in events.iter_mut().enumerate() {
        if event.id.instance == Instance::UNNAMED {
            let number = seq.0.saturating_mul(BATCH_EVENTS_MAX as u64).saturating_add(index as u64);
            event.id = EventId { instance: origin, seq: EventSeq(number) };
        }
    }
}
