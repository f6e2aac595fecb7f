//! Every target over its corpus and over mutations of it, on stable: what a fuzzer found once stays found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod corpora;
mod seeds;
