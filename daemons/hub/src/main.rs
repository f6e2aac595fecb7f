//! `nmsd-hub`: settings in, a hub that runs until it is told to stop.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use log::LevelFilter;
use nms_kit::{
    control::Request,
    exit::{self, Code, Failure},
    logger, service,
    spool_admin::{self, SpoolVerb},
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
    #[arg(long, global = true, default_value = "/etc/nms/hub.toml")]
    config: PathBuf,
    /// Check the settings and end.
    #[arg(long)]
    check: bool,
    /// error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info")]
    log_level: LevelFilter,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What else the program does.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Verb {
    /// Print how the running hub stands, as JSON.
    Status,
    /// Look at what waits in the spool, whether the hub runs or not.
    #[command(subcommand)]
    Spool(SpoolVerb),
}

fn main() -> ExitCode {
    exit::report("nmsd-hub", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    let config =
        Config::load(&arguments.config).map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    match arguments.verb {
        Some(Verb::Status) => {
            return spool_admin::ask(&config.control(), &Request::new("status")).map_err(spool_admin::refused);
        }
        Some(Verb::Spool(verb)) => return spool_admin::run(verb, &config.control(), &config.spool_file()),
        None if arguments.check => {
            let wrong = |error| Failure::because(Code::Config, "the settings cannot be used", error);
            return nmsd_hub::check(&config).map_err(wrong);
        }
        None => {}
    }
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    let running = smol::block_on(nmsd_hub::start(config, &tasks))
        .map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready dashboard={}", running.dash.display());
    service::live(&tasks, &signals, STOP_MS_MAX, || ())
}

/// Threads of the executor: reading and writing sockets; the core has its own.
const TASK_THREADS: usize = 2;
