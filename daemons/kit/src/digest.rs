//! SHA-256, in one place: files watched for change, certificates' fingerprints, tokens, batch hashes.
//!
//! One function for bytes in memory, one running digest for what is read piece by piece, and the two
//! forms in which a digest is shown or compared. No other hash is offered, so nobody has to choose.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// A SHA-256 digest: 32 bytes.
pub type Digest = [u8; 32];

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// `digest` as 64 lower-case hexadecimal digits; any other length of bytes works alike.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// The bytes that `text` gives in hexadecimal digits; none where it is anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// The first 8 bytes of the SHA-256 of `bytes`, as a number: tells two batches of one number apart.
pub fn short(bytes: &[u8]) -> u64 {
    sha256(bytes).first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// A SHA-256 over bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Running(Sha256);

impl Running {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all the pieces in order.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}
