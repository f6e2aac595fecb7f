//! Whose connection this is: (peer address, token of REGISTER) -> [`TenantId`].
//!
//! A tenant comes from what the peer proves and never from what it says of itself: a payload has no
//! field for it. A token stands for the tenant that the settings give it; without one, and only where
//! `public_ip` is set, the address does: IPv4 whole (mapped into IPv6 or not), IPv6 by its /64.
//! Refuses unknown tokens, and peers without one where addresses do not count.

use std::{fmt, net::IpAddr};

use nms_kit::{digest, net::canonical};
use nms_proto::id::TenantId;

use crate::config::{ADDRESS_PREFIX, Config, TokenTenant};

/// Why a peer is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Its token belongs to no tenant.
    UnknownToken,
    /// It showed no token, and addresses do not count here.
    NoToken,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownToken => "unknown token: it belongs to no tenant of this server",
            Self::NoToken => {
                "no certificate and no token: enrol the hub with nmsd-hub enroll, or set server.token in its settings"
            }
        })
    }
}

impl std::error::Error for Stranger {}

/// How peers are told apart.
#[derive(Clone, Debug)]
pub struct Directory {
    tenants: Vec<TokenTenant>,
    public_ip: bool,
}

impl Directory {
    /// The directory that the settings describe.
    pub fn new(config: &Config) -> Self {
        Self { tenants: config.tenants.clone(), public_ip: config.public_ip }
    }

    /// The tenant of a peer.
    ///
    /// # Errors
    /// The peer is nobody's, and why.
    pub fn tenant(&self, peer: IpAddr, token: Option<&str>) -> Result<TenantId, Stranger> {
        let Some(token) = token else {
            return if self.public_ip { of_address(peer).ok_or(Stranger::NoToken) } else { Err(Stranger::NoToken) };
        };
        let shown = digest::sha256(token.as_bytes());
        // Digests are compared: how long that takes says nothing about the token.
        let known = self.tenants.iter().find(|tenant| tenant.token_sha256 == shown);
        known.map(|tenant| tenant.id.clone()).ok_or(Stranger::UnknownToken)
    }
}

/// `ip-192.0.2.1`, or `ip-2001:db8:1:2::` for all of a /64.
fn of_address(peer: IpAddr) -> Option<TenantId> {
    let network = match canonical(peer) {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    };
    format!("{ADDRESS_PREFIX}{network}").parse().ok()
}
