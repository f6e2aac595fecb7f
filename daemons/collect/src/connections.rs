//! TCP connections that processes of this host make or take, by looking at the kernel's tables every five seconds.
//!
//! The first look is the baseline. A connection is known by its two ends and its socket's number. Whose it is, is found
//! by looking for that number among the open files of all processes, which root alone may do for all; a connection whose
//! process is not found is told without one. It is `in` where somebody listens on the local port, or did at the look before.
//!
//! Left out: what stays on the loopback, what no process has accepted yet, and other protocols. Missed is what is opened
//! and closed between two looks.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{intake::Sender, task::Tasks};
use nms_proto::{
    event::{Body, Draft, NetConnection},
    id::EndpointId,
    time::Stamp,
};

use crate::{
    counters::{Counters, What},
    names::Names,
    polled,
    portion::Portion,
    processes::PROCESSES_MAX,
    procfs::{
        self, Procfs,
        parse::{Socket, State},
    },
};

/// Time between two looks where the settings name none, in milliseconds.
pub const INTERVAL_MS: u64 = 5_000;
/// Most connections that are remembered, and most ports that are listened on.
pub const SOCKETS_MAX: usize = 16_384;
/// Most connections that are sent of one look.
pub const CONNECTIONS_MAX: usize = 512;
/// Most open files of processes that are looked at in one look.
pub const FILES_MAX: usize = 65_536;

/// Connections beyond [`SOCKETS_MAX`]: how many more there are than at the look before.
pub const SOCKETS_OVER: &str = "sockets_over_limit";
/// Connections beyond [`CONNECTIONS_MAX`].
pub const CONNECTIONS_OVER: &str = "connections_over_limit";

/// The connections of a host.
#[derive(Debug)]
pub struct Connections {
    users: Names,
    passwd: PathBuf,
    /// The socket's number by both ends; none before the first look.
    known: Option<HashMap<(SocketAddr, SocketAddr), u64>>,
    /// Where somebody listened at the last look.
    listening: HashSet<SocketAddr>,
    over: u64,
    /// The process at which the last search for owners came to its bound; the next begins there.
    resume: u32,
    counters: Arc<Counters>,
}

/// What the tables say.
#[derive(Debug, Default)]
struct Tables {
    listening: HashSet<SocketAddr>,
    established: Vec<Socket>,
    over: u64,
}

impl Tables {
    fn read(procfs: Procfs<'_>) -> io::Result<Self> {
        let mut tables = Self::default();
        procfs.sockets(|socket| tables.take(socket))?;
        Ok(tables)
    }

    fn take(&mut self, socket: Socket) {
        let stays_here = socket.local.ip().is_loopback() && socket.remote.ip().is_loopback();
        match socket.state {
            State::Listening if self.listening.len() < SOCKETS_MAX => {
                self.listening.insert(socket.local);
            }
            State::Established if stays_here || socket.inode == 0 => {}
            State::Established if self.established.len() < SOCKETS_MAX => self.established.push(socket),
            State::Established => self.over += 1,
            State::Listening | State::Other => {}
        }
    }
}

impl Connections {
    /// Nothing seen yet; users are named by `passwd`.
    pub fn new(passwd: &Path, counters: Arc<Counters>) -> Self {
        Self {
            users: Names::default(),
            passwd: passwd.into(),
            known: None,
            listening: HashSet::new(),
            over: 0,
            resume: 0,
            counters,
        }
    }

