//! The server's own authority: makes its CA and its certificate.
//!
//! Keys are ECDSA P-256, written 0600. Enrolment (certificates for hubs and agents) builds on it.

use std::{
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Days that an authority is valid.
const CA_DAYS: i64 = 3650;
/// Days that a server certificate is valid.
const CERTIFICATE_DAYS: i64 = 825;
/// Days that certificates are dated back, for clocks that run behind.
const BACKDATED_DAYS: i64 = 1;

/// Why keys and certificates could not be made.
#[derive(Debug)]
pub enum PkiError {
    /// A file could not be written, or is there already.
    Write(PathBuf, io::Error),
    /// A certificate could not be made.
    Make(rcgen::Error),
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(path, error) if error.kind() == io::ErrorKind::AlreadyExists => {
                write!(f, "{} is there already and was left alone; remove it to make a new one", path.display())
            }
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Make(error) => write!(f, "cannot make a certificate: {error}"),
        }
    }
}

impl std::error::Error for PkiError {}

/// Where an authority and its server's certificate lie.
#[derive(Clone, Debug)]
pub struct Files {
    /// The authority's certificate: what hubs are given.
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
pub fn init(files: &Files, names: &[String], now_unix_ms: i64) -> Result<(), PkiError> {
    let ca_key = KeyPair::generate().map_err(PkiError::Make)?;
    let mut ca = dated(CertificateParams::default(), now_unix_ms, CA_DAYS);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "NMS authority");
    let ca_certificate = ca.self_signed(&ca_key).map_err(PkiError::Make)?;

    let key = KeyPair::generate().map_err(PkiError::Make)?;
    let named = CertificateParams::new(names.to_vec()).map_err(PkiError::Make)?;
    let mut params = dated(named, now_unix_ms, CERTIFICATE_DAYS);
    params.distinguished_name.push(DnType::CommonName, "NMS server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_params(&ca, &ca_key);
    let certificate = params.signed_by(&key, &issuer).map_err(PkiError::Make)?;

    write_new(&files.ca_key, &ca_key.serialize_pem(), 0o600)?;
    write_new(&files.ca, &ca_certificate.pem(), 0o644)?;
    write_new(&files.key, &key.serialize_pem(), 0o600)?;
    write_new(&files.certificate, &certificate.pem(), 0o644)
}

fn dated(mut params: CertificateParams, now_unix_ms: i64, days: i64) -> CertificateParams {
    const DAY_S: i64 = 86_400;
    let day = |offset: i64| {
        let at = jiff::Timestamp::from_second(now_unix_ms / 1_000 + offset * DAY_S).unwrap_or_default();
        let date = jiff::tz::Offset::UTC.to_datetime(at).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(-BACKDATED_DAYS);
    params.not_after = day(days);
    params
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let mut open = fs::OpenOptions::new();
    open.write(true).create_new(true).mode(mode);
    let result = open.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    result.map_err(|error| PkiError::Write(path.into(), error))
}
