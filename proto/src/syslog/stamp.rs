//! The stamps that stand in messages, and what moment they name.
//!
//! ```text
//! Mar  1 12:00:00[.123]           RFC 3164, and Cisco with milliseconds
//! Mar  1 2026 12:00:00            Cisco ASA
//! [Sun ]Mar  1 12:00:00 [CET ]2026  ctime, OpenWrt, date(1)
//! 2026 Mar  1 12:00:00            NX-OS
//! 2026-03-01T12:00:00.123456+01:00  ISO 8601, with T or a blank, - or /, . or a comma
//! 01/Mar/2026:12:00:00 +0100      web servers, in brackets
//! ```
//!
//! A stamp without a zone is read in the receiver's. One without a year gets the latest year that
//! does not put it more than a day ahead of the time of receipt. What is no real date is no stamp.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while_m_n, take_while1};
use nom::character::complete::{char, one_of, space1};
use nom::combinator::{opt, peek, value, verify};
use nom::sequence::{delimited, preceded, terminated};

use super::message::{DeviceStamp, Received};
use super::text::Step;

/// How far ahead of the time of receipt a stamp without a year may be, in milliseconds.
const AHEAD_MS_MAX: i64 = 86_400_000;
/// Years to go back for a day that exists: February 29 comes again after at most eight.
const YEARS_BACK_MAX: i16 = 8;

/// The fields of a stamp as they were written.
struct Written {
    year: Option<i16>,
    month: i8,
    day: i8,
    time: Clock,
    offset_s: Option<i32>,
}

/// A time of day.
#[derive(Clone, Copy)]
struct Clock {
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
}

impl Written {
    fn resolve(&self, now: &Received) -> Option<DeviceStamp> {
        let shift_ms = i64::from(self.offset_s.unwrap_or(now.utc_offset_s)) * 1000;
        let local_ms = match self.year {
            Some(year) => self.local_ms(year),
            None => self.latest_ms(now.unix_ms.saturating_add(shift_ms)),
        };
        Some(DeviceStamp { unix_ms: local_ms? - shift_ms, offset_s: self.offset_s })
    }

    /// As `local_ms`, in the latest year that is not too far ahead of `now_ms` on the same clock.
    fn latest_ms(&self, now_ms: i64) -> Option<i64> {
        let this_year = Offset::UTC.to_datetime(Timestamp::from_millisecond(now_ms).ok()?).year();
        // Only a stamp of January can be of the year that has not begun.
        let newest = this_year + i16::from(self.month == 1);
        let years = (0..=YEARS_BACK_MAX + 1).map(|back| newest - back);
        years.filter_map(|year| self.local_ms(year)).find(|&local_ms| local_ms - now_ms <= AHEAD_MS_MAX)
    }

    /// Milliseconds since 1970 on the clock that wrote the stamp.
    fn local_ms(&self, year: i16) -> Option<i64> {
        let Clock { hour, minute, second, nanosecond } = self.time;
        let date = Date::new(year, self.month, self.day).ok()?;
        let time = Time::new(hour, minute, second, nanosecond).ok()?;
        Offset::UTC.to_timestamp(DateTime::from_parts(date, time)).ok().map(Timestamp::as_millisecond)
    }
}

/// TIMESTAMP of RFC 5424 section 6.2.3, to the letter: `T` and `Z` in capitals, at most six digits
/// of a second, no leap second.
pub(super) fn rfc5424<'a>(input: &'a [u8], now: &Received) -> Step<'a, DeviceStamp> {
    let (rest, (year, _, month, _, day, _)) =
        (digits(4, 4), char('-'), digits(2, 2), char('-'), digits(2, 2), char('T')).parse(input)?;
    let (rest, (hour, _, minute, _, second)) =
        (digits(2, 2), char(':'), digits(2, 2), char(':'), digits(2, 2)).parse(rest)?;
    let (rest, nanosecond) = opt(preceded(char('.'), fraction(6))).parse(rest)?;
    let (rest, offset_s) = alt((value(0, char('Z')), colon_offset)).parse(rest)?;
    let time =
        Clock { hour: hour as i8, minute: minute as i8, second: second as i8, nanosecond: nanosecond.unwrap_or(0) };
    let written =
        Written { year: Some(year as i16), month: month as i8, day: day as i8, time, offset_s: Some(offset_s) };
    found(rest, &written, now)
}

