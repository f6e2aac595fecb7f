//! The certificate that a client shows, which may become another one while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use async_rustls::rustls::{SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};

use super::{Own, TlsError, provider};

/// A client's certificate and key, as the next handshake shows them.
#[derive(Debug)]
pub struct Identity(RwLock<Arc<CertifiedKey>>);

impl Identity {
    /// Shows `own`.
    ///
    /// # Errors
    /// The key is not the certificate's.
    pub fn new(own: Own) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(RwLock::new(certified(own)?))))
    }

    /// Shows `own` from the next handshake on.
    ///
    /// # Errors
    /// The key is not the certificate's; nothing changed.
    pub fn replace(&self, own: Own) -> Result<(), TlsError> {
        let new = certified(own)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

fn certified(own: Own) -> Result<Arc<CertifiedKey>, TlsError> {
    CertifiedKey::from_der(own.chain, own.key, &provider()).map(Arc::new).map_err(TlsError::Config)
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
