//! Sends the corpus over TCP from many addresses of loopback, at a rate or as fast as it is taken.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use nms_kit::clock;
use socket2::{Domain, Socket, Type};

use super::corpus::{Corpus, failure};

/// What a sender's socket holds of what the hub has not taken, in bytes. The kernel's own idea, megabytes for each of
/// 200 connections, would be a queue of minutes in front of the hub.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Sources, one connection each.
const SOURCES: u8 = 200;
/// Lines in one write at full speed.
const LINES_AT_ONCE: usize = 256;
/// Time between two writes of a paced sender, in microseconds.
const PACE_US: u64 = 5_000;
/// Time between two probes, in microseconds.
const PROBE_US: u64 = 200_000;
/// Failed logins of a probe: the fifth raises an alert.
const PROBE_FAILURES: usize = 5;

/// A guessing run sent to be timed: its attacker, and when its last line went.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) actor: String,
    pub(super) sent_us: u64,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) lines: u64,
    pub(super) seconds: f64,
    pub(super) probes: Vec<Probe>,
}

/// Connections to the hub.
#[derive(Debug)]
pub(super) struct Sender {
    streams: Vec<TcpStream>,
    probe: TcpStream,
    /// The next line of the corpus, and the connection that it goes to.
    line: usize,
    stream: usize,
}

impl Sender {
    pub(super) fn connect(to: SocketAddr) -> std::io::Result<Self> {
        let streams = (1..=SOURCES).map(|last| from(Ipv4Addr::new(127, 0, 1, last), to)).collect::<Result<_, _>>()?;
        Ok(Self { streams, probe: from(Ipv4Addr::new(127, 0, 2, 1), to)?, line: 0, stream: 0 })
    }

    /// Sends for `seconds`, at `rate` lines a second or, without one, as fast as the hub takes them.
    pub(super) fn send(&mut self, corpus: &Corpus, rate: Option<u64>, seconds: u64) -> std::io::Result<Sent> {
        let begun = clock::monotonic_us();
        let end = begun + seconds * 1_000_000;
        let mut sent = Sent::default();
        let mut probed = begun;
        loop {
            let now = clock::monotonic_us();
            if now >= end {
                sent.seconds = (now - begun) as f64 / 1e6;
                return Ok(sent);
            }
            let due =
                rate.map_or(LINES_AT_ONCE as u64, |rate| ((now - begun) * rate / 1_000_000).saturating_sub(sent.lines));
            let is_behind = due > LINES_AT_ONCE as u64;
            sent.lines += self.write_block(corpus, due)?;
            if now >= probed {
                probed = now + PROBE_US;
                self.probe(&mut sent)?;
            }
            if rate.is_some() && !is_behind {
                clock::block(PACE_US / 1_000);
            }
        }
    }

    /// Sends lines of those that are `due`, a write at most, and gives how many; pauses where that was all.
    pub(super) fn write(&mut self, corpus: &Corpus, due: u64) -> std::io::Result<u64> {
        let lines = self.write_block(corpus, due)?;
        if lines == due {
            clock::block(PACE_US / 1_000);
        }
        Ok(lines)
    }

    fn write_block(&mut self, corpus: &Corpus, due: u64) -> std::io::Result<u64> {
        let lines = due.min(LINES_AT_ONCE as u64);
        let mut block = Vec::new();
        for _ in 0..lines {
            block.extend_from_slice(corpus.lines.get(self.line).map_or(b"".as_slice(), Vec::as_slice));
            block.push(b'\n');
            self.line = (self.line + 1) % corpus.lines.len();
        }
        if let Some(stream) = self.streams.get_mut(self.stream) {
            stream.write_all(&block)?;
        }
        self.stream = (self.stream + 1) % self.streams.len();
        Ok(lines)
    }

    /// A guessing run by somebody new, all lines in one write.
    fn probe(&mut self, sent: &mut Sent) -> std::io::Result<()> {
        let number = sent.probes.len();
        let actor = format!("198.18.{}.{}", number / 250, number % 250);
        let mut block = Vec::new();
        for port in 0..PROBE_FAILURES {
            block.extend_from_slice(failure("root", &actor, 40_000 + port).as_bytes());
            block.push(b'\n');
        }
        sent.lines += PROBE_FAILURES as u64;
        sent.probes.push(Probe { actor, sent_us: clock::monotonic_us() });
        self.probe.write_all(&block)
    }
}

/// A connection from an address of loopback.
pub(super) fn from(address: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect(&to.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    Ok(socket.into())
}
