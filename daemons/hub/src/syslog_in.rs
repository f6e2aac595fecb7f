//! Syslog in: UDP on a thread of its own, TCP and TLS a task for each connection.
//!
//! The source is the sender's address, whatever the message says. TCP waits when the core is behind,
//! which slows the sender down. UDP cannot: while the core is behind, datagrams stay in the kernel's
//! buffer, and what did not fit there is counted as `udp_receive_buffer`.

use std::{collections::HashMap, net::IpAddr, net::SocketAddr, sync::Arc};

use nms_kit::{
    clock,
    intake::{Chunk, Events, Lost, Rejected, Sender, Tally},
    net::{
        canonical,
        gate::Place,
        tcp::{self, Arrived},
        udp,
    },
    task::{Stop, Tasks},
    tls::{self, TlsAcceptor},
};
use nms_proto::{
    id::EndpointId,
    limits::{PARSE_ERROR_SAMPLE_BYTES_MAX, SOURCES_MAX},
    syslog::{self, Received, Splitter},
};
use smol::{
    io::{AsyncRead, AsyncReadExt as _},
    lock::Semaphore,
};

/// Bytes read from a connection at a time: few, more while they come in numbers.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 64 << 10;
/// Connections whose bytes are turned into messages at one time, which bounds what many senders at full speed hold in
/// memory; the others wait with what they read.
const GATHERING_MAX: usize = 8;
/// Messages in a chunk; a read or a system call may hold more.
const CHUNK_MESSAGES: usize = 1024;
/// Longest silence of a TCP sender before its connection is closed, in milliseconds.
const TCP_IDLE_MS: u64 = 24 * 3_600_000;

fn received() -> Received {
    let unix_ms = clock::unix_ms();
    Received { unix_ms, utc_offset_s: clock::offset_s(unix_ms) }
}

/// Turns messages of any source into one chunk.
struct Gather {
    received: Received,
    drafts: Vec<(EndpointId, nms_proto::event::Draft)>,
    tally: Tally,
}

impl Gather {
    fn new() -> Self {
        Self { received: received(), drafts: Vec::new(), tally: Tally::default() }
    }

