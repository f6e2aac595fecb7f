//! The alerts that the dashboard holds, in the order they are shown: the worst first, then the newest.
//!
//! The selection is an alert, not a row: an alert that comes in never puts another one under the
//! key that settles it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use nms_proto::{alert::Alert, id::AlertId, limits::HUB_ALERTS_CACHED, severity::Severity};

use regex::Regex;

use crate::{
    filter::{Filter, Subject},
    list::{Cursor, Direction, Motion},
};

/// The place of an alert in the list.
type Place = (Reverse<Severity>, Reverse<i64>, AlertId);

fn place(alert: &Alert) -> Place {
    let newest = alert.last_seen.or(alert.first_seen).map_or(0, |at| at.unix_ms);
    (Reverse(alert.severity), Reverse(newest), alert.id.clone())
}

/// What an alert from the hub was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Not known before, or worse than before.
    Raised,
    /// Another revision.
    Changed,
    /// Older than what is held.
    Stale,
}

/// The alerts, the filter, and where one stands in them.
#[derive(Debug)]
pub struct Alerts {
    held: BTreeMap<AlertId, Alert>,
    order: BTreeSet<Place>,
    shown: Vec<AlertId>,
    /// The filter that is edited; works while `filter_on`.
    pub filter: Filter,
    /// Whether the filter hides anything.
    pub filter_on: bool,
    /// The selected row and the first on the screen.
    pub cursor: Cursor,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            order: BTreeSet::new(),
            shown: Vec::new(),
            filter: Filter::unsettled(),
            filter_on: true,
            cursor: Cursor::default(),
        }
    }
}

impl Alerts {
    /// Takes all alerts of a snapshot in place of those held.
    pub fn replace(&mut self, alerts: Vec<Alert>, height: usize) {
        let selected = self.selected_id();
        self.held.clear();
        self.order.clear();
        for alert in alerts {
            self.insert(alert);
        }
        self.show(selected, height);
    }

    /// Takes one alert; a lower revision never replaces a higher one.
    pub fn upsert(&mut self, alert: Alert, height: usize) -> News {
        let news = match self.held.get(&alert.id) {
            Some(held) if held.revision > alert.revision => return News::Stale,
            Some(held) if held.severity >= alert.severity => News::Changed,
            _ => News::Raised,
        };
        let selected = self.selected_id();
        self.insert(alert);
        self.show(selected, height);
        news
    }

    fn insert(&mut self, alert: Alert) {
        let now = place(&alert);
        if let Some(old) = self.held.insert(alert.id.clone(), alert) {
            self.order.remove(&place(&old));
        }
        self.order.insert(now);
        if self.held.len() > HUB_ALERTS_CACHED
            && let Some((_, _, id)) = self.order.pop_last()
        {
            self.held.remove(&id);
        }
    }

    /// Shows what the filter lets through and keeps `selected` selected.
    fn show(&mut self, selected: Option<AlertId>, height: usize) {
        let shows = |id: &AlertId| {
            let alert = self.held.get(id);
            alert.is_some_and(|alert| !self.filter_on || self.filter.shows(&Subject::from(alert)))
        };
        self.shown = self.order.iter().map(|(_, _, id)| id).filter(|id| shows(id)).cloned().collect();
        let at = selected.and_then(|selected| self.shown.iter().position(|id| *id == selected));
        match at {
            Some(at) => self.cursor.follow(at, self.shown.len(), height),
            None => self.cursor.fit(self.shown.len(), height),
        }
    }

    /// Applies the filter anew, after it was changed.
    pub fn refilter(&mut self, height: usize) {
        self.show(self.selected_id(), height);
    }

    /// Moves the selection.
    pub fn step(&mut self, motion: Motion, height: usize) {
        self.cursor.step(motion, self.shown.len(), height);
    }

    /// Selects `id`, if it is shown; turns the filter off if it hides it.
    pub fn select(&mut self, id: &AlertId, height: usize) -> bool {
        if self.held.contains_key(id) && !self.shown.contains(id) {
            self.filter_on = false;
        }
        self.show(Some(id.clone()), height);
        self.selected_id().as_ref() == Some(id)
    }

    /// Goes to the next alert in `direction` that matches `pattern`; false if there is none.
    pub fn search(&mut self, pattern: &Regex, direction: Direction, height: usize) -> bool {
        let hit = |alert: &Alert| {
            let texts = [&*alert.message, alert.source.as_str(), alert.category.as_str(), alert.id.as_str()];
            texts.iter().any(|text| pattern.is_match(text))
        };
        let at_hits = |at: usize| self.shown.get(at).and_then(|id| self.held.get(id)).is_some_and(hit);
        self.cursor.seek(direction, self.shown.len(), height, at_hits)
    }

    /// The alert of that id.
    pub fn of(&self, id: &AlertId) -> Option<&Alert> {
        self.held.get(id)
    }

    /// The selected alert.
    pub fn selected(&self) -> Option<&Alert> {
        self.shown(self.cursor.at)
    }

    fn selected_id(&self) -> Option<AlertId> {
        self.shown.get(self.cursor.at).cloned()
    }

    /// The alert in row `at` of those shown.
    pub fn shown(&self, at: usize) -> Option<&Alert> {
        self.held.get(self.shown.get(at)?)
    }

    /// How many are shown.
    pub fn shown_len(&self) -> usize {
        self.shown.len()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
