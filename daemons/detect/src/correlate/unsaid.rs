//! What was seen of somebody and stands in no finding yet: how many events, and the first lines of them.

use nms_proto::{event::Event, finding::Evidence, finding::Finding};

use crate::{
    incident::{When, evidence},
    incidents::Incidents,
    subject::Key,
};

/// Events that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Unsaid {
    lines: Vec<Evidence>,
    events: u64,
}

impl Unsaid {
    /// One more event.
    pub(super) fn saw(&mut self) {
        self.events += 1;
    }

    /// What was seen is too long ago.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All of it for a sign, `last` behind the lines that were kept.
    pub(super) fn take(&mut self, last: Evidence) -> (Vec<Evidence>, u64) {
        let Self { mut lines, events } = std::mem::take(self);
        lines.push(last);
        (lines, events)
    }

    /// Counts into the open incident of `key`; where there is none, `event` is kept as a line, of at most `lines_max`.
    pub(super) fn count_or_keep(
        &mut self,
        incidents: &mut Incidents,
        key: &Key,
        (event, lines_max): (&Event, usize),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        if incidents.count(key, event, self.events, when, out) {
            self.events = 0;
        } else if self.lines.len() < lines_max {
            self.lines.push(evidence(event, when.at));
        }
    }
}
