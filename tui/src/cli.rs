//! The command line: what was asked for, checked, and which shell does it.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::{Parser, Subcommand};

use crate::{
    clock::Clock,
    filter::Filter,
    link::Target,
    plain::{Exit, Form, Part, Tail},
    safe::Safe,
    script,
    term::{self, Look},
    theme::Theme,
};

/// Lines that `tail` begins with, as tail(1) does.
const TAIL_LINES: usize = 10;
/// Shortest time between frames on this machine, in milliseconds.
const FRAME_MS: u64 = 33;
/// Shortest time between frames over SSH, in milliseconds.
const FRAME_MS_SSH: u64 = 100;

/// Shows what the hub sees: alerts, logs, endpoints and the link to the server.
#[derive(Debug, Parser)]
#[command(name = "nms-tui", version, after_help = EXIT_CODES)]
pub struct Args {
    /// The hub's socket [default: /run/nmsd-hub/dash.sock, else dash-ro.sock beside it]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Print what stands now, and end
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "alerts")]
    once: Option<Part>,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// Words instead of a screen: one line a change
    #[arg(long, global = true, conflicts_with = "json")]
    plain: bool,
    /// Only what passes, such as 'sev>=HIGH status=open'
    #[arg(long, value_name = "FILTER", global = true)]
    filter: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Follow log lines and alerts, one a line
    Tail {
        /// Lines to begin with
        #[arg(long, value_name = "N", default_value_t = TAIL_LINES)]
        lines: usize,
    },
}

const EXIT_CODES: &str = "Exit codes of --once: 0 nothing of severity HIGH or more is open, 1 something is, \
2 the hub is not reached, 3 the server is away and what it said may be out of date. 64: wrong usage.
Without a terminal, with TERM=dumb or with NMS_PLAIN=1, nms-tui means nms-tui tail.";

/// What the environment says.
#[derive(Debug, Default)]
pub struct Env {
    /// `NO_COLOR`.
    pub no_color: Option<String>,
    /// `TERM`.
    pub term: Option<String>,
    /// `COLORTERM`.
    pub colorterm: Option<String>,
    /// `NMS_PLAIN`.
    pub plain: Option<String>,
    /// `SSH_CONNECTION`.
    pub ssh: Option<String>,
}

impl Env {
    /// The environment of this process.
    pub fn read() -> Self {
        let read = |name| std::env::var(name).ok();
        Self {
            no_color: read("NO_COLOR"),
            term: read("TERM"),
            colorterm: read("COLORTERM"),
            plain: read("NMS_PLAIN"),
            ssh: read("SSH_CONNECTION"),
        }
    }

    /// Whether this is no place for a screen.
    fn is_plain(&self) -> bool {
        self.term.as_deref() == Some("dumb") || self.plain.as_deref().is_some_and(|value| !matches!(value, "" | "0"))
    }

    fn look(&self) -> Look {
        let theme = Theme::from_env(self.no_color.as_deref(), self.term.as_deref(), self.colorterm.as_deref());
        Look { theme, frame_ms: if self.ssh.is_some() { FRAME_MS_SSH } else { FRAME_MS } }
    }
}

/// Does what `args` ask for.
pub fn run(args: impl IntoIterator<Item = OsString>, env: &Env) -> Exit {
    match Args::try_parse_from(args) {
        Ok(args) => obey(args, env),
        Err(error) => {
            let wrong = error.use_stderr();
            // Where even this cannot be written, the exit code says it.
            let _best_effort = error.print();
            if wrong { Exit::Usage } else { Exit::Fine }
        }
    }
}

fn obey(args: Args, env: &Env) -> Exit {
    let filter = match Filter::parse(args.filter.as_deref().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(error) => return complain(&error, Exit::Usage),
    };
    let (target, clock) = (Target::new(args.socket), Clock::new());
    let form = if args.json { Form::Json } else { Form::Plain };
    if let Some(part) = args.once {
        return smol::block_on(script::once(&target, clock, part, form, &filter));
    }
    let lines = match args.verb {
        Some(Verb::Tail { lines }) => lines,
        None if args.plain || args.json || env.is_plain() || !io::stdout().is_terminal() => TAIL_LINES,
        None => {
            return match term::run(target, clock, env.look()) {
                Ok(()) => Exit::Fine,
                Err(error) => complain(&format_args!("the terminal cannot be used: {error}; try --plain"), Exit::Usage),
            };
        }
    };
    smol::block_on(script::tail(&target, clock, Tail::new(form, filter, lines)))
}

fn complain(what: &dyn std::fmt::Display, exit: Exit) -> Exit {
    let _best_effort = writeln!(io::stderr(), "nms-tui: {}", Safe::say(format_args!("{what}")));
    exit
}
