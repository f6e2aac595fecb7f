//! Sequences that only the model finds unusual: one alert a scope, whose revisions are few.
//!
//! The first unusual window of a scope raises an alert of INFO or LOW; later ones count into it. A
//! revision follows when it becomes worse, at 10, 100 and 1,000 windows, and once when 60 minutes
//! passed without one. A scope that is unusual again within 24 hours reopens its anomaly under the same
//! id; so does one whose next alert would have that id, because revisions of an id only rise. Times are
//! those of the tenant's analysis clock, so a replay says the same.

use std::{fmt, num::NonZeroUsize};

use lru::LruCache;
use nms_model::{
    key::{Scope, TypedKey},
    window::{Position, Window},
};
use nms_proto::{
    alert::{Alert, ModelVerdict, Status},
    extraction::{Action, Outcome},
    id::{AlertId, Instance},
    limits::{ANOMALIES_MAX, TENANT_ANOMALIES_BYTES},
};
use serde::{Deserialize, Serialize};

use super::{Said, memory::weight};

/// Time without an unusual window after which an anomaly is over, in milliseconds.
const QUIET_MS: i64 = 60 * 60_000;
/// Time after its last window in which an anomaly that is over is opened again, in milliseconds.
const REOPEN_MS: i64 = 24 * 60 * 60_000;
/// Least time between two revisions that only say that there is more, in milliseconds.
const REVISION_MS: i64 = 10_000;
/// Windows at which a revision says that there is more.
const MILESTONES: [u64; 3] = [10, 100, 1_000];

/// One anomaly, as it is kept and stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Anomaly {
    alert: Alert,
    hubs: Vec<Instance>,
    /// Unusual windows so far, and when the last revision was said.
    windows: u64,
    said_windows: u64,
    /// On the analysis clock: the last revision, the last window.
    said_ms: i64,
    touched_ms: i64,
    /// Its last word was said.
    #[serde(default)]
    is_over: bool,
}

/// The anomalies of one tenant: those that are not over, and the last one of scopes that are quiet again.
pub(super) struct Anomalies {
    known: LruCache<Scope, Anomaly>,
    /// Memory of them, in bytes.
    bytes: usize,
    /// No anomaly is over before; `i64::MAX` while none is open.
    over_ms: i64,
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anomalies").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Default for Anomalies {
    fn default() -> Self {
        let max = NonZeroUsize::new(ANOMALIES_MAX).unwrap_or(NonZeroUsize::MIN);
        Self { known: LruCache::new(max), bytes: 0, over_ms: i64::MAX }
    }
}

impl Anomalies {
    /// Whether an unusual window is told already, so that there is nothing to say of it but that there was one more: its
    /// scope is known for one as bad, as part of the same incident; or an open incident explained it from the beginning.
    pub(super) fn is_told(&self, scope: Scope, verdict: &ModelVerdict, part_of: Option<&AlertId>) -> bool {
        let Some(known) = self.known.peek(&scope).filter(|known| !known.is_over) else { return part_of.is_some() };
        let worst = known.alert.model.as_ref().map_or(f32::INFINITY, |model| model.p_value);
        worst <= verdict.p_value && part_of.is_none_or(|part| known.alert.merged_into.as_ref() == Some(part))
    }

    /// One more unusual window of what is told already; gives the revision that is to be said, if one is.
    pub(super) fn count(&mut self, now_ms: i64, window: &Window) -> Option<Said> {
        let known = self.known.get_mut(&window.scope).filter(|known| !known.is_over)?;
        known.count(now_ms, window);
        known.is_due(now_ms).then(|| known.revise(now_ms))
    }

    /// An unusual window, whose alert would be `alert`; gives the revision that is to be said, if one is.
    pub(super) fn raise(
        &mut self,
        now_ms: i64,
        window: &Window,
        mut alert: Alert,
        hubs: Vec<Instance>,
    ) -> Option<Said> {
        self.over_ms = self.over_ms.min(now_ms + QUIET_MS);
        let known = self.known.get_mut(&window.scope).filter(|known| known.goes_on(now_ms, &alert));
        let Some(known) = known else {
            alert.count = events(&window.positions);
            let (windows, said_windows, is_over) = (1, 1, false);
            let anomaly = Anomaly { alert, hubs, windows, said_windows, said_ms: now_ms, touched_ms: now_ms, is_over };
            let said = anomaly.said();
            self.keep(window.scope, anomaly);
            return Some(said);
        };
        let worse = alert.severity > known.alert.severity || alert.merged_into != known.alert.merged_into;
        let again = std::mem::take(&mut known.is_over);
        known.count(now_ms, window);
        let before = weight(&known.alert);
        known.grow(alert, hubs);
        self.bytes = self.bytes + weight(&known.alert) - before;
        let said = (again || worse || known.is_due(now_ms)).then(|| known.revise(now_ms));
        self.trim();
        said
    }