/// A stamp with a month's name: RFC 3164 and its kin.
pub(super) fn classic<'a>(input: &'a [u8], now: &Received) -> Step<'a, DeviceStamp> {
    // Nearly every other line fails here, on its first letter.
    let (input, _) = opt(terminated(weekday, space1)).parse(input)?;
    let (rest, year_first) = opt(terminated(year, space1)).parse(input)?;
    let (rest, (month, _, day, _)) = (month, space1, digits(1, 2), space1).parse(rest)?;
    let (rest, year_middle) = opt(terminated(year, space1)).parse(rest)?;
    let (rest, time) = clock(rest)?;
    let (rest, year_last) = opt(preceded(char(' '), year_after)).parse(rest)?;
    let (zone, year_last) = year_last.unzip();
    let written = Written {
        year: year_first.or(year_middle).or(year_last),
        month,
        day: day as i8,
        time,
        offset_s: zone.flatten().and_then(zone_offset),
    };
    found(rest, &written, now)
}

/// A stamp in the order year, month, day, all in digits.
pub(super) fn iso<'a>(input: &'a [u8], now: &Received) -> Step<'a, DeviceStamp> {
    let (rest, (year, dash)) = (digits(4, 4), one_of("-/")).parse(input)?;
    let (rest, (month, _, day, _)) = (digits(2, 2), char(dash), digits(2, 2), one_of("T ")).parse(rest)?;
    let (rest, time) = clock(rest)?;
    let spaced = preceded(char(' '), numeric_offset);
    let (rest, offset_s) = opt(alt((value(0, char('Z')), numeric_offset, spaced))).parse(rest)?;
    let written = Written { year: Some(year as i16), month: month as i8, day: day as i8, time, offset_s };
    found(rest, &written, now)
}

/// A stamp in brackets, such as a web server writes it after the client's address, or before all else.
pub(super) fn bracketed<'a>(input: &'a [u8], now: &Received) -> Step<'a, DeviceStamp> {
    let inner = alt((|i| web(i, now), |i| classic(i, now), |i| iso(i, now)));
    delimited(char('['), inner, char(']')).parse(input)
}

fn web<'a>(input: &'a [u8], now: &Received) -> Step<'a, DeviceStamp> {
    let (rest, (day, _, month, _, year, _)) =
        (digits(2, 2), char('/'), month, char('/'), digits(4, 4), char(':')).parse(input)?;
    let (rest, time) = clock(rest)?;
    let (rest, offset_s) = opt(preceded(char(' '), numeric_offset)).parse(rest)?;
    found(rest, &Written { year: Some(year as i16), month, day: day as i8, time, offset_s }, now)
}

/// The offset that a zone's name stands for. Only the names that mean one thing everywhere are known.
pub(super) fn zone_offset(name: &[u8]) -> Option<i32> {
    matches!(name, b"UTC" | b"GMT" | b"Z").then_some(0)
}

/// `+01:00` or `+0100`, in seconds.
pub(super) fn numeric_offset(input: &[u8]) -> Step<'_, i32> {
    let (rest, (sign, hours, _, minutes)) = (one_of("+-"), digits(2, 2), opt(char(':')), digits(2, 2)).parse(input)?;
    seconds(rest, sign, hours, minutes)
}

fn colon_offset(input: &[u8]) -> Step<'_, i32> {
    let (rest, (sign, hours, _, minutes)) = (one_of("+-"), digits(2, 2), char(':'), digits(2, 2)).parse(input)?;
    seconds(rest, sign, hours, minutes)
}

fn seconds(rest: &[u8], sign: char, hours: u32, minutes: u32) -> Step<'_, i32> {
    let seconds = (hours * 3600 + minutes * 60) as i32;
    if hours > 23 || minutes > 59 {
        return Err(nom::Err::Error(()));
    }
    Ok((rest, if sign == '-' { -seconds } else { seconds }))
}

