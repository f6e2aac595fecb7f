//! The one place that touches the operating system for every daemon.
#![forbid(unsafe_code)]

pub mod clock;
pub mod digest;
pub mod store;
