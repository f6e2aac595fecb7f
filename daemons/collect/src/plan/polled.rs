//! Settings of what is looked at again and again: whether, and how often.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::PlanError;
use crate::{connections, processes};

/// The time between two looks that may be set, in milliseconds.
pub const INTERVAL_MS: RangeInclusive<u64> = 100..=3_600_000;

/// Processes that start.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Processes {
    /// Whether they are told at all.
    pub enabled: bool,
    /// Time between two looks, in milliseconds.
    pub interval_ms: u64,
}

impl Default for Processes {
    fn default() -> Self {
        Self { enabled: true, interval_ms: processes::INTERVAL_MS }
    }
}

impl Processes {
    /// How often to look; none where they are off.
    pub(super) fn check(self) -> Result<Option<u64>, PlanError> {
        check("processes.interval_ms", self.enabled, self.interval_ms)
    }
}

/// Connections of this host.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// Whether they are told at all.
    pub enabled: bool,
    /// Time between two looks, in milliseconds.
    pub interval_ms: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self { enabled: true, interval_ms: connections::INTERVAL_MS }
    }
}

impl Connections {
    /// How often to look; none where they are off.
    pub(super) fn check(self) -> Result<Option<u64>, PlanError> {
        check("connections.interval_ms", self.enabled, self.interval_ms)
    }
}

/// A value that cannot be used is told whether or not it is on.
fn check(key: &'static str, is_on: bool, interval_ms: u64) -> Result<Option<u64>, PlanError> {
    if INTERVAL_MS.contains(&interval_ms) {
        Ok(is_on.then_some(interval_ms))
    } else {
        Err(PlanError::Interval { key, interval_ms })
    }
}
