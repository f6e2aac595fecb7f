//! Syslog in: bytes become a [`Message`], or are turned away with a [`Reject`] that has a name.
//!
//! The way of a message: TCP bytes are split by [`Splitter`] (RFC 6587), a datagram is a message by
//! itself; [`parse`] then picks the dialect for each message alone, because one socket hears many
//! devices and relays. A line of a tailed file takes the same way. RFC 5424 is read to the letter,
//! RFC 3164 and what routers send in its name as they are.
//!
//! Refused: what is empty, holds NUL, is more than a tenth control bytes, has an invalid PRI, or says
//! that it is RFC 5424 and is not. Nothing here reads a clock, and complete messages are not copied.

mod cisco;
mod header;
mod message;
mod pairs;
mod reject;
mod rfc3164;
mod rfc5424;
mod stamp;
mod stream;
mod draft;
mod structured;
mod text;

pub use draft::draft;
pub use message::{DeviceStamp, Dialect, FACILITY_DEFAULT, Message, Received, SEVERITY_DEFAULT};
pub use reject::Reject;
pub use stream::{Counts, Frame, Splitter};
pub use structured::{Element, StructuredData};

use crate::limits::LINE_BYTES_MAX;

/// Reads one syslog message: a datagram, a frame of a stream, or a line of a file, with or without
/// its line end.
///
/// What is longer than [`LINE_BYTES_MAX`] is cut and flagged. The error names why bytes are not a
/// message; the caller keeps and counts them.
pub fn parse<'a>(bytes: &'a [u8], now: &Received) -> Result<Message<'a>, Reject> {
    let whole = text::trim_end(bytes);
    let kept = text::cut(whole, LINE_BYTES_MAX);
    text::check(kept)?;
    let line = kept.strip_prefix(b"\xef\xbb\xbf").unwrap_or(kept);
    let message = match header::priority(line)? {
        Some((priority, rest)) if rfc5424::is_declared(rest) => rfc5424::read(priority, rest, now)?,
        Some((priority, rest)) => rfc3164::read(Some(priority), rest, now)?,
        None => rfc3164::read(None, line, now)?,
    };
    Ok(Message { truncated: kept.len() < whole.len(), ..message })
}
