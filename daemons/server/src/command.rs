//! Commands that an admin gave and that hubs work on: who waits for the answer, and for what it brings.
//!
//! A command goes to hubs as COMMAND; each answers with an ACK. What it brings about comes as ordinary
//! events that name it, in batches, and is shown to the admin on its way into the log. While nobody
//! waits, looking costs one load. Rows that a slow admin leaves waiting are bounded; what ends the wait
//! always has room, and says how many rows were left out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use nms_proto::{
    event::{Body, Event},
    id::Instance,
    limits::{COMMANDS_WAITING_MAX, HUBS_PER_TENANT_MAX},
    message::Ack,
};
use smol::channel::{self, Receiver, Sender};

/// Rows that may wait for a slow admin; what is more is left out of the print, counted, never of the log.
pub const ROWS_WAITING_MAX: usize = 4_096;
/// Answers and ends of reports that may wait besides: a few of each hub.
const ENDS_WAITING_MAX: usize = 2 * HUBS_PER_TENANT_MAX;

/// What comes of a command.
#[derive(Clone, Debug)]
pub enum News {
    /// A hub's answer.
    Answer(Instance, Box<Ack>),
    /// An event that names it.
    Row(Box<Event>),
}

/// The way to somebody who waits.
#[derive(Clone, Debug)]
struct Way {
    news: Sender<News>,
    omitted: Arc<AtomicU64>,
}

impl Way {
    fn send(&self, news: News) {
        let is_row = matches!(&news, News::Row(event) if !matches!(event.body, Body::Report(_)));
        let has_room = !is_row || self.news.len() < ROWS_WAITING_MAX;
        // One that stopped waiting misses nothing.
        if !has_room || self.news.try_send(news).is_err_and(|error| error.is_full()) {
            self.omitted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

type Waiting = HashMap<Box<str>, Way>;

/// The commands of one tenant that somebody waits for.
#[derive(Debug, Default)]
pub struct Commands {
    waiting: Mutex<Waiting>,
    count: AtomicUsize,
}

/// Somebody's wait; it ends when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    commands: Arc<Commands>,
    id: Box<str>,
    /// What comes.
    pub news: Receiver<News>,
    omitted: Arc<AtomicU64>,
}

impl Ticket {
    /// Rows that were left out so far, because too many waited.
    pub fn omitted(&self) -> u64 {
        self.omitted.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = self.commands.waiting();
        waiting.remove(&self.id);
        self.commands.count.store(waiting.len(), Ordering::Relaxed);
    }
}

impl Commands {
    /// Waits for what comes of the command of that id; none when too many wait.
    pub fn wait(self: &Arc<Self>, id: &str) -> Option<Ticket> {
        let mut waiting = self.waiting();
        if waiting.len() >= COMMANDS_WAITING_MAX {
            return None;
        }
        let (sender, news) = channel::bounded(ROWS_WAITING_MAX + ENDS_WAITING_MAX);
        let omitted = Arc::<AtomicU64>::default();
        waiting.insert(id.into(), Way { news: sender, omitted: Arc::clone(&omitted) });
        self.count.store(waiting.len(), Ordering::Relaxed);
        drop(waiting);
        Some(Ticket { commands: Arc::clone(self), id: id.into(), news, omitted })
    }

    /// A hub answered.
    pub fn answered(&self, hub: Instance, ack: Ack) {
        if let Some(way) = ack.command_id.as_ref().and_then(|id| self.waiting().get(id).cloned()) {
            way.send(News::Answer(hub, Box::new(ack)));
        }
    }

    /// Shows the events that name a command to whoever waits for it.
    pub fn show(&self, events: &[Event]) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let waiting = self.waiting();
        for event in events {
            let id = match &event.body {
                Body::File(row) => row.command_id.as_ref(),
                Body::Report(end) => Some(&end.command_id),
                _ => None,
            };
            if let Some(way) = id.and_then(|id| waiting.get(id)) {
                way.send(News::Row(Box::new(event.clone())));
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