    /// What was connected since the last look at the /proc below `root`; nothing at the first.
    pub fn look(&mut self, root: &Path, now: Stamp) -> Portion {
        let procfs = Procfs::at(root);
        let mut portion = Portion::default();
        let tables = match Tables::read(procfs) {
            Ok(tables) => tables,
            Err(error) => {
                self.counters.add(What::ConnectionsUnreadable, 1);
                log::warn!("cannot look at connections path={} error={error}", root.display());
                return portion;
            }
        };
        self.users.refresh(&self.passwd);
        let Tables { listening, established, over } = tables;
        let is_first = self.known.is_none();
        let before = self.known.take().unwrap_or_default();
        let mut fresh = Vec::new();
        let mut known = HashMap::with_capacity(established.len());
        for socket in established {
            let ends = (socket.local, socket.remote);
            known.insert(ends, socket.inode);
            if is_first || before.get(&ends) == Some(&socket.inode) {
                continue;
            }
            if fresh.len() < CONNECTIONS_MAX {
                fresh.push(socket);
            } else {
                portion.lose(CONNECTIONS_OVER, 1);
            }
        }
        self.counters.set(What::Connections, known.len() as u64);
        self.known = Some(known);
        self.tell(procfs, &fresh, &listening, (now, &mut portion));
        self.listening = listening;
        self.count(over, is_first, &mut portion);
        portion
    }

    fn tell(
        &mut self,
        procfs: Procfs<'_>,
        fresh: &[Socket],
        listening: &HashSet<SocketAddr>,
        (now, portion): (Stamp, &mut Portion),
    ) {
        let owners = self.owners(procfs, fresh.iter().map(|socket| socket.inode).collect());
        for socket in fresh {
            let exe = owners.get(&socket.inode).and_then(|pid| procfs.program(*pid));
            self.counters.add(What::ConnectionsUnowned, u64::from(exe.is_none()));
            let is_in = is_listening(listening, socket.local) || is_listening(&self.listening, socket.local);
            let body = NetConnection {
                exe: exe.unwrap_or_default(),
                proto: "tcp".into(),
                direction: if is_in { "in" } else { "out" }.into(),
                local_port: socket.local.port(),
                remote: socket.remote.ip().to_string().into(),
                remote_port: socket.remote.port(),
                user: self.users.name(socket.user),
            };
            portion.drafts.push(Draft { at: Some(now), ..Draft::new(Body::Connection(Box::new(body))) });
        }
    }

    /// The processes that hold these sockets; of several that hold one, the first that is found.
    fn owners(&mut self, procfs: Procfs<'_>, mut wanted: HashSet<u64>) -> HashMap<u64, u32> {
        let mut owners = HashMap::new();
        if wanted.is_empty() {
            return owners;
        }
        let (mut pids, _over) = procfs.pids(PROCESSES_MAX).unwrap_or_default();
        let begin = pids.partition_point(|pid| *pid < self.resume);
        pids.rotate_left(begin);
        self.resume = 0;
        let mut room = FILES_MAX;
        for pid in pids {
            if wanted.is_empty() {
                break;
            }
            if room == 0 {
                self.resume = pid;
                break;
            }
            let (inodes, looked_at) = procfs.open_sockets(pid, room);
            room = room.saturating_sub(looked_at);
            owners.extend(inodes.into_iter().filter(|inode| wanted.remove(inode)).map(|inode| (inode, pid)));
        }
        owners
    }

    fn count(&mut self, over: u64, is_first: bool, portion: &mut Portion) {
        self.counters.add(What::ConnectionsMade, portion.drafts.len() as u64);
        self.counters.set(What::ConnectionsOver, over);
        let before = std::mem::replace(&mut self.over, over);
        if over > 0 && before == 0 {
            log::warn!("too many connections to look at all of them max={SOCKETS_MAX} left_out={over}");
        }
        if !is_first {
            portion.lose(SOCKETS_OVER, over.saturating_sub(before));
        }
    }
}

/// Whether somebody listens at `local`, or on its port at every address.
fn is_listening(listening: &HashSet<SocketAddr>, local: SocketAddr) -> bool {
    let port = local.port();
    let everywhere = [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()];
    listening.contains(&local) || everywhere.iter().any(|all| listening.contains(all))
}

/// Looks every `interval_ms` on a thread of its own until the stop.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    mut connections: Connections,
    interval_ms: u64,
    tasks: &Tasks,
    to: (Sender, EndpointId),
) -> io::Result<()> {
    polled::start("connections", interval_ms, tasks, to, move |now| {
        connections.look(Path::new(procfs::PATH), now.stamp)
    })
}
