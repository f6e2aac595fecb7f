//! Detection, from text to alerts, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod host;
mod extract;
mod guessing;
mod outbound;
mod spread;
mod files;
mod time;
mod web;
mod knocks;
mod accounts;
mod commands;
mod denial;
mod log_tampering;
mod mass_change;
mod fuse;
mod many;
mod sensors;
mod names;
mod lan;
mod router;
mod connections;
mod silence;
