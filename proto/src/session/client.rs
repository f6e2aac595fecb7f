//! The sender's end of a link: agent to hub, and hub to server.
//!
//! ```text
//!              connected         ACK of REGISTER
//! Connecting ------------> Registering ------------> Active
//!     ^                         |                      |
//!     |  1, 2, 4 ... 300 s      v                      v        numbers used twice
//!     +------------------- Backoff <-------------------+-----> Renumbering --> Backoff
//! ```
//! Refuses: anything before the ACK of REGISTER, messages that only a sender sends, answers about
//! batches that were never sent. Every refusal ends the connection and is tried again later; the
//! batches are in the spool, and leave it only by [`Output::Acked`] or [`Output::Quarantine`].

use std::{collections::VecDeque, ops::Range};

use super::{
    BATCH_NUMBER_REUSED, End, earliest, encoded,
    errands::Errands,
    heartbeat::Heartbeats,
    sender::{Refusal, Sender},
};
pub use super::{
    errands::CommandsFull,
    link::{LinkView, Output, Stage},
    sender::{Read, SpooledBatch},
};
use crate::{
    flow::{backoff::Backoff, pacer::Pacer},
    id::{BatchSeq, Instance, TenantId},
    limits::{
        BACKOFF_RESET_MS, BATCH_EVENTS_MAX, BUSY_RETRY_MS_RANGE, CONNECT_MS, HEARTBEAT_S_RANGE, REGISTER_MS,
        WINDOW_BATCHES,
    },
    message::{Ack, AckConfig, AckStatus, Command, Heartbeat, Message, Register, batch_frame},
    time::{Stamp, Tick},
};

#[derive(Debug)]
enum State {
    Connecting { deadline: Tick },
    Registering { deadline: Tick, written: bool },
    Active { heartbeats: Heartbeats },
    Backoff { until: Tick },
    Renumbering,
}

/// The sender's end of a link.
#[derive(Debug)]
pub struct ClientSession {
    state: State,
    since: Tick,
    clock: Tick,
    problem: Option<End>,
    register: Register,
    vitals: Heartbeat,
    config: AckConfig,
    /// Whom the peer takes us for.
    tenant: Option<TenantId>,
    backoff: Backoff,
    pacer: Pacer,
    sender: Sender,
    errands: Errands,
    outputs: VecDeque<Output>,
}

impl ClientSession {
    /// A session that connects at once. `register` says who the sender is, with the spool's instance;
    /// `spool` is the lowest number that it holds, and the one after the last that can be read;
    /// `seed` spreads reconnects.
    pub fn new(now: Tick, seed: u64, register: Register, spool: Range<BatchSeq>) -> Self {
        Self {
            state: State::Connecting { deadline: now.plus(CONNECT_MS) },
            since: now,
            clock: now,
            problem: None,
            register,
            vitals: Heartbeat::default(),
            config: AckConfig::default(),
            tenant: None,
            backoff: Backoff::new(seed),
            pacer: Pacer::default(),
            sender: Sender::new(spool.start, spool.end),
            errands: Errands::default(),
            outputs: VecDeque::from([Output::Connect]),
        }
    }

    /// The stream is open and encrypted.
    pub fn connected(&mut self, now: Tick) {
        self.clock = now;
        if let State::Connecting { .. } = self.state {
            self.enter(now, State::Registering { deadline: now.plus(REGISTER_MS), written: false });
        }
    }

    /// The stream broke, was closed by the peer, or could not be opened. Not to be called after [`Output::Close`].
    pub fn closed(&mut self, now: Tick, problem: impl Into<Box<str>>) {
        self.clock = now;
        if let State::Connecting { .. } | State::Registering { .. } | State::Active { .. } = self.state {
            self.fall_back(now, End::Stream(problem.into()), 0);
        }
    }

    /// The peer's bytes are no frame or no message.
    pub fn malformed(&mut self, now: Tick, problem: &dyn std::fmt::Display) {
        self.clock = now;
        self.end(now, End::Malformed(problem.to_string().into()));
    }

