//! The receiver's shell: a model log with group commit, crashes, pressure, and batches it will not have.

use std::collections::{BTreeMap, BTreeSet};

use nms_proto::event::Body;
use nms_proto::flow::outbox::Outbox;
use nms_proto::id::{BatchSeq, Instance};
use nms_proto::message::{AckConfig, Batch, ResultsStats, Skipped};
use nms_proto::session::End;
use nms_proto::session::receiver::Receiver;
use nms_proto::session::server::{Answer, Output, ServerSession};
use nms_proto::time::Tick;

use super::link::Rng;

/// What goes wrong, in percent of the occasions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) busy: u64,
    pub(super) refused_at_first: u64,
    pub(super) commit_fails: u64,
    pub(super) register_busy: u64,
}

/// What is on disk.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Instance, number and events of each batch, in the order of commit.
    pub(super) batches: Vec<(Instance, u64, Vec<u64>)>,
    pub(super) skipped: Vec<(Instance, Skipped)>,
    receivers: BTreeMap<Instance, Vec<u8>>,
    /// The next number, and what was not acknowledged.
    results_next: u64,
    results: BTreeSet<u64>,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) log: Log,
    pub(super) faults: Faults,
    receivers: BTreeMap<Instance, Receiver>,
    uncommitted: Vec<(Instance, Batch)>,
    /// How often a batch that will be taken has been refused before.
    refusals: BTreeMap<(Instance, u64), u64>,
    pub(super) outbox: Outbox,
    pub(super) sessions: BTreeMap<usize, (ServerSession, Option<Instance>)>,
    pub(super) busy_said: u64,
    pub(super) results_pushed: u64,
}

impl Server {
    pub(super) fn start(log: Log, faults: Faults) -> Self {
        let results = |seq: &u64| {
            (*seq, nms_proto::message::Results { alerts: vec![], stats: ResultsStats::default(), seq: Some(*seq) })
        };
        let outbox = Outbox::restore(log.results_next, log.results.iter().map(results));
        Self {
            log,
            faults,
            receivers: BTreeMap::new(),
            uncommitted: Vec::new(),
            refusals: BTreeMap::new(),
            outbox,
            sessions: BTreeMap::new(),
            busy_said: 0,
            results_pushed: 0,
        }
    }

    /// Everything in memory is lost.
    pub(super) fn crash(&mut self) {
        let log = std::mem::take(&mut self.log);
        let refusals = std::mem::take(&mut self.refusals);
        let (busy_said, results_pushed) = (self.busy_said, self.results_pushed);
        *self = Self { refusals, busy_said, results_pushed, ..Self::start(log, self.faults) };
    }

    fn receiver(&mut self, instance: Instance) -> &mut Receiver {
        let stored = self.log.receivers.get(&instance);
        let fresh = || stored.map_or_else(Receiver::default, |bytes| Receiver::from_bytes(bytes).unwrap());
        self.receivers.entry(instance).or_insert_with(fresh)
    }

    pub(super) fn pending(&self) -> bool {
        !self.uncommitted.is_empty()
    }

    /// Group commit of all that waits, of all instances; each batch with its receiver's state.
    pub(super) fn commit(&mut self, rng: &mut Rng) {
        let batches = std::mem::take(&mut self.uncommitted);
        if rng.percent(self.faults.commit_fails) {
            self.receivers.values_mut().for_each(Receiver::withdraw);
            // The notice itself may get lost; then the sender finds out at a heartbeat.
            for (session, _) in self.sessions.values_mut().filter(|_| rng.percent(80)) {
                session.withdrawn(500, "disk full");
            }
            return;
        }
        for (instance, batch) in batches {
            let seq = batch.batch.unwrap();
            let bytes = self.receiver(instance).to_bytes(seq);
            self.log.receivers.insert(instance, bytes);
            self.log.skipped.extend(batch.skipped.into_iter().map(|run| (instance, run)));
            let events = batch.events.iter().map(|event| event.id.seq.0).collect();
            self.log.batches.push((instance, seq.0, events));
            self.receiver(instance).commit(seq);
            self.push_results();
        }
        for (session, instance) in self.sessions.values_mut() {
            if let Some(receiver) = instance.and_then(|instance| self.receivers.get(&instance)) {
                session.committed(receiver.durable());
            }
        }
    }

