//! An event: one thing that happened, where and when it was seen, and exactly one body saying what.
//!
//! ```text
//! {"source":"192.168.1.101","id":[0,90112],"at":"2026-01-05T15:30:04.812+01:00","host":"pi",
//!  "syslog":{"facility":4,"severity":5,"app":"sshd","pid":12345,"message":"Failed password for root ..."}}
//! ```
//! `id` is the index of an instance in the batch's `origins`, and the event's number there; that is
//! why an [`Event`] is written and read only as part of a batch (`message::batch`).

mod wire;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    finding::Finding,
    id::{EndpointId, EventId},
    json::Any,
    time::Stamp,
    word::words,
};
pub(crate) use wire::{EventError, Indexed, WireEvent};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, given once.
    pub id: EventId,
    /// Where it came from, as the receiver knows it.
    pub source: EndpointId,
    /// When: detection's time.
    pub at: Stamp,
    /// The stamp in the message, for display and evidence.
    pub device_at: Option<Stamp>,
    /// The host named in the message.
    pub host: Option<Box<str>>,
    /// The bytes as they came, where they were not UTF-8.
    pub raw: Option<Box<[u8]>>,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// The event without its name, for a receiver that names it itself.
    pub fn into_draft(self) -> Draft {
        let Self { at, device_at, host, raw, body, .. } = self;
        Draft { at: Some(at), device_at, host, raw, body }
    }
}

/// An event before it has a name: what a source saw. The first component that numbers it makes it an [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// When it happened; none for when it was seen.
    pub at: Option<Stamp>,
    /// The stamp in the message.
    pub device_at: Option<Stamp>,
    /// The host named in the message.
    pub host: Option<Box<str>>,
    /// The bytes as they came, where they were not UTF-8.
    pub raw: Option<Box<[u8]>>,
    /// What happened.
    pub body: Body,
}

impl Draft {
    /// A draft of `body`, seen now, nothing else known.
    pub fn new(body: Body) -> Self {
        Self { at: None, device_at: None, host: None, raw: None, body }
    }

    /// The event: with its name, its source, and `now` where it has no time of its own.
    pub fn named(self, id: EventId, source: EndpointId, now: Stamp) -> Event {
        let Self { at, device_at, host, raw, body } = self;
        Event { id, source, at: at.unwrap_or(now), device_at, host, raw, body }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A log line.
    Syslog(Syslog),
    /// A file changed, or one row of a file integrity report.
    File(Box<FileChange>),
    /// The end of a file integrity report.
    Report(Box<FileReport>),
    /// A process started.
    Process(Box<ProcessStart>),
    /// A network connection was opened.
    Connection(Box<NetConnection>),
    /// A correlator found something.
    Finding(Box<Finding>),
    /// Events were lost.
    Loss(Box<Loss>),
    /// What a newer peer has a word for and this version has not: kept, shown and passed on.
    Other(Box<Newer>),
}

/// A body of a newer peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Newer {
    /// Its name on the wire, at most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) bytes.
    pub name: Box<str>,
    /// What it says; nothing where that was longer than [`LINE_BYTES_MAX`](crate::limits::LINE_BYTES_MAX).
    pub content: Any,
}

impl Body {
    /// The body's name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Syslog(_) => "syslog",
            Self::File(_) => "file",
            Self::Report(_) => "report",
            Self::Process(_) => "process",
            Self::Connection(_) => "connection",
            Self::Finding(_) => "finding",
            Self::Loss(_) => "loss",
            Self::Other(newer) => &newer.name,
        }
    }

    /// The syslog severity (0..=7) under which pressure and counters see it; what is not a log line counts as `notice`.
    pub fn syslog_severity(&self) -> u8 {
        if let Self::Syslog(line) = self { line.severity } else { 5 }
    }
}

/// A log line (RFC 5424 or RFC 3164, or a line of a file or the journal).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// Facility number, 0..=23 (RFC 5424 section 6.2.1).
    pub facility: u8,
    /// Severity number, 0..=7.
    pub severity: u8,
    /// Application name or tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Box<str>>,
    /// Process id: a number on the wire, a string where it is none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_pid",
        deserialize_with = "read_pid"
    )]
    pub pid: Option<Box<str>>,
    /// RFC 5424 MSGID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msgid: Option<Box<str>>,
    /// RFC 5424 STRUCTURED-DATA as it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_data: Option<Box<str>>,
    /// The text.
    pub message: Box<str>,
}

