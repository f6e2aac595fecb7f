//! `nmsd-agent`: settings in, an agent that runs until it is told to stop.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use log::LevelFilter;
use nms_collect::plan;
use nms_kit::{
    control::Request,
    enroll::{self, EnrollArguments, Known},
    exit::{self, Code, Failure},
    logger,
    pki::HUB_NAME,
    service,
    spool_admin::{self, SpoolVerb},
    task::Tasks,
};
use nmsd_agent::config::Config;

/// Longest that the agent may take to end, in milliseconds.
const STOP_MS_MAX: u64 = 10_000;
/// Threads of the executor: it serves the uplink and reads the journal; files have threads of their own.
const TASK_THREADS: usize = 1;

/// Collects on one host: log files, the journal, file integrity, processes, connections; sends to the hub.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file.
    #[arg(long, global = true, default_value = "/etc/nms/agent.toml")]
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
#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Enrol this agent at its hub with a token of the hub's: nmsd-hub token new.
    Enroll(EnrollArguments),
    /// Print how the running agent stands, as JSON.
    Status,
    /// Look at what waits in the spool, whether the agent runs or not.
    #[command(subcommand)]
    Spool(SpoolVerb),
}

fn main() -> ExitCode {
    exit::report("nmsd-agent", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    let config = Config::load(&arguments.config, plan::journal_present())
        .map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    match &arguments.verb {
        Some(Verb::Enroll(asked)) => return enroll(asked, &config),
        Some(Verb::Status) => {
            return spool_admin::ask(&config.control(), &Request::new("status")).map_err(spool_admin::refused);
        }
        Some(Verb::Spool(verb)) => return spool_admin::run(*verb, &config.control(), &config.spool_file()),
        None if arguments.check => {
            let wrong = |error| Failure::because(Code::Config, "the settings cannot be used", error);
            return nmsd_agent::check(&config).map_err(wrong);
        }
        None => {}
    }
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    let hub = config.hub.address.clone();
    nmsd_agent::start(config, &tasks).map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready hub={hub}");
    service::live(&tasks, &signals, STOP_MS_MAX, || ())
}

fn enroll(asked: &EnrollArguments, config: &Config) -> Result<(), Failure> {
    let address = Some(config.hub.address.as_str()).filter(|address| !address.starts_with('/'));
    let known = Known { address, name: Some(config.hub.name.as_deref().unwrap_or(HUB_NAME)) };
    let done = enroll::verb(asked, known, &config.name, &config.place());
    let mut said = done.map_err(|problem| Failure::new(Code::Unavailable, format!("cannot enrol: {problem}")))?;
    let is_else = config.hub.plain || config.hub.ca.is_some() || address.is_none();
    said.push_str(if is_else {
        "\nnow give [hub] in the agent's settings the address of the hub, without plain and ca, and restart it"
    } else {
        "\nrestart the agent where it runs"
    });
    writeln!(io::stdout().lock(), "{said}").map_err(|error| Failure::because(Code::Io, "cannot write", error))
}
