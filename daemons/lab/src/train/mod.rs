//! From generated logs to the shipped bundle, and the figures that go with it.

mod windows;
mod base;

pub use base::{BaseOptions, examples, train_base, training_network, training_set};
pub use windows::{Figures, Kinds, Labelled, evaluate, evaluation_network, evaluation_set, windows_of};
