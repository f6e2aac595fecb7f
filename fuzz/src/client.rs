//! The sender's end of a link, driven by a script: any order of what can happen to it, and any answers of its peer.

use std::ops::Range;

use nms_proto::{
    id::{BatchSeq, Instance},
    json::Decoder,
    limits::{COMMANDS_WAITING_MAX, FRAME_BYTES_MAX},
    message::{
        self, Ack, AckConfig, AckStatus, Command, CommandAction, Heartbeat, Message, Register, Results, ResultsStats,
        Skipped,
    },
    session::{
        BATCH_NUMBER_REUSED,
        client::{ClientSession, Output, Read, SpooledBatch, Stage},
    },
    time::Tick,
};

use crate::{input::Script, travel::NOW};

/// Outputs of one moment; more of them would be a loop.
const OUTPUTS_MAX: usize = 4_096;

/// Any script: no panic, no endless loop, every frame is a message, and nothing is forgotten that was never spooled.
pub(crate) fn session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let first = script.number() % 8;
    let mut shell = Shell::new(first + 1..first + 1 + script.number() % 8);
    while let Some(step) = script.step() {
        shell.step(step, &mut script);
    }
}

struct Shell {
    session: ClientSession,
    now: Tick,
    /// What the spool holds.
    held: Range<u64>,
    /// Numbers that it gave up.
    gone: Vec<u64>,
    /// Whether a stream is wanted, and whether it is open.
    stream: Option<bool>,
    /// Whether REGISTER was written on it.
    registered: bool,
    instance: u8,
    reads: Vec<Read>,
    quarantining: Option<BatchSeq>,
    reads_fail: bool,
    content_bytes: usize,
}

impl Shell {
    fn new(held: Range<u64>) -> Self {
        let now = Tick(1_000);
        let register = Register { instance: Some(Instance([1; 16])), protocol: Some(1), ..Register::default() };
        let session = ClientSession::new(now, 7, register, BatchSeq(held.start)..BatchSeq(held.end));
        let (gone, reads) = (Vec::new(), Vec::new());
        let mut shell = Self {
            session,
            now,
            held,
            gone,
            stream: None,
            registered: false,
            instance: 1,
            reads,
            quarantining: None,
            reads_fail: false,
            content_bytes: 40,
        };
        shell.serve();
        shell
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 20 {
            0 if self.stream == Some(false) => {
                self.stream = Some(true);
                self.session.connected(self.now);
            }
            1 if self.stream.is_some() => {
                self.drop_stream();
                self.session.closed(self.now, "gone");
            }
            2 => self.wait(script.number() % 400_000),
            3 => {
                if let Some(deadline) = self.session.deadline() {
                    self.wait(deadline.since(self.now));
                }
            }
            4 => {
                self.held.end = self.held.end.saturating_add(1 + script.number() % 4);
                self.session.spooled(BatchSeq(self.held.end));
            }
            5 | 6 => (0..=script.byte() % 8).for_each(|_| self.write()),
            7 => self.hear(Message::Ack(ack(script))),
            8 => self.hear(registration(script)),
            9 => self.hear(Message::Results(Results {
                alerts: Vec::new(),
                stats: ResultsStats::default(),
                seq: Some(script.number()),
            })),
            10 => self.hear(Message::Command(command(script))),
            11 => self.hear_bytes(script),
            12 => self.session.results_durable(script.number()),
            13 => self.session.answer(Ack { command_id: Some(script.text().into()), ..Ack::ok() }),
            14 => drop(self.session.command(command(script))),
            15 => {
                let oldest_age_ms = Some(script.number());
                let vitals = Heartbeat { events_queued: script.number(), oldest_age_ms, ..Heartbeat::default() };
                self.session.set_vitals(vitals, script.number() as i32);
            }
            16 => self.reads_fail = script.byte().is_multiple_of(2),
            17 => {
                // Answers that nobody waits for any more.
                if let Some(read) = self.reads.get(usize::from(script.byte())).copied() {
                    let batches = self.read(read);
                    self.session.loaded(read, batches);
                    self.session.load_failed(self.now, read);
                }
                self.session.quarantined(BatchSeq(script.number()));
            }
            18 => self.content_bytes = 40 + (usize::from(script.byte()) << 13),
            19 => self.give_up(script.number()),
            _ => {}
        }
        self.serve();
        let view = self.session.link(self.now);
        assert!(view.busy_percent.is_none_or(|percent| (1..100).contains(&percent)));
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.session.handle_timeout(self.now);
        self.serve();
        if self.session.deadline().is_some_and(|deadline| deadline <= self.now) {
            // One more call may be due at once, and then none is.
            self.session.handle_timeout(self.now);
            self.serve();
            let deadline = self.session.deadline();
            assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline that never passes: {deadline:?}");
        }
    }

    /// The stream has room for a frame.
    fn write(&mut self) {
        let frame = self.session.poll_transmit(self.now, NOW);
        let Some(frame) = frame else { return };
        assert_eq!(self.stream, Some(true), "a frame for a stream that is not open");
        assert!(frame.len() - 4 <= FRAME_BYTES_MAX);
        let message = message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap();
        assert_eq!(matches!(message, Message::Register(_)), !self.registered, "REGISTER goes first, and once");
        self.registered = true;
        if let Message::Batch(batch) = message {
            assert!(self.held.contains(&batch.batch.unwrap().0), "a batch that the spool does not hold");
            assert_eq!(self.session.link(self.now).stage, Stage::Active);
        }
        self.serve();
    }

    fn hear(&mut self, message: Message) {
        // A peer can speak only on an open stream.
        if self.stream == Some(true) {
            self.session.received(self.now, message);
        }
    }

