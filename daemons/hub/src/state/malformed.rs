//! Malformed input by source: counts by reason, and the last messages as they came.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use nms_kit::intake::Rejected;
use nms_proto::{
    dash::{ParseErrors, Sample},
    flow::ledger::OTHER,
    id::EndpointId,
    limits::{CAUSES_MAX, PARSE_ERROR_SAMPLE_BYTES_MAX, PARSE_ERROR_SAMPLES_MAX, SOURCES_MAX},
    time::Stamp,
};

/// Malformed input of all sources; those after [`SOURCES_MAX`] share one entry named `other`.
#[derive(Debug, Default)]
pub(crate) struct Malformed {
    sources: HashMap<EndpointId, ParseErrors>,
    changed: BTreeSet<EndpointId>,
    total: u64,
}

impl Malformed {
    /// Counts malformed messages.
    pub(crate) fn count(&mut self, at: Stamp, source: &EndpointId, reason: &str, count: u64) -> &mut ParseErrors {
        self.total += count;
        let full = self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(source);
        let source = if full { EndpointId::new(OTHER) } else { source.clone() };
        self.changed.insert(source.clone());
        let entry = self.sources.entry(source.clone()).or_insert_with(|| ParseErrors {
            source: source.clone(),
            reasons: BTreeMap::new(),
            first_seen: at,
            last_seen: at,
            samples: Vec::new(),
        });
        entry.last_seen = at;
        // An agent's reasons are a peer's words.
        let known = entry.reasons.contains_key(reason) || entry.reasons.len() < CAUSES_MAX;
        *entry.reasons.entry(if known { reason } else { OTHER }.into()).or_default() += count;
        entry
    }

    /// Counts a malformed message and keeps it.
    pub(crate) fn add(&mut self, at: Stamp, rejected: &Rejected) {
        let kept = rejected.raw.get(..PARSE_ERROR_SAMPLE_BYTES_MAX).unwrap_or(&rejected.raw);
        let raw = base64::engine::general_purpose::STANDARD.encode(kept).into();
        let sample = Sample { at, reason: rejected.reason.into(), raw, bytes: rejected.bytes };
        keep(self.count(at, &rejected.source, rejected.reason, 1), sample);
    }

    /// Counts what an agent turned away, and keeps the one that it sent the beginning of.
    pub(crate) fn told(&mut self, at: Stamp, source: &EndpointId, reason: &str, count: u64, raw: Option<&str>) {
        let entry = self.count(at, source, reason, count);
        if let Some(raw) = raw.filter(|raw| raw.len() <= base64_bytes(PARSE_ERROR_SAMPLE_BYTES_MAX)) {
            keep(entry, Sample { at, reason: reason.into(), raw: raw.into(), bytes: (raw.len() / 4 * 3) as u64 });
        }
    }

    /// Malformed messages since the hub started.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The sources whose entry changed since the last call.
    pub(crate) fn changed(&mut self) -> Vec<ParseErrors> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|source| self.sources.get(source).cloned()).collect()
    }

    /// All entries, by source.
    pub(crate) fn list(&self) -> Vec<ParseErrors> {
        let mut list: Vec<_> = self.sources.values().cloned().collect();
        list.sort_by(|a, b| a.source.cmp(&b.source));
        list
    }
}

/// Keeps the last messages.
fn keep(entry: &mut ParseErrors, sample: Sample) {
    if entry.samples.len() >= PARSE_ERROR_SAMPLES_MAX {
        entry.samples.remove(0);
    }
    entry.samples.push(sample);
}

/// Length of so many bytes as base64.
const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}
