//! The sending end: spool -> session -> acknowledgement -> spool, for agent and hub alike.
//!
//! One task owns the session. It asks the spool for batches as the window opens, lets them go when
//! the peer has them, and tells its daemon what it needs to know through [`News`].

use std::sync::{Arc, Mutex, PoisonError};

use nms_proto::{
    id::{BatchSeq, Instance},
    message::{Ack, AckConfig, Command, Heartbeat, Register, Results, Skipped},
    session::client::{ClientSession, LinkView, Output, Read, SpooledBatch},
};
use smol::{
    channel::{self, Receiver, Sender},
    future::or,
};

use crate::{
    clock,
    drive::{Inbound, Wire, Woken},
    fault,
    peer::Peer,
    store::{
        self,
        spool::{self, Cause, Missing, Spool},
    },
    task::{Stop, Tasks},
};

/// News that may wait for the daemon.
const NEWS_MAX: usize = 256;
/// Longest time between two looks at how the link stands, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// What the daemon learns.
#[derive(Debug)]
pub enum News {
    /// How the link stands, when it changed and once a second.
    Link(LinkView),
    /// Everything up to this batch was delivered.
    Delivered(BatchSeq),
    /// This batch went to the quarantine.
    Quarantined(BatchSeq),
    /// These batches will not be delivered; said before anything behind them is.
    Missing(Vec<Missing>),
    /// The spool has a new instance, and its batches new numbers: their positions less this.
    Renumbered {
        /// See [`Placed`](spool::Placed).
        base: u64,
    },
    /// Alerts; once they are durable, [`Ask::ResultsDurable`].
    Results(Results),
    /// The peer asks for something; answer with [`Ask::Answer`].
    Command(Command),
    /// The peer answered a command.
    CommandAnswered(Ack),
    /// What the peer asks to keep to.
    Config(AckConfig),
}

/// What the daemon asks for.
#[derive(Debug)]
pub enum Ask {
    /// RESULTS up to this number are durable.
    ResultsDurable(u64),
    /// The answer to a command.
    Answer(Ack),
    /// Send a command to the peer.
    Command(Command),
}

/// The daemon's handle of its uplink.
#[derive(Debug)]
pub struct Uplink {
    /// What the daemon learns, in order.
    pub news: Receiver<News>,
    /// What the daemon asks for.
    pub asks: Sender<Ask>,
    /// News for the next heartbeats, until the session has it: it is asked for with every frame.
    vitals: Arc<Mutex<Option<Heartbeat>>>,
    idle: Arc<std::sync::atomic::AtomicBool>,
}

impl Uplink {
    /// What the next heartbeats say.
    pub fn set_vitals(&self, vitals: Heartbeat) {
        *self.vitals.lock().unwrap_or_else(PoisonError::into_inner) = Some(vitals);
    }

