//! A client session with its clock and a spool, as its tests drive it.

use nms_proto::id::{BatchSeq, Instance};
use nms_proto::json::Decoder;
use nms_proto::message::{self, Ack, AckStatus, Batch, BatchBuilder, Message, Register, Skipped};
use nms_proto::session::End;
use nms_proto::session::client::{ClientSession, Output, SpooledBatch, Stage};
use nms_proto::time::{Stamp, Tick};

use super::pair::hub::event;

const START: Tick = Tick(1_000);

/// A session, its clock, and a spool that holds `first..next`.
pub(super) struct Client {
    pub(super) now: Tick,
    pub(super) session: ClientSession,
    pub(super) held: std::ops::Range<u64>,
    pub(super) content_bytes: usize,
    pub(super) skipped: Vec<Skipped>,
    /// A number that the spool does not hold.
    pub(super) given_up: Option<u64>,
}

impl Client {
    pub(super) fn new(held: std::ops::Range<u64>) -> Self {
        let register = Register { instance: Some(Instance([5; 16])), ..Register::default() };
        let session = ClientSession::new(START, 7, register, BatchSeq(held.start)..BatchSeq(held.end));
        Self { now: START, session, held, content_bytes: 0, skipped: vec![], given_up: None }
    }

    /// Registered, with nothing durable at the receiver, its first heartbeat answered.
    pub(super) fn active(held: std::ops::Range<u64>) -> Self {
        let mut client = Self::new(held);
        client.register(Ack { batch: Some(BatchSeq(0)), ..Ack::ok() });
        client
    }

    pub(super) fn register(&mut self, ack: Ack) {
        assert_eq!(self.session.poll_output(), Some(Output::Connect));
        self.session.connected(self.now);
        assert!(matches!(self.frame(), Some(Message::Register(_))));
        self.session.received(self.now, Message::Ack(ack));
        if let Some(Message::Heartbeat(beat)) = self.frame() {
            self.ack(Ack { heartbeat: beat.heartbeat, ..Ack::ok() });
        }
    }

    pub(super) fn ack(&mut self, ack: Ack) {
        self.session.received(self.now, Message::Ack(ack));
    }

    pub(super) fn durable(&mut self, batch: u64) {
        self.ack(Ack { batch: Some(BatchSeq(batch)), ..Ack::ok() });
    }

    pub(super) fn refuse(&mut self, batch: Option<u64>) {
        self.ack(Ack { batch: batch.map(BatchSeq), ..Ack::new(AckStatus::Error, "no") });
    }

    pub(super) fn busy(&mut self, durable: u64, retry_after_ms: u64) {
        let busy = Ack::new(AckStatus::Busy, "backlog");
        self.ack(Ack { batch: Some(BatchSeq(durable)), retry_after_ms: Some(retry_after_ms), ..busy });
    }

    pub(super) fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        while let Some(deadline) = self.session.deadline().filter(|at| *at <= self.now) {
            self.session.handle_timeout(deadline);
        }
        self.session.handle_timeout(self.now);
    }

    /// Waits as long as the backoff says.
    pub(super) fn retry(&mut self) {
        assert_eq!(self.stage(), Stage::Backoff);
        self.now = self.session.deadline().unwrap();
        self.session.handle_timeout(self.now);
    }

    pub(super) fn frame(&mut self) -> Option<Message> {
        let frame = self.session.poll_transmit(self.now, Stamp::utc(0))?;
        Some(message::read(&mut Decoder::default(), &frame[4..], Stamp::utc(0)).unwrap())
    }

    /// What the session asks for, with its reads answered.
    pub(super) fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let Output::Read(read) = output else {
                outputs.push(output);
                continue;
            };
            let from = read.from.0.max(self.held.start);
            let batches =
                (from..self.held.end).filter(|seq| Some(*seq) != self.given_up).take(read.batches_max).map(|seq| {
                    SpooledBatch {
                        seq: BatchSeq(seq),
                        skipped: self.skipped.iter().filter(|run| run.to.next().0 == seq).cloned().collect(),
                        content: content(self.content_bytes),
                    }
                });
            self.session.loaded(read, batches);
        }
        outputs
    }

    /// The batches that go out now.
    pub(super) fn batches(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        loop {
            let outputs = self.outputs();
            assert_eq!(outputs, vec![], "only reads were expected");
            match self.frame() {
                Some(Message::Batch(batch)) => batches.push(batch),
                Some(Message::Heartbeat(_)) => {}
                None => return batches,
                Some(other) => panic!("not a batch: {other:?}"),
            }
        }
    }

    pub(super) fn numbers(&mut self) -> Vec<u64> {
        self.batches().iter().map(|batch| batch.batch.unwrap().0).collect()
    }

    pub(super) fn stage(&self) -> Stage {
        self.session.link(self.now).stage
    }

    /// Why the session ended the connection.
    pub(super) fn end(&mut self) -> Option<End> {
        self.outputs().into_iter().find_map(|output| if let Output::Close(end) = output { Some(end) } else { None })
    }
}

/// The content of a batch of at least that many bytes.
fn content(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.push_group(&[event(Instance([5; 16]), 1, false)]).unwrap();
    let mut content = builder.finish().1;
    let space = bytes.saturating_sub(content.len());
    content.splice(content.len() - 1..content.len() - 1, std::iter::repeat_n(b' ', space));
    content
}
