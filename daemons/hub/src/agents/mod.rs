//! Agents: port 1515, and `agent.sock` for the agent of the hub's own host.
//!
//! An agent's batch becomes one chunk whose checkpoint is what is known of the agent's instance, so
//! that "taken" and "stored" are one commit; the ACK follows that commit. When the core is behind or
//! the spool has no room for them, batches are refused with SERVER_BUSY and heartbeats answered on:
//! nothing here waits for the core, whose way for agents is always read.
//! An agent that is enrolled comes by TLS, from anywhere, and its source is the name in its certificate.
//! Without a certificate an agent is taken only from the networks that the settings name; its source is
//! its address and host name, whatever its events say.

mod receivers;
mod identity;
mod connection;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ipnet::IpNet;
use nms_kit::{
    clock,
    intake::Sender,
    net::{
        canonical,
        gate::{Gate, Place},
        proxy,
        tcp::{self, Arrived},
        unix,
    },
    store::map::Map,
    task::Tasks,
    tls::{self, Accepted},
};
use nms_proto::{
    id::{EndpointId, Instance},
    message::{Ack, Command},
    session::receiver::Receiver,
};
use smol::{channel, net::TcpStream};

use crate::identity::Identity;
use connection::Connection;
use identity::Shown;
use receivers::Receivers;

/// Why an agent is refused.
const NOT_PLAIN: &str = "agents without TLS are taken only from plain_networks of the settings";
/// First byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What agents tell the core beside their events.
#[derive(Debug)]
pub(crate) enum Report {
    /// How an agent is.
    Described { source: EndpointId, address: Option<Box<str>>, version: Option<Box<str>>, queued: Option<u64> },
    /// An agent answered a command of the server.
    CommandAnswered(Ack),
}

/// What all connections of agents share.
pub(crate) struct Agents {
    tasks: Tasks,
    /// Batches; refused where it is full.
    intake: Sender,
    /// Single events of senders that cannot be refused.
    sheds: Sender,
    core: channel::Sender<Report>,
    checkpoints: Map,
    identity: Arc<Identity>,
    plain_networks: Vec<IpNet>,
    registry: Arc<Registry>,
}

/// Which agents are connected; what the core needs of them. It holds no way into the core, so that the core can end.
#[derive(Default)]
pub(crate) struct Registry {
    /// Events that the spool has room for before sources have to wait, as the core sees it.
    room: AtomicU64,
    /// Events on their way to the core.
    queued: AtomicU64,
    known: Mutex<Known>,
    /// Held while the disk is read, so never together with `known`.
    receivers: Mutex<Receivers>,
}

impl Registry {
    /// Says how many events there is room for.
    pub(crate) fn set_room(&self, events: u64) {
        self.room.store(events, Ordering::Relaxed);
    }

    /// The core took so many events.
    pub(crate) fn taken(&self, events: u64) {
        self.queued.fetch_sub(events, Ordering::Relaxed);
    }

    /// Claims room for so many events on their way to the core; false where there is none.
    fn claim(&self, events: u64) -> bool {
        let queued = self.queued.fetch_add(events, Ordering::Relaxed) + events;
        let fits = queued <= self.room.load(Ordering::Relaxed);
        if !fits {
            self.taken(events);
        }
        fits
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command to the agent that `source` names; false if it is not connected.
    pub(crate) fn command(&self, source: &EndpointId, command: Command) -> bool {
        self.known().sources.get(source).is_some_and(|(_, queue)| queue.try_send(command).is_ok())
    }

    /// The sources of the agents that are connected, in order, and how often one connected a second time.
    pub(crate) fn connected(&self) -> (Vec<EndpointId>, u64) {
        let known = self.known();
        let mut sources: Vec<_> = known.sources.keys().cloned().collect();
        sources.sort();
        (sources, known.replaced)
    }
}

#[derive(Default)]
struct Known {
    /// The live connection of each instance, and of each source, by its number.
    live: HashMap<Instance, (u64, channel::Sender<()>)>,
    sources: HashMap<EndpointId, (u64, channel::Sender<Command>)>,
    connections: u64,
    replaced: u64,
}

impl Agents {
    pub(crate) fn new(
        tasks: &Tasks,
        (intake, sheds): (Sender, Sender),
        core: channel::Sender<Report>,
        checkpoints: Map,
        (identity, plain_networks): (Arc<Identity>, Vec<IpNet>),
    ) -> Self {
        Self {
            tasks: tasks.clone(),
            intake,
            sheds,
            core,
            checkpoints,
            identity,
            plain_networks,
            registry: Arc::default(),
        }
    }

