//! The agent: collects on one host, spools, sends to the hub.
#![forbid(unsafe_code)]