    fn hear_bytes(&mut self, script: &mut Script<'_>) {
        let count = usize::from(script.byte());
        match message::read(&mut Decoder::default(), script.bytes(count), NOW) {
            Ok(message) => self.hear(message),
            Err(problem) if self.stream == Some(true) => self.session.malformed(self.now, &problem),
            Err(_) => {}
        }
    }

    fn drop_stream(&mut self) {
        self.stream = None;
        self.registered = false;
    }

    fn read(&self, read: Read) -> Vec<SpooledBatch> {
        let held = self.held.clone().filter(|seq| *seq >= read.from.0 && !self.gone.contains(seq));
        let batch = |seq: u64| {
            let gone: Vec<_> = self.gone.iter().filter(|gone| **gone < seq).collect();
            let skipped = gone.last().map(|gone| Skipped {
                from: BatchSeq(**gone),
                to: BatchSeq(**gone),
                events: 1,
                cause: "refused".into(),
            });
            let text = "y".repeat(self.content_bytes);
            let content = format!(
                "\"origins\":[],\"events\":[{{\"at\":\"2026-01-05T14:30:00Z\",\"syslog\":{{\"facility\":1,\"severity\":5,\
                 \"message\":\"{text}\"}}}}]"
            );
            SpooledBatch { seq: BatchSeq(seq), skipped: skipped.into_iter().collect(), content: content.into_bytes() }
        };
        let mut bytes = 0;
        let fits = |batch: &SpooledBatch| {
            bytes += batch.content.len();
            bytes <= read.bytes_max || bytes == batch.content.len()
        };
        held.take(read.batches_max.min(64)).map(batch).take_while(fits).collect()
    }

    fn give_up(&mut self, seq: u64) {
        let free = self.session.protected().next().0;
        if self.held.contains(&seq) && seq >= free && !self.gone.contains(&seq) {
            self.gone.push(seq);
            self.gone.sort_unstable();
        }
    }

    /// Does what the session asks for.
    fn serve(&mut self) {
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "outputs without end");
            let Some(output) = self.session.poll_output() else { return };
            match output {
                Output::Connect => {
                    assert_eq!(self.stream, None, "one stream at a time");
                    self.stream = Some(false);
                }
                Output::Close(end) => {
                    assert!(!end.to_string().is_empty());
                    self.drop_stream();
                }
                Output::Read(read) => self.answer_read(read),
                Output::Acked(up_to) => {
                    assert!(up_to.0 < self.held.end, "{up_to:?} was never spooled");
                    self.held.start = self.held.start.max(up_to.0 + 1);
                    self.gone.retain(|gone| *gone > up_to.0);
                }
                Output::Quarantine { batch, .. } => {
                    assert!(self.held.contains(&batch.0) && self.quarantining.is_none());
                    self.gone.push(batch.0);
                    self.gone.sort_unstable();
                    self.session.quarantined(batch);
                }
                Output::NewInstance { problem } => {
                    assert!(!problem.is_empty());
                    self.instance = self.instance.wrapping_add(1);
                    let by = self.held.start - 1;
                    self.held = 1..self.held.end - by;
                    self.gone.iter_mut().for_each(|gone| *gone = gone.saturating_sub(by));
                    self.session.renumbered(self.now, Instance([self.instance; 16]), BatchSeq(self.held.end));
                }
                Output::Results(_) | Output::Command(_) | Output::CommandAnswered(_) => {}
            }
        }
    }

    fn answer_read(&mut self, read: Read) {
        assert!(read.batches_max > 0 && read.bytes_max > 0 && self.stream == Some(true));
        self.reads.push(read);
        if self.reads_fail {
            self.session.load_failed(self.now, read);
        } else {
            let batches = self.read(read);
            self.session.loaded(read, batches);
        }
    }
}

/// The answer to REGISTER.
fn registration(script: &mut Script<'_>) -> Message {
    let status = if script.byte().is_multiple_of(4) { AckStatus::Busy } else { AckStatus::Ok };
    Message::Ack(Ack { batch: Some(BatchSeq(script.number())), config: config(script), ..Ack::new(status, "") })
}

fn ack(script: &mut Script<'_>) -> Ack {
    let status = match script.byte() % 8 {
        0 => AckStatus::Error,
        1 => AckStatus::Busy,
        2 => AckStatus::Other("later".into()),
        _ => AckStatus::Ok,
    };
    let message = if script.byte().is_multiple_of(8) { BATCH_NUMBER_REUSED.into() } else { script.text() };
    let mut ack = Ack::new(status, message);
    let parts = script.byte();
    ack.batch = (parts & 1 > 0).then(|| BatchSeq(script.number()));
    ack.heartbeat = (parts & 2 > 0).then(|| script.number());
    ack.retry_after_ms = (parts & 4 > 0).then(|| script.number());
    ack.results = (parts & 8 > 0).then(|| script.number());
    ack.config = if parts & 16 > 0 { config(script) } else { None };
    ack.command_id = (parts & 0x60 == 0x60).then(|| script.text().into());
    ack
}

fn config(script: &mut Script<'_>) -> Option<AckConfig> {
    let window = Some(script.number() as usize).filter(|window| !window.is_multiple_of(3));
    let (heartbeat_interval, batch_size) = (script.number(), script.number() as usize);
    Some(AckConfig { heartbeat_interval, batch_size, window }).filter(|config| config.heartbeat_interval != 7)
}

pub(crate) fn command(script: &mut Script<'_>) -> Command {
    const { assert!(COMMANDS_WAITING_MAX > 8) };
    let action = CommandAction::ALL[usize::from(script.byte()) % CommandAction::ALL.len()].clone();
    let arguments = [("name".into(), script.text().into())].into();
    Command { command_id: script.text().into(), action, target: script.text().into(), arguments }
}
