//! Frames: `length: u32 big-endian | payload: length bytes of UTF-8 JSON`.
//!
//! A length of 0 or above the limit of the direction is refused when its four bytes are read, before
//! anything is allocated for it. [`FrameReader`] takes bytes in any chunks.

use std::fmt;

use crate::limits::{FRAME_BYTES_MAX, FRAME_REPLY_BYTES_MAX};

/// Which way frames go, and so how long they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Agent to hub, hub to server: at most [`FRAME_BYTES_MAX`].
    Upward,
    /// Server to hub, hub to agent, and Unix sockets: at most [`FRAME_REPLY_BYTES_MAX`].
    Downward,
}

impl Direction {
    /// Longest payload, in bytes.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Upward => FRAME_BYTES_MAX,
            Self::Downward => FRAME_REPLY_BYTES_MAX,
        }
    }
}

/// A frame that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A length of 0.
    Empty,
    /// A length above the limit.
    TooLong {
        /// What the peer announced, in bytes.
        length: u32,
        /// What is taken, in bytes.
        max: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("frame of length 0"),
            Self::TooLong { length, max } => write!(f, "frame of {length} bytes, at most {max} are taken"),
        }
    }
}

impl FrameError {
    /// The name under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "frame_empty",
            Self::TooLong { .. } => "frame_too_long",
        }
    }
}

impl std::error::Error for FrameError {}

/// Takes frames out of a stream of bytes, however it is cut.
#[derive(Debug)]
pub struct FrameReader {
    bytes_max: usize,
    buffer: Vec<u8>,
    taken: usize,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new(direction: Direction) -> Self {
        Self { bytes_max: direction.bytes_max(), buffer: Vec::new(), taken: 0 }
    }

    /// From the next frame on, takes payloads of at most `bytes_max` bytes.
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Adds bytes as they came. At most one frame and one read are ever held, if the caller takes all
    /// frames before it adds more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's payload; none until more bytes come.
    ///
    /// # Errors
    /// A length that is refused; the stream cannot go on.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((prefix, _)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix);
        let max = self.bytes_max;
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length as usize > max {
            return Err(FrameError::TooLong { length, max });
        }
        let start = self.taken + 4;
        let end = start + length as usize;
        if self.buffer.len() < end {
            return Ok(None);
        }
        self.taken = end;
        Ok(self.buffer.get(start..end))
    }

    /// Whether the stream stands between two frames.
    pub fn is_at_boundary(&self) -> bool {
        self.taken == self.buffer.len()
    }
}

/// A frame of the payload that `fill` appends.
pub fn frame<E>(fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Vec<u8>, E> {
    let mut out = vec![0; 4];
    fill(&mut out)?;
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = out.first_chunk_mut::<4>() {
        *prefix = length.to_be_bytes();
    }
    Ok(out)
}
