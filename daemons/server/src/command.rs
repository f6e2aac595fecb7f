//! Commands that an admin gave and that hubs work on: who waits for the answer, and for what it brings.
//!
//! A command goes to hubs as COMMAND; each answers with an ACK. What it brings about comes as ordinary
//! events that name it, in batches, and is shown to the admin on its way into the log. While nobody
//! waits, looking costs one load.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use nms_proto::{
    event::{Body, Event},
    id::Instance,
    limits::COMMANDS_WAITING_MAX,
    message::Ack,
};
use smol::channel::{self, Receiver, Sender};

/// Rows that may wait for a slow admin; what is more is left out of the print, never of the log.
const NEWS_WAITING_MAX: usize = 4_096;

/// What comes of a command.
#[derive(Clone, Debug)]
pub enum News {
    /// A hub's answer.
    Answer(Instance, Ack),
    /// An event that names it.
    Row(Box<Event>),
}

type Waiting = HashMap<Box<str>, Sender<News>>;

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
        let (sender, news) = channel::bounded(NEWS_WAITING_MAX);
        waiting.insert(id.into(), sender);
        self.count.store(waiting.len(), Ordering::Relaxed);
        drop(waiting);
        Some(Ticket { commands: Arc::clone(self), id: id.into(), news })
    }

    /// A hub answered.
    pub fn answered(&self, hub: Instance, ack: Ack) {
        if let Some(sender) = ack.command_id.as_ref().and_then(|id| self.waiting().get(id).cloned()) {
            sender.try_send(News::Answer(hub, ack)).ok();
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
            if let Some(sender) = id.and_then(|id| waiting.get(id)) {
                sender.try_send(News::Row(Box::new(event.clone()))).ok();
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
