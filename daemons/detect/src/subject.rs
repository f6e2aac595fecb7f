//! Whom an incident is about, and the key that holds its revisions together.

use std::{fmt, net::IpAddr};

use nms_proto::{extraction::Actor, id::EndpointId, limits::NAME_BYTES_MAX};

use crate::text::cut;

/// Quiet time after which most incidents are resolved, in milliseconds.
const QUIET_MS: i64 = 60 * 60_000;

/// An actor or victim: an address is one wherever it is seen, a name only within its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Address(IpAddr),
    Name(EndpointId, Box<str>),
}

impl Subject {
    /// The actor of a line that `source` sent.
    pub(crate) fn of_actor(actor: Actor<'_>, source: &EndpointId) -> Self {
        match actor {
            Actor::Address(address) => Self::Address(address),
            // A name may be as long as a line, and thousands are remembered.
            Actor::Name(name) => Self::Name(source.clone(), cut(name, NAME_BYTES_MAX).into()),
        }
    }

    /// Whether it is an address on the Internet.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self, Self::Address(address) if is_outside(*address))
    }

    /// The name for people: without the source.
    pub(crate) fn plain(&self) -> Box<str> {
        match self {
            Self::Address(address) => address.to_string().into(),
            Self::Name(_source, name) => name.clone(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(source, name) => write!(f, "{source}/{name}"),
        }
    }
}

/// Categories that belong to one story share a family: guessing and the login that it led to are one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Story {
    Access,
    Control,
    File,
    /// Looking around.
    Look,
    Web,
    /// Refusals.
    Knocks,
    /// Accounts and their groups.
    Account,
    /// Trying for another's rights.
    Rights,
    /// What was started.
    Process,
    /// Malicious software.
    Malware,
    /// Logs that were removed or stopped.
    Logs,
    /// Many files at once.
    Files,
    /// Service made unusable.
    Denial,
    /// Guessing too slow, or spread over too many, for one actor's counter.
    Slow,
    Crowd,
    /// A service that the internet tries all day.
    Exposed,
    /// What a sensor reported.
    Ids,
    Tunnel,
    /// The local network.
    Lan,
    Router,
    Silence,
}

impl Story {
    /// Quiet time after which an incident is resolved, in milliseconds: what comes slowly is quiet for longer, an exposed
    /// service for days, and silence ends when somebody speaks.
    pub(crate) fn quiet_ms(self) -> i64 {
        match self {
            Self::Slow => 6 * 60 * 60_000,
            Self::Exposed => 3 * 24 * 60 * 60_000,
            Self::Silence => 7 * 24 * 60 * 60_000,
            _ => QUIET_MS,
        }
    }
}

/// An incident's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) story: Story,
    pub(crate) subject: Subject,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = match self.story {
            Story::Access => "access",
            Story::Control => "control",
            Story::File => "file",
            Story::Look => "look",
            Story::Web => "web",
            Story::Knocks => "knocks",
            Story::Account => "account",
            Story::Rights => "rights",
            Story::Process => "process",
            Story::Malware => "malware",
            Story::Logs => "logs",
            Story::Files => "files",
            Story::Denial => "denial",
            Story::Slow => "slow",
            Story::Crowd => "crowd",
            Story::Exposed => "exposed",
            Story::Ids => "ids",
            Story::Tunnel => "tunnel",
            Story::Lan => "lan",
            Story::Router => "router",
            Story::Silence => "silence",
        };
        write!(f, "{story}/{}", self.subject)
    }
}

/// Whether an address is one of a private or local network (RFC 1918, RFC 4193, RFC 6598, link-local).
pub(crate) fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// Whether an address is one host on the Internet; the documentation networks count as such.
pub(crate) fn is_outside(address: IpAddr) -> bool {
    if is_inside(address) || address.is_multicast() || address.is_unspecified() {
        return false;
    }
    match address {
        IpAddr::V4(v4) => !v4.is_broadcast() && !matches!(v4.octets(), [0 | 240.., ..]),
        IpAddr::V6(_) => true,
    }
}

/// Whether somebody comes from the Internet, by his address.
pub(crate) fn is_from_outside(actor: Actor<'_>) -> bool {
    matches!(actor, Actor::Address(address) if is_outside(address))
}