/// The moment that was written, unless the stamp runs on into something else.
fn found<'a>(rest: &'a [u8], written: &Written, now: &Received) -> Step<'a, DeviceStamp> {
    if !matches!(rest, [] | [b' ' | b'\t' | b':' | b'"' | b']' | b',', ..]) {
        return Err(nom::Err::Error(()));
    }
    written.resolve(now).map(|stamp| (rest, stamp)).ok_or(nom::Err::Error(()))
}

/// `hh:mm:ss`, with a fraction where there is one. A leap second counts as the second before it.
fn clock(input: &[u8]) -> Step<'_, Clock> {
    let (rest, (hour, _, minute, _, second)) =
        (digits(1, 2), char(':'), digits(2, 2), char(':'), digits(2, 2)).parse(input)?;
    let (rest, nanosecond) = opt(preceded(one_of(".,"), fraction(9))).parse(rest)?;
    let second = if second == 60 { 59 } else { second };
    let nanosecond = nanosecond.unwrap_or(0);
    Ok((rest, Clock { hour: hour as i8, minute: minute as i8, second: second as i8, nanosecond }))
}

/// A year as people write it, so that no other number of four digits is taken for one.
fn year(input: &[u8]) -> Step<'_, i16> {
    verify(digits(4, 4), |year| (1970..2100).contains(year)).map(|year| year as i16).parse(input)
}

/// A year that follows the time, with the zone's name before it where there is one.
fn year_after(input: &[u8]) -> Step<'_, (Option<&[u8]>, i16)> {
    let zone = terminated(take_while_m_n(3, 5, |b: u8| b.is_ascii_uppercase()), char(' '));
    terminated((opt(zone), year), alt((peek(take(1_usize)).and_then(one_of(" :]")), nom::combinator::eof.map(|_| ' '))))
        .parse(input)
}

fn weekday(input: &[u8]) -> Step<'_, &[u8]> {
    alt((tag("Mon"), tag("Tue"), tag("Wed"), tag("Thu"), tag("Fri"), tag("Sat"), tag("Sun"))).parse(input)
}

fn month(input: &[u8]) -> Step<'_, i8> {
    let Some((name, rest)) = input.split_first_chunk::<3>() else { return Err(nom::Err::Error(())) };
    let number = match &name.map(|byte| byte.to_ascii_lowercase()) {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return Err(nom::Err::Error(())),
    };
    Ok((rest, number))
}

/// `least` to `most` digits (nine at most), none following.
fn digits<'a>(least: usize, most: usize) -> impl Parser<&'a [u8], Output = u32, Error = ()> {
    take_while_m_n(least, most, |byte: u8| byte.is_ascii_digit())
        .map(|text: &[u8]| text.iter().fold(0, |number, byte| number * 10 + u32::from(byte - b'0')))
}

/// A fraction of a second of 1 to `most` digits, in nanoseconds.
fn fraction<'a>(most: usize) -> impl Parser<&'a [u8], Output = i32, Error = ()> {
    verify(take_while1(|byte: u8| byte.is_ascii_digit()), move |text: &[u8]| text.len() <= most).map(|text: &[u8]| {
        let places = text.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        places.fold(0, |number, byte| number * 10 + i32::from(byte - b'0'))
    })
}

/// Whether `input` begins with the stamp of RFC 3164, whatever its numbers.
pub(super) fn is_classic(input: &[u8]) -> bool {
    (month, space1, digits(1, 2), space1, clock).parse(input).is_ok()
}

/// `at` moved to the offset that was found after it, where it had none of its own.
pub(super) fn with_offset(at: DeviceStamp, offset_s: Option<i32>, now: &Received) -> DeviceStamp {
    match (at.offset_s, offset_s) {
        (None, Some(offset_s)) => {
            let moved_ms = (i64::from(now.utc_offset_s) - i64::from(offset_s)) * 1000;
            DeviceStamp { unix_ms: at.unix_ms + moved_ms, offset_s: Some(offset_s) }
        }
        _ => at,
    }
}
