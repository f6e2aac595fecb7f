//! A file's lines as events, each in its time: what every replay begins with.

use nms_proto::{
    event::Event,
    id::{EndpointId, EventId, EventSeq, Instance},
    syslog::{self, Received},
    time::Stamp,
};

use super::{Reading, years::Years};

/// A file that is being read. A line's `at` is its stamp; without one it is that of the line before.
#[derive(Debug)]
pub struct Lines {
    source: Option<EndpointId>,
    received: Received,
    years: Option<Years>,
    next: u64,
    /// The latest time that a line named.
    now: Stamp,
    previous: Option<Stamp>,
}

impl Lines {
    /// The spool that a file stands for.
    pub const INSTANCE: Instance = Instance(*b"nmsd-server file");

    /// Nothing was read yet.
    pub fn new(reading: &Reading) -> Self {
        Self {
            source: reading.source.clone(),
            received: Received { unix_ms: reading.modified_ms, utc_offset_s: reading.utc_offset_s },
            years: reading.year.map(|year| Years::new(year, reading.utc_offset_s)),
            next: 0,
            now: Stamp::utc(i64::MIN),
            previous: None,
        }
    }

    /// The next line, without its end; none where it is no message.
    pub fn event(&mut self, bytes: &[u8]) -> Option<Event> {
        let draft = match &mut self.years {
            Some(years) => years.draft(bytes),
            None => syslog::draft(bytes, &self.received).ok().map(|(draft, _cut)| draft),
        }?;
        let at = draft.device_at.or(self.previous).unwrap_or(Stamp::utc(self.received.unix_ms));
        self.previous = Some(at);
        if at.unix_ms > self.now.unix_ms {
            self.now = at;
        }
        let source = match (&self.source, &draft.host) {
            (Some(source), _) => source.clone(),
            (None, Some(host)) => EndpointId::new(host),
            (None, None) => EndpointId::new("file"),
        };
        self.next += 1;
        let id = EventId { instance: Self::INSTANCE, seq: EventSeq(self.next) };
        Some(draft.named(id, source, at))
    }

    /// The latest time that a line named.
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// Whether any line was an event.
    pub(super) fn has_begun(&self) -> bool {
        self.previous.is_some()
    }
}
