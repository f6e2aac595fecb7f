//! Tests of the public face of the protocol crate: data in, text out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod client;
mod delivering;
mod documents;
mod flow;
mod frames;
mod hostile;
mod messages;
mod pair;
mod receiver;
mod recorded;
mod scan;
mod sending;
mod serving;
mod stamps;
mod syslog_dialects;
mod syslog_reject;
mod syslog_rfc5424;
mod syslog_show;
mod syslog_stamps;
mod syslog_stream;
