//! Benches: real daemons, measured from outside, in CPU seconds per million events.
//!
//! Every bench prints JSON lines `{leg, what, value, unit, peer?, ratio?}`, or the same as a table.

mod corpus;
mod caches;
mod daemons;
mod dash;
mod detect;
mod model;
mod overload;
mod pipeline;
mod sender;
mod spool;

pub use detect::{DetectOptions, detect};
pub use model::{ModelOptions, model};
pub use overload::{OverloadOptions, overload};
pub use pipeline::{Options, pipeline};
pub use spool::{SpoolOptions, spool};

use nms_kit::clock;
use serde::Serialize;

/// One measured figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Which part of the way.
    pub leg: &'static str,
    /// What was measured.
    pub what: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What a user would pick instead, where it was measured beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Ours through the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Figure {
    /// A figure without a peer.
    pub fn new(leg: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { leg, what: what.into(), value, unit, peer: None, ratio: None }
    }
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted.get((sorted.len().checked_sub(1)?) * percent / 100).copied()
}

/// Looks until `done` or the time is over; whether it was done.
fn wait(ms_max: u64, mut done: impl FnMut() -> bool) -> bool {
    let end = clock::monotonic_ms() + ms_max;
    while clock::monotonic_ms() < end {
        if done() {
            return true;
        }
        clock::block(50);
    }
    false
}
