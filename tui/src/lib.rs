//! The dashboard and its scripting verbs; a client of the hub's socket.
//!
//! The way of a word: `link` reads it from the hub, `app` takes it in, `view` draws it with text
//! that went through `safe`, `term` writes the cells that changed. `plain` says the same to scripts.
//! Modules stand in dependency order: each uses only modules above it.
#![forbid(unsafe_code)]

pub mod safe;
pub mod text;
pub mod theme;
pub mod msg;
pub mod keys;
pub mod list;
pub mod filter;
pub mod lines;
pub mod layout;
pub mod detail;
pub mod app;
pub mod view;
pub mod plain;
pub mod link;
pub mod clock;
pub mod script;
pub mod term;
pub mod cli;
