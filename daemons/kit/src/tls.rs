//! TLS: 1.3 only between our own programs, checked against the authority that the settings name.
//!
//! There is no trust on first use, and no switch that turns checking off.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_rustls::{
    TlsAcceptor, TlsConnector,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    rustls::{self, ClientConfig, RootCertStore, ServerConfig, version::TLS13},
};

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// A file holds no usable PEM.
    Pem(PathBuf, String),
    /// Certificate and key cannot be used.
    Config(rustls::Error),
    /// The address has no name that a certificate could carry.
    Name(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Pem(path, problem) => write!(f, "no usable PEM in {}: {problem}", path.display()),
            Self::Config(error) => write!(f, "cannot use certificate and key: {error}"),
            Self::Name(name) => write!(f, "{name} is no host name or address that a certificate can carry"),
        }
    }
}

impl std::error::Error for TlsError {}

/// What a server needs to accept TLS 1.3.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let chain = certificates(certificate)?;
    let key_bytes = read(key)?;
    let key =
        PrivateKeyDer::from_pem_slice(&key_bytes).map_err(|error| TlsError::Pem(key.into(), error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Config)?;
    Ok(Arc::new(config).into())
}

/// What a client needs to trust servers of the authority in `ca`, and nobody else.
pub fn connector(ca: &Path) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(TlsError::Config)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Config)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// The name a server's certificate must carry for `host`.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_invalid| TlsError::Name(host.into()))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Read(path.into(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError::Pem(path.into(), "no certificate in it".into())),
        Err(error) => Err(TlsError::Pem(path.into(), error.to_string())),
    }
}
