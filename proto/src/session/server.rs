//! The receiver's end of a link: a hub for its agents, a server for its hubs.
//!
//! ```text
//!                REGISTER               accept
//! AwaitRegister ----------> Authorising --------> Active
//!       |                        |                  |      the last frame is written,
//!       +------------------------+------------------+----> Closing -----> Close
//! ```
//! Who the peer is, whether a batch may be taken and when it is durable is the shell's to say: each
//! [`Output::Batch`] is judged by the instance's [`super::receiver::Receiver`] and by what the
//! tenant may still hold, answered with [`ServerSession::answer`], and acknowledged once
//! [`ServerSession::committed`] says so. Acknowledgements that wait become one; heartbeats are
//! answered where they are read, before everything else. Refuses: anything before registration, a
//! second registration, and messages that only a receiver sends.

use std::collections::VecDeque;

pub use super::replies::Answer;
use super::{BATCH_NUMBER_REUSED, End, encoded, replies::Replies};
use crate::{
    flow::batcher::BatchSizer,
    id::{BatchSeq, TenantId},
    limits::{CLOSE_MS, FRAME_REPLY_BYTES_MAX, HEARTBEATS_UNANSWERED_MAX, REGISTER_MS},
    message::{
        Ack, AckConfig, AckStatus, Batch, Command, CommandAction, Heartbeat, Message, Register, Results, Single,
    },
    time::{Stamp, Tick},
};

/// What the shell must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Find out whom this is; then `accept` or `reject`.
    Register(Register),
    /// Issue a certificate for this one-time token; then `enrolled` or `reject`.
    Enroll(Command),
    /// Judge this batch and take or refuse it; then `answer`, before the next message is passed in.
    /// Without a number it is neither deduplicated nor acknowledged.
    Batch(Batch),
    /// One event of an original agent: take it, if it can be taken.
    Event(Box<Single>),
    /// How the peer is, for display; it is answered already.
    Heartbeat(Heartbeat),
    /// RESULTS up to that number are durable at the peer.
    ResultsAcked(u64),
    /// RESULTS of that number are longer than a frame and were not sent: take them out of the outbox.
    ResultsTooLong(u64),
    /// Carry out what the peer asks for; then `answer_command`.
    Command(Command),
    /// The peer's answer to a command of this side.
    CommandAnswered(Ack),
    /// Write what was transmitted, for at most [`CLOSE_MS`], and drop the stream. Nothing follows.
    Close(End),
}

#[derive(Debug)]
enum State {
    AwaitRegister { deadline: Tick },
    Authorising { deadline: Tick, numbered: bool },
    Active { numbered: bool },
    Closing { end: End, farewell: Option<Box<Ack>>, deadline: Tick },
    Closed,
}

/// The receiver's end of a link.
#[derive(Debug)]
pub struct ServerSession {
    state: State,
    heard: Tick,
    /// The number of the batch that the shell is judging.
    judging: Option<BatchSeq>,
    durable: BatchSeq,
    /// The highest batch that came on this connection and is the one that is known under its number.
    shown: BatchSeq,
    config: AckConfig,
    tenant: Option<TenantId>,
    sizer: BatchSizer,
    replies: Replies,
    outputs: VecDeque<Output>,
}

