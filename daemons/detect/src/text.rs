//! Taking log text apart by its edges: addresses, endpoints, fields, fixed words.
//!
//! What a log line holds between its fixed words was often chosen by somebody outside: a user name
//! may read `x from 1.2.3.4`. So the extractors cut from the end that the application writes last,
//! and the helpers here never search for something that merely looks like an address. Nothing
//! allocates, nothing scans a text more than a fixed number of times.

use std::net::IpAddr;

use nms_proto::extraction::Actor;

/// The longest token that may be an address with zone, brackets and port, in bytes.
const ADDRESS_BYTES_MAX: usize = 64;
/// The longest host name (RFC 1035 section 2.3.4), in bytes.
const HOST_BYTES_MAX: usize = 253;

/// The address a whole token stands for: brackets and a zone are taken off, an IPv4 address mapped into IPv6 is IPv4.
pub(crate) fn address(token: &str) -> Option<IpAddr> {
    let first = *token.as_bytes().first()?;
    if token.len() > ADDRESS_BYTES_MAX || !(first.is_ascii_hexdigit() || first == b':' || first == b'[') {
        return None;
    }
    let token = token.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(token);
    let token = token.split_once('%').map_or(token, |(plain, _zone)| plain);
    token.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// `1.2.3.4`, `1.2.3.4:22`, `::1`, `[::1]:22`: an address and its port, where it has one.
pub(crate) fn endpoint(token: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some(address) = address(token) {
        return Some((address, None));
    }
    let (head, port) = token.rsplit_once(':')?;
    Some((address(head)?, Some(port.parse().ok()?)))
}

/// The address, or else the host name, that a whole token stands for.
pub(crate) fn peer(token: &str) -> Option<Actor<'_>> {
    if let Some(address) = address(token) {
        return Some(Actor::Address(address));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let named = !token.is_empty() && token.len() <= HOST_BYTES_MAX && token.bytes().all(fits);
    named.then_some(Actor::Name(token))
}

/// A local name as an actor; none where it is empty.
pub(crate) fn name(text: &str) -> Option<Actor<'_>> {
    (!text.is_empty()).then_some(Actor::Name(text))
}

/// The text after the first `start`.
pub(crate) fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start).map(|(_head, tail)| tail)
}

/// The text after the first `start` and before the next `end`, or to the end of the text.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let tail = after(text, start)?;
    Some(tail.split_once(end).map_or(tail, |(value, _rest)| value))
}

/// The text up to the first space, and what follows it.
pub(crate) fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// What stands inside the first pair of `quote`s of `text`.
pub(crate) fn quoted(text: &str, quote: char) -> Option<&str> {
    let (_head, tail) = text.split_once(quote)?;
    tail.split_once(quote).map(|(inner, _rest)| inner)
}

/// Whether `text` starts with `prefix`, letters in any case.
pub(crate) fn starts(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// At most `bytes` of `text`, cut at a character.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// `HEAD A port N` or `HEAD A` as OpenSSH ends its lines: the head and the address or host.
pub(crate) fn ends_with_peer(text: &str) -> Option<(&str, Actor<'_>)> {
    let text = match text.rsplit_once(" port ") {
        Some((head, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => head,
        _ => text,
    };
    let (head, token) = text.rsplit_once(' ').unwrap_or(("", text));
    Some((head, peer(token)?))
}
