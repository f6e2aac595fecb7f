//! The receiver's end of a link, driven by a script, and the order rule of one instance against a plain model.

use std::collections::BTreeMap;

use nms_proto::{
    id::{BatchSeq, Instance},
    json::Decoder,
    limits::{BATCH_EVENTS_MAX, BATCH_HASHES_KEPT, COMMANDS_WAITING_MAX, FRAME_REPLY_BYTES_MAX, WINDOW_BATCHES},
    message::{
        self, Ack, AckConfig, AckStatus, Batch, Command, CommandAction, Heartbeat, Message, Register, Results,
        ResultsStats, Skipped,
    },
    session::{
        End,
        receiver::{Judgement, Receiver},
        server::{Answer, Output, ServerSession},
    },
    time::Tick,
};

use crate::{client::command, input::Script, travel::NOW};

/// Any script: no panic, every frame is a message, nothing is called durable that is not, nothing follows the end.
pub(crate) fn session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut shell = Shell::new();
    while let Some(step) = script.step() {
        shell.step(step, &mut script);
    }
}

struct Shell {
    session: ServerSession,
    receiver: Receiver,
    now: Tick,
    asked: bool,
    is_active: bool,
    is_over: bool,
    commands: usize,
    busy: bool,
}

impl Shell {
    fn new() -> Self {
        let now = Tick(1_000);
        Self {
            session: ServerSession::new(now),
            receiver: Receiver::default(),
            now,
            asked: false,
            is_active: false,
            is_over: false,
            commands: 0,
            busy: false,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 18 {
            0 => self.hear(register(script)),
            1 if self.asked => {
                self.asked = false;
                // Of the daemon's own settings, which were checked.
                let heartbeat_interval = 1 + script.number() % 300;
                let batch_size = 1 + script.number() as usize % BATCH_EVENTS_MAX;
                let config = AckConfig { heartbeat_interval, batch_size, window: None };
                self.session.accept(self.now, self.receiver.durable(), config);
                self.is_active = self.session.is_active();
            }
            2 if self.asked => {
                self.asked = false;
                self.session.reject(self.now, &script.text(), (!script.byte().is_multiple_of(2)).then_some(500));
            }
            3 | 4 => {
                let batch = batch(script, self.receiver.admitted());
                self.hear(Message::Batch(batch));
            }
            5 => {
                let up_to = BatchSeq(script.number());
                self.receiver.commit(up_to);
                self.session.committed(self.receiver.durable());
            }
            6 => {
                self.receiver.withdraw();
                self.session.withdrawn(script.number(), "disk full");
            }
            7 => self.hear(Message::Heartbeat(Heartbeat { heartbeat: Some(script.number()), ..Heartbeat::default() })),
            8 => self.hear(Message::Command(command(script))),
            9 => self.hear(Message::Ack(Ack {
                results: Some(script.number()),
                command_id: (!script.byte().is_multiple_of(2)).then(|| script.text().into()),
                ..Ack::ok()
            })),
            10 => self.hear_bytes(script),
            11 => self.wait(script.number() % 400_000),
            12 => {
                if let Some(deadline) = self.session.deadline() {
                    self.wait(deadline.since(self.now));
                }
            }
            13 | 14 => (0..=script.byte() % 8).for_each(|_| self.write()),
            15 => self.session.results(Results {
                alerts: Vec::new(),
                stats: ResultsStats::default(),
                seq: Some(script.number()),
            }),
            16 => self.own_words(script),
            _ => self.busy = !script.byte().is_multiple_of(2),
        }
        self.serve();
        assert_eq!(self.session.deadline().is_none(), self.is_over, "a session has a deadline until its end");
        assert!(self.session.missed(self.now) < u64::MAX);
    }

    fn own_words(&mut self, script: &mut Script<'_>) {
        match script.byte() % 4 {
            0 => drop(self.session.command(command(script))),
            1 => {
                let id = script.text();
                self.session.answer_command(Ack { command_id: Some(id.into()), ..Ack::ok() });
            }
            2 => self.session.end(self.now, End::Stopping),
            _ => self.session.is_of("home".parse().unwrap()),
        }
    }

    fn hear(&mut self, message: Message) {
        self.session.received(self.now, message);
        self.serve();
    }

    fn hear_bytes(&mut self, script: &mut Script<'_>) {
        let count = usize::from(script.byte());
        match message::read(&mut Decoder::default(), script.bytes(count), NOW) {
            Ok(message) => self.hear(message),
            Err(problem) => self.session.malformed(self.now, &problem),
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.session.handle_timeout(self.now);
        self.serve();
        let deadline = self.session.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline that never passes: {deadline:?}");
    }

    fn write(&mut self) {
        let Some(frame) = self.session.poll_transmit(NOW) else { return };
        assert!(!self.is_over && frame.len() - 4 <= FRAME_REPLY_BYTES_MAX);
        let message = message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap();
        if let Message::Ack(Ack { status: AckStatus::Ok | AckStatus::Busy, batch: Some(batch), .. }) = message {
            assert!(batch <= self.receiver.durable(), "{batch:?} is called durable and is not");
        }
        self.serve();
    }

    fn serve(&mut self) {
        while let Some(output) = self.session.poll_output() {
            assert!(!self.is_over, "{output:?} after the end");
            match output {
                Output::Register(_) | Output::Enroll(_) => {
                    assert!(!self.asked && !self.is_active, "a peer registers once");
                    self.asked = true;
                }
                Output::Batch(batch) => {
                    assert!(self.is_active && batch.batch != Some(BatchSeq(0)));
                    self.judge(&batch);
                }
                Output::Event(_) => assert!(self.is_active),
                Output::Command(command) => {
                    self.commands += 1;
                    assert!(self.is_active && self.commands <= 4 * COMMANDS_WAITING_MAX);
                    self.session.answer_command(Ack { command_id: Some(command.command_id), ..Ack::ok() });
                    self.commands -= 1;
                }
                Output::Close(_) => {
                    self.is_over = true;
                    self.is_active = false;
                }
                Output::Heartbeat(_)
                | Output::ResultsAcked(_)
                | Output::ResultsTooLong(_)
                | Output::CommandAnswered(_) => {}
            }
        }
    }

    fn judge(&mut self, batch: &Batch) {
        let judgement = self.receiver.judge(batch);
        let answer = match Answer::from_judgement(judgement) {
            Some(answer) => answer,
            None if self.busy => Answer::Busy { retry_after_ms: 500, message: "busy".into() },
            None => {
                self.receiver.admit(batch);
                Answer::Taken
            }
        };
        self.session.answer(self.now, answer);
    }
}

fn register(script: &mut Script<'_>) -> Message {
    match script.byte() % 8 {
        0 => Message::Register(Register::default()),
        1 => Message::Command(Command { action: CommandAction::Enroll, ..command(script) }),
        _ => Message::Register(Register { instance: Some(Instance([5; 16])), ..Register::default() }),
    }
}

/// A batch that mostly comes next.
fn batch(script: &mut Script<'_>, last: BatchSeq) -> Batch {
    let number = match script.byte() % 8 {
        0 => BatchSeq(script.number()),
        1 => last,
        2 => BatchSeq(last.0.saturating_add(2)),
        _ => last.next(),
    };
    let run = |script: &mut Script<'_>| {
        let from = BatchSeq(script.number());
        Skipped { from, to: BatchSeq(from.0.saturating_add(script.number())), events: 0, cause: "missing".into() }
    };
    let skipped = (0..script.byte() % 3).map(|_| run(script)).collect();
    let batch = Some(number).filter(|_| !script.byte().is_multiple_of(16));
    Batch { batch, skipped, events: Vec::new(), content_hash: script.number() % 3, content: Box::default(), cut: 0 }
}

/// The stored state of a sender's batches, and the order rule against a model: what was taken under a number stays
/// that, and nothing is taken that leaves a hole which nobody accounts for.
pub(crate) fn receiver(bytes: &[u8]) {
    if let Ok(receiver) = Receiver::from_bytes(bytes) {
        assert_eq!(receiver.to_bytes(receiver.durable()), bytes, "the stored form is one");
        assert_eq!(receiver.admitted(), receiver.durable());
    }
    let mut script = Script(bytes);
    let mut receiver = Receiver::default();
    let mut taken: BTreeMap<BatchSeq, u64> = BTreeMap::new();
    let mut numbered = 0;
    while let Some(step) = script.step() {
        match step % 8 {
            0 => {
                // A store names batches that it was given.
                let up_to = taken.range(..=BatchSeq(script.number())).next_back();
                if let Some((seq, _)) = up_to {
                    receiver.commit(*seq);
                }
            }
            1 => {
                receiver.withdraw();
                taken.retain(|seq, _| *seq <= receiver.durable());
            }
            2 => {
                let last = receiver.admitted();
                receiver.retract(last);
                taken.retain(|seq, _| *seq <= receiver.admitted().max(receiver.durable()));
            }
            3 => {
                let kept = Receiver::from_bytes(&receiver.to_bytes(receiver.durable())).unwrap();
                receiver = kept;
                taken.retain(|seq, _| *seq <= receiver.durable());
            }
            _ => {
                let batch = batch(&mut script, receiver.admitted());
                let judgement = receiver.judge(&batch);
                let Some(seq) = batch.batch else { continue };
                let known = taken.get(&seq);
                match judgement {
                    Judgement::Next => {
                        assert!(seq > receiver.admitted());
                        receiver.admit(&batch);
                        taken.insert(seq, batch.content_hash);
                        numbered += 1;
                    }
                    Judgement::Pending | Judgement::Duplicate => {
                        let is_same = known == Some(&batch.content_hash);
                        assert!(is_same || numbered > BATCH_HASHES_KEPT || seq == BatchSeq(0), "{seq:?} is swallowed");
                        assert_eq!(judgement == Judgement::Pending, seq > receiver.durable());
                    }
                    Judgement::Reused => assert_ne!(known, Some(&batch.content_hash)),
                    Judgement::Gap => assert!(seq > receiver.admitted()),
                }
            }
        }
        assert!(receiver.durable() <= receiver.admitted());
        let pending = taken.range(receiver.durable().next()..).count();
        assert!(pending <= WINDOW_BATCHES, "{pending} batches wait for their commit");
    }
}
