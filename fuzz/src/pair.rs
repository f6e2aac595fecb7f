//! Both ends of a link against each other: a spool that survives, a log that survives, and a script that writes,
//! delivers, cuts, commits, refuses and kills. Nothing leaves the spool before it is in the log, nothing is in the log
//! twice, and once the script is over everything arrives.

use std::collections::{BTreeMap, VecDeque};

use nms_proto::{
    frame::{Direction, FrameReader},
    id::{BatchSeq, Instance},
    json::Decoder,
    message::{self, AckConfig, Message, Register},
    session::{
        client::{ClientSession, Output as Asked, Read, SpooledBatch},
        receiver::{Judgement, Receiver},
        server::{Answer, Output, ServerSession},
    },
    time::Tick,
};

use crate::{input::Script, travel::NOW};

/// Steps until everything must have arrived.
const STEPS_MAX: usize = 4_000;

pub(crate) fn sessions(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut world = World::new();
    while let Some(step) = script.step() {
        world.step(step, &mut script);
    }
    world.come_to_rest();
}

#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    reader: Option<FrameReader>,
}

impl Pipe {
    fn open(direction: Direction) -> Self {
        Self { bytes: VecDeque::new(), reader: Some(FrameReader::new(direction)) }
    }

    /// The messages in the next `count` bytes.
    fn deliver(&mut self, count: usize) -> Vec<Message> {
        let Some(reader) = &mut self.reader else { return Vec::new() };
        let piece: Vec<u8> = self.bytes.drain(..count.min(self.bytes.len())).collect();
        reader.push(&piece);
        let mut messages = Vec::new();
        while let Some(payload) = reader.next_frame().unwrap() {
            messages.push(message::read(&mut Decoder::default(), payload, NOW).unwrap());
        }
        messages
    }
}

struct World {
    now: Tick,
    client: ClientSession,
    server: Option<ServerSession>,
    up: Pipe,
    down: Pipe,
    /// The spool: numbers from 1 on, those below the start were acknowledged.
    spool: std::ops::Range<u64>,
    receiver: Receiver,
    /// What was taken and is not durable yet.
    pending: Vec<u64>,
    /// What is durable, in the order in which it came, by number.
    log: BTreeMap<u64, u32>,
    busy: bool,
}

