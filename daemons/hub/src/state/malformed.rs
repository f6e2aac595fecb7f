//! Malformed input by source: counts by reason, and the last messages as they came.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use nms_kit::intake::Rejected;
use nms_proto::{
    dash::{ParseErrors, Sample},
    id::EndpointId,
    limits::{PARSE_ERROR_SAMPLE_BYTES_MAX, PARSE_ERROR_SAMPLES_MAX, SOURCES_MAX},
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
    /// Counts a malformed message.
    pub(crate) fn count(&mut self, at: Stamp, source: &EndpointId, reason: &'static str) -> &mut ParseErrors {
        self.total += 1;
        let full = self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(source);
        let source = if full { EndpointId::new("other") } else { source.clone() };
        self.changed.insert(source.clone());
        let entry = self.sources.entry(source.clone()).or_insert_with(|| ParseErrors {
            source: source.clone(),
            reasons: BTreeMap::new(),
            first_seen: at,
            last_seen: at,
            samples: Vec::new(),
        });
        entry.last_seen = at;
        *entry.reasons.entry(reason.into()).or_default() += 1;
        entry
    }

    /// Counts a malformed message and keeps it.
    pub(crate) fn add(&mut self, at: Stamp, rejected: &Rejected) {
        let entry = self.count(at, &rejected.source, rejected.reason);
        if entry.samples.len() >= PARSE_ERROR_SAMPLES_MAX {
            entry.samples.remove(0);
        }
        let kept = rejected.raw.get(..PARSE_ERROR_SAMPLE_BYTES_MAX).unwrap_or(&rejected.raw);
        let raw = base64::engine::general_purpose::STANDARD.encode(kept);
        entry.samples.push(Sample { at, reason: rejected.reason.into(), raw: raw.into(), bytes: rejected.bytes });
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
