//! `nmsd-server`: settings in, a server that runs until it is told to stop; and its admin verbs.
#![forbid(unsafe_code)]

mod model_verbs;
mod retrain_verbs;
mod verbs;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use log::LevelFilter;
use nms_kit::{
    exit::{self, Code, Failure},
    logger, service,
    task::Tasks,
};
use nmsd_server::{
    StartError,
    config::{self, Config},
    work::panics,
};

// Measured: events cross threads, and glibc's allocator costs three times the CPU there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest that the server may take to end, in milliseconds.
const STOP_MS_MAX: u64 = 15_000;
/// Threads of the executor: connections; analysis and the store have their own.
const TASK_THREADS: usize = 2;

/// Takes events of many networks' hubs, keeps them, finds attacks, answers with alerts.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file.
    #[arg(long, global = true, default_value = config::PATH)]
    config: PathBuf,
    /// Check the settings and end.
    #[arg(long)]
    check: bool,
    /// error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info")]
    log_level: LevelFilter,
    #[command(subcommand)]
    verb: Option<verbs::Verb>,
}

fn main() -> ExitCode {
    exit::report("nmsd-server", run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    if let Some(verb) = arguments.verb {
        return verbs::run(verb, &arguments.config);
    }
    let config =
        Config::load(&arguments.config).map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    if arguments.check {
        return check(&config);
    }
    serve(config)
}

/// Whether a server with these settings would start, as far as can be seen without starting it.
fn check(config: &Config) -> Result<(), Failure> {
    let wrong = |error: StartError| Failure::because(Code::Config, "the settings cannot be used", error);
    nmsd_server::credentials(config).map_err(wrong)?;
    nmsd_server::bundle(config.model.as_deref()).map_err(|error| wrong(StartError::Model(error)))?;
    Ok(())
}

fn serve(config: Config) -> Result<(), Failure> {
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    panics::leave_notes(&config.state);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    service::allow_descriptors();
    let running = smol::block_on(nmsd_server::start(config, &tasks))
        .map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready listen={}", running.address);
    service::live(&tasks, &signals, STOP_MS_MAX, || running.close())
}
