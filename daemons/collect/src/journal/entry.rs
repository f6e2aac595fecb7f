//! One entry of the journal, as `journalctl -o json` prints it, becomes a draft.
//!
//! ```text
//! {"__CURSOR":"s=...","__REALTIME_TIMESTAMP":"1767623404812000","MESSAGE":"...","PRIORITY":"6",...}
//! ```
//! A field is a text; an array of numbers where it was not UTF-8; an array of such where it came
//! more than once; or null where it was too long to print. Its time is the journal's own stamp. An
//! entry without a message is refused, but moves the cursor on.

use std::collections::HashMap;

use nms_proto::{
    event::{Body, Draft, Syslog},
    limits::LINE_BYTES_MAX,
    syslog::{FACILITY_DEFAULT, SEVERITY_DEFAULT},
    time::Stamp,
};
use serde::Deserialize;

use crate::{line::name, portion::Refused};

/// The fields that are asked for; cursor and stamp come with every entry.
pub const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_FACILITY,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME";

/// A field's value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    Bytes(Vec<u8>),
    Many(Vec<Field>),
    Null(()),
}

impl Field {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            Self::Many(fields) => fields.first().and_then(Self::bytes),
            Self::Null(()) => None,
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the journal.
    pub cursor: Box<str>,
    /// When the journal took it, in microseconds since 1970 UTC.
    pub at_us: i64,
    /// The draft, or why there is none.
    pub message: Result<Draft, Refused>,
    /// Whether the message was cut at the longest length.
    pub cut: bool,
}

struct Fields(HashMap<String, Field>);

impl Fields {
    fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).and_then(Field::bytes)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.bytes(key).and_then(|bytes| std::str::from_utf8(bytes).ok()).filter(|text| !text.is_empty())
    }

    fn number(&self, key: &str, max: u8) -> Option<u8> {
        self.text(key)?.parse().ok().filter(|number| *number <= max)
    }
}

/// Reads one line of `journalctl -o json`; `offset_min` is this place's offset from UTC.
///
/// # Errors
/// The line is no entry: no JSON, or without cursor or stamp.
pub fn read(json: &[u8], offset_min: i16) -> Result<Entry, Refused> {
    let refuse = || Refused::new("journal_entry", json);
    let fields = Fields(serde_json::from_slice(json).map_err(|_not_an_entry| refuse())?);
    let cursor = fields.text("__CURSOR").ok_or_else(refuse)?.into();
    let at_us: i64 = fields.text("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok()).ok_or_else(refuse)?;
    let bytes = fields.bytes("MESSAGE").unwrap_or_default();
    let kept = bytes.get(..bytes.len().min(LINE_BYTES_MAX)).unwrap_or_default();
    let at = Stamp::bounded(at_us / 1_000, i32::from(offset_min) * 60);
    let message = if kept.is_empty() { Err(Refused::new("empty", json)) } else { Ok(draft(&fields, kept, at)) };
    Ok(Entry { cursor, at_us, message, cut: kept.len() < bytes.len() })
}

fn draft(fields: &Fields, message: &[u8], at: Stamp) -> Draft {
    let first = |keys: [&str; 2]| keys.into_iter().find_map(|key| fields.text(key)).map(name);
    let body = Syslog {
        facility: fields.number("SYSLOG_FACILITY", 23).unwrap_or(FACILITY_DEFAULT),
        severity: fields.number("PRIORITY", 7).unwrap_or(SEVERITY_DEFAULT),
        app: first(["SYSLOG_IDENTIFIER", "_COMM"]),
        pid: first(["SYSLOG_PID", "_PID"]),
        message: String::from_utf8_lossy(message).into(),
        ..Syslog::default()
    };
    let raw = std::str::from_utf8(message).is_err().then(|| message.into());
    Draft { at: Some(at), device_at: None, host: fields.text("_HOSTNAME").map(name), raw, body: Body::Syslog(body) }
}
