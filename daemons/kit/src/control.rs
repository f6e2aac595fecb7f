//! The daemon's Unix socket for admin verbs: a request frame in, lines out, an end.
//!
//! ```text
//! admin -> daemon   {"verb":"status","args":{"tenant":"home"}}
//! daemon -> admin   {"line":"..."}   any number
//!                   {"done":true}  or  {"error":"what failed, and what to do"}
//! ```
//! Each admin verb goes through it while the daemon runs, because one process owns a store. One
//! request a connection; only root and the daemon's own user are answered. Refuses requests above
//! [`REQUEST_BYTES_MAX`], and more than [`CONNECTIONS_MAX`] at a time.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use nms_proto::{frame::Direction, framed::Frames, json};
use serde::{Deserialize, Serialize};
use smol::{channel, lock::Semaphore, net::unix::UnixStream};

use crate::{clock, net::unix::Listener, task::Tasks};

/// Longest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Requests that are answered at a time.
pub const CONNECTIONS_MAX: usize = 16;
/// Longest wait for the request to come, in milliseconds.
const REQUEST_MS: u64 = 5_000;
/// Lines that may wait for a slow reader. Few: a line may be a whole batch, up to twice `FRAME_BYTES_MAX`.
const LINES_WAITING_MAX: usize = 16;
/// Longest wait for a daemon that is starting, and time between two looks, in milliseconds.
const START_MS: u64 = 3_000;
const START_LOOK_MS: u64 = 50;

/// What an admin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub verb: String,
    /// With what, by name.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

impl Request {
    /// A request without arguments.
    pub fn new(verb: &str) -> Self {
        Self { verb: verb.into(), args: BTreeMap::new() }
    }

    /// The same with one argument more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.into(), value.into());
        self
    }

    /// The argument of that name.
    ///
    /// # Errors
    /// Names the argument that is missing.
    pub fn arg(&self, name: &str) -> Result<&str, String> {
        self.args.get(name).map(String::as_str).ok_or_else(|| format!("{} needs {name}", self.verb))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Line(String),
    Done(bool),
    Error(String),
}

/// Where a handler puts its lines. Waits while the reader is slow; false once it is gone.
#[derive(Clone, Debug)]
pub struct Lines(channel::Sender<String>);

impl Lines {
    /// Writes one line.
    pub async fn say(&self, line: impl Into<String>) -> bool {
        self.0.send(line.into()).await.is_ok()
    }

    /// Ends when nobody reads any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Answers requests at `path` until the stop. `handle` writes lines and ends well or with words.
///
/// # Errors
/// The socket cannot be made.
pub fn serve<F, H>(tasks: &Tasks, path: &Path, handle: H) -> io::Result<()>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
    H: Fn(Request, Lines) -> F + Send + Sync + 'static,
{
    let listener = Listener::bind(path, 0o600)?;
    let stop = tasks.stop().clone();
    let (spawner, handle, places) = (tasks.clone(), Arc::new(handle), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    tasks.spawn("control", async move {
        while let Some(accepted) = stop.or(listener.accept()).await {
            let Ok((stream, uid)) = accepted else {
                clock::pause(100).await;
                continue;
            };
            let Some(place) = places.try_acquire_arc() else { continue };
            let (handle, stop) = (Arc::clone(&handle), stop.clone());
            spawner.spawn("control-request", async move {
                if let Some(Err(error)) = stop.or(converse(stream, uid, &*handle)).await {
                    log::debug!("an admin's connection ended early error={error}");
                }
                drop(place);
            });
        }
    });
    Ok(())
}

async fn converse<F>(mut stream: UnixStream, uid: u32, handle: &(impl Fn(Request, Lines) -> F + Sync)) -> io::Result<()>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return write(&mut stream, &Reply::Error("only root and the daemon's own user may ask".into())).await;
    }
    let request = match smol::future::or(read_request(&mut stream), late()).await {
        Ok(request) => request,
        Err(problem) => return write(&mut stream, &Reply::Error(problem)).await,
    };
    let (lines, said) = channel::bounded(LINES_WAITING_MAX);
    // Verbs read stores and sign requests: each on a thread of its own, of which there are no more than connections.
    let work = handle(request, Lines(lines));
    let work = smol::unblock(move || smol::block_on(work));
    let mut writer = stream.clone();
    let forward = async {
        while let Ok(line) = said.recv().await {
            write(&mut writer, &Reply::Line(line)).await?;
        }
        Ok(())
    };
    // A reader that goes away shows as the end of its side.
    let mut reader = stream.clone();
    let hung_up = async {
        let mut byte = [0];
        reader.read(&mut byte).await.ok();
        said.close();
        std::future::pending::<io::Result<()>>().await
    };
    let (result, written) = smol::future::zip(work, smol::future::or(forward, hung_up)).await;
    written?;
    let end = result.map_or_else(Reply::Error, |()| Reply::Done(true));
    write(&mut stream, &end).await
}

