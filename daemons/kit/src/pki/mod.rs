//! Authorities and what they sign: a server's own certificate, and the certificates of those who enrol.
//!
//! Keys are ECDSA P-256. A certificate that is issued carries who it is for twice, as its subject and as
//! a URI (`urn:nms:tenant:home`, `urn:nms:agent:web1`), and nothing that the request asked for but its
//! key. Refuses keys that others could read, and requests that do not prove that they hold their key.

mod read;
mod authority;

pub use authority::{Authority, Issued, Request};
pub use read::{Holder, Seen, Serial, fingerprint, seen};

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::secret::{self, Private};

/// The name in every hub's certificate: a hub's authority vouches for one hub, whatever its address is.
pub const HUB_NAME: &str = "nmsd-hub";

/// Why keys and certificates could not be made or used.
#[derive(Debug)]
pub enum PkiError {
    /// A file could not be read.
    Read(PathBuf, io::Error),
    /// A file could not be written, or is there already.
    Write(PathBuf, io::Error),
    /// A certificate could not be made.
    Make(rcgen::Error),
    /// A file holds no certificate or key that can be used.
    Unusable(PathBuf, String),
    /// A request is not one, or does not prove that its sender holds the key.
    Request(rcgen::Error),
    /// A private key that others may read.
    Exposed(Private),
    /// The operating system gave no randomness.
    NoRandomness(String),
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write(path, error) if error.kind() == io::ErrorKind::AlreadyExists => {
                write!(f, "{} is there already and was left alone; remove it to make a new one", path.display())
            }
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Make(error) => write!(f, "cannot make a certificate: {error}"),
            Self::Unusable(path, problem) => write!(f, "cannot use {}: {problem}", path.display()),
            Self::Request(error) => write!(f, "no certificate request that can be signed: {error}"),
            Self::Exposed(private) => private.fmt(f),
            Self::NoRandomness(problem) => write!(f, "the operating system gave no randomness: {problem}"),
        }
    }
}

impl std::error::Error for PkiError {}

/// Where an authority and its server's certificate lie.
#[derive(Clone, Debug)]
pub struct Files {
    /// The authority's certificate: what those who connect are given.
    pub ca: PathBuf,
    /// The authority's key.
    pub ca_key: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Files {
    /// The files in `folder`, by their usual names.
    pub fn within(folder: &Path) -> Self {
        Self {
            ca: folder.join("ca.pem"),
            ca_key: folder.join("ca-key.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server-key.pem"),
        }
    }
}

/// Makes an authority, and a server certificate for `names` (host names and addresses), from `now_unix_ms` on.
/// Files that are there already are never overwritten.
///
/// # Errors
/// A file is there already or cannot be written, or a name is none that a certificate can carry.
pub fn init(files: &Files, names: &[String], now_unix_ms: i64) -> Result<(), PkiError> {
    let there = [&files.ca_key, &files.ca, &files.key, &files.certificate].into_iter().find(|path| path.exists());
    if let Some(there) = there {
        return Err(PkiError::Write(there.clone(), io::ErrorKind::AlreadyExists.into()));
    }
    let authority = Authority::make(now_unix_ms)?;
    let (certificate, key) = authority.server(names, now_unix_ms)?;
    authority.write(files)?;
    secret::write_private(&files.key, &key).map_err(|error| PkiError::Write(files.key.clone(), error))?;
    secret::write_public(&files.certificate, &certificate)
        .map_err(|error| PkiError::Write(files.certificate.clone(), error))
}

/// A new secret: 64 hexadecimal digits from the operating system.
///
/// # Errors
/// The operating system gave no randomness.
pub fn token() -> Result<String, PkiError> {
    random::<32>().map(|bytes| crate::digest::hex(&bytes))
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], PkiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| PkiError::NoRandomness(error.to_string()))?;
    Ok(bytes)
}
