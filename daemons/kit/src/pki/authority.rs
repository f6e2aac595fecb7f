//! An authority: makes itself once, then signs what those who enrol ask for, and nothing else.

use std::{fmt, fs, path::Path, time::Duration};

use nms_proto::limits::{CERTIFICATE_BACKDATED_MS, CSR_BYTES_MAX};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};

use super::{Files, Holder, PkiError, Serial, random};
use crate::{
    digest::{self, Digest},
    secret, tls,
};

const DAY_MS: i64 = 86_400_000;
/// How long an authority is valid, in milliseconds.
const CA_MS: i64 = 3650 * DAY_MS;
/// How long a server's certificate is valid, in milliseconds.
const SERVER_MS: i64 = 825 * DAY_MS;

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    fingerprint: Digest,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &digest::hex(&self.fingerprint)).finish_non_exhaustive()
    }
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub pem: String,
    /// Its serial number.
    pub serial: Serial,
    /// Until when it is valid, Unix milliseconds.
    pub not_after_ms: i64,
}

impl Authority {
    /// A new one, valid from `now_ms` (Unix) on; it lies nowhere until it is written.
    ///
    /// # Errors
    /// Key or certificate cannot be made.
    pub fn make(now_ms: i64) -> Result<Self, PkiError> {
        let key = KeyPair::generate().map_err(PkiError::Make)?;
        let mut params = dated(CertificateParams::default(), now_ms, CA_MS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Authorities of two machines must not have one name: a certificate names its issuer by it.
        let name = format!("NMS authority {}", digest::hex(&random::<4>()?));
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).map_err(PkiError::Make)?;
        Ok(Self {
            fingerprint: digest::sha256(certificate.der()),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The one that lies in `files`.
    ///
    /// # Errors
    /// A file cannot be read or used, or others may read the key.
    pub fn open(files: &Files) -> Result<Self, PkiError> {
        let exposed = secret::exposed(&files.ca_key).map_err(|error| PkiError::Read(files.ca_key.clone(), error))?;
        if let Some(private) = exposed {
            return Err(PkiError::Exposed(private));
        }
        let key = KeyPair::from_pem(&text(&files.ca_key)?)
            .map_err(|error| PkiError::Unusable(files.ca_key.clone(), error.to_string()))?;
        let pem = text(&files.ca)?;
        let unusable = |problem: String| PkiError::Unusable(files.ca.clone(), problem);
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| unusable(error.to_string()))?;
        let der = tls::first_certificate(pem.as_bytes()).map_err(unusable)?;
        Ok(Self { issuer, pem, fingerprint: digest::sha256(&der) })
    }

    /// The one that lies in `files`; made there where there is none.
    ///
    /// # Errors
    /// As [`Authority::open`]; a file cannot be written.
    pub fn open_or_make(files: &Files, now_ms: i64) -> Result<Self, PkiError> {
        if files.ca.exists() {
            return Self::open(files);
        }
        let made = Self::make(now_ms)?;
        made.write(files)?;
        Ok(made)
    }

    /// Writes certificate and key to where `files` say. The key first: an authority without one would be of no use.
    pub(super) fn write(&self, files: &Files) -> Result<(), PkiError> {
        secret::write_private(&files.ca_key, &self.issuer.key().serialize_pem())
            .map_err(|error| PkiError::Write(files.ca_key.clone(), error))?;
        secret::write_public(&files.ca, &self.pem).map_err(|error| PkiError::Write(files.ca.clone(), error))
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The fingerprint of its certificate.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// A certificate for a server that is called `names`, and its key, PEM.
    ///
    /// # Errors
    /// A name is none that a certificate can carry.
    pub fn server(&self, names: &[String], now_ms: i64) -> Result<(String, String), PkiError> {
        let key = KeyPair::generate().map_err(PkiError::Make)?;
        let named = CertificateParams::new(names.to_vec()).map_err(PkiError::Make)?;
        let mut params = dated(named, now_ms, SERVER_MS)?;
        params.distinguished_name.push(DnType::CommonName, "NMS server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(PkiError::Make)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// A client's certificate for `holder`, valid for `life_ms` from `now_ms` (Unix) on. Of the request (PEM) only the
    /// key is taken, whatever else it asks for.
    ///
    /// # Errors
    /// The request is too long, is none, or its signature is not by its key.
    pub fn sign(&self, request: &str, holder: &Holder, now_ms: i64, life_ms: i64) -> Result<Issued, PkiError> {
        if request.len() > CSR_BYTES_MAX {
            return Err(PkiError::Request(rcgen::Error::CouldNotParseCertificationRequest));
        }
        let asked = CertificateSigningRequestParams::from_pem(request).map_err(PkiError::Request)?;
        let mut serial = random()?;
        // A serial number is positive, and has a first byte that DER keeps.
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x3f | 0x40;
        }
        let mut params = dated(CertificateParams::default(), now_ms, life_ms)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name.push(DnType::CommonName, holder.name());
        let uri = Ia5String::try_from(holder.uri()).map_err(PkiError::Make)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&asked.public_key, &self.issuer).map_err(PkiError::Make)?;
        // Certificates know whole seconds.
        let not_after_ms = (now_ms + life_ms).div_euclid(1_000) * 1_000;
        Ok(Issued { pem: certificate.pem(), serial: Serial(serial), not_after_ms })
    }
}

/// A key, and the request to sign it.
#[derive(Clone)]
pub struct Request {
    /// The key, PEM.
    pub key: String,
    /// The request, PEM.
    pub request: String,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Request {
    /// With a new key.
    ///
    /// # Errors
    /// Key or request cannot be made.
    pub fn make() -> Result<Self, PkiError> {
        Self::signed(&KeyPair::generate().map_err(PkiError::Make)?)
    }

    /// With the key that is there already, PEM.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn with_key(key: &str) -> Result<Self, PkiError> {
        Self::signed(&KeyPair::from_pem(key).map_err(PkiError::Make)?)
    }

    fn signed(key: &KeyPair) -> Result<Self, PkiError> {
        let request = CertificateParams::default().serialize_request(key).and_then(|request| request.pem());
        Ok(Self { key: key.serialize_pem(), request: request.map_err(PkiError::Make)? })
    }
}

fn text(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|error| PkiError::Read(path.into(), error))
}

/// Valid from a while before `now_ms` on, for clocks that run behind, until `life_ms` after it.
fn dated(mut params: CertificateParams, now_ms: i64, life_ms: i64) -> Result<CertificateParams, PkiError> {
    let at = |unix_ms: i64| {
        let seconds = u64::try_from(unix_ms.div_euclid(1_000)).map_err(|_early| PkiError::Make(rcgen::Error::Time))?;
        Ok(rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds))
    };
    params.not_before = at(now_ms - CERTIFICATE_BACKDATED_MS)?;
    params.not_after = at(now_ms + life_ms)?;
    Ok(params)
}
