//! A miner as bytes: version, next id, then the templates from the longest unused to the last used.
//!
//! The tree is not written: each template finds its leaf again by its own tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Bounds, Miner, Template, hash, hash_tokens};
use nms_proto::limits::TEMPLATE_TOKENS_MAX;

const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u16,
    next: u32,
    templates: Vec<(u32, u64, String)>,
}

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// They are cut, damaged, or something else.
    Damaged,
    /// Another version of this program wrote them.
    Version(u16),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => write!(f, "the snapshot is damaged; analysis starts without it"),
            Self::Version(found) => write!(f, "the snapshot has version {found}, this program reads {VERSION}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl Miner {
    /// The miner as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let templates = self.templates.iter().rev().map(|(id, t)| (*id, t.count, t.words.join(" "))).collect();
        postcard::to_allocvec(&Saved { version: VERSION, next: self.next, templates }).unwrap_or_default()
    }

    /// The miner that `bytes` were made of, ids and all; `bounds` may have shrunk since.
    ///
    /// # Errors
    /// [`SnapshotError`] where the bytes are not whole or not of this version.
    pub fn restore(bytes: &[u8], bounds: Bounds) -> Result<Self, SnapshotError> {
        let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(|_cause| SnapshotError::Damaged)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let saved: Saved = postcard::from_bytes(bytes).map_err(|_cause| SnapshotError::Damaged)?;
        let mut miner = Self::new(bounds);
        let mut hashes = Vec::new();
        for (id, count, text) in saved.templates {
            hash_tokens(&text, &mut hashes);
            let words = text.split_ascii_whitespace().take(TEMPLATE_TOKENS_MAX).map(Into::into).collect();
            let leaf = miner.tree.leaf(&hashes, &text);
            miner.insert(id, leaf, Template { hashes: hashes.clone(), words, count });
        }
        miner.next = saved.next;
        debug_assert_eq!(hash(super::ANY.as_bytes()), super::ANY_HASH);
        Ok(miner)
    }
}
