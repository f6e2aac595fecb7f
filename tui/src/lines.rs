//! The log lines that the dashboard holds: a ring, bounded by lines and by bytes.
//!
//! A line is one boxed text with the ends of its parts beside it: 40 bytes and the text, because
//! hundreds of thousands are held. Texts are made safe here, once, when they come in. What the
//! filter shows is kept as a second ring of row numbers, added to as lines come.

use std::collections::VecDeque;

use nms_proto::{
    alert::Alert,
    dash::Line,
    limits::{DASH_LINES_BYTES_HELD, DASH_LINES_HELD, NAME_BYTES_MAX},
    severity::Severity,
    time::Stamp,
};

use crate::{
    filter::{Filter, Level, Subject},
    safe::{self, Safe, SafeStr},
    text,
};

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A log line.
    Line,
    /// A word of ours, such as how many lines are missing.
    Notice,
    /// An alert was raised here; its id is the row's `app`.
    Alert(Severity),
}

/// One row of the log.
#[derive(Debug)]
pub struct Row {
    text: Safe,
    /// Where source, host, app and pid end in the text; the message is the rest.
    ends: [u16; 4],
    at_ms: i64,
    /// What it is.
    pub kind: Kind,
    /// Syslog severity.
    pub severity: u8,
    /// Syslog facility.
    pub facility: u8,
    /// It held characters that had to be made visible.
    pub flagged: bool,
}

const OVERHEAD_BYTES: usize = size_of::<Row>() + 16;

impl Row {
    fn new(kind: Kind, at: Stamp, parts: [&str; 4], message: &str) -> Self {
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + message.len());
        let mut flagged = false;
        let ends = parts.map(|part| {
            let name = part.get(..part.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default();
            flagged |= safe::append(&mut text, name);
            // Four names of that length, made safe, are far below 64 KiB.
            u16::try_from(text.len()).unwrap_or(u16::MAX)
        });
        flagged |= safe::append(&mut text, message);
        Self { text: Safe::made(text), ends, at_ms: at.unix_ms, kind, severity: 7, facility: 0, flagged }
    }

    fn line(line: &Line) -> Self {
        let part = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
        let (host, app, pid) = (part(&line.host), part(&line.app), part(&line.pid));
        let row = Self::new(Kind::Line, line.at, [line.source.as_str(), &host, &app, &pid], &line.message);
        Self { severity: line.severity, facility: line.facility, ..row }
    }

    /// The part that ends at `ends[at]`; the message is the part after the last of them.
    fn part(&self, at: usize) -> SafeStr<'_> {
        let end = |at: usize| self.ends.get(at).map_or(self.text.as_str().len(), |end| usize::from(*end));
        self.text.part(at.checked_sub(1).map_or(0, end), end(at))
    }

    /// When it happened.
    pub fn at(&self) -> Stamp {
        Stamp::utc(self.at_ms)
    }

    /// Where it came from, as the hub knows it.
    pub fn source(&self) -> SafeStr<'_> {
        self.part(0)
    }

    /// The host that the message names, else the source.
    pub fn host(&self) -> SafeStr<'_> {
        let host = self.part(1);
        if host.is_empty() { self.source() } else { host }
    }

    /// Application; an alert's id.
    pub fn app(&self) -> SafeStr<'_> {
        self.part(2)
    }

    /// Process id.
    pub fn pid(&self) -> SafeStr<'_> {
        self.part(3)
    }

    /// Text.
    pub fn message(&self) -> SafeStr<'_> {
        self.part(4)
    }

    fn bytes(&self) -> usize {
        self.text.as_str().len() + OVERHEAD_BYTES
    }

    fn is_shown(&self, filter: &Filter) -> bool {
        self.kind != Kind::Line
            || filter.shows(&Subject {
                level: Level::Syslog(self.severity),
                status: None,
                sources: [self.source().as_str(), self.host().as_str()],
                app: self.app().as_str(),
                message: self.message().as_str(),
                parties: ["", ""],
            })
    }
}

/// How much is held at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Rows.
    pub lines: usize,
    /// Memory of the rows, in bytes.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lines: DASH_LINES_HELD, bytes: DASH_LINES_BYTES_HELD }
    }
}

