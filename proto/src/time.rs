//! Time as the system speaks of it: ticks for waiting, stamps for what happened when.
//!
//! A [`Tick`] comes from the monotonic clock and is used for deadlines, delays and rates. A
//! [`Stamp`] is civil time with the UTC offset of whoever saw the event, and is what travels and is
//! shown. The two never mix: a clock that jumps moves stamps and leaves deadlines alone. Nothing
//! here reads a clock.

use std::fmt;

use jiff::{Timestamp, civil, tz::Offset};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds of a monotonic clock with an arbitrary zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `ms` milliseconds later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since the Unix epoch with the offset from UTC at the place of observation.
///
/// Written as RFC 3339 with milliseconds: `2026-01-05T15:30:04.812+01:00`, with `Z` for offset 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// Minutes east of UTC.
    pub offset_min: i16,
}

/// Why a text is no RFC 3339 stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampError;

impl fmt::Display for StampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time such as 2026-01-05T14:30:00Z")
    }
}

impl std::error::Error for StampError {}

/// First and last millisecond that can be written: the begin of the year 0, and 9999-12-30T22:00:00Z, the last
/// second of the calendar ([`Timestamp::MAX`]), which leaves room for every offset before the year 10000.
const UNIX_MS_RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_207_200_000;
const OFFSET_MIN_MAX: i16 = 18 * 60;

impl Stamp {
    /// A stamp in UTC.
    pub fn utc(unix_ms: i64) -> Self {
        Self { unix_ms, offset_min: 0 }
    }

    /// A moment that somebody else named, with an offset from UTC in seconds, brought to what can be written: the years
    /// 0 to 9999 (but for the last day and a half), at most 18 hours from UTC.
    pub fn bounded(unix_ms: i64, offset_s: i32) -> Self {
        let most = i32::from(OFFSET_MIN_MAX);
        let offset_min = (offset_s / 60).clamp(-most, most) as i16;
        let unix_ms = unix_ms.clamp(*UNIX_MS_RANGE.start(), *UNIX_MS_RANGE.end());
        let has_year = UNIX_MS_RANGE.contains(&(unix_ms + i64::from(offset_min) * 60_000));
        Self { unix_ms, offset_min: if has_year { offset_min } else { 0 } }
    }

    /// Hour of day (0..=23) and day of week (0 is Monday) where the event was seen.
    pub fn local_hour_and_weekday(self) -> (u8, u8) {
        let local_s = self.unix_ms.div_euclid(1_000) + i64::from(self.offset_min) * 60;
        let day = local_s.div_euclid(86_400);
        let hour = local_s.rem_euclid(86_400) / 3_600;
        (hour as u8, (day + 3).rem_euclid(7) as u8)
    }

    /// Reads RFC 3339 (section 5.6), with any number of fraction digits and `T`, `t` or a space.
    pub fn parse(text: &str) -> Result<Self, StampError> {
        let mut cut = Cut(text.as_bytes());
        let year = cut.digits(4)?;
        cut.byte(b"-")?;
        let month = cut.digits(2)?;
        cut.byte(b"-")?;
        let day = cut.digits(2)?;
        cut.byte(b"Tt ")?;
        let hour = cut.digits(2)?;
        cut.byte(b":")?;
        let minute = cut.digits(2)?;
        cut.byte(b":")?;
        let second = cut.digits(2)?;
        let ms = cut.fraction_ms()?;
        let offset_min = cut.offset_min()?;
        let date = civil::Date::new(year, month as i8, day as i8).map_err(|_e| StampError)?;
        // A leap second (60) is taken as the last one that the calendar has.
        let time = civil::Time::new(hour as i8, minute as i8, second.min(59) as i8, 0).map_err(|_e| StampError)?;
        let utc = Offset::UTC.to_timestamp(date.to_datetime(time)).map_err(|_e| StampError)?;
        let unix_ms = utc.as_millisecond() + ms - i64::from(offset_min) * 60_000;
        if second > 60 || !UNIX_MS_RANGE.contains(&unix_ms) {
            return Err(StampError);
        }
        Ok(Self { unix_ms, offset_min })
    }

