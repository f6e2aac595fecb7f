//! The last log lines, in memory, for dashboards: newest [`HUB_LINES_CACHED`], each with a rising number.

use std::collections::VecDeque;

use nms_proto::{
    dash::Line,
    event::{Body, Event},
    limits::HUB_LINES_CACHED,
};

/// Most text of the lines in one frame, in bytes: well below its limit, escapes included.
pub(crate) const LINES_BYTES_MAX: usize = 512 << 10;

/// The last events, oldest first.
#[derive(Debug)]
pub(crate) struct Lines {
    events: VecDeque<Event>,
    /// The number of the next event.
    next: u64,
}

impl Lines {
    /// Lines of an earlier run; the next will have number `next`.
    pub(crate) fn ending_at(next: u64, events: VecDeque<Event>) -> Self {
        Self { events, next: next.max(1) }
    }

    /// Adds an event, the oldest goes.
    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() >= HUB_LINES_CACHED {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.next += 1;
    }

    /// The number of the next line.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The lines after number `after`, at most the newest `most`, and of those the newest `bytes_max` of text.
    pub(crate) fn after(&self, after: u64, most: usize, bytes_max: usize) -> Vec<Line> {
        let first = self.next.saturating_sub(self.events.len() as u64);
        let wanted = (self.next.saturating_sub(after.saturating_add(1)) as usize).min(most).min(self.events.len());
        let skipped = self.events.len() - wanted;
        let numbered = self.events.iter().enumerate().skip(skipped);
        let mut lines: Vec<Line> = numbered.map(|(index, event)| line(first + index as u64, event)).collect();
        let mut bytes = 0;
        let fitting = lines.iter().rev().take_while(|line| {
            bytes += line.message.len();
            bytes <= bytes_max
        });
        let fitting = fitting.count();
        lines.drain(..lines.len() - fitting);
        lines
    }
}

/// An event as a line; what is no log line says what it is in words.
fn line(seq: u64, event: &Event) -> Line {
    let shown = |facility: u8, severity: u8, message: String| Line {
        seq,
        at: event.at,
        source: event.source.clone(),
        host: event.host.clone(),
        app: Some(event.body.name().into()),
        pid: None,
        facility,
        severity,
        message: message.into(),
    };
    match &event.body {
        Body::Syslog(body) => Line {
            app: body.app.clone(),
            pid: body.pid.clone(),
            ..shown(body.facility, body.severity, body.message.clone().into())
        },
        Body::File(file) => {
            let by = if file.sessions.is_empty() { "nobody".into() } else { file.sessions.join(", ") };
            shown(13, 5, format!("{} {}, logged in: {by}", file.path, file.change))
        }
        Body::Report(report) => shown(
            13,
            6,
            format!(
                "file integrity report: {} files, {} changed, {} unreadable",
                report.files, report.changed, report.unreadable
            ),
        ),
        Body::Process(process) => {
            shown(13, 6, format!("{} started by {}: {}", process.exe, process.parent, process.cmdline))
        }
        Body::Connection(to) => {
            shown(13, 6, format!("{} {} {} {}:{}", to.exe, to.proto, to.direction, to.remote, to.remote_port))
        }
        Body::Finding(finding) => shown(13, 4, format!("{}: {}", finding.category, finding.message)),
        Body::Loss(loss) => shown(5, 4, format!("{} events of {} lost: {}", loss.count, loss.source, loss.cause)),
    }
}
