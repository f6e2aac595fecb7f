//! The years of stamps that name none, over a whole file: what one line cannot say, the lines before it do.
//!
//! A file's lines follow one another, so the year is chosen once and goes on with them: where a stamp lies in
//! an earlier month than the latest before it, and by more than a day, it is of the next year. A line that came
//! a little late, over New Year too, stays in the year that it was written in.

use std::ops::RangeInclusive;

use nms_proto::{
    event::Draft,
    syslog::{self, Received},
    time::Stamp,
};

/// Years that stamps may be of.
pub const YEARS: RangeInclusive<i16> = 1970..=2099;
/// Milliseconds of a day: lines that came that late are no new year.
const DAY_MS: i64 = 86_400_000;

/// The year that a file has come to.
#[derive(Clone, Debug)]
pub(super) struct Years {
    year: i16,
    /// What stamps without a year are read against.
    received: Received,
    /// The latest stamp so far.
    latest_ms: Option<i64>,
}

impl Years {
    /// Begins with the year of the first line.
    pub(super) fn new(first: i16, utc_offset_s: i32) -> Self {
        Self { year: first, received: received(first, utc_offset_s), latest_ms: None }
    }

    /// A line, its stamp in its year; none where it is no message.
    pub(super) fn draft(&mut self, bytes: &[u8]) -> Option<Draft> {
        let draft = read(bytes, &self.received)?;
        let Some(at) = draft.device_at else { return Some(draft) };
        let Some(latest_ms) = self.latest_ms else {
            self.latest_ms = Some(at.unix_ms);
            return Some(draft);
        };
        let goes_back = at.unix_ms < latest_ms - DAY_MS && self.month(at.unix_ms) < self.month(latest_ms);
        let other = match (goes_back, at.unix_ms > latest_ms + 300 * DAY_MS) {
            (true, _) => self.year + 1,
            (_, true) => self.year - 1,
            _ => {
                self.latest_ms = Some(latest_ms.max(at.unix_ms));
                return Some(draft);
            }
        };
        // A stamp that names its year is the same whatever the file's year is.
        let received = received(other, self.received.utc_offset_s);
        let moved = read(bytes, &received).filter(|moved| moved.device_at != draft.device_at);
        let moved = moved.and_then(|moved| Some((moved.device_at?.unix_ms, moved)));
        match moved {
            Some((moved_ms, moved)) if goes_back => {
                (self.year, self.received, self.latest_ms) = (other, received, Some(moved_ms));
                Some(moved)
            }
            Some((moved_ms, moved)) if moved_ms >= latest_ms - DAY_MS => Some(moved),
            _ => Some(draft),
        }
    }

    fn month(&self, unix_ms: i64) -> u8 {
        year_and_month(unix_ms, self.received.utc_offset_s).1
    }
}

/// What a stamp is read against that is to be of that year.
fn received(year: i16, utc_offset_s: i32) -> Received {
    let end = Stamp::parse(&format!("{year:04}-12-31T23:59:59Z")).unwrap_or_default();
    // A stamp may be a day ahead of what it is read against, so the last day of the year is left to it.
    Received { unix_ms: end.unix_ms - DAY_MS - i64::from(utc_offset_s) * 1_000, utc_offset_s }
}

fn read(bytes: &[u8], received: &Received) -> Option<Draft> {
    syslog::draft(bytes, received).ok().map(|(draft, _cut)| draft)
}

/// The year of a file's first line, so that its last one lies in the 12 months before `modified_ms`: to be shown every
/// line once, in order.
#[derive(Debug)]
pub struct FirstYear {
    received: Received,
    guess: i16,
    years: Years,
    last: Vec<u8>,
}

impl FirstYear {
    /// Nothing was shown yet.
    pub fn new(modified_ms: i64, utc_offset_s: i32) -> Self {
        let guess = year_and_month(modified_ms, utc_offset_s).0;
        let received = Received { unix_ms: modified_ms, utc_offset_s };
        Self { received, guess, years: Years::new(guess, utc_offset_s), last: Vec::new() }
    }

    /// The next line.
    pub fn line(&mut self, bytes: &[u8]) {
        if self.years.draft(bytes).is_some_and(|draft| draft.device_at.is_some()) {
            self.last.clear();
            self.last.extend_from_slice(bytes);
        }
    }

    /// Every line was shown.
    pub fn year(self) -> i16 {
        let last = read(&self.last, &self.received).and_then(|draft| draft.device_at);
        let last = last.map_or(self.guess, |at| year_and_month(at.unix_ms, self.received.utc_offset_s).0);
        (last - (self.years.year - self.guess)).clamp(*YEARS.start(), *YEARS.end())
    }
}

/// Year and month on a clock that is so many seconds ahead of UTC.
fn year_and_month(unix_ms: i64, utc_offset_s: i32) -> (i16, u8) {
    let text = Stamp::utc(unix_ms.saturating_add(i64::from(utc_offset_s) * 1_000)).to_string();
    let mut parts = text.split('-');
    let year = parts.next().and_then(|year| year.parse().ok()).unwrap_or(*YEARS.start());
    (year, parts.next().and_then(|month| month.parse().ok()).unwrap_or(1))
}
