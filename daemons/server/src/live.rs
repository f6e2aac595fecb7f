//! A tenant while the server runs: its gate, its log, its hubs, and the way of a batch among them.
//!
//! ```text
//! take: gate.admit -> store.append ... done -> gate.committed, hub woken (ACK), inbox (analysis)
//! ```
//! Whoever holds a [`Tenant`] can reach nothing of another one. Locks are held for a few instructions;
//! only `taking` spans the way into the log, so that the order of numbers is the order of the log.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nms_kit::{fault, refusals::Refusals};
use nms_model::cache::CacheCounts;
use nms_proto::{
    event::Event,
    id::{BatchSeq, Instance, TenantId},
    limits::{BUSY_RETRY_MS, TENANT_UNCOMMITTED_BYTES, TENANTS_MAX},
    message::{Batch, Command, Results},
    session::server::Answer,
    time::Tick,
};

use crate::{
    admit::{self, Gate},
    analyse::Counts,
    command::Commands,
    inbox::Inbox,
    outbox::{self, Attached, Hubs, Settled},
    store::{Change, Class, Cursor, LogSeq, Logged, NewBatch, Store, StoreError, TenantStore, entry},
};

/// One tenant.
#[derive(Debug)]
pub struct Tenant {
    id: TenantId,
    store: Arc<dyn TenantStore>,
    inbox: Arc<Inbox>,
    /// The end of its log when this life of the server began.
    inherited: LogSeq,
    taking: Mutex<()>,
    gate: Mutex<Gate>,
    hubs: Mutex<Hubs>,
    /// The batch that a panic of the life before named.
    panicked: Mutex<Option<LogSeq>>,
    /// Why its peers were turned away after they were registered.
    pub refusals: Refusals,
    /// Commands that somebody waits for.
    pub commands: Arc<Commands>,
    analysis: Mutex<Standing>,
}

/// How a tenant's analysis stands, as its thread last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How far it came.
    pub cursor: Cursor,
    /// What it counted.
    pub counts: Counts,
    /// Batches in quarantine.
    pub quarantined: usize,
    /// Damaged batches that were skipped since the start.
    pub damaged: u64,
    /// The window cache of the thread that analyses it, for all the thread's tenants.
    pub cache: CacheCounts,
    /// Windows of that thread that the net answered with NaN or infinity; they have no score, and are counted as unscored.
    pub not_finite: u64,
}

/// A batch on its way to the commit.
struct UnderWay {
    tenant: Arc<Tenant>,
    hub: Instance,
    batch: Option<BatchSeq>,
    arrived_ms: i64,
    bytes: usize,
    events: Vec<Event>,
}

impl Tenant {
    fn open(
        id: TenantId,
        store: Arc<dyn TenantStore>,
        inbox: Arc<Inbox>,
        panicked: Option<LogSeq>,
    ) -> Result<Self, StoreError> {
        let progress = store.progress()?;
        let inherited = store.last();
        let gate = Gate::new(inherited, progress.cursor.ticked_ms);
        let hubs = Hubs::restore(store.owed()?);
        Ok(Self {
            id,
            store,
            inbox,
            inherited,
            taking: Mutex::new(()),
            gate: Mutex::new(gate),
            hubs: Mutex::new(hubs),
            panicked: Mutex::new(panicked),
            refusals: Refusals::default(),
            commands: Arc::default(),
            analysis: Mutex::new(Standing { cursor: progress.cursor, ..Standing::default() }),
        })
    }

    /// Its name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What is kept of it.
    pub fn store(&self) -> &dyn TenantStore {
        &*self.store
    }

    /// The last batch of its log that an earlier life of the server wrote.
    pub fn inherited(&self) -> LogSeq {
        self.inherited
    }

    /// The batch at which the life before this one panicked; told once, because it counts once.
    pub fn take_panicked(&self) -> Option<LogSeq> {
        lock(&self.panicked).take()
    }

