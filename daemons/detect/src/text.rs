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

/// The pairs of `a=1 b="two words", c=3`, whatever stands between them; a backslash keeps a quote from ending a value.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_once('=')?;
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
        let length = head.bytes().rev().take_while(is_key).count();
        let key = head.get(head.len() - length..).unwrap_or_default();
        let (value, tail) = match tail.strip_prefix('"') {
            Some(inner) => inner.split_at_checked(quote_end(inner)).unwrap_or((inner, "")),
            None => match tail.strip_prefix('\'') {
                // The audit log puts further pairs between single quotes.
                Some(inner) => ("", inner),
                None => {
                    tail.split_once(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()).unwrap_or((tail, ""))
                }
            },
        };
        rest = tail;
        Some((key, value.trim_end_matches([',', ';', '\''])))
    })
}

/// Where the quote that ends a quoted text stands; its end where none does.
pub(crate) fn quote_end(inner: &str) -> usize {
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(inner.len())
}

/// `unknown[192.0.2.7]:4711 ...`: the address in the brackets of the first word.
pub(crate) fn in_brackets(text: &str) -> Option<Actor<'_>> {
    let (token, _rest) = word(text);
    let (_host, inner) = token.split_once('[')?;
    address(inner.split(']').next()?).map(Actor::Address)
}

/// `host (what it calls itself) [192.0.2.7]:4711 ...`: the address in the first brackets outside parentheses.
pub(crate) fn bracketed_word(text: &str) -> Option<Actor<'_>> {
    let mut inside = false;
    for token in text.split(' ').take(WORDS_MAX) {
        if token.starts_with('(') {
            inside = true;
        } else if !inside && let Some(inner) = token.strip_prefix('[') {
            return address(inner.split(']').next()?).map(Actor::Address);
        }
        inside &= !token.trim_end_matches([':', ',', ';']).ends_with(')');
    }
    None
}

/// How many words are looked at for an address.
const WORDS_MAX: usize = 24;

/// The address of an endpoint, as an actor.
pub(crate) fn caller(token: &str) -> Option<Actor<'static>> {
    endpoint(token).map(|(address, _port)| Actor::Address(address))
}

/// Whether a text holds only digits, and some.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first of `starts` that `text` begins with taken off, whatever follows it.
pub(crate) fn strip_any<'a>(text: &'a str, starts: &[&str]) -> Option<&'a str> {
    starts.iter().find_map(|start| text.strip_prefix(start))
}

/// Whether `text` holds any of `words`.
pub(crate) fn holds_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}
