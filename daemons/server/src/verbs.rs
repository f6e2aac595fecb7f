//! The verbs beside running: `init`, `token`, `analyse`, and those that ask the running server.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{self, Path, PathBuf},
    time::UNIX_EPOCH,
};

use clap::{Args, Subcommand};
use nms_kit::{
    clock,
    config::ConfigError,
    control::{self, ControlError, Request},
    digest,
    exit::{Code, Failure},
    host,
    identity_admin::{self, EnrolledVerb, Terms},
    pki,
};
use nms_proto::{
    id::{EndpointId, TenantId},
    limits::LINE_BYTES_MAX,
};
use nmsd_server::{
    StartError,
    analyse::model::Model,
    config::{self, Config},
    inspect::{self, Inspection},
    replay::{Counts, FirstYear, Reading, Replay, Style, YEARS},
};

use crate::model_verbs::{self, ModelVerb};

/// What else the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the server's authority and certificate.
    Init {
        /// A host name or address that hubs will connect to; several may be given. The host's name by default.
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
    },
    /// Make, list and revoke tokens: those that enrol a hub once, and standing ones.
    #[command(subcommand)]
    Token(TokenVerb),
    /// List and revoke the certificates of hubs.
    #[command(subcommand)]
    Hub(EnrolledVerb),
    /// Look at a log file in its own time and print the alerts.
    Analyse(Analyse),
    /// Send a command to a tenant's hubs and print what comes of it.
    Command {
        /// What to do: `request_fim_report`.
        action: String,
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The source, as events name it.
        #[arg(long)]
        target: String,
        /// Print JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print how the running server stands, JSON lines.
    Status,
    /// Look into the log, whether the server runs or not.
    #[command(subcommand)]
    Log(LogVerb),
    /// Models: what one is, and one as an ONNX file, out and in.
    #[command(subcommand)]
    Model(ModelVerb),
    /// Read everything that is kept, whether the server runs or not; fails where something is damaged.
    Verify,
    /// Copy everything that is kept to a folder, whether the server runs or not.
    Backup {
        /// The folder: new, or empty.
        folder: PathBuf,
        /// With authority, certificate and keys of the state folder.
        #[arg(long)]
        with_keys: bool,
    },
    /// Put a backup into the empty state folder of a server that does not run, and verify it.
    Restore {
        /// The backup's folder.
        folder: PathBuf,
    },
}

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Print every stored batch of a tenant as JSON, one a line.
    Dump {
        /// The tenant.
        #[arg(long)]
        tenant: TenantId,
    },
}

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Make a token that enrols one hub: nmsd-hub enroll TOKEN. The server must run.
    New {
        /// The tenant whose hub it will be.
        #[arg(long, default_value = "home")]
        tenant: String,
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
    /// Make a standing tenant token, and the settings that take it: for hubs that are not enrolled.
    Standing {
        /// The tenant's name.
        #[arg(default_value = "home")]
        tenant: String,
    },
}

/// How a file is looked at.
#[derive(Debug, Args)]
pub(crate) struct Analyse {
    /// The file; - for standard input.
    file: PathBuf,
    /// The source of every line; the host that a line names by default.
    #[arg(long)]
    source: Option<String>,
    /// Offset from UTC of stamps that name none, in seconds.
    #[arg(long, value_name = "S", default_value_t = 0, allow_hyphen_values = true)]
    utc_offset: i32,
    /// Year of the first stamp that names none; it goes on over New Year. By default such that the last line lies in the
    /// 12 months before the file's modification.
    #[arg(long, value_parser = year)]
    year: Option<i16>,
    /// Print JSON, one object a revision.
    #[arg(long)]
    json: bool,
    /// Also print what each line came to, JSON.
    #[arg(long)]
    lines: bool,
}

/// A year that a log can be of.
pub(crate) fn year(text: &str) -> Result<i16, String> {
    let expected = format!("expected a year from {} to {}", YEARS.start(), YEARS.end());
    text.parse().ok().filter(|year| YEARS.contains(year)).ok_or(expected)
}

/// Carries out a verb.
pub(crate) fn run(verb: Verb, settings: &Path) -> Result<(), Failure> {
    match verb {
        Verb::Init { names } => init(settings, names),
        Verb::Token(TokenVerb::Standing { tenant }) => token(&tenant),
        Verb::Token(TokenVerb::New { tenant, terms }) => ask(settings, &identity_admin::request_new(&tenant, &terms)),
        Verb::Token(TokenVerb::List) => ask(settings, &Request::new("token list")),
        Verb::Token(TokenVerb::Revoke { id }) => ask(settings, &Request::new("token revoke").with("id", &id)),
        Verb::Hub(verb) => ask(settings, &verb.request()),
        Verb::Analyse(analyse) => look(settings, &analyse),
        Verb::Command { action, tenant, target, json } => {
            let request = Request::new("command").with("action", &action).with("tenant", &tenant);
            ask(settings, &request.with("target", &target).with("json", if json { "true" } else { "false" }))
        }
        Verb::Status => ask(settings, &Request::new("status")),
        Verb::Model(verb) => model_verbs::run(verb, settings),
        Verb::Verify => look_into(settings, &Inspection::Verify),
        Verb::Backup { folder, with_keys } => {
            let absolute = path::absolute(&folder);
            let folder = absolute.map_err(|error| Failure::because(Code::Usage, "cannot use that folder", error))?;
            look_into(settings, &Inspection::Backup { folder, with_keys })
        }
        Verb::Restore { folder } => {
            let (state, control) = Config::places(settings).map_err(configured)?;
            inspect::restore(&folder, &control, &state, |line| say(&line).is_ok())
        }
        Verb::Log(LogVerb::Dump { tenant }) => look_into(settings, &Inspection::LogDump { tenant }),
    }
}