    /// The stamp as RFC 3339 text, in `buffer`.
    fn write(self, buffer: &mut [u8; 29]) -> &str {
        let ms = self.unix_ms.clamp(*UNIX_MS_RANGE.start(), *UNIX_MS_RANGE.end());
        let offset = self.offset_min.clamp(-OFFSET_MIN_MAX, OFFSET_MIN_MAX);
        let local = (ms + i64::from(offset) * 60_000).clamp(*UNIX_MS_RANGE.start(), *UNIX_MS_RANGE.end());
        let time = Timestamp::from_millisecond(local).unwrap_or_default();
        let at = Offset::UTC.to_datetime(time);
        let mut put = Put { buffer, len: 0 };
        put.digits(at.year().unsigned_abs().into(), 4, b'-');
        put.digits(at.month().unsigned_abs().into(), 2, b'-');
        put.digits(at.day().unsigned_abs().into(), 2, b'T');
        put.digits(at.hour().unsigned_abs().into(), 2, b':');
        put.digits(at.minute().unsigned_abs().into(), 2, b':');
        put.digits(at.second().unsigned_abs().into(), 2, b'.');
        let zone = match offset.signum() {
            0 => b'Z',
            1 => b'+',
            _ => b'-',
        };
        put.digits(local.rem_euclid(1_000).unsigned_abs() as u32, 3, zone);
        if offset != 0 {
            let minutes = u32::from(offset.unsigned_abs());
            put.digits(minutes / 60, 2, b':');
            put.digits(minutes % 60, 2, 0);
        }
        put.text()
    }
}

/// Writes fixed-width numbers, each followed by a separator.
struct Put<'a> {
    buffer: &'a mut [u8; 29],
    len: usize,
}

impl<'a> Put<'a> {
    fn digits(&mut self, mut value: u32, width: usize, separator: u8) {
        if let Some(place) = self.buffer.get_mut(self.len..self.len + width) {
            for digit in place.iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        self.len += width;
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = separator;
            self.len += 1;
        }
    }

    fn text(self) -> &'a str {
        let written = self.buffer.get(..self.len).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

/// Takes a text apart from its front.
struct Cut<'a>(&'a [u8]);

impl Cut<'_> {
    fn digits(&mut self, width: usize) -> Result<i16, StampError> {
        let (head, rest) = self.0.split_at_checked(width).ok_or(StampError)?;
        let mut value = 0i16;
        for &byte in head {
            if !byte.is_ascii_digit() {
                return Err(StampError);
            }
            value = value * 10 + i16::from(byte - b'0');
        }
        self.0 = rest;
        Ok(value)
    }

    fn byte(&mut self, one_of: &[u8]) -> Result<u8, StampError> {
        let (&first, rest) = self.0.split_first().ok_or(StampError)?;
        if !one_of.contains(&first) {
            return Err(StampError);
        }
        self.0 = rest;
        Ok(first)
    }

    fn fraction_ms(&mut self) -> Result<i64, StampError> {
        if self.byte(b".").is_err() {
            return Ok(0);
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).ok_or(StampError)?;
        if digits.is_empty() {
            return Err(StampError);
        }
        self.0 = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Ok(padded.take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn offset_min(&mut self) -> Result<i16, StampError> {
        let sign = self.byte(b"Zz+-")?;
        let minutes = if sign == b'+' || sign == b'-' {
            let hours = self.digits(2)?;
            self.byte(b":")?;
            let minutes = self.digits(2)?;
            if minutes > 59 {
                return Err(StampError);
            }
            hours * 60 + minutes
        } else {
            0
        };
        if !self.0.is_empty() || minutes > OFFSET_MIN_MAX {
            return Err(StampError);
        }
        Ok(if sign == b'-' { -minutes } else { minutes })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; 29]))
    }
}

impl std::str::FromStr for Stamp {
    type Err = StampError;
    fn from_str(text: &str) -> Result<Self, StampError> {
        Self::parse(text)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 29]))
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Stamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Stamp, E> {
                Stamp::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