    /// Whether a lone event would go at once.
    pub fn is_idle(&self) -> bool {
        self.idle.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Starts the uplink of `spool` to `peer`. `seed` spreads reconnects.
pub fn start(tasks: &Tasks, peer: Peer, spool: Spool, register: Register, seed: u64) -> Uplink {
    let (news_in, news) = channel::bounded(NEWS_MAX);
    // Bounded by what is asked for: one answer for each RESULTS and COMMAND, which the session bounds.
    let (asks, asks_out) = channel::unbounded();
    let vitals = Arc::default();
    let idle = Arc::default();
    let register = Register { instance: Some(Instance(spool.instance())), ..register };
    let held = spool.stats();
    let session = ClientSession::new(clock::tick(), seed, register, BatchSeq(held.first)..BatchSeq(held.durable));
    let run = Run {
        tasks: tasks.clone(),
        stop: tasks.stop().clone(),
        peer,
        spool,
        session,
        link: None,
        attempt: None,
        news: news_in,
        asks: asks_out,
        vitals: Arc::clone(&vitals),
        idle: Arc::clone(&idle),
        shown: None,
        config: None,
        is_unreadable: false,
    };
    tasks.spawn("uplink", run.run());
    Uplink { news, asks, vitals, idle }
}

type Attempt = smol::Task<Result<Wire, String>>;

struct Run {
    tasks: Tasks,
    stop: Stop,
    peer: Peer,
    spool: Spool,
    session: ClientSession,
    link: Option<Wire>,
    attempt: Option<Attempt>,
    news: Sender<News>,
    asks: Receiver<Ask>,
    vitals: Arc<Mutex<Option<Heartbeat>>>,
    idle: Arc<std::sync::atomic::AtomicBool>,
    shown: Option<LinkView>,
    config: Option<AckConfig>,
    /// The last read of the spool failed.
    is_unreadable: bool,
}

enum Event {
    Spooled,
    Ask(Ask),
    Dialled(Result<Wire, String>),
    Due,
    Stop,
}

impl Run {
    async fn run(mut self) {
        loop {
            while let Some(output) = self.session.poll_output() {
                if !self.carry_out(output).await {
                    return;
                }
            }
            self.renew().await;
            self.transmit();
            if !self.show().await {
                return;
            }
            if !self.wait().await {
                break;
            }
        }
        if let Some(wire) = self.link.take() {
            wire.finish().await;
        }
    }

    /// Asks for the next certificate when it is time to.
    async fn renew(&mut self) {
        let Some(renewal) = &mut self.peer.renewal else { return };
        if let Some(command) = renewal.poll(clock::tick(), clock::unix_ms()).await
            && let Err(full) = self.session.command(command)
        {
            log::warn!("the certificate is not asked for problem={full:?}");
        }
    }

    async fn is_renewal(&mut self, ack: &Ack) -> bool {
        match &mut self.peer.renewal {
            Some(renewal) => renewal.answered(clock::tick(), clock::unix_ms(), ack).await,
            None => false,
        }
    }

    fn transmit(&mut self) {
        let Some(wire) = &mut self.link else { return };
        if wire.has_room() {
            let news = self.vitals.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(vitals) = news {
                self.session.set_vitals(vitals, clock::offset_s(clock::unix_ms()));
            }
            if let Some(frame) = self.session.poll_transmit(clock::tick(), clock::stamp()) {
                wire.write(frame);
            }
        }
    }

    /// Tells the daemon how the link stands where that is news; false when the daemon has ended.
    async fn show(&mut self) -> bool {
        self.idle.store(self.session.is_idle(), std::sync::atomic::Ordering::Relaxed);
        let config = self.session.config();
        if self.config != Some(config) {
            self.config = Some(config);
            if self.news.send(News::Config(config)).await.is_err() {
                return false;
            }
        }
        let view = self.session.link(clock::tick());
        let same = self.shown.as_ref().is_some_and(|shown| {
            let seconds = |view: &LinkView| view.retry_in_ms.map(|ms| ms / 1_000);
            (shown.stage, shown.since, shown.rtt_ms, shown.busy_percent, seconds(shown))
                == (view.stage, view.since, view.rtt_ms, view.busy_percent, seconds(&view))
        });
        if same {
            return true;
        }
        self.shown = Some(view.clone());
        self.news.send(News::Link(view)).await.is_ok()
    }

    /// Waits for something to happen, and passes it to the session; false when it is time to end.
    async fn wait(&mut self) -> bool {
        let event = {
            let deadline = self.session.deadline().unwrap_or(clock::tick().plus(LOOK_MS));
            let look = deadline.min(clock::tick().plus(LOOK_MS));
            let bell = self.spool.bell();
            let asks = &self.asks;
            let stop = &self.stop;
            let attempt = &mut self.attempt;
            let spooled = async {
                match bell.recv().await {
                    Ok(()) => Event::Spooled,
                    Err(_closed) => Event::Stop,
                }
            };
            let ask = async { asks.recv().await.map_or(Event::Stop, Event::Ask) };
            let dialled = async {
                match attempt {
                    Some(attempt) => Event::Dialled(attempt.await),
                    None => std::future::pending().await,
                }
            };
            let stopped = async {
                stop.requested().await;
                Event::Stop
            };
            let due = async {
                clock::until(look).await;
                Event::Due
            };
            let events = or(or(stopped, dialled), or(ask, or(spooled, due)));
            match &mut self.link {
                Some(wire) => match wire.next(events).await {
                    Woken::Inbound(inbound) => {
                        self.hear(inbound);
                        return true;
                    }
                    Woken::Room => return true,
                    Woken::Other(event) => event,
                },
                None => events.await,
            }
        };
        let now = clock::tick();
        match event {
            Event::Stop => return false,
            Event::Due => self.session.handle_timeout(now),
            Event::Spooled => self.session.spooled(BatchSeq(self.spool.stats().durable)),
            Event::Ask(Ask::ResultsDurable(seq)) => self.session.results_durable(seq),
            Event::Ask(Ask::Answer(ack)) => self.session.answer(ack),
            Event::Ask(Ask::Command(command)) => {
                if let Err(full) = self.session.command(command) {
                    log::warn!("a command was not sent problem={full:?}");
                }
            }
            Event::Dialled(result) => {
                self.attempt = None;
                match result {
                    Ok(wire) => {
                        self.link = Some(wire);
                        self.session.connected(now);
                    }
                    Err(problem) => self.lost(&problem),
                }
            }
        }
        true
    }

    fn hear(&mut self, inbound: Inbound) {
        let now = clock::tick();
        match inbound {
            Inbound::Message(message) => self.session.received(now, *message),
            Inbound::Malformed { problem, .. } => self.session.malformed(now, &problem),
            Inbound::Ended(problem) => {
                self.link = None;
                self.lost(&problem);
            }
        }
    }

    fn lost(&mut self, problem: &str) {
        log::warn!("no link to {address} problem={problem:?}", address = self.peer.way.address);
        self.session.closed(clock::tick(), problem);
    }

    /// Does what the session asks; false when the daemon has ended.
    async fn carry_out(&mut self, output: Output) -> bool {
        match output {
            Output::Connect => self.attempt = Some(self.tasks.owned(self.peer.way.clone().dial(self.tasks.clone()))),
            Output::Close(end) => {
                log::warn!("link closed peer={} reason={end}", self.peer.way.address);
                self.attempt = None;
                if let Some(wire) = self.link.take() {
                    self.tasks.owned(wire.finish()).detach();
                }
            }
            Output::Read(read) => {
                let missing = self.read(read).await;
                if !missing.is_empty() {
                    return self.news.send(News::Missing(missing)).await.is_ok();
                }
            }
            Output::Acked(batch) => return self.acked(batch).await,
            Output::Quarantine { batch, problem } => {
                log::error!("a batch was refused and put into quarantine batch={batch} problem={problem:?}");
                logged(self.spool.quarantine(batch.0, &problem));
                self.session.quarantined(batch);
                return self.news.send(News::Quarantined(batch)).await.is_ok();
            }
            Output::NewInstance { problem } => return self.renumber(&problem).await,
            Output::Results(results) => return self.news.send(News::Results(results)).await.is_ok(),
            Output::Command(command) => return self.news.send(News::Command(command)).await.is_ok(),
            Output::CommandAnswered(ack) => {
                return self.is_renewal(&ack).await || self.news.send(News::CommandAnswered(ack)).await.is_ok();
            }
        }
        true
    }

    /// Reads what the session asks for; what is missing in between.
    async fn read(&mut self, read: Read) -> Vec<Missing> {
        let (spool, from, bytes_max) = (self.spool.clone(), read.from.0, read.bytes_max);
        let batches = if spool.is_at_hand(from) {
            spool.read(from, bytes_max)
        } else {
            smol::unblock(move || spool.read(from, bytes_max)).await
        };
        match batches {
            Ok(mut batches) => {
                batches.retain(|batch| !fault::loses(batch.number));
                if std::mem::take(&mut self.is_unreadable) {
                    log::info!("the spool can be read again");
                }
                self.session.loaded(read, batches.iter().take(read.batches_max).map(spooled));
                let mut missing = gaps(&batches, read.from.0, self.spool.base());
                if batches.iter().any(|batch| !batch.skipped.is_empty()) {
                    missing.extend(self.spool.missing());
                }
                missing
            }
            Err(error) => {
                // That nothing could be read does not mean that nothing is there.
                if !std::mem::replace(&mut self.is_unreadable, true) {
                    log::error!("cannot read the spool, what it holds waits and is tried again error={error}");
                }
                self.session.load_failed(clock::tick(), read);
                Vec::new()
            }
        }
    }

    async fn acked(&mut self, batch: BatchSeq) -> bool {
        logged(self.spool.ack(batch.0).map(drop));
        self.news.send(News::Delivered(batch)).await.is_ok()
    }

    async fn renumber(&mut self, problem: &str) -> bool {
        log::warn!("batch numbers were used twice, a new instance was drawn problem={problem:?}");
        let Ok(fresh) = store::draw_instance() else { return false };
        let base = match self.spool.renumber(fresh).await {
            Ok(base) => base,
            Err(error) => {
                log::error!("cannot renumber the spool error={error}");
                return false;
            }
        };
        let next = BatchSeq(self.spool.stats().durable);
        self.session.renumbered(clock::tick(), Instance(fresh), next);
        self.news.send(News::Renumbered { base }).await.is_ok()
    }
}

/// Numbers between what was read that the spool neither holds nor calls skipped. The peer is told that they are missing;
/// the daemon's books must not call them delivered.
fn gaps(batches: &[spool::Batch], from: u64, base: u64) -> Vec<Missing> {
    let mut gaps = Vec::new();
    let mut expected = from;
    for batch in batches {
        for run in &batch.skipped {
            if (run.from..=run.to).contains(&expected) {
                expected = run.to + 1;
            }
        }
        if batch.number > expected {
            let positions = base + expected..=base + batch.number - 1;
            gaps.push(Missing { positions, cause: Cause::Missing });
        }
        expected = expected.max(batch.number + 1);
    }
    gaps
}

fn logged(result: Result<(), spool::SpoolError>) {
    if let Err(error) = result {
        log::error!("cannot change the spool error={error}");
    }
}

fn spooled(batch: &spool::Batch) -> SpooledBatch {
    let skipped = batch.skipped.iter().map(|run| Skipped {
        from: BatchSeq(run.from),
        to: BatchSeq(run.to),
        events: run.events,
        cause: run.cause.word().into(),
    });
    SpooledBatch { seq: BatchSeq(batch.number), skipped: skipped.collect(), content: batch.body.to_vec() }
}
