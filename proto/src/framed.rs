//! Frames over any `AsyncRead` and `AsyncWrite`, without a runtime: shared by the daemons and the dashboard.

use std::{fmt, io, pin::Pin};

use futures_lite::{AsyncRead, AsyncReadExt as _};

use crate::{
    frame::{Direction, FrameError, FrameReader},
    limits::REGISTER_BYTES_MAX,
};

/// Bytes asked of the stream at a time, and of that of a stranger.
const READ_BYTES: usize = 64 << 10;
const STRANGER_READ_BYTES: usize = 4 << 10;

/// Why no more frames come.
#[derive(Debug)]
pub enum ReadError {
    /// The stream broke, or ended inside a frame.
    Io(io::Error),
    /// The peer sent a frame that is not taken.
    Frame(FrameError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads frames from a stream.
#[derive(Debug)]
pub struct Frames<R> {
    stream: Pin<Box<R>>,
    reader: FrameReader,
    chunk: Box<[u8]>,
    direction: Direction,
}

impl<R: AsyncRead> Frames<R> {
    /// Frames that go in `direction`.
    pub fn new(stream: R, direction: Direction) -> Self {
        let chunk = vec![0; READ_BYTES].into_boxed_slice();
        Self { stream: Box::pin(stream), reader: FrameReader::new(direction), chunk, direction }
    }

    /// Frames of a peer of whom nothing is known: at most [`REGISTER_BYTES_MAX`], and little memory, until
    /// [`Frames::open`].
    pub fn of_stranger(stream: R, direction: Direction) -> Self {
        let mut reader = FrameReader::new(direction);
        reader.limit(REGISTER_BYTES_MAX);
        Self { stream: Box::pin(stream), reader, chunk: vec![0; STRANGER_READ_BYTES].into_boxed_slice(), direction }
    }

    /// The peer is known: its frames may be as long as the direction allows.
    pub fn open(&mut self) {
        self.reader.limit(self.direction.bytes_max());
        self.chunk = vec![0; READ_BYTES].into_boxed_slice();
    }

    /// Reads once and adds what came; false at the end of the stream. Safe to drop while it waits.
    pub async fn fill(&mut self) -> Result<bool, ReadError> {
        let count = self.stream.read(&mut self.chunk).await.map_err(ReadError::Io)?;
        self.reader.push(self.chunk.get(..count).unwrap_or_default());
        if count == 0 && !self.reader.is_at_boundary() {
            return Err(ReadError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside a frame")));
        }
        Ok(count > 0)
    }

    /// Reads once and forgets what came; false at the end of the stream.
    pub async fn skip(&mut self) -> io::Result<bool> {
        Ok(self.stream.read(&mut self.chunk).await? > 0)
    }

    /// The next frame that is already here.
    pub fn buffered(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.reader.next_frame().map_err(ReadError::Frame)
    }

    /// The next frame's payload; none at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        loop {
            if let Some(payload) = self.buffered()? {
                return Ok(Some(payload.to_vec()));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }
}
