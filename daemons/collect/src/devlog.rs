//! `/dev/log`: what programs of this host say by syslog(3), where no syslog daemon and no journal takes it.
//!
//! A datagram socket that everybody may write to, opened only where nobody holds it: a daemon that is there keeps it. It
//! waits when the core is behind; the kernel then holds a few datagrams, and after them whoever calls syslog(3). A syslog
//! daemon that is started later takes the path for itself; its socket is left alone at our end.
//!
//! Refused as by `proto::syslog`. What is longer than a line may be is cut and counted.

use std::{io, path::PathBuf, sync::Arc};

use nms_kit::{
    clock,
    intake::{Closed, Sender},
    net::unix::Datagrams,
    task::{Stop, Tasks},
};
use nms_proto::{
    id::EndpointId,
    limits::{CHUNK_EVENTS_MAX, LINE_BYTES_MAX},
    syslog::{self, Received},
};
use smol::future::or;

use crate::{
    counters::{Counters, What},
    portion::{Portion, Refused},
};

/// Where programs look for it.
pub const PATH: &str = "/dev/log";

/// Who may write to it: everybody.
const MODE: u32 = 0o666;
/// The longest datagram that is read; a byte beyond a line and its end tells that more belonged to it.
const DATAGRAM_BYTES_MAX: usize = LINE_BYTES_MAX + 2;
/// The pause after a read that failed, in milliseconds.
const PAUSE_MS: u64 = 1_000;

/// Where the socket stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`PATH`], or a test's.
    pub path: PathBuf,
    /// Whether it must be ours: else it is left to whoever holds it.
    pub required: bool,
}

struct Devlog {
    socket: Datagrams,
    buffer: Vec<u8>,
    counters: Arc<Counters>,
}

/// Takes datagrams until the stop, where nobody holds the socket.
///
/// # Errors
/// It is required, and somebody holds it or it cannot be made.
pub fn start(
    settings: &Settings,
    counters: Arc<Counters>,
    tasks: &Tasks,
    (sender, source): (Sender, EndpointId),
) -> io::Result<()> {
    let path = settings.path.display();
    let socket = match Datagrams::bind(&settings.path, MODE) {
        Ok(socket) => socket,
        Err(error) if settings.required => return Err(error),
        Err(error) => {
            log::info!("local syslog is left alone path={path} reason={error}");
            return Ok(());
        }
    };
    log::info!("local syslog at={path}");
    let stop = tasks.stop().clone();
    let mut devlog = Devlog { socket, buffer: vec![0; DATAGRAM_BYTES_MAX], counters };
    tasks.spawn("devlog", async move {
        if devlog.run(&sender, &source, &stop).await.is_err() {
            log::debug!("local syslog is no longer read: the core has ended");
        }
    });
    Ok(())
}

impl Devlog {
    async fn run(&mut self, sender: &Sender, source: &EndpointId, stop: &Stop) -> Result<(), Closed> {
        while !stop.is_requested() {
            match self.portion(stop).await {
                Ok(portion) if portion.messages() > 0 => sender.send(portion.into_chunk(source)).await?,
                Ok(_nothing) => {}
                Err(error) => {
                    log::warn!("cannot read local syslog error={error}");
                    stop.or(clock::pause(PAUSE_MS)).await;
                }
            }
        }
        // Nobody finds the socket any more; what lies in it was taken from its senders and is taken along.
        self.socket.remove();
        while let Ok(portion) = self.portion(stop).await
            && portion.messages() > 0
        {
            sender.send(portion.into_chunk(source)).await?;
        }
        Ok(())
    }

    /// Waits for a datagram or the stop; gives it with those that lie behind it.
    async fn portion(&mut self, stop: &Stop) -> io::Result<Portion> {
        let mut portion = Portion::default();
        let mut waits = true;
        while portion.messages() < CHUNK_EVENTS_MAX {
            let none = async {
                if waits {
                    stop.requested().await;
                }
                None
            };
            let Self { socket, buffer, .. } = self;
            // Asked for first, so that what is there counts before the stop.
            let Some(read) = or(async { Some(socket.receive(buffer).await) }, none).await else { break };
            match read {
                Ok(length) => take(buffer.get(..length).unwrap_or_default(), &mut portion),
                // What came before it goes first; where it lasts it comes again.
                Err(_) if portion.messages() > 0 => break,
                Err(error) => return Err(error),
            }
            waits = false;
        }
        self.counters.add(What::DevlogMessages, portion.messages() as u64);
        Ok(portion)
    }
}

fn take(bytes: &[u8], portion: &mut Portion) {
    let now = clock::stamp();
    let received = Received { unix_ms: now.unix_ms, utc_offset_s: i32::from(now.offset_min) * 60 };
    match syslog::draft(bytes, &received) {
        Ok((draft, is_cut)) => {
            portion.cut += u64::from(is_cut);
            portion.drafts.push(draft);
        }
        Err(reason) => portion.refused.push(Refused::new(reason.name(), bytes)),
    }
}
