//! The alerts the hub keeps: the newest revision of each, at most [`HUB_ALERTS_CACHED`].
//!
//! A lower revision never replaces a higher one, so a result that comes twice changes nothing. What
//! a person did with an alert (status, verdict, history) is kept by the hub and outlives the
//! server's later revisions: the facts are the server's, the settlement is the person's. When full,
//! the oldest settled alert goes first, then the oldest.

use std::collections::HashMap;

use nms_detect::newer;
use nms_proto::{
    alert::{Alert, Status, Step},
    dash::{DashAction, DashCommand},
    id::AlertId,
    limits::HUB_ALERTS_CACHED,
    time::Stamp,
};

/// Steps kept with an alert.
const STEPS_MAX: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Alerts {
    kept: HashMap<AlertId, Alert>,
}

/// What a change of the alerts means for the store.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    /// The alert as it is now.
    pub(crate) alert: Alert,
    /// An alert that had to go for it.
    pub(crate) forgotten: Option<AlertId>,
}

impl Alerts {
    /// Takes a revision; none if it is not newer than what is kept.
    pub(crate) fn take(&mut self, alert: Alert) -> Option<Change> {
        let known = self.kept.get(&alert.id);
        let mut alert = newer(known, alert)?;
        if let Some(known) = known {
            keep_settlement(known, &mut alert);
        }
        let forgotten = self.make_room(&alert.id);
        self.kept.insert(alert.id.clone(), alert.clone());
        Some(Change { alert, forgotten })
    }

    fn make_room(&mut self, coming: &AlertId) -> Option<AlertId> {
        if self.kept.len() < HUB_ALERTS_CACHED || self.kept.contains_key(coming) {
            return None;
        }
        let age = |alert: &Alert| (is_open(&alert.status), alert.last_seen.unwrap_or_default().unix_ms);
        let oldest = self.kept.values().min_by_key(|alert| age(alert)).map(|alert| alert.id.clone())?;
        self.kept.remove(&oldest);
        Some(oldest)
    }

    /// Does what a person asks.
    ///
    /// # Errors
    /// Why it cannot be done, in words for the person.
    pub(crate) fn settle(&mut self, uid: u32, now: Stamp, command: &DashCommand) -> Result<Alert, &'static str> {
        let alert = self.kept.get_mut(&command.alert).ok_or("no alert of that id is kept here")?;
        let status = match (&command.action, &command.verdict) {
            (DashAction::Acknowledge, _) if is_open(&alert.status) => Status::Acknowledged,
            (DashAction::Acknowledge, _) => return Err("the alert is settled already, reopen it first"),
            (DashAction::Close, None) => return Err("closing needs a verdict"),
            (DashAction::Close, Some(_)) => Status::Closed,
            (DashAction::Reopen, _) => Status::Open,
            (DashAction::Note, _) if command.reason.is_none() => return Err("a note needs words"),
            (DashAction::Note, _) => alert.status.clone(),
            _ => return Err("this hub does not know that action yet"),
        };
        if command.action != DashAction::Note {
            alert.verdict.clone_from(&command.verdict);
        }
        alert.status = status;
        let what = command.verdict.as_ref().map_or_else(
            || command.action.as_str().into(),
            |verdict| format!("{} {verdict}", command.action).into_boxed_str(),
        );
        alert.history.push(Step { at: now, uid: Some(uid), what, why: command.reason.clone() });
        if alert.history.len() > STEPS_MAX {
            alert.history.remove(0);
        }
        Ok(alert.clone())
    }

    /// Alerts that nobody has settled.
    pub(crate) fn open(&self) -> u64 {
        self.kept.values().filter(|alert| is_open(&alert.status)).count() as u64
    }

    /// Alerts kept.
    pub(crate) fn len(&self) -> u64 {
        self.kept.len() as u64
    }

    /// All of them, the one last seen last.
    pub(crate) fn list(&self) -> Vec<Alert> {
        let mut list: Vec<_> = self.kept.values().cloned().collect();
        list.sort_by_key(|alert| (alert.last_seen.unwrap_or_default().unix_ms, alert.id.clone()));
        list
    }
}

fn is_open(status: &Status) -> bool {
    matches!(status, Status::Provisional | Status::Open | Status::Acknowledged | Status::Other(_))
}

/// What a person settled here stays while the alert only grows; one that became worse is open again.
fn keep_settlement(known: &Alert, coming: &mut Alert) {
    let settled = matches!(known.status, Status::Acknowledged | Status::Closed | Status::Suppressed);
    if settled && coming.severity <= known.severity {
        coming.status = known.status.clone();
        coming.verdict.clone_from(&known.verdict);
    }
    let ours = known.history.iter().filter(|step| step.uid.is_some() && !coming.history.contains(step));
    let ours: Vec<Step> = ours.cloned().collect();
    coming.history.extend(ours);
    coming.history.sort_by_key(|step| step.at.unix_ms);
}
