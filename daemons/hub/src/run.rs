//! The core's thread: waits for whatever comes first, steps the core, tells the dashboards.

use std::{collections::BTreeMap, sync::Arc};

use nms_collect::plan;
use nms_kit::{
    clock,
    intake::{self, Chunk},
    store::spool::SpoolError,
    task::Stop,
    uplink::{Ask, News, Uplink},
};
use nms_proto::{id::EndpointId, time::Tick};
use smol::{channel::Receiver, future::or};

use crate::{
    agents::{Registry, Report},
    core::{Core, Way},
    dash::{Dashboards, Request},
    state::About,
    upstream::{self, Below},
};

/// Chunks taken between two flushes.
const CHUNKS_AT_ONCE: usize = 64;
/// Longest wait at the end for those who are handing something over, and the time between two looks, in milliseconds.
const UNTAKEN_MS: u64 = 1_000;
const UNTAKEN_LOOK_MS: u64 = 5;
/// Time between two looks at everything, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// Everything the core's thread works with.
pub(crate) struct Run {
    pub(crate) core: Core,
    pub(crate) dashboards: Dashboards,
    pub(crate) agents: Arc<Registry>,
    pub(crate) collectors: Option<plan::Running>,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) waits: intake::Receiver,
    pub(crate) batches: intake::Receiver,
    pub(crate) sheds: intake::Receiver,
    /// What came by `waits` and `sheds` when nothing was taken any more.
    pub(crate) untaken: [intake::Untaken; 2],
    pub(crate) requests: Receiver<Request>,
    pub(crate) reports: Receiver<Report>,
    /// Whether the wall clock runs or is set.
    pub(crate) setting: clock::Setting,
    /// Asked for where the core cannot go on: a hub without it is none.
    pub(crate) stop: Stop,
}

/// Which ways in are open.
#[derive(Clone, Copy)]
struct Open {
    waits: bool,
    batches: bool,
    sheds: bool,
}

enum Woken {
    Chunk(Way, Chunk),
    Request(Request),
    Report(Report),
    News(News),
    Due,
    /// A channel is closed: nothing more will come through it.
    Over(Way),
}

impl Run {
    /// Runs until all ways in are closed and everything is durable.
    pub(crate) fn run(mut self) {
        let mut second = clock::tick();
        let mut open = Open { waits: true, batches: true, sheds: true };
        while open.waits || open.batches || open.sheds {
            let woken = smol::block_on(self.wait(second, open));
            if let Err(error) = self.step(woken, &mut open) {
                log::error!("the spool takes nothing more, the hub stops error={error}");
                return self.stop.request();
            }
            let now = clock::tick();
            if now >= second {
                second = now.plus(SECOND_MS);
                self.second(now);
            }
            // Sources that wait, or a full disk, must not keep the end from coming: what is not taken was acknowledged
            // to nobody.
            if self.stop.is_requested() && self.core.is_under_pressure() {
                open.waits = false;
                self.give_up_waiting();
            }
            if self.stop.is_requested() && self.core.is_stuck() {
                break;
            }
        }
        self.finish();
    }

    fn finish(&mut self) {
        let finished = self.core.finish(clock::tick());
        if let Err(error) = &finished {
            log::error!("the last events are not durable error={error}");
        }
        let untaken = self.untaken();
        if finished.is_err() || !untaken.is_empty() {
            self.core.give_up(clock::tick(), untaken);
        }
    }

    /// What was read from senders, and not taken.
    fn untaken(&self) -> BTreeMap<EndpointId, u64> {
        for from in [&self.waits, &self.sheds] {
            from.close();
        }
        // Whoever is handing something over hears that it is not taken.
        let until = clock::tick().plus(UNTAKEN_MS);
        while self.waits.sender_count() + self.sheds.sender_count() > 0 && clock::tick() < until {
            clock::block(UNTAKEN_LOOK_MS);
        }
        let mut untaken = BTreeMap::new();
        for (from, count) in [&self.waits, &self.sheds].into_iter().zip(&self.untaken) {
            std::iter::from_fn(|| from.try_recv().ok()).for_each(|chunk| count.count(&chunk));
            for (source, events) in count.take() {
                *untaken.entry(source).or_default() += events;
            }
        }
        untaken
    }