    fn push_results(&mut self) {
        let seq = self.outbox.push(vec![], ResultsStats::default());
        self.log.results_next = seq + 1;
        self.log.results.insert(seq);
        self.results_pushed = seq;
    }

    /// Does what the session of a connection asks; true when the connection is to be closed.
    pub(super) fn serve(&mut self, now: Tick, rng: &mut Rng, connection: usize) -> bool {
        loop {
            let Some((session, instance)) = self.sessions.get_mut(&connection) else { return false };
            let instance = *instance;
            let Some(output) = session.poll_output() else { return false };
            match output {
                Output::Register(_) if rng.percent(self.faults.register_busy) => {
                    session.reject(now, "starting", Some(1_000));
                }
                Output::Register(register) => self.accept(now, connection, register.instance.unwrap()),
                Output::Batch(batch) => {
                    let answer = self.judge(rng, instance.unwrap(), batch);
                    if let Some((session, _)) = self.sessions.get_mut(&connection) {
                        session.answer(now, answer);
                    }
                }
                Output::ResultsAcked(seq) => {
                    self.outbox.acknowledged(now, seq);
                    self.log.results.retain(|waiting| *waiting > seq);
                }
                Output::Heartbeat(_) => {}
                Output::Close(_) => {
                    self.sessions.remove(&connection);
                    return true;
                }
                other => panic!("unasked: {other:?}"),
            }
        }
    }

    fn accept(&mut self, now: Tick, connection: usize, instance: Instance) {
        let durable = self.receiver(instance).durable();
        self.outbox.rewind();
        for (other, (session, known)) in &mut self.sessions {
            if *other == connection {
                *known = Some(instance);
                session.accept(now, durable, AckConfig { window: Some(8), ..AckConfig::default() });
            } else if *known == Some(instance) {
                session.end(now, End::Replaced);
            }
        }
    }

    fn judge(&mut self, rng: &mut Rng, instance: Instance, batch: Batch) -> Answer {
        if let Some(answer) = Answer::from_judgement(self.receiver(instance).judge(&batch)) {
            return answer;
        }
        let seq = batch.batch.unwrap_or_default().0;
        let poisoned = |body: &Body| matches!(body, Body::Syslog(line) if &*line.message == "poison");
        if batch.events.iter().any(|event| poisoned(&event.body)) {
            return Answer::Refused { message: "poison".into() };
        }
        let refusals = self.refusals.entry((instance, seq)).or_default();
        if *refusals < 2 && rng.percent(self.faults.refused_at_first) {
            *refusals += 1;
            return Answer::Refused { message: "not yet".into() };
        }
        if rng.percent(self.faults.busy) {
            self.busy_said += 1;
            return Answer::Busy { retry_after_ms: 100 + rng.below(900), message: "backlog".into() };
        }
        self.receiver(instance).admit(&batch);
        self.uncommitted.push((instance, batch));
        Answer::Taken
    }

    /// Hands RESULTS to the live session.
    pub(super) fn feed(&mut self, now: Tick) {
        let live = self.sessions.values_mut().rfind(|(session, _)| session.is_active());
        let Some((session, _)) = live else { return };
        while let Some(results) = self.outbox.poll(now) {
            session.results(results);
        }
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let sessions = self.sessions.values().filter_map(|(session, _)| session.deadline()).min();
        let resend = self.sessions.values().any(|(session, _)| session.is_active());
        sessions.into_iter().chain(self.outbox.deadline().filter(|_| resend)).min()
    }

    pub(super) fn durable(&self, instance: Instance, seq: u64) -> bool {
        self.log.batches.iter().any(|(known, number, _)| (*known, *number) == (instance, seq))
    }

    /// Whether the sender said that this number would never come.
    pub(super) fn skipped(&self, instance: Instance, seq: u64) -> bool {
        let names = |run: &Skipped| (run.from.0..=run.to.0).contains(&seq);
        self.log.skipped.iter().any(|(known, run)| *known == instance && names(run))
    }

    /// The last batch number that is durable of an instance.
    pub(super) fn last(&self, instance: Instance) -> BatchSeq {
        self.receivers.get(&instance).map(Receiver::durable).unwrap_or_default()
    }
}
