//! Lines that came twice: a host that is both an agent and a syslog source sends each line both ways.
//!
//! A line with the same host, application, process id, text and device stamp (to the second, since
//! not every way keeps more) that another source sent within five seconds is a copy, and not counted.
//! A source that repeats its own line means it. Where host or stamp are unknown nothing is a copy.
//! Two sources by which a copy came are told once: somebody may want to switch one of them off.

use std::collections::BTreeSet;

use nms_proto::{
    event::{Body, Event},
    id::EndpointId,
    limits::COPIES_KEPT,
    time::Stamp,
};
use xxhash_rust::xxh3::Xxh3Default;

use crate::bounded::{Bounded, Suspicion};

/// Longest time between a line and its copy, in milliseconds.
const COPY_MS: i64 = 5_000;
/// Pairs of sources that are told; copies by further ones are only counted.
const PAIRS_MAX: usize = 256;

#[derive(Debug)]
struct First {
    source: EndpointId,
    at: i64,
}

impl Suspicion for First {}

/// The lines that may still be copied.
#[derive(Debug)]
pub(super) struct Copies {
    seen: Bounded<u64, First>,
    /// Copies found.
    pub(super) found: u64,
    /// The sources by which they came, the smaller name first.
    pairs: BTreeSet<(EndpointId, EndpointId)>,
    /// Those that nobody was told of yet.
    news: Vec<(EndpointId, EndpointId)>,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self { seen: Bounded::new(COPIES_KEPT), found: 0, pairs: BTreeSet::new(), news: Vec::new() }
    }

    /// Whether `event`, at `at`, is a copy of what another source sent.
    pub(super) fn is_copy(&mut self, event: &Event, at: Stamp) -> bool {
        let Some(print) = print(event) else { return false };
        let at = at.unix_ms;
        let first = self.seen.entry(print, || First { source: event.source.clone(), at });
        if first.source == event.source || (at - first.at).abs() > COPY_MS {
            *first = First { source: event.source.clone(), at };
            return false;
        }
        self.found += 1;
        let pair = (first.source.clone(), event.source.clone());
        self.note(pair);
        true
    }

    fn note(&mut self, (one, other): (EndpointId, EndpointId)) {
        let pair = if one < other { (one, other) } else { (other, one) };
        if self.pairs.len() < PAIRS_MAX && self.pairs.insert(pair.clone()) {
            self.news.push(pair);
        }
    }

    /// The pairs of sources that were noted since the last call.
    pub(super) fn take_pairs(&mut self) -> Vec<(EndpointId, EndpointId)> {
        std::mem::take(&mut self.news)
    }
}

/// A hash over what a copy shares with its original; none where it cannot be told.
fn print(event: &Event) -> Option<u64> {
    let Body::Syslog(line) = &event.body else { return None };
    let (host, stamp) = (event.host.as_deref()?, event.device_at?);
    let mut hash = Xxh3Default::new();
    for part in [host, line.app.as_deref().unwrap_or_default(), line.pid.as_deref().unwrap_or_default(), &line.message]
    {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&stamp.unix_ms.div_euclid(1_000).to_le_bytes());
    Some(hash.digest())
}
