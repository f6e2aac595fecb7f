//! The times of the last few signs of one actor, in order, however they arrive.
//!
//! Two sources may tell of one actor, one of them late. So a time is put in its place, and a limit is
//! judged on the closest neighbours of the time that just came, never on old ones alone.

/// Times that are kept.
pub(super) const RECENT: usize = 8;

/// The last [`RECENT`] times, Unix milliseconds, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    times: Vec<i64>,
}

impl Recent {
    /// Puts `at` in its place and says where; where all kept ones are later, it is the first and may be dropped.
    pub(super) fn insert(&mut self, at: i64) -> usize {
        let place = self.times.partition_point(|&time| time <= at);
        self.times.insert(place, at);
        if self.times.len() > RECENT {
            self.times.remove(0);
            return place.saturating_sub(1);
        }
        place
    }

    /// The shortest span that holds `count` neighbouring times, that at `place` among them, in milliseconds.
    pub(super) fn span(&self, place: usize, count: usize) -> Option<i64> {
        let windows = self.times.windows(count).enumerate();
        let holding = windows.filter(|(start, _window)| (*start..start + count).contains(&place));
        holding.filter_map(|(_start, window)| Some(window.last()? - window.first()?)).min()
    }

    /// How many there are, up to [`RECENT`].
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// The latest, Unix milliseconds.
    pub(super) fn last(&self) -> i64 {
        self.times.last().copied().unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
    }
}
