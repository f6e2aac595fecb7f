//! The real daemons on loopback, as their users run them: real sockets, real files, real kills.
//!
//! What can be tried in virtual time is tried elsewhere (sessions in `nms-proto`, correlators in
//! `nms-detect`); here is what only real processes show. Every wait has a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits in real time for real processes"
)]

mod stage;
mod senders;
mod scenarios;
mod delivery;
mod backup;
mod small_disk;
mod full_disk;
mod restarts;
mod clocks;
mod recorded;
mod tenants;
mod identity;
mod hostile;
mod malformed;
mod thousand;