impl ServerSession {
    /// A session for a stream that was just accepted.
    pub fn new(now: Tick) -> Self {
        Self {
            state: State::AwaitRegister { deadline: now.plus(REGISTER_MS) },
            heard: now,
            judging: None,
            durable: BatchSeq(0),
            shown: BatchSeq(0),
            config: AckConfig::default(),
            tenant: None,
            sizer: BatchSizer::default(),
            replies: Replies::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A message came.
    pub fn received(&mut self, now: Tick, message: Message) {
        self.heard = now;
        match (&self.state, message) {
            (State::AwaitRegister { deadline }, Message::Register(register)) => {
                self.state = State::Authorising { deadline: *deadline, numbered: register.instance.is_some() };
                self.outputs.push_back(Output::Register(register));
            }
            (State::AwaitRegister { deadline }, Message::Command(command))
                if command.action == CommandAction::Enroll =>
            {
                self.state = State::Authorising { deadline: *deadline, numbered: false };
                self.outputs.push_back(Output::Enroll(command));
            }
            (State::Active { .. } | State::Authorising { .. }, Message::Heartbeat(heartbeat)) => {
                self.replies.heartbeat(heartbeat.heartbeat);
                self.outputs.push_back(Output::Heartbeat(heartbeat));
            }
            (State::Active { numbered }, Message::Batch(batch)) => self.on_batch(now, *numbered, batch),
            (State::Active { .. }, Message::Event(single)) => self.outputs.push_back(Output::Event(single)),
            (State::Active { .. }, Message::Command(command)) => self.on_command(now, command),
            (State::Active { .. }, Message::Ack(ack)) => self.on_ack(ack),
            (State::Closing { .. } | State::Closed, _) => {}
            (_, other) => {
                let end = End::Unexpected(other.type_name());
                self.close(now, end.clone(), Some(Ack::new(AckStatus::Error, end.to_string())));
            }
        }
    }

    /// The peer's bytes are no frame or no message: it is told which field, and the connection ends.
    pub fn malformed(&mut self, now: Tick, problem: &dyn std::fmt::Display) {
        let problem: Box<str> = problem.to_string().into();
        self.close(now, End::Malformed(problem.clone()), Some(Ack::new(AckStatus::Error, problem)));
    }

    /// Whom the answer to [`Output::Register`] names; to be called before [`ServerSession::accept`].
    pub fn is_of(&mut self, tenant: TenantId) {
        self.tenant = Some(tenant);
    }

    /// The answer to [`Output::Register`]: known, with everything up to `durable` of its instance
    /// (0 for a new one), to keep to `config`. Its batch size grows with the rate by itself.
    pub fn accept(&mut self, now: Tick, durable: BatchSeq, config: AckConfig) {
        let State::Authorising { numbered, .. } = self.state else { return };
        self.state = State::Active { numbered };
        self.heard = now;
        self.durable = self.durable.max(durable);
        self.config = config;
        self.replies.registered(numbered.then_some(self.durable), config, self.tenant.take());
    }

    /// The answer to [`Output::Register`] or [`Output::Enroll`]: not this one, or, with `retry_after_ms`, not now.
    pub fn reject(&mut self, now: Tick, message: &str, retry_after_ms: Option<u64>) {
        let status = if retry_after_ms.is_some() { AckStatus::Busy } else { AckStatus::Error };
        let farewell = Ack { retry_after_ms, ..Ack::new(status, message) };
        self.close(now, End::Rejected(message.into()), Some(farewell));
    }

    /// The answer to [`Output::Enroll`]: an ACK with the command's id, certificate and authority.
    pub fn enrolled(&mut self, now: Tick, answer: Ack) {
        self.close(now, End::Done, Some(answer));
    }

    /// The answer to [`Output::Batch`].
    pub fn answer(&mut self, now: Tick, answer: Answer) {
        let batch = self.judging.take();
        if let Answer::Taken | Answer::Duplicate = answer {
            self.shown = self.shown.max(batch.unwrap_or_default());
        }
        match answer {
            Answer::Taken => {}
            Answer::Duplicate => self.replies.durable(),
            Answer::Busy { retry_after_ms, message } => self.replies.busy(retry_after_ms, message),
            Answer::Refused { message } => self.replies.refused(batch, message),
            // The peer's later batches would be taken under numbers that it is about to change.
            Answer::Reused => {
                let farewell = Ack { batch, ..Ack::new(AckStatus::Error, BATCH_NUMBER_REUSED) };
                self.close(now, End::Renumbering, Some(farewell));
            }
        }
    }

    /// Everything of this instance up to `durable` is stored, whichever connection it came on. The peer
    /// is told of those that it sent on this one: what came on another may be of a spool that was lost.
    pub fn committed(&mut self, durable: BatchSeq) {
        if durable > self.durable && self.shown > self.durable {
            self.replies.durable();
        }
        self.durable = self.durable.max(durable);
    }

    /// Batches that were taken could not be stored, and the receiver's `withdraw` was called: the peer
    /// is asked to send them again after `retry_after_ms`.
    pub fn withdrawn(&mut self, retry_after_ms: u64, message: &str) {
        self.replies.busy(retry_after_ms, message.into());
    }

    /// Sends RESULTS that an [`crate::flow::outbox::Outbox`] gave; its window bounds what waits here.
    pub fn results(&mut self, results: Results) {
        self.replies.results(results);
    }

    /// Sends a command to the peer, once. False when too many wait to be written.
    pub fn command(&mut self, command: Command) -> bool {
        self.replies.command(command)
    }

    /// The answer to [`Output::Command`], with its `command_id`.
    pub fn answer_command(&mut self, answer: Ack) {
        self.replies.answer(answer);
    }

    /// Ends the connection from this side, telling the peer why: replaced by a new one, or stopping.
    pub fn end(&mut self, now: Tick, end: End) {
        self.close(now, end, None);
    }

    /// Time passed; to be called at [`ServerSession::deadline`].
    pub fn handle_timeout(&mut self, now: Tick) {
        match &self.state {
            State::AwaitRegister { deadline } | State::Authorising { deadline, .. } if now >= *deadline => {
                let farewell = Ack::new(AckStatus::Error, End::RegisterTimeout.to_string());
                self.close(now, End::RegisterTimeout, Some(farewell));
            }
            State::Active { .. } if now >= self.silent_at() => self.close(now, End::Silent, None),
            State::Closing { deadline, .. } if now >= *deadline => self.finish(),
            _ => {}
        }
    }

    /// When [`ServerSession::handle_timeout`] is next to be called.
    pub fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::AwaitRegister { deadline }
            | State::Authorising { deadline, .. }
            | State::Closing { deadline, .. } => Some(*deadline),
            State::Active { .. } => Some(self.silent_at()),
            State::Closed => None,
        }
    }