    /// A message came.
    pub fn received(&mut self, now: Tick, message: Message) {
        self.clock = now;
        match (&self.state, message) {
            // Who says yes before it was asked says it to nobody in particular.
            (State::Registering { written: false, .. }, Message::Ack(ack)) if ack.status == AckStatus::Ok => {
                self.end(now, End::Unexpected("ACK"));
            }
            (State::Registering { .. }, Message::Ack(ack)) => self.on_registration(now, &ack),
            (State::Active { .. }, Message::Ack(ack)) => self.on_ack(now, ack),
            (State::Active { .. }, Message::Results(results)) => self.outputs.push_back(Output::Results(results)),
            (State::Active { .. }, Message::Command(command)) => self.on_command(now, command),
            (State::Registering { .. } | State::Active { .. }, other) => {
                self.end(now, End::Unexpected(other.type_name()));
            }
            (State::Connecting { .. } | State::Backoff { .. } | State::Renumbering, _) => {}
        }
    }

    /// Time passed; to be called at [`ClientSession::deadline`].
    pub fn handle_timeout(&mut self, now: Tick) {
        self.clock = now;
        let interval_ms = self.config.heartbeat_interval * 1_000;
        match &mut self.state {
            State::Connecting { deadline } if now >= *deadline => self.end(now, End::ConnectTimeout),
            State::Registering { deadline, .. } if now >= *deadline => self.end(now, End::RegisterTimeout),
            State::Active { heartbeats } if heartbeats.are_unanswered(now) => self.end(now, End::Silent),
            State::Active { heartbeats } if now >= heartbeats.due() => {
                heartbeats.handle_timeout(now, interval_ms);
                self.sender.handle_heartbeat();
            }
            State::Backoff { until } if now >= *until => {
                self.enter(now, State::Connecting { deadline: now.plus(CONNECT_MS) });
                self.outputs.push_back(Output::Connect);
            }
            _ => {}
        }
    }

