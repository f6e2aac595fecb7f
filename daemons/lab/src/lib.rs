//! Corpus generator, training, evaluation and bench drivers; never packaged.
#![forbid(unsafe_code)]

pub mod corpus;
pub mod train;
pub mod eval;
pub mod bench;
pub mod torture;
