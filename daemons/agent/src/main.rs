//! `nmsd-agent`: settings in, an agent that runs until it is told to stop.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use log::LevelFilter;
use nms_collect::plan;
use nms_kit::{
    exit::{self, Code, Failure},
    logger,
    service::{self, Signal},
    task::Tasks,
};
use nmsd_agent::config::Config;

/// Longest that the agent may take to end, in milliseconds.
const STOP_MS_MAX: u64 = 10_000;
/// Threads of the executor: it serves the uplink and reads the journal; files have threads of their own.
const TASK_THREADS: usize = 1;

/// Collects on one host: log files, the journal, file integrity; sends to the hub.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file.
    #[arg(long, default_value = "/etc/nms/agent.toml")]
    config: PathBuf,
    /// Check the settings and end.
    #[arg(long)]
    check: bool,
    /// error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: LevelFilter,
}

fn main() -> ExitCode {
    exit::report("nmsd-agent", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    let config = Config::load(&arguments.config, plan::journal_present())
        .map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    if arguments.check {
        return Ok(());
    }
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    let hub = config.hub.address.clone();
    nmsd_agent::start(config, &tasks).map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready hub={hub}");
    service::ready(&tasks);
    smol::block_on(async {
        while let Ok(signal) = signals.recv().await {
            match signal {
                Signal::Stop => break,
                Signal::Reload => log::warn!("settings are read at start only; restart to change them"),
            }
        }
    });
    service::stopping();
    let late = tasks.join(STOP_MS_MAX);
    if late.is_empty() {
        log::info!("stopped");
        return Ok(());
    }
    Err(Failure::new(Code::Software, format!("did not end in time: {}", late.join(", "))))
}
