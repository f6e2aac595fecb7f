//! Who may connect at a port, decided by address before any work is done for it: no TLS, no task, no read.
//!
//! An address (an IPv6 /64 is one) has at most [`CONNECTIONS_PER_ADDRESS`] connections; one more takes the place of
//! its own that has been idle for longest, if that is a minute, and is refused otherwise. Those that come faster than [`CONNECTIONS_PER_ADDRESS_S`] after a burst wait for their turn
//! and are refused nothing: a device that opens a connection a line loses none of them. A port has at
//! most [`CONNECTIONS_MAX`]: at one more, the address that has most connections in which nothing
//! happens gives the one up that has waited longest. A registered peer's connection never gives way, nor
//! one whose bytes are being worked on. So no address can keep another one out, and idle senders need no
//! timeout. Time is passed in.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    fmt,
    future::Future,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nms_proto::{
    limits::{ADDRESSES_MAX, CONNECTIONS_BURST, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, CONNECTIONS_PER_ADDRESS_S},
    time::Tick,
};
use serde::Serialize;
use smol::channel;

use crate::refusals::Refusals;

/// Time in which an address's refusals are told of once, in milliseconds.
const TELL_MS: u64 = 60_000;

/// Time after which an idle connection gives way to another one of its address, in milliseconds. A handshake is over by then.
const OWN_IDLE_MS: u64 = 60_000;

/// The table of addresses is made smaller by one part in so many when it is full, so that the look for those that go is
/// rare.
const FORGOTTEN_PART: usize = 8;

/// How many connections may be open at a port, and how fast they may come.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of one address.
    pub per_address: usize,
    /// Connections in all.
    pub total: usize,
    /// New connections of one address a second.
    pub per_second: u64,
    /// New connections of one address at once.
    pub burst: u64,
    /// Addresses that are remembered; at least `total`.
    pub addresses: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_address: CONNECTIONS_PER_ADDRESS,
            total: CONNECTIONS_MAX,
            per_second: CONNECTIONS_PER_ADDRESS_S,
            burst: CONNECTIONS_BURST,
            addresses: ADDRESSES_MAX,
        }
    }
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its address has its limit.
    Address(usize),
    /// The port has its limit, and none of its connections can give way.
    Total(usize),
}

impl Reason {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address(_) => "connections_of_address",
            Self::Total(_) => "connections_of_port",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(max) => write!(f, "its address has {max} connections, which is all that one may have"),
            Self::Total(max) => write!(f, "the port has {max} connections and none of them is idle"),
        }
    }
}

/// A connection that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Whether this is the address's first refusal for a minute: then it is worth a line in the log.
    pub is_news: bool,
}

/// The connections of a port.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    refusals: Arc<Refusals>,
}

#[derive(Debug, Default)]
struct State {
    bounds: Bounds,
    addresses: HashMap<IpAddr, Known>,
    open: usize,
    next: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// When its whole burst is free again (the theoretical arrival time of GCRA, ITU-T I.371), in milliseconds.
    free_ms: u64,
    told: Option<Tick>,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Since when nothing happens, one more than the tick; 0 while something does, and for good once it is settled.
    idle: Arc<AtomicU64>,
    /// Closed when it is to give way.
    _leave: channel::Sender<()>,
}

impl Held {
    fn idle_since(&self) -> Option<u64> {
        self.idle.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// How a port stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Connections that are open.
    pub open: usize,
    /// Addresses that they are from.
    pub addresses: usize,
    /// Addresses whose rate is remembered, those without a connection included.
    pub remembered: usize,
    /// What was turned away, held back or asked to give way, by name.
    pub refused: BTreeMap<&'static str, u64>,
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    state: Arc<Mutex<State>>,
    key: IpAddr,
    number: u64,
    idle: Arc<AtomicU64>,
    leave: channel::Receiver<()>,
    /// When it may begin.
    pub turn: Tick,
}

impl Gate {
    /// A port with these bounds.
    pub fn new(bounds: Bounds) -> Self {
        let state = State { bounds, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), refusals: Arc::default() }
    }

    /// Another one with bounds of its own, whose refusals count here too.
    #[must_use]
    pub fn beside(&self, bounds: Bounds) -> Self {
        Self { refusals: Arc::clone(&self.refusals), ..Self::new(bounds) }
    }

    /// What was turned away at this port, whatever the reason.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// A place for a connection of `address` that came just now.
    ///
    /// # Errors
    /// It is not taken, and why; it is counted.
    pub fn admit(&self, now: Tick, address: IpAddr) -> Result<Place, Refused> {
        let mut state = lock(&self.state);
        let (key, Bounds { per_address, total, per_second, burst, .. }) = (key(address), state.bounds);
        state.forget(now);
        if state.addresses.get(&key).is_some_and(|known| known.held.len() >= per_address)
            && !self.relieve_own(&mut state, now, key)
        {
            return Err(self.refused(&mut state, now, key, Reason::Address(per_address)));
        }
        if state.open >= total && !self.relieve_in(&mut state) {
            return Err(self.refused(&mut state, now, key, Reason::Total(total)));
        }
        let interval_ms = 1_000 / per_second.max(1);
        state.open += 1;
        state.next += 1;
        let number = state.next;
        let known = state.addresses.entry(key).or_default();
        known.free_ms = known.free_ms.max(now.0) + interval_ms;
        let turn = Tick(known.free_ms.saturating_sub(burst * interval_ms)).max(now);
        let (sender, leave) = channel::bounded(1);
        let idle = Arc::new(AtomicU64::new(now.0 + 1));
        known.held.insert(number, Held { idle: Arc::clone(&idle), _leave: sender });
        drop(state);
        if turn > now {
            self.refusals.count("connections_held_back");
        }
        Ok(Place { state: Arc::clone(&self.state), key, number, idle, leave, turn })
    }