    /// When [`ClientSession::handle_timeout`] is next to be called; then frames may be ready too.
    pub fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::Connecting { deadline } | State::Registering { deadline, .. } => Some(*deadline),
            State::Backoff { until } => Some(*until),
            State::Renumbering => None,
            State::Active { heartbeats } => {
                // A time that has come is not waited for again: the batch waits for the stream by then.
                let paced = self.sender.has_ready().then(|| self.pacer.next_at(self.clock));
                let read = Some(self.sender.read_again_at());
                earliest([
                    Some(heartbeats.due()),
                    paced.filter(|at| *at > self.clock),
                    read.filter(|at| *at > self.clock),
                ])
            }
        }
    }

    /// The next frame to write. To be called when the stream has taken the one before: what is chosen
    /// now goes next, heartbeats first and batches last.
    pub fn poll_transmit(&mut self, now: Tick, stamp: Stamp) -> Option<Vec<u8>> {
        self.clock = now;
        match &mut self.state {
            State::Registering { written, .. } if !*written => {
                *written = true;
                self.register.next = Some(self.sender.next());
                encoded(&Message::Register(self.register.clone()), stamp)
            }
            State::Active { heartbeats } => {
                if let Some(number) = heartbeats.poll(now) {
                    let vitals = Heartbeat { heartbeat: Some(number), ..self.vitals.clone() };
                    return encoded(&Message::Heartbeat(vitals), stamp);
                }
                let message = self.errands.poll();
                message.map_or_else(|| self.poll_batch(now, stamp), |message| encoded(&message, stamp))
            }
            _ => None,
        }
    }

    /// What the shell must do next; to be called until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        let first = self.outputs.pop_front();
        if first.is_some() || !matches!(self.state, State::Active { .. }) {
            return first;
        }
        self.sender.poll_read(self.clock).map(Output::Read)
    }

    /// The spool took a batch: all that it holds below the number `next` can be read. A batch that is appended but not
    /// durable yet does not count: it would be looked for, not be found, and be forgotten.
    pub fn spooled(&mut self, next: BatchSeq) {
        self.sender.set_next(next);
    }

    /// The answer to [`Output::Read`]: what the spool holds from its first batch at or after `read.from`,
    /// by rising number; nothing if it holds none there. An answer that comes too late is ignored.
    pub fn loaded(&mut self, read: Read, batches: impl IntoIterator<Item = SpooledBatch>) {
        self.outputs.extend(self.sender.loaded(read, batches).map(Output::Acked));
    }

    /// The answer to [`Output::Read`] where the spool cannot be read: it is asked again after a second.
    pub fn load_failed(&mut self, now: Tick, read: Read) {
        self.clock = now;
        self.sender.load_failed(now, read);
    }

    /// The answer to [`Output::Quarantine`].
    pub fn quarantined(&mut self, batch: BatchSeq) {
        self.sender.quarantined(batch);
    }

    /// The answer to [`Output::NewInstance`]: the new instance, and the number after the last batch held.
    pub fn renumbered(&mut self, now: Tick, instance: Instance, next: BatchSeq) {
        self.clock = now;
        if let State::Renumbering = self.state {
            self.register.instance = Some(instance);
            self.sender = self.sender.renumbered(next);
            let until = now.plus(self.backoff.next_delay_ms());
            self.enter(now, State::Backoff { until });
        }
    }

    /// RESULTS up to that number are durable here.
    pub fn results_durable(&mut self, seq: u64) {
        self.errands.results_durable(seq);
    }

    /// The answer to [`Output::Command`], with its `command_id`.
    pub fn answer(&mut self, answer: Ack) {
        self.errands.answer(answer);
    }

    /// Sends a command upward, again after each reconnect, until it is answered.
    ///
    /// # Errors
    /// Too many wait.
    pub fn command(&mut self, command: Command) -> Result<(), CommandsFull> {
        self.errands.command(command)
    }

    /// What the next heartbeats say, and the next REGISTER of the same; the heartbeat's number is set here.
    pub fn set_vitals(&mut self, vitals: Heartbeat, utc_offset_s: i32) {
        self.register.endpoints_count = vitals.endpoints_connected;
        self.register.utc_offset_s = Some(utc_offset_s);
        self.vitals = vitals;
    }

    /// What the peer asked to keep to, within the limits.
    pub fn config(&self) -> AckConfig {
        self.config
    }

    /// Whether a lone batch would go at once: registered, and nothing waits or is in flight.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Active { .. }) && self.sender.is_idle()
    }

    /// The peer may have batches up to this number: a full spool drops later ones first, so that none
    /// is called lost that was delivered.
    pub fn protected(&self) -> BatchSeq {
        self.sender.protected()
    }

    /// The link for the dashboard.
    pub fn link(&self, now: Tick) -> LinkView {
        let percent = self.pacer.percent(now);
        let (stage, rtt_ms, retry_in_ms) = match &self.state {
            State::Connecting { .. } => (Stage::Connecting, None, None),
            State::Registering { .. } => (Stage::Registering, None, None),
            State::Active { heartbeats } => (Stage::Active, heartbeats.rtt_ms(), None),
            State::Backoff { until } => (Stage::Backoff, None, Some(until.since(now))),
            State::Renumbering => (Stage::Renumbering, None, None),
        };
        let busy_percent = (percent < 100).then_some(percent);
        LinkView {
            stage,
            since: self.since,
            problem: self.problem.clone(),
            rtt_ms,
            retry_in_ms,
            busy_percent,
            tenant: self.tenant.clone(),
        }
    }

    fn enter(&mut self, now: Tick, state: State) {
        self.state = state;
        self.since = now;
    }

    /// Ends the connection from this side.
    fn end(&mut self, now: Tick, end: End) {
        if let State::Connecting { .. } | State::Registering { .. } | State::Active { .. } = self.state {
            self.outputs.push_back(Output::Close(end.clone()));
            self.fall_back(now, end, 0);
        }
    }

    fn fall_back(&mut self, now: Tick, end: End, wait_ms_min: u64) {
        if matches!(self.state, State::Active { .. }) && now.since(self.since) >= BACKOFF_RESET_MS {
            self.backoff.reset();
        }
        self.sender.disconnected();
        self.errands.disconnected();
        self.problem = Some(end);
        let until = now.plus(self.backoff.next_delay_ms().max(wait_ms_min));
        self.enter(now, State::Backoff { until });
    }

    fn renumber(&mut self, now: Tick, problem: &str) {
        self.end(now, End::Renumbering);
        self.outputs.push_back(Output::NewInstance { problem: problem.into() });
        self.enter(now, State::Renumbering);
    }

    fn on_registration(&mut self, now: Tick, ack: &Ack) {
        match ack.status {
            AckStatus::Ok if self.sender.registered(ack.batch.unwrap_or_default()) => {
                self.problem = None;
                self.tenant.clone_from(&ack.tenant);
                self.configure(now, ack.config);
                self.enter(now, State::Active { heartbeats: Heartbeats::new(now) });
                self.handle_timeout(now);
            }
            AckStatus::Ok => self.renumber(now, "the spool is older than what the peer has of it"),
            AckStatus::Busy => {
                let wait_ms = ack.retry_after_ms.unwrap_or_default().min(*BUSY_RETRY_MS_RANGE.end());
                let end = End::Rejected(ack.message.clone());
                self.outputs.push_back(Output::Close(end.clone()));
                self.fall_back(now, end, wait_ms);
            }
            AckStatus::Error | AckStatus::Other(_) => self.end(now, End::Rejected(ack.message.clone())),
        }
    }

    fn configure(&mut self, now: Tick, config: Option<AckConfig>) {
        let Some(config) = config else { return };
        let seconds = config.heartbeat_interval.clamp(*HEARTBEAT_S_RANGE.start(), *HEARTBEAT_S_RANGE.end());
        let window = config.window.unwrap_or(WINDOW_BATCHES);
        self.config = AckConfig {
            heartbeat_interval: seconds,
            batch_size: config.batch_size.clamp(1, BATCH_EVENTS_MAX),
            window: Some(window.clamp(1, WINDOW_BATCHES)),
        };
        self.sender.set_window(window);
        if let State::Active { heartbeats } = &mut self.state {
            heartbeats.asked(now, seconds * 1_000);
        }
    }

    fn on_ack(&mut self, now: Tick, ack: Ack) {
        self.configure(now, ack.config);
        if let State::Active { heartbeats } = &mut self.state {
            heartbeats.answered(now, ack.heartbeat);
        }
        if ack.command_id.is_some() {
            if self.errands.answered(&ack) {
                self.outputs.push_back(Output::CommandAnswered(ack));
            }
            return;
        }
        match (&ack.status, ack.batch) {
            (AckStatus::Ok, Some(batch)) => self.on_durable(now, batch),
            // Nothing is deleted for a word that a newer peer means something by.
            (AckStatus::Ok, None) | (AckStatus::Other(_), _) => {}
            (AckStatus::Busy, durable) => {
                self.pacer.busy(now, ack.retry_after_ms);
                self.on_durable(now, durable.unwrap_or_default());
                self.sender.go_back();
            }
            (AckStatus::Error, Some(_)) if ack.message.starts_with(BATCH_NUMBER_REUSED) => {
                self.renumber(now, &ack.message);
            }
            (AckStatus::Error, batch) => self.on_refusal(now, batch, ack.message),
        }
    }

    fn on_durable(&mut self, now: Tick, batch: BatchSeq) {
        match self.sender.acknowledged(batch) {
            Ok(news) => self.outputs.extend(news.map(Output::Acked)),
            Err(_never_sent) => self.end(now, End::NeverSent(batch)),
        }
    }

    fn on_refusal(&mut self, now: Tick, batch: Option<BatchSeq>, problem: Box<str>) {
        let refusal = match batch {
            Some(batch) => self.sender.refused(batch),
            None => Ok(self.sender.refused_unnamed()),
        };
        match refusal {
            Ok(Refusal::Again) => {}
            Ok(Refusal::Renumber) => self.renumber(now, "the peer refuses a batch that it called durable"),
            Ok(Refusal::Quarantine(batch)) => self.outputs.push_back(Output::Quarantine { batch, problem }),
            Err(_never_sent) => self.end(now, End::NeverSent(batch.unwrap_or_default())),
        }
    }

    fn on_command(&mut self, now: Tick, command: Command) {
        if self.errands.asked() {
            self.outputs.push_back(Output::Command(command));
        } else {
            self.end(now, End::TooManyCommands);
        }
    }

    fn poll_batch(&mut self, now: Tick, stamp: Stamp) -> Option<Vec<u8>> {
        if self.pacer.next_at(now) > now {
            return None;
        }
        if let Some(batch) = self.sender.oversize() {
            self.outputs.push_back(Output::Quarantine { batch, problem: "too long for a frame".into() });
            return None;
        }
        let SpooledBatch { seq, skipped, content } = self.sender.poll_batch()?;
        self.pacer.sent(now, content.len());
        batch_frame(seq, stamp, &skipped, &content).ok()
    }
}