/// What happened to the shown rows when something was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Shown rows added at the end.
    pub added: usize,
    /// Shown rows dropped at the beginning.
    pub dropped: usize,
}

/// The rows, and which of them the filter shows.
#[derive(Debug, Default)]
pub struct Lines {
    rows: VecDeque<Row>,
    /// The number of the first row held; numbers rise for ever.
    first: u64,
    bytes: usize,
    shown: VecDeque<u64>,
    filter: Filter,
    bounds: Bounds,
    last_seq: Option<u64>,
}

impl Lines {
    /// An empty ring with these bounds.
    pub fn bounded(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The number of the last line that the hub sent.
    pub fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// Adds lines that follow those held; a line that is here already is passed over.
    pub fn extend(&mut self, lines: &[Line]) -> Moved {
        let mut moved = Moved::default();
        for line in lines {
            if self.last_seq.is_none_or(|last| line.seq > last) {
                self.last_seq = Some(line.seq);
                self.push(Row::line(line), &mut moved);
            }
        }
        moved
    }

    /// Adds the lines of a snapshot after the hub was away; says how many are missing in between.
    pub fn resume(&mut self, lines: &[Line]) -> (Moved, u64) {
        let (Some(last), Some(newest)) = (self.last_seq, lines.last()) else {
            return (self.extend(lines), 0);
        };
        let mut moved = Moved::default();
        let mut missed = 0;
        if newest.seq < last {
            self.last_seq = None;
            self.push_notice(newest.at, &text::begun_anew(), &mut moved);
        } else if let Some(first) = lines.iter().find(|line| line.seq > last) {
            missed = first.seq - last - 1;
            if missed > 0 {
                self.push_notice(first.at, &text::skipped(missed), &mut moved);
            }
        }
        let more = self.extend(lines);
        (Moved { added: moved.added + more.added, dropped: moved.dropped + more.dropped }, missed)
    }

    /// Adds a row for lines that were not sent.
    pub fn gap(&mut self, now: Stamp, lines: u64) -> Moved {
        let mut moved = Moved::default();
        self.push_notice(now, &text::skipped(lines), &mut moved);
        moved
    }

    /// Adds a row for an alert.
    pub fn alert(&mut self, now: Stamp, alert: &Alert) -> Moved {
        let mut moved = Moved::default();
        let parts = [alert.source.as_str(), "", alert.id.as_str(), ""];
        let at = alert.last_seen.unwrap_or(now);
        self.push(Row::new(Kind::Alert(alert.severity), at, parts, text::alert_line(alert).as_str()), &mut moved);
        moved
    }

    fn push_notice(&mut self, at: Stamp, notice: &Safe, moved: &mut Moved) {
        self.push(Row::new(Kind::Notice, at, ["", "", "", ""], notice.as_str()), moved);
    }

    fn push(&mut self, row: Row, moved: &mut Moved) {
        self.bytes += row.bytes();
        if row.is_shown(&self.filter) {
            self.shown.push_back(self.first + self.rows.len() as u64);
            moved.added += 1;
        }
        self.rows.push_back(row);
        while self.rows.len() > self.bounds.lines || (self.bytes > self.bounds.bytes && self.rows.len() > 1) {
            let Some(gone) = self.rows.pop_front() else { break };
            self.bytes -= gone.bytes();
            self.first += 1;
            if self.shown.front().is_some_and(|number| *number < self.first) {
                self.shown.pop_front();
                moved.dropped += 1;
            }
        }
    }

    /// Shows other rows.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.shown.clear();
        let numbered = self.rows.iter().zip(self.first..);
        self.shown.extend(numbered.filter(|(row, _)| row.is_shown(&self.filter)).map(|(_, number)| number));
    }

    /// How many rows are shown.
    pub fn shown_len(&self) -> usize {
        self.shown.len()
    }

    /// How many rows are held.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is held.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Memory of the rows held, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The row at place `at` of the shown ones.
    pub fn shown(&self, at: usize) -> Option<&Row> {
        let number = self.shown.get(at)?;
        self.rows.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}
