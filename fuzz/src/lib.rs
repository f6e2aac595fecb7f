//! Fuzz targets: everything that reads bytes from outside, with what must hold whatever the bytes are.
//!
//! One function a target, and two that drive it: `cargo xtask fuzz`, where a fuzzer looks for inputs
//! by coverage, and the test of this crate, which runs every target over its corpus
//! (`fuzz/corpus/NAME`) and over mutations of it on stable. A target fails by panicking: in the code
//! that it calls, or because of an assertion of its own (what was decoded is encoded and decoded
//! again, a stream cut anywhere gives the same, a bound holds).
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a target fails by panicking"
)]

mod input;
mod travel;
mod wire;
mod syslog;
mod client;
mod server;
mod pair;
mod host;
mod store;
mod collect;
mod meaning;
mod model;
mod tui;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Most memory of a process that runs targets, in bytes: what allocates for a hostile length ends it.
const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// One thing that reads bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of the folder of its corpus.
    pub name: &'static str,
    /// Reads `bytes` and holds what came of it against what must be so. Panics where it is not.
    pub run: fn(&[u8]),
}

const fn of(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    of("frame", wire::frame),
    of("message", wire::message),
    of("batch", wire::batch),
    of("dash", wire::dash),
    of("names", wire::names),
    of("syslog", syslog::syslog),
    of("syslog_stream", syslog::stream),
    of("scan", syslog::scan),
    of("client_session", client::session),
    of("server_session", server::session),
    of("receiver", server::receiver),
    of("sessions", pair::sessions),
    of("proxy", host::proxy),
    of("settings", host::settings),
    of("certificates", host::certificates),
    of("tokens", host::tokens),
    of("admin", host::admin),
    of("spool_rows", store::spool_rows),
    of("log_entry", store::log_entry),
    of("journal", collect::journal),
    of("tail", collect::tail),
    of("checkpoint", collect::checkpoint),
    of("host_files", collect::host_files),
    of("patterns", collect::patterns),
    of("extract", meaning::extract),
    of("hidden_actor", meaning::hidden_actor),
    of("correlate", meaning::correlate),
    of("miner", model::miner),
    of("snapshots", model::snapshots),
    of("bundle", model::bundle),
    of("onnx", model::onnx_file),
    of("safe_text", tui::safe_text),
    of("filter", tui::filter),
    of("dashboard", tui::dashboard),
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Bounds the memory of this process, so that a length that was believed shows.
pub fn bound_memory() {
    let limit = Rlimit { current: Some(MEMORY_BYTES_MAX), maximum: Some(MEMORY_BYTES_MAX) };
    // A process that is bounded more tightly already stays so.
    setrlimit(Resource::As, limit).ok();
}
