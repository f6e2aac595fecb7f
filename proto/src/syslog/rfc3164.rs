//! RFC 3164 and what is sent in its name: the header in every order and with every part left out.
//!
//! ```text
//! [stamp ][host ][tag[pid]: ]text
//! ```
//!
//! The stamp is found by its form. After it stands a tag, or a host before a tag, or neither; which
//! one is told by what the words look like and what follows them. Where that leaves a doubt the word
//! stays in the text, because nothing may be lost from it.

use super::cisco;
use super::header::{self, Tag};
use super::message::{DeviceStamp, Dialect, Message, Priority, Received};
use super::pairs;
use super::reject::Reject;
use super::stamp;
use super::text::{is_printable, trim_start, word};

/// How far into a line a stamp in brackets is looked for, in bytes.
const BRACKET_WITHIN_BYTES: usize = 256;

/// Reads what follows the PRI, or a whole line that has none.
pub(super) fn read<'a>(priority: Option<Priority>, input: &'a [u8], now: &Received) -> Result<Message<'a>, Reject> {
    let body = trim_start(input);
    let content = match stamped(body, now) {
        Some((dialect, device_at, rest)) => {
            after_stamp(priority.is_some(), Content::text(dialect, Some(device_at), rest), now)
        }
        None => unstamped(priority.is_some(), body, now),
    };
    if priority.is_none() && content.device_at.is_none() && !is_printable(body) {
        return Err(Reject::NotText);
    }
    Ok(content.message(priority))
}

/// What was found so far, and the text that is left.
#[derive(Clone, Copy)]
struct Content<'a> {
    dialect: Dialect,
    priority: Option<Priority>,
    device_at: Option<DeviceStamp>,
    host: Option<&'a str>,
    app: Option<&'a str>,
    pid: Option<&'a str>,
    msgid: Option<&'a str>,
    text: &'a [u8],
    /// Whether something other than text was recognised.
    is_known: bool,
}

impl<'a> Content<'a> {
    fn text(dialect: Dialect, device_at: Option<DeviceStamp>, text: &'a [u8]) -> Self {
        let (priority, host, app, pid, msgid) = (None, None, None, None, None);
        Self { dialect, priority, device_at, host, app, pid, msgid, text, is_known: false }
    }

    fn tagged(self, tag: Tag<'a>, text: &'a [u8]) -> Self {
        Self { app: Some(tag.app), pid: tag.pid, text, is_known: true, ..self }
    }

    fn message(self, pri: Option<Priority>) -> Message<'a> {
        let Self { dialect, device_at, host, app, pid, msgid, .. } = self;
        let bare = Message::bare(pri.or(self.priority).unwrap_or(Priority::DEFAULT), self.text);
        Message { dialect, device_at, host, app, pid, msgid, ..bare }
    }
}

fn stamped<'a>(body: &'a [u8], now: &Received) -> Option<(Dialect, DeviceStamp, &'a [u8])> {
    if body.first().is_some_and(u8::is_ascii_digit)
        && let Ok((rest, at)) = stamp::iso(body, now)
    {
        return Some((Dialect::IsoStamp, at, rest));
    }
    stamp::classic(body, now).ok().map(|(rest, at)| (Dialect::Rfc3164, at, rest))
}

/// Host and tag after the stamp in `blank`.
fn after_stamp<'a>(has_pri: bool, blank: Content<'a>, now: &Received) -> Content<'a> {
    if let Some(content) = zone_and_mnemonic(blank, now) {
        return content;
    }
    let (is_closed, rest) = header::after_stamp(blank.text);
    if let Some(content) = cisco_content(rest, blank.device_at, now) {
        return content;
    }
    let (first, behind) = word(rest);
    let host = header::host(first).filter(|_| !is_closed && header::priority_words(first).is_none());
    let Some(host) = host.filter(|_| !header::is_marker(rest)) else { return inner(blank, rest, now) };
    let named = inner(blank, behind, now);
    if is_host(host, has_pri, &blank, &named) {
        Content { host: Some(host), ..named }
    } else {
        Content { text: rest, ..blank }
    }
}

