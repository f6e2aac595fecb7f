//! What the collectors saw and what they had to leave out, counted where it happens.
//!
//! One table for all of them, read by whoever shows it. Counts rise for the life of the process;
//! gauges (files followed, folders not watched) are set.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the enum of what is counted, and its names.
macro_rules! counted {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum What {
            $($(#[$meta])* $variant),+
        }

        impl What {
            /// Everything that is counted, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in tables and on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

counted! {
    /// Lines read from files.
    TailLines = "tail_lines",
    /// Files followed now.
    TailFiles = "tail_files",
    /// Files not followed because there were too many.
    TailFilesOver = "tail_files_over_limit",
    /// Times a file could not be read.
    TailUnreadable = "tail_unreadable",
    /// Entries read from the journal.
    JournalEntries = "journal_entries",
    /// Times `journalctl` was started again.
    JournalRestarts = "journal_restarts",
    /// Datagrams read from `/dev/log`.
    DevlogMessages = "devlog_messages",
    /// Changes of files reported.
    FimChanges = "fim_changes",
    /// Files in the baseline at the last check.
    FimFiles = "fim_files",
    /// Files left out of the baseline because it was full, at the last check.
    FimFilesOver = "fim_files_over_limit",
    /// Folders whose changes are found by the periodic check only.
    FimUnwatched = "fim_folders_unwatched",
    /// Files and folders that could not be read, at the last check.
    FimUnreadable = "fim_unreadable",
    /// Files compared without a hash, too long or sparse, at the last check.
    FimUnhashed = "fim_unhashed",
    /// Folders not looked into because they lie too deep, at the last check.
    FimTooDeep = "fim_too_deep",
    /// Times that notices were lost or too many, and a full check was made instead.
    FimOverflows = "fim_overflows",
    /// Full checks made.
    FimChecks = "fim_checks",
    /// Baseline entries that were damaged and taken anew.
    FimDamaged = "fim_damaged",
    /// Times that the baseline could not be written.
    FimUnwritten = "fim_unwritten",
    /// Processes known at the last look.
    Processes = "processes",
    /// Processes whose start was told.
    ProcessesStarted = "processes_started",
    /// Processes not looked at because there were too many, at the last look.
    ProcessesOver = "processes_over_limit",
    /// Times that the list of processes could not be read.
    ProcessesUnreadable = "processes_unreadable",
    /// Connections known at the last look, without those that stay on the host.
    Connections = "connections",
    /// Connections told.
    ConnectionsMade = "connections_made",
    /// Connections told without the process that holds them.
    ConnectionsUnowned = "connections_without_process",
    /// Connections not looked at because there were too many, at the last look.
    ConnectionsOver = "connections_over_limit",
    /// Times that the tables of sockets could not be read.
    ConnectionsUnreadable = "connections_unreadable",
}

/// The counters of one daemon's collectors.
#[derive(Debug)]
pub struct Counters([AtomicU64; What::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Adds `count`.
    pub fn add(&self, what: What, count: u64) {
        if let Some(place) = self.0.get(what as usize) {
            place.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Sets a gauge; gives what it was.
    pub fn set(&self, what: What, value: u64) -> u64 {
        self.0.get(what as usize).map_or(0, |place| place.swap(value, Ordering::Relaxed))
    }

    /// How many.
    pub fn count(&self, what: What) -> u64 {
        self.0.get(what as usize).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// Everything, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        What::ALL.iter().map(|what| (what.name(), self.count(*what)))
    }
}
