//! The sender's shell: a model spool that survives crashes, and a client session that does not.

use std::collections::{BTreeMap, BTreeSet};

use nms_proto::event::{Body, Event, Syslog};
use nms_proto::flow::batcher::Batcher;
use nms_proto::id::{BatchSeq, EndpointId, EventId, EventSeq, Instance};
use nms_proto::message::{Heartbeat, Register, Skipped};
use nms_proto::session::client::{ClientSession, Output, Read, SpooledBatch};
use nms_proto::time::{Stamp, Tick};

/// What is on disk. Each method is a transaction.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    pub(super) instance: Instance,
    pub(super) next: u64,
    pub(super) batches: BTreeMap<u64, Stored>,
    pub(super) holes: BTreeMap<u64, (u64, String)>,
    /// Batches refused three times, by instance and number.
    pub(super) quarantine: Vec<(Instance, u64, Stored)>,
    /// Events of batches that a full spool gave up.
    pub(super) dropped: Vec<u64>,
    /// RESULTS that are durable here.
    pub(super) results: BTreeSet<u64>,
    /// Every event that was ever spooled.
    pub(super) accepted: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) events: Vec<u64>,
    pub(super) content: Vec<u8>,
}

impl Spool {
    pub(super) fn new(instance: u8) -> Self {
        Self {
            instance: Instance([instance; 16]),
            next: 1,
            batches: BTreeMap::new(),
            holes: BTreeMap::new(),
            quarantine: Vec::new(),
            dropped: Vec::new(),
            results: BTreeSet::new(),
            accepted: Vec::new(),
        }
    }

    fn append(&mut self, events: Vec<u64>, content: Vec<u8>) {
        self.accepted.extend(&events);
        self.batches.insert(self.next, Stored { events, content });
        self.next += 1;
    }

    fn first(&self) -> u64 {
        let first = |key: Option<&u64>| key.copied().unwrap_or(self.next);
        first(self.batches.keys().next()).min(first(self.holes.keys().next()))
    }

    fn acknowledged(&mut self, up_to: u64) {
        self.batches.retain(|seq, _| *seq > up_to);
        self.holes.retain(|seq, _| *seq > up_to);
    }

    fn give_up(&mut self, seq: u64, cause: &str) -> Stored {
        let batch = self.batches.remove(&seq).expect("only a batch that is held is given up");
        self.holes.insert(seq, (batch.events.len() as u64, cause.into()));
        batch
    }

    fn read(&self, read: Read) -> Vec<SpooledBatch> {
        let mut last = read.from.0 - 1;
        let mut bytes = 0;
        let mut found = Vec::new();
        for (&seq, stored) in self.batches.range(read.from.0..).take(read.batches_max) {
            bytes += stored.content.len();
            if bytes > read.bytes_max && !found.is_empty() {
                break;
            }
            let runs = self.holes.range(last + 1..seq);
            let skipped = runs.map(|(at, (events, cause))| Skipped {
                from: BatchSeq(*at),
                to: BatchSeq(*at),
                events: *events,
                cause: cause.as_str().into(),
            });
            found.push(SpooledBatch {
                seq: BatchSeq(seq),
                skipped: skipped.collect(),
                content: stored.content.clone(),
            });
            last = seq;
        }
        found
    }

    /// Draws a new instance and numbers everything anew, holes included.
    fn renumber(&mut self) {
        self.instance.0[0] = self.instance.0[0].wrapping_add(1);
        let first = self.first();
        let batches = std::mem::take(&mut self.batches);
        let holes = std::mem::take(&mut self.holes);
        self.batches = batches.into_iter().map(|(seq, batch)| (seq - first + 1, batch)).collect();
        self.holes = holes.into_iter().map(|(seq, hole)| (seq - first + 1, hole)).collect();
        self.next = self.next - first + 1;
    }
}

/// What the world must do for the hub.
#[derive(Debug)]
pub(super) enum Wish {
    Connect,
    Close,
    /// The spool forgot these, because they were acknowledged.
    Forgot(Instance, Vec<u64>),
    Renumbered,
}

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) spool: Spool,
    pub(super) session: ClientSession,
    batcher: Batcher,
    gathered: Vec<u64>,
    /// The batch that is open will be damaged on the spool, so that no receiver can read it.
    damaged: bool,
    /// Results that came and are not durable yet.
    pub(super) undurable: Vec<u64>,
}

