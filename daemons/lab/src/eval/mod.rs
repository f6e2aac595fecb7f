//! Evaluation on public data: read in place, never copied.

mod measure;
mod baseline;
mod hdfs;
mod templates;
mod probability;
mod rewordings;
mod transfer;
mod lines;
mod security;
mod coverage;
mod alerts;
mod scenarios;

pub use alerts::{CaseMiss, Quiet, crowdsec, quiet_log, quiet_network};
pub use coverage::{Coverage, coverage};
pub use hdfs::{HdfsFiles, HdfsOptions, Split, hdfs};
pub use measure::Row;
pub use scenarios::{Layer, Mode, Outcome, ScenarioOptions, Suite, scenarios};
pub use security::{Miss, Score, fail2ban};
pub use templates::{Grouping, accuracy, templates};
pub use transfer::{Figure, transfer};
