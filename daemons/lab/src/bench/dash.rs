//! A dashboard that only watches: when each alert came, and the hub's account.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use nms_kit::clock;
use nms_proto::{
    dash::{FromHub, Link, ServerState},
    frame::{Direction, FrameReader},
    json,
};

/// When something about an attacker was first seen, in microseconds of the bench's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) correlated_us: Option<u64>,
    pub(super) model_us: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    alerts: HashMap<String, Seen>,
    link: Link,
}

/// Watches a hub's dashboard socket from a thread.
#[derive(Clone, Debug)]
pub(super) struct Watcher(Arc<Mutex<Shared>>);

impl Watcher {
    pub(super) fn connect(path: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let watcher = Self(Arc::default());
        let shared = watcher.clone();
        std::thread::Builder::new().name("watcher".into()).spawn(move || shared.watch(stream))?;
        Ok(watcher)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, mut stream: UnixStream) {
        stream.flush().ok();
        let mut reader = FrameReader::new(Direction::Downward);
        let mut chunk = vec![0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            reader.push(chunk.get(..count).unwrap_or_default());
            while let Ok(Some(payload)) = reader.next_frame() {
                if let Ok(message) = json::decode::<FromHub>(payload) {
                    self.take(message);
                }
            }
        }
    }

    fn take(&self, message: FromHub) {
        match message {
            FromHub::Alert(alert) => {
                let now = clock::monotonic_us();
                let Some(actor) = alert.actor else { return };
                let mut shared = self.lock();
                let seen = shared.alerts.entry(actor.into()).or_default();
                seen.correlated_us.get_or_insert(now);
                if alert.model.is_some() {
                    seen.model_us.get_or_insert(now);
                }
            }
            FromHub::Link(link) => self.lock().link = *link,
            FromHub::Snapshot(snapshot) => self.lock().link = snapshot.link,
            _ => {}
        }
    }

    /// When an attacker's alerts came.
    pub(super) fn seen(&self, actor: &str) -> Seen {
        self.lock().alerts.get(actor).copied().unwrap_or_default()
    }

    /// Attackers with an alert.
    pub(super) fn alerts(&self) -> usize {
        self.lock().alerts.len()
    }

    /// Whether the hub has its server.
    pub(super) fn is_linked(&self) -> bool {
        matches!(self.lock().link.server, ServerState::Ok | ServerState::Busy)
    }

    /// Received, delivered, waiting, dropped, over all sources; the hub's own findings included.
    pub(super) fn account(&self) -> Account {
        let shared = self.lock();
        let mut sum = Account::default();
        for source in &shared.link.sources {
            if source.source.as_str() != "self" {
                sum.received += source.received;
            }
            sum.delivered += source.delivered;
            sum.waiting += source.waiting;
            sum.dropped += source.dropped.values().sum::<u64>() + source.rejected.values().sum::<u64>();
        }
        sum
    }
}

/// What became of all events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// From outside.
    pub(super) received: u64,
    pub(super) delivered: u64,
    pub(super) waiting: u64,
    pub(super) dropped: u64,
}
