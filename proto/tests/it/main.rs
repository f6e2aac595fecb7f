//! Tests of the public face of `nms-proto`: data in, text out.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]

mod syslog_dialects;
mod syslog_reject;
mod syslog_rfc5424;
mod syslog_show;
mod syslog_stamps;
mod syslog_stream;
