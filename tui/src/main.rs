//! `nms-tui`: reads the environment, hands over to `cli`, ends with its exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use nms_tui::cli::{self, Env};

fn main() -> ExitCode {
    ExitCode::from(cli::run(std::env::args_os(), &Env::read()) as u8)
}
