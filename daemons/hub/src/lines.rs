//! The last log lines, in memory, for dashboards: newest [`HUB_LINES_CACHED`], each with a rising number.

use std::collections::VecDeque;

use nms_proto::{
    dash::Line,
    event::{Body, Event},
    id::EndpointId,
    limits::{HUB_LINES_CACHED, HUB_LINES_CACHED_BYTES},
    time::Stamp,
};
use serde::{Deserialize, Serialize};

/// Most text of the lines in one frame, in bytes: well below its limit, escapes included.
pub(crate) const LINES_BYTES_MAX: usize = 512 << 10;

/// Bytes of lines that are let go together.
const BLOCK_BYTES: usize = 64 << 10;

/// The last lines, oldest first. They are kept encoded, in blocks: a third of the memory, and none of it between what
/// comes and goes.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    blocks: VecDeque<Block>,
    held: usize,
    bytes: usize,
    /// The number of the next line.
    next: u64,
}

/// Encoded lines, one after another.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<u32>,
}

/// A line as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    unix_ms: i64,
    offset_min: i16,
    source: &'a str,
    host: Option<&'a str>,
    app: Option<&'a str>,
    pid: Option<&'a str>,
    facility: u8,
    severity: u8,
    message: &'a str,
}

impl Lines {
    /// Numbers the lines so that the next one will have number `next`.
    pub(crate) fn end_at(&mut self, next: u64) {
        self.next = next.max(1);
    }

    /// Adds an event; the oldest lines go.
    pub(crate) fn push(&mut self, event: &Event) {
        let is_full = self.blocks.back().is_none_or(|last| last.bytes.len() >= BLOCK_BYTES);
        if is_full {
            self.forget();
            self.blocks.push_back(Block { bytes: Vec::with_capacity(BLOCK_BYTES), ends: Vec::new() });
        }
        let Some(block) = self.blocks.back_mut() else { return };
        let before = block.bytes.len();
        let text;
        let kept = match &event.body {
            Body::Syslog(line) => Kept {
                app: line.app.as_deref(),
                pid: line.pid.as_deref(),
                ..kept(event, line.facility, line.severity, &line.message)
            },
            other => {
                let (facility, severity);
                (facility, severity, text) = described(other);
                Kept { app: Some(other.name()), ..kept(event, facility, severity, &text) }
            }
        };
        self.next += 1;
        // Writing to memory fails for no line; one that failed would be a gap in what is shown.
        if postcard::to_io(&kept, &mut block.bytes).is_err() {
            block.bytes.truncate(before);
        }
        block.ends.push(block.bytes.len() as u32);
        self.bytes += block.bytes.len() - before;
        self.held += 1;
    }

    /// Lets go what is more than is to be held.
    fn forget(&mut self) {
        while let Some(oldest) = self.blocks.front() {
            let has_enough = self.held >= HUB_LINES_CACHED + oldest.ends.len();
            if !has_enough && self.bytes < HUB_LINES_CACHED_BYTES {
                return;
            }
            self.held -= oldest.ends.len();
            self.bytes -= oldest.bytes.len();
            self.blocks.pop_front();
        }
    }

    /// The number of the next line.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The lines after number `after`, at most the newest `most`, and of those the newest `bytes_max` of text.
    pub(crate) fn after(&self, after: u64, most: usize, bytes_max: usize) -> Vec<Line> {
        let wanted = (self.next.saturating_sub(after.saturating_add(1)) as usize).min(most).min(self.held);
        let newest = self.blocks.iter().rev().flat_map(Block::newest_first).zip((0..self.next).rev()).take(wanted);
        let mut bytes = 0;
        let fitting = newest.take_while(|(encoded, _)| {
            bytes += encoded.len();
            bytes <= bytes_max
        });
        let mut lines: Vec<Line> = fitting.filter_map(|(encoded, seq)| decoded(encoded, seq)).collect();
        lines.reverse();
        lines
    }
}

impl Block {
    fn newest_first(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let places = starts.zip(self.ends.iter().copied()).collect::<Vec<_>>();
        places.into_iter().rev().filter_map(|(from, to)| self.bytes.get(from as usize..to as usize))
    }
}

fn kept<'a>(event: &'a Event, facility: u8, severity: u8, message: &'a str) -> Kept<'a> {
    Kept {
        unix_ms: event.at.unix_ms,
        offset_min: event.at.offset_min,
        source: event.source.as_str(),
        host: event.host.as_deref(),
        app: None,
        pid: None,
        facility,
        severity,
        message,
    }
}

