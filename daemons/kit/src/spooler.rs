//! From named events to the spool: numbers, batches, and commits that hold together what belongs together.
//!
//! ```text
//! next_id -> push_group ... mark -> flush:  [closed batches] + [checkpoints]  one commit  -> done
//! ```
//! A chunk's checkpoints commit with, and never before, the last of its events: when a batch that was
//! closed in the middle of a chunk is committed, the open one is closed and goes with it. One owner
//! calls this from its own thread. What a full or busy store refuses is kept and offered again
//! ([`Spooler::is_stuck`]): the owner takes nothing more from its sources meanwhile, which is how
//! pressure reaches them, and goes on with everything else.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use nms_proto::{
    event::Event,
    flow::batcher::{Batcher, ClosedBatch},
    id::{EndpointId, EventId, EventSeq, Instance},
    json::JsonError,
    limits::{BATCH_EVENTS_DEFAULT, SPOOL_QUEUE_BYTES, WINDOW_BATCHES},
    message::{BatchHeader, SourceCount},
    time::Tick,
};
use smol::channel::Sender;

use crate::{
    clock,
    intake::Checkpoint,
    store::{
        Found, Op, StoreError,
        header::{Count, Header},
        spool::{NewBatch, Spool, SpoolError, WhenFull},
    },
};

/// Event numbers taken from the spool at a time.
const IDS_AT_ONCE: u64 = 4_096;
/// Wait before a refused commit is offered again, in milliseconds; the longer one after [`STUCK_MS`].
const RETRY_MS: u64 = 5;
const RETRY_STUCK_MS: u64 = 100;
/// Time without a commit after which the log says so, in milliseconds.
const STUCK_MS: u64 = 5_000;
/// Longest wait for the last commit at the end, in milliseconds.
const FINISH_MS_MAX: u64 = 5_000;
/// Events that may gather before they are handed to the spool, whatever it holds.
const GATHERED_EVENTS_MAX: u64 = 65_536;

/// The cause of what was received and given up at an end, because it could not be made durable.
pub const NOT_DURABLE: &str = "not_durable";
/// Where a spool's map says what the last runs gave up: a JSON object of events by source.
const NOT_DURABLE_KEY: &[u8] = b"lost/not_durable";
/// Bytes of closed batches that may gather: one commit must find room in the reserve.
const GATHERED_BYTES_MAX: usize = SPOOL_QUEUE_BYTES / 2;

/// A batch that went into the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Its position, which stays when it is renumbered: its number and the base, see
    /// [`Placed`](crate::store::spool::Placed).
    pub position: u64,
    /// Its events by source and severity.
    pub counts: Vec<SourceCount>,
}

/// The way into a spool.
#[derive(Debug)]
pub struct Spooler {
    spool: Spool,
    batcher: Batcher,
    instance: Instance,
    ids: Range<u64>,
    checkpoints: Vec<Checkpoint>,
    waiters: Vec<Sender<()>>,
    refused: Option<Parcel>,
}

/// What goes in one commit.
#[derive(Debug)]
struct Parcel {
    batches: Vec<NewBatch>,
    counts: Vec<Vec<SourceCount>>,
    checkpoints: Vec<Op>,
    waiters: Arc<Mutex<Vec<Sender<()>>>>,
    /// When it was first offered, and when it is offered again.
    since: Tick,
    again: Tick,
    /// Whether the log says that it waits.
    is_told: bool,
}

impl Spooler {
    /// The way into `spool`.
    pub fn new(spool: Spool) -> Self {
        let instance = Instance(spool.instance());
        let mut spooler = Self {
            spool,
            batcher: Batcher::default(),
            instance,
            ids: 0..0,
            checkpoints: Vec::new(),
            waiters: Vec::new(),
            refused: None,
        };
        spooler.set_events_max(BATCH_EVENTS_DEFAULT);
        spooler
    }

