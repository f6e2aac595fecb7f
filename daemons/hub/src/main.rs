//! `nmsd-hub`: settings in, a hub that runs until it is told to stop.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use log::LevelFilter;
use nms_kit::{
    exit::{self, Code, Failure},
    logger,
    service::{self, Signal},
    task::Tasks,
};
use nmsd_hub::config::Config;

// Measured: events cross threads, and glibc's allocator costs three times the CPU there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest that the hub may take to end, in milliseconds.
const STOP_MS_MAX: u64 = 10_000;

/// Takes syslog and agents, correlates, spools, sends to the server, serves the dashboard.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file.
    #[arg(long, default_value = "/etc/nms/hub.toml")]
    config: PathBuf,
    /// Check the settings and end.
    #[arg(long)]
    check: bool,
    /// error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: LevelFilter,
}

fn main() -> ExitCode {
    exit::report("nmsd-hub", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    let config =
        Config::load(&arguments.config).map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    if arguments.check {
        return Ok(());
    }
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    let running = smol::block_on(nmsd_hub::start(config, &tasks))
        .map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready dashboard={}", running.dash.display());
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

/// Threads of the executor: reading and writing sockets; the core has its own.
const TASK_THREADS: usize = 2;
