//! `nmsd-hub`: settings in, a hub that runs until it is told to stop.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use log::LevelFilter;
use nms_kit::{
    control::Request,
    enroll::{self, EnrollArguments, Known},
    exit::{self, Code, Failure},
    identity_admin::{self, EnrolledVerb, Terms},
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
#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Enrol this hub at its server with a token of the server's: nmsd-server token new.
    Enroll(EnrollArguments),
    /// Print how the running hub stands, as JSON.
    Status,
    /// Make, list and revoke tokens that enrol an agent once. The hub must run.
    #[command(subcommand)]
    Token(TokenVerb),
    /// List and revoke the certificates of agents.
    #[command(subcommand)]
    Agent(EnrolledVerb),
    /// Look at what waits in the spool, whether the hub runs or not.
    #[command(subcommand)]
    Spool(SpoolVerb),
}

/// What is done with tokens.
#[derive(Clone, Debug, Subcommand)]
enum TokenVerb {
    /// Make a token that enrols one agent: nmsd-agent enroll TOKEN.
    New {
        /// The agent's name: the source of its events.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Print the tokens, JSON lines.
    List,
    /// Take a token back that was not used.
    Revoke {
        /// Its id, from the list.
        id: String,
    },
}

impl TokenVerb {
    fn request(&self) -> Request {
        match self {
            Self::New { name, terms } => identity_admin::request_new(name, terms),
            Self::List => Request::new("token list"),
            Self::Revoke { id } => Request::new("token revoke").with("id", id),
        }
    }
}

fn main() -> ExitCode {
    exit::report("nmsd-hub", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    logger::start(arguments.log_level);
    let config =
        Config::load(&arguments.config).map_err(|error| Failure::because(Code::Config, "cannot start", error))?;
    match &arguments.verb {
        Some(Verb::Enroll(asked)) => return enroll(asked, &config),
        Some(Verb::Status) => return ask(&config, &Request::new("status")),
        Some(Verb::Token(verb)) => return ask(&config, &verb.request()),
        Some(Verb::Agent(verb)) => return ask(&config, &verb.request()),
        Some(Verb::Spool(verb)) => return spool_admin::run(*verb, &config.control(), &config.spool_file()),
        None if arguments.check => {
            let wrong = |error| Failure::because(Code::Config, "the settings cannot be used", error);
            return nmsd_hub::check(&config).map_err(wrong);
        }
        None => {}
    }
    let failed = |error| Failure::because(Code::Software, "cannot start", error);
    let tasks = Tasks::start(TASK_THREADS).map_err(failed)?;
    let signals = service::signals().map_err(failed)?;
    service::allow_descriptors();
    let running = smol::block_on(nmsd_hub::start(config, &tasks))
        .map_err(|error| Failure::because(Code::Unavailable, "cannot start", error))?;
    log::info!("ready dashboard={}", running.dash.display());
    service::live(&tasks, &signals, STOP_MS_MAX, || ())
}

fn ask(config: &Config, request: &Request) -> Result<(), Failure> {
    spool_admin::ask(&config.control(), request).map_err(spool_admin::refused)
}

fn enroll(asked: &EnrollArguments, config: &Config) -> Result<(), Failure> {
    let server = config.server.as_ref();
    let known = Known {
        address: server.map(|server| server.address.as_str()),
        name: server.and_then(|server| server.name.as_deref()),
    };
    let done = enroll::verb(asked, known, &config.name, &config.place());
    let mut said = done.map_err(|problem| Failure::new(Code::Unavailable, format!("cannot enrol: {problem}")))?;
    said.push_str(match server {
        None => "\nnow set [server] address in the hub's settings, and restart it",
        Some(server) if server.ca.is_some() => {
            "\nnow take ca and token out of [server] in the hub's settings, and restart it"
        }
        Some(_) => "\nrestart the hub where it runs",
    });
    writeln!(io::stdout().lock(), "{said}").map_err(|error| Failure::because(Code::Io, "cannot write", error))
}

/// Threads of the executor: reading and writing sockets; the core has its own.
const TASK_THREADS: usize = 2;