impl World {
    fn new() -> Self {
        let now = Tick(1_000);
        Self {
            now,
            client: client(now, 1..1),
            server: None,
            up: Pipe::default(),
            down: Pipe::default(),
            spool: 1..1,
            receiver: Receiver::default(),
            pending: Vec::new(),
            log: BTreeMap::new(),
            busy: false,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 14 {
            0 | 1 => self.append(1 + script.number() % 3),
            2 | 3 => (0..=script.byte() % 4).for_each(|_| self.write_up()),
            4 | 5 => (0..=script.byte() % 4).for_each(|_| self.write_down()),
            6 => self.deliver_up(script.number() as usize),
            7 => self.deliver_down(script.number() as usize),
            8 => self.commit(usize::from(script.byte())),
            9 => self.wait(script.number() % 40_000),
            10 => self.cut(),
            11 => self.busy = script.byte().is_multiple_of(2),
            12 if script.byte().is_multiple_of(2) => {
                // The server is killed: what was not durable is gone.
                self.receiver = Receiver::from_bytes(&self.receiver.to_bytes(self.receiver.durable())).unwrap();
                self.pending.clear();
                self.cut();
            }
            12 => {
                // The hub is killed: its spool stays.
                self.server = None;
                (self.up, self.down) = (Pipe::default(), Pipe::default());
                self.client = client(self.now, self.spool.clone());
            }
            _ => {
                // A commit fails.
                self.receiver.withdraw();
                self.pending.clear();
                self.server.iter_mut().for_each(|server| server.withdrawn(500, "disk full"));
            }
        }
        self.serve();
    }

    /// No more faults: everything must be in the log, and the spool must be empty.
    fn come_to_rest(&mut self) {
        self.busy = false;
        for _ in 0..STEPS_MAX {
            if self.spool.is_empty() {
                break;
            }
            for _ in 0..8 {
                self.write_up();
                self.deliver_up(usize::MAX);
                self.commit(usize::MAX);
                self.write_down();
                self.deliver_down(usize::MAX);
            }
            self.wait(700);
        }
        assert!(self.spool.is_empty(), "{:?} never arrived", self.spool);
        assert!(self.log.keys().copied().eq(1..self.spool.end), "the log has holes: {:?}", self.log);
    }

    fn append(&mut self, count: u64) {
        self.spool.end += count;
        self.client.spooled(BatchSeq(self.spool.end));
    }

    fn write_up(&mut self) {
        self.up.bytes.extend(self.client.poll_transmit(self.now, NOW).unwrap_or_default());
        self.serve();
    }

    fn write_down(&mut self) {
        let frame = self.server.as_mut().and_then(|server| server.poll_transmit(NOW));
        self.down.bytes.extend(frame.unwrap_or_default());
        self.serve();
    }

    fn deliver_up(&mut self, bytes: usize) {
        for message in self.up.deliver(bytes) {
            self.server.iter_mut().for_each(|server| server.received(self.now, message.clone()));
            self.serve();
        }
    }

    fn deliver_down(&mut self, bytes: usize) {
        for message in self.down.deliver(bytes) {
            self.client.received(self.now, message);
            self.serve();
        }
    }

    fn commit(&mut self, count: usize) {
        for seq in self.pending.drain(..count.min(self.pending.len())) {
            *self.log.entry(seq).or_default() += 1;
            assert_eq!(self.log[&seq], 1, "batch {seq} is stored twice");
            self.receiver.commit(BatchSeq(seq));
        }
        self.server.iter_mut().for_each(|server| server.committed(self.receiver.durable()));
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.client.handle_timeout(self.now);
        self.server.iter_mut().for_each(|server| server.handle_timeout(self.now));
        self.serve();
    }

    fn cut(&mut self) {
        let was_open = self.up.reader.is_some();
        self.server = None;
        (self.up, self.down) = (Pipe::default(), Pipe::default());
        if was_open {
            self.client.closed(self.now, "cut");
        }
    }

    fn serve(&mut self) {
        while let Some(asked) = self.client.poll_output() {
            self.serve_client(&asked);
        }
        while let Some(output) = self.server.as_mut().and_then(ServerSession::poll_output) {
            self.serve_server(output);
        }
    }

    fn serve_client(&mut self, asked: &Asked) {
        match *asked {
            Asked::Connect => {
                self.server = Some(ServerSession::new(self.now));
                (self.up, self.down) = (Pipe::open(Direction::Upward), Pipe::open(Direction::Downward));
                self.client.connected(self.now);
            }
            Asked::Close(_) => {
                self.server = None;
                (self.up, self.down) = (Pipe::default(), Pipe::default());
            }
            Asked::Read(read) => {
                let batches = self.read(read);
                self.client.loaded(read, batches);
            }
            Asked::Acked(up_to) => {
                for seq in self.spool.start..=up_to.0 {
                    assert!(self.log.contains_key(&seq), "batch {seq} left the spool and is in no log");
                }
                self.spool.start = self.spool.start.max(up_to.0 + 1);
            }
            Asked::Quarantine { .. }
            | Asked::NewInstance { .. }
            | Asked::Results(_)
            | Asked::Command(_)
            | Asked::CommandAnswered(_) => panic!("nobody gave a reason for {asked:?}"),
        }
    }

    fn serve_server(&mut self, output: Output) {
        let Some(server) = &mut self.server else { return };
        match output {
            Output::Register(_) => server.accept(self.now, self.receiver.durable(), AckConfig::default()),
            Output::Batch(batch) => {
                let judgement = self.receiver.judge(&batch);
                assert_ne!(judgement, Judgement::Reused, "{:?}", batch.batch);
                let answer = Answer::from_judgement(judgement).unwrap_or_else(|| {
                    if self.busy {
                        return Answer::Busy { retry_after_ms: 200, message: "busy".into() };
                    }
                    self.receiver.admit(&batch);
                    self.pending.extend(batch.batch.map(|batch| batch.0));
                    Answer::Taken
                });
                server.answer(self.now, answer);
            }
            Output::Close(_) => self.cut(),
            _ => {}
        }
    }

    fn read(&self, read: Read) -> Vec<SpooledBatch> {
        let held = self.spool.clone().filter(|seq| *seq >= read.from.0);
        let batch = |seq: u64| {
            let content = format!(
                "\"origins\":[],\"events\":[{{\"at\":\"2026-01-05T14:30:00Z\",\"syslog\":{{\"facility\":1,\"severity\":5,\
                 \"message\":\"line {seq}\"}}}}]"
            );
            SpooledBatch { seq: BatchSeq(seq), skipped: Vec::new(), content: content.into_bytes() }
        };
        held.take(read.batches_max).map(batch).collect()
    }
}

fn client(now: Tick, spool: std::ops::Range<u64>) -> ClientSession {
    let register = Register { instance: Some(Instance([5; 16])), protocol: Some(1), ..Register::default() };
    ClientSession::new(now, 3, register, BatchSeq(spool.start)..BatchSeq(spool.end))
}
