//! A model for one's own logs: windows out of log files, a net trained on them, and what it and others make of them.
//!
//! ```text
//! line -> replay::Lines -> extract -> key -> windows        as the server cuts them
//!      -> the first 80 % to learn from, 10 % to calibrate on, the last 10 % to judge by, in the order of time
//! ```
//! Windows that hold events of a correlator's finding are left out of learning and calibrating: guessing that comes every
//! day is no ordinary life. Pure: lines come in, nothing is read or written here.

mod gather;
mod train;
mod measure;

pub use gather::{Gathered, Gatherer, Parts};
pub use measure::{Figures, Foreseen, figures};
pub use train::{Plan, RetrainError, Training, WINDOWS_MIN};
