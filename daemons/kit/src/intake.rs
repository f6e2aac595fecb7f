//! The way in: what a source hands to the daemon's core, and how it learns that it is durable.
//!
//! A [`Chunk`] is all or nothing: its events and its checkpoints (how far a file was read, which batch
//! of an agent was taken) commit in one transaction. The channel is bounded; a source that can wait
//! waits in [`Sender::send`]; one that cannot has a channel of its own, which is always read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use nms_proto::{
    event::{Draft, Event},
    id::EndpointId,
};
use smol::channel;

/// Chunks that may wait for the core.
pub const CHUNKS_MAX: usize = 32;

/// How far a source was read, kept by the spool under a key of the source's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which: `tail/...`, `journal`, `fim/...`, `peer/...`.
    pub key: Box<str>,
    /// How far, in the source's own form.
    pub value: Box<[u8]>,
}

/// Events of a chunk.
#[derive(Debug)]
pub enum Events {
    /// To be numbered by the receiver, each with the source it came from.
    Drafts(Vec<(EndpointId, Draft)>),
    /// Already numbered by an agent.
    Numbered(Vec<Event>),
}

impl Events {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Drafts(drafts) => drafts.len(),
            Self::Numbered(events) => events.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a source hands over at once.
#[derive(Debug)]
pub struct Chunk {
    /// The events.
    pub events: Events,
    /// How far the source was read once they are durable.
    pub checkpoints: Vec<Checkpoint>,
    /// Told when everything is durable; dropped untold when it will not be.
    pub done: Option<channel::Sender<()>>,
    /// What the source rejected or lost since its last chunk, to be counted.
    pub tally: Tally,
}

/// What a source could not make an event of.
#[derive(Debug, Default)]
pub struct Tally {
    /// Malformed messages.
    pub rejected: Vec<Rejected>,
    /// Lost events.
    pub lost: Vec<Lost>,
    /// Sources of messages that were cut at the longest line and taken all the same, one entry a message.
    pub cut: Vec<EndpointId>,
}

impl Tally {
    /// Whether there is nothing to count.
    pub fn is_empty(&self) -> bool {
        self.rejected.is_empty() && self.lost.is_empty() && self.cut.is_empty()
    }
}

/// Events that were lost before they could be read.
#[derive(Debug)]
pub struct Lost {
    /// Whose.
    pub source: EndpointId,
    /// Why, a stable name such as `truncated_away`.
    pub cause: &'static str,
    /// How many.
    pub events: u64,
}

/// A malformed message, kept as it came.
#[derive(Debug)]
pub struct Rejected {
    /// Whose.
    pub source: EndpointId,
    /// Why, a stable name such as `empty`.
    pub reason: &'static str,
    /// Its first bytes.
    pub raw: Box<[u8]>,
    /// How many bytes it had.
    pub bytes: u64,
}

impl Chunk {
    /// A chunk of drafts of one source.
    pub fn of(source: &EndpointId, drafts: Vec<Draft>) -> Self {
        let drafts = drafts.into_iter().map(|draft| (source.clone(), draft)).collect();
        Self { events: Events::Drafts(drafts), checkpoints: Vec::new(), done: None, tally: Tally::default() }
    }
}

/// Events that a source handed over and will not hand over again, and that were not taken any more, by source.
#[derive(Clone, Debug, Default)]
pub struct Untaken(Arc<Mutex<BTreeMap<EndpointId, u64>>>);

impl Untaken {
    /// Counts what is lost with `chunk`: nothing of a source that remembers how far it was read.
    pub fn count(&self, chunk: &Chunk) {
        let Events::Drafts(drafts) = &chunk.events else { return };
        if !chunk.checkpoints.is_empty() || chunk.done.is_some() {
            return;
        }
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, _) in drafts {
            *events.entry(source.clone()).or_default() += 1;
        }
    }

    /// What was counted since the last call.
    pub fn take(&self) -> BTreeMap<EndpointId, u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where chunks go.
#[derive(Clone, Debug)]
pub struct Sender(channel::Sender<Chunk>, Untaken);

/// Where chunks come out.
pub type Receiver = channel::Receiver<Chunk>;

/// The core has ended: nothing more is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A new way in, [`CHUNKS_MAX`] long.
pub fn channel() -> (Sender, Receiver) {
    let (sender, receiver) = channel::bounded(CHUNKS_MAX);
    (Sender(sender, Untaken::default()), receiver)
}

impl Sender {
    /// What was handed over when nothing was taken any more.
    pub fn untaken(&self) -> Untaken {
        self.1.clone()
    }

    fn returned(&self, returned: channel::SendError<Chunk>) -> Closed {
        self.1.count(&returned.into_inner());
        Closed
    }

    /// Hands a chunk over, waiting for room.
    pub async fn send(&self, chunk: Chunk) -> Result<(), Closed> {
        self.0.send(chunk).await.map_err(|returned| self.returned(returned))
    }

    /// Hands a chunk over if there is room; gives it back otherwise.
    pub fn try_send(&self, chunk: Chunk) -> Result<(), Box<Chunk>> {
        self.0.try_send(chunk).map_err(|refused| Box::new(refused.into_inner()))
    }

    /// Hands a chunk over and waits until it is durable.
    pub async fn commit(&self, mut chunk: Chunk) -> Result<(), Closed> {
        let (done, durable) = channel::bounded(1);
        chunk.done = Some(done);
        self.send(chunk).await?;
        durable.recv().await.map_err(|_dropped| Closed)
    }

    /// Hands a chunk over from a thread, waiting for room.
    pub fn send_blocking(&self, chunk: Chunk) -> Result<(), Closed> {
        self.0.send_blocking(chunk).map_err(|returned| self.returned(returned))
    }
}