async fn late() -> Result<Request, String> {
    clock::pause(REQUEST_MS).await;
    Err("no request came in time".into())
}

async fn read_request(stream: &mut UnixStream) -> Result<Request, String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(|error| error.to_string())?;
    let length = u32::from_be_bytes(head) as usize;
    if length == 0 || length > REQUEST_BYTES_MAX {
        return Err(format!("a request of {length} bytes, at most {REQUEST_BYTES_MAX} are taken"));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.map_err(|error| error.to_string())?;
    json::decode(&payload).map_err(|error| error.to_string())
}

async fn write(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let frame = nms_proto::frame::frame(|out| json::encode(message, out)).map_err(io::Error::other)?;
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Why a daemon did not do what it was asked.
#[derive(Debug)]
pub enum ControlError {
    /// No daemon answers there.
    Unreachable(PathBuf, io::Error),
    /// The connection broke, in words.
    Broken(String),
    /// The daemon says no, in its words.
    Refused(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(path, error) => {
                write!(f, "cannot reach the daemon at {}: {error}; is it running?", path.display())
            }
            Self::Broken(problem) => write!(f, "the daemon's answer broke off: {problem}"),
            Self::Refused(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for ControlError {}

/// Asks the daemon at `path`, which may be starting just now: it is waited for, for three seconds. Each line of its answer
/// goes to `line` as it comes.
///
/// # Errors
/// The daemon is not there, or says no.
pub async fn ask(path: &Path, request: &Request, mut line: impl FnMut(&str)) -> Result<(), ControlError> {
    let late = clock::tick().plus(START_MS);
    let stream = loop {
        match UnixStream::connect(path).await {
            Ok(stream) => break stream,
            Err(_absent) if clock::tick() < late => clock::pause(START_LOOK_MS).await,
            Err(error) => return Err(ControlError::Unreachable(path.into(), error)),
        }
    };
    let always = |text: &str| {
        line(text);
        true
    };
    talk(stream, path, request, always).await
}

/// Asks the daemon at `path` if it is there now, until `line` has seen enough and says false; that is a good end.
///
/// # Errors
/// As [`ask`].
pub async fn ask_while(path: &Path, request: &Request, line: impl FnMut(&str) -> bool) -> Result<(), ControlError> {
    let stream = UnixStream::connect(path).await.map_err(|error| ControlError::Unreachable(path.into(), error))?;
    talk(stream, path, request, line).await
}

async fn talk(
    mut stream: UnixStream,
    path: &Path,
    request: &Request,
    mut line: impl FnMut(&str) -> bool,
) -> Result<(), ControlError> {
    let unreachable = |error| ControlError::Unreachable(path.into(), error);
    write(&mut stream, request).await.map_err(unreachable)?;
    let mut frames = Frames::new(stream, Direction::Downward);
    let broken = |problem: &dyn fmt::Display| ControlError::Broken(problem.to_string());
    loop {
        let payload = frames.next().await.map_err(|error| broken(&error))?;
        let payload = payload.ok_or_else(|| broken(&"the daemon closed the connection"))?;
        match json::decode(&payload).map_err(|error| broken(&error))? {
            Reply::Line(text) if line(&text) => {}
            Reply::Line(_) | Reply::Done(_) => return Ok(()),
            Reply::Error(problem) => return Err(ControlError::Refused(problem)),
        }
    }
}
