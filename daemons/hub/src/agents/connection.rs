//! One agent's connection: what its session asks for, its batches into the core, its ACKs after their commit.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use nms_kit::{
    clock,
    downlink::{Downlink, Next},
    intake::{Checkpoint, Chunk, Events, Lost, Tally},
    refusals,
    roll::Ended,
    store::spool::Cause,
};
use nms_proto::{
    event::Body,
    id::{BatchSeq, EndpointId, Instance},
    message::{Ack, AckConfig, AckStatus, Batch, Command, CommandAction, Heartbeat, Register, Single},
    session::{
        End,
        receiver::{Judgement, Receiver},
        server::{Answer, Output},
    },
};
use smol::{
    channel,
    future::or,
    io::{AsyncRead, AsyncWrite},
};

use super::{Agents, Door, Report, identity::Shown, receivers::key};

/// What an agent is told to wait when the hub is behind, in milliseconds.
const BUSY_MS: u64 = 500;
/// Commands that may wait for one agent.
const COMMANDS_MAX: usize = 16;
/// Longest wait for the batches of an older connection to be durable, in milliseconds.
const SETTLE_MS_MAX: u64 = 5_000;
/// Time between two looks at them, in milliseconds.
const SETTLE_LOOK_MS: u64 = 5;

/// One agent's connection.
pub(super) struct Connection {
    pub(super) agents: Arc<Agents>,
    address: Option<IpAddr>,
    pub(super) peer: String,
    pub(super) shown: Shown,
    /// By what it came; none for the agent of this host.
    door: Option<Door>,
    pub(super) source: EndpointId,
    instance: Option<Instance>,
    number: u64,
    receiver: Arc<Mutex<Receiver>>,
    /// Batches that are not durable yet, oldest first.
    pending: VecDeque<(BatchSeq, channel::Receiver<()>)>,
    replaced: (channel::Sender<()>, channel::Receiver<()>),
    commands: (channel::Sender<Command>, channel::Receiver<Command>),
}

enum Event {
    Durable(bool),
    Command(Command),
    Replaced,
    Ended(Ended),
    Stop,
}

impl Connection {
    pub(super) fn new(agents: Arc<Agents>, address: Option<IpAddr>, peer: &str, shown: Shown) -> Self {
        let number = {
            let mut known = agents.registry.known();
            known.connections += 1;
            known.connections
        };
        Self {
            agents,
            address,
            peer: peer.into(),
            shown,
            door: None,
            source: EndpointId::new(EndpointId::SELF),
            instance: None,
            number,
            receiver: Arc::default(),
            pending: VecDeque::new(),
            replaced: channel::bounded(1),
            commands: channel::bounded(COMMANDS_MAX),
        }
    }

    /// The same, of a peer that came by this door.
    pub(super) fn by(self, door: Door) -> Self {
        Self { door: Some(door), ..self }
    }

    /// Holds on to its place at the door.
    pub(super) fn settle(&self) -> Result<(), String> {
        let is_settled = self.door.as_ref().is_none_or(|door| door.place.settle());
        if is_settled { Ok(()) } else { Err("too many connections at this hub, try again".into()) }
    }

    /// Counts that it was turned away.
    pub(super) fn turned_away(&self, reason: &'static str) {
        if let Some(door) = &self.door {
            door.gate.refusals().count(reason);
        }
    }

