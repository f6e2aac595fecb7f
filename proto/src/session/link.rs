//! What a client session asks of its shell, and what it shows to people.

use super::{End, sender::Read};
use crate::{
    id::{BatchSeq, TenantId},
    message::{Ack, Command, Results},
    time::Tick,
};

/// What the shell must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a stream to the peer, TLS included; then `connected` or `closed`.
    Connect,
    /// Drop the stream or the attempt, and pass in nothing more of it. A reconnect follows by itself.
    Close(End),
    /// Read batches from the spool and pass them to `loaded`, or say `load_failed`.
    Read(Read),
    /// Everything up to that number is durable at the peer: delete it from the spool.
    Acked(BatchSeq),
    /// Move that batch to the quarantine and keep its number as skipped with cause `refused`, in one
    /// transaction; then `quarantined`.
    Quarantine {
        /// Which.
        batch: BatchSeq,
        /// Why the peer, or this side, will not have it.
        problem: Box<str>,
    },
    /// Draw a new instance and number what the spool holds anew from 1, in one transaction; then `renumbered`.
    NewInstance {
        /// What showed that the numbers were used twice, for the counter and the log.
        problem: Box<str>,
    },
    /// Make these alerts durable, in the order they come; then `results_durable`. They may come again.
    Results(Results),
    /// Carry out; then `answer`.
    Command(Command),
    /// The peer's answer to a command of this side.
    CommandAnswered(Ack),
}

/// Where the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The stream is being opened.
    Connecting,
    /// REGISTER was not answered yet.
    Registering,
    /// Batches flow.
    Active,
    /// Waiting for the next attempt.
    Backoff,
    /// Waiting for the spool's new instance.
    Renumbering,
}

/// The link for the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Tick,
    /// Why the last connection ended, while there is no new one.
    pub problem: Option<End>,
    /// Round trip of the last answered heartbeat, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// Milliseconds until the next attempt.
    pub retry_in_ms: Option<u64>,
    /// Percent of the full rate, while the peer asks to slow down.
    pub busy_percent: Option<u64>,
    /// Whom the peer takes us for, as it said last.
    pub tenant: Option<TenantId>,
}
