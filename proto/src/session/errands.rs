//! What a client writes besides heartbeats and batches: its answers, and its own commands.
//!
//! A command of this side is written again after each reconnect until the peer answers it. Bounded by
//! [`COMMANDS_WAITING_MAX`] in both directions; what is too much is refused to whoever asks.

use std::collections::VecDeque;

use crate::{
    limits::COMMANDS_WAITING_MAX,
    message::{Ack, Command, Message},
};

/// No more commands are taken: [`COMMANDS_WAITING_MAX`] wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandsFull;

impl std::fmt::Display for CommandsFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{COMMANDS_WAITING_MAX} commands wait for an answer, try again when the server is reached")
    }
}

impl std::error::Error for CommandsFull {}

/// What waits to be written besides batches, and what the peer still owes an answer to.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// The highest RESULTS that became durable since the last ACK of one.
    results: Option<u64>,
    /// Answers to the peer's commands.
    answers: VecDeque<Ack>,
    /// The peer's commands that the shell has not answered.
    unanswered: usize,
    /// This side's commands, and whether they were written on this connection.
    commands: VecDeque<(Command, bool)>,
}

impl Errands {
    pub(super) fn results_durable(&mut self, seq: u64) {
        self.results = self.results.max(Some(seq));
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

    pub(super) fn command(&mut self, command: Command) -> Result<(), CommandsFull> {
        if self.commands.len() >= COMMANDS_WAITING_MAX {
            return Err(CommandsFull);
        }
        self.commands.push_back((command, false));
        Ok(())
    }

    /// The next message to write.
    pub(super) fn poll(&mut self) -> Option<Message> {
        if let Some(seq) = self.results.take() {
            return Some(Message::Ack(Ack { results: Some(seq), ..Ack::ok() }));
        }
        if let Some(answer) = self.answers.pop_front() {
            return Some(Message::Ack(answer));
        }
        let (command, written) = self.commands.iter_mut().find(|(_, written)| !written)?;
        *written = true;
        Some(Message::Command(command.clone()))
    }

    /// Whether a command of this side was waiting for that answer.
    pub(super) fn answered(&mut self, ack: &Ack) -> bool {
        let asked = self.commands.iter().position(|(command, _)| Some(&command.command_id) == ack.command_id.as_ref());
        asked.is_some_and(|at| self.commands.remove(at).is_some())
    }

    pub(super) fn disconnected(&mut self) {
        self.results = None;
        self.answers.clear();
        self.unanswered = 0;
        for (_, written) in &mut self.commands {
            *written = false;
        }
    }
}
