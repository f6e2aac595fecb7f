//! Evaluation on public data: read in place, never copied.

mod measure;
mod baseline;
mod hdfs;
mod templates;
mod rewordings;
mod transfer;

pub use hdfs::{HdfsFiles, HdfsOptions, Split, hdfs};
pub use measure::Row;
pub use templates::{Grouping, accuracy, templates};
pub use transfer::{Figure, transfer};
