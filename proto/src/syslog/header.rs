//! The pieces that RFC 3164 and its dialects are put together from: PRI, tag, host, and the words
//! that routers put between them.
//!
//! Each piece is recognised only by a form that ordinary text does not have, because a piece wrongly
//! recognised is text lost from the message: a tag ends in `:` and a blank or has its pid in
//! brackets, and a host is believed by what follows it.

use std::net::Ipv6Addr;

use super::message::Priority;
use super::reject::Reject;
use super::text::{ascii, trim_start, word};
use crate::limits::NAME_BYTES_MAX;

/// Longest pid, in bytes, as in RFC 5424.
const PID_BYTES_MAX: usize = 128;

/// Facility names of RFC 5424 table 1 as syslog.conf(5) writes them, by number.
const FACILITIES: [&[u8]; 24] = [
    b"kern",
    b"user",
    b"mail",
    b"daemon",
    b"auth",
    b"syslog",
    b"lpr",
    b"news",
    b"uucp",
    b"cron",
    b"authpriv",
    b"ftp",
    b"ntp",
    b"security",
    b"console",
    b"solaris-cron",
    b"local0",
    b"local1",
    b"local2",
    b"local3",
    b"local4",
    b"local5",
    b"local6",
    b"local7",
];

/// What RFC 3164 section 4.1.3 calls TAG, and the pid after it.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    pub(super) app: &'a str,
    pub(super) pid: Option<&'a str>,
}

/// The number in `<PRI>`, and what follows it; `None` where the input has no PRI. An input claims to
/// have one by `<` and anything but a letter, so that XML is text.
pub(super) fn priority(input: &[u8]) -> Result<Option<(Priority, &[u8])>, Reject> {
    let [b'<', body @ ..] = input else { return Ok(None) };
    if body.first().is_some_and(u8::is_ascii_alphabetic) {
        return Ok(None);
    }
    let count = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = body.split_at_checked(count).unwrap_or((body, &[]));
    match (count, rest) {
        (0, _) => Err(Reject::PriEmpty),
        (4.., _) => Err(Reject::PriTooLong),
        (_, [b'>', rest @ ..]) => {
            let value = digits.iter().fold(0_u16, |value, digit| value * 10 + u16::from(digit - b'0'));
            if value > 191 {
                return Err(Reject::PriOutOfRange);
            }
            Ok(Some((Priority { facility: (value / 8) as u8, severity: (value % 8) as u8 }, rest)))
        }
        _ => Err(Reject::PriUnclosed),
    }
}

/// `daemon.info`, with which busybox and `OpenWrt` write facility and severity in words.
pub(super) fn priority_words(word: &[u8]) -> Option<Priority> {
    let (facility, severity) = word.split_at_checked(memchr::memchr(b'.', word)?)?;
    let severity = match severity.get(1..)? {
        b"emerg" | b"panic" => 0,
        b"alert" => 1,
        b"crit" => 2,
        b"err" | b"error" => 3,
        b"warn" | b"warning" => 4,
        b"notice" => 5,
        b"info" => 6,
        b"debug" => 7,
        _ => return None,
    };
    let facility = FACILITIES.iter().position(|name| *name == facility)? as u8;
    Some(Priority { facility, severity })
}

/// `tag: `, `tag[pid]: ` or `tag[pid] `, and what follows.
pub(super) fn tag(input: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let count = input.iter().take_while(|&&byte| is_tag(byte)).count();
    let (name, rest) = input.split_at_checked(count)?;
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || is_number(name) {
        return None;
    }
    let (pid, text) = match rest {
        [b':'] => (None, &[][..]),
        [b':', b' ' | b'\t', text @ ..] => (None, text),
        [b'[', inner @ ..] => bracketed_pid(inner)?,
        _ => return None,
    };
    // `error: ` and `/index.html: ` begin a text.
    let is_program = pid.is_some() || !(is_severity(name) || name.starts_with(b"/"));
    if is_program { Some((Tag { app: ascii(name)?, pid: pid.filter(|pid| !pid.is_empty()) }, text)) } else { None }
}

