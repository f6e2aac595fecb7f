//! Correlators, fusion and incidents: pure, with time as an argument.
#![forbid(unsafe_code)]
