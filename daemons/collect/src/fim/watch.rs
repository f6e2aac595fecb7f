//! Change notices of the watched folders, and which folders are left to the periodic check.
//!
//! The kernel limits how many folders one user may watch, and we limit it ourselves at
//! [`FIM_WATCHES_MAX`]. A folder beyond either is not lost: the check finds its changes, minutes
//! later instead of at once. That is said once, with the limit's name and value, and counted.

use std::path::Path;

use nms_kit::clock;
use nms_proto::limits::FIM_WATCHES_MAX;

use crate::notice::{Notice, Notices, WatchError};

/// The notices of file integrity.
#[derive(Debug, Default)]
pub struct Watch {
    notices: Option<Notices>,
    unwatched: u64,
    is_full: bool,
    is_said: bool,
}

impl Watch {
    /// Asks the kernel for notices; without them everything is left to the periodic check.
    pub fn open() -> Self {
        let notices = Notices::open().inspect_err(|error| {
            log::warn!("no change notices, files are checked periodically only error={error}");
        });
        Self { notices: notices.ok(), ..Self::default() }
    }

    /// Watches a folder; gives how many could not be watched so far.
    pub fn folder(&mut self, folder: &Path) -> u64 {
        let is_full = self.is_full;
        let Some(notices) = self.notices.as_mut().filter(|found| !is_full && found.len() < FIM_WATCHES_MAX) else {
            self.unwatched += u64::from(!self.watches(folder));
            return self.unwatched;
        };
        if notices.watches(folder) {
            return self.unwatched;
        }
        match notices.watch(folder) {
            Ok(()) => {}
            Err(error @ WatchError::Limit(_)) => {
                self.is_full = true;
                self.unwatched += 1;
                if !std::mem::replace(&mut self.is_said, true) {
                    log::warn!("changes of more folders are found by the periodic check only error={error}");
                }
            }
            Err(WatchError::Folder(error)) => {
                log::debug!("a folder is not watched folder={} error={error}", folder.display());
            }
        }
        self.unwatched
    }

    fn watches(&self, folder: &Path) -> bool {
        self.notices.as_ref().is_some_and(|notices| notices.watches(folder))
    }

    /// A folder went away.
    pub fn forget(&mut self, folder: &Path) {
        if let Some(notices) = &mut self.notices {
            notices.forget(folder);
        }
    }

    /// Begins a new count of folders that are not watched: each check comes by all of them.
    pub fn begin_count(&mut self) {
        self.unwatched = 0;
        self.is_full = false;
    }

    /// Waits up to `ms` for notices.
    pub fn wait(&mut self, ms: u64) -> Vec<Notice> {
        let Some(notices) = &mut self.notices else {
            clock::block(ms);
            return Vec::new();
        };
        notices.wait(ms).unwrap_or_else(|error| {
            log::warn!("cannot read change notices error={error}");
            clock::block(ms);
            vec![Notice::Overflow]
        })
    }
}
