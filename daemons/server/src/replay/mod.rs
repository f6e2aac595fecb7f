//! A log file looked at in its own time, by the cores that watch a network: "try it on your old logs".
//!
//! ```text
//! line -> proto::syslog -> correlators (as in the hub) -> analysis (as in the server) -> alerts
//! ```
//! Pure: lines come in, prints come out. A line's `at` is its stamp; without one it is that of the line
//! before. Deadlines are handled in the time of the lines, and at the end as if an hour of silence
//! followed, so that every incident has its last word.

mod print;
mod years;
mod lines;

use nms_detect::Settings;
use nms_proto::{alert::Alert, id::EndpointId, time::Stamp};

pub use self::{
    lines::Lines,
    print::{Print, Style},
    years::{FirstYear, YEARS},
};
use crate::{
    analyse::model::Model,
    chain::{Chain, Told},
};

/// Silence that is taken to follow the last line, in milliseconds.
const SILENCE_MS: i64 = 61 * 60_000;

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The source of every line; none for the host that a line names.
    pub source: Option<EndpointId>,
    /// Offset from UTC of stamps that name none, in seconds.
    pub utc_offset_s: i32,
    /// The year of the first stamp that names none, which goes on with the lines; none for the latest before
    /// `modified_ms`, each line by itself.
    pub year: Option<i16>,
    /// When the file was written last, in Unix milliseconds.
    pub modified_ms: i64,
    /// Users whose session explains a change of settings.
    pub admins: Vec<Box<str>>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no message.
    pub refused: u64,
    /// Revisions of alerts.
    pub revisions: u64,
    /// Alerts.
    pub alerts: u64,
    /// Windows that were scored.
    pub windows: u64,
    /// Of those, how many the cache knew.
    pub cache_hits: u64,
    /// How many it did not know.
    pub cache_misses: u64,
    /// Lines whose template the event cache knew.
    pub event_hits: u64,
}

/// A file being looked at.
#[derive(Debug)]
pub struct Replay {
    lines: Lines,
    chain: Chain,
    style: Style,
    counts: Counts,
}

impl Replay {
    /// Begins with nothing known.
    pub fn new(reading: Reading, model: Model, style: Style) -> Self {
        let lines = Lines::new(&reading);
        let settings = Settings { instance: Lines::INSTANCE, admins: reading.admins };
        Self { lines, chain: Chain::new(settings, model), style, counts: Counts::default() }
    }

    /// Takes one line, without its end; what is to be printed goes to `print`.
    pub fn line(&mut self, bytes: &[u8], print: &mut Print<'_>) {
        self.counts.lines += 1;
        let Some(event) = self.lines.event(bytes) else {
            self.counts.refused += 1;
            return;
        };
        let (number, style) = (self.counts.lines, self.style);
        let (mut said, mut shown) = (Vec::new(), Vec::new());
        self.chain.event(self.lines.now(), event, &mut |_now, told| said.extend(alert(told)), &mut |seen, finding| {
            if style.lines {
                shown.push(print::line(number, seen, finding.map(|finding| &finding.category)));
            }
        });
        shown.into_iter().for_each(&mut *print);
        self.say(&said, print);
    }

    /// Every line was taken; gives what was counted.
    pub fn finish(mut self, print: &mut Print<'_>) -> Counts {
        if self.lines.has_begun() {
            let end = Stamp { unix_ms: self.lines.now().unix_ms + SILENCE_MS, ..self.lines.now() };
            let mut said = Vec::new();
            self.chain.advance(end, &mut |_now, told| said.extend(alert(told)));
            self.say(&said, print);
        }
        let (cache, event_hits) = self.chain.caches();
        Counts {
            alerts: self.chain.alerts() as u64,
            windows: self.chain.counts().windows,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            event_hits,
            ..self.counts
        }
    }

    fn say(&mut self, said: &[Alert], print: &mut Print<'_>) {
        self.counts.revisions += said.len() as u64;
        for alert in said {
            print(print::alert(alert, self.style));
        }
    }
}

/// The server's word, if it is one.
fn alert(told: Told) -> Option<Alert> {
    if let Told::Alert(alert) = told { Some(alert) } else { None }
}
