//! What a certificate says: who it is for, its serial number, how long it is valid.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

use crate::digest::{self, Digest};

/// How the URI of a holder begins.
const URN: &str = "urn:nms:";

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A hub of this tenant.
    Tenant(Box<str>),
    /// The agent of this name.
    Agent(Box<str>),
}

impl Holder {
    /// The tenant's or agent's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Tenant(name) | Self::Agent(name) => name,
        }
    }

    /// `tenant` or `agent`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Agent(_) => "agent",
        }
    }

    pub(super) fn uri(&self) -> String {
        format!("{URN}{}:{}", self.kind(), self.name())
    }

    fn of_uri(uri: &str) -> Option<Self> {
        let (kind, name) = uri.strip_prefix(URN)?.split_once(':')?;
        match kind {
            _ if name.is_empty() => None,
            "tenant" => Some(Self::Tenant(name.into())),
            "agent" => Some(Self::Agent(name.into())),
            _ => None,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// A certificate's serial number: 16 random bytes of which the first bit is 0, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(pub [u8; 16]);

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digest::hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

impl TryFrom<String> for Serial {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Serial {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = digest::unhex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("{text:?} is no serial number: 32 hexadecimal digits"))
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whom it is for; none in a server's.
    pub holder: Option<Holder>,
    /// Its serial number; none where it is not of the form that we give.
    pub serial: Option<Serial>,
    /// From when it is valid, Unix milliseconds.
    pub not_before_ms: i64,
    /// Until when it is valid, Unix milliseconds.
    pub not_after_ms: i64,
}

/// Reads a certificate, DER; none where it is none.
pub fn seen(der: &[u8]) -> Option<Seen> {
    let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let holder = names.and_then(|names| {
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::URI(uri) => Holder::of_uri(uri),
            _ => None,
        })
    });
    let mut serial = [0; 16];
    let raw = certificate.raw_serial();
    // DER leaves leading zeros out.
    let serial = serial.len().checked_sub(raw.len()).and_then(|pad| {
        serial.get_mut(pad..)?.copy_from_slice(raw);
        Some(Serial(serial))
    });
    let validity = certificate.validity();
    Some(Seen {
        holder,
        serial,
        not_before_ms: validity.not_before.timestamp().saturating_mul(1_000),
        not_after_ms: validity.not_after.timestamp().saturating_mul(1_000),
    })
}

/// The fingerprint of a certificate: SHA-256 of its DER.
pub fn fingerprint(der: &[u8]) -> Digest {
    digest::sha256(der)
}