    /// The spool.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Events in a batch, as the receiver asks. What is in flight is never dropped to make room, so a small spool has
    /// small batches: a whole window is half of it at most.
    pub fn set_events_max(&mut self, events: usize) {
        let most = self.spool.limits().events_max / (2 * WINDOW_BATCHES as u64);
        self.batcher.set_events_max(events.min(most as usize));
    }

    /// Fill of the spool with what has gathered here for it, in percent.
    pub fn fill_percent(&self) -> u64 {
        let refused: u64 =
            self.refused.iter().flat_map(|parcel| &parcel.batches).map(|batch| batch.header.events()).sum();
        self.spool.fill_percent_with(self.batcher.events() + refused)
    }

    /// Whether so much has gathered that it is to be flushed before more is taken: one commit must fit into the room
    /// that a spool has above the fill at which sources wait.
    pub fn has_gathered(&self) -> bool {
        let is_long = self.batcher.closed_bytes() >= GATHERED_BYTES_MAX;
        is_long || self.batcher.events() >= (self.spool.limits().events_max / 32).clamp(1, GATHERED_EVENTS_MAX)
    }

    /// Whether the spool takes nothing for now: something was refused, or its disk has no room. Nothing more should be
    /// pushed that can wait; even numbers may be had only when the disk has room again.
    pub fn is_stuck(&self) -> bool {
        self.refused.is_some() || !self.spool.db().is_sound()
    }

    /// The spool's events are named anew from now on.
    pub fn renumbered(&mut self) {
        self.instance = Instance(self.spool.instance());
    }

    /// The next event's name; it was never given before. Waits where numbers are used faster than they are reserved.
    ///
    /// # Errors
    /// The store is damaged or closed.
    pub fn next_id(&mut self) -> Result<EventId, SpoolError> {
        while self.ids.is_empty() {
            match self.spool.event_ids(IDS_AT_ONCE) {
                Ok(ids) => self.ids = ids,
                Err(SpoolError::Reserving) => self.spool.db().flush()?,
                Err(error) => return Err(error),
            }
        }
        let seq = self.ids.start;
        self.ids.start += 1;
        Ok(EventId { instance: self.instance, seq: EventSeq(seq) })
    }

    /// Adds events that commit together: one, and the findings it completed.
    ///
    /// # Errors
    /// An event that cannot be encoded; it was not added.
    pub fn push_group(&mut self, now: Tick, group: &[Event]) -> Result<(), JsonError> {
        self.batcher.push_group(now, group)
    }

    /// Commits `checkpoints` with everything that was pushed so far, and tells `done` when that is durable.
    pub fn mark(&mut self, checkpoints: Vec<Checkpoint>, done: Option<Sender<()>>) {
        self.checkpoints.extend(checkpoints);
        self.waiters.extend(done);
    }

    /// When [`Spooler::flush`] is to be called at the latest.
    pub fn deadline(&self) -> Option<Tick> {
        if let Some(parcel) = &self.refused {
            return Some(parcel.again);
        }
        self.batcher.deadline().or_else(|| self.has_marks().then_some(Tick(0)))
    }

    fn has_marks(&self) -> bool {
        !self.checkpoints.is_empty() || !self.waiters.is_empty()
    }

    /// Hands closed batches, and the open one where it is due or `link_idle`, to the spool. Gives what went in.
    ///
    /// # Errors
    /// The store is damaged or closed: nothing more can be taken.
    pub fn flush(&mut self, now: Tick, link_idle: bool) -> Result<Vec<Spooled>, SpoolError> {
        let mut spooled = self.offer_again(now)?;
        if self.refused.is_some() {
            return Ok(spooled);
        }
        let mut closed: Vec<ClosedBatch> = std::iter::from_fn(|| self.batcher.poll(now, link_idle)).collect();
        if !closed.is_empty() && self.has_marks() {
            closed.extend(self.rest(now));
        }
        let marks_only = closed.is_empty() && self.has_marks() && self.batcher.deadline().is_none();
        if !closed.is_empty() || marks_only {
            let parcel = self.parcel(now, closed);
            spooled.extend(self.offer(now, parcel)?);
        }
        Ok(spooled)
    }

