//! Sockets: TCP, UDP and Unix, with the limits and counters that intake from strangers needs.

pub mod gate;
pub mod tcp;
pub mod proxy;
pub mod udp;
pub mod unix;

/// The address in its usual form: an IPv4 address mapped into IPv6 becomes IPv4 again.
pub fn canonical(address: std::net::IpAddr) -> std::net::IpAddr {
    address.to_canonical()
}
