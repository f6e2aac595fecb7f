//! What happens on the network, and access spread over many: the correlators that look beyond one actor's burst, with one
//! switch in front of them.
//!
//! Most events are none of theirs, and are told so by a byte and the application's name.

use nms_proto::{event::Event, extraction::Extraction, finding::Finding};

use super::{
    crowd::Crowd,
    guessing::Tried,
    slow_guessing::{SlowGuessing, Slowly},
    spraying::Spraying,
};
use crate::{incident::When, incidents::Incidents};

/// The correlators of the network.
#[derive(Debug)]
pub(super) struct Network {
    spraying: Spraying,
    slow: SlowGuessing,
    crowd: Crowd,
}

impl Network {
    pub(super) fn new() -> Self {
        Self { spraying: Spraying::new(), slow: SlowGuessing::new(), crowd: Crowd::new() }
    }

    /// A login that failed, with what its actor's own burst made of it.
    pub(super) fn failed(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        tried: Tried,
        when: When,
        out: &mut Vec<Finding>,
    ) {
        if tried.attempts == 0 || tried.told || self.spraying.failed(incidents, line, when, out) {
            return;
        }
        let slowly = self.slow.failed(incidents, line, tried.attempts, when, out);
        if slowly != Slowly::Told {
            self.crowd.failed(incidents, line, (tried.attempts, slowly == Slowly::Exposed), when, out);
        }
    }

    /// A login that succeeded and followed no burst.
    pub(super) fn logged_in(
        &mut self,
        incidents: &mut Incidents,
        line: (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        self.slow.succeeded(incidents, line, when, out);
        self.crowd.succeeded(incidents, line, when, out);
        self.spraying.succeeded(line.1, when);
    }

    /// Entries remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let sizes = [self.spraying.sizes(), self.slow.sizes(), self.crowd.sizes()];
        sizes.into_iter().fold((0, 0), |(held, gone), (more, forgotten)| (held + more, gone + forgotten))
    }
}
