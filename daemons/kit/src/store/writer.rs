//! The one thread that writes a database.
//!
//! It takes groups from the queue and commits each durably (`Durability::Immediate`). Quick repair
//! is on: a file opens in milliseconds after a crash, and the two-phase commit that comes with it
//! means that a commit whose first sync failed is never believed afterwards.
//!
//! A group that failed goes back to the queue and is tried again, after the file was opened anew (the
//! database library refuses all writes after one failed), until it is durable: so the state that the
//! tables' owners hold in memory never runs ahead of a disk that lost a change. While that lasts
//! intake is refused with the cause, and readers read. On a full disk the reserve is given up, the
//! owner is asked for what can go ([`Relief`]), and what makes room is committed before the rest;
//! intake opens again when the reserve could be made again. A file that contradicts itself ends the
//! writer: nothing more is taken.

use super::backing::{self, Backing, Disks, FileBacking};
use super::error::{Fault, StoreError};
use super::health::Health;
use super::op::{Op, apply};
use super::queue::{Class, Due, Queue, Waiting};
use super::view::{ReadError, View};
use crate::clock::monotonic_us;
use crate::fault;
use nms_proto::limits::{STORE_QUEUE_BYTES, STORE_RESERVE_BYTES};
use redb::{Database, Durability, ReadableDatabase as _};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Time from the beginning of a commit to the beginning of the next, in microseconds.
const PACE_US: u64 = 2_000;
/// Time between two attempts at a full or failing disk, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// Least time between two looks whether a file on a full disk could be shorter, in microseconds: each reads all of it.
const SHRINK_US: u64 = 5_000_000;

/// Called with each new state, on the writer's thread.
pub type OnHealth = Arc<dyn Fn(&Health) + Send + Sync>;

/// Gives the changes that let go of what a full disk need not hold; none where nothing can go. Called on the writer's
/// thread, with none of the store's locks held.
pub type Relief = Arc<dyn Fn() -> Vec<Op> + Send + Sync>;

/// How a database is run.
#[derive(Clone)]
pub struct Settings {
    /// Page cache, in bytes; it bounds the memory of readers and writer together.
    pub cache_bytes: usize,
    /// Least time from one commit's beginning to the next's, in microseconds.
    pub pace_us: u64,
    /// Time between two attempts at a full or failing disk, in milliseconds.
    pub retry_ms: u64,
    /// Bytes that may wait for a commit before intake is refused.
    pub queue_bytes: usize,
    /// Who hears of each change of [`Health`].
    pub on_health: Option<OnHealth>,
    /// What lies in place of files; none for files.
    pub disks: Option<Arc<dyn Disks>>,
}

impl Settings {
    /// The usual pace and patience, with a page cache of `cache_bytes`.
    pub const fn with_cache(cache_bytes: usize) -> Self {
        let (pace_us, retry_ms, queue_bytes) = (PACE_US, RETRY_MS, STORE_QUEUE_BYTES);
        Self { cache_bytes, pace_us, retry_ms, queue_bytes, on_health: None, disks: None }
    }
}

impl Settings {
    /// The place of the database `file`.
    pub(super) fn backing(&self, file: &Path, reserve: Option<&Path>) -> Box<dyn Backing> {
        match &self.disks {
            Some(disks) => disks.backing(file, reserve),
            None => Box::new(FileBacking::with_reserve(file, reserve)),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("cache_bytes", &self.cache_bytes).finish_non_exhaustive()
    }
}
/// What the handles and the writer's thread share.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    backing: Box<dyn Backing>,
    pub(super) settings: Settings,
    desk: Mutex<Desk>,
    bell: Condvar,
    relief: Mutex<Option<Relief>>,
    /// `None` only where the file could not be opened again.
    database: RwLock<Option<Database>>,
    /// When the reserve may be tried for again, and when the file may be shrunk for it.
    regain_at_us: AtomicU64,
    shrink_at_us: AtomicU64,
}

/// What is guarded by the one lock that submitters and the writer meet at.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) stop: bool,
    pub(super) started: bool,
}

