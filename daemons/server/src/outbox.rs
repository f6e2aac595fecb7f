//! What each hub of a tenant is owed, and how its connection is woken.
//!
//! A hub is an instance: its RESULTS outlive its connections, which come and go. RESULTS enter when
//! they are durable, under the number with which they were stored, and leave when the hub acknowledges
//! them; rows that a newer revision emptied are given back to be deleted. A second connection of one
//! instance takes the place of the first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nms_proto::{
    flow::outbox::Outbox,
    id::{AlertId, Instance},
    limits::{CAUSES_MAX, COMMANDS_WAITING_MAX},
    message::{Command, Heartbeat, Results},
    time::Tick,
};
use smol::channel::{self, Receiver, Sender};

use crate::store::Owed;

/// Numbers of stored RESULTS that are not owed any more.
pub type Settled = Vec<u64>;

/// A hub's connection.
#[derive(Debug)]
struct Live {
    generation: u64,
    bell: Sender<()>,
    commands: Vec<Command>,
}

#[derive(Debug, Default)]
struct Hub {
    outbox: Outbox,
    /// Numbers that are stored.
    rows: BTreeSet<u64>,
    /// The row that holds the newest revision of an alert.
    newest: HashMap<AlertId, u64>,
    live: Option<Live>,
    /// What it said of itself last.
    vitals: Option<Heartbeat>,
    /// When the connection's last heartbeat came, and the longest wait for one since the server started.
    heard: Option<Tick>,
    gap_ms_max: u64,
}

/// What is known of how a hub is.
#[derive(Clone, Debug)]
pub struct Health {
    /// What it said of itself last.
    pub said: Heartbeat,
    /// Longest time between two heartbeats of one connection since the server started, in milliseconds.
    pub gap_ms_max: u64,
}

/// A connection's place at its hub.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The hub.
    pub hub: Instance,
    /// Which of its connections.
    pub generation: u64,
    /// Rings when there is something to look at.
    pub bell: Receiver<()>,
}

/// The hubs of one tenant.
#[derive(Debug, Default)]
pub struct Hubs {
    known: HashMap<Instance, Hub>,
    generation: u64,
    replaced: u64,
}

impl Hubs {
    /// What was stored, and which rows are not owed any more.
    pub fn restore(owed: Vec<Owed>) -> Self {
        let mut hubs = Self::default();
        for Owed { hub, next, waiting } in owed {
            let mut known = Hub::default();
            for (seq, results) in &waiting {
                known.rows.insert(*seq);
                known.newest.extend(results.alerts.iter().map(|alert| (alert.id.clone(), *seq)));
            }
            known.outbox = Outbox::restore(next, waiting);
            hubs.known.insert(hub, known);
        }
        hubs
    }

    /// What a hub says of itself, now.
    pub fn heard(&mut self, hub: Instance, now: Tick, mut vitals: Heartbeat) {
        // A peer's words: no more of them than a hub keeps apart.
        for words in [&mut vitals.dropped, &mut vitals.rejected] {
            while words.len() > CAUSES_MAX {
                words.pop_last();
            }
        }
        if let Some(known) = self.known.get_mut(&hub) {
            known.vitals = Some(vitals);
            if let Some(before) = known.heard.replace(now) {
                known.gap_ms_max = known.gap_ms_max.max(now.since(before));
            }
        }
    }

    /// How each hub that said so is, by its instance.
    pub fn health(&self) -> BTreeMap<Instance, Health> {
        let of = |known: &Hub| Some(Health { said: known.vitals.clone()?, gap_ms_max: known.gap_ms_max });
        self.known.iter().filter_map(|(hub, known)| Some((*hub, of(known)?))).collect()
    }

    /// A connection registered as `hub`. What waits is sent again on it; the connection before it must end.
    pub fn attach(&mut self, hub: Instance) -> Attached {
        self.generation += 1;
        let (bell, heard) = channel::bounded(1);
        let generation = self.generation;
        let known = self.known.entry(hub).or_default();
        known.outbox.rewind();
        known.heard = None;
        let before = known.live.replace(Live { generation, bell, commands: Vec::new() });
        if let Some(before) = before {
            self.replaced += 1;
            ring(Some(&before.bell));
        }
        Attached { hub, generation, bell: heard }
    }

    /// The connection ended.
    pub fn detach(&mut self, attached: &Attached) {
        if let Some(known) = self.known.get_mut(&attached.hub)
            && known.live.as_ref().is_some_and(|live| live.generation == attached.generation)
        {
            known.live = None;
        }
    }

    /// Whether this is still its hub's connection.
    pub fn is_current(&self, attached: &Attached) -> bool {
        let live = self.known.get(&attached.hub).and_then(|known| known.live.as_ref());
        live.is_some_and(|live| live.generation == attached.generation)
    }

