//! Hubs' connections: TLS 1.3, the session's questions answered, batches taken, RESULTS and commands sent.
//!
//! A peer has `HANDSHAKE_MS` to finish the handshake, counted before anything is known of it, and an
//! address a bounded number of connections. After REGISTER a connection belongs to one tenant and can
//! reach nothing else. It sleeps until its peer says something, its bell rings or RESULTS are due again.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nms_kit::{
    clock,
    downlink::{Downlink, Next},
    net::{canonical, tcp},
    task::Tasks,
    tls::TlsAcceptor,
};
use nms_proto::{
    id::{BatchSeq, Instance},
    limits::BUSY_RETRY_MS,
    message::{Ack, AckConfig, AckStatus, Batch, Command, Register, Single},
    session::{
        End,
        server::{Answer, Output},
    },
};
use smol::{channel, net::TcpStream};

use crate::{
    live::{Tenant, Tenants, Unserved},
    outbox::Attached,
    refusals::{self, Refusals},
    tenant::{Directory, Stranger},
};

/// Longest that a TLS handshake may take, in milliseconds.
const HANDSHAKE_MS: u64 = 10_000;

/// What connections counted that no tenant is to blame for.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Peers that are nobody's.
    pub strangers: AtomicU64,
    /// Why peers were turned away, registered or not.
    pub refusals: Refusals,
    /// Heartbeats that were answered.
    pub heartbeats: AtomicU64,
}

/// What all connections share.
pub struct Clients {
    tasks: Tasks,
    tenants: Arc<Tenants>,
    directory: Directory,
    acceptor: TlsAcceptor,
    /// What hubs are asked to keep to.
    asked: AckConfig,
    /// What they counted.
    pub counts: Counts,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Clients {
    /// Connections to `tenants`, told apart by `directory` and asked to keep to `asked`.
    pub fn new(
        tasks: &Tasks,
        tenants: Arc<Tenants>,
        directory: Directory,
        acceptor: TlsAcceptor,
        asked: AckConfig,
    ) -> Self {
        Self { tasks: tasks.clone(), tenants, directory, acceptor, asked, counts: Counts::default() }
    }

    /// Accepts hubs until the stop. `alive` is held by every connection and dropped with it.
    pub async fn listen(self: Arc<Self>, mut listener: tcp::Listener, alive: channel::Sender<()>) {
        let stop = self.tasks.stop().clone();
        while let Some((stream, peer, place)) = stop.or(listener.accept()).await {
            self.counts.accepted.fetch_add(1, Ordering::Relaxed);
            let (clients, alive) = (Arc::clone(&self), alive.clone());
            self.tasks.spawn(format!("hub {peer}"), async move {
                clients.serve(stream, peer).await;
                drop((place, alive));
            });
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let late = async {
            clock::pause(HANDSHAKE_MS).await;
            Err(std::io::ErrorKind::TimedOut.into())
        };
        let handshake = smol::future::or(self.acceptor.accept(stream), late);
        let stream = match self.tasks.stop().clone().or(handshake).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                self.counts.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                log::debug!("TLS handshake failed peer={peer} error={error}");
                return;
            }
            None => return,
        };
        let mut link = Downlink::over(&self.tasks, stream);
        let mut connection = Connection { clients: self, peer, tenant: None, attached: None, losses: 0 };
        connection.run(&mut link).await;
        connection.leave();
        link.finish().await;
    }

    /// Whose the peer is.
    fn tenant(&self, peer: IpAddr, register: &Register) -> Result<Arc<Tenant>, Refused> {
        let id = self.directory.tenant(peer, register.token.as_deref()).map_err(|stranger| {
            self.counts.strangers.fetch_add(1, Ordering::Relaxed);
            Refused::Stranger(stranger)
        })?;
        self.tenants.tenant(&id).map_err(Refused::Unserved)
    }
}

/// Why a peer is not registered.
enum Refused {
    Stranger(Stranger),
    Unserved(Unserved),
    NoInstance,
}

