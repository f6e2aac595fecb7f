//! STRUCTURED-DATA of RFC 5424 section 6.3: checked once, when the message is read, and walked by
//! whoever needs a parameter.
//!
//! ```text
//! [id name="value" name="va\"l\\u\]e"][id2]
//! ```
//!
//! Names are 1 to 32 printable ASCII bytes without `=`, `]`, `"`; values are UTF-8 in which `"`, `\`
//! and `]` are escaped. A `\` before any other character stands for itself, as the RFC says, and so
//! does a bare `]` between quotes: senders forget its escape, and it has one meaning there.

use std::borrow::Cow;

use nom::Parser;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::combinator::recognize;
use nom::multi::{fold_many0, fold_many1};
use nom::sequence::{delimited, preceded, separated_pair};

use super::text::Step;

/// Longest SD-NAME, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// Structured data that is known to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StructuredData<'a>(&'a str);

/// One SD-ELEMENT: an id, and the parameters that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The SD-ID.
    pub id: &'a str,
    params: &'a str,
}

impl<'a> StructuredData<'a> {
    /// As it came, brackets and escapes included.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Its elements, in order. An id may come twice, though the RFC forbids it.
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> {
        let mut rest = self.0.as_bytes();
        std::iter::from_fn(move || {
            let (next, (id, params)) = element(rest).ok()?;
            rest = next;
            Some(Element { id: std::str::from_utf8(id).ok()?, params: std::str::from_utf8(params).ok()? })
        })
    }

    /// The first value of parameter `name` of element `id`.
    pub fn find(self, id: &str, name: &str) -> Option<Cow<'a, str>> {
        let mut params = self.elements().filter(|element| element.id == id).flat_map(Element::params);
        params.find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl<'a> Element<'a> {
    /// Its parameters as (name, value), in order, escapes taken out of the values.
    pub fn params(self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let mut rest = self.params.as_bytes();
        std::iter::from_fn(move || {
            let (next, (name, value)) = param(rest).ok()?;
            rest = next;
            Some((std::str::from_utf8(name).ok()?, unescape(std::str::from_utf8(value).ok()?)))
        })
    }
}

/// Reads one or more elements. Fails where they are malformed or not UTF-8.
pub(super) fn structured_data(input: &[u8]) -> Step<'_, StructuredData<'_>> {
    let (rest, bytes) = recognize(fold_many1(element, || (), |(), _| ())).parse(input)?;
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((rest, StructuredData(text))),
        Err(_not_utf8) => Err(nom::Err::Error(())),
    }
}

/// `[id params]` as (id, params).
fn element(input: &[u8]) -> Step<'_, (&[u8], &[u8])> {
    let params = recognize(fold_many0(param, || (), |(), _| ()));
    delimited(tag(&b"["[..]), (name, params), tag(&b"]"[..])).parse(input)
}

/// ` name="value"` as (name, value with its escapes).
fn param(input: &[u8]) -> Step<'_, (&[u8], &[u8])> {
    let quoted = delimited(tag(&b"\""[..]), value, tag(&b"\""[..]));
    preceded(tag(&b" "[..]), separated_pair(name, tag(&b"="[..]), quoted)).parse(input)
}

fn name(input: &[u8]) -> Step<'_, &[u8]> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    take_while_m_n(1, NAME_BYTES_MAX, allowed).parse(input)
}

/// Everything up to the closing quote, which is left.
fn value(input: &[u8]) -> Step<'_, &[u8]> {
    let mut from = 0;
    loop {
        let tail = input.get(from..).unwrap_or_default();
        let at = from + memchr::memchr2(b'"', b'\\', tail).ok_or(nom::Err::Error(()))?;
        match input.get(at) {
            Some(b'"') => return input.split_at_checked(at).map(|(v, rest)| (rest, v)).ok_or(nom::Err::Error(())),
            Some(b'\\') if matches!(input.get(at + 1), Some(b'"' | b']' | b'\\')) => from = at + 2,
            _ => from = at + 1,
        }
    }
}

/// The value with `\"`, `\\` and `\]` turned into what they stand for.
fn unescape(value: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| matches!(next, '"' | '\\' | ']')) } else { None };
        plain.push(escaped.unwrap_or(c));
    }
    Cow::Owned(plain)
}
