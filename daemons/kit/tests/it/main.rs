//! Tests of the kit: one module a subject, data in, text out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to stop there; helpers outside of test functions too"
)]

mod digest;
mod sim;
mod store_disk;
mod store_log;
mod store_spool;