impl Refused {
    /// The name under which it is counted.
    fn reason(&self) -> &'static str {
        match self {
            Self::Stranger(_) => "stranger",
            Self::Unserved(Unserved::TooMany) => "too_many_tenants",
            Self::Unserved(Unserved::Store(_)) => "store",
            Self::NoInstance => "no_instance",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Stranger(stranger) => stranger.to_string(),
            Self::Unserved(unserved) => unserved.to_string(),
            Self::NoInstance => "an instance of zeros is no instance".into(),
        }
    }
}

/// What wakes a connection besides its peer.
enum Wake {
    Look,
    Stop,
}

struct Connection {
    clients: Arc<Clients>,
    peer: SocketAddr,
    tenant: Option<Arc<Tenant>>,
    attached: Option<Attached>,
    /// Losses on the way into the log that the peer was told of.
    losses: u64,
}

impl Connection {
    async fn run(&mut self, link: &mut Downlink) {
        let stop = self.clients.tasks.stop().clone();
        loop {
            let stopped = async {
                stop.requested().await;
                Wake::Stop
            };
            match link.next(smol::future::or(self.look_again(), stopped)).await {
                Next::Output(output) => match *output {
                    Output::Close(end) => return self.closed(&end, link.malformed()),
                    output => self.carry_out(link, output),
                },
                Next::Over(problem) => return self.gone(&problem),
                Next::Other(Wake::Look) => self.look(link),
                Next::Other(Wake::Stop) => link.session().end(clock::tick(), End::Stopping),
            }
        }
    }

