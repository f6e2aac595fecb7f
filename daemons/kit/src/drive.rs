//! Drives a stream for a session: frames in, decoded, through a bounded channel; frames out, one at a time.
//!
//! A session decides what to write next only when the stream has taken the frame before it, so that a
//! heartbeat never stands behind a queue of batches. Reading goes on meanwhile: what comes is held in
//! a channel of `INBOUND_MESSAGES`, and the session answers it or refuses it by name.

use std::{fmt, future::Future};

use nms_proto::{
    frame::Direction,
    framed::{Frames, ReadError},
    json::Decoder,
    message::{self, Message},
};
use smol::{
    channel::{self, Receiver, Sender},
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
};

use crate::{clock, fault, task::Tasks};

/// Decoded messages that may wait for the session.
const INBOUND_MESSAGES: usize = 8;
/// Longest that one frame may take to be written, in milliseconds.
const WRITE_MS_MAX: u64 = 60_000;
/// Longest wait for the peer to close its side, in milliseconds: closing with unread bytes would reset the connection
/// and lose what is on its way.
const DRAIN_MS_MAX: u64 = 2_000;

/// What came from the peer.
#[derive(Debug)]
pub enum Inbound {
    /// A message.
    Message(Box<Message>),
    /// Bytes that are no frame or no message; nothing more comes.
    Malformed {
        /// The name under which it is counted.
        reason: &'static str,
        /// In words, for the peer.
        problem: String,
    },
    /// The stream ended or broke, in words; nothing more comes.
    Ended(String),
}

/// A stream that is read and written by tasks of its own.
pub struct Wire {
    inbound: Receiver<Inbound>,
    outbound: Sender<Vec<u8>>,
    room: Receiver<()>,
    is_writing: bool,
    /// Lets the reader go on behind the first message of a stranger.
    open: Option<Sender<()>>,
    reader: smol::Task<()>,
    writer: smol::Task<()>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("is_writing", &self.is_writing).finish_non_exhaustive()
    }
}

/// What a session waited for.
#[derive(Debug)]
pub enum Woken<T> {
    /// Something came.
    Inbound(Inbound),
    /// The stream took the last frame.
    Room,
    /// The other future ended first.
    Other(T),
}

impl Wire {
    /// Starts reading frames that come in `direction`.
    pub fn over(
        tasks: &Tasks,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        direction: Direction,
    ) -> Self {
        let (read, write) = smol::io::split(stream);
        let frames = Frames::new(read, direction);
        Self::started(tasks, frames, write, None)
    }

    /// As [`Wire::over`], for a peer of whom nothing is known: its first frame may be no longer than
    /// [`REGISTER_BYTES_MAX`](nms_proto::limits::REGISTER_BYTES_MAX), and no more is read before [`Wire::open`].
    pub fn over_stranger(
        tasks: &Tasks,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        direction: Direction,
    ) -> Self {
        let (read, write) = smol::io::split(stream);
        let frames = Frames::of_stranger(read, direction);
        let (open, opened) = channel::bounded(1);
        Self { open: Some(open), ..Self::started(tasks, frames, write, Some(opened)) }
    }

    fn started(
        tasks: &Tasks,
        frames: Frames<impl AsyncRead + Send + Unpin + 'static>,
        write: impl AsyncWrite + Send + Unpin + 'static,
        opened: Option<Receiver<()>>,
    ) -> Self {
        let (arrived, inbound) = channel::bounded(INBOUND_MESSAGES);
        let (outbound, to_write) = channel::bounded(1);
        let (taken, room) = channel::bounded(1);
        let reader = tasks.owned(read_all(frames, opened, arrived));
        let writer = tasks.owned(write_all(write, to_write, taken));
        Self { inbound, outbound, room, is_writing: false, open: None, reader, writer }
    }

    /// The peer is known: what follows its first message is read, frames of any length that the direction allows.
    pub fn open(&mut self) {
        if let Some(open) = self.open.take() {
            open.try_send(()).ok();
        }
    }