    /// Hands over all that was pushed, due or not, and waits until it is durable: the end is near.
    ///
    /// # Errors
    /// The store is damaged or closed, or takes nothing within 5 s.
    pub fn finish(&mut self, now: Tick) -> Result<Vec<Spooled>, SpoolError> {
        let mut spooled = Vec::new();
        let late = now.plus(FINISH_MS_MAX);
        loop {
            let now = clock::tick();
            spooled.extend(self.offer_again(now)?);
            if self.refused.is_none() {
                let closed = self.rest(now);
                if closed.is_empty() && !self.has_marks() && self.spool.db().is_sound() {
                    self.spool.db().flush()?;
                    return Ok(spooled);
                }
                if !closed.is_empty() || self.has_marks() {
                    let parcel = self.parcel(now, closed);
                    spooled.extend(self.offer(now, parcel)?);
                }
            }
            if self.is_stuck() && now >= late {
                // What is wrong with the disk is to be said, rather than how much the spool holds.
                let stats = self.spool.stats();
                let full = SpoolError::Full { events: stats.events, bytes: stats.bytes };
                return Err(self.spool.db().problem().map_or(full, SpoolError::Store));
            }
            if self.is_stuck() {
                clock::block(RETRY_MS);
            }
        }
    }

    /// Closes the spool, and counts what will not be durable: what gathered here, what the spool took and could not
    /// write, and `untaken`; of sources for which `is_lost` says so, because they will not send it again. The count is
    /// written where it finds room, for the next run. Gives how many events that are.
    ///
    /// # Errors
    /// The count could not be written; with the number of events.
    pub fn give_up(
        &mut self,
        now: Tick,
        untaken: BTreeMap<EndpointId, u64>,
        is_lost: impl Fn(&EndpointId) -> bool,
    ) -> Result<u64, (u64, StoreError)> {
        let gathered = self.rest(now).into_iter().flat_map(|batch| batch.header.counts);
        let refused = self.refused.take().into_iter().flat_map(|parcel| parcel.counts.into_iter().flatten());
        let mut lost: BTreeMap<EndpointId, u64> = untaken;
        for count in gathered.chain(refused) {
            *lost.entry(count.source).or_default() += count.events;
        }
        self.spool.db().close();
        for (source, events) in self.spool.not_durable() {
            *lost.entry(EndpointId::new(&source)).or_default() += events;
        }
        lost.retain(|source, events| *events > 0 && is_lost(source));
        let events = lost.values().sum();
        if lost.is_empty() {
            return Ok(0);
        }
        let map = self.spool.checkpoints();
        let written = self.spool.db().commit_closed(|view| {
            // What an earlier run wrote and nobody was told of yet stays.
            let before = view.value(map.table(), NOT_DURABLE_KEY)?.and_then(Found::sound).unwrap_or_default();
            let mut all = lost.clone();
            for (source, events) in read_not_durable(&before) {
                *all.entry(source).or_default() += events;
            }
            let row: BTreeMap<&str, u64> = all.iter().map(|(source, events)| (source.as_str(), *events)).collect();
            Ok(vec![map.put(NOT_DURABLE_KEY, &serde_json::to_vec(&row).unwrap_or_default())])
        });
        written.map(|()| events).map_err(|error| (events, error))
    }

