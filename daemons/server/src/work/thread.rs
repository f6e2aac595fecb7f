//! A thread that analyses: the tenants of one inbox in turns, one slice each.
//!
//! It owns the model's buffers and every [`Work`] of its tenants. One that had nothing for a while is
//! written to its snapshot and dropped; the next batch takes it up again.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
};

use nms_kit::{clock, task::Tasks};
use nms_proto::id::TenantId;

use super::{Now, Work};
use crate::{
    analyse::model::Model,
    inbox::{Inbox, Woken},
    live::Tenants,
    store::StoreError,
};

/// Time without a batch after which a tenant's analysis is written away, in milliseconds.
const COLD_MS: u64 = 10 * 60_000;
/// Time between two looks for cold ones, in milliseconds.
const SWEEP_MS: u64 = 60_000;

struct Worker {
    tenants: Arc<Tenants>,
    inbox: Arc<Inbox>,
    model: Model,
    works: HashMap<TenantId, Work>,
    ready: VecDeque<TenantId>,
    swept_ms: u64,
}

/// Starts a thread for the tenants of `inbox`; it ends when the inbox is stopped.
///
/// # Errors
/// The operating system gives no thread.
pub fn start(tasks: &Tasks, name: &str, tenants: Arc<Tenants>, inbox: Arc<Inbox>, model: Model) -> io::Result<()> {
    let mut worker = Worker {
        tenants,
        inbox,
        model,
        works: HashMap::new(),
        ready: VecDeque::new(),
        swept_ms: clock::monotonic_ms(),
    };
    tasks.thread(name, move || worker.run())
}

fn now() -> Now {
    Now { tick: clock::tick(), unix_ms: clock::unix_ms() }
}

impl Worker {
    fn run(&mut self) {
        loop {
            let wait_ms = if self.ready.is_empty() { Some(self.wait_ms()) } else { Some(0) };
            match self.inbox.wait(wait_ms) {
                Woken::Stop => break,
                Woken::Called(called) => called.into_iter().for_each(|tenant| self.make_ready(tenant)),
            }
            self.wake_due();
            if let Some(tenant) = self.ready.pop_front() {
                self.turn(tenant);
            }
            self.sweep();
        }
        for (tenant, mut work) in self.works.drain() {
            said(&tenant, work.finish(now()));
        }
    }

    fn make_ready(&mut self, tenant: TenantId) {
        if !self.ready.contains(&tenant) {
            self.ready.push_back(tenant);
        }
    }

    /// One slice of a tenant; it gets in line again where there is more.
    fn turn(&mut self, tenant: TenantId) {
        let Some(live) = self.tenants.known(&tenant) else { return };
        if !self.works.contains_key(&tenant) {
            match Work::open(live, now()) {
                Ok(work) => drop(self.works.insert(tenant.clone(), work)),
                Err(error) => return said(&tenant, Err(error)),
            }
        }
        let Some(work) = self.works.get_mut(&tenant) else { return };
        match work.step(&mut self.model, now()) {
            Ok(true) => self.make_ready(tenant),
            Ok(false) => {}
            Err(error) => {
                said(&tenant, Err(error));
                self.works.remove(&tenant);
            }
        }
    }

    /// Puts in line whoever has something due.
    fn wake_due(&mut self) {
        let now = now();
        let due = self.works.iter().filter(|(_, work)| work.wait_ms(now).is_some_and(|ms| ms <= 1));
        let due: Vec<TenantId> = due.map(|(tenant, _)| tenant.clone()).collect();
        for tenant in due {
            self.make_ready(tenant);
        }
    }

    fn wait_ms(&self) -> u64 {
        let now = now();
        self.works.values().filter_map(|work| work.wait_ms(now)).min().unwrap_or(SWEEP_MS).min(SWEEP_MS)
    }

    fn sweep(&mut self) {
        let now = now();
        if now.tick.0.saturating_sub(self.swept_ms) < SWEEP_MS {
            return;
        }
        self.swept_ms = now.tick.0;
        let cold = self.works.iter().filter(|(_, work)| work.idle_ms(now) >= COLD_MS);
        let cold: Vec<TenantId> = cold.map(|(tenant, _)| tenant.clone()).collect();
        for tenant in cold {
            if let Some(mut work) = self.works.remove(&tenant) {
                said(&tenant, work.finish(now));
            }
        }
    }
}

fn said(tenant: &TenantId, result: Result<(), StoreError>) {
    if let Err(error) = result {
        log::error!("analysis of a tenant stands still tenant={tenant} error={error}");
    }
}
