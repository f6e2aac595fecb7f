//! Tests of the kit: one module a subject, data in, text out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod config;
mod digest;
mod net;
mod gate;
mod pki;
mod proxy;
mod roll;
mod sim;
mod spooler;
mod store_copy;
mod store_disk;
mod store_cuts;
mod store_log;
mod store_spool;
mod tls;
