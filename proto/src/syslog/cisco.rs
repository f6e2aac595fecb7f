//! What Cisco devices put before their text, in the orders that IOS, NX-OS and ASA use.
//!
//! ```text
//! 45: router1: 000046: *Mar  1 00:01:23.456 UTC: %SYS-5-CONFIG_I: Configured from console
//! : 2026 Mar  1 12:00:00 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up
//! Mar 01 2026 12:00:00 fw1 : %ASA-4-106023: Deny tcp src outside:198.51.100.7/4711
//! ```
//!
//! The pieces are taken in any order until the mnemonic, or until a stamp that `*`, `.` or a sequence
//! number marks as Cisco's; without either, nothing was recognised. The mnemonic stays in the text,
//! where people and extractors look for it.

use super::header::{host, is_number};
use super::message::{DeviceStamp, Received};
use super::stamp;
use super::text::{ascii, trim_start, word};

/// Pieces before the text, at most: more than any device sends.
const PIECES_MAX: usize = 8;
/// How far into a line the `%` of a mnemonic is looked for, in bytes.
const MNEMONIC_WITHIN_BYTES: usize = 160;
/// Longest name of a time zone, in bytes.
const ZONE_BYTES_MAX: usize = 5;

/// What stands before the text.
#[derive(Clone, Copy, Default)]
pub(super) struct Lead<'a> {
    pub(super) device_at: Option<DeviceStamp>,
    pub(super) host: Option<&'a str>,
    pub(super) mnemonic: Option<Mnemonic<'a>>,
    is_numbered: bool,
}

/// `%FACILITY-SEVERITY-NAME:` as (facility, all of it without `%`).
#[derive(Clone, Copy)]
pub(super) struct Mnemonic<'a> {
    pub(super) facility: &'a str,
    pub(super) id: &'a str,
}

/// Reads the pieces. `device_at` is the stamp that was read before them, and is kept.
pub(super) fn lead<'a>(
    input: &'a [u8],
    device_at: Option<DeviceStamp>,
    now: &Received,
) -> Option<(Lead<'a>, &'a [u8])> {
    let near = input.get(..MNEMONIC_WITHIN_BYTES).unwrap_or(input);
    let is_likely = matches!(input, [b'0'..=b'9' | b':' | b'*' | b'.', ..]) || memchr::memchr(b'%', near).is_some();
    if !is_likely {
        return None;
    }
    let mut lead = Lead { device_at, ..Lead::default() };
    let mut rest = input;
    for _ in 0..PIECES_MAX {
        rest = trim_start(rest);
        lead.mnemonic = mnemonic(rest);
        if lead.mnemonic.is_some() {
            return Some((lead, rest));
        }
        let Some(next) = lead.take(rest, now) else { break };
        rest = next;
    }
    (lead.is_numbered && device_at.is_none() && lead.device_at.is_some()).then_some((lead, rest))
}

impl<'a> Lead<'a> {
    /// Takes one piece off `input`, if it starts with one.
    fn take(&mut self, input: &'a [u8], now: &Received) -> Option<&'a [u8]> {
        if let [b':', rest @ ..] = input {
            return Some(rest);
        }
        if let Some((at, rest)) = marked_stamp(input, now) {
            self.is_numbered |= matches!(input, [b'*' | b'.', ..]);
            self.device_at = self.device_at.or(Some(at));
            return Some(rest);
        }
        let (piece, rest) = word(input);
        match piece.split_last() {
            Some((b':', name)) if is_number(name) => self.is_numbered = true,
            Some((b':', name)) if is_uptime(name) => {}
            Some((b':', name)) if self.host.is_none() => self.host = Some(host(name)?),
            _ if self.host.is_none() && !self.is_numbered && self.device_at.is_some() => self.host = Some(host(piece)?),
            _ => return None,
        }
        Some(rest)
    }
}

/// `*Mar  1 00:01:23.456 CET:`; the colon ends it, and only before it a zone is a zone.
fn marked_stamp<'a>(input: &'a [u8], now: &Received) -> Option<(DeviceStamp, &'a [u8])> {
    let body = input.strip_prefix(b"*").or(input.strip_prefix(b".")).unwrap_or(input);
    let (rest, at) = stamp::classic(body, now).or_else(|_other| stamp::iso(body, now)).ok()?;
    Some(zone(rest).map_or((at, rest), |(offset_s, rest)| (stamp::with_offset(at, offset_s, now), rest)))
}

/// ` CET:` or ` UTC:`: the offset it stands for, where it is known, and what follows the colon.
pub(super) fn zone(input: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let body = input.strip_prefix(b" ")?;
    let count = body.iter().take(ZONE_BYTES_MAX).take_while(|byte| byte.is_ascii_uppercase()).count();
    let (name, rest) = body.split_at_checked(count).filter(|(name, _)| !name.is_empty())?;
    Some((stamp::zone_offset(name), rest.strip_prefix(b":")?))
}

/// `1d02h`, `3w5d`, `00:00:45`: the time since the device started, which is no moment.
fn is_uptime(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_digit)
        && name.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'y' | b'w' | b'd' | b'h' | b':'))
}

fn mnemonic(input: &[u8]) -> Option<Mnemonic<'_>> {
    let body = input.strip_prefix(b"%")?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = body.iter().position(|byte| !is_name(byte))?;
    let (id, rest) = body.split_at_checked(end)?;
    let severity = id.windows(3).position(|part| matches!(part, [b'-', b'0'..=b'7', b'-']))?;
    let facility = ascii(id.get(..severity)?).filter(|facility| !facility.is_empty())?;
    if rest.first() == Some(&b':') { Some(Mnemonic { facility, id: ascii(id)? }) } else { None }
}