    /// Its gate.
    pub fn gate(&self) -> MutexGuard<'_, Gate> {
        lock(&self.gate)
    }

    /// Its hubs.
    pub fn hubs(&self) -> MutexGuard<'_, Hubs> {
        lock(&self.hubs)
    }

    /// Where its batches wait for analysis.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// A connection of `hub` registered. The connection of it before ends; what is durable is the answer.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    pub fn register(&self, now_ms: i64, hub: Instance) -> Result<(Attached, BatchSeq), StoreError> {
        self.enter(now_ms, hub)?;
        let attached = self.hubs().attach(hub);
        Ok((attached, self.gate().durable(hub)))
    }

    /// Takes the numbers of a hub into mind.
    ///
    /// # Errors
    /// As [`Tenant::register`].
    pub fn enter(&self, now_ms: i64, hub: Instance) -> Result<(), StoreError> {
        if !self.gate().knows(hub) {
            let receiver = self.store.receiver(hub)?;
            let live = self.hubs().live();
            let forgotten = self.gate().enter(now_ms, hub, receiver, |other| live.contains(&other));
            if let Some(forgotten) = forgotten {
                log::warn!("a hub is forgotten, there are too many tenant={} instance={forgotten}", self.id);
                self.hubs().forget(forgotten);
                self.keep(vec![Change::Forget(forgotten)]);
            }
        }
        Ok(())
    }

    /// Takes a batch of `hub`, or says why not. Its ACK follows its commit.
    pub fn take(self: &Arc<Self>, now_ms: i64, hub: Instance, batch: Batch) -> Answer {
        let _taking = lock(&self.taking);
        let arrived_ms = match self.gate().admit(now_ms, hub, &batch) {
            Ok(arrived_ms) => arrived_ms,
            Err(answer) => return answer,
        };
        let Batch { batch, events, content_hash, content, .. } = batch;
        let bytes = content.len();
        let way = UnderWay { tenant: Arc::clone(self), hub, batch, arrived_ms, bytes, events };
        let new = NewBatch { hub, batch, content_hash, arrived_ms, content: content.into_vec() };
        match self.store.append(new, Box::new(move |seq, result| way.end(seq, result))) {
            Ok(()) => Answer::Taken,
            Err(error) => {
                self.gate().retract(hub, batch, bytes);
                Answer::Busy { retry_after_ms: BUSY_RETRY_MS, message: error.to_string().into() }
            }
        }
    }

    /// Tells a hub's connection to look at what there is.
    pub fn ring(&self, hub: Instance) {
        self.hubs().ring(hub);
    }

    /// RESULTS are durable: their hub is told.
    pub fn owe(&self, hub: Instance, results: Results) {
        let settled = self.hubs().push(hub, results);
        self.settle(hub, settled);
    }

    /// A hub has its RESULTS up to `seq`.
    pub fn acknowledged(&self, hub: Instance, now: Tick, seq: u64) {
        let settled = self.hubs().acknowledged(hub, now, seq);
        self.settle(hub, settled);
    }

    /// RESULTS are too long to be sent; their alerts stay in the store.
    pub fn too_long(&self, hub: Instance, seq: u64) {
        log::warn!("RESULTS are longer than a frame and are not sent tenant={} instance={hub} seq={seq}", self.id);
        let settled = self.hubs().give_up(hub, seq);
        self.settle(hub, settled);
    }

    fn settle(&self, hub: Instance, mut settled: Settled) {
        settled.sort_unstable();
        let mut changes: Vec<Change> = Vec::new();
        for seq in settled {
            match changes.last_mut() {
                Some(Change::Settled { to, .. }) if *to + 1 == seq => *to = seq,
                _ => changes.push(Change::Settled { hub, from: seq, to: seq }),
            }
        }
        if !changes.is_empty() {
            self.keep(changes);
        }
    }

    /// Commits what nobody waits for.
    fn keep(&self, changes: Vec<Change>) {
        if let Err(error) = self.store.commit(changes, Class::Lazy, nms_kit::store::ignore()) {
            log::error!("cannot store what is known of a tenant tenant={} error={error}", self.id);
        }
    }

    /// How its analysis stands.
    pub fn analysis(&self) -> Standing {
        *lock(&self.analysis)
    }

    /// Says how its analysis stands.
    pub fn set_analysis(&self, standing: Standing) {
        *lock(&self.analysis) = standing;
    }

    /// What this tenant counted.
    pub fn counts(&self) -> admit::Counts {
        self.gate().counts()
    }

    /// Hands a command to every connected hub; gives those that took it.
    pub fn command(&self, command: &Command) -> Vec<Instance> {
        let mut hubs = self.hubs();
        let live = hubs.live();
        live.into_iter().filter(|hub| hubs.command(*hub, command.clone())).collect()
    }
}

