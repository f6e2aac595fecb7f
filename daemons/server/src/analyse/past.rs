//! Events that were analysed before, by the reference that windows keep of them.
//!
//! A reference is a place in the tenant's log, so nothing has to be kept in memory for the few lines
//! that an alert will show: whoever drives the analysis looks them up.

use nms_proto::{
    event::{Body, Event},
    finding::Evidence,
    id::Instance,
    limits::{BATCH_EVENTS_MAX, EVIDENCE_LINE_BYTES},
};

use crate::store::LogSeq;

/// Bits of a reference that say which event of a batch.
const INDEX_BITS: u32 = BATCH_EVENTS_MAX.ilog2();
const _: () = assert!(BATCH_EVENTS_MAX.is_power_of_two(), "an index fits its bits whole");

/// The reference of an event.
pub fn reference(seq: LogSeq, index: usize) -> u64 {
    seq.0 << INDEX_BITS | (index as u64 & (BATCH_EVENTS_MAX as u64 - 1))
}

/// The place of a reference.
pub fn place(reference: u64) -> (LogSeq, usize) {
    (LogSeq(reference >> INDEX_BITS), (reference & (BATCH_EVENTS_MAX as u64 - 1)) as usize)
}

/// Looks up events that were analysed.
pub trait Past {
    /// The hub that sent the event of a reference, and the event; none where it is not kept any more.
    fn event(&mut self, reference: u64) -> Option<(Instance, Event)>;

    /// What is done from now on is done for that event: whoever must say what went wrong wants to know.
    fn look_at(&mut self, _reference: u64) {}
}

/// An event as evidence.
pub fn evidence(event: &Event) -> Evidence {
    let line = match &event.body {
        Body::Syslog(line) => match line.app.as_deref() {
            Some(app) => format!("{app}: {}", cut(&line.message)),
            None => cut(&line.message).to_owned(),
        },
        Body::File(file) => format!("{} {}", cut(&file.path), file.change),
        Body::Process(start) => format!("{} {}", cut(&start.exe), cut(&start.cmdline)),
        Body::Connection(made) => {
            format!("{} {} {} port {}", cut(&made.exe), made.direction, made.remote, made.remote_port)
        }
        other => other.name().to_owned(),
    };
    Evidence { id: event.id, at: event.at, source: event.source.clone(), line: line.into() }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(EVIDENCE_LINE_BYTES)).unwrap_or_default()
}
