//! `key=value` lines, as FortiGate, `SonicWall`, Sophos and many services write them.
//!
//! ```text
//! date=2026-03-01 time=12:00:00 tz="+0100" devname="gw" logid="0000000013" type="traffic" ...
//! time="2026-03-01T12:00:00+01:00" level=error msg="..."
//! ```
//!
//! Only what a header would have held is taken: the time, the device's name, the log id. The text
//! stays whole, for the extractors.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while_m_n};
use nom::sequence::{delimited, separated_pair};

use super::message::{DeviceStamp, Received};
use super::stamp;
use super::text::{Step, ascii, trim_start};

/// Pairs at the front of a line that are looked at.
const PAIRS_MAX: usize = 16;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// What the pairs say of their origin.
#[derive(Clone, Copy, Default)]
pub(super) struct Origin<'a> {
    pub(super) device_at: Option<DeviceStamp>,
    pub(super) host: Option<&'a str>,
    pub(super) msgid: Option<&'a str>,
}

/// Whether the line begins with a pair.
pub(super) fn starts(input: &[u8]) -> bool {
    pair(input).is_ok()
}

/// Looks for time, device and log id among the first pairs.
pub(super) fn origin<'a>(input: &'a [u8], now: &Received) -> Origin<'a> {
    let mut origin = Origin::default();
    let (mut date, mut time, mut zone): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    let mut rest = input;
    for _ in 0..PAIRS_MAX {
        let Ok((next, (key, value))) = pair(rest) else { break };
        rest = trim_start(next);
        match key {
            b"date" => date = value,
            b"time" | b"timestamp" if time.is_empty() => time = value,
            b"tz" => zone = value,
            b"devname" | b"device_name" => origin.host = ascii(value).filter(|name| !name.is_empty()),
            b"logid" | b"log_id" => origin.msgid = ascii(value),
            _ => {}
        }
    }
    origin.device_at = moment(date, time, zone, now);
    origin
}

/// `date` and `time` in two pairs, or all of it in `time`.
fn moment(date: &[u8], time: &[u8], zone: &[u8], now: &Received) -> Option<DeviceStamp> {
    if time.is_empty() {
        return None;
    }
    let joined = [date, time].join(&b' ');
    let (rest, at) = stamp::iso(trim_start(&joined), now).ok()?;
    let named = stamp::zone_offset(trim_start(rest));
    let offset_s = named.or_else(|| stamp::numeric_offset(zone).ok().map(|(_, offset_s)| offset_s));
    Some(stamp::with_offset(at, offset_s, now))
}

/// `key=value` or `key="value"`.
fn pair(input: &[u8]) -> Step<'_, (&[u8], &[u8])> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let key = take_while_m_n(1, KEY_BYTES_MAX, is_key);
    let quoted = delimited(tag(&b"\""[..]), take_till(|byte| byte == b'"'), tag(&b"\""[..]));
    separated_pair(key, tag(&b"="[..]), alt((quoted, take_till(|byte| byte == b' ')))).parse(input)
}
