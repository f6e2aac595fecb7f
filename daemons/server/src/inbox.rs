//! What waits for one analysis thread: durable batches in memory, as far as there is room.
//!
//! The log is the queue; this is a window into it that spares reading and decoding what just came. A
//! batch is kept only where it follows on what is kept of its tenant; what finds no room is read from
//! the log when its turn comes. Tenants whose log grew are named once each, in the order in which they
//! called, so that they take turns.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nms_proto::{
    id::TenantId,
    limits::{ANALYSIS_QUEUE_BYTES, TENANT_BACKLOG_BYTES},
};

use crate::store::{LogSeq, Logged};

/// Batches of one tenant, in the order of the log without a hole.
#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Arc<Logged>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<TenantId, Queue>,
    bytes: usize,
    called: VecDeque<TenantId>,
    stop: bool,
}

/// What an analysis thread waits at.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    bell: Condvar,
}

/// Why a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// These tenants called; none when only the time had come.
    Called(Vec<TenantId>),
    /// It is time to end.
    Stop,
}

impl Inbox {
    /// A batch is durable.
    pub fn push(&self, tenant: &TenantId, batch: Arc<Logged>) {
        let mut state = self.state();
        let bytes = batch.bytes;
        let has_room = state.bytes + bytes <= ANALYSIS_QUEUE_BYTES;
        let queue = state.queues.entry(tenant.clone()).or_default();
        let follows = queue.batches.back().is_none_or(|last| last.seq.next() == batch.seq);
        if follows && has_room && queue.bytes + bytes <= TENANT_BACKLOG_BYTES {
            queue.batches.push_back(batch);
            queue.bytes += bytes;
            state.bytes += bytes;
        }
        state.call(tenant);
        drop(state);
        self.bell.notify_one();
    }

    /// A tenant is to be looked at.
    pub fn call(&self, tenant: &TenantId) {
        self.state().call(tenant);
        self.bell.notify_one();
    }

    /// The batches of a tenant that follow on `after` and are held here, up to `bytes_max` and one at least. What does
    /// not follow is let go: it is behind, or the log must be read up to it.
    pub fn take(&self, tenant: &TenantId, after: LogSeq, bytes_max: usize) -> Vec<Arc<Logged>> {
        let mut state = self.state();
        let Some(queue) = state.queues.get_mut(tenant) else { return Vec::new() };
        let before = queue.bytes;
        let mut taken = Vec::new();
        let (mut last, mut bytes) = (after, 0);
        while let Some(next) = queue.batches.front() {
            let is_old = next.seq <= last;
            if !is_old && (next.seq != last.next() || (bytes > 0 && bytes + next.bytes > bytes_max)) {
                break;
            }
            let Some(next) = queue.batches.pop_front() else { break };
            queue.bytes -= next.bytes;
            if !is_old {
                bytes += next.bytes;
                last = next.seq;
                taken.push(next);
            }
        }
        let freed = before - queue.bytes;
        if queue.batches.is_empty() {
            state.queues.remove(tenant);
        }
        state.bytes -= freed;
        taken
    }

    /// Waits until a tenant calls, `ms` passed, or it is time to end.
    pub fn wait(&self, ms: Option<u64>) -> Woken {
        let mut state = self.state();
        if state.called.is_empty() && !state.stop {
            state = match ms {
                Some(ms) => {
                    let waited = self.bell.wait_timeout(state, Duration::from_millis(ms));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        if state.stop {
            return Woken::Stop;
        }
        Woken::Called(state.called.drain(..).collect())
    }

    /// Whoever waits, or will, is to end.
    pub fn stop(&self) {
        self.state().stop = true;
        self.bell.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self, tenant: &TenantId) {
        if !self.called.contains(tenant) {
            self.called.push_back(tenant.clone());
        }
    }
}
