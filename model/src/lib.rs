//! Log line to log key to window to LogBERT to score.
//!
//! Pure but for candle: no network, no store, no clock. Modules stand in dependency order, each uses
//! only modules above it, so this file reads as a tour.
#![forbid(unsafe_code)]

pub mod bert;
pub mod bundle;
pub mod cache;
pub mod corrupt;
pub mod eval;
pub mod explain;
pub mod fast;
pub mod key;
pub mod net;
pub mod random;
pub mod score;
pub mod sequence;
pub mod template;
pub mod train;
pub mod window;
