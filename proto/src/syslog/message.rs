//! What a syslog message is once it is read, whatever dialect its sender spoke.
//!
//! Everything borrows from the bytes that came in; only text that was not UTF-8 is copied, with
//! U+FFFD in place of what could not be read, and then the caller keeps the raw bytes beside it.

use std::borrow::Cow;

use super::structured::StructuredData;

/// Facility of a message without a PRI: user-level.
pub const FACILITY_DEFAULT: u8 = 1;
/// Severity of a message without a PRI: notice.
pub const SEVERITY_DEFAULT: u8 = 5;

/// When and where a message was received: what a stamp without a year or a zone is read against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Time of receipt, in milliseconds since 1970 UTC.
    pub unix_ms: i64,
    /// The receiver's offset from UTC, in seconds, taken for stamps that name none.
    pub utc_offset_s: i32,
}

/// The form that the sender chose. Told apart for each message, because relays mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// RFC 5424, version 1.
    Rfc5424,
    /// RFC 3164: `Mmm dd hh:mm:ss`, then host and tag where they are given. A year may stand in it.
    Rfc3164,
    /// RFC 3164 with an ISO 8601 stamp, as rsyslog forwards and writes.
    IsoStamp,
    /// Cisco: sequence numbers, `*Mar  1 00:00:00:`, `%FACILITY-SEVERITY-MNEMONIC:`.
    Cisco,
    /// `RouterOS`: `topic,topic text`.
    MikroTik,
    /// `key=value` pairs without a tag, as firewalls send.
    KeyValue,
    /// No header beyond, at most, PRI and tag.
    Bare,
}

/// The time that the message itself names. For display and evidence: a device's clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceStamp {
    /// Milliseconds since 1970 UTC.
    pub unix_ms: i64,
    /// The offset from UTC that the stamp named, in seconds; `None` where the receiver's was taken.
    pub offset_s: Option<i32>,
}

/// One syslog message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The form it came in.
    pub dialect: Dialect,
    /// 0 to 23, RFC 5424 table 1; [`FACILITY_DEFAULT`] where the message names none.
    pub facility: u8,
    /// 0 to 7, RFC 5424 table 2; [`SEVERITY_DEFAULT`] where the message names none.
    pub severity: u8,
    /// The stamp in the message, where it has one that is a time.
    pub device_at: Option<DeviceStamp>,
    /// The host that the message names.
    pub host: Option<&'a str>,
    /// APP-NAME, the tag, Cisco's facility or `RouterOS`'s topics.
    pub app: Option<&'a str>,
    /// PROCID, or what stands in brackets after the tag.
    pub pid: Option<&'a str>,
    /// MSGID, Cisco's `FACILITY-SEVERITY-MNEMONIC`, or the `logid` of key=value firewalls.
    pub msgid: Option<&'a str>,
    /// STRUCTURED-DATA of RFC 5424, where there is any.
    pub structured_data: Option<StructuredData<'a>>,
    /// The text. It may be empty, and may hold line feeds where the framing lets them through.
    pub message: Cow<'a, str>,
    /// Whether the text was not UTF-8, so that `message` is not what came in.
    pub lossy: bool,
    /// Whether the bytes were cut at `LINE_BYTES_MAX`.
    pub truncated: bool,
}

/// Facility and severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priority {
    pub(super) facility: u8,
    pub(super) severity: u8,
}

impl Priority {
    /// What is taken where a message names none.
    pub(super) const DEFAULT: Self = Self { facility: FACILITY_DEFAULT, severity: SEVERITY_DEFAULT };
}

impl<'a> Message<'a> {
    /// A message of which only the priority and the text are known.
    pub(super) fn bare(priority: Priority, text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        // The lossy reading alone would walk good text more slowly.
        let message = std::str::from_utf8(text).map_or_else(|_not_utf8| String::from_utf8_lossy(text), Cow::Borrowed);
        Self {
            dialect: Dialect::Bare,
            facility: priority.facility,
            severity: priority.severity,
            device_at: None,
            host: None,
            app: None,
            pid: None,
            msgid: None,
            structured_data: None,
            lossy: matches!(message, Cow::Owned(_)),
            message,
            truncated: false,
        }
    }
}
