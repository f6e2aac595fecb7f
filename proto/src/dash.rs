//! What the hub and the dashboard say to each other over the Unix socket: a snapshot, then deltas.
//!
//! The hub says [`FromHub::Hello`] and [`FromHub::Snapshot`] first; after [`ToHub::Subscribe`] log
//! lines follow too. A reader that is too slow gets a [`FromHub::Gap`] with a count and is never
//! waited for. Frames are those of `frame`, [`Direction::Downward`](crate::frame::Direction::Downward)
//! both ways. Every number comes from the hub: the dashboard invents none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    alert::{Alert, Verdict},
    id::{AlertId, EndpointId, TenantId},
    time::Stamp,
    word::words,
};

/// Version of this protocol.
pub const DASH_PROTOCOL: u32 = 1;

words! {
    /// Which socket a client came through, and so what it may do.
    Role {
        /// May settle alerts.
        Operator = "operator",
        /// May only look.
        Reader = "reader",
    }
}

/// From the hub to the dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum FromHub {
    /// First of all.
    Hello(Hello),
    /// Everything as it stands.
    Snapshot(Box<Snapshot>),
    /// Log lines, in order of `seq`.
    Lines(Vec<Line>),
    /// Lines that were not sent, because this client is slow or asked for fewer.
    Gap(Gap),
    /// An alert is new or has a new revision.
    Alert(Box<Alert>),
    /// The endpoints as they stand.
    Endpoints(Vec<Endpoint>),
    /// Counters, once a second.
    Stats(Stats),
    /// Malformed input by source, where it changed.
    ParseErrors(Vec<ParseErrors>),
    /// The link to the server, where it changed, and once a second.
    Link(Box<Link>),
    /// A command was carried out, or not.
    Result(CommandResult),
}

/// From the dashboard to the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum ToHub {
    /// Send log lines.
    Subscribe(Subscribe),
    /// Do something with an alert.
    Command(DashCommand),
}

/// Who the hub is, and whom it takes the client for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`DASH_PROTOCOL`].
    pub protocol: u32,
    /// Version of the hub's program.
    pub version: Box<str>,
    /// The hub's host name.
    pub hub: Box<str>,
    /// The client's user id, from the socket.
    pub uid: u32,
    /// What it may do.
    pub role: Role,
    /// The hub's clock.
    pub now: Stamp,
}

/// Everything as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Alerts, newest last.
    pub alerts: Vec<Alert>,
    /// Older alerts, which do not fit this frame: so many messages that follow at once are one each, oldest first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alerts_follow: u64,
    /// The last log lines, oldest first.
    pub lines: Vec<Line>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Counters.
    pub stats: Stats,
    /// Malformed input by source.
    pub parse_errors: Vec<ParseErrors>,
    /// The link to the server.
    pub link: Link,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Which log lines to send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Start after this line; none for what comes from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Most lines a second; the rest is sampled and counted in gaps. None for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines_per_s_max: Option<u32>,
}

/// Lines that were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many.
    pub lines: u64,
}

/// One event as a log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Rising by one per line since the hub's store was made.
    pub seq: u64,
    /// When it happened.
    pub at: Stamp,
    /// Where it came from.
    pub source: EndpointId,
    /// Host named in the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// Application; for other bodies their name, such as `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Box<str>>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<Box<str>>,
    /// Syslog facility.
    pub facility: u8,
    /// Syslog severity.
    pub severity: u8,
    /// Text.
    pub message: Box<str>,
}

words! {
    /// How an endpoint reaches the hub.
    EndpointKind {
        /// An agent.
        Agent = "agent",
        /// A device that sends syslog.
        Syslog = "syslog",
        /// The hub's own host.
        Own = "self",
    }
}

words! {
    /// How an endpoint is.
    EndpointStatus {
        /// Heard of in time.
        Up = "up",
        /// Two heartbeats missed.
        Late = "late",
        /// Three heartbeats missed.
        Down = "down",
        /// Known, never heard of.
        Never = "never",
    }
}