pub(crate) fn configured(error: ConfigError) -> Failure {
    Failure::because(Code::Config, "cannot use the settings", error)
}

fn init(settings: &Path, mut names: Vec<String>) -> Result<(), Failure> {
    let state = Config::state_folder(settings).map_err(configured)?;
    if names.is_empty() {
        names.push(host::name());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
    made.map_err(|error| Failure::because(Code::CantCreate, format!("cannot make {}", state.display()), error))?;
    let files = config::pki_files(&state);
    pki::init(&files, &names, clock::unix_ms())
        .map_err(|error| Failure::because(Code::CantCreate, "cannot make the authority", error))?;
    say(&format!(
        "made {} for {}\nenrol hubs with nmsd-server token new, or copy {} to each and name it there as server.ca",
        files.certificate.display(),
        names.join(", "),
        files.ca.display()
    ))
}

fn token(tenant: &str) -> Result<(), Failure> {
    let tenant: TenantId =
        tenant.parse().map_err(|error| Failure::because(Code::Usage, "cannot use that name", error))?;
    let token = pki::token().map_err(|error| Failure::because(Code::Software, "cannot make a token", error))?;
    let hash = digest::hex(&digest::sha256(token.as_bytes()));
    say(&format!(
        "# in the hub's settings, under [server]; it is shown only now\ntoken = \"{token}\"\n\n\
         # in the server's settings\n[[tenant]]\nname = \"{tenant}\"\ntoken_sha256 = \"{hash}\""
    ))
}

fn ask(settings: &Path, request: &Request) -> Result<(), Failure> {
    let config = Config::load(settings).map_err(configured)?;
    let mut written = Ok(());
    let asked = control::ask(&config.control, request, |line| written = say(line));
    smol::block_on(asked).map_err(|error| {
        let code = if matches!(error, ControlError::Refused(_)) { Code::Data } else { Code::Unavailable };
        Failure::new(code, error.to_string())
    })?;
    written
}

fn look_into(settings: &Path, what: &Inspection) -> Result<(), Failure> {
    let config = Config::load(settings).map_err(configured)?;
    inspect::run(what, &config.control, &config.state)
}

fn look(settings: &Path, analyse: &Analyse) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::because(Code::Io, format!("cannot read {}", analyse.file.display()), error);
    let (input, modified_ms): (Box<dyn Read>, i64) = if analyse.file.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), clock::unix_ms())
    } else {
        let file = File::open(&analyse.file).map_err(failed)?;
        let modified = file.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        (Box::new(file), since.as_millis() as i64)
    };
    let mut first = analyse.year;
    if first.is_none() && analyse.file.as_os_str() != "-" {
        first = Some(first_year(&analyse.file, modified_ms, analyse.utc_offset).map_err(failed)?);
    }
    // The model of the settings, where there are settings; the shipped one otherwise.
    let folder = if settings.exists() { Config::load(settings).map_err(configured)?.model } else { None };
    let bundle = nmsd_server::bundle(folder.as_deref()).map_err(StartError::Model);
    let model = bundle.and_then(|bundle| Model::new(&bundle).map_err(StartError::Weights));
    let model = model.map_err(|error| Failure::because(Code::Config, "cannot load the model", error))?;
    let reading = Reading {
        source: analyse.source.as_deref().map(EndpointId::new),
        utc_offset_s: analyse.utc_offset,
        year: first,
        modified_ms,
        admins: Vec::new(),
    };
    let replay = Replay::new(reading, model, Style { json: analyse.json, lines: analyse.lines });
    replay_lines(replay, BufReader::with_capacity(1 << 16, input)).map_err(failed)
}

/// The year of a file's first line, so that its last one lies in the 12 months before it was written last.
pub(crate) fn first_year(file: &Path, modified_ms: i64, utc_offset_s: i32) -> io::Result<i16> {
    let mut lines = FirstYear::new(modified_ms, utc_offset_s);
    each_line(BufReader::with_capacity(1 << 16, File::open(file)?), |line| lines.line(line))?;
    Ok(lines.year())
}

/// Hands over the lines of `input`, cut at [`LINE_BYTES_MAX`].
pub(crate) fn each_line(mut input: impl BufRead, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let taken = (&mut input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
        if taken == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if taken > LINE_BYTES_MAX {
            input.skip_until(b'\n')?;
        }
        look(&line);
    }
}

/// Replays the lines of `input` and prints what comes of them.
fn replay_lines(mut replay: Replay, input: impl BufRead) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut broken = Ok(());
    let mut print = |line: String| {
        if broken.is_ok() {
            broken = writeln!(out, "{line}");
        }
    };
    each_line(input, |line| replay.line(line, &mut print))?;
    let counts = replay.finish(&mut print);
    let Counts { lines, refused, alerts, revisions, windows, cache_hits, .. } = counts;
    log::info!(
        "looked at lines={lines} refused={refused} alerts={alerts} revisions={revisions} windows={windows} cache_hits={cache_hits}"
    );
    // Whoever reads may have seen enough.
    match broken.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

pub(crate) fn say(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(|error| Failure::because(Code::Io, "cannot write", error))
}