    pub(super) async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let mut link = Downlink::over(&self.agents.tasks, stream);
        let stop = self.agents.tasks.stop().clone();
        loop {
            let event = {
                let durable = async {
                    match self.pending.front() {
                        Some((_, done)) => Event::Durable(done.recv().await.is_ok()),
                        None => std::future::pending().await,
                    }
                };
                let command = async { self.commands.1.recv().await.map_or(Event::Stop, Event::Command) };
                let replaced = async {
                    self.replaced.1.recv().await.ok();
                    Event::Replaced
                };
                let stopped = async {
                    stop.requested().await;
                    Event::Stop
                };
                let ended = async { Event::Ended(self.shown.ended().await) };
                link.next(or(or(durable, command), or(or(replaced, ended), stopped))).await
            };
            let now = clock::tick();
            match event {
                Next::Output(output) => match *output {
                    Output::Close(end) => {
                        if let Some(reason) = refusals::reason(&end, link.malformed()) {
                            self.turned_away(reason);
                        }
                        log::debug!("agent gone source={} peer={} reason={end}", self.source, self.peer);
                        break;
                    }
                    output => self.carry_out(&mut link, output).await,
                },
                Next::Over(problem) => {
                    log::debug!("agent gone source={} peer={} reason={problem:?}", self.source, self.peer);
                    break;
                }
                Next::Other(Event::Durable(true)) => self.durable(&mut link),
                Next::Other(Event::Durable(false) | Event::Stop) => link.session().end(now, End::Stopping),
                Next::Other(Event::Ended(ended)) => self.disowned(&mut link, ended),
                Next::Other(Event::Replaced) => link.session().end(now, End::Replaced),
                Next::Other(Event::Command(command)) => {
                    link.session().command(command);
                }
            }
        }
        self.leave();
        link.finish().await;
    }

    async fn carry_out(&mut self, link: &mut Downlink, output: Output) {
        let now = clock::tick();
        match output {
            Output::Register(register) => match self.register(&register).await {
                Ok(durable) => {
                    log::debug!("agent registered source={} peer={}", self.source, self.peer);
                    link.session().accept(now, durable, AckConfig::default());
                    self.describe(Some(register.client_version), None).await;
                }
                Err(problem) => {
                    self.turned_away("not_registered");
                    log::warn!("an agent was refused peer={} reason={problem:?}", self.peer);
                    link.session().reject(now, &problem, None);
                }
            },
            Output::Enroll(command) => self.enroll(link, &command).await,
            Output::Command(command) if command.action == CommandAction::Enroll => self.renew(link, &command).await,
            Output::Batch(batch) => {
                let answer = self.take(batch);
                link.session().answer(now, answer);
            }
            Output::Event(single) => self.take_event(*single).await,
            Output::Heartbeat(Heartbeat { events_queued, .. }) => self.describe(None, Some(events_queued)).await,
            Output::Command(command) => {
                let refusal = format!("agents may not ask for {}", command.action);
                let answer = Ack { command_id: Some(command.command_id), ..Ack::new(AckStatus::Error, refusal) };
                link.session().answer_command(answer);
            }
            Output::CommandAnswered(ack) => {
                self.agents.core.send(Report::CommandAnswered(ack)).await.ok();
            }
            Output::ResultsAcked(_) | Output::ResultsTooLong(_) | Output::Close(_) => {}
        }
    }

    /// Who this is; what is durable of its instance.
    async fn register(&mut self, register: &Register) -> Result<BatchSeq, String> {
        if let Some(name) = self.shown.name(&self.agents).await.map_err(|refusal| refusal.to_string())? {
            self.source = name;
        } else if let Some(address) = self.address {
            if !self.agents.is_plain(address) {
                return Err("no certificate: enrol the agent with nmsd-agent enroll".into());
            }
            self.source = EndpointId::new(&format!("{address}/{}", register.hostname));
        }
        self.settle()?;
        if let Some(instance) = register.instance {
            let agents = Arc::clone(&self.agents);
            self.receiver = smol::unblock(move || agents.receiver(instance)).await?;
            self.instance = Some(instance);
        }
        self.take_over();
        self.settled().await
    }

    /// Ends an older connection of the same instance.
    fn take_over(&self) {
        let mut known = self.agents.registry.known();
        known.sources.insert(self.source.clone(), (self.number, self.commands.0.clone()));
        if let Some(instance) = self.instance
            && let Some((_, older)) = known.live.insert(instance, (self.number, self.replaced.0.clone()))
        {
            known.replaced += 1;
            let (source, times) = (&self.source, known.replaced);
            log::warn!("an agent connected twice, the older connection ends source={source} times={times}");
            older.try_send(()).ok();
        }
    }

    /// Waits until what an older connection of this instance handed over is durable, so that no batch is between two
    /// connections.
    async fn settled(&self) -> Result<BatchSeq, String> {
        for _ in 0..SETTLE_MS_MAX / SETTLE_LOOK_MS {
            {
                let receiver = self.lock();
                if receiver.admitted() == receiver.durable() {
                    return Ok(receiver.durable());
                }
            }
            clock::pause(SETTLE_LOOK_MS).await;
        }
        Err("batches of an earlier connection are still being written, try again".into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Receiver> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch, or says why not. Nothing here waits: an agent whose batches are refused is heard all the same.
    fn take(&mut self, batch: Batch) -> Answer {
        let busy = |message: &str| Answer::Busy { retry_after_ms: BUSY_MS, message: message.into() };
        if batch.events.iter().any(is_of_a_correlator) {
            return Answer::Refused { message: "field payload.events: an agent sends no findings".into() };
        }
        let (events, seq) = (batch.events.len() as u64, batch.batch);
        let (checkpoint, known) = {
            let mut receiver = self.lock();
            let known = receiver.admitted();
            match receiver.judge(&batch) {
                Judgement::Next => {}
                Judgement::Pending => return Answer::Taken,
                Judgement::Duplicate => return Answer::Duplicate,
                Judgement::Reused => return Answer::Reused,
                Judgement::Gap => return busy("a batch before this one is missing"),
            }
            if !self.agents.registry.claim(events) {
                return busy("the hub's spool is under pressure");
            }
            receiver.admit(&batch);
            let checkpoint = self
                .instance
                .zip(seq)
                .map(|(instance, seq)| Checkpoint { key: key(instance).into(), value: receiver.to_bytes(seq).into() });
            (checkpoint, known)
        };
        let (done, durable) = channel::bounded(1);
        let lost = self.skipped(&batch, known);
        let mut chunk = self.chunk(batch, checkpoint, done);
        chunk.tally.lost = lost;
        if self.agents.intake.try_send(chunk).is_err() {
            self.agents.registry.taken(events);
            if let Some(seq) = seq {
                self.lock().retract(seq);
            }
            return busy("the hub is behind");
        }
        if let Some(seq) = seq {
            self.pending.push_back((seq, durable));
        }
        Answer::Taken
    }

    /// Takes a single event of a sender that knows no batches. It cannot be refused, so it goes the way of those who
    /// cannot wait, where what has to go is counted.
    async fn take_event(&self, Single { event, is_cut }: Single) {
        if is_of_a_correlator(&event) {
            log::warn!("an agent's finding was refused source={}", self.source);
            return;
        }
        let mut chunk = Chunk::of(&self.source, vec![event.into_draft()]);
        if is_cut {
            chunk.tally.cut.push(self.source.clone());
        }
        if self.agents.sheds.send(chunk).await.is_err() {
            log::debug!("an event came while the hub was stopping source={}", self.source);
        }
    }

    /// What the agent's spool lost behind the last batch that was taken.
    fn skipped(&self, batch: &Batch, known: BatchSeq) -> Vec<Lost> {
        let news = batch.skipped.iter().filter(|run| run.to > known && run.events > 0);
        news.map(|run| Lost { source: self.source.clone(), cause: cause(&run.cause), events: run.events }).collect()
    }

    fn chunk(&self, batch: Batch, checkpoint: Option<Checkpoint>, done: channel::Sender<()>) -> Chunk {
        let named = |mut event: nms_proto::event::Event| {
            event.source = self.source.clone();
            if let Body::Loss(loss) = &mut event.body {
                loss.source = self.source.clone();
            }
            event
        };
        let is_numbered = batch.events.iter().all(|event| event.id.instance != Instance::UNNAMED);
        let events = if is_numbered {
            Events::Numbered(batch.events.into_iter().map(named).collect())
        } else {
            Events::Drafts(
                batch.events.into_iter().map(|event| (self.source.clone(), named(event).into_draft())).collect(),
            )
        };
        let tally = Tally { cut: vec![self.source.clone(); batch.cut], ..Tally::default() };
        Chunk { events, checkpoints: checkpoint.into_iter().collect(), done: Some(done), tally }
    }

    fn durable(&mut self, link: &mut Downlink) {
        if let Some((seq, _)) = self.pending.pop_front() {
            let durable = {
                let mut receiver = self.lock();
                receiver.commit(seq);
                receiver.durable()
            };
            link.session().committed(durable);
        }
    }

    async fn describe(&self, version: Option<Box<str>>, queued: Option<u64>) {
        let address = self.address.map(|address| address.to_string().into());
        let report = Report::Described { source: self.source.clone(), address, version, queued };
        self.agents.core.send(report).await.ok();
    }

    fn leave(&mut self) {
        let (receiver, pending) = (Arc::clone(&self.receiver), std::mem::take(&mut self.pending));
        self.agents.tasks.spawn("agent's last batches", async move {
            for (seq, done) in pending {
                let is_durable = done.recv().await.is_ok();
                let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                if !is_durable {
                    return receiver.withdraw();
                }
                receiver.commit(seq);
            }
        });
        let mut known = self.agents.registry.known();
        if let Some(instance) = self.instance
            && known.live.get(&instance).is_some_and(|(number, _)| *number == self.number)
        {
            known.live.remove(&instance);
        }
        if known.sources.get(&self.source).is_some_and(|(number, _)| *number == self.number) {
            known.sources.remove(&self.source);
        }
    }
}

/// Only correlators find, and they run in the hub: a finding of an agent would be believed as the hub's own.
fn is_of_a_correlator(event: &nms_proto::event::Event) -> bool {
    matches!(event.body, Body::Finding(_))
}

/// Why a spool lost events, in our words; a later version's word is not kept.
fn cause(word: &str) -> &'static str {
    let causes = [Cause::SpoolFull, Cause::Refused, Cause::Damaged, Cause::Missing].map(Cause::word);
    causes.into_iter().find(|known| *known == word).unwrap_or("agent_spool")
}
