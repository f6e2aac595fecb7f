//! What log lines mean together: extraction, correlators, incidents, fusion. Pure, with time as an argument.
//!
//! The hub feeds every event to a [`Correlator`], which says at once what it found; the server fuses
//! each [`Finding`](nms_proto::finding::Finding) with the model's verdict. Nothing here reads a clock,
//! a file or a random number. Modules stand in dependency order, so this file reads as a tour.
#![forbid(unsafe_code)]

mod text;
mod extract;
mod bounded;
mod subject;
mod incident;
mod incidents;
mod correlate;
mod calibrate;
mod fuse;

pub use correlate::{Correlator, Counters, Settings};
pub use extract::extract;
pub use fuse::{Standing, Unusual, fuse, model_only, newer, provisional};
