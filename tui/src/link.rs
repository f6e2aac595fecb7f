//! The connection to the hub's socket: reads what it says, writes commands, comes back when it ends.
//!
//! Waits on timers, reads no clock. A command that could not be written is not kept: the person is
//! told, and decides anew with the state that the hub then shows.

use std::{fmt, io, path::PathBuf, time::Duration};

use nms_proto::{
    dash::{DASH_PROTOCOL, FromHub, Hello, Snapshot, ToHub},
    frame::{self, Direction},
    framed::{Frames, ReadError},
    json::{self, JsonError},
};
use smol::{
    Timer,
    channel::{Receiver, Sender},
    future,
    io::AsyncWriteExt as _,
    net::unix::UnixStream,
};

use crate::{
    msg::{Msg, Outage},
    text,
};

/// The socket of operators.
pub const SOCKET: &str = "/run/nmsd-hub/dash.sock";
/// The socket of readers.
pub const SOCKET_READERS: &str = "/run/nmsd-hub/dash-ro.sock";

/// First wait before the hub is tried again, in milliseconds; it doubles.
const RETRY_MS_MIN: u64 = 200;
/// Longest wait before the hub is tried again, in milliseconds.
const RETRY_MS_MAX: u64 = 5_000;
/// How long the hub may take to say its first words, in milliseconds.
const ANSWER_MS_MAX: u64 = 5_000;

/// Which socket to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    path: PathBuf,
    /// Tried when `path` is closed to this user.
    readers: Option<PathBuf>,
}

impl Target {
    /// The socket at `path`, or where the hub's package puts it: that of operators, else that of readers.
    pub fn new(path: Option<PathBuf>) -> Self {
        match path {
            Some(path) => Self { path, readers: None },
            None => Self { path: SOCKET.into(), readers: Some(SOCKET_READERS.into()) },
        }
    }

    /// The path that is tried first.
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }
}

/// Why the hub is not heard.
#[derive(Debug)]
pub enum LinkError {
    /// The socket cannot be connected to.
    Connect {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The connection broke.
    Read(ReadError),
    /// A command could not be written.
    Write(io::Error),
    /// The hub ended the connection.
    Ended,
    /// The hub accepted and said nothing.
    Silent,
    /// What came is no message of this version.
    NotUnderstood(JsonError),
    /// The hub speaks another version.
    Mismatch(Box<Hello>),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { path, error } => write!(f, "cannot connect to {}: {error}", path.display()),
            Self::Read(error) => write!(f, "connection to the hub broke: {error}"),
            Self::Write(error) => write!(f, "cannot write to the hub: {error}"),
            Self::Ended => f.write_str("the hub ended the connection"),
            Self::Silent => write!(f, "the hub said nothing for {} s", ANSWER_MS_MAX / 1_000),
            Self::NotUnderstood(error) => write!(f, "the hub's words are not understood: {error}"),
            Self::Mismatch(hello) => write!(f, "{}", text::mismatch(hello, DASH_PROTOCOL)),
        }
    }
}

impl std::error::Error for LinkError {}

impl LinkError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Connect { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => text::REMEDY_GROUP,
            Self::Connect { .. } | Self::Read(_) | Self::Write(_) | Self::Ended | Self::Silent => text::REMEDY_START,
            Self::NotUnderstood(_) | Self::Mismatch(_) => text::REMEDY_UPGRADE,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    frames: Frames<UnixStream>,
    stream: UnixStream,
}