fn decoded(encoded: &[u8], seq: u64) -> Option<Line> {
    let kept: Kept<'_> = postcard::from_bytes(encoded).ok()?;
    Some(Line {
        seq,
        at: Stamp { unix_ms: kept.unix_ms, offset_min: kept.offset_min },
        source: EndpointId::new(kept.source),
        host: kept.host.map(Into::into),
        app: kept.app.map(Into::into),
        pid: kept.pid.map(Into::into),
        facility: kept.facility,
        severity: kept.severity,
        message: kept.message.into(),
    })
}

/// What is no log line, as facility, severity and words.
fn described(body: &Body) -> (u8, u8, String) {
    match body {
        Body::Syslog(line) => (line.facility, line.severity, line.message.clone().into()),
        Body::File(file) => {
            let by = if file.sessions.is_empty() { "nobody".into() } else { file.sessions.join(", ") };
            (13, 5, format!("{} {}, logged in: {by}", file.path, file.change))
        }
        Body::Report(report) => (
            13,
            6,
            format!(
                "file integrity report: {} files, {} changed, {} unreadable",
                report.files, report.changed, report.unreadable
            ),
        ),
        Body::Process(process) => {
            (13, 6, format!("{} started by {}: {}", process.exe, process.parent, process.cmdline))
        }
        Body::Connection(to) => {
            (13, 6, format!("{} {} {} {}:{}", to.exe, to.proto, to.direction, to.remote, to.remote_port))
        }
        Body::Finding(finding) => (13, 4, format!("{}: {}", finding.category, finding.message)),
        Body::Loss(loss) => (5, 4, format!("{} events of {} lost: {}", loss.count, loss.source, loss.cause)),
        Body::Other(newer) => (13, 5, newer.content.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use nms_proto::{
        event::Syslog,
        id::{EventId, EventSeq, Instance},
    };

    use super::*;

    fn event(number: u64, message: &str) -> Event {
        let body =
            Syslog { facility: 4, severity: 6, app: Some("sshd".into()), message: message.into(), ..Syslog::default() };
        Event {
            id: EventId { instance: Instance([1; 16]), seq: EventSeq(number) },
            source: EndpointId::new("gate"),
            at: Stamp { unix_ms: 1_000 + number as i64, offset_min: 60 },
            device_at: None,
            host: Some("gate".into()),
            raw: None,
            body: Body::Syslog(body),
        }
    }

    fn filled(count: u64, message: &str) -> Lines {
        let mut lines = Lines::default();
        lines.end_at(1);
        (1..=count).for_each(|number| lines.push(&event(number, message)));
        lines
    }

    #[test]
    fn lines_come_back_as_they_were_with_rising_numbers() {
        let lines = filled(3, "Accepted password for anna").after(1, 10, 1 << 20);
        let seqs: Vec<u64> = lines.iter().map(|line| line.seq).collect();
        assert_eq!(seqs, [2, 3]);
        let last = lines.last().unwrap();
        assert_eq!((last.at, &*last.message), (Stamp { unix_ms: 1_003, offset_min: 60 }, "Accepted password for anna"));
        assert_eq!(
            (last.app.as_deref(), last.host.as_deref(), last.pid.as_deref()),
            (Some("sshd"), Some("gate"), None)
        );
        assert_eq!((last.source.as_str(), last.facility, last.severity), ("gate", 4, 6));
    }

    #[test]
    fn the_newest_are_given_up_to_a_number_and_to_bytes() {
        let lines = filled(10, &"x".repeat(1_000));
        let seqs = |lines: Vec<Line>| lines.iter().map(|line| line.seq).collect::<Vec<_>>();
        assert_eq!(seqs(lines.after(0, 3, 1 << 20)), [8, 9, 10]);
        assert_eq!(seqs(lines.after(0, 10, 2_500)), [9, 10]);
        assert!(lines.after(10, 10, 1 << 20).is_empty());
    }

    #[test]
    fn the_oldest_are_let_go_by_number_and_by_bytes() {
        let count = 2 * HUB_LINES_CACHED as u64;
        let many = filled(count, "short");
        assert!(many.held >= HUB_LINES_CACHED && many.held < HUB_LINES_CACHED + 4_000, "{}", many.held);
        let all = many.after(0, usize::MAX, usize::MAX);
        assert_eq!((all.len(), all.last().unwrap().seq), (many.held, count));
        assert_eq!(all.first().unwrap().at.unix_ms, 1_001 + (count - many.held as u64) as i64);
        let long = filled(1_000, &"x".repeat(60_000));
        assert!(long.bytes < HUB_LINES_CACHED_BYTES + 2 * BLOCK_BYTES, "{}", long.bytes);
        assert!(long.held > 200, "{}", long.held);
    }
}
