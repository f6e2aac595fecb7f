//! RFC 5424, to the letter.
//!
//! ```text
//! <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA[ MSG]
//! ```
//!
//! A message that declares itself to be this is held to it: one that breaks the grammar is an error
//! and is never read again as RFC 3164, where its fields would land in the wrong places.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::take_while_m_n;
use nom::character::complete::char;
use nom::combinator::value;
use nom::sequence::{preceded, terminated};

use super::message::{DeviceStamp, Dialect, Message, Priority, Received};
use super::reject::Reject;
use super::stamp;
use super::structured::{StructuredData, structured_data};
use super::text::{Step, ascii, word};

/// What stands between VERSION and MSGID, nil as `None`.
struct Fields<'a> {
    host: Option<&'a str>,
    app: Option<&'a str>,
    pid: Option<&'a str>,
    msgid: Option<&'a str>,
}

/// Whether what follows the PRI declares itself RFC 5424: one or two digits, and then the end, or a
/// blank and a nil or something like a date.
pub(super) fn is_declared(input: &[u8]) -> bool {
    let ([b'0'..=b'9', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..]) = input else { return false };
    match rest {
        [] => true,
        [b' ', rest @ ..] => is_nil(rest) || is_date(rest),
        _ => false,
    }
}

/// Reads what follows the PRI of a message for which [`is_declared`] holds.
pub(super) fn read<'a>(priority: Priority, input: &'a [u8], now: &Received) -> Result<Message<'a>, Reject> {
    let (version, rest) = word(input);
    if version != b"1" {
        return Err(Reject::Version);
    }
    if rest.is_empty() {
        return Err(Reject::Header);
    }
    let (rest, device_at) = time(rest, now).map_err(|_malformed| Reject::Time)?;
    let (rest, fields) = fields(rest).map_err(|_malformed| Reject::Header)?;
    let (rest, structured_data) = structure(rest).map_err(|_malformed| Reject::StructuredData)?;
    let text = match rest {
        [] => rest,
        [b' ', text @ ..] => text,
        _ => return Err(Reject::StructuredData),
    };
    let Fields { host, app, pid, msgid } = fields;
    let bare = Message::bare(priority, text);
    Ok(Message { dialect: Dialect::Rfc5424, device_at, host, app, pid, msgid, structured_data, ..bare })
}

fn is_nil(input: &[u8]) -> bool {
    matches!(input, [b'-'] | [b'-', b' ', ..])
}

/// A year with a month after it, in any of the forms senders use, or the stamp of RFC 3164.
fn is_date(input: &[u8]) -> bool {
    let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match input.get(digits) {
        Some(b'-' | b'/') => digits == 4,
        Some(b'T') => digits == 8,
        _ => stamp::is_classic(input),
    }
}

/// A blank is missing where the header ends with the time; that is a fault of the header.
fn time<'a>(input: &'a [u8], now: &Received) -> Step<'a, Option<DeviceStamp>> {
    let (rest, at) = alt((value(None, char('-')), (|i| stamp::rfc5424(i, now)).map(Some))).parse(input)?;
    if matches!(rest, [] | [b' ', ..]) { Ok((rest, at)) } else { Err(nom::Err::Error(())) }
}

fn fields(input: &[u8]) -> Step<'_, Fields<'_>> {
    let all = (field(255), field(48), field(128), field(32));
    let (rest, (host, app, pid, msgid)) = preceded(char(' '), all).parse(input)?;
    Ok((rest, Fields { host, app, pid, msgid }))
}

/// One to `bytes_max` printable ASCII bytes and the blank that ends them.
fn field<'a>(bytes_max: usize) -> impl Parser<&'a [u8], Output = Option<&'a str>, Error = ()> {
    terminated(take_while_m_n(1, bytes_max, |byte: u8| byte.is_ascii_graphic()), char(' '))
        .map(|text: &[u8]| ascii(text).filter(|text| *text != "-"))
}

fn structure(input: &[u8]) -> Step<'_, Option<StructuredData<'_>>> {
    alt((value(None, char('-')), structured_data.map(Some))).parse(input)
}
