//! What is known of each agent's instance: in memory for those seen lately, on disk for more of them.
//!
//! A peer can draw as many instances as it likes, so both are bounded. Whoever is forgotten in memory
//! is read again from the disk; whoever is forgotten there too is a new sender when it comes again,
//! which the session of the sender knows how to deal with: what it still holds is sent, and numbers
//! that it does not hold are called missing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use nms_kit::store::{Class, ignore, map::Map};
use nms_proto::{id::Instance, limits::AGENT_INSTANCES_MAX, session::receiver::Receiver};

/// Checkpoints of agents begin so.
const PREFIX: &str = "peer/";

/// The key of an instance's checkpoint.
pub(super) fn key(instance: Instance) -> String {
    format!("{PREFIX}{instance}")
}

#[derive(Debug)]
struct Known {
    receiver: Arc<Mutex<Receiver>>,
    /// The registration that asked for it last.
    used: u64,
}

#[derive(Debug, Default)]
pub(super) struct Receivers {
    known: HashMap<Instance, Known>,
    registrations: u64,
    /// Instances that have, or may have by now, a checkpoint; counted at the first registration.
    stored: Option<u64>,
}

impl Receivers {
    /// The receiver of an instance; others that are not `live` may be forgotten for it.
    pub(super) fn of(
        &mut self,
        checkpoints: &Map,
        instance: Instance,
        is_live: impl Fn(&Instance) -> bool,
    ) -> Result<Arc<Mutex<Receiver>>, String> {
        self.registrations += 1;
        if let Some(known) = self.known.get_mut(&instance) {
            known.used = self.registrations;
            return Ok(Arc::clone(&known.receiver));
        }
        let receiver = match checkpoints.value(key(instance).as_bytes()).map_err(|error| error.to_string())? {
            None => {
                self.make_room_on_disk(checkpoints)?;
                Receiver::default()
            }
            // A restart needs no hands: such an agent is new here, and sends again what it still holds.
            Some(found) => found.sound().and_then(|bytes| Receiver::from_bytes(&bytes).ok()).unwrap_or_else(|| {
                log::warn!("what was known of an agent's batches is damaged, it is taken as new instance={instance}");
                Receiver::default()
            }),
        };
        self.make_room_in_memory(is_live);
        let receiver = Arc::new(Mutex::new(receiver));
        self.known.insert(instance, Known { receiver: Arc::clone(&receiver), used: self.registrations });
        Ok(receiver)
    }

    /// Forgets who registered longest ago, is not connected, and has nothing on its way.
    fn make_room_in_memory(&mut self, is_live: impl Fn(&Instance) -> bool) {
        if self.known.len() < AGENT_INSTANCES_MAX {
            return;
        }
        let idle =
            |(instance, known): &(&Instance, &Known)| !is_live(instance) && Arc::strong_count(&known.receiver) == 1;
        let oldest = self.known.iter().filter(idle).min_by_key(|(_, known)| known.used).map(|(instance, _)| *instance);
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }

    /// At twice the bound, forgets on disk whoever is not in memory: those seen longest ago.
    fn make_room_on_disk(&mut self, checkpoints: &Map) -> Result<(), String> {
        let stored = match self.stored {
            Some(stored) => stored,
            None => checkpoints.keys(PREFIX.as_bytes()).map_err(|error| error.to_string())?.len() as u64,
        };
        self.stored = Some(stored + 1);
        if stored < 2 * AGENT_INSTANCES_MAX as u64 {
            return Ok(());
        }
        let keep: std::collections::HashSet<String> = self.known.keys().map(|instance| key(*instance)).collect();
        let keys = checkpoints.keys(PREFIX.as_bytes()).map_err(|error| error.to_string())?;
        let is_kept = |stored: &&Vec<u8>| std::str::from_utf8(stored).is_ok_and(|stored| keep.contains(stored));
        let gone: Vec<_> = keys.iter().filter(|key| !is_kept(key)).map(|key| checkpoints.delete(key)).collect();
        self.stored = Some((keys.len() - gone.len()) as u64 + 1);
        log::warn!("agents that were not seen for long are forgotten, too many have registered count={}", gone.len());
        checkpoints.db().submit(gone, Class::Lazy, ignore()).map_err(|error| error.to_string())
    }
}
