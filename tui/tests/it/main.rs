//! Integration tests of the dashboard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    reason = "a test fails by panicking"
)]

mod scene;
mod fake_hub;
mod driver;
mod sanitizer;
mod updates;
mod triage;
mod filters;
mod screens;
mod bytes;
mod scripts;
