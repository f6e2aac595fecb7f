//! What a tenant's analysis weighs at most: the sum of its parts' bounds, held to the one that is promised.

use nms_detect::Standing;
use nms_model::{key::Scope, template, window};
use nms_proto::{
    alert::Alert,
    id::AlertId,
    limits::{INCIDENTS_MAX, TENANT_ANOMALIES_BYTES, TENANT_MEMORY_BYTES, TENANT_STANDINGS_BYTES},
};

use super::{
    actors::{ACTORS_KEPT, Seen},
    usual::Usual,
    words::Words,
};

/// Bytes of the last batches that are at hand for the lines of an alert, as they came.
pub const RECENT_BYTES: usize = 2 << 20;
/// Pointers and hashes of an entry in a cache, in bytes.
const PLACE_BYTES: usize = 64;
/// Longest id of an alert, in bytes.
const ALERT_ID_BYTES: usize = 64;

/// Everything that is kept of one tenant, each at its bound.
const SUM_BYTES: usize = window::MEMORY_BYTES_MAX
    + template::MEMORY_BYTES_MAX
    + TENANT_ANOMALIES_BYTES
    + TENANT_STANDINGS_BYTES
    + RECENT_BYTES
    + Words::BYTES_MAX
    + Usual::BYTES_MAX
    + INCIDENTS_MAX * (size_of::<(Scope, AlertId)>() + ALERT_ID_BYTES + PLACE_BYTES)
    + ACTORS_KEPT * (size_of::<(u64, Seen)>() + PLACE_BYTES);

const _: () = assert!(SUM_BYTES <= TENANT_MEMORY_BYTES, "the parts of a tenant's analysis weigh more than is promised");

/// Memory of an alert, in bytes, near enough.
pub fn weight(alert: &Alert) -> usize {
    let texts = |texts: &[Box<str>]| texts.iter().map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>();
    let evidence = alert.evidence.iter().map(|line| size_of_val(line) + line.line.len() + line.source.as_str().len());
    let unexpected = alert.unexpected.iter().map(|odd| {
        let expected = odd.expected.iter().map(|expected| size_of_val(expected) + expected.text.len());
        size_of_val(odd) + odd.text.len() + expected.sum::<usize>()
    });
    let history = alert.history.iter().map(|step| size_of_val(step) + step.what.len() + length(step.why.as_deref()));
    size_of::<Standing>()
        + alert.message.len()
        + length(alert.actor.as_deref())
        + length(alert.victim.as_deref())
        + texts(&alert.techniques)
        + texts(&alert.reasons)
        + evidence.chain(unexpected).chain(history).sum::<usize>()
}

fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}
