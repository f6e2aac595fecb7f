//! Hubs' connections: TLS 1.3, the session's questions answered, batches taken, RESULTS and commands sent.
//!
//! A peer has [`HANDSHAKE_MS`](nms_proto::limits::HANDSHAKE_MS) for its handshake, before anything is known of it, and an
//! address a bounded number of connections. After REGISTER a connection belongs to one tenant and can
//! reach nothing else. It sleeps until its peer says something, its bell rings or RESULTS are due again.

mod connection;
mod identity;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nms_kit::{
    clock,
    downlink::Downlink,
    net::{
        gate::{Gate, Place},
        proxy::{self, Header},
        tcp::{self, Arrived},
    },
    pki::Holder,
    refusals::Refusals,
    roll::{Refusal, Roll, Watch},
    task::Tasks,
    tls::{self, Accepted, TlsAcceptor},
};
use nms_proto::{
    id::{BatchSeq, Instance, TenantId},
    message::{AckConfig, Register},
    time::Tick,
};
use smol::{channel, net::TcpStream};

use crate::{
    live::{Tenant, Tenants, Unserved},
    outbox::Attached,
    tenant::{Directory, Stranger},
};
use connection::Connection;
use identity::Shown;

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

/// What a peer passes before it says anything.
#[expect(missing_debug_implementations, reason = "the library's acceptor shows nothing")]
pub struct Door {
    /// The server's certificate, and whose of clients are believed.
    pub acceptor: TlsAcceptor,
    /// Who is enrolled; none where the server has no authority.
    pub roll: Option<Arc<Roll>>,
}

/// What all connections share.
pub struct Clients {
    tasks: Tasks,
    tenants: Arc<Tenants>,
    directory: Directory,
    door: Door,
    gate: Gate,
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
    pub fn new(tasks: &Tasks, tenants: Arc<Tenants>, directory: Directory, door: Door, asked: AckConfig) -> Self {
        let gate = Gate::default();
        Self { tasks: tasks.clone(), tenants, directory, door, gate, asked, counts: Counts::default() }
    }

    /// Who may connect, and does.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Accepts hubs until the stop. `alive` is held by every connection and dropped with it.
    pub async fn listen(self: Arc<Self>, listener: tcp::Listener, alive: channel::Sender<()>) {
        let tasks = self.tasks.clone();
        let handle = move |stream, peer: SocketAddr, Arrived { place, is_balancer }| {
            let (clients, alive) = (Arc::clone(&self), alive.clone());
            clients.counts.accepted.fetch_add(1, Ordering::Relaxed);
            async move {
                if is_balancer {
                    clients.serve_behind(stream, peer, place).await;
                } else {
                    let kept = Arc::clone(&place);
                    kept.or(Box::pin(clients.serve_alone(stream, peer, place))).await;
                }
                drop(alive);
            }
        };
        listener.serve(tasks, "hub", handle).await;
    }

    /// A connection of a load balancer, which says first whom it speaks for.
    async fn serve_behind(self: Arc<Self>, mut stream: TcpStream, balancer: SocketAddr, own: Arc<Place>) {
        let deadline = tls::handshake_deadline();
        let header = own.or(proxy::read(&mut stream, deadline));
        match self.tasks.stop().clone().or(header).await.flatten() {
            Some(Ok(Header::Local)) => self.serve(stream, balancer, deadline, own).await,
            Some(Ok(Header::From(peer))) => match self.gate.admit(clock::tick(), peer.ip()) {
                Ok(place) => {
                    let place = Arc::new(place);
                    if own.settle() && place.or(clock::until(place.turn)).await.is_some() {
                        let deadline = tls::handshake_deadline();
                        place.or(Box::pin(self.serve(stream, peer, deadline, Arc::clone(&place)))).await;
                    }
                }
                Err(refused) => tcp::tell(peer, refused),
            },
            Some(Err(error)) => self.refuse_header(balancer, &error.to_string()),
            None => {}
        }
    }

    /// A connection that nobody speaks for: a header says nothing here, and anybody could write one.
    async fn serve_alone(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Arc<Place>) {
        let deadline = tls::handshake_deadline();
        match self.tasks.stop().clone().or(proxy::first_byte(&stream, deadline)).await {
            Some(Some(proxy::FIRST_BYTE)) => {
                self.refuse_header(
                    peer,
                    "a PROXY header from an address that proxy_networks of the settings do not name",
                );
            }
            Some(Some(_)) => self.serve(stream, peer, deadline, place).await,
            Some(None) => drop(self.counts.handshakes_failed.fetch_add(1, Ordering::Relaxed)),
            None => {}
        }
    }