impl Shared {
    /// Opens the database. Where the disk has no room for the reserve, it begins as `Full`.
    pub(super) fn open(backing: Box<dyn Backing>, settings: Settings) -> Result<Self, StoreError> {
        let name: Arc<str> = backing.name().into();
        let database = backing::open(backing.as_ref(), settings.cache_bytes)
            .map_err(|cause| StoreError::Open { store: name.clone(), cause })?;
        let health =
            hold_reserve(backing.as_ref()).map_or_else(|error| Health::of(&Fault::from_io(&error)), |()| Health::Sound);
        let desk = Mutex::new(Desk { health, ..Desk::default() });
        let database = RwLock::new(Some(database));
        let (bell, relief, regain_at_us, shrink_at_us) = Default::default();
        Ok(Self { name, backing, settings, desk, bell, relief, database, regain_at_us, shrink_at_us })
    }

    /// The lock on queue and health; a panic elsewhere does not close it.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writer.
    pub(super) fn ring(&self) {
        self.bell.notify_all();
    }

    /// The database, for a short read.
    pub(super) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is asked on a full disk.
    pub(super) fn set_relief(&self, relief: Relief) {
        *self.relief.lock().unwrap_or_else(PoisonError::into_inner) = Some(relief);
    }

    /// The writer's life: group after group, until it is stopped and nothing waits. It does not let go of one before it
    /// is durable, the store was stopped or the file turned out damaged. The first new attempt follows at once, with the
    /// room of the reserve; later ones wait.
    pub(super) fn run(&self) {
        let _closing = Closing(self);
        let mut failures = 0_u32;
        while let Some(group) = self.next_group() {
            match self.ensure_open().and_then(|()| self.commit(&group)) {
                Ok(()) => {
                    // That room was made does not mean that it is enough.
                    if !only_makes_room(&group) {
                        failures = 0;
                    }
                    tell(group, &Ok(()));
                    self.regain_reserve();
                }
                Err(Fault::Damaged(message)) => {
                    self.set_health(&Health::Damaged(message.clone()));
                    self.give_up(group, &StoreError::Damaged { store: self.name.clone(), message });
                }
                Err(fault) => {
                    // A group that holds data too would spend it on the data.
                    let makes_room = only_makes_room(&group);
                    self.desk().queue.put_back(group, monotonic_us());
                    self.give_way(&fault, makes_room);
                    if failures > 0 && matches!(fault, Fault::Full) {
                        // What was freed may lie where nothing is put: the library fills holes of the file first.
                        self.shrink(monotonic_us());
                    }
                    if failures > 0 && !self.wait_to_retry() {
                        self.give_up(Vec::new(), &StoreError::Stopped { store: self.name.clone() });
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Neither `group` nor anything that waits will be durable.
    fn give_up(&self, group: Vec<Waiting>, error: &StoreError) {
        tell(group, &Err(error.clone()));
        let rest = self.desk().queue.clear();
        tell(rest, &Err(error.clone()));
    }

    /// Commits what `change` makes of a closed store, and closes it again. On a full disk it may have all of the reserve:
    /// nothing comes after it.
    pub(super) fn commit_closed(&self, change: impl Fn(&View) -> Result<Vec<Op>, ReadError>) -> Result<(), Fault> {
        match self.try_commit_closed(&change) {
            Err(Fault::Full) => {
                self.backing.release_reserve(true).map_err(|error| Fault::from_io(&error))?;
                self.try_commit_closed(&change)
            }
            done => done,
        }
    }

    fn try_commit_closed(&self, change: impl Fn(&View) -> Result<Vec<Op>, ReadError>) -> Result<(), Fault> {
        let opened = backing::open(self.backing.as_ref(), self.settings.cache_bytes);
        let database = opened.map_err(|cause| Fault::from_open(&self.name, cause))?;
        let view = View::new(database.begin_read().map_err(Fault::from_redb)?);
        let ops = change(&view).map_err(|ReadError(fault)| fault)?;
        drop(view);
        commit(&database, &ops)
    }

    /// Closes the file; whoever still waits hears that the store was stopped.
    pub(super) fn finish(&self) {
        self.set_health(&Health::Stopped);
        let rest = self.desk().queue.clear();
        drop(rest);
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The next group; `None` once the store is stopped and nothing waits.
    fn next_group(&self) -> Option<Vec<Waiting>> {
        let mut desk = self.desk();
        loop {
            let now_us = monotonic_us();
            let due = desk.queue.due(now_us, self.settings.pace_us);
            let is_due = due == Due::Now || (desk.stop && due != Due::Idle);
            if is_due {
                let is_scarce = desk.health == Health::Full;
                return Some(if is_scarce { desk.queue.take_scarce(now_us) } else { desk.queue.take(now_us) });
            }
            desk = match due {
                Due::Idle if desk.stop => return None,
                Due::Now => desk,
                Due::In(us) => self.wait(desk, us),
                Due::Idle if desk.health == Health::Sound => {
                    self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner)
                }
                Due::Idle => {
                    let desk = self.wait(desk, self.settings.retry_ms * 1_000);
                    drop(desk);
                    self.regain_reserve();
                    self.desk()
                }
            };
        }
    }

    fn wait<'desk>(&self, desk: MutexGuard<'desk, Desk>, us: u64) -> MutexGuard<'desk, Desk> {
        self.bell.wait_timeout(desk, Duration::from_micros(us)).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits before another attempt at the disk, however often the bell rings; false when stopped.
    fn wait_to_retry(&self) -> bool {
        let until_us = monotonic_us().saturating_add(self.settings.retry_ms * 1_000);
        let mut desk = self.desk();
        loop {
            let left_us = until_us.saturating_sub(monotonic_us());
            if desk.stop || left_us == 0 {
                return !desk.stop;
            }
            desk = self.wait(desk, left_us);
        }
    }

    fn commit(&self, group: &[Waiting]) -> Result<(), Fault> {
        if group.iter().all(|waiting| waiting.ops.is_empty()) {
            return Ok(());
        }
        let guard = self.database();
        let database = guard.as_ref().ok_or_else(|| Fault::Io("the file is not open".to_owned()))?;
        commit(database, group.iter().flat_map(|waiting| &waiting.ops))?;
        // What a commit frees is free for the next but one.
        if only_makes_room(group) && self.desk().health == Health::Full { commit(database, []) } else { Ok(()) }
    }

    /// Compacts the file, on the caller's thread.
    pub(super) fn compact(&self) -> Result<bool, Fault> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = slot.as_mut().ok_or_else(|| Fault::Io("the file is not open".to_owned()))?;
        match database.compact() {
            // Somebody reads a snapshot, such as a backup: another time.
            Err(redb::CompactionError::TransactionInProgress) => Ok(false),
            compacted => compacted.map_err(Fault::from_redb),
        }
    }

    /// Opens the file again after a fault. On a full disk the reserve is given up in between, its last piece only where
    /// what makes room found none, and what can go goes.
    fn give_way(&self, fault: &Fault, makes_room: bool) {
        self.set_health(&Health::of(fault));
        let is_full = matches!(fault, Fault::Full);
        // Readers wait that long, and then read on.
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(slot.take());
        if is_full {
            self.backing.release_reserve(makes_room).unwrap_or_else(|error| {
                log::warn!("cannot give up the reserve of a full disk; store={} error={error}", self.name);
            });
        }
        // What stands in the way is met, and told, by the next attempt.
        *slot = backing::open(self.backing.as_ref(), self.settings.cache_bytes).ok();
        drop(slot);
        if is_full {
            self.relieve();
        }
    }

    /// Asks the owner for what a full disk need not hold; false where nothing can go.
    fn relieve(&self) -> bool {
        let relief = self.relief.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ops = relief.map(|relief| relief()).unwrap_or_default();
        if ops.is_empty() {
            return false;
        }
        let stopped = StoreError::Stopped { store: self.name.clone() };
        let waiting = Waiting::new(ops, Class::Room, Box::new(|_| ()), stopped);
        self.desk().queue.push(waiting, monotonic_us());
        true
    }

    fn ensure_open(&self) -> Result<(), Fault> {
        // Only where the file must be opened again does the writer wait for readers.
        if self.database().is_some() {
            return Ok(());
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            let opened = backing::open(self.backing.as_ref(), self.settings.cache_bytes);
            *slot = Some(opened.map_err(|cause| Fault::from_open(&self.name, cause))?);
        }
        Ok(())
    }

    /// Opens intake again once the reserve could be made: one attempt a retry at most.
    fn regain_reserve(&self) {
        let health = self.desk().health.clone();
        let now_us = monotonic_us();
        let is_due = now_us >= self.regain_at_us.load(Ordering::Relaxed);
        if !matches!(health, Health::Full | Health::Failing(_)) || !is_due {
            return;
        }
        self.regain_at_us.store(now_us.saturating_add(self.settings.retry_ms * 1_000), Ordering::Relaxed);
        let held = hold_reserve(self.backing.as_ref()).or_else(|error| {
            let is_full = matches!(Fault::from_io(&error), Fault::Full);
            // What goes is committed first, and the file is made shorter at the next look.
            if is_full && !self.relieve() && self.shrink(now_us) {
                hold_reserve(self.backing.as_ref())
            } else {
                Err(error)
            }
        });
        match held {
            Ok(()) => self.set_health(&Health::Sound),
            Err(error) => self.set_health(&Health::of(&Fault::from_io(&error))),
        }
    }

    /// Gives back to a full disk what the file holds and does not need. A file never shrinks by itself: where it took
    /// the whole disk, the room for the reserve would else never come back.
    fn shrink(&self, now_us: u64) -> bool {
        if now_us < self.shrink_at_us.load(Ordering::Relaxed) {
            return false;
        }
        self.shrink_at_us.store(now_us.saturating_add(SHRINK_US), Ordering::Relaxed);
        let Some(length) = self.backing.length() else { return false };
        let stored = self.database().as_ref().and_then(|database| {
            let view = View::new(database.begin_read().ok()?);
            view.page_bytes().ok()
        });
        let is_worth = |stored: u64| stored <= length / 2 || length.saturating_sub(stored) >= STORE_RESERVE_BYTES;
        if !stored.is_some_and(is_worth) {
            return false;
        }
        match self.compact() {
            Ok(shrunk) => {
                if shrunk {
                    log::info!("the store gave free room back to its full disk; store={}", self.name);
                }
                shrunk
            }
            Err(fault) => {
                self.give_way(&fault, true);
                false
            }
        }
    }

    fn set_health(&self, health: &Health) {
        let before = std::mem::replace(&mut self.desk().health, health.clone());
        if before == *health {
            return;
        }
        match health {
            Health::Sound => log::info!("the store takes data again; store={}", self.name),
            Health::Full => log::error!("the disk is full, intake is refused; store={}", self.name),
            Health::Failing(message) => {
                log::error!("the disk fails, intake is refused; store={} error={message}", self.name);
            }
            Health::Damaged(message) => log::error!("the store is damaged; store={} error={message}", self.name),
            Health::Stopped => log::debug!("the store is closed; store={}", self.name),
        }
        if let Some(tell) = &self.settings.on_health {
            tell(health);
        }
    }
}

fn commit<'op>(database: &Database, ops: impl IntoIterator<Item = &'op Op>) -> Result<(), Fault> {
    let mut txn = database.begin_write().map_err(Fault::from_redb)?;
    txn.set_durability(Durability::Immediate).map_err(Fault::from_redb)?;
    txn.set_quick_repair(true);
    apply(&txn, ops.into_iter())?;
    if fault::disk_is_full() {
        return Err(Fault::Full);
    }
    txn.commit().map_err(Fault::from_redb)
}

/// Whether nothing but what makes room is in a group.
fn only_makes_room(group: &[Waiting]) -> bool {
    group.iter().all(|waiting| waiting.class == Class::Room)
}

fn tell(group: impl IntoIterator<Item = Waiting>, result: &Result<(), StoreError>) {
    for waiting in group {
        waiting.finish(result.clone());
    }
}

fn hold_reserve(backing: &dyn Backing) -> io::Result<()> {
    if fault::disk_is_full() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    backing.hold_reserve()
}

/// Closes the store at the end of the writer, also where a panic in a debug build ends it: nobody
/// is left waiting.
struct Closing<'writer>(&'writer Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