    /// What earlier runs gave up, by source, and nobody was told of yet.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn given_up(&self) -> Result<BTreeMap<EndpointId, u64>, SpoolError> {
        let found = self.spool.checkpoints().value(NOT_DURABLE_KEY)?.and_then(Found::sound);
        Ok(found.map(|row| read_not_durable(&row)).unwrap_or_default())
    }

    /// The mark that goes with the events that tell of what was given up.
    pub fn told_of_given_up() -> Checkpoint {
        let key = String::from_utf8_lossy(NOT_DURABLE_KEY).into();
        Checkpoint { key, value: Box::default() }
    }

    fn rest(&mut self, now: Tick) -> Vec<ClosedBatch> {
        self.batcher.close(now);
        std::iter::from_fn(|| self.batcher.poll(now, false)).collect()
    }

    fn parcel(&mut self, now: Tick, closed: Vec<ClosedBatch>) -> Parcel {
        let counts = closed.iter().map(|batch| batch.header.counts.clone()).collect();
        let map = self.spool.checkpoints();
        let put = |checkpoint: Checkpoint| map.put(checkpoint.key.as_bytes(), &checkpoint.value);
        Parcel {
            batches: closed.into_iter().map(new_batch).collect(),
            counts,
            checkpoints: std::mem::take(&mut self.checkpoints).into_iter().map(put).collect(),
            waiters: Arc::new(Mutex::new(std::mem::take(&mut self.waiters))),
            since: now,
            again: now,
            is_told: false,
        }
    }

    fn offer_again(&mut self, now: Tick) -> Result<Vec<Spooled>, SpoolError> {
        match self.refused.take_if(|parcel| parcel.again <= now) {
            Some(parcel) => self.offer(now, parcel),
            None => Ok(Vec::new()),
        }
    }

    /// Offers a parcel to the spool; what it refuses for now is kept.
    fn offer(&mut self, now: Tick, mut parcel: Parcel) -> Result<Vec<Spooled>, SpoolError> {
        let told = Arc::clone(&parcel.waiters);
        let done = Box::new(move |result: Result<(), StoreError>| {
            let mut waiting = told.lock().unwrap_or_else(PoisonError::into_inner);
            for waiter in std::mem::take(&mut *waiting) {
                if result.is_ok() {
                    waiter.try_send(()).ok();
                }
            }
        });
        let waited_ms = now.since(parcel.since);
        let checkpoints = parcel.checkpoints.clone();
        match self.spool.append(parcel.batches.clone(), checkpoints, WhenFull::DropOldest, done) {
            Ok(placed) => {
                if waited_ms >= STUCK_MS {
                    log::info!("the spool takes events again waited_ms={waited_ms}");
                }
                let positions = placed.numbers.map(|number| placed.base + number);
                Ok(positions.zip(parcel.counts).map(|(position, counts)| Spooled { position, counts }).collect())
            }
            Err(error) if may_pass(&error) => {
                // A disk that is slower than its sources is no news; one that takes nothing for long is, once.
                let is_stuck = waited_ms >= STUCK_MS;
                if is_stuck && !std::mem::replace(&mut parcel.is_told, true) {
                    log::warn!("the spool has taken nothing for {STUCK_MS} ms, sources wait error={error}");
                }
                parcel.again = now.plus(if is_stuck { RETRY_STUCK_MS } else { RETRY_MS });
                self.refused = Some(parcel);
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

fn read_not_durable(row: &[u8]) -> BTreeMap<EndpointId, u64> {
    // An empty row is none.
    let read: BTreeMap<String, u64> = serde_json::from_slice(row).unwrap_or_default();
    read.into_iter().map(|(source, events)| (EndpointId::new(&source), events)).collect()
}

/// Whether waiting can help.
fn may_pass(error: &SpoolError) -> bool {
    match error {
        SpoolError::Full { .. } | SpoolError::Reserving => true,
        SpoolError::Store(error) => {
            matches!(error, StoreError::Full { .. } | StoreError::Busy { .. } | StoreError::Failing { .. })
        }
        SpoolError::NotHeld { .. } => false,
    }
}

fn new_batch(closed: ClosedBatch) -> NewBatch {
    NewBatch { header: header(&closed.header), body: closed.content.into() }
}

fn header(header: &BatchHeader) -> Header {
    let count = |count: &SourceCount| Count {
        source: count.source.as_str().into(),
        severity: count.severity,
        events: count.events as u32,
    };
    Header { oldest_at_ms: header.first_at_ms, counts: header.counts.iter().map(count).collect() }
}
