//! Where one stands in a list: the selected row, the first row on the screen, and how keys move both.

/// A way to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
}

/// Which way to look for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the rows above.
    Up,
    /// To the rows below.
    Down,
}

impl Motion {
    /// Where `from` comes to in a list of `len` rows of which `height` are on the screen.
    fn apply(self, from: usize, len: usize, height: usize) -> usize {
        let page = height.max(1);
        let half = (height / 2).max(1);
        let to = match self {
            Self::Up => from.saturating_sub(1),
            Self::Down => from.saturating_add(1),
            Self::First => 0,
            Self::Last => usize::MAX,
            Self::PageUp => from.saturating_sub(page),
            Self::PageDown => from.saturating_add(page),
            Self::HalfUp => from.saturating_sub(half),
            Self::HalfDown => from.saturating_add(half),
        };
        to.min(len.saturating_sub(1))
    }
}

/// A place in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The selected row.
    pub at: usize,
    /// The first row on the screen.
    pub top: usize,
}

impl Cursor {
    /// Moves the selection and keeps it on the screen.
    pub fn step(&mut self, motion: Motion, len: usize, height: usize) {
        self.at = motion.apply(self.at, len, height);
        self.fit(len, height);
    }

    /// Moves the page itself, for a text without a selected row.
    pub fn scroll(&mut self, motion: Motion, len: usize, height: usize) {
        let last_top = len.saturating_sub(height);
        // The last row of a page that goes on says so, and shows no line.
        self.top = motion.apply(self.top, last_top + 1, height.saturating_sub(1));
        self.at = self.top;
    }

    /// Brings both numbers back into a list of `len` rows of which `height` are on the screen.
    pub fn fit(&mut self, len: usize, height: usize) {
        let height = height.max(1);
        self.at = self.at.min(len.saturating_sub(1));
        self.top = self.top.min(len.saturating_sub(height)).clamp((self.at + 1).saturating_sub(height), self.at);
    }

    /// Follows the selected row, which is now the row `at`: it stays on the same row of the screen,
    /// unless the list shows its beginning, where new rows must be seen.
    pub fn follow(&mut self, at: usize, len: usize, height: usize) {
        if self.top > 0 {
            self.top = (self.top + at).saturating_sub(self.at);
        }
        self.at = at;
        self.fit(len, height);
    }

    /// Goes to the nearest row in `direction` that is `wanted`; false if there is none.
    pub fn seek(&mut self, direction: Direction, len: usize, height: usize, wanted: impl Fn(usize) -> bool) -> bool {
        let found = match direction {
            Direction::Up => (0..self.at).rev().find(|at| wanted(*at)),
            Direction::Down => (self.at + 1..len).find(|at| wanted(*at)),
        };
        if let Some(at) = found {
            self.at = at;
            self.fit(len, height);
        }
        found.is_some()
    }

    /// The first row of the list was removed.
    pub fn removed_first(&mut self) {
        self.at = self.at.saturating_sub(1);
        self.top = self.top.saturating_sub(1);
    }
}
