//! The rows of the account.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Refusal;
use crate::pki::{Holder, Serial};

/// Bytes kept of what a client says its host is called.
const HOST_BYTES_MAX: usize = 64;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Who enrols with it.
    pub holder: Holder,
    /// When it was made, Unix milliseconds, as all times here.
    pub made_ms: i64,
    /// From when on it is good no more.
    pub expires_ms: i64,
    /// How long the certificates live that come of it, in milliseconds.
    pub life_ms: i64,
    /// When it was used.
    pub used_ms: Option<i64>,
    /// When it was taken back.
    pub revoked_ms: Option<i64>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    /// Whom it is for.
    pub holder: Holder,
    /// What the client's host is called, as it says.
    pub host: Box<str>,
    /// The serial number of the first of those that followed one another.
    pub lineage: Serial,
    /// When it was issued.
    pub made_ms: i64,
    /// From when on it is valid no more.
    pub expires_ms: i64,
    /// How long it lives, in milliseconds.
    pub life_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

impl CertificateRow {
    pub(super) fn check(&self, now_ms: i64, serial: Serial) -> Result<(), Refusal> {
        match self {
            _ if self.revoked_ms.is_some() => Err(Refusal::Revoked(serial)),
            _ if now_ms >= self.expires_ms => Err(Refusal::Expired(serial)),
            _ => Ok(()),
        }
    }
}

pub(super) fn encode(row: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(row).map_err(|error| Refusal::Store(error.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

pub(super) fn host(said: &str) -> Box<str> {
    said.get(..said.floor_char_boundary(HOST_BYTES_MAX)).unwrap_or_default().into()
}