    async fn wait(&self, second: Tick, open: Open) -> Woken {
        let now = clock::tick();
        let due = [self.core.deadline(now, clock::stamp()), self.dashboards.deadline()];
        let due = due.into_iter().flatten().fold(second, Tick::min);
        // What the spool refuses is offered again; until it is taken, nothing more is.
        let free = !self.core.is_stuck();
        let waits = take(&self.waits, Way::Waits, open.waits && free && !self.core.is_under_pressure());
        let batches = take(&self.batches, Way::Agents, open.batches && free);
        let sheds = take(&self.sheds, Way::Sheds, open.sheds && free);
        let request = async {
            match self.requests.recv().await {
                Ok(request) => Woken::Request(request),
                Err(_closed) => std::future::pending().await,
            }
        };
        let report = async {
            match self.reports.recv().await {
                Ok(report) => Woken::Report(report),
                Err(_closed) => std::future::pending().await,
            }
        };
        let news = async {
            match &self.uplink {
                Some(uplink) => match uplink.news.recv().await {
                    Ok(news) => Woken::News(news),
                    Err(_closed) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let due = async {
            clock::until(due).await;
            Woken::Due
        };
        or(or(news, or(request, report)), or(or(sheds, or(batches, waits)), due)).await
    }

    fn step(&mut self, woken: Woken, open: &mut Open) -> Result<(), SpoolError> {
        let (now, stamp) = (clock::tick(), clock::stamp());
        if let Some(by_ms) = self.setting.look(now, stamp.unix_ms) {
            log::warn!("the clock of this host was set by_ms={by_ms}");
            self.core.clock_was_set(by_ms);
        }
        match woken {
            Woken::Chunk(way, chunk) => {
                self.take(now, way, chunk)?;
                self.take_more(now)?;
            }
            Woken::Request(request) => self.dashboards.request(now, &mut self.core, request),
            Woken::Report(report) => self.report(now, report),
            Woken::News(news) => {
                if let Some(uplink) = &self.uplink {
                    let below = Below { agents: &self.agents, collectors: self.collectors.as_ref() };
                    upstream::news(&mut self.core, &below, &uplink.asks, news);
                }
            }
            Woken::Due => self.core.tick(now, stamp)?,
            Woken::Over(Way::Waits) => open.waits = false,
            Woken::Over(Way::Agents) => open.batches = false,
            Woken::Over(Way::Sheds) => open.sheds = false,
        }
        let link_idle = self.uplink.as_ref().is_none_or(Uplink::is_idle);
        self.core.flush(now, link_idle)?;
        self.agents.set_room(self.core.room());
        let news = self.core.news();
        self.dashboards.tell(news);
        self.dashboards.lines(now, &mut self.core);
        Ok(())
    }

    /// Lets the sources go that wait for room, at the end.
    fn give_up_waiting(&self) {
        if self.waits.close() {
            log::warn!("the spool has no room for lines of senders that wait, they are not taken any more");
        }
    }

    fn take(&mut self, now: Tick, way: Way, chunk: Chunk) -> Result<(), SpoolError> {
        if way == Way::Agents {
            self.agents.taken(chunk.events.len() as u64);
        }
        self.core.take(now, clock::stamp(), way, chunk)
    }

    /// Takes what is there already, so that a flush serves many chunks; no more than fits in one commit.
    fn take_more(&mut self, now: Tick) -> Result<(), SpoolError> {
        for _ in 0..CHUNKS_AT_ONCE {
            if self.core.has_gathered() {
                return Ok(());
            }
            if let Ok(chunk) = self.sheds.try_recv() {
                self.take(now, Way::Sheds, chunk)?;
            } else if let Ok(chunk) = self.batches.try_recv() {
                self.take(now, Way::Agents, chunk)?;
            } else if !self.core.is_under_pressure()
                && let Ok(chunk) = self.waits.try_recv()
            {
                self.take(now, Way::Waits, chunk)?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn report(&mut self, now: Tick, report: Report) {
        match report {
            Report::Described { source, address, version, queued } => {
                self.core.state().agent(now, clock::stamp(), &source, &About { address, version, queued });
            }
            Report::CommandAnswered(ack) => {
                if let Some(uplink) = &self.uplink {
                    uplink.asks.try_send(Ask::Answer(ack)).ok();
                }
            }
        }
    }

    fn second(&mut self, now: Tick) {
        if let Some(uplink) = &self.uplink {
            uplink.set_vitals(self.core.vitals(now));
        }
        let deltas = self.core.second(now);
        if !self.dashboards.is_empty() {
            self.dashboards.tell(deltas);
        }
    }
}

/// What comes next by a way, where it may be read.
async fn take(from: &intake::Receiver, way: Way, may: bool) -> Woken {
    if !may {
        std::future::pending::<()>().await;
    }
    from.recv().await.map_or(Woken::Over(way), |chunk| Woken::Chunk(way, chunk))
}
