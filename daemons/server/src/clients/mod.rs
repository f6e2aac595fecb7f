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
        proxy::{self, Header},
        tcp,
    },
    pki::Holder,
    roll::{Refusal, Roll},
    task::Tasks,
    tls::{self, Accepted, TlsAcceptor},
};
use nms_proto::{
    id::TenantId,
    message::{AckConfig, Register},
};
use smol::{channel, net::TcpStream};

use crate::{
    live::{Tenant, Tenants, Unserved},
    refusals::Refusals,
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
        Self { tasks: tasks.clone(), tenants, directory, door, asked, counts: Counts::default() }
    }

    /// Accepts hubs until the stop. `alive` is held by every connection and dropped with it.
    pub async fn listen(self: Arc<Self>, mut listener: tcp::Listener, alive: channel::Sender<()>) {
        let stop = self.tasks.stop().clone();
        while let Some((stream, peer, place)) = stop.or(listener.accept()).await {
            self.counts.accepted.fetch_add(1, Ordering::Relaxed);
            let (clients, alive, places) = (Arc::clone(&self), alive.clone(), listener.places());
            let is_balancer = listener.is_balancer(peer.ip());
            self.tasks.spawn(format!("hub {peer}"), async move {
                if is_balancer {
                    clients.serve_behind(stream, peer, &places).await;
                } else {
                    clients.serve_alone(stream, peer).await;
                }
                drop((place, alive));
            });
        }
    }

    /// A connection of a load balancer, which says first whom it speaks for.
    async fn serve_behind(self: Arc<Self>, mut stream: TcpStream, balancer: SocketAddr, places: &tcp::Places) {
        match self.tasks.stop().clone().or(proxy::read(&mut stream)).await {
            Some(Ok(Header::Local)) => self.serve(stream, balancer).await,
            Some(Ok(Header::From(peer))) => match places.take(peer.ip()) {
                Some(place) => {
                    self.serve(stream, peer).await;
                    drop(place);
                }
                None => log::warn!("connection refused: too many from one address peer={} by={balancer}", peer.ip()),
            },
            Some(Err(error)) => self.refuse_header(balancer, &error.to_string()),
            None => {}
        }
    }

    /// A connection that nobody speaks for: a header says nothing here, and anybody could write one.
    async fn serve_alone(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        match self.tasks.stop().clone().or(proxy::first_byte(&stream)).await {
            Some(Some(proxy::FIRST_BYTE)) => {
                self.refuse_header(
                    peer,
                    "a PROXY header from an address that proxy_networks of the settings do not name",
                );
            }
            Some(Some(_)) => self.serve(stream, peer).await,
            Some(None) => drop(self.counts.handshakes_failed.fetch_add(1, Ordering::Relaxed)),
            None => {}
        }
    }

    fn refuse_header(&self, peer: SocketAddr, words: &str) {
        log::warn!("a peer was turned away peer={peer} reason=proxy_header words={words:?}");
        self.counts.refusals.count("proxy_header");
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let accepted = self.tasks.stop().clone().or(tls::accept(&self.door.acceptor, stream)).await;
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
        let mut connection = Connection::new(self, peer, shown);
        connection.run(&mut link).await;
        connection.leave();
        link.finish().await;
    }

    /// Whose the peer is: by its certificate where it showed one, whatever else it says.
    fn tenant(&self, peer: IpAddr, shown: &mut Shown, register: &Register) -> Result<Arc<Tenant>, Refused> {
        if let (Some(certificate), Some(roll)) = (&shown.certificate, &self.door.roll) {
            let admitted = roll.admit(clock::unix_ms(), certificate).and_then(|(holder, watch)| match holder {
                Holder::Tenant(name) => Ok((name.parse().map_err(|_invalid| Refusal::Unknown)?, watch)),
                Holder::Agent(_) => Err(Refusal::Unknown),
            });
            let (id, watch): (TenantId, _) = admitted.map_err(Refused::Certificate)?;
            shown.watch = Some(watch);
            return self.tenants.tenant(&id).map_err(Refused::Unserved);
        }
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
    Certificate(Refusal),
    Unserved(Unserved),
    NoInstance,
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
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Stranger(stranger) => stranger.to_string(),
            Self::Certificate(refusal) => refusal.to_string(),
            Self::Unserved(unserved) => unserved.to_string(),
            Self::NoInstance => "an instance of zeros is no instance".into(),
        }
    }
}
