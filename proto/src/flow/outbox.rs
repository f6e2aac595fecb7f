//! RESULTS that a server owes one hub: numbered, sent in order, kept until acknowledged.
//!
//! Lives as long as the hub's instance, longer than a connection; the shell stores each entry with
//! the alerts it came from and loads them back with [`Outbox::restore`]. A newer revision of an
//! alert takes the place of an older one that was not sent yet. At most [`OUTBOX_RESULTS_MAX`] wait:
//! then the oldest goes, and is counted; the alert itself stays in the server's store.

use std::collections::{HashMap, VecDeque};

use crate::{
    alert::Alert,
    id::AlertId,
    limits::{OUTBOX_RESULTS_MAX, OUTBOX_WINDOW, RESULTS_RESEND_MS},
    message::{Results, ResultsStats},
    time::Tick,
};

/// What waits for one hub.
#[derive(Debug)]
pub struct Outbox {
    next: u64,
    waiting: VecDeque<(u64, Results)>,
    /// Where the newest waiting revision of an alert stands.
    newest: HashMap<AlertId, u64>,
    /// The highest number sent on this connection, and the highest ever.
    sent: u64,
    sent_ever: u64,
    resend_at: Tick,
    dropped: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::restore(1, [])
    }
}

impl Outbox {
    /// The outbox as it was stored: the next number to give (from 1), and what was not acknowledged, by rising number.
    pub fn restore(next: u64, waiting: impl IntoIterator<Item = (u64, Results)>) -> Self {
        let mut outbox = Self {
            next: next.max(1),
            waiting: VecDeque::new(),
            newest: HashMap::new(),
            sent: 0,
            sent_ever: 0,
            resend_at: Tick(0),
            dropped: 0,
        };
        for (seq, results) in waiting {
            outbox.next = outbox.next.max(seq.saturating_add(1));
            outbox.sent_ever = seq;
            outbox.keep(seq, results);
        }
        outbox
    }

    /// The next number is `seq`, or a higher one that was reached already.
    pub fn go_on_at(&mut self, seq: u64) {
        self.next = self.next.max(seq);
    }

    /// Adds RESULTS and gives their number.
    pub fn push(&mut self, alerts: Vec<Alert>, mut stats: ResultsStats) -> u64 {
        for alert in &alerts {
            let freed = self.supersede(&alert.id);
            stats.events_processed += freed.events_processed;
            stats.anomalies_detected += freed.anomalies_detected;
            stats.processing_time_ms += freed.processing_time_ms;
        }
        let seq = self.next;
        self.next = seq.saturating_add(1);
        self.keep(seq, Results { alerts, stats, seq: Some(seq) });
        seq
    }

    /// The next RESULTS to send on this connection; none while [`OUTBOX_WINDOW`] are unacknowledged.
    pub fn poll(&mut self, now: Tick) -> Option<Results> {
        if self.sent > 0 && now >= self.resend_at {
            self.sent = 0;
        }
        let unsent = self.waiting.partition_point(|(seq, _)| *seq <= self.sent);
        if unsent >= OUTBOX_WINDOW {
            return None;
        }
        let (seq, results) = self.waiting.get(unsent)?;
        (self.sent, self.sent_ever) = (*seq, self.sent_ever.max(*seq));
        self.resend_at = now.plus(RESULTS_RESEND_MS);
        Some(results.clone())
    }

    /// Everything up to that number is durable at the hub, and leaves; what was not sent on this
    /// connection stays, whatever the hub says. True if something left.
    pub fn acknowledged(&mut self, now: Tick, seq: u64) -> bool {
        let seq = seq.min(self.sent);
        let before = self.waiting.len();
        while self.waiting.front().is_some_and(|(oldest, _)| *oldest <= seq) {
            self.drop_oldest();
        }
        let moved = self.waiting.len() < before;
        if moved {
            self.resend_at = now.plus(RESULTS_RESEND_MS);
        }
        moved
    }

    /// Takes out RESULTS that cannot be sent (too long for a frame), counted as dropped.
    pub fn give_up(&mut self, seq: u64) {
        if let Ok(at) = self.waiting.binary_search_by_key(&seq, |(seq, _)| *seq) {
            self.waiting.remove(at);
            self.newest.retain(|_, place| *place != seq);
            self.dropped += 1;
        }
    }

    /// Whether RESULTS of that number still wait; those that a newer revision emptied do not.
    pub fn holds(&self, seq: u64) -> bool {
        self.waiting.binary_search_by_key(&seq, |(seq, _)| *seq).is_ok()
    }

    /// The hub connected anew: everything that waits is sent again.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// When unacknowledged RESULTS are sent again.
    pub fn deadline(&self) -> Option<Tick> {
        let in_flight = self.waiting.front().is_some_and(|(seq, _)| *seq <= self.sent);
        in_flight.then_some(self.resend_at)
    }

    /// RESULTS that wait or are not acknowledged.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// RESULTS that were given up since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn keep(&mut self, seq: u64, results: Results) {
        if self.waiting.len() >= OUTBOX_RESULTS_MAX {
            self.drop_oldest();
            self.dropped += 1;
        }
        for alert in &results.alerts {
            self.newest.insert(alert.id.clone(), seq);
        }
        self.waiting.push_back((seq, results));
    }

    /// Takes an older revision out, if it was never sent; gives the stats of RESULTS that are empty without it.
    fn supersede(&mut self, id: &AlertId) -> ResultsStats {
        let place = self.newest.get(id).copied().filter(|place| *place > self.sent_ever);
        let at = place.and_then(|place| self.waiting.binary_search_by_key(&place, |(seq, _)| *seq).ok());
        let Some((at, (_, results))) = at.and_then(|at| Some((at, self.waiting.get_mut(at)?))) else {
            return ResultsStats::default();
        };
        results.alerts.retain(|alert| alert.id != *id);
        if !results.alerts.is_empty() {
            return ResultsStats::default();
        }
        self.waiting.remove(at).map(|(_, results)| results.stats).unwrap_or_default()
    }

    fn drop_oldest(&mut self) {
        if let Some((seq, results)) = self.waiting.pop_front() {
            for alert in &results.alerts {
                if self.newest.get(&alert.id) == Some(&seq) {
                    self.newest.remove(&alert.id);
                }
            }
        }
    }
}
