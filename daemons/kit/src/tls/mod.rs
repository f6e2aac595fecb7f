//! TLS: 1.3 only between our own programs, checked against the authority that the settings or an enrolment name.
//!
//! There is no trust on first use, and no switch that turns checking off. A client's certificate is
//! optional in the handshake, so that it can ask for one; what may be done without one is for the
//! daemon to say. Sessions are not resumed: each connection shows the certificate that its peer has now.

mod identity;
mod pinned;

pub use async_rustls::{TlsAcceptor, TlsConnector, pki_types::ServerName};
pub use identity::Identity;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        client::Resumption,
        server::{NoServerSessionStorage, WebPkiClientVerifier},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};
use nms_proto::{limits::HANDSHAKE_MS, time::Tick};
use smol::{io::AsyncReadExt as _, net::TcpStream};

use crate::{
    clock,
    digest::Digest,
    secret::{self, Private},
};

/// Longest wait for a peer that was refused to close its side, in milliseconds: closing with unread bytes would reset the
/// connection, and the words of the refusal would be lost.
const DRAIN_MS: u64 = 2_000;

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// A file holds no usable PEM.
    Pem(PathBuf, String),
    /// A private key that others may read.
    Exposed(Private),
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
            Self::Exposed(private) => private.fmt(f),
            Self::Config(error) => write!(f, "cannot use certificate and key: {error}"),
            Self::Name(name) => write!(f, "{name} is no host name or address that a certificate can carry"),
        }
    }
}

impl std::error::Error for TlsError {}

/// A certificate with its chain, and its key.
pub struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Own {
    /// Those in two files.
    ///
    /// # Errors
    /// A file cannot be read or used, or others may read the key.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        if let Some(private) = secret::exposed(key).map_err(|error| TlsError::Read(key.into(), error))? {
            return Err(TlsError::Exposed(private));
        }
        let bytes = read(key)?;
        let parsed = PrivateKeyDer::from_pem_slice(&bytes);
        Ok(Self { chain, key: parsed.map_err(|error| TlsError::Pem(key.into(), error.to_string()))? })
    }

    /// Those in two texts, PEM.
    ///
    /// # Errors
    /// A text holds no PEM that can be used.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let what = || PathBuf::from("a certificate in memory");
        let chain = certificates_of(certificate.as_bytes()).map_err(|problem| TlsError::Pem(what(), problem))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        Ok(Self { chain, key: key.map_err(|error| TlsError::Pem(what(), error.to_string()))? })
    }

    /// The same, showing its authority too, so that a client that knows only its fingerprint can check it.
    ///
    /// # Errors
    /// `ca` holds no PEM that can be used.
    pub fn with_authority(mut self, ca: &str) -> Result<Self, TlsError> {
        let ca = certificates_of(ca.as_bytes()).map_err(|problem| TlsError::Pem("the authority".into(), problem))?;
        let new = ca.into_iter().filter(|ca| !self.chain.contains(ca)).collect::<Vec<_>>();
        self.chain.extend(new);
        Ok(self)
    }
}

/// What a server needs to accept TLS 1.3.
///
/// # Errors
/// A file cannot be read or used.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    serving(Own::from_files(certificate, key)?, None, &[&TLS13])
}

/// The same, taking certificates of the authority `ca` (PEM) from clients that have one.
///
/// # Errors
/// Certificates or key cannot be used.
pub fn acceptor_of_clients(own: Own, ca: &str) -> Result<TlsAcceptor, TlsError> {
    serving(own.with_authority(ca)?, Some(ca), &[&TLS13])
}

/// What a server needs to accept devices of others, which may be old: TLS 1.2 and 1.3.
///
/// # Errors
/// Certificates or key cannot be used.
pub fn acceptor_of_devices(own: Own) -> Result<TlsAcceptor, TlsError> {
    serving(own, None, &[&TLS13, &TLS12])
}

fn serving(
    own: Own,
    clients: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<TlsAcceptor, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
    let builder = builder.map_err(TlsError::Config)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = Arc::new(roots(certificates_of(ca.as_bytes()), Path::new("the authority"))?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated();
            let verifier =
                verifier.build().map_err(|error| TlsError::Config(rustls::Error::General(error.to_string())));
            builder.with_client_cert_verifier(verifier?)
        }
    };
    let mut config = builder.with_single_cert(own.chain, own.key).map_err(TlsError::Config)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config).into())
}

