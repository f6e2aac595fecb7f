//! A syslog message as an event that has no name yet: the one way from bytes to [`Draft`], for
//! datagrams, streams, tailed files and the journal alike.

use super::{Message, Received, Reject, parse};
use crate::{
    event::{Body, Draft, Syslog},
    limits::NAME_BYTES_MAX,
    time::Stamp,
};

/// Reads `bytes` as [`parse`] does, and keeps them beside the text where they were not UTF-8. Says whether the
/// message was cut. The draft's `at` is left open: whoever received the bytes knows whether their stamp may be believed.
///
/// # Errors
/// As [`parse`].
pub fn draft(bytes: &[u8], now: &Received) -> Result<(Draft, bool), Reject> {
    let message = parse(bytes, now)?;
    let raw = message.lossy.then(|| bytes.into());
    let cut = message.truncated;
    Ok((Draft { raw, ..message.into_draft(now) }, cut))
}

impl Message<'_> {
    /// The message as a draft; a stamp without a zone has the receiver's.
    pub fn into_draft(self, now: &Received) -> Draft {
        let device_at = self.device_at.map(|at| Stamp::bounded(at.unix_ms, at.offset_s.unwrap_or(now.utc_offset_s)));
        let body = Syslog {
            facility: self.facility,
            severity: self.severity,
            app: self.app.map(name),
            pid: self.pid.map(name),
            msgid: self.msgid.map(name),
            structured_data: self.structured_data.map(|data| data.as_str().into()),
            message: self.message.into_owned().into(),
        };
        Draft { device_at, host: self.host.map(name), ..Draft::new(Body::Syslog(body)) }
    }
}

fn name(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().into()
}
