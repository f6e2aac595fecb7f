//! The core's thread: waits for whatever comes first, steps the core, tells the dashboards.

use std::sync::{Arc, atomic::Ordering};

use nms_collect::plan;
use nms_kit::{
    clock,
    intake::{self, Chunk},
    store::spool::SpoolError,
    uplink::{Ask, News, Uplink},
};
use nms_proto::time::Tick;
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
    pub(crate) sheds: intake::Receiver,
    pub(crate) requests: Receiver<Request>,
    pub(crate) reports: Receiver<Report>,
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
    /// Runs until both ways in are closed and everything is durable.
    pub(crate) fn run(mut self) {
        let mut second = clock::tick();
        let mut open = (true, true);
        while open.0 || open.1 {
            let woken = smol::block_on(self.wait(second, open));
            if let Err(error) = self.step(woken, &mut open) {
                log::error!("the spool takes nothing more, the hub stops error={error}");
                return;
            }
            let now = clock::tick();
            if now >= second {
                second = now.plus(SECOND_MS);
                self.second(now);
            }
        }
        if let Err(error) = self.core.finish(clock::tick()) {
            log::error!("the last events are not durable error={error}");
        }
    }

    async fn wait(&self, second: Tick, open: (bool, bool)) -> Woken {
        let now = clock::tick();
        let due = [self.core.deadline(now, clock::stamp()), self.dashboards.deadline()];
        let due = due.into_iter().flatten().fold(second, Tick::min);
        // When the sources have ended, what they left in the channel is taken whatever the pressure.
        let may_take = open.0 && (self.waits.is_closed() || !self.core.is_under_pressure());
        let waits = async {
            if !may_take {
                std::future::pending::<()>().await;
            }
            self.waits.recv().await.map_or(Woken::Over(Way::Waits), |chunk| Woken::Chunk(Way::Waits, chunk))
        };
        let sheds = async {
            if !open.1 {
                std::future::pending::<()>().await;
            }
            self.sheds.recv().await.map_or(Woken::Over(Way::Sheds), |chunk| Woken::Chunk(Way::Sheds, chunk))
        };
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
        or(or(news, or(request, report)), or(or(sheds, waits), due)).await
    }

    fn step(&mut self, woken: Woken, open: &mut (bool, bool)) -> Result<(), SpoolError> {
        let (now, stamp) = (clock::tick(), clock::stamp());
        match woken {
            Woken::Chunk(way, chunk) => {
                self.core.take(now, stamp, way, chunk)?;
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
            Woken::Over(Way::Waits) => open.0 = false,
            Woken::Over(Way::Sheds) => open.1 = false,
        }
        let link_idle = self.uplink.as_ref().is_none_or(Uplink::is_idle);
        self.core.flush(now, link_idle)?;
        self.agents.pressure.store(self.core.is_under_pressure(), Ordering::Relaxed);
        let news = self.core.news();
        self.dashboards.tell(news);
        self.dashboards.lines(now, &mut self.core);
        Ok(())
    }

    /// Takes what is there already, so that a flush serves many chunks.
    fn take_more(&mut self, now: Tick) -> Result<(), SpoolError> {
        for _ in 0..CHUNKS_AT_ONCE {
            let stamp = clock::stamp();
            if let Ok(chunk) = self.sheds.try_recv() {
                self.core.take(now, stamp, Way::Sheds, chunk)?;
            } else if !self.core.is_under_pressure()
                && let Ok(chunk) = self.waits.try_recv()
            {
                self.core.take(now, stamp, Way::Waits, chunk)?;
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