impl Hub {
    pub(super) fn start(now: Tick, seed: u64, spool: Spool) -> Self {
        let register = Register { instance: Some(spool.instance), protocol: Some(1), ..Register::default() };
        let numbers = BatchSeq(spool.first())..BatchSeq(spool.next);
        let mut session = ClientSession::new(now, seed, register, numbers);
        session.set_vitals(Heartbeat::default(), 0);
        Self {
            spool,
            session,
            batcher: Batcher::default(),
            gathered: Vec::new(),
            damaged: false,
            undurable: Vec::new(),
        }
    }

    /// An event of that number; what makes up a batch is durable at once.
    pub(super) fn observe(&mut self, now: Tick, number: u64, poison: bool) {
        self.batcher.set_events_max(4);
        self.gathered.push(number);
        self.batcher.push(now, &event(self.spool.instance, number, poison)).unwrap();
        self.gather(now);
    }

    /// The batch that the next event goes to will be unreadable.
    pub(super) fn damage(&mut self) {
        self.damaged = true;
    }

    pub(super) fn gather(&mut self, now: Tick) {
        while let Some(mut closed) = self.batcher.poll(now, self.session.is_idle()) {
            if std::mem::take(&mut self.damaged) {
                closed.content = b"\"origins\":[],\"events\":[0]".to_vec();
            }
            let events = self.gathered.drain(..closed.header.events as usize).collect();
            self.spool.append(events, closed.content);
            self.session.spooled(BatchSeq(self.spool.next));
        }
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        self.session.deadline().into_iter().chain(self.batcher.deadline()).min()
    }

    /// A full spool gives up its oldest batch that the peer cannot have.
    pub(super) fn overflow(&mut self) {
        let free = self.session.protected().next().0;
        let oldest = self.spool.batches.range(free..).next().map(|(seq, _)| *seq);
        if let Some(seq) = oldest {
            let batch = self.spool.give_up(seq, "spool_full");
            self.spool.dropped.extend(batch.events);
        }
    }

    pub(super) fn commit_results(&mut self) {
        for seq in self.undurable.drain(..) {
            self.spool.results.insert(seq);
            self.session.results_durable(seq);
        }
    }

    /// Does what the session asks of its spool, and gives what it asks of the world.
    pub(super) fn serve(&mut self, now: Tick) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect => wishes.push(Wish::Connect),
                Output::Close(_) => wishes.push(Wish::Close),
                Output::Read(read) => self.session.loaded(read, self.spool.read(read)),
                Output::Acked(up_to) => {
                    let gone = self.spool.batches.range(..=up_to.0).map(|(seq, _)| *seq);
                    wishes.push(Wish::Forgot(self.spool.instance, gone.collect()));
                    self.spool.acknowledged(up_to.0);
                }
                Output::Quarantine { batch, .. } => {
                    let stored = self.spool.give_up(batch.0, "refused");
                    self.spool.quarantine.push((self.spool.instance, batch.0, stored));
                    self.session.quarantined(batch);
                }
                Output::NewInstance { .. } => {
                    self.spool.renumber();
                    self.session.renumbered(now, self.spool.instance, BatchSeq(self.spool.next));
                    wishes.push(Wish::Renumbered);
                }
                Output::Results(results) => self.undurable.extend(results.seq),
                Output::Command(_) | Output::CommandAnswered(_) => panic!("nobody sent a command"),
            }
        }
        wishes
    }
}

pub(crate) fn event(instance: Instance, number: u64, poison: bool) -> Event {
    Event {
        id: EventId { instance, seq: EventSeq(number) },
        source: EndpointId::new(EndpointId::SELF),
        at: Stamp::utc(1_767_623_400_000),
        device_at: None,
        host: None,
        raw: None,
        body: Body::Syslog(Syslog {
            message: if poison { "poison".into() } else { "a line".into() },
            ..Syslog::default()
        }),
    }
}
