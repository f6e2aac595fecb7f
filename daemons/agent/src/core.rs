//! The agent's core: what collectors hand over gets its numbers and goes into the spool; the hub's
//! commands are carried out or refused by name.
//!
//! One thread owns it. From 80 % fill of the spool on nothing more is taken from the collectors,
//! which then wait: their files are the buffer, and nothing is shed.

use std::collections::BTreeMap;

use base64::Engine as _;

use nms_collect::plan::Running;
use nms_kit::{
    clock,
    intake::{self, Chunk, Events, Tally},
    spooler::Spooler,
    store::spool::SpoolError,
    task::Stop,
    uplink::{Ask, News, Uplink},
};
use nms_proto::{
    event::{Body, Draft, Loss},
    id::EndpointId,
    limits::{PARSE_ERROR_SAMPLE_BYTES_MAX, SPOOL_PRESSURE_PERCENT},
    message::{Ack, AckStatus, Command, CommandAction, Heartbeat},
    time::{Stamp, Tick},
};
use smol::future::or;

/// Time between two looks at everything, in milliseconds.
const SECOND_MS: u64 = 1_000;
/// Time between two looks whether the spool has room again, in milliseconds.
const PRESSURE_MS: u64 = 50;

/// Everything the core works with.
pub(crate) struct Core {
    pub(crate) spooler: Spooler,
    pub(crate) uplink: Uplink,
    pub(crate) chunks: intake::Receiver,
    pub(crate) collectors: Running,
    pub(crate) started: Tick,
    /// Asked for where the core cannot go on: a daemon without it is none.
    pub(crate) stop: Stop,
    /// Events lost before they came here, by cause, since the start.
    pub(crate) dropped: BTreeMap<Box<str>, u64>,
}

enum Woken {
    Chunk(Chunk),
    News(News),
    Due,
    /// The collectors have ended.
    Over,
}

impl Core {
    /// Runs until the collectors have ended and everything is durable.
    pub(crate) fn run(mut self) {
        let mut second = clock::tick();
        loop {
            let woken = smol::block_on(self.wait(second));
            let over = matches!(woken, Woken::Over);
            if let Err(error) = self.step(woken) {
                log::error!("the spool takes nothing more, the agent stops error={error}");
                return self.stop.request();
            }
            if over {
                break;
            }
            let now = clock::tick();
            if now >= second {
                second = now.plus(SECOND_MS);
                self.uplink.set_vitals(self.vitals(now));
            }
        }
        if let Err(error) = self.spooler.finish(clock::tick()) {
            log::error!("the last events are not durable error={error}");
        }
    }

    async fn wait(&self, second: Tick) -> Woken {
        let now = clock::tick();
        let may_take = !self.spooler.is_stuck() && self.spooler.fill_percent() < SPOOL_PRESSURE_PERCENT;
        let room = (!may_take).then(|| now.plus(PRESSURE_MS));
        let due = [self.spooler.deadline(), room].into_iter().flatten().fold(second, Tick::min);
        let chunk = async {
            if !may_take {
                // What waits was never acknowledged to its source, and is read again by the next run.
                if self.chunks.is_closed() {
                    return Woken::Over;
                }
                std::future::pending::<()>().await;
            }
            self.chunks.recv().await.map_or(Woken::Over, Woken::Chunk)
        };
        let news = async {
            match self.uplink.news.recv().await {
                Ok(news) => Woken::News(news),
                Err(_closed) => std::future::pending().await,
            }
        };
        let due = async {
            clock::until(due).await;
            Woken::Due
        };
        or(news, or(chunk, due)).await
    }

    fn step(&mut self, woken: Woken) -> Result<(), SpoolError> {
        let (now, stamp) = (clock::tick(), clock::stamp());
        match woken {
            Woken::Chunk(chunk) => self.take(now, stamp, chunk)?,
            Woken::News(news) => self.news(news),
            Woken::Due | Woken::Over => {}
        }
        self.spooler.flush(now, self.uplink.is_idle()).map(drop)
    }

    /// Numbers a chunk's events and puts them on their way, its checkpoints with them.
    fn take(&mut self, now: Tick, stamp: Stamp, chunk: Chunk) -> Result<(), SpoolError> {
        let Chunk { events, checkpoints, done, tally } = chunk;
        match events {
            Events::Drafts(drafts) => self.drafts(now, stamp, drafts)?,
            Events::Numbered(events) => {
                for event in events {
                    self.push(now, &event);
                }
            }
        }
        self.tally(now, stamp, &tally)?;
        self.spooler.mark(checkpoints, done);
        Ok(())
    }

