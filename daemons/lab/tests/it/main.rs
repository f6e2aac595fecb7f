//! The crate's one integration target.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, as tests do"
)]
mod corpus;
mod gate;
mod hdfs;
mod scenarios;
mod security;
mod templates;
mod truth;