    /// Heartbeats that should have come since anything came: late from 2 on, down from 3 on.
    pub fn missed(&self, now: Tick) -> u64 {
        now.since(self.heard) / self.heartbeat_ms()
    }

    /// Whether the peer is registered.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// The next frame to write. To be called when the stream has taken the one before: acknowledgements
    /// that wait until then become one.
    pub fn poll_transmit(&mut self, stamp: Stamp) -> Option<Vec<u8>> {
        if let State::Closing { farewell, .. } = &mut self.state {
            let farewell = farewell.take();
            self.finish();
            return farewell.and_then(|ack| encoded(&Message::Ack(*ack), stamp));
        }
        if let State::Closed = self.state {
            return None;
        }
        let durable = Some(self.durable.min(self.shown)).filter(|batch| *batch > BatchSeq(0));
        while let Some(message) = self.replies.poll(durable, self.config) {
            let frame = encoded(&message, stamp)?;
            match message {
                Message::Results(results) if frame.len() > FRAME_REPLY_BYTES_MAX => {
                    self.outputs.extend(results.seq.map(Output::ResultsTooLong));
                }
                _ => return Some(frame),
            }
        }
        None
    }

    /// What the shell must do next; to be called until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn on_batch(&mut self, now: Tick, numbered: bool, mut batch: Batch) {
        self.sizer.count(now, batch.events.len());
        self.config.batch_size = self.sizer.size();
        if !numbered {
            batch.batch = None;
        }
        if batch.batch == Some(BatchSeq(0)) {
            self.malformed(now, &"field payload.batch: numbers begin at 1");
            return;
        }
        self.judging = batch.batch;
        self.outputs.push_back(Output::Batch(batch));
    }

    fn on_command(&mut self, now: Tick, command: Command) {
        if self.replies.asked() {
            self.outputs.push_back(Output::Command(command));
        } else {
            let farewell = Ack::new(AckStatus::Error, End::TooManyCommands.to_string());
            self.close(now, End::TooManyCommands, Some(farewell));
        }
    }

    fn on_ack(&mut self, ack: Ack) {
        self.outputs.extend(ack.results.map(Output::ResultsAcked));
        if ack.command_id.is_some() {
            self.outputs.push_back(Output::CommandAnswered(ack));
        }
    }

    fn heartbeat_ms(&self) -> u64 {
        self.config.heartbeat_interval.saturating_mul(1_000).max(1_000)
    }

    /// The last heartbeat that may be missed, and half an interval for its way.
    fn silent_at(&self) -> Tick {
        let interval_ms = self.heartbeat_ms();
        self.heard.plus(interval_ms * u64::from(HEARTBEATS_UNANSWERED_MAX) + interval_ms / 2)
    }

    fn close(&mut self, now: Tick, end: End, farewell: Option<Ack>) {
        if let State::Closing { .. } | State::Closed = self.state {
            return;
        }
        self.state = State::Closing { end, farewell: farewell.map(Box::new), deadline: now.plus(CLOSE_MS) };
        if let State::Closing { farewell: None, .. } = self.state {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let State::Closing { end, .. } = std::mem::replace(&mut self.state, State::Closed) {
            self.outputs.push_back(Output::Close(end));
        }
    }
}
