//! How a database is, in the words of whoever asks.

use super::error::{Fault, StoreError};
use std::fmt;
use std::sync::Arc;

/// How a store stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It takes and commits.
    #[default]
    Sound,
    /// The disk is full: intake is refused, what was taken is kept and tried again.
    Full,
    /// The disk answers with errors: as `Full`.
    Failing(String),
    /// The file contradicts itself: nothing more is taken.
    Damaged(String),
    /// It was closed.
    Stopped,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound => f.write_str("sound"),
            Self::Full => f.write_str("full"),
            Self::Failing(problem) => write!(f, "failing: {problem}"),
            Self::Damaged(problem) => write!(f, "damaged: {problem}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl Health {
    pub(super) fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::Io(message) => Self::Failing(message.clone()),
            Fault::Damaged(message) => Self::Damaged(message.clone()),
        }
    }

    /// What intake is told; `None` where it is taken.
    pub(super) fn refusal(&self, store: &Arc<str>) -> Option<StoreError> {
        let store = store.clone();
        match self {
            Self::Sound => None,
            Self::Full => Some(StoreError::Full { store }),
            Self::Failing(message) => Some(StoreError::Failing { store, message: message.clone() }),
            Self::Damaged(message) => Some(StoreError::Damaged { store, message: message.clone() }),
            Self::Stopped => Some(StoreError::Stopped { store }),
        }
    }
}
