//! TCP: dial with a deadline, listen with a limit of connections for each address.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;
use nms_proto::limits::CONNECTIONS_PER_BALANCER;
use smol::net::{TcpListener, TcpStream};

use crate::clock;

/// Longest wait for a connection to be made, in milliseconds, for each address of the peer.
pub const DIAL_MS_MAX: u64 = 10_000;
/// Wait after the process ran out of file descriptors, in milliseconds.
const EMFILE_PAUSE_MS: u64 = 100;

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
    places: Places,
    balancers: Vec<IpNet>,
    refused: u64,
}

/// How many connections each address may have, and has.
#[derive(Clone, Debug)]
pub struct Places {
    per_address_max: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// A place for a connection of `address`; none where it has its limit.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        self.take_of(super::canonical(address), self.per_address_max)
    }

    fn take_of(&self, address: IpAddr, max: usize) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { open: Arc::clone(&self.open), address })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Holds an address's place in its limit of connections.
#[derive(Debug)]
pub struct Place {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl Listener {
    /// Listens on `address`, at most `per_address_max` connections from one address.
    pub async fn bind(address: SocketAddr, per_address_max: usize) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let places = Places { per_address_max, open: Arc::default() };
        Ok(Self { socket, places, balancers: Vec::new(), refused: 0 })
    }

    /// The same, with load balancers in `networks`: each may have [`CONNECTIONS_PER_BALANCER`], and those that it speaks
    /// for take their own [`Places`].
    #[must_use]
    pub fn with_balancers(self, networks: Vec<IpNet>) -> Self {
        Self { balancers: networks, ..self }
    }

    /// Whether connections of `address` are a load balancer's.
    pub fn is_balancer(&self, address: IpAddr) -> bool {
        let address = super::canonical(address);
        self.balancers.iter().any(|network| network.contains(&address))
    }

    /// The places of those who connect.
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Where it listens; the port is a real one when port 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connections refused because their address had its limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The next connection whose address is below its limit. A lack of file descriptors is waited out.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr, Place) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let max = self.max_of(peer.ip());
                    if let Some(place) = self.places.take_of(super::canonical(peer.ip()), max) {
                        stream.set_nodelay(true).ok();
                        return (stream, peer, place);
                    }
                    self.refused += 1;
                    log::warn!("connection refused: too many from one address peer={} max={max}", peer.ip());
                }
                Err(error) => {
                    log::warn!("cannot accept a connection error={error}");
                    clock::pause(EMFILE_PAUSE_MS).await;
                }
            }
        }
    }

    fn max_of(&self, address: IpAddr) -> usize {
        if self.is_balancer(address) { CONNECTIONS_PER_BALANCER } else { self.places.per_address_max }
    }
}
