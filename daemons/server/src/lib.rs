//! The server: tenants, log, LogBERT analysis, results.
#![forbid(unsafe_code)]