    /// Has one connection give way, because something else than places ran out; false where none can.
    pub fn relieve(&self) -> bool {
        self.relieve_in(&mut lock(&self.state))
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let state = lock(&self.state);
        let addresses = state.addresses.values().filter(|known| !known.held.is_empty()).count();
        Standing { open: state.open, addresses, remembered: state.addresses.len(), refused: self.refusals.counts() }
    }

    /// The address's own connection that has been idle for longest gives way, if that is long enough.
    fn relieve_own(&self, state: &mut State, now: Tick, key: IpAddr) -> bool {
        let idle = state.addresses.get(&key).and_then(Known::longest_idle);
        let Some((_, number)) = idle.filter(|(since, _)| now.0.saturating_sub(*since) >= OWN_IDLE_MS) else {
            return false;
        };
        state.leave(key, number);
        self.refusals.count("connections_gave_way");
        true
    }

    fn relieve_in(&self, state: &mut State) -> bool {
        let relieved = state.relieve();
        if relieved {
            self.refusals.count("connections_gave_way");
        }
        relieved
    }

    fn refused(&self, state: &mut State, now: Tick, key: IpAddr, reason: Reason) -> Refused {
        self.refusals.count(reason.name());
        let known = state.addresses.entry(key).or_default();
        let is_news = known.told.is_none_or(|told| now.since(told) >= TELL_MS);
        if is_news {
            known.told = Some(now);
        }
        Refused { reason, is_news }
    }
}

impl Known {
    /// Until when there is something to remember of an address without a connection: its rate, or that its refusal was told.
    fn worth_until_ms(&self) -> u64 {
        self.free_ms.max(self.told.map_or(0, |told| told.0 + TELL_MS))
    }

    /// The connection that has been idle for longest, with when that began.
    fn longest_idle(&self) -> Option<(u64, u64)> {
        self.held.iter().filter_map(|(number, held)| Some((held.idle_since()?, *number))).min()
    }
}

impl State {
    /// Keeps the table within its bound. Those who have connections are no more than there may be connections.
    fn forget(&mut self, now: Tick) {
        if self.addresses.len() < self.bounds.addresses {
            return;
        }
        self.addresses.retain(|_, known| !known.held.is_empty() || known.worth_until_ms() > now.0);
        let left = self.bounds.addresses - self.bounds.addresses.div_ceil(FORGOTTEN_PART);
        let surplus = self.addresses.len().saturating_sub(left);
        let without = self.addresses.iter().filter(|(_, known)| known.held.is_empty());
        let mut first: Vec<(u64, IpAddr)> = without.map(|(key, known)| (known.worth_until_ms(), *key)).collect();
        first.sort_unstable();
        for (_, key) in first.into_iter().take(surplus) {
            self.addresses.remove(&key);
        }
    }

    /// The address with most idle connections gives up the one that has waited longest.
    fn relieve(&mut self) -> bool {
        let idle = |known: &Known| {
            let oldest = known.longest_idle()?;
            let count = known.held.values().filter(|held| held.idle_since().is_some()).count();
            Some((count, Reverse(oldest)))
        };
        let most = self.addresses.iter().filter_map(|(key, known)| Some((idle(known)?, *key))).max();
        let Some(((_, Reverse((_, number))), key)) = most else { return false };
        self.leave(key, number);
        true
    }

    fn leave(&mut self, key: IpAddr, number: u64) {
        if let Some(known) = self.addresses.get_mut(&key)
            && known.held.remove(&number).is_some()
        {
            self.open -= 1;
        }
    }
}

impl Place {
    /// The connection waits for its peer from now on.
    pub fn waits(&self, now: Tick) {
        self.idle.store(now.0 + 1, Ordering::Relaxed);
    }

    /// The peer's bytes are being worked on: until it waits again it does not give way.
    pub fn works(&self) {
        self.idle.store(0, Ordering::Relaxed);
    }

    /// The peer is known, and does not give way any more; false where it was asked to already.
    #[must_use]
    pub fn settle(&self) -> bool {
        let state = lock(&self.state);
        let is_held = state.addresses.get(&self.key).is_some_and(|known| known.held.contains_key(&self.number));
        self.works();
        is_held
    }

    /// Ends when it is to give way.
    pub async fn given_up(&self) {
        // Nothing is ever sent: the only answer is that the channel was closed.
        self.leave.recv().await.ok();
    }

    /// What `future` gives; none where the place is given up first.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let given_up = async {
            self.given_up().await;
            None
        };
        smol::future::or(given_up, async { Some(future.await) }).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.state).leave(self.key, self.number);
    }
}

/// What counts as one address.
fn key(address: IpAddr) -> IpAddr {
    match super::canonical(address) {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