/// `pid]: ` or `pid] `, and what follows.
fn bracketed_pid(inner: &[u8]) -> Option<(Option<&str>, &[u8])> {
    let (pid, rest) = inner.split_at_checked(memchr::memchr(b']', inner)?)?;
    let text = match rest {
        [b']', b':', b' ' | b'\t', text @ ..] | [b']', b':' | b' ' | b'\t', text @ ..] => text,
        [b']'] => &[],
        _ => return None,
    };
    Some((Some(ascii(pid).filter(|pid| pid.len() <= PID_BYTES_MAX)?), text))
}

/// `firewall,info `: the topics of a `RouterOS` line, one of which is a severity.
pub(super) fn topics(input: &[u8]) -> Option<(&str, &[u8])> {
    let (topics, text) = word(input);
    memchr::memchr(b',', topics)?;
    let known: [&[u8]; 6] = [b"info", b"warning", b"error", b"critical", b"debug", b"account"];
    let is_topic = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b',' | b'!');
    let found = topics.len() <= NAME_BYTES_MAX
        && topics.iter().all(is_topic)
        && topics.split(|&byte| byte == b',').any(|topic| known.contains(&topic));
    if found { Some((ascii(topics)?, text)) } else { None }
}

/// The word by which a `UniFi` device names itself: `U7PG2,788a20abcdef,v4.0.42:`, sometimes in
/// brackets and quotes. It ends like a tag, and is none.
pub(super) fn unifi(word: &[u8]) -> Option<&str> {
    memchr::memchr(b',', word)?;
    let word = word.strip_suffix(b":").unwrap_or(word);
    let word = word.strip_prefix(b"(\"").and_then(|inner| inner.strip_suffix(b"\")")).unwrap_or(word);
    let is_mac = |part: &[u8]| part.len() == 12 && part.iter().all(u8::is_ascii_hexdigit);
    let found = word.len() <= NAME_BYTES_MAX && word.split(|&byte| byte == b',').any(is_mac);
    if found { ascii(word) } else { None }
}

/// A word that can be a host: a name or an address, without a port.
pub(super) fn host(word: &[u8]) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@');
    let starts = word.first().is_some_and(u8::is_ascii_alphanumeric);
    if starts && word.len() <= NAME_BYTES_MAX && word.iter().all(is_name) && !is_number(word) {
        return ascii(word);
    }
    ascii(word).filter(|word| word.parse::<Ipv6Addr>().is_ok())
}

/// Whether a host is a host although nothing after it says so: it has something that plain words
/// have not. `Interface eth0 is down` must not lose its first word.
pub(super) fn is_host_by_itself(host: &str) -> bool {
    !host.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// What stands without a tag where a tag would stand: words of the logging daemon itself, or a
/// severity.
pub(super) fn is_marker(text: &[u8]) -> bool {
    text.starts_with(b"last message repeated ")
        || text.starts_with(b"message repeated ")
        || text.starts_with(b"-- MARK --")
        || memchr::memchr(b':', word(text).0).is_some_and(|at| text.get(..at).is_some_and(is_severity))
}

/// `ERROR`, `warning`: with a colon they begin a sentence, and name no application.
fn is_severity(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"emerg",
        b"alert",
        b"crit",
        b"critical",
        b"fatal",
        b"err",
        b"error",
        b"warn",
        b"warning",
        b"notice",
        b"info",
        b"information",
        b"debug",
        b"trace",
        b"failure",
        b"success",
    ];
    word.len() <= 11 && WORDS.iter().any(|severity| severity.eq_ignore_ascii_case(word))
}

/// Whether `word` is made of digits alone.
pub(super) fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// `input` after a colon that closes a stamp, where there is one, and after blanks.
pub(super) fn after_stamp(input: &[u8]) -> (bool, &[u8]) {
    match input {
        [b':', rest @ ..] => (true, trim_start(rest)),
        _ => (false, trim_start(input)),
    }
}

fn is_tag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./-()+@#$%~!".contains(&byte)
}