    /// Ends when there is something to look at: the bell rang, or RESULTS are to be sent again.
    async fn look_again(&self) -> Wake {
        let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) else {
            return std::future::pending().await;
        };
        let deadline = tenant.hubs().deadline(attached.hub);
        let due = async {
            match deadline {
                Some(at) => clock::until(at).await,
                None => std::future::pending().await,
            }
        };
        let rung = async {
            // The bell outlives the connection's place at its hub: a closed one says that it was taken.
            attached.bell.recv().await.ok();
        };
        smol::future::or(rung, due).await;
        Wake::Look
    }

    /// The connection ended in words that both sides know; what the peer is to blame for is counted.
    fn closed(&self, end: &End, malformed: Option<&'static str>) {
        if let Some(reason) = refusals::reason(end, malformed) {
            log::warn!("a peer was turned away peer={} reason={reason} words={:?}", self.peer, end.to_string());
            self.clients.counts.refusals.count(reason);
            if let Some(tenant) = &self.tenant {
                tenant.refusals.count(reason);
            }
        }
        self.gone(&end.to_string());
    }

    fn gone(&self, reason: &str) {
        match &self.tenant {
            Some(tenant) => log::debug!("hub gone tenant={} peer={} reason={reason:?}", tenant.id(), self.peer),
            None => log::debug!("peer gone peer={} reason={reason:?}", self.peer),
        }
    }

    fn leave(&self) {
        if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
            tenant.hubs().detach(attached);
        }
    }

    fn carry_out(&mut self, link: &mut Downlink, output: Output) {
        let now = clock::tick();
        match output {
            Output::Register(register) => self.register(link, &register),
            Output::Enroll(_) => link.session().reject(now, "this server does not enrol yet: use a tenant token", None),
            Output::Batch(batch) => {
                let answer = self.take(batch);
                link.session().answer(now, answer);
            }
            Output::Event(single) => self.take_event(*single),
            Output::Heartbeat(_) => drop(self.clients.counts.heartbeats.fetch_add(1, Ordering::Relaxed)),
            Output::Close(_) => {}
            Output::ResultsAcked(seq) => {
                if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
                    tenant.acknowledged(attached.hub, now, seq);
                }
                self.look(link);
            }
            Output::ResultsTooLong(seq) => {
                if let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) {
                    tenant.too_long(attached.hub, seq);
                }
            }
            Output::Command(command) => link.session().answer_command(refusal(command)),
            Output::CommandAnswered(ack) => {
                if let Some(tenant) = &self.tenant {
                    tenant.commands.answered(self.hub(), ack);
                }
            }
        }
    }

    /// The instance of the peer; that of nobody for an original one.
    fn hub(&self) -> Instance {
        self.attached.as_ref().map_or(Instance::UNNAMED, |attached| attached.hub)
    }

    fn register(&mut self, link: &mut Downlink, register: &Register) {
        let now = clock::tick();
        match self.admit(register) {
            Ok(durable) => {
                if let Some(tenant) = &self.tenant {
                    link.session().is_of(tenant.id().clone());
                }
                link.session().accept(now, durable, self.clients.asked);
                self.look(link);
            }
            Err(refused) => {
                log::warn!("a peer was refused peer={} reason={:?}", self.peer, refused.words());
                self.clients.counts.refusals.count(refused.reason());
                let retry_after_ms = matches!(refused, Refused::Unserved(Unserved::Store(_))).then_some(BUSY_RETRY_MS);
                link.session().reject(now, &refused.words(), retry_after_ms);
            }
        }
    }

    fn admit(&mut self, register: &Register) -> Result<BatchSeq, Refused> {
        if register.instance == Some(Instance::UNNAMED) {
            return Err(Refused::NoInstance);
        }
        let address = canonical(self.peer.ip());
        let tenant = self.clients.tenant(address, register)?;
        let failed = |error| Refused::Unserved(Unserved::Store(error));
        let durable = if let Some(hub) = register.instance {
            let (attached, durable) = tenant.register(clock::unix_ms(), hub).map_err(failed)?;
            self.losses = tenant.gate().losses(hub);
            self.attached = Some(attached);
            durable
        } else {
            tenant.enter(clock::unix_ms(), Instance::UNNAMED).map_err(failed)?;
            BatchSeq(0)
        };
        let name: String = register.hostname.chars().take(64).collect();
        log::debug!("hub registered tenant={} peer={} name={name:?} durable={durable}", tenant.id(), self.peer);
        self.tenant = Some(tenant);
        Ok(durable)
    }

    fn take(&self, batch: Batch) -> Answer {
        let Some(tenant) = &self.tenant else {
            return Answer::Refused { message: "not registered".into() };
        };
        if self.attached.as_ref().is_some_and(|attached| !tenant.hubs().is_current(attached)) {
            return Answer::Busy { retry_after_ms: BUSY_RETRY_MS, message: End::Replaced.to_string().into() };
        }
        tenant.take(clock::unix_ms(), self.hub(), batch)
    }

    /// One event of an original sender; where it is not taken it is lost, and counted as busy.
    fn take_event(&self, single: Single) {
        match Batch::of_one(single) {
            Ok(batch) => drop(self.take(batch)),
            Err(error) => log::warn!("an event cannot be kept peer={} error={error}", self.peer),
        }
    }

    /// Passes on whatever there is for this peer.
    fn look(&mut self, link: &mut Downlink) {
        let (Some(tenant), Some(attached)) = (&self.tenant, &self.attached) else { return };
        let now = clock::tick();
        if !tenant.hubs().is_current(attached) {
            link.session().end(now, End::Replaced);
            return;
        }
        let (durable, losses) = {
            let gate = tenant.gate();
            (gate.durable(attached.hub), gate.losses(attached.hub))
        };
        if losses > self.losses {
            self.losses = losses;
            link.session().withdrawn(BUSY_RETRY_MS, "the store did not take a batch, send it again");
        }
        link.session().committed(durable);
        while let Some(results) = tenant.hubs().poll(attached.hub, now) {
            link.session().results(results);
        }
        for command in tenant.hubs().commands(attached) {
            let id = command.command_id.clone();
            if !link.session().command(command) {
                let refused = Ack::new(AckStatus::Error, "too many commands wait for this hub");
                tenant.commands.answered(attached.hub, Ack { command_id: Some(id), ..refused });
            }
        }
    }
}

/// What people decide on the dashboard has an issue of its own; until then it is refused by name.
fn refusal(command: Command) -> Ack {
    let words = format!("this server does not take {} yet", command.action);
    Ack { command_id: Some(command.command_id), ..Ack::new(AckStatus::Error, words) }
}
