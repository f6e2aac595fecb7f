//! Reading the fixed-width fields of a stored value, front to back.
//!
//! Numbers in values are little-endian; numbers in keys big-endian, so that they sort. Each step
//! gives `None` where the bytes end early: a value that passed its checksum and still ends early was
//! written by another version, and is treated as damaged.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'v>(pub(super) &'v [u8]);

impl<'v> Fields<'v> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn instance(&mut self) -> Option<[u8; 16]> {
        self.array()
    }

    /// Bytes that stand behind their length (u32).
    pub(super) fn bytes(&mut self) -> Option<&'v [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn text(&mut self) -> Option<&'v str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Appends `bytes` behind their length (u32).
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The number that a big-endian key of 8 bytes holds.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// A key of 8 bytes that sorts as its number does.
pub(super) fn key_of(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}
