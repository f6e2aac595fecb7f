//! Integration tests of the protocol crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod client;
mod delivering;
mod flow;
mod frames;
mod messages;
mod pair;
mod receiver;
mod sending;
mod serving;
mod stamps;
