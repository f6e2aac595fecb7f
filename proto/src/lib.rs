//! What is said on the wire, and when: events, syslog, frames, messages, sessions, flow.
//!
//! Pure: no sockets, no clock, no files, no threads, no randomness. Time and bytes come as
//! arguments, what to do comes back as values. Modules stand in dependency order: each uses only
//! modules above it, so this file reads as a tour.
#![forbid(unsafe_code)]

pub mod limits;
pub mod unseen;
pub mod time;
mod word;
pub mod id;
pub mod severity;
pub mod confidence;
pub mod extraction;
pub mod scan;
pub mod finding;
pub mod json;
pub mod event;
pub mod syslog;
pub mod alert;
pub mod frame;
pub mod message;
pub mod dash;
pub mod framed;
pub mod flow;
pub mod session;
