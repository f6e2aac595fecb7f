//! A full look at everything that is watched, a little at a time: the periodic check, or a report.
//!
//! First a walk over the roots finds what is new or differs; then a pass over the baseline finds what
//! is gone. Between two turns change notices are served, so that a long check delays none of them.

use std::path::PathBuf;

use super::scan::Walk;

/// Why everything is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The periodic check: what differs is reported and becomes the baseline. Content that was last
    /// hashed before this time, in seconds since 1970 UTC, is hashed again.
    Check {
        /// The time.
        rehash_before_s: i64,
    },
    /// A report for a command: a row for each file; the baseline stays as it is.
    Report {
        /// The command.
        command_id: Box<str>,
    },
}

impl Purpose {
    /// The command that is answered.
    pub(super) fn command_id(&self) -> Option<&str> {
        match self {
            Self::Check { .. } => None,
            Self::Report { command_id } => Some(command_id),
        }
    }
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Looking at what is there.
    Walking(Walk),
    /// Looking for what is gone, behind this path of the baseline.
    Missing(PathBuf),
}

/// What a look at everything counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Files looked at.
    pub(super) files: u64,
    /// Files that differ from the baseline.
    pub(super) changed: u64,
    /// Files and folders that could not be read.
    pub(super) unreadable: u64,
    /// Files too long to be hashed.
    pub(super) unhashed: u64,
    /// Files left out because the baseline is full.
    pub(super) over: u64,
    /// Folders too deep to be looked into.
    pub(super) too_deep: u64,
}

/// A look at everything, on its way.
#[derive(Debug)]
pub(super) struct Job {
    /// Why.
    pub(super) purpose: Purpose,
    /// How far.
    pub(super) phase: Phase,
    /// What was counted.
    pub(super) totals: Totals,
}

impl Job {
    /// Begins at the first of `roots`.
    pub(super) fn over(purpose: Purpose, roots: Vec<PathBuf>) -> Self {
        Self { purpose, phase: Phase::Walking(Walk::over(roots.into_iter())), totals: Totals::default() }
    }
}