impl Connection {
    /// Connects; to the readers' socket where that of the operators is closed to this user.
    ///
    /// # Errors
    /// That neither can be connected to, and why the last one tried cannot.
    pub async fn open(target: &Target) -> Result<Self, LinkError> {
        let stream = match (connect(&target.path).await, &target.readers) {
            (Err(LinkError::Connect { error, .. }), Some(readers))
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                connect(readers).await?
            }
            (result, _) => result?,
        };
        Ok(Self { frames: Frames::new(stream.clone(), Direction::Downward), stream })
    }

    /// The hub's next word.
    ///
    /// # Errors
    /// That the connection ended, broke, or carried what is not understood.
    pub async fn next(&mut self) -> Result<FromHub, LinkError> {
        let payload = self.frames.next().await.map_err(LinkError::Read)?.ok_or(LinkError::Ended)?;
        json::decode(&payload).map_err(LinkError::NotUnderstood)
    }

    /// Tells the hub.
    ///
    /// # Errors
    /// That it could not be written.
    pub async fn send(&mut self, word: &ToHub) -> Result<(), LinkError> {
        write(&mut self.stream, word).await
    }

    /// The hub's first words: who it is, and everything as it stands, with the alerts that come behind the snapshot.
    ///
    /// # Errors
    /// As [`Connection::next`], that the hub speaks another version, or that it said nothing for 5 s.
    pub async fn first_words(&mut self) -> Result<Box<Snapshot>, LinkError> {
        let listen = async {
            loop {
                match self.next().await? {
                    FromHub::Hello(hello) if hello.protocol != DASH_PROTOCOL => {
                        return Err(LinkError::Mismatch(Box::new(hello)));
                    }
                    FromHub::Snapshot(snapshot) => return self.with_older(snapshot).await,
                    _ => {}
                }
            }
        };
        let give_up = async {
            Timer::after(Duration::from_millis(ANSWER_MS_MAX)).await;
            Err(LinkError::Silent)
        };
        future::or(listen, give_up).await
    }
}

impl Connection {
    /// The snapshot with the older alerts, which follow it at once.
    async fn with_older(&mut self, mut snapshot: Box<Snapshot>) -> Result<Box<Snapshot>, LinkError> {
        let mut older = Vec::new();
        while (older.len() as u64) < snapshot.alerts_follow {
            if let FromHub::Alert(alert) = self.next().await? {
                older.push(*alert);
            }
        }
        snapshot.alerts_follow = 0;
        snapshot.alerts.splice(..0, older);
        Ok(snapshot)
    }
}

async fn connect(path: &PathBuf) -> Result<UnixStream, LinkError> {
    UnixStream::connect(path).await.map_err(|error| LinkError::Connect { path: path.clone(), error })
}

async fn write(stream: &mut UnixStream, word: &ToHub) -> Result<(), LinkError> {
    let frame = frame::frame(|out| json::encode(word, out)).map_err(LinkError::NotUnderstood)?;
    stream.write_all(&frame).await.map_err(LinkError::Write)
}

/// Waits between tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry(u64);

impl Retry {
    pub(crate) fn new() -> Self {
        Self(RETRY_MS_MIN)
    }

    /// The wait before the next try, in milliseconds; the one after it is longer.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let wait = self.0;
        self.0 = (wait * 2).min(RETRY_MS_MAX);
        wait
    }
}

/// Keeps a connection up for as long as somebody listens at `heard`.
pub(crate) async fn keep(target: Target, heard: Sender<Msg>, words: Receiver<ToHub>) {
    let mut retry = Retry::new();
    loop {
        let error = match Connection::open(&target).await {
            Ok(connection) => talk(connection, &heard, &words, &mut retry).await,
            Err(error) => Some(error),
        };
        let Some(error) = error else { return };
        let retry_ms = retry.next_ms();
        let outage = Outage { problem: error.to_string().into(), remedy: error.remedy().into(), retry_ms };
        if heard.send(Msg::Lost(outage)).await.is_err() {
            return;
        }
        Timer::after(Duration::from_millis(retry_ms)).await;
    }
}

/// Listens and speaks until the connection ends; no error if nobody listens any more.
async fn talk(
    connection: Connection,
    heard: &Sender<Msg>,
    words: &Receiver<ToHub>,
    retry: &mut Retry,
) -> Option<LinkError> {
    let Connection { frames, mut stream } = connection;
    let mut reading = Connection { frames, stream: stream.clone() };
    // What was meant for the connection before this one.
    while words.try_recv().is_ok() {}
    let listen = async {
        loop {
            let said = match reading.next().await {
                Ok(said) => said,
                Err(error) => return Some(error),
            };
            *retry = Retry::new();
            if heard.send(Msg::Hub(Box::new(said))).await.is_err() {
                return None;
            }
        }
    };
    let speak = async {
        loop {
            let word = words.recv().await.ok()?;
            if let Err(error) = write(&mut stream, &word).await {
                return Some(error);
            }
        }
    };
    future::or(listen, speak).await
}
