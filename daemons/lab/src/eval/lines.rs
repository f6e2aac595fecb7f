//! Public lines, as a hub would take them: through the reader of syslog, then the extractors.

use std::fs;
use std::path::Path;

use nms_detect::extract;
use nms_proto::event::{Draft, Event};
use nms_proto::extraction::Extraction;
use nms_proto::id::{EndpointId, EventId, EventSeq, Instance};
use nms_proto::syslog::{self, Received};
use nms_proto::time::Stamp;
use serde::de::DeserializeOwned;

/// When every line is taken to have come: the extractors do not ask.
const RECEIVED: Received = Received { unix_ms: 1_767_623_400_000, utc_offset_s: 0 };

/// The objects of a file with one a line.
pub(super) fn objects<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let failed = |cause: &dyn std::fmt::Display| format!("cannot read {}: {cause}", path.display());
    let text = fs::read_to_string(path).map_err(|cause| failed(&cause))?;
    let filled = text.lines().filter(|line| !line.is_empty());
    filled.map(|line| serde_json::from_str(line).map_err(|cause| failed(&cause))).collect()
}

/// What `line` means, told to `see`; none where it is no message.
pub(super) fn meaning<T>(line: &str, see: impl FnOnce(&Extraction<'_>) -> T) -> Option<T> {
    let (draft, _cut) = syslog::draft(line.as_bytes(), &RECEIVED).ok()?;
    let Draft { device_at, host, raw, body, .. } = draft;
    let id = EventId { instance: Instance([0; 16]), seq: EventSeq(1) };
    let at = Stamp::utc(RECEIVED.unix_ms);
    let event = Event { id, source: EndpointId::new("192.0.2.1"), at, device_at, host, raw, body };
    Some(see(&extract(&event)))
}
