//! The dashboard's sockets: `dash.sock` for operators, `dash-ro.sock` for readers.
//!
//! A client gets a snapshot first, then deltas. It has a queue of [`QUEUE`] messages: a client that
//! does not read loses log lines, which are counted and said as a gap, and is sent a new snapshot for
//! everything else. Nobody ever waits for a client.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nms_kit::{clock, net::unix, task::Tasks};
use nms_proto::{
    dash::{CommandResult, DASH_PROTOCOL, DashCommand, FromHub, Gap, Hello, Role, ToHub},
    frame::{Direction, frame},
    framed::Frames,
    json,
    time::Tick,
};
use smol::{
    channel::{Receiver, Sender, TrySendError, bounded},
    io::AsyncWriteExt as _,
    net::unix::UnixStream,
};

use crate::{core::Core, lines::LINES_BYTES_MAX};

/// Messages that may wait for a client.
const QUEUE: usize = 64;
/// Time between two sendings of log lines, in milliseconds.
const LINES_MS: u64 = 50;
/// Most lines in one sending; older ones of a burst are a gap.
const LINES_MAX: usize = 2_000;
/// Dashboards at a time.
const CLIENTS_MAX: usize = 32;
/// Longest that a client may take to read one message, in milliseconds.
const WRITE_MS_MAX: u64 = 30_000;

/// From a client's task to the core.
#[derive(Debug)]
pub(crate) enum Request {
    /// A client connected.
    Joined(Joined),
    /// A client wants log lines.
    Subscribe { client: u64, after: Option<u64> },
    /// A client does something with an alert.
    Command { client: u64, uid: u32, role: Role, command: DashCommand },
    /// A client is gone.
    Left(u64),
}

/// A client that connected.
#[derive(Debug)]
pub(crate) struct Joined {
    client: u64,
    uid: u32,
    role: Role,
    queue: Sender<Parcel>,
}

/// Messages that go together: one, or a snapshot with the alerts that did not fit its frame.
type Parcel = Arc<Vec<FromHub>>;

#[derive(Debug)]
struct Client {
    id: u64,
    queue: Sender<Parcel>,
    /// The last line it was sent; none if it wants no lines.
    last: Option<u64>,
    missed: u64,
    is_stale: bool,
}

impl Client {
    /// Sends a message that must not be missed; if there is no room the client gets a snapshot later.
    fn send(&mut self, parcel: &Parcel) {
        if self.queue.try_send(Arc::clone(parcel)).is_err() {
            self.is_stale = true;
        }
    }
}

/// The clients, as the core knows them.
#[derive(Debug, Default)]
pub(crate) struct Dashboards {
    hub: Box<str>,
    clients: Vec<Client>,
    lines_due: Tick,
}

impl Dashboards {
    pub(crate) fn new(hub: Box<str>) -> Self {
        Self { hub, ..Self::default() }
    }

    /// Deals with a request; a command's result goes to its client.
    pub(crate) fn request(&mut self, now: Tick, core: &mut Core, request: Request) {
        match request {
            Request::Joined(joined) => self.join(now, core, joined),
            Request::Left(client) => self.clients.retain(|known| known.id != client),
            Request::Subscribe { client, after } => {
                let next = core.lines().next();
                if let Some(known) = self.client(client) {
                    known.last = Some(after.unwrap_or(next.saturating_sub(1)).min(next.saturating_sub(1)));
                }
            }
            Request::Command { client, uid, role, command } => {
                let Some(queue) = self.client(client).map(|known| known.queue.clone()) else { return };
                // A client that has no room for its result does not read: nobody waits for it.
                let told = move |result| drop(queue.try_send(Arc::new(vec![FromHub::Result(result)])));
                if role == Role::Operator {
                    core.command(uid, clock::stamp(), &command, told);
                } else {
                    let message = "this socket is for readers; use dash.sock, for which you must be in the group nms";
                    told(CommandResult { id: command.id, ok: false, message: message.into() });
                }
            }
        }
    }

    fn client(&mut self, id: u64) -> Option<&mut Client> {
        self.clients.iter_mut().find(|known| known.id == id)
    }

    fn join(&mut self, now: Tick, core: &mut Core, joined: Joined) {
        let Joined { client, uid, role, queue } = joined;
        if self.clients.len() >= CLIENTS_MAX {
            log::warn!("a dashboard was turned away, too many are connected max={CLIENTS_MAX}");
            return;
        }
        let hello = Hello {
            protocol: DASH_PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            hub: self.hub.clone(),
            uid,
            role,
            now: clock::stamp(),
        };
        let mut known = Client { id: client, queue, last: None, missed: 0, is_stale: false };
        known.send(&Arc::new(vec![FromHub::Hello(hello)]));
        known.send(&Arc::new(core.snapshot(now)));
        self.clients.push(known);
    }

