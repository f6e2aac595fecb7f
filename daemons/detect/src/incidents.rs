//! The incidents of one hub: a bounded table with a queue of what is due.

use std::collections::{BTreeSet, HashMap};

use nms_proto::{
    event::Event,
    finding::Finding,
    id::{AlertId, EndpointId, Instance},
    limits::INCIDENTS_MAX,
    severity::Severity,
};

use crate::{
    incident::{Incident, REOPEN_MS, Sign, When, evidence},
    subject::Key,
};

/// The incidents of one hub.
#[derive(Debug)]
pub(crate) struct Incidents {
    instance: Instance,
    known: HashMap<Key, Incident>,
    queue: BTreeSet<(i64, AlertId)>,
    by_alert: HashMap<AlertId, Key>,
    forgotten: u64,
}

impl Incidents {
    pub(crate) fn new(instance: Instance) -> Self {
        Self { instance, known: HashMap::new(), queue: BTreeSet::new(), by_alert: HashMap::new(), forgotten: 0 }
    }

    /// Whether `key` has an incident that is still open at `at`.
    pub(crate) fn is_open(&self, key: &Key, at: i64) -> bool {
        self.known.get(key).is_some_and(|incident| incident.open && at <= incident.last.unix_ms + key.story.quiet_ms())
    }

    /// How bad the incident of `key` is, where it is open at `at`.
    pub(crate) fn severity(&self, key: &Key, at: i64) -> Option<Severity> {
        self.known.get(key).filter(|_incident| self.is_open(key, at)).map(|incident| incident.severity)
    }

    /// Counts one more event of an open incident; false where it is not open, and a sign must be raised.
    pub(crate) fn count(&mut self, key: &Key, event: &Event, times: u64, when: When, out: &mut Vec<Finding>) -> bool {
        let Some(incident) = self.known.get_mut(key) else { return false };
        incident.settle(key, when.at.unix_ms, when.now, out);
        let open = incident.open;
        if open {
            incident.advance(times, when);
            incident.keep(evidence(event, when.at));
            incident.say_more(key, when, out);
        }
        self.requeue(key);
        open
    }

    /// Opens, reopens or worsens the incident of a sign.
    pub(crate) fn raise(&mut self, sign: Sign, source: &EndpointId, when: When, out: &mut Vec<Finding>) {
        let key = sign.key.clone();
        let at = when.at.unix_ms;
        if let Some(incident) = self.known.get_mut(&key) {
            incident.settle(&key, at, when.now, out);
            if !incident.open && at > incident.last.unix_ms + REOPEN_MS {
                self.forget(&key);
            }
        }
        if !self.known.contains_key(&key) {
            self.make_room();
            let Some(mut incident) = Incident::open(self.instance, sign, source, when) else { return };
            out.push(incident.revise(&key, at, when.now));
            self.by_alert.insert(incident.alert.clone(), key.clone());
            self.known.insert(key.clone(), incident);
            self.requeue(&key);
            return;
        }
        let Some(incident) = self.known.get_mut(&key) else { return };
        let reopened = !incident.open;
        if reopened {
            incident.reopen(at);
        }
        let revised = reopened || sign.news || sign.severity > incident.severity;
        incident.advance(sign.count, when);
        if revised {
            incident.take(sign);
            out.push(incident.revise(&key, at, when.now));
        } else {
            sign.evidence.into_iter().for_each(|evidence| incident.keep(evidence));
            incident.say_more(&key, when, out);
        }
        self.requeue(&key);
    }

    /// Closes the incident of `key`, where one is open: what it told of is over.
    pub(crate) fn resolve(&mut self, key: &Key, reason: String, when: When, out: &mut Vec<Finding>) {
        let Some(incident) = self.known.get_mut(key) else { return };
        incident.settle(key, when.at.unix_ms, when.now, out);
        if incident.open {
            out.push(incident.resolve(key, reason, when));
        }
        self.requeue(key);
    }

    fn requeue(&mut self, key: &Key) {
        let Some(incident) = self.known.get_mut(key) else { return };
        let due = incident.next_due(key);
        // A later deadline is put off until the earlier one is looked at.
        if due < incident.due || incident.due == i64::MAX {
            self.queue.remove(&(incident.due, incident.alert.clone()));
            incident.due = due;
            self.queue.insert((due, incident.alert.clone()));
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(incident) = self.known.remove(key) {
            self.queue.remove(&(incident.due, incident.alert.clone()));
            self.by_alert.remove(&incident.alert);
        }
    }

    /// Where the table is full, an eighth of it goes: resolved before open, mild before severe, old before new.
    fn make_room(&mut self) {
        if self.known.len() < INCIDENTS_MAX {
            return;
        }
        let rank = |incident: &Incident| (incident.open, incident.severity, incident.touched);
        let mut ranked: Vec<_> = self.known.iter().map(|(key, incident)| (rank(incident), key.clone())).collect();
        ranked.sort_by_cached_key(|(rank, key)| (*rank, key.to_string()));
        ranked.truncate(INCIDENTS_MAX / 8);
        for (_rank, key) in ranked {
            self.forget(&key);
            self.forgotten += 1;
        }
    }

    /// Does what is due by the hub's clock.
    pub(crate) fn tick(&mut self, now: i64, out: &mut Vec<Finding>) {
        while let Some((due, alert)) = self.queue.first().cloned().filter(|(due, _alert)| *due <= now) {
            self.queue.remove(&(due, alert.clone()));
            let Some(key) = self.by_alert.get(&alert).cloned() else { continue };
            let Some(incident) = self.known.get_mut(&key) else { continue };
            incident.due = i64::MAX;
            if incident.next_due(&key) > now {
                self.requeue(&key);
            } else if !incident.open {
                self.forget(&key);
            } else {
                out.push(incident.overdue(&key, now));
                self.requeue(&key);
            }
        }
    }

    /// The hub's clock at which [`Incidents::tick`] has something to do, Unix milliseconds.
    pub(crate) fn deadline(&self) -> Option<i64> {
        self.queue.first().map(|(due, _alert)| *due)
    }

    /// Incidents known now, and those forgotten to make room.
    pub(crate) fn sizes(&self) -> (usize, u64) {
        (self.known.len(), self.forgotten)
    }
}