    fn refuse_header(&self, peer: SocketAddr, words: &str) {
        log::warn!("a peer was turned away peer={peer} reason=proxy_header words={words:?}");
        self.counts.refusals.count("proxy_header");
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, deadline: Tick, place: Arc<Place>) {
        let accepted = self.tasks.stop().clone().or(tls::accept(&self.door.acceptor, stream, deadline)).await;
        let Accepted { stream, certificate } = match accepted {
            Some(Ok(accepted)) => accepted,
            Some(Err(failed)) => {
                self.counts.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                log::debug!("TLS handshake failed peer={peer} error={}", failed.problem);
                if failed.is_certificate {
                    log::warn!("a peer's certificate was refused peer={peer} problem={:?}", failed.problem);
                    self.counts.refusals.count("certificate");
                }
                return failed.finish().await;
            }
            None => return,
        };
        let mut link = Downlink::over(&self.tasks, stream);
        let shown = Shown { certificate, watch: None };
        let mut connection = Connection::new(self, peer, shown, place);
        // What a registered peer's connection needs is not set aside for one whose handshake never ends.
        Box::pin(connection.run(&mut link)).await;
        connection.leave();
        link.finish().await;
    }

    /// Registers a peer: whose it is, by its certificate where it showed one, whatever else it says; its place at its
    /// tenant. Reads the disk.
    fn admit(
        &self,
        peer: IpAddr,
        certificate: Option<&[u8]>,
        register: &Register,
        place: &Place,
    ) -> Result<Admitted, Refused> {
        if register.instance == Some(Instance::UNNAMED) {
            return Err(Refused::NoInstance);
        }
        let (tenant, watch) = self.tenant(peer, certificate, register)?;
        if !place.settle() {
            return Err(Refused::GaveWay);
        }
        let failed = |error| Refused::Unserved(Unserved::Store(error));
        let (attached, durable) = if let Some(hub) = register.instance {
            let (attached, durable) = tenant.register(clock::unix_ms(), hub).map_err(failed)?;
            (Some(attached), durable)
        } else {
            tenant.enter(clock::unix_ms(), Instance::UNNAMED).map_err(failed)?;
            (None, BatchSeq(0))
        };
        Ok(Admitted { tenant, watch, attached, durable })
    }

    fn tenant(
        &self,
        peer: IpAddr,
        certificate: Option<&[u8]>,
        register: &Register,
    ) -> Result<(Arc<Tenant>, Option<Watch>), Refused> {
        if let (Some(certificate), Some(roll)) = (certificate, &self.door.roll) {
            let admitted = roll.admit(clock::unix_ms(), certificate).and_then(|(holder, watch)| match holder {
                Holder::Tenant(name) => Ok((name.parse().map_err(|_invalid| Refusal::Unknown)?, watch)),
                Holder::Agent(_) => Err(Refusal::Unknown),
            });
            let (id, watch): (TenantId, _) = admitted.map_err(Refused::Certificate)?;
            return Ok((self.tenants.tenant(&id).map_err(Refused::Unserved)?, Some(watch)));
        }
        let id = self.directory.tenant(peer, register.token.as_deref()).map_err(|stranger| {
            self.counts.strangers.fetch_add(1, Ordering::Relaxed);
            Refused::Stranger(stranger)
        })?;
        Ok((self.tenants.tenant(&id).map_err(Refused::Unserved)?, None))
    }
}

/// A peer that is registered.
struct Admitted {
    tenant: Arc<Tenant>,
    /// What holds it to its certificate.
    watch: Option<Watch>,
    /// Its hub's place at the tenant; none of a sender without an instance.
    attached: Option<Attached>,
    durable: BatchSeq,
}

/// Why a peer is not registered.
enum Refused {
    Stranger(Stranger),
    Certificate(Refusal),
    Unserved(Unserved),
    NoInstance,
    GaveWay,
}

impl Refused {
    /// The name under which it is counted.
    fn reason(&self) -> &'static str {
        match self {
            Self::Stranger(_) => "stranger",
            Self::Certificate(refusal) => refusal.reason(),
            Self::Unserved(Unserved::TooMany) => "too_many_tenants",
            Self::Unserved(Unserved::Store(_)) => "store",
            Self::NoInstance => "no_instance",
            Self::GaveWay => "gave_way",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Stranger(stranger) => stranger.to_string(),
            Self::Certificate(refusal) => refusal.to_string(),
            Self::Unserved(unserved) => unserved.to_string(),
            Self::NoInstance => "an instance of zeros is no instance".into(),
            Self::GaveWay => "too many connections at this server, try again".into(),
        }
    }
}