    fn drafts(&mut self, now: Tick, stamp: Stamp, drafts: Vec<(EndpointId, Draft)>) -> Result<(), SpoolError> {
        for (source, draft) in drafts {
            let event = draft.named(self.spooler.next_id()?, source, stamp);
            self.push(now, &event);
        }
        Ok(())
    }

    fn push(&mut self, now: Tick, event: &nms_proto::event::Event) {
        if self.spooler.push_group(now, std::slice::from_ref(event)).is_err() {
            self.count("not_encodable", 1);
        }
    }

    /// What was lost, turned away or cut travels as events, one for each cause, so that it is counted once at the hub
    /// whatever happens on the way.
    fn tally(&mut self, now: Tick, stamp: Stamp, tally: &Tally) -> Result<(), SpoolError> {
        let mut losses: BTreeMap<(EndpointId, Box<str>), Loss> = BTreeMap::new();
        let mut add = |source: &EndpointId, cause: Box<str>, events: u64, raw: Option<&[u8]>| {
            let none = || Loss::of(source.clone(), cause.clone(), 0);
            let loss = losses.entry((source.clone(), cause.clone())).or_insert_with(none);
            loss.count += events;
            if let Some(raw) = raw {
                let kept = raw.get(..PARSE_ERROR_SAMPLE_BYTES_MAX).unwrap_or(raw);
                loss.sample = Some(base64::engine::general_purpose::STANDARD.encode(kept).into());
            }
        };
        for rejected in &tally.rejected {
            let cause = format!("{}{}", Loss::REJECTED, rejected.reason).into();
            add(&rejected.source, cause, 1, Some(&rejected.raw));
        }
        for source in &tally.cut {
            add(source, Loss::TRUNCATED.into(), 1, None);
        }
        for lost in &tally.lost {
            self.count(lost.cause, lost.events);
            log::warn!("log lines were lost cause={} events={}", lost.cause, lost.events);
            add(&lost.source, lost.cause.into(), lost.events, None);
        }
        let drafts = losses.into_iter().map(|((source, _), loss)| (source, Draft::new(Body::Loss(Box::new(loss)))));
        self.drafts(now, stamp, drafts.collect())
    }

    fn count(&mut self, cause: &str, events: u64) {
        if events > 0 {
            *self.dropped.entry(cause.into()).or_default() += events;
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Config(config) => self.spooler.set_events_max(config.batch_size),
            News::Renumbered { .. } => self.spooler.renumbered(),
            News::Command(command) => {
                let answer = self.command(&command);
                // The uplink has ended where nobody takes the answer.
                self.uplink.asks.try_send(Ask::Answer(answer)).ok();
            }
            // Agents get no alerts and ask for nothing; how the link stands the uplink logs, and what was delivered or
            // refused stands in the spool.
            News::Link(_)
            | News::Delivered(_)
            | News::Missing(_)
            | News::Quarantined(_)
            | News::Results(_)
            | News::CommandAnswered(_) => {}
        }
    }

    fn command(&self, command: &Command) -> Ack {
        let result = match &command.action {
            CommandAction::RequestFimReport => {
                self.collectors.report(&command.command_id).map_err(|error| error.to_string())
            }
            CommandAction::BlockIp | CommandAction::UnblockIp => {
                Err(format!("{} is not carried out: prevention is not built yet", command.action))
            }
            other => Err(format!("this agent does not know {other}")),
        };
        let answer = match result {
            Ok(()) => Ack::new(AckStatus::Ok, "the report is on its way"),
            Err(problem) => Ack::new(AckStatus::Error, problem),
        };
        Ack { command_id: Some(command.command_id.clone()), ..answer }
    }

    /// What the next heartbeats say.
    fn vitals(&self, now: Tick) -> Heartbeat {
        let spool = self.spooler.spool();
        let oldest = spool.oldest_at_ms().ok().flatten();
        let mut dropped = self.dropped.clone();
        for loss in spool.losses() {
            *dropped.entry(loss.cause.word().into()).or_default() += loss.events;
        }
        Heartbeat {
            uptime_seconds: now.since(self.started) / 1_000,
            events_queued: spool.stats().events,
            endpoints_connected: 0,
            received: None,
            delivered: None,
            dropped,
            rejected: BTreeMap::new(),
            oldest_age_ms: oldest.map(|at| clock::unix_ms().saturating_sub(at).max(0).unsigned_abs()),
            heartbeat: None,
        }
    }
}