    /// Tells everybody.
    pub(crate) fn tell(&mut self, messages: Vec<FromHub>) {
        if self.clients.is_empty() {
            return;
        }
        for message in messages {
            let parcel = Arc::new(vec![message]);
            for client in &mut self.clients {
                client.send(&parcel);
            }
        }
    }

    /// Whether there is anybody to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// When lines are next to be sent.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.clients.iter().any(|client| client.last.is_some()).then_some(self.lines_due)
    }

    /// Sends new lines where they are due, and a snapshot to those who missed something.
    pub(crate) fn lines(&mut self, now: Tick, core: &mut Core) {
        if now < self.lines_due || self.clients.is_empty() {
            return;
        }
        self.lines_due = now.plus(LINES_MS);
        let newest = core.lines().next().saturating_sub(1);
        for client in &mut self.clients {
            if client.is_stale && !client.queue.is_full() {
                client.is_stale = false;
                client.send(&Arc::new(core.snapshot(now)));
            }
            let Some(last) = client.last.filter(|last| *last < newest) else { continue };
            client.last = Some(newest);
            let lines = core.lines().after(last, LINES_MAX, LINES_BYTES_MAX);
            client.missed += (newest - last).saturating_sub(lines.len() as u64);
            if client.missed > 0
                && client.queue.try_send(Arc::new(vec![FromHub::Gap(Gap { lines: client.missed })])).is_ok()
            {
                client.missed = 0;
            }
            let count = lines.len() as u64;
            if let Err(TrySendError::Full(_)) = client.queue.try_send(Arc::new(vec![FromHub::Lines(lines)])) {
                client.missed += count;
            }
        }
    }
}

/// Accepts clients at `path` until the stop.
pub(crate) async fn listen(tasks: Tasks, listener: unix::Listener, role: Role, core: Sender<Request>) {
    let stop = tasks.stop().clone();
    while let Some(accepted) = stop.or(listener.accept()).await {
        let Ok((stream, uid)) = accepted else {
            clock::pause(100).await;
            continue;
        };
        let (role, core, stop) = (role.clone(), core.clone(), stop.clone());
        tasks.spawn("dashboard", async move {
            stop.or(serve(stream, uid, role, &core)).await;
        });
    }
}

/// Binds a socket of the dashboard.
pub(crate) fn bind(path: &Path) -> std::io::Result<unix::Listener> {
    unix::Listener::bind(path, 0o660)
}

async fn serve(stream: UnixStream, uid: u32, role: Role, core: &Sender<Request>) {
    static CLIENTS: AtomicU64 = AtomicU64::new(0);
    let client = CLIENTS.fetch_add(1, Ordering::Relaxed);
    let (queue, parcels) = bounded(QUEUE);
    let joined = Joined { client, uid, role: role.clone(), queue };
    if core.send(Request::Joined(joined)).await.is_err() {
        return;
    }
    let (reader, writer) = (stream.clone(), stream);
    let hear = hear(reader, client, uid, role, core);
    smol::future::or(hear, speak(writer, parcels)).await;
    core.send(Request::Left(client)).await.ok();
}

async fn hear(stream: UnixStream, client: u64, uid: u32, role: Role, core: &Sender<Request>) {
    let mut frames = Frames::new(stream, Direction::Upward);
    while let Ok(Some(payload)) = frames.next().await {
        let request = match json::decode::<ToHub>(&payload) {
            Ok(ToHub::Subscribe(subscribe)) => Request::Subscribe { client, after: subscribe.after },
            Ok(ToHub::Command(command)) => Request::Command { client, uid, role: role.clone(), command },
            Err(problem) => {
                log::debug!("a dashboard said what is not understood problem={problem}");
                return;
            }
        };
        if core.send(request).await.is_err() {
            return;
        }
    }
}

async fn speak(mut stream: UnixStream, parcels: Receiver<Parcel>) {
    while let Ok(parcel) = parcels.recv().await {
        for message in parcel.iter() {
            let Ok(bytes) = frame(|out| json::encode(message, out)) else { continue };
            let late = async {
                clock::pause(WRITE_MS_MAX).await;
                Err(std::io::ErrorKind::TimedOut.into())
            };
            if smol::future::or(stream.write_all(&bytes), late).await.is_err() {
                return;
            }
        }
    }
}
