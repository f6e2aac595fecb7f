//! End-to-end tests: all daemons on loopback.
#![forbid(unsafe_code)]
