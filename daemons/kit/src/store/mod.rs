//! Everything durable: one writer thread a database, group commit, and the rooms built on it.
//!
//! A store is a [redb](https://docs.rs/redb) file whose tables map bytes to bytes. Changes are data
//! ([`Op`]); whoever owns a table keeps in memory what it needs to decide, and hands the writer puts
//! and deletes. All changes of one call commit together, whatever tables they touch, so that a
//! tailed file's checkpoint commits with the events read from it. A change that was taken is
//! durable in the end or the process is gone: on a full or failing disk the writer keeps it, refuses
//! new data by name, and goes on without a restart.
//!
//! The rooms: [`spool`] the durable queue of batches on their way up, [`map`] a small keyed map,
//! [`log`] the server's log of all tenants.

mod error;
mod op;
mod backing;
mod view;
mod queue;
mod health;
mod writer;
mod db;
mod copy;
mod bytes;
pub mod header;
pub mod map;
pub mod spool;
pub mod log;

pub use backing::{
    BackendError, Backing, DatabaseBuilder, DatabaseError, Disks, FileBacking, RawDatabase, StorageBackend,
};
pub use copy::{CHUNK_BYTES, CopyError, GoOn, Rows};
pub use db::{Db, ignore};
pub use error::{OpenCause, StoreError};
pub use health::Health;
pub use op::{Op, Table};
pub use queue::{Class, Done};
pub use view::{Found, KeyValue, ReadError, View};
pub use writer::{OnHealth, Relief, Settings};

/// Draws the name of a new spool from the operating system; the only use of randomness here.
pub fn draw_instance() -> Result<spool::Instance, StoreError> {
    let mut instance = [0; 16];
    getrandom::fill(&mut instance).map_err(|error| StoreError::NoRandomness(error.to_string()))?;
    Ok(instance)
}
