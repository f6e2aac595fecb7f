//! Tests of the server: virtual time, real stores in temporary folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod world;
mod stage;
#[path = "../../../kit/tests/it/sim.rs"]
#[allow(dead_code, reason = "the kit's tests use the rest of it")]
mod sim;
mod admit;
mod analyse;
mod backup;
mod config;
mod deaths;
mod inbox;
mod inspect;
mod outbox;
mod power;
mod replay;
mod restart;
mod retrain;
mod store;
mod tenant;
mod usual;
mod wire;
mod identity;
mod balancer;
mod stalled;
