//! How much, how fast, and what became of it: pure state that sessions and daemons share.
//!
//! Nothing here knows a connection. `backoff` spaces reconnects, `pacer` slows a sender that was
//! asked to, `batcher` decides when a batch is closed, `ledger` accounts for every event of every
//! source, `outbox` holds what a server still owes a hub. Each has a bound, and says what it counts
//! when the bound is reached. Time enters as a [`crate::time::Tick`], jitter as a seed.

pub mod backoff;
pub mod pacer;
pub mod batcher;
pub mod ledger;
pub mod outbox;
