//! The payloads, field by field. What the first design did not have is optional on input.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    alert::Alert,
    id::{BatchSeq, Instance, TenantId},
    limits::{BATCH_EVENTS_DEFAULT, CAUSES_MAX, HEARTBEAT_MS, NAME_BYTES_MAX},
    word::words,
};

/// REGISTER: who the sender is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// Version of the sender's program.
    pub client_version: Box<str>,
    /// Its host's name.
    pub hostname: Box<str>,
    /// Its operating system.
    pub os: Box<str>,
    /// Sources it knows.
    pub endpoints_count: u64,
    /// Version of this protocol; none from an original sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// The life of its spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// Standing tenant token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Box<str>>,
    /// Seconds east of UTC at the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_s: Option<i32>,
    /// The batch number it will send next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<BatchSeq>,
}

/// HEARTBEAT: the sender is alive, and how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Seconds since the sender started.
    pub uptime_seconds: u64,
    /// Events in its spool.
    pub events_queued: u64,
    /// Sources connected to it.
    pub endpoints_connected: u64,
    /// Messages that came to it since it started, whole or malformed: what is delivered, waits, was lost or turned away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Events that its receiver acknowledged since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// Events lost since it started, by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "counts")]
    pub dropped: BTreeMap<Box<str>, u64>,
    /// Messages turned away since it started, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "counts")]
    pub rejected: BTreeMap<Box<str>, u64>,
    /// Age of the oldest event in the spool, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_ms: Option<u64>,
    /// Its number, echoed in the ACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<u64>,
}

/// A run of batch numbers that will never be sent, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The first.
    pub from: BatchSeq,
    /// The last.
    pub to: BatchSeq,
    /// Events that were in them.
    pub events: u64,
    /// Why: `spool_full`, `refused`, `damaged` ...
    pub cause: Box<str>,
}

/// What an analysis took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultsStats {
    /// Events analysed since the last RESULTS.
    pub events_processed: u64,
    /// Alerts raised from them.
    pub anomalies_detected: u64,
    /// Milliseconds it took.
    pub processing_time_ms: u64,
}

/// RESULTS: alerts, at least once, in order of `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// What it took.
    #[serde(default)]
    pub stats: ResultsStats,
    /// Rising per instance; acknowledged by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

words! {
    /// What a COMMAND asks for.
    CommandAction {
        /// A file integrity report.
        RequestFimReport = "request_fim_report",
        /// Collect from a source now.
        Collect = "collect",
        /// Block an address (refused until prevention is built).
        BlockIp = "block_ip",
        /// Take a block back (refused until prevention is built).
        UnblockIp = "unblock_ip",
        /// Get a certificate.
        Enroll = "enroll",
        /// Somebody is on an alert.
        Acknowledge = "acknowledge",
        /// Settle an alert.
        Close = "close",
        /// Open it again.
        Reopen = "reopen",
        /// Hide alerts like it for a time.
        Suppress = "suppress",
        /// Take a suppression back.
        Unsuppress = "unsuppress",
        /// Add words to an alert.
        Note = "note",
        /// Take the last step back.
        Undo = "undo",
    }
}

/// COMMAND: do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name, echoed in the ACK and in what it brings about.
    pub command_id: Box<str>,
    /// What to do.
    pub action: CommandAction,
    /// To whom: a source or an alert.
    #[serde(default)]
    pub target: Box<str>,
    /// How.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "distinct")]
    pub arguments: BTreeMap<Box<str>, Box<str>>,
}

/// Members with free names; one that comes twice is refused, because two readers would take another one of them.
fn distinct<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Box<str>, V>, D::Error> {
    deserializer.deserialize_map(Distinct(std::marker::PhantomData))
}

/// Counts by name, of which no more than [`CAUSES_MAX`] are kept apart; what comes behind them is counted together as
/// `other`.
fn counts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Box<str>, u64>, D::Error> {
    let mut kept = BTreeMap::new();
    for (mut name, count) in distinct::<D, u64>(deserializer)? {
        if name.len() > NAME_BYTES_MAX || (kept.len() + 1 >= CAUSES_MAX && !kept.contains_key(&name)) {
            name = "other".into();
        }
        let sum: &mut u64 = kept.entry(name).or_default();
        *sum = sum.saturating_add(count);
    }
    Ok(kept)
}

struct Distinct<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> de::Visitor<'de> for Distinct<V> {
    type Value = BTreeMap<Box<str>, V>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object whose names come once each")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<Box<str>, V>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a name comes twice"));
            }
        }
        Ok(members)
    }
}

words! {
    /// How an ACK answers.
    AckStatus {
        /// Taken.
        Ok = "ok",
        /// Refused; the message says why.
        Error = "error",
        /// Not now.
        Busy = "SERVER_BUSY",
    }
}

/// What a receiver asks its sender to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckConfig {
    /// Seconds between heartbeats.
    pub heartbeat_interval: u64,
    /// Events in a batch.
    pub batch_size: usize,
    /// Batches that may be unacknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
}

impl Default for AckConfig {
    fn default() -> Self {
        Self { heartbeat_interval: HEARTBEAT_MS / 1_000, batch_size: BATCH_EVENTS_DEFAULT, window: None }
    }
}

/// ACK: an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// How.
    pub status: AckStatus,
    /// In words.
    #[serde(default)]
    pub message: Box<str>,
    /// What to keep to from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<AckConfig>,
    /// The highest batch that is durable, all before it included; with `error`, the batch refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSeq>,
    /// The highest RESULTS that is durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<u64>,
    /// The heartbeat answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<u64>,
    /// The command answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<Box<str>>,
    /// With SERVER_BUSY: milliseconds to wait before sending again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The certificate issued to an `enroll`, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Box<str>>,
    /// The authority that issued it, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Box<str>>,
    /// With the answer to REGISTER: whom the sender was taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
}

impl Ack {
    /// An ACK of that status and nothing else.
    pub fn new(status: AckStatus, message: impl Into<Box<str>>) -> Self {
        Self {
            status,
            message: message.into(),
            config: None,
            batch: None,
            results: None,
            heartbeat: None,
            command_id: None,
            retry_after_ms: None,
            certificate: None,
            ca: None,
            tenant: None,
        }
    }

    /// An ACK that says yes.
    pub fn ok() -> Self {
        Self::new(AckStatus::Ok, "")
    }
}
