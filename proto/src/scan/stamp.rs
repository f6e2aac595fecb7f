//! Timestamps inside a message, recognised at a place without a regular expression.
//!
//! Only the extent matters: a stamp is masked, never read. ISO 8601 and its near relations, RFC 3164
//! with and without a year, the common log format (whose `12/Mar/2026:10:11:12` must not pass for an
//! IPv6 address), and a bare time of day.

/// A place in a message that moves on over what it recognises.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn digits(self, least: usize, most: usize) -> Option<Self> {
        let count = self.rest.iter().take(most + 1).take_while(|b| b.is_ascii_digit()).count();
        if count < least || count > most { None } else { self.skip(count) }
    }

    fn skip(self, count: usize) -> Option<Self> {
        self.rest.get(count..).map(|rest| Self { rest })
    }

    fn one_of(self, set: &[u8]) -> Option<Self> {
        let first = self.rest.first()?;
        if set.contains(first) { self.skip(1) } else { None }
    }

    fn month(self) -> Option<Self> {
        let name: &[u8] = self.rest.get(..3)?;
        is_month(name).then_some(())?;
        self.skip(3)
    }

    /// `hh:mm:ss` with an optional fraction; also `hh.mm.ss`.
    fn clock(self) -> Option<Self> {
        let separator: &'a [u8] = self.rest.get(2..3)?;
        if separator != b":" && separator != b"." {
            return None;
        }
        let end = self.digits(2, 2)?.one_of(separator)?.digits(2, 2)?.one_of(separator)?.digits(2, 2)?;
        Some(end.one_of(b".,").and_then(|c| c.digits(1, 9)).unwrap_or(end))
    }

    /// `Z`, `+hh:mm`, `+hhmm`, with or without a space before it.
    fn zone(self) -> Self {
        let at = self.one_of(b" ").unwrap_or(self);
        let offset = at.one_of(b"+-").and_then(|c| c.digits(2, 4)).map(|c| {
            let minutes = c.one_of(b":").and_then(|m| m.digits(2, 2));
            minutes.unwrap_or(c)
        });
        offset.or_else(|| self.one_of(b"Zz")).unwrap_or(self)
    }
}

/// Whether `name` is the English three-letter name of a month.
pub(super) fn is_month(name: &[u8]) -> bool {
    matches!(
        name,
        b"Jan" | b"Feb" | b"Mar" | b"Apr" | b"May" | b"Jun" | b"Jul" | b"Aug" | b"Sep" | b"Oct" | b"Nov" | b"Dec"
    )
}

/// Length in bytes of the timestamp that `text` begins with.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    let start = Cursor { rest: text };
    let end = if text.first()?.is_ascii_digit() { numeric(start) } else { rfc3164(start) }?;
    // A longer run of digits or letters behind it makes it something else.
    if end.rest.first().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    Some(text.len() - end.rest.len())
}

fn numeric(start: Cursor<'_>) -> Option<Cursor<'_>> {
    match start.rest.get(2)? {
        b':' => start.clock().map(Cursor::zone),
        b'/' => common_log(start).or_else(|| slashed(start)),
        _ => iso(start),
    }
}

/// `2026-03-12T10:11:12.5Z`, `2026/03/12 10:11:12`, `2026-03-12-10.11.12.000001`, or the date alone.
fn iso(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let year = start.digits(4, 4)?;
    let separator = year.rest.get(..1)?;
    let date = year.one_of(b"-/")?.digits(2, 2)?.one_of(separator)?.digits(2, 2)?;
    Some(with_clock(date))
}

/// `17/06/09 20:10:40`, `12/03/2026`.
fn slashed(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let date = start.digits(2, 2)?.one_of(b"/")?.digits(2, 2)?.one_of(b"/")?.digits(2, 4)?;
    Some(with_clock(date))
}

fn with_clock(date: Cursor<'_>) -> Cursor<'_> {
    date.one_of(b"T t-").and_then(Cursor::clock).map_or(date, Cursor::zone)
}

/// `12/Mar/2026:10:11:12 +0000`.
fn common_log(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let date = start.digits(1, 2)?.one_of(b"/")?.month()?.one_of(b"/")?.digits(4, 4)?;
    Some(date.one_of(b":")?.clock()?.zone())
}

/// `Mar  2 10:11:12`, `Mar 12 10:11:12 2026`.
fn rfc3164(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let space = start.month()?.one_of(b" ")?;
    let day = space.one_of(b" ").unwrap_or(space);
    let end = day.digits(1, 2)?.one_of(b" ")?.clock()?;
    let year = end.one_of(b" ").and_then(|c| c.digits(4, 4));
    Some(year.filter(|c| !c.rest.first().is_some_and(u8::is_ascii_alphanumeric)).unwrap_or(end))
}
