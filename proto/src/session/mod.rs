//! Who may say what when: the two ends of every link, as machines without sockets, clock or store.
//!
//! ```text
//! agent, hub   ClientSession   Connecting -> Registering -> Active -> Backoff -> Connecting ...
//! hub, server  ServerSession   AwaitRegister -> Authorising -> Active -> Closing
//! ```
//! A shell drives a machine like this: it passes in what happened (`connected`, `received`,
//! `handle_timeout` at `deadline`, the answers of its store), then takes every [`client::Output`] or
//! [`server::Output`], and, whenever the stream has written its last frame, one more frame from
//! `poll_transmit`. Frames are chosen only then, so a heartbeat goes before any waiting batch and
//! acknowledgements that wait become one.
//!
//! `receiver` holds the order rule of one instance, shared by all its connections; `sender` is its
//! counterpart. Both refuse: what is out of order, what was never sent, a number used twice.

pub mod receiver;
mod sender;
mod heartbeat;
mod errands;
mod link;
pub mod client;
mod replies;
pub mod server;

use std::fmt;

use crate::{
    id::BatchSeq,
    limits::HEARTBEATS_UNANSWERED_MAX,
    message::Message,
    time::{Stamp, Tick},
};

/// The words that tell a sender that another one used its batch numbers: it must draw a new instance.
pub const BATCH_NUMBER_REUSED: &str = "batch number reused by another sender";

/// Cause of numbers that a spool no longer has and cannot account for.
pub const CAUSE_MISSING: &str = "missing";

/// Why a connection ended, or must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream could not be opened, broke, or was closed by the peer; in the shell's words.
    Stream(Box<str>),
    /// The peer was not reached in time.
    ConnectTimeout,
    /// The peer did not register, or did not answer REGISTER, in time.
    RegisterTimeout,
    /// The peer refused REGISTER, in its words.
    Rejected(Box<str>),
    /// The peer stopped answering or sending heartbeats.
    Silent,
    /// The peer's bytes are no message, and why.
    Malformed(Box<str>),
    /// The peer sent a message that has no place here.
    Unexpected(&'static str),
    /// The peer answered about a batch that was never sent.
    NeverSent(BatchSeq),
    /// Batch numbers were used twice: the sender starts a new instance.
    Renumbering,
    /// The peer has too many commands waiting.
    TooManyCommands,
    /// The same instance connected again.
    Replaced,
    /// The peer's certificate was revoked.
    Revoked,
    /// The peer's certificate has expired.
    Expired,
    /// What was asked for is done.
    Done,
    /// This side stops.
    Stopping,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(problem) => f.write_str(problem),
            Self::ConnectTimeout => f.write_str("not reached in time"),
            Self::RegisterTimeout => f.write_str("not registered in time"),
            Self::Rejected(message) => write!(f, "registration refused: {message}"),
            Self::Silent => write!(f, "{HEARTBEATS_UNANSWERED_MAX} heartbeats missed"),
            Self::Malformed(problem) => write!(f, "not understood: {problem}"),
            Self::Unexpected(kind) => write!(f, "{kind} has no place here"),
            Self::NeverSent(batch) => write!(f, "batch {batch} was answered and never sent"),
            Self::Renumbering => f.write_str("batch numbers were used twice, starting a new instance"),
            Self::TooManyCommands => f.write_str("too many commands without an answer"),
            Self::Replaced => f.write_str("the same instance connected again"),
            Self::Revoked => f.write_str("the certificate was revoked"),
            Self::Expired => f.write_str("the certificate has expired"),
            Self::Done => f.write_str("done"),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

impl std::error::Error for End {}

/// The earliest of those that are set.
fn earliest<const N: usize>(ticks: [Option<Tick>; N]) -> Option<Tick> {
    ticks.into_iter().flatten().min()
}

/// The message as a frame. The encoder cannot fail on our messages; if it did, nothing would be sent.
fn encoded(message: &Message, stamp: Stamp) -> Option<Vec<u8>> {
    message.to_frame(stamp).ok()
}
