//! The handle of a store: submit changes, read snapshots, see how it stands.
//!
//! A clone is another handle of the same database. When the last goes, the writer commits what
//! waits and closes the file, before the drop returns; only where it goes on the writer's own thread,
//! inside a `Done`, the file closes a moment later.

use super::backing::{Backing, FileBacking};
use super::error::{Fault, StoreError};
use super::health::Health;
use super::op::Op;
use super::queue::{Class, Done, Waiting};
use super::view::{ReadError, View};
use super::writer::{Relief, Settings, Shared};
use crate::clock::monotonic_us;
use nms_proto::limits::STORE_VALUE_BYTES_MAX;
use redb::ReadableDatabase as _;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A handle of an open database.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("name", &self.inner.shared.name).finish_non_exhaustive()
    }
}

/// For a change whose end nobody waits for.
pub fn ignore() -> Done {
    Box::new(|_| ())
}

impl Db {
    /// Opens the database file at `path`, or makes it. Errors name the file and what to do.
    pub fn open_file(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        Self::open(settings.backing(path, Some(&FileBacking::reserve_of(path))), settings)
    }

    /// Opens the database behind `backing`. The writer's thread begins with the first change, or at
    /// once where the disk is full and the reserve must be regained.
    pub fn open(backing: Box<dyn Backing>, settings: Settings) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::open(backing, settings)?);
        let db = Self { inner: Arc::new(Inner { shared, writer: Mutex::new(None) }) };
        if db.health() != Health::Sound {
            db.start()?;
        }
        Ok(db)
    }

    /// The file's name, as messages give it.
    pub fn name(&self) -> &Arc<str> {
        &self.inner.shared.name
    }

    /// How the store stands.
    pub fn health(&self) -> Health {
        self.inner.shared.desk().health.clone()
    }

    /// Whether it takes and commits.
    pub fn is_sound(&self) -> bool {
        self.inner.shared.desk().health == Health::Sound
    }

    /// What stands in the way of new data, and what to do; none where nothing does.
    pub fn problem(&self) -> Option<StoreError> {
        self.inner.shared.desk().health.refusal(self.name())
    }

    /// Bytes that were taken and wait for their commit.
    pub fn waiting_bytes(&self) -> usize {
        self.inner.shared.desk().queue.bytes()
    }

    /// Whether `bytes` of new data would be taken now; the refusal otherwise.
    pub fn admit(&self, bytes: usize) -> Result<(), StoreError> {
        let store = self.name();
        let desk = self.inner.shared.desk();
        if let Some(refusal) = desk.health.refusal(store) {
            return Err(refusal);
        }
        let waiting_bytes = desk.queue.bytes();
        // Whatever its size, a change is taken when nothing waits.
        if waiting_bytes > 0 && waiting_bytes.saturating_add(bytes) > self.inner.shared.settings.queue_bytes {
            return Err(StoreError::Busy { store: store.clone(), waiting_bytes });
        }
        Ok(())
    }

    /// Hands `ops` to the writer, to be committed together and after all that was submitted before;
    /// `done` is called on the writer's thread when they are durable. `Class::Intake` is refused as
    /// by [`Db::admit`]; the others only when the store is damaged or closed. On a refusal nothing
    /// is kept and `done` is not called.
    pub fn submit(&self, ops: Vec<Op>, class: Class, done: Done) -> Result<(), StoreError> {
        let store = self.name();
        if let Some(bytes) = ops.iter().map(Op::value_bytes).find(|bytes| *bytes > STORE_VALUE_BYTES_MAX) {
            return Err(StoreError::TooLarge { store: store.clone(), bytes });
        }
        if class == Class::Intake {
            self.admit(ops.iter().map(Op::bytes).sum())?;
        }
        if !self.inner.shared.desk().started {
            self.start()?;
        }
        let mut desk = self.inner.shared.desk();
        if let (Health::Damaged(_) | Health::Stopped, Some(refusal)) = (&desk.health, desk.health.refusal(store)) {
            return Err(refusal);
        }
        let stopped = StoreError::Stopped { store: store.clone() };
        desk.queue.push(Waiting::new(ops, class, done, stopped), monotonic_us());
        drop(desk);
        self.inner.shared.ring();
        Ok(())
    }

    /// As [`Db::submit`], for async callers: ends when the change is durable. The change is handed
    /// over at once, not at the first poll.
    pub fn commit(&self, ops: Vec<Op>, class: Class) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (done, end) = completion(self.name());
        let submitted = self.submit(ops, class, done);
        async move {
            submitted?;
            end.await
        }
    }

    /// Blocks until all that was submitted before is durable, or the store is stopped.
    pub fn flush(&self) -> Result<(), StoreError> {
        smol::block_on(self.commit(Vec::new(), Class::Upkeep))
    }

    /// Reads over one snapshot. It may touch the disk, and holds the writer up only if that must
    /// open the file again: keep it short, and do not call it from within itself.
    pub fn read<T>(&self, read: impl FnOnce(&View) -> Result<T, ReadError>) -> Result<T, StoreError> {
        let guard = self.inner.shared.database();
        let view = self.view(guard.as_ref())?;
        read(&view).map_err(|ReadError(fault)| self.fault(fault))
    }

    /// One snapshot that holds up nobody but a writer that must open the file again: its owner looks at
    /// [`Db::health`] now and then, and lets go of it where that is not sound.
    pub(super) fn snapshot(&self) -> Result<View, StoreError> {
        self.view(self.inner.shared.database().as_ref())
    }

    fn view(&self, database: Option<&redb::Database>) -> Result<View, StoreError> {
        let Some(database) = database else {
            return Err(self.health().refusal(self.name()).unwrap_or_else(|| self.failing("it is being opened again")));
        };
        let txn = database.begin_read().map_err(|error| self.fault(Fault::from_redb(error)))?;
        Ok(View::new(txn))
    }

    /// Refuses a database that a later version wrote: a table `<stem>.v<N>` with N above `version`.
    pub fn refuse_newer(&self, stem: &str, version: u32) -> Result<(), StoreError> {
        let tables = self.read(View::tables)?;
        let newer = tables.into_iter().find(|table| {
            table.rsplit_once(".v").is_some_and(|(name, number)| {
                name.starts_with(stem) && number.parse::<u32>().is_ok_and(|number| number > version)
            })
        });
        match newer {
            Some(table) => {
                Err(StoreError::Open { store: self.name().clone(), cause: super::error::OpenCause::Newer(table) })
            }
            None => Ok(()),
        }
    }

    /// Moves what is stored to the front of the file and gives the rest back to the disk; false where
    /// there was nothing to gain. Readers and the writer wait meanwhile.
    pub fn compact(&self) -> Result<bool, StoreError> {
        self.inner.shared.compact().map_err(|fault| self.fault(fault))
    }

    /// Who is asked on a full disk for what need not be held.
    pub fn set_relief(&self, relief: Relief) {
        self.inner.shared.set_relief(relief);
    }

    /// Commits what `change` makes of what stands in a store that was closed, and closes the file again: for the last
    /// word of an owner whose changes found no room.
    pub fn commit_closed(&self, change: impl Fn(&View) -> Result<Vec<Op>, ReadError>) -> Result<(), StoreError> {
        self.inner.shared.commit_closed(change).map_err(|fault| self.fault(fault))
    }

    /// Commits what waits and closes the file. Other handles find it stopped.
    pub fn close(&self) {
        self.inner.stop();
    }

    fn failing(&self, message: &str) -> StoreError {
        StoreError::Failing { store: self.name().clone(), message: message.to_owned() }
    }

    pub(super) fn fault(&self, fault: Fault) -> StoreError {
        let store = self.name().clone();
        match fault {
            Fault::Full => StoreError::Full { store },
            Fault::Io(message) => StoreError::Failing { store, message },
            Fault::Damaged(message) => StoreError::Damaged { store, message },
        }
    }

    fn start(&self) -> Result<(), StoreError> {
        let mut writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let shared = self.inner.shared.clone();
            let handle = spawn("nms-store", move || shared.run()).map_err(|error| self.failing(&error))?;
            *writer = Some(handle);
        }
        self.inner.shared.desk().started = true;
        Ok(())
    }
}

impl Inner {
    fn stop(&self) {
        self.shared.desk().stop = true;
        self.shared.ring();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else {
            self.shared.finish();
            return;
        };
        // A waiter may hold the last handle; the writer cannot wait for itself, and ends on its own.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            log::error!("the writer of a store panicked; store={}", self.shared.name);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A `Done`, and the future that ends when it is called.
pub(super) fn completion(store: &Arc<str>) -> (Done, impl Future<Output = Result<(), StoreError>> + Send + use<>) {
    let (send, receive) = smol::channel::bounded(1);
    let store = store.clone();
    let done: Done = Box::new(move |result| {
        // A receiver that went away has no use for the answer.
        send.try_send(result).unwrap_or_default();
    });
    (done, async move { receive.recv().await.unwrap_or(Err(StoreError::Stopped { store })) })
}

/// The threads of stores begin here.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| format!("cannot start a thread: {error}"))
}