/// Whether the word between the stamp in `blank` and what reads as `named` is a host, and not the
/// first of the text.
fn is_host(host: &str, has_pri: bool, blank: &Content<'_>, named: &Content<'_>) -> bool {
    let is_iso = blank.dialect == Dialect::IsoStamp;
    // Programs that write their own log put a date without a zone before words that are no host.
    let is_local = is_iso && blank.device_at.is_some_and(|at| at.offset_s.is_none());
    let by_itself = header::is_host_by_itself(host) && (!is_iso || (has_pri && !is_local));
    let by_what_follows = match named.dialect {
        Dialect::KeyValue => false,
        _ if is_local => named.pid.is_some(),
        _ => named.is_known,
    };
    by_itself || by_what_follows
}

/// What can stand after the host, or in its place: priority words, a `UniFi` name, topics, a tag, pairs.
fn inner<'a>(blank: Content<'a>, input: &'a [u8], now: &Received) -> Content<'a> {
    let mut content = Content { text: input, ..blank };
    let (first, behind) = word(input);
    if let Some(priority) = header::priority_words(first) {
        content = Content { priority: Some(priority), text: behind, is_known: true, ..content };
    } else if let Some(name) = header::unifi(first) {
        content = Content { host: Some(name), text: behind, is_known: true, ..content };
    }
    if let Some((tag, text)) = header::tag(content.text) {
        return content.tagged(tag, text);
    }
    if let Some((topics, text)) = header::topics(content.text) {
        return Content { dialect: Dialect::MikroTik, app: Some(topics), text, is_known: true, ..content };
    }
    if pairs::starts(content.text) {
        return paired(content, now);
    }
    Content { is_known: content.is_known || header::is_marker(content.text), ..content }
}

fn paired<'a>(content: Content<'a>, now: &Received) -> Content<'a> {
    let origin = pairs::origin(content.text, now);
    Content {
        dialect: Dialect::KeyValue,
        device_at: content.device_at.or(origin.device_at),
        host: content.host.or(origin.host),
        msgid: origin.msgid,
        is_known: true,
        ..content
    }
}

/// A line that begins with no stamp.
fn unstamped<'a>(has_pri: bool, body: &'a [u8], now: &Received) -> Content<'a> {
    if let Some(content) = cisco_content(body, None, now) {
        return content;
    }
    let content = inner(Content::text(Dialect::Bare, None, body), body, now);
    // Without a PRI `error: no route` is a sentence; `sshd[7]: bye` is a tag anywhere.
    if content.app.is_none() || has_pri || content.pid.is_some() || content.dialect != Dialect::Bare {
        return if content.is_known { content } else { host_and_pid(content, now) };
    }
    Content::text(Dialect::Bare, None, body)
}

/// `host tag[pid]: text`, as `journalctl` prints it without its stamp; or text, perhaps with a stamp
/// in brackets.
fn host_and_pid<'a>(content: Content<'a>, now: &Received) -> Content<'a> {
    let (first, behind) = word(content.text);
    match (header::host(first), header::tag(behind)) {
        (Some(host), Some((tag @ Tag { pid: Some(_), .. }, text))) => {
            Content { host: Some(host), ..content.tagged(tag, text) }
        }
        _ => Content { device_at: bracketed(content.text, now), ..content },
    }
}

fn bracketed(text: &[u8], now: &Received) -> Option<DeviceStamp> {
    let near = text.get(..BRACKET_WITHIN_BYTES).unwrap_or(text);
    let at = memchr::memchr(b'[', near)?;
    stamp::bracketed(text.get(at..)?, now).ok().map(|(_, stamp)| stamp)
}

/// ` CET: %FACILITY-...`: a zone, and no tag in capitals, because a mnemonic follows it.
fn zone_and_mnemonic<'a>(blank: Content<'a>, now: &Received) -> Option<Content<'a>> {
    let (offset_s, rest) = cisco::zone(blank.text)?;
    let at = blank.device_at.map(|at| stamp::with_offset(at, offset_s, now));
    cisco_content(rest, at, now)
}

fn cisco_content<'a>(input: &'a [u8], at: Option<DeviceStamp>, now: &Received) -> Option<Content<'a>> {
    let (lead, rest) = cisco::lead(input, at, now)?;
    let blank = Content { host: lead.host, ..Content::text(Dialect::Cisco, lead.device_at, rest) };
    let Some(mnemonic) = lead.mnemonic else {
        return Some(Content { dialect: Dialect::Cisco, ..inner(blank, rest, now) });
    };
    Some(Content { app: Some(mnemonic.facility), msgid: Some(mnemonic.id), is_known: true, ..blank })
}
