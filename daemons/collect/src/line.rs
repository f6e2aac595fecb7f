//! A line of a file becomes a draft of an event.
//!
//! The same reader as for syslog from the network takes it apart, because what a syslog daemon
//! writes to a file is RFC 3164 without PRI, and an application's own format is plain text. The
//! time of a line is its own stamp where that is believable: not before the last one that was, and
//! not in the future. A line without a stamp belongs to the one before it, as the lines of a trace do,
//! and only a stamp that was believed holds the next ones to it. Refused as by `proto::syslog`, with a reason, kept raw: what is empty or binary.

use nms_proto::{
    event::{Body, Draft, Syslog},
    limits::{LINE_BYTES_MAX, NAME_BYTES_MAX},
    syslog::{self, Message, Received},
    time::Stamp,
};
use serde::{Deserialize, Serialize};

use crate::portion::Refused;

/// When a line was read, and what its own stamp is held against.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The wall clock when it was read.
    pub now: Stamp,
    /// The last stamp that was believed in lines before it.
    pub before: Option<Before>,
}

/// A stamp that was believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The stamp, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// How long after it its line was read, in milliseconds.
    pub behind_ms: i64,
}

impl Seen {
    /// The stamp as one that was believed; none where it is before the last one or in the future.
    pub fn believed(&self, stamp: Option<Stamp>) -> Option<Before> {
        // A stamp of the future was believed when the clock was wrong: it holds nobody back any more.
        let before = self.before.filter(|before| before.at_ms <= self.now.unix_ms);
        let earliest_ms = before.map_or(i64::MIN, |before| before.at_ms);
        let at_ms = stamp?.unix_ms;
        let is_believed = (earliest_ms..=self.now.unix_ms).contains(&at_ms);
        is_believed.then(|| Before { at_ms, behind_ms: self.now.unix_ms.saturating_sub(at_ms) })
    }

    /// When a line happened that has this stamp or none.
    fn at(&self, stamp: Option<Stamp>) -> Stamp {
        match (stamp, self.before) {
            (Some(stamp), _) if self.believed(Some(stamp)).is_some() => stamp,
            // As far behind as the line before: at once with it where both were read at once, and now where a file
            // has few stamps and is read as it grows.
            (None, Some(before)) => {
                let at_ms = self.now.unix_ms.saturating_sub(before.behind_ms).max(before.at_ms);
                Stamp { unix_ms: at_ms.min(self.now.unix_ms), ..self.now }
            }
            _ => self.now,
        }
    }
}

/// The draft of one line, without its line end.
///
/// # Errors
/// The line is no message; it comes back with the reason, its first bytes kept.
pub fn read(bytes: &[u8], seen: Seen) -> Result<Draft, Refused> {
    let received = Received { unix_ms: seen.now.unix_ms, utc_offset_s: i32::from(seen.now.offset_min) * 60 };
    let message = syslog::parse(bytes, &received).map_err(|reject| Refused::new(reject.name(), bytes))?;
    let mut draft = draft_of(&message, bytes, seen.now);
    draft.at = Some(seen.at(draft.device_at));
    Ok(draft)
}

/// The draft of a syslog message that came as `bytes`; `at` is left to whoever knows it, and `now`
/// gives the offset of a stamp that names none.
pub fn draft_of(message: &Message<'_>, bytes: &[u8], now: Stamp) -> Draft {
    let own = i32::from(now.offset_min) * 60;
    let device_at = message.device_at.map(|stamp| Stamp::bounded(stamp.unix_ms, stamp.offset_s.unwrap_or(own)));
    let raw = message.lossy.then(|| bytes.get(..bytes.len().min(LINE_BYTES_MAX)).unwrap_or_default().into());
    let body = Syslog {
        facility: message.facility,
        severity: message.severity,
        app: message.app.map(name),
        pid: message.pid.map(name),
        msgid: message.msgid.map(name),
        structured_data: message.structured_data.map(|data| data.as_str().into()),
        message: message.message.as_ref().into(),
    };
    Draft { at: None, device_at, host: message.host.map(name), raw, body: Body::Syslog(body) }
}

/// The text cut to [`NAME_BYTES_MAX`], at a character.
pub(crate) fn name(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().into()
}

/// One line cut out of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// The line without its line feed; cut at [`LINE_BYTES_MAX`].
    pub text: &'a [u8],
    /// Whether more belonged to it.
    pub truncated: bool,
    /// Bytes of the buffer that were used up with it, the line feed and what was skipped included.
    pub taken: usize,
    /// Whether the rest of the line is still to be skipped.
    pub skipping: bool,
}

/// The first line of `buffer`; none where its end is not there yet and it may still fit.
pub fn cut(buffer: &[u8]) -> Option<Cut<'_>> {
    let end = memchr::memchr(b'\n', buffer);
    let line = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
    if end.is_none() && line.len() <= LINE_BYTES_MAX {
        return None;
    }
    let truncated = line.len() > LINE_BYTES_MAX;
    let text = line.get(..line.len().min(LINE_BYTES_MAX)).unwrap_or_default();
    Some(Cut { text, truncated, taken: end.map_or(line.len(), |end| end + 1), skipping: end.is_none() })
}

/// How many bytes of `buffer` belong to a line that is being skipped, and whether it ends there.
pub fn skip(buffer: &[u8]) -> (usize, bool) {
    memchr::memchr(b'\n', buffer).map_or((buffer.len(), false), |end| (end + 1, true))
}
