//! The log on the screen: following its end, or paused at a row while new lines are counted.

use nms_proto::{alert::Alert, dash::Line, id::AlertId, time::Stamp};
use regex::Regex;

use crate::{
    filter::Filter,
    lines::{Kind, Lines, Moved, Row},
    list::{Cursor, Direction, Motion},
};

/// Whether the end of the log is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The newest line is the last on the screen.
    On,
    /// The screen stands still.
    Paused {
        /// Since when.
        at: Stamp,
        /// Lines that came since and pass the filter.
        new: u64,
    },
}

/// The lines, and where one stands in them.
#[derive(Debug)]
pub struct Logs {
    /// The lines.
    pub lines: Lines,
    /// Whether their end is followed.
    pub follow: Follow,
    /// The selected row and the first on the screen, while paused.
    pub cursor: Cursor,
    /// The filter that is edited; works while `filter_on`.
    pub filter: Filter,
    /// Whether the filter hides anything.
    pub filter_on: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            lines: Lines::default(),
            follow: Follow::On,
            cursor: Cursor::default(),
            filter: Filter::default(),
            filter_on: true,
        }
    }
}

impl Logs {
    /// Adds lines.
    pub fn extend(&mut self, lines: &[Line], height: usize) {
        let moved = self.lines.extend(lines);
        self.moved(moved, height);
    }

    /// Adds the lines of a snapshot after the hub was away; says how many are missing.
    pub fn resume(&mut self, lines: &[Line], height: usize) -> u64 {
        let (moved, missed) = self.lines.resume(lines);
        self.moved(moved, height);
        missed
    }

    /// Adds a row for lines that were not sent.
    pub fn gap(&mut self, now: Stamp, lines: u64, height: usize) {
        let moved = self.lines.gap(now, lines);
        self.moved(moved, height);
    }

    /// Adds a row for an alert.
    pub fn alert(&mut self, now: Stamp, alert: &Alert, height: usize) {
        let moved = self.lines.alert(now, alert);
        self.moved(moved, height);
    }

    fn moved(&mut self, moved: Moved, height: usize) {
        match &mut self.follow {
            Follow::On => self.show_end(height),
            Follow::Paused { new, .. } => {
                *new += moved.added as u64;
                for _ in 0..moved.dropped {
                    self.cursor.removed_first();
                }
                self.cursor.fit(self.lines.shown_len(), height);
            }
        }
    }

    fn show_end(&mut self, height: usize) {
        self.cursor.step(Motion::Last, self.lines.shown_len(), height);
    }

    /// Stands still from now on.
    pub fn pause(&mut self, now: Stamp) {
        if self.follow == Follow::On {
            self.follow = Follow::Paused { at: now, new: 0 };
        }
    }

    /// Follows the end again.
    pub fn resume_following(&mut self, height: usize) {
        self.follow = Follow::On;
        self.show_end(height);
    }

    /// Moves the selection: pauses, but for the last row, which follows again.
    pub fn step(&mut self, motion: Motion, now: Stamp, height: usize) {
        match motion {
            Motion::Last => self.resume_following(height),
            Motion::Down | Motion::PageDown | Motion::HalfDown if self.follow == Follow::On => {}
            _ => {
                self.pause(now);
                self.cursor.step(motion, self.lines.shown_len(), height);
            }
        }
    }

    /// Applies the filter, after it was changed.
    pub fn refilter(&mut self, height: usize) {
        self.lines.set_filter(if self.filter_on { self.filter.clone() } else { Filter::default() });
        match self.follow {
            Follow::On => self.show_end(height),
            Follow::Paused { .. } => self.cursor.step(Motion::Last, self.lines.shown_len(), height),
        }
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.lines.shown(self.cursor.at)
    }

    /// The alert of the selected row.
    pub fn selected_alert(&self) -> Option<AlertId> {
        let row = self.selected().filter(|row| matches!(row.kind, Kind::Alert(_)))?;
        row.app().as_str().parse().ok()
    }

    /// Goes to the next row in `direction` that matches `pattern`; false if there is none.
    pub fn search(&mut self, pattern: &Regex, direction: Direction, now: Stamp, height: usize) -> bool {
        let hit = |row: &Row| [row.message(), row.app(), row.host()].iter().any(|text| pattern.is_match(text.as_str()));
        self.seek(direction, now, height, hit)
    }

    /// Goes to the next alert in `direction`; false if there is none.
    pub fn seek_alert(&mut self, direction: Direction, now: Stamp, height: usize) -> bool {
        self.seek(direction, now, height, |row| matches!(row.kind, Kind::Alert(_)))
    }

    fn seek(&mut self, direction: Direction, now: Stamp, height: usize, wanted: impl Fn(&Row) -> bool) -> bool {
        let len = self.lines.shown_len();
        let found = self.cursor.seek(direction, len, height, |at| self.lines.shown(at).is_some_and(&wanted));
        if found {
            self.pause(now);
        }
        found
    }
}
