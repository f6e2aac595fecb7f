//! Keys of the tables: the tenant first, behind its length, so that no name is another's prefix.
//!
//! ```text
//! len u8 | tenant | rest     numbers in the rest are big-endian, so that they sort
//! ```

use nms_proto::id::{Instance, TenantId};

/// The keys of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix(Vec<u8>);

impl Prefix {
    pub(super) fn new(tenant: &TenantId) -> Self {
        let name = tenant.as_str().as_bytes();
        // A tenant's name has at most 64 bytes.
        let mut prefix = vec![name.len() as u8];
        prefix.extend_from_slice(name);
        Self(prefix)
    }

    /// The key that ends in `parts`.
    pub(super) fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = self.0.clone();
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }

    pub(super) fn number(&self, number: u64) -> Vec<u8> {
        self.key(&[&number.to_be_bytes()])
    }

    pub(super) fn hub(&self, hub: Instance) -> Vec<u8> {
        self.key(&[&hub.0])
    }

    pub(super) fn hub_number(&self, hub: Instance, number: u64) -> Vec<u8> {
        self.key(&[&hub.0, &number.to_be_bytes()])
    }

    /// A key above all of this tenant's.
    pub(super) fn end(&self) -> Vec<u8> {
        self.key(&[&[u8::MAX; 128]])
    }

    /// What stands behind the tenant in one of its keys.
    pub(super) fn rest<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        key.strip_prefix(self.0.as_slice()).unwrap_or_default()
    }
}

/// The tenant of a key.
pub(super) fn tenant_of(key: &[u8]) -> Option<TenantId> {
    let (&length, rest) = key.split_first()?;
    let name = rest.get(..usize::from(length))?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The big-endian number that `bytes` begin with, and what is behind it.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*head), rest))
}

/// The instance that `bytes` begin with, and what is behind it.
pub(super) fn instance(bytes: &[u8]) -> Option<(Instance, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<16>()?;
    Some((Instance(*head), rest))
}
