//! Who sends: last seen, rate over the last 60 s, malformed messages, heartbeats.

use std::collections::HashMap;

use nms_proto::{
    dash::{Endpoint, EndpointKind, EndpointStatus},
    id::EndpointId,
    limits::{DASH_SOURCES_MAX, HEARTBEAT_MS, SOURCES_MAX},
    time::{Stamp, Tick},
};

/// Rates are kept in this many slots ...
const SLOTS: usize = 12;
/// ... of this many milliseconds: one minute in all.
const SLOT_MS: u64 = 5_000;
/// Sources with the same lines that are named of one.
const ALSO_MAX: usize = 8;

#[derive(Debug)]
struct Known {
    kind: EndpointKind,
    address: Option<Box<str>>,
    version: Option<Box<str>>,
    queued: Option<u64>,
    last_seen: Stamp,
    last_tick: Tick,
    parse_errors: u64,
    slots: [u32; SLOTS],
    slot: u64,
}

impl Known {
    fn count(&mut self, now: Tick, events: u64) {
        self.turn(now);
        if let Some(slot) = self.slots.get_mut(self.slot as usize % SLOTS) {
            *slot = slot.saturating_add(events.try_into().unwrap_or(u32::MAX));
        }
    }

    /// Empties the slots of the time since the last call.
    fn turn(&mut self, now: Tick) {
        let slot = now.0 / SLOT_MS;
        for passed in (self.slot + 1..=slot).take(SLOTS) {
            if let Some(place) = self.slots.get_mut(passed as usize % SLOTS) {
                *place = 0;
            }
        }
        self.slot = slot.max(self.slot);
    }

    /// Late after two missed heartbeats, down after three. A device that sends syslog promises no heartbeat: it is up
    /// once it was heard.
    fn status(&self, now: Tick) -> EndpointStatus {
        match now.since(self.last_tick) / HEARTBEAT_MS {
            0..2 => EndpointStatus::Up,
            _ if self.kind != EndpointKind::Agent => EndpointStatus::Up,
            2 => EndpointStatus::Late,
            _ => EndpointStatus::Down,
        }
    }
}

/// What is heard of an endpoint.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) source: &'a EndpointId,
    pub(crate) kind: &'a EndpointKind,
    pub(crate) events: u64,
    pub(crate) parse_errors: u64,
}

/// All endpoints, at most [`SOURCES_MAX`]; events of later ones stand in the account `other`.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    known: HashMap<EndpointId, Known>,
    /// Which others have sent the lines of one. Kept apart, because after a restart it is known before they are heard of;
    /// the correlator bounds how many pairs it tells.
    also: HashMap<EndpointId, Vec<EndpointId>>,
}

impl Endpoints {
    /// Something came from an endpoint.
    pub(crate) fn heard(&mut self, now: Tick, stamp: Stamp, heard: &Heard<'_>) {
        let Some(known) = self.entry(heard.source, heard.kind, now) else { return };
        known.last_seen = stamp;
        known.last_tick = now;
        known.parse_errors += heard.parse_errors;
        known.count(now, heard.events);
    }

    /// An agent said how it is.
    pub(crate) fn described(&mut self, source: &EndpointId, about: &About) {
        if let Some(known) = self.known.get_mut(source) {
            known.address = about.address.clone().or(known.address.take());
            known.version = about.version.clone().or(known.version.take());
            known.queued = about.queued.or(known.queued);
        }
    }

    /// Two sources have sent the same lines.
    pub(crate) fn overlap(&mut self, one: &EndpointId, other: &EndpointId) {
        for (source, also) in [(one, other), (other, one)] {
            let others = self.also.entry(source.clone()).or_default();
            if others.len() < ALSO_MAX && !others.contains(also) {
                others.push(also.clone());
            }
        }
    }

    fn entry(&mut self, source: &EndpointId, kind: &EndpointKind, now: Tick) -> Option<&mut Known> {
        if !self.known.contains_key(source) {
            if self.known.len() >= SOURCES_MAX {
                return None;
            }
            let known = Known {
                kind: kind.clone(),
                address: None,
                version: None,
                queued: None,
                last_seen: Stamp::default(),
                last_tick: now,
                parse_errors: 0,
                slots: [0; SLOTS],
                slot: now.0 / SLOT_MS,
            };
            self.known.insert(source.clone(), known);
        }
        self.known.get_mut(source)
    }

    /// Whether that source is an agent.
    pub(crate) fn is_agent(&self, source: &EndpointId) -> bool {
        self.known.get(source).is_some_and(|known| known.kind == EndpointKind::Agent)
    }

    /// How many are up.
    pub(crate) fn connected(&self, now: Tick) -> u64 {
        self.known.values().filter(|known| known.status(now) == EndpointStatus::Up).count() as u64
    }

    /// How many are known, listed or not.
    pub(crate) fn count(&self) -> u64 {
        self.known.len() as u64
    }

    /// Those that were heard of last, by name.
    pub(crate) fn list(&mut self, now: Tick) -> Vec<Endpoint> {
        let mut newest: Vec<_> = self.known.iter_mut().collect();
        if newest.len() > DASH_SOURCES_MAX {
            newest.sort_by_key(|(_, known)| std::cmp::Reverse(known.last_tick));
            newest.truncate(DASH_SOURCES_MAX);
        }
        let mut list: Vec<Endpoint> = newest
            .into_iter()
            .map(|(name, known)| {
                known.turn(now);
                let events: u64 = known.slots.iter().copied().map(u64::from).sum();
                Endpoint {
                    name: name.clone(),
                    address: known.address.clone(),
                    kind: known.kind.clone(),
                    status: known.status(now),
                    last_seen: Some(known.last_seen),
                    events_per_s: events as f32 / (SLOTS as u64 * SLOT_MS / 1_000) as f32,
                    queued: known.queued,
                    parse_errors: known.parse_errors,
                    version: known.version.clone(),
                    also: self.also.get(name).cloned().unwrap_or_default(),
                }
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }
}

/// What an agent says of itself.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) address: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) queued: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_the_same_lines_name_each_other() {
        let (now, stamp) = (Tick(1_000), Stamp::utc(1_000));
        let mut endpoints = Endpoints::default();
        let names: Vec<EndpointId> = (0..20).map(|number| EndpointId::new(&format!("s{number:02}"))).collect();
        // Found among the lines of an earlier run, before anybody is heard of.
        endpoints.overlap(&names[1], &names[0]);
        for source in &names {
            let heard = Heard { source, kind: &EndpointKind::Syslog, events: 1, parse_errors: 0 };
            endpoints.heard(now, stamp, &heard);
        }
        let also = |endpoints: &mut Endpoints, at: usize| endpoints.list(now).remove(at).also;
        endpoints.overlap(&names[0], &names[1]);
        assert_eq!(also(&mut endpoints, 0), [names[1].clone()]);
        assert_eq!(also(&mut endpoints, 1), [names[0].clone()]);
        assert_eq!(also(&mut endpoints, 2), []);
        for other in &names {
            endpoints.overlap(&names[0], other);
        }
        assert_eq!(also(&mut endpoints, 0).len(), ALSO_MAX);
    }
}
