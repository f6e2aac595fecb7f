//! TCP: dial with a deadline; listen at a [`Gate`], each connection on a task of its own.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use nms_proto::limits::CONNECTIONS_PER_BALANCER;
use rustix::net::sockopt;
use smol::net::{TcpListener, TcpStream};

use super::gate::{Bounds, Gate, Place, Refused};
use crate::{clock, task::Tasks};

/// Longest wait for a connection to be made, in milliseconds, for each address of the peer.
pub const DIAL_MS_MAX: u64 = 10_000;
/// Wait after the process ran out of file descriptors, in milliseconds.
const EMFILE_PAUSE_MS: u64 = 100;
/// Silence after which a peer is asked whether it is still there, the time between two such questions, both in seconds,
/// and how many go unanswered before the connection ends: a peer that lost its power holds no place for long.
const KEEPALIVE_IDLE_S: u64 = 120;
const KEEPALIVE_EVERY_S: u64 = 30;
const KEEPALIVE_PROBES: u32 = 4;

/// Connects to `address` (`host:port`), trying each of its addresses.
pub async fn dial(address: &str) -> io::Result<TcpStream> {
    let found = smol::net::resolve(address).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for address in found {
        let late = async {
            clock::pause(DIAL_MS_MAX).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer within {DIAL_MS_MAX} ms")))
        };
        match smol::future::or(TcpStream::connect(address), late).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The host of a `host:port`, without the brackets of an IPv6 address.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _port)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether `address` is a host and a port that can be dialled.
pub fn is_dialable(address: &str) -> bool {
    let port = address.rsplit_once(':').and_then(|(_host, port)| port.parse::<u16>().ok());
    port.is_some_and(|port| port > 0) && !host_of(address).trim().is_empty()
}

/// A listening socket.
pub struct Listener {
    socket: TcpListener,
    gate: Gate,
    balancers: Vec<IpNet>,
    of_balancers: Gate,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens on `address`, for those whom `gate` lets in.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(address: SocketAddr, gate: Gate) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        // A balancer speaks for many: it is bounded by number alone, and those by their own addresses.
        let (many, at_once) = (CONNECTIONS_PER_BALANCER, CONNECTIONS_PER_BALANCER as u64);
        let bounds = Bounds { per_address: many, total: many, per_second: 1_000, burst: at_once, addresses: many };
        let of_balancers = gate.beside(bounds);
        Ok(Self { socket, gate, balancers: Vec::new(), of_balancers })
    }

    /// The same, with load balancers in `networks`: each may have [`CONNECTIONS_PER_BALANCER`], and those that it speaks
    /// for take their own places at the [`Gate`].
    #[must_use]
    pub fn with_balancers(self, networks: Vec<IpNet>) -> Self {
        Self { balancers: networks, ..self }
    }

    /// Whether connections of `address` are a load balancer's.
    pub fn is_balancer(&self, address: IpAddr) -> bool {
        let address = super::canonical(address);
        self.balancers.iter().any(|network| network.contains(&address))
    }

    /// Who may connect, and does.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Where it listens; the port is a real one when port 0 was asked for.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection that may be. A lack of file descriptors is waited out, and an idle connection gives way to it.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr, Place) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => match self.gate_of(peer.ip()).admit(clock::tick(), peer.ip()) {
                    Ok(place) => {
                        if let Err(error) = prepare(&stream) {
                            log::debug!("a connection's options cannot be set peer={peer} error={error}");
                        }
                        return (stream, peer, place);
                    }
                    Err(refused) => tell(peer, refused),
                },
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.gate.refusals().count("accept_failed");
                    log::warn!("cannot accept a connection error={error}");
                    self.gate.relieve();
                    clock::pause(EMFILE_PAUSE_MS).await;
                }
            }
        }
    }

    /// Serves each connection on a task of its own, named `what` and its peer, until the stop. Before its turn nothing is
    /// done for it. Whoever handles it ends where its [`Place`] is given up.
    pub async fn serve<F>(
        mut self,
        tasks: Tasks,
        what: &'static str,
        handle: impl Fn(TcpStream, SocketAddr, Arrived) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = tasks.stop().clone();
        while let Some((stream, peer, place)) = stop.or(self.accept()).await {
            let arrived = Arrived { place: place.into(), is_balancer: self.is_balancer(peer.ip()) };
            let (stop, turn, kept) = (stop.clone(), arrived.place.turn, Arc::clone(&arrived.place));
            let handled = handle(stream, peer, arrived);
            tasks.spawn(format!("{what} {peer}"), async move {
                if stop.or(kept.or(clock::until(turn))).await.flatten().is_some() {
                    handled.await;
                }
            });
        }
    }

    fn gate_of(&self, address: IpAddr) -> &Gate {
        if self.is_balancer(address) { &self.of_balancers } else { &self.gate }
    }
}

/// A connection that was let in.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its place, which it keeps as long as anybody holds it.
    pub place: Arc<Place>,
    /// Whether it is a load balancer's.
    pub is_balancer: bool,
}

/// Says that a connection was refused, where that is news.
pub fn tell(peer: SocketAddr, refused: Refused) {
    let reason = refused.reason;
    if refused.is_news {
        log::warn!("connection refused peer={} reason={} words={:?}", peer.ip(), reason.name(), reason.to_string());
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(KEEPALIVE_IDLE_S))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(KEEPALIVE_EVERY_S))?;
    Ok(sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?)
}
