//! An enrolment token as a person passes it on.
//!
//! ```text
//! nms1.<SHA-256 of the authority's certificate>.<secret>[@host:port]     both base64url, 32 bytes each
//! ```
//! The fingerprint lets the client know its server before it says anything, so nobody is trusted on
//! first use. The secret is good once; who made it keeps only its hash.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    digest::{self, Digest},
    net::tcp,
};

const VERSION: &str = "nms1";

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Fingerprint of the authority that issues the certificate, and that signed the server's.
    pub authority: Digest,
    /// The secret.
    pub secret: Secret,
    /// Where the server is, `host:port`, where the token says it.
    pub address: Option<String>,
}

/// What the holder of a token shows once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// As it is sent.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As it was sent.
    pub fn of(text: &str) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// As it is kept: that a hash is looked up, and how long that takes, says nothing about the secret.
    pub fn hash(&self) -> Digest {
        digest::sha256(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{}.{}", URL_SAFE_NO_PAD.encode(self.authority), self.secret.text())?;
        self.address.as_ref().map_or(Ok(()), |address| write!(f, "@{address}"))
    }
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It does not begin with a version that is known.
    Version,
    /// A part is missing, too short or too long.
    Parts,
    /// What stands behind the @ is no address.
    Address,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "this is no enrolment token: one begins with nms1.",
            Self::Parts => "this enrolment token is not whole: copy all of nms1.FINGERPRINT.SECRET",
            Self::Address => "what stands behind the @ of this token is no host:port",
        })
    }
}

impl std::error::Error for TokenError {}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let (token, address) = text.split_once('@').map_or((text, None), |(token, address)| (token, Some(address)));
        let rest = token.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.')).ok_or(TokenError::Version)?;
        let (authority, secret) = rest.split_once('.').ok_or(TokenError::Parts)?;
        if address.is_some_and(|address| !tcp::is_dialable(address)) {
            return Err(TokenError::Address);
        }
        let authority = bytes(authority).ok_or(TokenError::Parts)?;
        let secret = Secret::of(secret).ok_or(TokenError::Parts)?;
        Ok(Self { authority, secret, address: address.map(Into::into) })
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    // 43 digits are 32 bytes: nothing longer is looked at.
    if text.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
