//! The crate's one integration target.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, as tests do"
)]
mod bundle;
mod hf;
mod key;
mod measures;
mod net;
mod onnx;
mod score;
mod session;
mod template;
mod train;
mod window;
mod words;