    fn take(&mut self, source: &EndpointId, bytes: &[u8], cut_before: bool) {
        match syslog::draft(bytes, &self.received) {
            Ok((draft, cut)) => {
                if cut || cut_before {
                    self.tally.cut.push(source.clone());
                }
                self.drafts.push((source.clone(), draft));
            }
            Err(reason) => {
                let kept = bytes.get(..PARSE_ERROR_SAMPLE_BYTES_MAX).unwrap_or(bytes);
                let rejected = Rejected {
                    source: source.clone(),
                    reason: reason.name(),
                    raw: kept.into(),
                    bytes: bytes.len() as u64,
                };
                self.tally.rejected.push(rejected);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.tally.is_empty()
    }

    fn len(&self) -> usize {
        self.drafts.len() + self.tally.rejected.len()
    }

    fn chunk(&mut self) -> Chunk {
        let Self { drafts, tally, .. } = std::mem::replace(self, Self::new());
        Chunk { events: Events::Drafts(drafts), checkpoints: Vec::new(), done: None, tally }
    }
}

/// Takes datagrams until the stop.
pub(crate) fn udp(tasks: &Tasks, intake: udp::Intake, sender: Sender) -> std::io::Result<()> {
    let stop = tasks.stop().clone();
    tasks.thread("syslog-udp", move || {
        let mut intake = intake.drain();
        let mut sources = Sources::default();
        while !stop.is_requested() {
            let mut gather = Gather::new();
            let lost = intake.receive(|peer, bytes| gather.take(&sources.of(peer.ip()), bytes, false));
            match lost {
                Ok(0) => {}
                Ok(events) => {
                    log::warn!("datagrams were dropped by the kernel, the receive buffer was full events={events}");
                    let source = EndpointId::new("udp");
                    gather.tally.lost.push(Lost { source, cause: "udp_receive_buffer", events });
                }
                Err(error) => log::warn!("cannot receive datagrams error={error}"),
            }
            if !gather.is_empty() && sender.send_blocking(gather.chunk()).is_err() {
                return;
            }
        }
    })
}

/// Names of senders, kept so that each is made once.
#[derive(Default)]
struct Sources(HashMap<IpAddr, EndpointId>);

impl Sources {
    fn of(&mut self, address: IpAddr) -> EndpointId {
        let address = canonical(address);
        if self.0.len() >= SOURCES_MAX {
            self.0.clear();
        }
        self.0.entry(address).or_insert_with(|| EndpointId::new(&address.to_string())).clone()
    }
}

/// Takes connections until the stop.
pub(crate) async fn tcp(tasks: Tasks, listener: tcp::Listener, sender: Sender) {
    let stop = tasks.stop().clone();
    let turns = Arc::new(Semaphore::new(GATHERING_MAX));
    let handle = move |stream, peer, Arrived { place, .. }| {
        let (stop, sender, turns) = (stop.clone(), sender.clone(), Arc::clone(&turns));
        async move { connection(stream, peer, &place, &sender, &turns, &stop).await }
    };
    listener.serve(tasks, "syslog-tcp", handle).await;
}

/// Takes connections by TLS until the stop. A device is not asked who it is: its address is its source, as without TLS.
pub(crate) async fn tls(tasks: Tasks, listener: tcp::Listener, acceptor: TlsAcceptor, sender: Sender) {
    let stop = tasks.stop().clone();
    let (turns, gate) = (Arc::new(Semaphore::new(GATHERING_MAX)), listener.gate());
    let handle = move |stream, peer, Arrived { place, .. }| {
        let (stop, sender, turns, acceptor) = (stop.clone(), sender.clone(), Arc::clone(&turns), acceptor.clone());
        let gate = gate.clone();
        async move {
            let accepted = tls::accept(&acceptor, stream, tls::handshake_deadline());
            match stop.or(place.or(accepted)).await.flatten() {
                Some(Ok(accepted)) => {
                    Box::pin(connection(accepted.stream, peer, &place, &sender, &turns, &stop)).await;
                }
                Some(Err(failed)) => {
                    gate.refusals().count("handshake");
                    log::warn!("a sender was refused peer={peer} reason={:?}", failed.problem);
                    failed.finish().await;
                }
                None => {}
            }
        }
    };
    listener.serve(tasks, "syslog-tls", handle).await;
}

async fn connection(
    mut stream: impl AsyncRead + Unpin,
    peer: SocketAddr,
    place: &Place,
    sender: &Sender,
    turns: &Semaphore,
    stop: &Stop,
) {
    let source = EndpointId::new(&canonical(peer.ip()).to_string());
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; READ_BYTES_MIN];
    let mut gather = Gather::new();
    loop {
        let idle = async {
            clock::pause(TCP_IDLE_MS).await;
            Ok(0)
        };
        place.waits(clock::tick());
        let read = stop.or(place.or(smol::future::or(stream.read(&mut buffer), idle))).await;
        let Some(Some(Ok(count @ 1..))) = read else { break };
        place.works();
        let turn = turns.acquire().await;
        let mut rest = buffer.get(..count).unwrap_or_default();
        // What was read is handed over also where nothing is taken any more: there it is counted.
        let mut is_taken = true;
        while let Some(frame) = splitter.next_frame(&mut rest) {
            gather.take(&source, frame.bytes, frame.truncated);
            if gather.len() >= CHUNK_MESSAGES {
                is_taken &= sender.send(gather.chunk()).await.is_ok();
            }
        }
        if !gather.is_empty() {
            is_taken &= sender.send(gather.chunk()).await.is_ok();
        }
        drop(turn);
        if !is_taken {
            return;
        }
        if count == buffer.len() && count < READ_BYTES_MAX {
            buffer = vec![0; count * 4];
        } else if count < READ_BYTES_MIN && buffer.len() > READ_BYTES_MIN {
            buffer = vec![0; READ_BYTES_MIN];
        }
    }
    if let Some(frame) = splitter.finish() {
        gather.take(&source, frame.bytes, frame.truncated);
        sender.send(gather.chunk()).await.ok();
    }
}
