//! The one place that touches the operating system for every daemon: clock, tasks, settings,
//! logging, TLS, sockets, stores. Modules stand in dependency order.
#![forbid(unsafe_code)]

pub mod exit;
pub mod fault;
pub mod clock;
pub mod digest;
pub mod logger;
pub mod refusals;
pub mod host;
pub mod secret;
pub mod config;
pub mod task;
pub mod service;
pub mod tls;
pub mod pki;
pub mod store;
pub mod net;
pub mod token;
pub mod roll;
pub mod enroll;
pub mod renew;
pub mod control;
pub mod spool_admin;
pub mod identity_admin;
pub mod intake;
pub mod spooler;
pub mod drive;
pub mod peer;
pub mod uplink;
pub mod downlink;
