//! Windows as bytes: version, then each window from the longest unused to the last used.
//!
//! Keys go by name, so that a later program with more families still reads them; a key it does not
//! know drops its position. A restored window is due when it was, and at the latest after the usual wait.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Open, Position, Windows};
use crate::key::{Context, FACTORS, Scope, TypedKey};
use nms_proto::extraction::{Action, Outcome};
use nms_proto::limits::{MODEL_WINDOW_EVENTS, MODEL_WINDOW_IDLE_MS};

const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u16,
    keys: Vec<String>,
    windows: Vec<SavedWindow>,
}

#[derive(Serialize, Deserialize)]
struct SavedWindow {
    id: u64,
    /// Index into `keys` of the family's `other` key; none for an actor's window.
    family: Option<u32>,
    /// When it is due, in the caller's milliseconds.
    due_ms: Option<u64>,
    fresh: u32,
    positions: Vec<SavedPosition>,
}

#[derive(Serialize, Deserialize)]
struct SavedPosition {
    key: u32,
    context: [u8; FACTORS],
    count: u32,
    at_ms: (i64, i64),
    refs: (u64, u64),
}

/// Why bytes are no snapshot of windows.
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
            Self::Damaged => write!(f, "the snapshot of the windows is damaged; they start empty"),
            Self::Version(found) => {
                write!(f, "the snapshot of the windows has version {found}, this program reads {VERSION}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

impl Windows {
    /// All windows as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut keys = Vec::new();
        let windows = self.open.iter().rev().map(|(scope, open)| save(*scope, open, &mut keys)).collect();
        let names = keys.iter().map(ToString::to_string).collect();
        postcard::to_allocvec(&Saved { version: VERSION, keys: names, windows }).unwrap_or_default()
    }

    /// The windows that `bytes` were made of, at most `windows_max`.
    ///
    /// # Errors
    /// [`SnapshotError`] where the bytes are not whole or not of this version.
    pub fn restore(bytes: &[u8], windows_max: usize, now_ms: u64) -> Result<Self, SnapshotError> {
        let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(|_cause| SnapshotError::Damaged)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let saved: Saved = postcard::from_bytes(bytes).map_err(|_cause| SnapshotError::Damaged)?;
        let keys: Vec<_> = saved.keys.iter().map(|name| TypedKey::parse(name)).collect();
        let mut windows = Self::new(windows_max);
        for window in saved.windows {
            let Some(scope) = scope_of(&window, &keys) else { continue };
            let open = load(&window, &keys, now_ms);
            windows.deadlines.extend(open.due_ms.map(|due| Reverse((due, scope))));
            windows.open.put(scope, open);
        }
        Ok(windows)
    }
}

fn key_number(key: TypedKey, keys: &mut Vec<TypedKey>) -> u32 {
    let at = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
        keys.push(key);
        keys.len() - 1
    });
    at as u32
}

fn save(scope: Scope, open: &Open, keys: &mut Vec<TypedKey>) -> SavedWindow {
    let (id, family) = match scope {
        Scope::Source(id, family) => (id, Some(key_number(TypedKey::new(family, Action::Other, Outcome::None), keys))),
        Scope::Actor(id) => (id, None),
    };
    let position = |p: &Position, keys: &mut Vec<TypedKey>| SavedPosition {
        key: key_number(p.key, keys),
        context: *p.context.values(),
        count: p.count,
        at_ms: (p.first_at_ms, p.last_at_ms),
        refs: (p.first, p.last),
    };
    let positions = open.positions.iter().map(|p| position(p, keys)).collect();
    SavedWindow { id, family, due_ms: open.due_ms, fresh: open.fresh as u32, positions }
}

fn scope_of(window: &SavedWindow, keys: &[Option<TypedKey>]) -> Option<Scope> {
    match window.family {
        None => Some(Scope::Actor(window.id)),
        Some(key) => Some(Scope::Source(window.id, keys.get(key as usize).copied().flatten()?.family())),
    }
}

fn load(window: &SavedWindow, keys: &[Option<TypedKey>], now_ms: u64) -> Open {
    let position = |p: &SavedPosition| {
        Some(Position {
            key: keys.get(p.key as usize).copied().flatten()?,
            context: Context::from_values(p.context),
            count: p.count,
            first_at_ms: p.at_ms.0,
            last_at_ms: p.at_ms.1,
            first: p.refs.0,
            last: p.refs.1,
        })
    };
    Open {
        positions: window.positions.iter().take(MODEL_WINDOW_EVENTS).filter_map(position).collect(),
        fresh: window.fresh as usize,
        due_ms: window.due_ms.map(|due| due.min(now_ms.saturating_add(MODEL_WINDOW_IDLE_MS))),
        queued: window.due_ms.is_some(),
    }
}
