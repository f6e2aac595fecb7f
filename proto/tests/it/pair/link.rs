//! A connection in virtual time: two pipes that split, delay, cut, and go silent.

use std::collections::VecDeque;

use nms_proto::frame::{Direction, FrameReader};
use nms_proto::json::Decoder;
use nms_proto::message::{self, Message};
use nms_proto::time::{Stamp, Tick};

/// `SplitMix64`: the same seed gives the same run.
#[derive(Debug)]
pub(super) struct Rng(pub u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number from 0 up to but not including `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What arrives at the far end of a pipe.
#[derive(Debug)]
pub(super) enum Arrival {
    Message(Message),
    Malformed(String),
    Closed,
}

#[derive(Debug)]
struct Pipe {
    chunks: VecDeque<(Tick, Option<Vec<u8>>)>,
    reader: FrameReader,
    decoder: Decoder,
    writable: bool,
}

impl Pipe {
    fn new(direction: Direction) -> Self {
        let reader = FrameReader::new(direction);
        Self { chunks: VecDeque::new(), reader, decoder: Decoder::default(), writable: true }
    }

    fn put(&mut self, now: Tick, rng: &mut Rng, delay_ms: u64, chunk: Option<Vec<u8>>) {
        let last = self.chunks.back().map_or(now, |(at, _)| *at);
        self.chunks.push_back((last.max(now.plus(rng.below(delay_ms))), chunk));
    }

    fn write(&mut self, now: Tick, rng: &mut Rng, delay_ms: u64, frame: &[u8]) {
        let mut rest = frame;
        // Most frames arrive whole, some in two pieces, a few byte by byte.
        while !rest.is_empty() {
            let length = match rng.below(20) {
                0 => 1 + rng.below(7) as usize,
                1..6 => 1 + rng.below(rest.len() as u64) as usize,
                _ => rest.len(),
            };
            let (chunk, later) = rest.split_at(length.min(rest.len()));
            self.put(now, rng, delay_ms, Some(chunk.to_vec()));
            rest = later;
        }
    }

    fn close(&mut self, now: Tick, rng: &mut Rng, delay_ms: u64) {
        if std::mem::take(&mut self.writable) {
            self.put(now, rng, delay_ms, None);
        }
    }

    fn arrivals(&mut self, now: Tick, stamp: Stamp) -> Vec<Arrival> {
        let mut arrived = Vec::new();
        while self.chunks.front().is_some_and(|(at, _)| *at <= now) {
            match self.chunks.pop_front() {
                Some((_, Some(chunk))) => self.reader.push(&chunk),
                _ => arrived.push(Arrival::Closed),
            }
            while let Some(payload) = self.reader.next_frame().unwrap() {
                let message = message::read(&mut self.decoder, payload, stamp);
                arrived.push(message.map_or_else(|error| Arrival::Malformed(error.to_string()), Arrival::Message));
            }
        }
        arrived
    }
}

/// One connection. Each end may be gone while bytes to the other are still on their way.
#[derive(Debug)]
pub(super) struct Link {
    up: Pipe,
    down: Pipe,
    delay_ms: u64,
    silent: bool,
}

impl Link {
    pub(super) fn new(delay_ms: u64) -> Self {
        Self { up: Pipe::new(Direction::Upward), down: Pipe::new(Direction::Downward), delay_ms, silent: false }
    }

    fn pipe(&mut self, upward: bool) -> &mut Pipe {
        if upward { &mut self.up } else { &mut self.down }
    }

    /// Whether a frame would be taken: a stream has a buffer, not an ocean.
    pub(super) fn takes(&self, upward: bool) -> bool {
        let pipe = if upward { &self.up } else { &self.down };
        pipe.writable && pipe.chunks.len() < 16
    }

    pub(super) fn write(&mut self, now: Tick, rng: &mut Rng, upward: bool, frame: &[u8]) {
        let delay_ms = self.delay_ms;
        if !self.silent {
            self.pipe(upward).write(now, rng, delay_ms, frame);
        }
    }

    pub(super) fn arrivals(&mut self, now: Tick, stamp: Stamp, upward: bool) -> Vec<Arrival> {
        self.pipe(upward).arrivals(now, stamp)
    }

    /// One end closes: what it wrote still arrives, and then the end of the stream.
    pub(super) fn close(&mut self, now: Tick, rng: &mut Rng, upward: bool) {
        let delay_ms = self.delay_ms;
        self.pipe(upward).close(now, rng, delay_ms);
    }

    /// The network breaks: some of what is on its way is lost, and both ends notice at some time.
    pub(super) fn cut(&mut self, now: Tick, rng: &mut Rng) {
        for upward in [true, false] {
            let delay_ms = self.delay_ms * 4;
            let pipe = self.pipe(upward);
            let kept = rng.below(pipe.chunks.len() as u64 + 1) as usize;
            pipe.chunks.truncate(kept);
            pipe.writable = true;
            pipe.close(now, rng, delay_ms);
        }
    }

    /// What was written upward is held up somewhere, and comes late but comes.
    pub(super) fn hold_up(&mut self, ms: u64) {
        for (at, _) in &mut self.up.chunks {
            *at = at.plus(ms);
        }
    }

    /// The network swallows everything from now on, and nobody is told.
    pub(super) fn silence(&mut self) {
        self.silent = true;
        for upward in [true, false] {
            self.pipe(upward).chunks.clear();
            self.pipe(upward).writable = true;
        }
    }

    /// When something arrives next.
    pub(super) fn next_arrival(&self) -> Option<Tick> {
        let first = |pipe: &Pipe| pipe.chunks.front().map(|(at, _)| *at);
        first(&self.up).into_iter().chain(first(&self.down)).min()
    }
}
