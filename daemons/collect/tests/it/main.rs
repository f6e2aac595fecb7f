//! Tests of the collectors: decisions as tables, files and folders for real, time as an argument.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod checkpoint;
mod connections;
mod fim;
mod journal;
mod devlog;
mod line;
mod pattern;
mod plan;
mod processes;
mod procfs;
mod tail;
