//! The hub: takes syslog and agents, correlates, spools, sends to the server, serves the dashboard.
#![forbid(unsafe_code)]
