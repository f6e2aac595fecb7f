//! The server: takes batches of many tenants' hubs, keeps them, analyses them, answers with alerts.
//!
//! One batch's way: [`clients`] -> [`tenant`] whose it is -> [`admit`] whether it may be taken ->
//! [`store`] the log, one commit, then its ACK -> [`analyse`] what it means -> [`store`] alerts and
//! cursor in one commit -> [`outbox`] -> the hub. Modules stand in dependency order.
#![forbid(unsafe_code)]

pub mod config;
pub mod tenant;
pub mod store;
pub mod admit;
pub mod outbox;
pub mod analyse;
pub mod command;
pub mod inbox;
pub mod live;
pub mod work;
pub mod clients;
mod verify;
mod backup;
pub mod inspect;
pub mod admin;
pub mod chain;
pub mod replay;
pub mod retrain;
mod server;

pub use server::{Running, StartError, bundle, credentials, start, start_with};