impl UnderWay {
    /// The batch is durable, or never will be. Runs on the store's writer: it must be short.
    fn end(self, seq: LogSeq, result: Result<(), StoreError>) {
        let Self { tenant, hub, batch, arrived_ms, bytes, mut events } = self;
        if let Err(error) = result {
            log::error!("a batch was not stored and is asked for again tenant={} error={error}", tenant.id);
            tenant.gate().lost(hub, bytes);
            tenant.ring(hub);
            return;
        }
        fault::point(fault::AFTER_LOG);
        tenant.gate().committed(hub, batch, seq, bytes);
        tenant.commands.show(&events);
        entry::name(tenant.store.origin(), seq, &mut events);
        tenant.inbox.push(&tenant.id, Arc::new(Logged { seq, hub, arrived_ms, bytes, events }));
        // Rung last: whoever hears it may let go of the store, whose writer must not hold its last handle.
        let bell = tenant.hubs().bell(hub);
        drop(tenant);
        outbox::ring(bell.as_ref());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All tenants that were seen since the start.
#[derive(Debug)]
pub struct Tenants {
    store: Arc<dyn Store>,
    inboxes: Vec<Arc<Inbox>>,
    live: Mutex<HashMap<TenantId, Arc<Tenant>>>,
    /// Held while the disk is read for a tenant, so that `live` never is.
    opening: Mutex<()>,
    uncommitted_bytes_max: usize,
    panicked: HashMap<TenantId, LogSeq>,
}

/// Why a tenant cannot be served.
#[derive(Debug)]
pub enum Unserved {
    /// There are [`TENANTS_MAX`] already.
    TooMany,
    /// The store is of no use any more.
    Store(StoreError),
}

impl std::fmt::Display for Unserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany => write!(f, "this server serves {TENANTS_MAX} tenants and no more"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unserved {}

impl Tenants {
    /// The tenants of a store, analysed by as many threads as there are inboxes.
    pub fn new(store: Arc<dyn Store>, threads: usize) -> Self {
        let inboxes = (0..threads.max(1)).map(|_| Arc::default()).collect();
        Self {
            store,
            inboxes,
            live: Mutex::default(),
            opening: Mutex::default(),
            uncommitted_bytes_max: TENANT_UNCOMMITTED_BYTES,
            panicked: HashMap::new(),
        }
    }

    /// The same, with so many bytes of each tenant that may wait for their commit.
    #[must_use]
    pub fn with_uncommitted_bytes_max(self, uncommitted_bytes_max: usize) -> Self {
        Self { uncommitted_bytes_max, ..self }
    }

    /// The same, with the batches at which the life before this one panicked.
    #[must_use]
    pub fn with_panicked(self, panicked: HashMap<TenantId, LogSeq>) -> Self {
        Self { panicked, ..self }
    }

    /// The tenant of that name; a new one begins empty. Reads the disk where it was not seen since the start.
    ///
    /// # Errors
    /// It cannot be served, and why.
    pub fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, Unserved> {
        if let Some(tenant) = self.known(id) {
            return Ok(tenant);
        }
        let _opening = lock(&self.opening);
        if let Some(tenant) = self.known(id) {
            return Ok(tenant);
        }
        if lock(&self.live).len() >= TENANTS_MAX {
            return Err(Unserved::TooMany);
        }
        let store = self.store.tenant(id).map_err(Unserved::Store)?;
        let inbox = self.inbox_of(id);
        let tenant =
            Arc::new(Tenant::open(id.clone(), store, inbox, self.panicked.get(id).copied()).map_err(Unserved::Store)?);
        tenant.gate().set_uncommitted_bytes_max(self.uncommitted_bytes_max);
        lock(&self.live).insert(id.clone(), Arc::clone(&tenant));
        Ok(tenant)
    }

    /// The tenant of that name, where it was seen since the start.
    pub fn known(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        lock(&self.live).get(id).cloned()
    }

    /// All that were seen since the start, by name.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let mut all: Vec<_> = lock(&self.live).values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// What the analysis threads wait at, one each.
    pub fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    fn inbox_of(&self, id: &TenantId) -> Arc<Inbox> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let at = (hasher.finish() % self.inboxes.len().max(1) as u64) as usize;
        // There is one at least.
        self.inboxes.get(at).cloned().unwrap_or_default()
    }

    /// Looks up every tenant of the store, so that what was not analysed is.
    ///
    /// # Errors
    /// The store is of no use any more, and what to do.
    pub fn wake_all(&self) -> Result<(), Unserved> {
        for id in self.store.tenants().map_err(Unserved::Store)? {
            let tenant = self.tenant(&id)?;
            tenant.inbox.call(&id);
        }
        Ok(())
    }
}