/// A source of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name.
    pub name: EndpointId,
    /// Network address, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Box<str>>,
    /// How it reaches the hub.
    pub kind: EndpointKind,
    /// How it is.
    pub status: EndpointStatus,
    /// Last event or heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Stamp>,
    /// Events a second over the last 60 s.
    pub events_per_s: f32,
    /// Events in the agent's spool, as it last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Malformed messages since the hub started.
    pub parse_errors: u64,
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
    /// Other sources that have sent the same lines since the hub started: one host, seen more than one way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<EndpointId>,
}

/// Counters of the hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Events since the hub started.
    pub events: u64,
    /// Events a second over the last second.
    pub events_per_s: f32,
    /// Events of each of the last 60 minutes, oldest first, the last one unfinished.
    pub events_per_min: Vec<u64>,
    /// Malformed messages since the hub started.
    pub parse_errors: u64,
    /// Endpoints that the hub knows; it lists those that it heard of last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<u64>,
    /// Alerts that are not settled.
    pub alerts_open: u64,
    /// Alerts kept.
    pub alerts: u64,
    /// Milliseconds the server took for its last batch of results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_ms: Option<u64>,
}

/// Malformed input of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParseErrors {
    /// Whose.
    pub source: EndpointId,
    /// How many, by reason.
    pub reasons: BTreeMap<Box<str>, u64>,
    /// When the first came.
    pub first_seen: Stamp,
    /// When the last came.
    pub last_seen: Stamp,
    /// The last of them, newest last.
    pub samples: Vec<Sample>,
}

/// A malformed message as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Stamp,
    /// Why it was refused.
    pub reason: Box<str>,
    /// Its first bytes, base64.
    pub raw: Box<str>,
    /// How many bytes it had.
    pub bytes: u64,
}

words! {
    /// How the server is, as the hub sees it.
    ServerState {
        /// Registered.
        Ok = "ok",
        /// Registered, asks to slow down.
        Busy = "busy",
        /// Being connected to.
        Connecting = "connecting",
        /// Not reached.
        Down = "down",
        /// None is configured.
        None = "none",
    }
}

/// The link to the server, and the account of every event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// How the server is.
    pub server: ServerState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Stamp>,
    /// Why it is not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Box<str>>,
    /// Round trip of the last heartbeat, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u64>,
    /// Seconds until the next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_s: Option<u64>,
    /// Percent of the full rate, while the server asks to slow down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u64>,
    /// What is wrong with the hub's own disk, and what to do; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Box<str>>,
    /// Events waiting.
    pub queue: u64,
    /// Events that may wait.
    pub queue_max: u64,
    /// The server's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<str>>,
    /// Whom the server takes the hub for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Received = delivered + waiting + dropped + rejected, for each source.
    pub sources: Vec<SourceAccount>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            server: ServerState::None,
            since: None,
            problem: None,
            rtt_ms: None,
            retry_in_s: None,
            busy_percent: None,
            disk: None,
            queue: 0,
            queue_max: 0,
            model: None,
            tenant: None,
            sources: Vec::new(),
        }
    }
}

/// What became of a source's events since the hub started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAccount {
    /// Whose.
    pub source: EndpointId,
    /// Messages that came.
    pub received: u64,
    /// Acknowledged by the server.
    pub delivered: u64,
    /// In the spool or on their way.
    pub waiting: u64,
    /// Lost, by cause.
    pub dropped: BTreeMap<Box<str>, u64>,
    /// Malformed, by reason.
    pub rejected: BTreeMap<Box<str>, u64>,
}

words! {
    /// What a person does with an alert.
    DashAction {
        /// I am on it.
        Acknowledge = "acknowledge",
        /// Settled, with a verdict.
        Close = "close",
        /// Open it again.
        Reopen = "reopen",
        /// Hide alerts like it for a time.
        Suppress = "suppress",
        /// Take a suppression back.
        Unsuppress = "unsuppress",
        /// Add words.
        Note = "note",
        /// Take the last step back.
        Undo = "undo",
    }
}

/// Do something with an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashCommand {
    /// The client's number for it, echoed in the result.
    pub id: u64,
    /// What.
    pub action: DashAction,
    /// Which alert.
    pub alert: AlertId,
    /// With `close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// In the person's words; the text of a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// With `suppress`: what is like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Box<str>>,
    /// With `suppress`: for how long, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// The client's number for it.
    pub id: u64,
    /// Whether it was carried out.
    pub ok: bool,
    /// What happened, or why not.
    pub message: Box<str>,
}
