//! What a source read at once, before it knows for whom.
//!
//! Drafts, what could not be made a draft of, and how far the source is read once all of that is
//! durable. The shell of a source makes the chunk of it, in the name of the daemon's endpoint.

use nms_kit::intake::{Checkpoint, Chunk, Lost, Rejected};
use nms_proto::{event::Draft, id::EndpointId};

/// Bytes of a rejected message that are kept.
const REJECTED_BYTES_KEPT: usize = 1024;

/// A message that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, a stable name such as `empty`.
    pub reason: &'static str,
    /// Its first bytes.
    pub raw: Box<[u8]>,
    /// How many bytes it had.
    pub bytes: u64,
}

impl Refused {
    /// Refuses `bytes`, of which the first are kept.
    pub fn new(reason: &'static str, bytes: &[u8]) -> Self {
        let raw = bytes.get(..bytes.len().min(REJECTED_BYTES_KEPT)).unwrap_or_default().into();
        Self { reason, raw, bytes: bytes.len() as u64 }
    }
}

/// What was read at once.
#[derive(Debug, Default)]
pub struct Portion {
    /// The events.
    pub drafts: Vec<Draft>,
    /// What is no event.
    pub refused: Vec<Refused>,
    /// What was lost before it could be read, by cause.
    pub lost: Vec<(&'static str, u64)>,
    /// Messages that were cut at the longest length and taken.
    pub cut: u64,
    /// How far the source is read once this is durable.
    pub checkpoint: Option<Checkpoint>,
}

impl Portion {
    /// Messages in it, taken or refused.
    pub fn messages(&self) -> usize {
        self.drafts.len() + self.refused.len()
    }

    /// Takes a message, or its refusal.
    pub fn push(&mut self, message: Result<Draft, Refused>) {
        match message {
            Ok(draft) => self.drafts.push(draft),
            Err(refused) => self.refused.push(refused),
        }
    }

    /// Counts `events` more as lost.
    pub fn lose(&mut self, cause: &'static str, events: u64) {
        match self.lost.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, sum)) => *sum += events,
            None if events > 0 => self.lost.push((cause, events)),
            None => {}
        }
    }

    /// The chunk of it, in the name of `source`.
    pub fn into_chunk(self, source: &EndpointId) -> Chunk {
        let mut chunk = Chunk::of(source, self.drafts);
        chunk.checkpoints = self.checkpoint.into_iter().collect();
        let rejected = |Refused { reason, raw, bytes }| Rejected { source: source.clone(), reason, raw, bytes };
        chunk.tally.rejected = self.refused.into_iter().map(rejected).collect();
        let lost = |(cause, events)| Lost { source: source.clone(), cause, events };
        chunk.tally.lost = self.lost.into_iter().map(lost).collect();
        chunk.tally.cut = vec![source.clone(); self.cut as usize];
        chunk
    }
}