    /// Keeps an anomaly. Those unused for longest give way without a last word: their count stays as it was said.
    fn keep(&mut self, scope: Scope, anomaly: Anomaly) {
        self.bytes += weight(&anomaly.alert);
        let gone = self.known.push(scope, anomaly);
        self.bytes -= gone.map_or(0, |(_, gone)| weight(&gone.alert));
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > TENANT_ANOMALIES_BYTES && self.known.len() > 1 {
            self.bytes -= self.known.pop_lru().map_or(0, |(_, gone)| weight(&gone.alert));
        }
    }

    /// The last words of those that are over at `now_ms`.
    pub(super) fn tick(&mut self, now_ms: i64, out: &mut Vec<Said>) {
        if now_ms < self.over_ms {
            return;
        }
        let over = self.known.iter().filter(|(_, anomaly)| !anomaly.is_over && anomaly.touched_ms + QUIET_MS <= now_ms);
        let mut over: Vec<Scope> = over.map(|(scope, _)| *scope).collect();
        over.sort();
        for scope in over {
            let Some(anomaly) = self.known.peek_mut(&scope) else { continue };
            anomaly.is_over = true;
            anomaly.alert.revision += 1;
            anomaly.alert.status = Status::Resolved;
            out.push(anomaly.said());
        }
        let open = self.known.iter().filter(|(_, anomaly)| !anomaly.is_over);
        let next = open.map(|(_, anomaly)| anomaly.touched_ms + QUIET_MS).min();
        self.over_ms = next.unwrap_or(i64::MAX);
    }

    /// When [`Anomalies::tick`] may have something to say.
    pub(super) fn deadline(&self) -> Option<i64> {
        (self.over_ms < i64::MAX).then_some(self.over_ms)
    }

    pub(super) fn save(&self) -> Vec<Saved> {
        let one = |(scope, anomaly): (&Scope, &Anomaly)| {
            let (id, family) = match scope {
                Scope::Source(id, family) => {
                    (*id, Some(TypedKey::new(*family, Action::Other, Outcome::None).to_string()))
                }
                Scope::Actor(id) => (*id, None),
            };
            Saved { id, family, anomaly: anomaly.clone() }
        };
        self.known.iter().rev().map(one).collect()
    }

    pub(super) fn load(saved: Vec<Saved>) -> Self {
        let mut anomalies = Self::default();
        for Saved { id, family, anomaly } in saved {
            let scope = match family {
                None => Scope::Actor(id),
                Some(name) => match TypedKey::parse(&name) {
                    Some(key) => Scope::Source(id, key.family()),
                    None => continue,
                },
            };
            if !anomaly.is_over {
                anomalies.over_ms = anomalies.over_ms.min(anomaly.touched_ms + QUIET_MS);
            }
            anomalies.keep(scope, anomaly);
        }
        anomalies
    }
}

impl Anomaly {
    /// Whether another unusual window of its scope, whose alert would be `alert`, belongs to it.
    fn goes_on(&self, now_ms: i64, alert: &Alert) -> bool {
        !self.is_over || now_ms - self.touched_ms <= REOPEN_MS || self.alert.id == alert.id
    }

    /// Counts a later window; of its positions only those that were not in the last one as they are.
    fn count(&mut self, now_ms: i64, window: &Window) {
        self.windows += 1;
        self.touched_ms = now_ms;
        let held = window.positions.len().saturating_sub(window.fresh);
        self.alert.count += events(window.positions.get(held..).unwrap_or_default());
        let last_ms = window.positions.last().map(|last| last.last_at_ms);
        if let (Some(seen), Some(last_ms)) = (&mut self.alert.last_seen, last_ms) {
            seen.unix_ms = seen.unix_ms.max(last_ms);
        }
    }

    /// Takes in what a later window says: it is never less bad than it was.
    fn grow(&mut self, later: Alert, hubs: Vec<Instance>) {
        let known = &mut self.alert;
        if later.confidence >= known.confidence {
            known.severity = known.severity.max(later.severity);
            known.confidence = later.confidence;
            known.model = later.model;
            known.unexpected = later.unexpected;
            known.reasons = later.reasons;
        }
        known.merged_into = later.merged_into.or(known.merged_into.take());
        self.hubs.extend(hubs);
        self.hubs.sort();
        self.hubs.dedup();
    }

    /// Whether a revision is due that only says that there is more.
    fn is_due(&self, now_ms: i64) -> bool {
        let has_more = MILESTONES.iter().any(|&count| self.said_windows < count && self.windows >= count);
        has_more && now_ms - self.said_ms >= REVISION_MS
    }

    fn revise(&mut self, now_ms: i64) -> Said {
        (self.said_ms, self.said_windows) = (now_ms, self.windows);
        self.alert.revision += 1;
        self.alert.status = Status::Open;
        self.said()
    }

    fn said(&self) -> Said {
        Said { hubs: self.hubs.clone(), finding: self.alert.revision, alert: self.alert.clone() }
    }
}

/// An anomaly in a snapshot; its family by name, so that a later program still reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    id: u64,
    family: Option<String>,
    anomaly: Anomaly,
}

/// Events in a run of positions.
fn events(positions: &[Position]) -> u64 {
    positions.iter().map(|position| u64::from(position.count)).sum()
}
