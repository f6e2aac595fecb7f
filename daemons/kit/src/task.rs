//! Tasks and threads, started here and nowhere else: named, counted, told to stop, waited for.
//!
//! A daemon makes one [`Tasks`]. When [`Stop`] is asked for, sources end first, the channels they
//! fed close, and everything behind them drains in the order of the data; [`Tasks::join`] waits for
//! that, up to a deadline, and names whoever did not come.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use smol::{Executor, channel};

use crate::clock;

/// Asked of everybody who waits for something: end when it is requested.
#[derive(Clone, Debug)]
pub struct Stop {
    sender: channel::Sender<()>,
    receiver: channel::Receiver<()>,
}

impl Default for Stop {
    fn default() -> Self {
        let (sender, receiver) = channel::bounded(1);
        Self { sender, receiver }
    }
}

impl Stop {
    /// Asks everybody to end.
    pub fn request(&self) {
        self.sender.close();
    }

    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        self.receiver.is_closed()
    }

    /// Waits until it is asked.
    pub async fn requested(&self) {
        // Nothing is ever sent: the only answer is that the channel was closed.
        self.receiver.recv().await.ok();
    }

    /// What `future` gives; none when the stop comes first.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            self.requested().await;
            None
        };
        smol::future::or(stopped, async { Some(future.await) }).await
    }
}

type Names = Arc<Mutex<BTreeMap<u64, String>>>;

/// The tasks and threads of a daemon.
#[derive(Clone)]
pub struct Tasks {
    executor: Arc<Executor<'static>>,
    stop: Stop,
    running: Names,
    next: Arc<std::sync::atomic::AtomicU64>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.running()).finish_non_exhaustive()
    }
}

/// Takes a name off the list when its task ends, however it ends.
struct Listed {
    running: Names,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Tasks {
    /// An executor with `threads` threads of its own.
    pub fn start(threads: usize) -> io::Result<Self> {
        let tasks =
            Self { executor: Arc::default(), stop: Stop::default(), running: Arc::default(), next: Arc::default() };
        for number in 0..threads.max(1) {
            let executor = Arc::clone(&tasks.executor);
            let stop = tasks.stop.clone();
            // These threads run until everything has drained, which is after the stop; they end with the process.
            std::thread::Builder::new().name(format!("tasks-{number}")).spawn(move || {
                smol::block_on(executor.run(async move {
                    stop.requested().await;
                    std::future::pending::<()>().await;
                }));
            })?;
        }
        Ok(tasks)
    }

    fn list(&self, name: String) -> Listed {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(number, name);
        Listed { running: Arc::clone(&self.running), number }
    }

    /// Runs a task to its end.
    pub fn spawn(&self, name: impl Into<String>, future: impl Future<Output = ()> + Send + 'static) {
        let listed = self.list(name.into());
        self.executor
            .spawn(async move {
                future.await;
                drop(listed);
            })
            .detach();
    }

    /// Runs a task that ends when its handle is dropped.
    pub fn owned<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> smol::Task<T> {
        self.executor.spawn(future)
    }

    /// Runs blocking work on a thread of its own, to its end.
    pub fn thread(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let listed = self.list(name.into());
        std::thread::Builder::new().name(name.into()).spawn(move || {
            work();
            drop(listed);
        })?;
        Ok(())
    }

    /// The stop that everybody waits for.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The names of what still runs.
    pub fn running(&self) -> Vec<String> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Asks everybody to end and waits up to `ms`; gives the names of those that did not.
    pub fn join(&self, ms: u64) -> Vec<String> {
        self.stop.request();
        let deadline = clock::tick().plus(ms);
        while !self.running().is_empty() && clock::tick() < deadline {
            clock::block(5);
        }
        self.running()
    }
}
