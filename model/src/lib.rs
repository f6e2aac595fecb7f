//! Log line to log key to window to LogBERT to score.
//!
//! Pure but for candle: no network, no store, no clock. Modules stand in dependency order, each uses
//! only modules above it, so this file reads as a tour.
#![forbid(unsafe_code)]

pub mod random;
pub mod cache;
pub mod template;
pub mod key;
pub mod window;
pub mod sequence;
pub mod net;
pub mod words;
pub mod bert;
pub mod fast;
pub mod masked;
pub mod bundle;
pub mod onnx;
pub mod hf;
pub mod serving;
pub mod score;
pub mod explain;
pub mod corrupt;
pub mod train;
pub mod session;
pub mod eval;
