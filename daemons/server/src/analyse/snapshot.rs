//! A tenant's analysis as bytes, to take up again after a restart.
//!
//! ```text
//! version u16 | windows | miner | JSON of the rest        each behind its length u32, big-endian
//! ```
//! Windows and miner have forms of their own; the rest is small and holds alerts, whose form is JSON.

use std::fmt;

use nms_model::{
    key::{Scope, TypedKey},
    template::{Bounds, Miner},
    window::Windows,
};
use nms_proto::{
    extraction::{Action, Outcome},
    id::AlertId,
    json,
    limits::MODEL_WINDOWS_MAX,
};
use serde::{Deserialize, Serialize};

use super::{Analysis, Counts, actors::Actors, anomaly, finding::OpenFindings, usual, words::Words};

const VERSION: u16 = 1;

/// Why bytes are no snapshot of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// They are cut, damaged, or something else.
    Damaged,
    /// Another version of this program wrote them.
    Version(u16),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the snapshot of the analysis is damaged; it starts anew from the log"),
            Self::Version(found) => {
                write!(f, "the snapshot of the analysis has version {found}, this program reads {VERSION}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

#[derive(Serialize, Deserialize)]
struct Rest {
    now_ms: i64,
    first_ms: Option<i64>,
    last_ms: i64,
    events: u64,
    findings: u64,
    windows: u64,
    unusual: u64,
    unscored: u64,
    #[serde(default)]
    cut: u64,
    anomalies: Vec<anomaly::Saved>,
    open: Vec<(u64, Option<String>, AlertId)>,
    actors: Vec<(u64, u64, bool)>,
    #[serde(default)]
    words: Vec<(String, u32)>,
    #[serde(default)]
    usual: usual::Saved,
}

impl Analysis {
    /// The state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let Counts { events, findings, windows, unusual, unscored, cut } = self.counts;
        let rest = Rest {
            now_ms: self.now_ms,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            events,
            findings,
            windows,
            unusual,
            unscored,
            cut,
            anomalies: self.anomalies.save(),
            open: self.open.0.iter().rev().map(|(scope, alert)| saved_scope(*scope, alert)).collect(),
            actors: self.actors.save(),
            words: self.words.save(),
            usual: self.usual.save(),
        };
        let mut text = Vec::new();
        // Our own types have no maps with keys that are no text.
        json::encode(&rest, &mut text).unwrap_or_default();
        let mut out = VERSION.to_be_bytes().to_vec();
        for part in [self.windows.snapshot(), self.miner.snapshot(), text] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(&part);
        }
        out
    }

    /// The state that `bytes` were made of.
    ///
    /// # Errors
    /// The bytes are not whole, or not of this version.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (version, bytes) = bytes.split_first_chunk::<2>().ok_or(SnapshotError::Damaged)?;
        let version = u16::from_be_bytes(*version);
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let (windows, bytes) = part(bytes)?;
        let (miner, bytes) = part(bytes)?;
        let (rest, _) = part(bytes)?;
        let rest: Rest = json::decode(rest).map_err(|_cause| SnapshotError::Damaged)?;
        let windows = Windows::restore(windows, MODEL_WINDOWS_MAX, rest.now_ms.max(0) as u64);
        let mut open = OpenFindings::default();
        for (id, family, alert) in rest.open {
            let scope = match family {
                None => Some(Scope::Actor(id)),
                Some(name) => TypedKey::parse(&name).map(|key| Scope::Source(id, key.family())),
            };
            scope.map(|scope| open.0.put(scope, alert));
        }
        Ok(Self {
            windows: windows.map_err(|_cause| SnapshotError::Damaged)?,
            miner: Miner::restore(miner, Bounds::default()).map_err(|_cause| SnapshotError::Damaged)?,
            anomalies: anomaly::Anomalies::load(rest.anomalies),
            open,
            actors: Actors::load(rest.actors),
            words: Words::load(&rest.words),
            usual: usual::Usual::load(&rest.usual),
            now_ms: rest.now_ms,
            first_ms: rest.first_ms,
            last_ms: rest.last_ms,
            counts: Counts {
                events: rest.events,
                findings: rest.findings,
                windows: rest.windows,
                unusual: rest.unusual,
                unscored: rest.unscored,
                cut: rest.cut,
            },
            ..Self::default()
        })
    }
}

fn saved_scope(scope: Scope, alert: &AlertId) -> (u64, Option<String>, AlertId) {
    match scope {
        Scope::Source(id, family) => {
            let name = TypedKey::new(family, Action::Other, Outcome::None).to_string();
            (id, Some(name), alert.clone())
        }
        Scope::Actor(id) => (id, None, alert.clone()),
    }
}

fn part(bytes: &[u8]) -> Result<(&[u8], &[u8]), SnapshotError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(SnapshotError::Damaged)?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(SnapshotError::Damaged)
}
