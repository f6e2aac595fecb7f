//! What a receiver writes, most urgent first, with what can be said once said once.
//!
//! Answering the last heartbeat answers all before it; one ACK covers every batch that became
//! durable, one SERVER_BUSY every batch that was turned away. So what waits is bounded whatever the
//! peer sends and however slowly it reads; RESULTS are bounded by their outbox's window, commands and
//! their answers by [`COMMANDS_WAITING_MAX`].

use std::collections::VecDeque;

use super::receiver::Judgement;
use crate::{
    id::{BatchSeq, TenantId},
    limits::{BUSY_RETRY_MS_RANGE, COMMANDS_WAITING_MAX},
    message::{Ack, AckConfig, AckStatus, Command, Message, Results},
};

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, or taken before and not durable yet; `committed` follows.
    Taken,
    /// Durable before.
    Duplicate,
    /// Not now, and none after it until it comes again.
    Busy {
        /// Milliseconds after which to try again.
        retry_after_ms: u64,
        /// Why, with numbers.
        message: Box<str>,
    },
    /// Not this one; after three times the sender keeps it in quarantine.
    Refused {
        /// Why.
        message: Box<str>,
    },
    /// Its number belongs to another batch: the connection ends, the sender starts a new instance.
    Reused,
}

impl Answer {
    /// The answer that a judgement leads to by itself; none for a batch that may be taken.
    pub fn from_judgement(judgement: Judgement) -> Option<Self> {
        match judgement {
            Judgement::Next => None,
            Judgement::Pending => Some(Self::Taken),
            Judgement::Duplicate => Some(Self::Duplicate),
            Judgement::Reused => Some(Self::Reused),
            Judgement::Gap => {
                let retry_after_ms = *BUSY_RETRY_MS_RANGE.start();
                Some(Self::Busy { retry_after_ms, message: "a batch before this one is missing".into() })
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Replies {
    /// The answer to REGISTER.
    registered: Option<Ack>,
    /// The answer to a heartbeat.
    heartbeat: Option<Ack>,
    /// A batch refused with an error.
    refused: Option<Ack>,
    /// SERVER_BUSY: how long, and why.
    busy: Option<(u64, Box<str>)>,
    /// The durable number is news to the peer, or a duplicate asks for it.
    durable: bool,
    answers: VecDeque<Ack>,
    unanswered: usize,
    results: VecDeque<Results>,
    commands: VecDeque<Command>,
    /// The configuration that the peer was last told.
    told: Option<AckConfig>,
}

impl Replies {
    /// REGISTER was accepted; what the sender has durable here, if it numbers its batches.
    pub(super) fn registered(&mut self, durable: Option<BatchSeq>, config: AckConfig, tenant: Option<TenantId>) {
        let ack = Ack::new(AckStatus::Ok, "registration successful");
        self.registered = Some(Ack { batch: durable, config: self.news(config), tenant, ..ack });
    }

    pub(super) fn heartbeat(&mut self, number: Option<u64>) {
        self.heartbeat = Some(Ack { heartbeat: number, ..Ack::ok() });
    }

    pub(super) fn refused(&mut self, batch: Option<BatchSeq>, message: Box<str>) {
        self.refused = Some(Ack { batch, ..Ack::new(AckStatus::Error, message) });
    }

    /// The longest wait of those that were not told yet stands for all.
    pub(super) fn busy(&mut self, retry_after_ms: u64, message: Box<str>) {
        if self.busy.as_ref().is_none_or(|(ms, _)| retry_after_ms > *ms) {
            self.busy = Some((retry_after_ms, message));
        }
    }

    pub(super) fn durable(&mut self) {
        self.durable = true;
    }

    pub(super) fn results(&mut self, results: Results) {
        self.results.push_back(results);
    }

    pub(super) fn command(&mut self, command: Command) -> bool {
        let room = self.commands.len() < COMMANDS_WAITING_MAX;
        if room {
            self.commands.push_back(command);
        }
        room
    }

    /// A command came; false when the peer has too many without an answer.
    pub(super) fn asked(&mut self) -> bool {
        self.unanswered += 1;
        self.unanswered + self.answers.len() <= COMMANDS_WAITING_MAX
    }

    pub(super) fn answer(&mut self, answer: Ack) {
        if self.unanswered > 0 {
            self.unanswered -= 1;
            self.answers.push_back(answer);
        }
    }

    /// The next message. `durable` is the highest durable batch that came on this connection.
    pub(super) fn poll(&mut self, durable: Option<BatchSeq>, config: AckConfig) -> Option<Message> {
        let ack = self.poll_ack(durable, config).map(Message::Ack);
        ack.or_else(|| self.results.pop_front().map(Message::Results))
            .or_else(|| self.commands.pop_front().map(Message::Command))
    }

    fn poll_ack(&mut self, batch: Option<BatchSeq>, config: AckConfig) -> Option<Ack> {
        if let Some(registered) = self.registered.take() {
            return Some(registered);
        }
        if let Some(heartbeat) = self.heartbeat.take() {
            return Some(heartbeat);
        }
        if let Some(refused) = self.refused.take() {
            return Some(refused);
        }
        if let Some((retry_after_ms, message)) = self.busy.take() {
            self.durable = false;
            let busy = Ack::new(AckStatus::Busy, message);
            return Some(Ack { batch, retry_after_ms: Some(retry_after_ms), config: self.news(config), ..busy });
        }
        if std::mem::take(&mut self.durable) {
            return Some(Ack { batch, config: self.news(config), ..Ack::ok() });
        }
        self.answers.pop_front()
    }

    /// The configuration, where it is not what the peer was last told.
    fn news(&mut self, config: AckConfig) -> Option<AckConfig> {
        let news = (self.told != Some(config)).then_some(config);
        self.told = Some(config);
        news
    }
}