/// What a client needs to trust servers of the authority in `ca`, and nobody else.
///
/// # Errors
/// The file cannot be read or used.
pub fn connector(ca: &Path) -> Result<TlsConnector, TlsError> {
    Ok(trusting(client()?.with_root_certificates(roots(Ok(certificates(ca)?), ca)?).with_no_client_auth()))
}

/// The same, showing `identity`.
///
/// # Errors
/// The file cannot be read or used.
pub fn connector_of(ca: &Path, identity: Arc<Identity>) -> Result<TlsConnector, TlsError> {
    let builder = client()?.with_root_certificates(roots(Ok(certificates(ca)?), ca)?);
    Ok(trusting(builder.with_client_cert_resolver(identity)))
}

fn trusting(mut config: ClientConfig) -> TlsConnector {
    config.resumption = Resumption::disabled();
    Arc::new(config).into()
}

/// What a client needs to trust servers whose authority has this fingerprint, and nobody else.
///
/// # Errors
/// None that is known; the library's are passed on.
pub fn pinned(authority: Digest) -> Result<TlsConnector, TlsError> {
    let verifier = Arc::new(pinned::Pinned { authority, provider: provider() });
    Ok(trusting(client()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

fn client() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(TlsError::Config)
}

/// The name a server's certificate must carry for `host`.
///
/// # Errors
/// No certificate can carry it.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_invalid| TlsError::Name(host.into()))
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Accepted {
    /// The stream.
    pub stream: TlsStream<TcpStream>,
    /// The certificate that the peer showed, DER; it is of the authority that was asked for, and was valid.
    pub certificate: Option<Box<[u8]>>,
}

/// A handshake that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why, in words.
    pub problem: String,
    /// Whether it was the peer's certificate that is to blame.
    pub is_certificate: bool,
    stream: TcpStream,
}

impl Failed {
    /// Ends the connection, whose peer may still be writing, so that what was said to it arrives.
    pub async fn finish(mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).ok();
        let mut rest = vec![0; 4 << 10];
        let drained = async { while self.stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
        smol::future::or(drained, clock::pause(DRAIN_MS)).await;
    }
}

/// When the handshake of a connection that begins now must be done, its first byte and what stands before it included:
/// [`HANDSHAKE_MS`].
pub fn handshake_deadline() -> Tick {
    clock::tick().plus(HANDSHAKE_MS)
}

/// Does the handshake of a connection that was accepted, before `deadline`.
///
/// # Errors
/// It failed, and why; the peer was told, and [`Failed::finish`] lets that arrive.
pub async fn accept(acceptor: &TlsAcceptor, stream: TcpStream, deadline: Tick) -> Result<Accepted, Failed> {
    let late = async {
        clock::until(deadline).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    match smol::future::or(acceptor.accept(stream.clone()), late).await {
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certificate = shown.map(|certificate| certificate.as_ref().into());
            Ok(Accepted { stream, certificate })
        }
        Err(error) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            let is_certificate = matches!(cause, Some(rustls::Error::InvalidCertificate(_)));
            Err(Failed { problem: words(&error), is_certificate, stream })
        }
    }
}

/// Why a handshake failed, in words of ours where they are ours.
pub fn words(error: &io::Error) -> String {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::General(words)) => words.clone(),
        _ => error.to_string(),
    }
}

/// The first certificate of a PEM text, DER.
///
/// # Errors
/// There is none, in words.
pub fn first_certificate(pem: &[u8]) -> Result<Vec<u8>, String> {
    Ok(certificates_of(pem)?.first().map(|certificate| certificate.to_vec()).unwrap_or_default())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(found: Result<Vec<CertificateDer<'static>>, String>, from: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in found.map_err(|problem| TlsError::Pem(from.into(), problem))? {
        roots.add(certificate).map_err(TlsError::Config)?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Read(path.into(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates_of(&read(path)?).map_err(|problem| TlsError::Pem(path.into(), problem))
}

fn certificates_of(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("no certificate in it".into()),
        Err(error) => Err(error.to_string()),
    }
}