    /// Whether a hub is connected.
    pub fn is_live(&self, hub: Instance) -> bool {
        self.known.get(&hub).is_some_and(|known| known.live.is_some())
    }

    /// The hubs that are connected.
    pub fn live(&self) -> Vec<Instance> {
        let mut live: Vec<_> =
            self.known.iter().filter(|(_, known)| known.live.is_some()).map(|(hub, _)| *hub).collect();
        live.sort();
        live
    }

    /// Connections that a newer one of the same instance ended.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// RESULTS given up because too many waited, of all hubs.
    pub fn dropped(&self) -> u64 {
        self.known.values().map(|known| known.outbox.dropped()).sum()
    }

    /// RESULTS that wait, of all hubs.
    pub fn waiting(&self) -> usize {
        self.known.values().map(|known| known.outbox.len()).sum()
    }

    /// RESULTS became durable. They come in the order of their numbers, and are sent under the number with which they
    /// are stored, also where their hub was forgotten in between.
    pub fn push(&mut self, hub: Instance, results: Results) -> Settled {
        let known = self.known.entry(hub).or_default();
        known.outbox.go_on_at(results.seq.unwrap_or_default());
        let alerts: Vec<AlertId> = results.alerts.iter().map(|alert| alert.id.clone()).collect();
        let seq = known.outbox.push(results.alerts, results.stats);
        known.rows.insert(seq);
        let mut settled: Settled = alerts.iter().filter_map(|id| known.newest.insert(id.clone(), seq)).collect();
        settled.extend(known.rows.iter().take_while(|row| !known.outbox.holds(**row)));
        settled.retain(|row| !known.outbox.holds(*row) && known.rows.remove(row));
        known.newest.retain(|_, row| known.rows.contains(row));
        self.ring(hub);
        settled
    }

    /// The next RESULTS to send to a hub.
    pub fn poll(&mut self, hub: Instance, now: Tick) -> Option<Results> {
        self.known.get_mut(&hub)?.outbox.poll(now)
    }

    /// When RESULTS of a hub are sent again.
    pub fn deadline(&self, hub: Instance) -> Option<Tick> {
        self.known.get(&hub)?.outbox.deadline()
    }

    /// A hub has everything up to `seq`; gives the rows that can go.
    pub fn acknowledged(&mut self, hub: Instance, now: Tick, seq: u64) -> Settled {
        let Some(known) = self.known.get_mut(&hub) else { return Settled::new() };
        known.outbox.acknowledged(now, seq);
        known.settle()
    }

    /// RESULTS that cannot be sent; gives the rows that can go.
    pub fn give_up(&mut self, hub: Instance, seq: u64) -> Settled {
        let Some(known) = self.known.get_mut(&hub) else { return Settled::new() };
        known.outbox.give_up(seq);
        known.settle()
    }

    /// Hands a command to a hub's connection; false where there is none, or too many wait.
    pub fn command(&mut self, hub: Instance, command: Command) -> bool {
        let Some(live) = self.known.get_mut(&hub).and_then(|known| known.live.as_mut()) else { return false };
        let has_room = live.commands.len() < COMMANDS_WAITING_MAX;
        if has_room {
            live.commands.push(command);
            ring(Some(&live.bell));
        }
        has_room
    }

    /// The commands that wait for this connection.
    pub fn commands(&mut self, attached: &Attached) -> Vec<Command> {
        let live = self.known.get_mut(&attached.hub).and_then(|known| known.live.as_mut());
        let live = live.filter(|live| live.generation == attached.generation);
        live.map(|live| std::mem::take(&mut live.commands)).unwrap_or_default()
    }

    /// What rings at a hub's connection, where there is one.
    pub fn bell(&self, hub: Instance) -> Option<Sender<()>> {
        self.known.get(&hub).and_then(|known| known.live.as_ref()).map(|live| live.bell.clone())
    }

    /// Wakes a hub's connection.
    pub fn ring(&self, hub: Instance) {
        ring(self.bell(hub).as_ref());
    }

    /// Forgets a hub that is not connected.
    pub fn forget(&mut self, hub: Instance) {
        if !self.is_live(hub) {
            self.known.remove(&hub);
        }
    }
}

impl Hub {
    /// Takes out the rows that are not owed any more.
    fn settle(&mut self) -> Settled {
        let settled: Settled = self.rows.iter().copied().filter(|row| !self.outbox.holds(*row)).collect();
        self.rows.retain(|row| self.outbox.holds(*row));
        self.newest.retain(|_, row| self.rows.contains(row));
        settled
    }
}

/// Rings; a bell that rings already needs no second ring.
pub fn ring(bell: Option<&Sender<()>>) {
    if let Some(bell) = bell {
        bell.try_send(()).ok();
    }
}