    /// Which agents are connected.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// The hub's authority.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is known of an instance's batches. Reads the disk.
    fn receiver(&self, instance: Instance) -> Result<Arc<Mutex<Receiver>>, String> {
        let mut receivers = self.registry.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |other: &Instance| self.registry.known().live.contains_key(other);
        receivers.of(&self.checkpoints, instance, is_live)
    }
}

/// Accepts agents over TCP until the stop.
pub(crate) async fn listen(agents: Arc<Agents>, listener: tcp::Listener) {
    let tasks = agents.tasks.clone();
    let gate = listener.gate();
    let handle = move |stream, peer: SocketAddr, Arrived { place, .. }| {
        let door = Door { place: Arc::clone(&place), gate: gate.clone() };
        let agents = Arc::clone(&agents);
        async move {
            place.or(Box::pin(agents.meet(stream, peer, door))).await;
        }
    };
    listener.serve(tasks, "agent", handle).await;
}

/// By what a peer came in.
#[derive(Clone, Debug)]
struct Door {
    /// Its place there, which is kept for good once it is known.
    place: Arc<Place>,
    gate: Gate,
}

impl Agents {
    /// Finds out how a peer speaks, and serves it.
    async fn meet(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, door: Door) {
        let (address, deadline) = (canonical(peer.ip()), tls::handshake_deadline());
        let stop = self.tasks.stop().clone();
        let Some(first) = stop.or(proxy::first_byte(&stream, deadline)).await else { return };
        match first {
            None => door.gate.refusals().count("silent"),
            Some(TLS_HANDSHAKE) => match stop.or(tls::accept(&self.identity.acceptor, stream, deadline)).await {
                None => {}
                Some(Ok(Accepted { stream, certificate })) => {
                    let shown = Shown { is_secret: true, certificate, watch: None };
                    // What a registered agent's connection needs is not set aside for one whose handshake never ends.
                    let connection = Connection::new(self, Some(address), &peer.to_string(), shown).by(door);
                    Box::pin(connection.serve(stream)).await;
                }
                Some(Err(failed)) => {
                    door.gate.refusals().count(if failed.is_certificate { "certificate" } else { "handshake" });
                    log::warn!("an agent was refused peer={peer} reason={:?}", failed.problem);
                    failed.finish().await;
                }
            },
            Some(_) if self.is_plain(address) => {
                let connection = Connection::new(self, Some(address), &peer.to_string(), Shown::default()).by(door);
                Box::pin(connection.serve(stream)).await;
            }
            Some(_) => {
                door.gate.refusals().count("not_plain");
                log::warn!("an agent was refused peer={peer} reason={NOT_PLAIN:?}");
            }
        }
    }
}

/// Accepts the agent of this host until the stop; only root and `uid` may connect.
pub(crate) async fn listen_local(agents: Arc<Agents>, listener: unix::Listener, uid: u32) {
    let stop = agents.tasks.stop().clone();
    while let Some(accepted) = stop.or(listener.accept()).await {
        let Ok((stream, peer)) = accepted else {
            clock::pause(100).await;
            continue;
        };
        if peer != 0 && peer != uid {
            log::warn!("a local agent was refused, its user may not be one uid={peer}");
            continue;
        }
        let agents = Arc::clone(&agents);
        agents.tasks.clone().spawn("agent self", async move {
            Connection::new(agents, None, "agent.sock", Shown::default()).serve(stream).await;
        });
    }
}

impl Agents {
    /// Whether agents may come from there without a certificate.
    fn is_plain(&self, address: IpAddr) -> bool {
        self.plain_networks.iter().any(|network| network.contains(&address))
    }
}