#[expect(clippy::ref_option, reason = "the signature serde's serialize_with asks for")]
fn write_pid<S: Serializer>(pid: &Option<Box<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = pid.as_deref().unwrap_or_default();
    // Only what reads back as the same text may travel as a number: no leading zeros or signs.
    match text.parse::<u32>() {
        Ok(number) if text == "0" || !text.starts_with(['0', '+']) => serializer.serialize_u32(number),
        _ => serializer.serialize_str(text),
    }
}

fn read_pid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<str>>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Option<Box<str>>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a process id: a number or a string")
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string().into()))
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string().into()))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.into()))
        }
        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
            inner.deserialize_any(self)
        }
    }
    deserializer.deserialize_any(Visitor)
}

words! {
    /// What happened to a file.
    Change {
        /// It is new.
        Created = "created",
        /// Its content changed.
        Modified = "modified",
        /// Its owner, group or mode changed.
        Attributes = "attributes",
        /// It is gone.
        Deleted = "deleted",
        /// It is as the baseline says (a report row).
        Unchanged = "unchanged",
        /// A report row that says what is there.
        Report = "report",
    }
}

/// A change of a watched file, or one row of a file integrity report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Absolute path; bytes that were not UTF-8 are replaced.
    pub path: Box<str>,
    /// What happened.
    pub change: Change,
    /// SHA-256 before, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_sha256: Option<Box<str>>,
    /// SHA-256 now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_sha256: Option<Box<str>>,
    /// Owner's name, or number where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Box<str>>,
    /// Group's name, or number where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<str>>,
    /// Permission bits in octal, such as `0644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Box<str>>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Inode number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Last modification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Stamp>,
    /// Users logged in when the change was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Box<str>>,
    /// Whether a package manager was running.
    #[serde(default)]
    pub package_manager: bool,
    /// The command this row answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<Box<str>>,
}

/// The end of a file integrity report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The command it answers.
    pub command_id: Box<str>,
    /// Files looked at.
    pub files: u64,
    /// Files that differ from the baseline.
    pub changed: u64,
    /// Files that could not be read.
    pub unreadable: u64,
}

/// A process start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStart {
    /// Process id.
    pub pid: u32,
    /// Path of the executable.
    pub exe: Box<str>,
    /// Command line, arguments joined by spaces.
    #[serde(default)]
    pub cmdline: Box<str>,
    /// Parent's executable.
    #[serde(default)]
    pub parent: Box<str>,
    /// User it runs as.
    #[serde(default)]
    pub user: Box<str>,
}

/// A network connection of a local process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetConnection {
    /// Path of the executable.
    #[serde(default)]
    pub exe: Box<str>,
    /// `tcp` or `udp`.
    pub proto: Box<str>,
    /// `in` or `out`.
    pub direction: Box<str>,
    /// Local port.
    pub local_port: u16,
    /// Remote address.
    pub remote: Box<str>,
    /// Remote port.
    pub remote_port: u16,
    /// User it belongs to.
    #[serde(default)]
    pub user: Box<str>,
}

/// Events that were lost, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Whose events.
    pub source: EndpointId,
    /// Why, one of the causes of `docs/PROTOCOL.md`.
    pub cause: Box<str>,
    /// How many.
    pub count: u64,
    /// The beginning of one of them, base64, where it was there and turned away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Box<str>>,
}

impl Loss {
    /// Cause of lines that were cut at the longest length; their beginning was taken.
    pub const TRUNCATED: &'static str = "truncated";
    /// What the causes begin with of lines that were there and turned away; the reason follows.
    pub const REJECTED: &'static str = "rejected_";

    /// Events that were lost without a trace.
    pub fn of(source: EndpointId, cause: impl Into<Box<str>>, count: u64) -> Self {
        Self { source, cause: cause.into(), count, sample: None }
    }

    /// Why lines were turned away; none where they were lost or cut.
    pub fn rejected(&self) -> Option<&str> {
        self.cause.strip_prefix(Self::REJECTED)
    }
}