    /// Whether a frame may be written now.
    pub fn has_room(&self) -> bool {
        !self.is_writing
    }

    /// Hands a frame to the stream; only when it has room.
    pub fn write(&mut self, frame: Vec<u8>) {
        // A stream that broke shows as the end of what comes in.
        self.is_writing = self.outbound.try_send(frame).is_ok();
    }

    /// Waits for the peer, for room, or for `other`.
    pub async fn next<T>(&mut self, other: impl Future<Output = T>) -> Woken<T> {
        let inbound = async {
            let ended = || Inbound::Ended("the connection ended".into());
            Woken::Inbound(self.inbound.recv().await.unwrap_or_else(|_closed| ended()))
        };
        let is_writing = self.is_writing;
        let room = async {
            if !is_writing || self.room.recv().await.is_err() {
                std::future::pending::<()>().await;
            }
            Woken::Room
        };
        let other = async { Woken::Other(other.await) };
        let woken = smol::future::or(smol::future::or(inbound, room), other).await;
        if matches!(woken, Woken::Room) {
            self.is_writing = false;
        }
        woken
    }

    /// Writes what was handed over, closes this side, and waits a moment for the peer to close its own.
    pub async fn finish(self) {
        let Self { inbound, outbound, open, reader, writer, .. } = self;
        drop((outbound, open));
        let drained = async {
            writer.await;
            while inbound.recv().await.is_ok() {}
        };
        smol::future::or(drained, clock::pause(DRAIN_MS_MAX)).await;
        drop(reader);
    }
}

async fn read_all(
    mut frames: Frames<impl AsyncRead + Unpin>,
    mut opened: Option<Receiver<()>>,
    arrived: Sender<Inbound>,
) {
    let mut decoder = Decoder::default();
    loop {
        let inbound = match frames.buffered() {
            Ok(Some(payload)) => match message::read(&mut decoder, payload, clock::stamp()) {
                Ok(message) => Inbound::Message(Box::new(message)),
                Err(problem) => Inbound::Malformed { reason: problem.reason(), problem: problem.to_string() },
            },
            Ok(None) => match frames.fill().await {
                Ok(true) => continue,
                Ok(false) => Inbound::Ended("the peer closed the connection".into()),
                Err(error) => Inbound::Ended(error.to_string()),
            },
            Err(ReadError::Frame(error)) => Inbound::Malformed { reason: error.reason(), problem: error.to_string() },
            Err(ReadError::Io(error)) => Inbound::Ended(error.to_string()),
        };
        let is_message = matches!(inbound, Inbound::Message(_));
        if arrived.send(inbound).await.is_err() || !is_message {
            break;
        }
        // What stands behind the first message of a stranger waits until it is known, or is never looked at.
        if is_message && let Some(opened) = opened.take() {
            if opened.recv().await.is_err() {
                break;
            }
            frames.open();
        }
    }
    drain(frames).await;
}

/// Reads on without looking until the peer closes, so that what this side wrote last still arrives.
async fn drain(mut frames: Frames<impl AsyncRead + Unpin>) {
    let rest = async { while frames.skip().await.unwrap_or(false) {} };
    smol::future::or(rest, clock::pause(DRAIN_MS_MAX)).await;
}

async fn write_all(mut stream: impl AsyncWrite + Unpin, frames: Receiver<Vec<u8>>, taken: Sender<()>) {
    while let Ok(frame) = frames.recv().await {
        let write = async {
            stream.write_all(&frame).await?;
            stream.flush().await
        };
        let late = async {
            clock::pause(WRITE_MS_MAX).await;
            Err(std::io::ErrorKind::TimedOut.into())
        };
        if let Err(error) = smol::future::or(write, late).await {
            log::debug!("cannot write to a peer error={error}");
            break;
        }
        fault::written(&frame);
        taken.try_send(()).ok();
    }
    stream.close().await.ok();
}
