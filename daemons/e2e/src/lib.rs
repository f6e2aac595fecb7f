//! A stage: server, hubs and agents on loopback, in a temporary folder that ends with the value.
//!
//! Shared by the end-to-end tests (`tests/it`), the demo (`xtask`) and the bench (`nms-lab`). The daemons are
//! binaries that it starts, not crates that it knows; their settings are written in `settings.rs` and
//! nowhere else.
#![forbid(unsafe_code)]

mod settings;
mod stage;

pub use settings::Hub;
pub use stage::Stage;
