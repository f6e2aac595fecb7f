//! The dashboard and its scripting verbs; a client of the hub's socket.
#![forbid(unsafe_code)]
