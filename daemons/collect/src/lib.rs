//! Local sources: log files, the journal, `/dev/log`, file integrity, processes, connections. Modules stand in dependency order.
//!
//! A source hands chunks of drafts to `nms_kit::intake`, each with how far it was read; the daemon
//! makes both durable in one transaction. Every source can wait, and none sheds.
#![forbid(unsafe_code)]

pub mod moment;
pub mod counters;
pub mod portion;
pub mod line;
pub mod pattern;
pub mod checkpoint;
pub mod notice;
pub mod procfs;
pub mod names;
pub mod polled;
pub mod tail;
pub mod journal;
pub mod devlog;
pub mod fim;
pub mod processes;
pub mod connections;
pub mod plan;
