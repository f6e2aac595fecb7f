//! From settings to running collectors.
//!
//! [`check`] turns settings into a [`Plan`] or says what is wrong with them; [`start`] runs it. Where
//! sources overlap one is taken: the journal where there is one, else the files; both only where the
//! settings name units and files that share no lines. `/dev/log` is opened only where there is no journal
//! and nobody holds it: a syslog daemon that does writes the files that are read.

mod overlap;
mod polled;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{intake::Sender, store::StoreError, task::Tasks};
use nms_proto::id::EndpointId;
use serde::{Deserialize, Deserializer, de};

pub use self::polled::{Connections, INTERVAL_MS, Processes};
use crate::{
    connections,
    counters::Counters,
    devlog,
    fim::{self, ReportError, scan},
    journal,
    names::PASSWD,
    pattern::{self, Pattern, PatternError},
    processes,
    tail::{self, Checkpoints, Tail},
};

/// The files that are read where there is no journal and the settings name none.
pub const FILES_DEFAULT: [&str; 5] =
    ["/var/log/auth.log", "/var/log/syslog", "/var/log/secure", "/var/log/messages", "/var/log/cron"];

/// The collectors' settings, as they stand in a daemon's file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Log files, with `*`; none for the usual ones where there is no journal.
    pub files: Option<Vec<String>>,
    /// The journal; none for where there is one and no files are named.
    pub journal: Option<Journal>,
    /// `/dev/log`; none for where there is no journal, nobody else holds it and no files are named.
    pub devlog: Option<bool>,
    /// Whether what has no checkpoint is read from its beginning instead of from now.
    pub from_start: bool,
    /// File integrity.
    pub fim: Fim,
    /// Processes that start.
    pub processes: Processes,
    /// TCP connections.
    pub connections: Connections,
}

/// What is read of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journal {
    /// All of it, or nothing.
    All(bool),
    /// These units.
    Units(Vec<String>),
}

impl<'de> Deserialize<'de> for Journal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Journal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a list of units such as [\"ssh.service\"]")
            }
            fn visit_bool<E: de::Error>(self, all: bool) -> Result<Journal, E> {
                Ok(Journal::All(all))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Journal, A::Error> {
                let mut units = Vec::new();
                while let Some(unit) = list.next_element()? {
                    units.push(unit);
                }
                Ok(Journal::Units(units))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// File integrity's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fim {
    /// Whether files are watched at all.
    pub enabled: bool,
    /// Folders and files, with `*`.
    pub include: Vec<String>,
    /// What of them is left out: paths with `*`, or file names.
    pub exclude: Vec<String>,
}

impl Default for Fim {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self { enabled: true, include: texts(&fim::INCLUDE_DEFAULT), exclude: texts(&fim::EXCLUDE_DEFAULT) }
    }
}

/// Why settings cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The journal is asked for and there is none.
    NoJournal,
    /// `/dev/log` is asked for where the journal holds it.
    DevlogTaken,
    /// A list of units is empty.
    NoUnits,
    /// A unit's name that is none.
    Unit(String),
    /// A path that is no pattern.
    Path {
        /// The key, such as `fim.include`.
        key: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        problem: PatternError,
    },
    /// Files that the kernel makes up are to be watched.
    Pseudo(PathBuf),
    /// The same lines would be read twice.
    Overlap {
        /// The file.
        file: String,
        /// The unit; none for the whole journal.
        unit: Option<String>,
    },
    /// A time between two looks that may not be set.
    Interval {
        /// The key, such as `processes.interval_ms`.
        key: &'static str,
        /// What stands there.
        interval_ms: u64,
    },
}

impl PlanError {
    /// The key that is wrong.
    pub fn key(&self) -> &'static str {
        match self {
            Self::NoJournal | Self::NoUnits | Self::Unit(_) => "journal",
            Self::DevlogTaken => "devlog",
            Self::Path { key, .. } | Self::Interval { key, .. } => key,
            Self::Pseudo(_) => "fim.include",
            Self::Overlap { .. } => "files",
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJournal => f.write_str(
                "there is no journal on this host (no journalctl, or neither /run/log/journal nor /var/log/journal): \
                 set journal = false",
            ),
            Self::DevlogTaken => f.write_str("the journal of this host takes /dev/log: leave it out, or set false"),
            Self::NoUnits => f.write_str("no units are named: write true for all, false for none"),
            Self::Unit(text) => write!(f, "{text:?} is no unit's name"),
            Self::Path { text, problem, .. } => write!(f, "{text:?}: {problem}"),
            Self::Pseudo(path) => write!(f, "{} is made up by the kernel and cannot be watched", path.display()),
            Self::Overlap { file, unit: None } => write!(
                f,
                "{file} holds the journal's lines a second time: name units that do not log to it (journal = [...]), \
                 or leave one of the two out"
            ),
            Self::Overlap { file, unit: Some(unit) } => {
                write!(f, "lines of the unit {unit} stand in {file} too: leave one of the two out")
            }
            Self::Interval { interval_ms, .. } => {
                let (least, most) = (INTERVAL_MS.start(), INTERVAL_MS.end());
                write!(f, "{interval_ms}: {least} to {most} milliseconds were expected")
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// What will be collected.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Log files; none when empty.
    pub files: Vec<Pattern>,
    /// Whether what has no checkpoint is read from its beginning.
    pub from_start: bool,
    /// The journal's units, all when empty; none to leave the journal.
    pub journal: Option<Vec<String>>,
    /// `/dev/log`; none to leave it.
    pub devlog: Option<devlog::Settings>,
    /// File integrity.
    pub fim: Option<fim::Settings>,
    /// Time between two looks for processes that start, in milliseconds; none to leave them.
    pub processes_ms: Option<u64>,
    /// Time between two looks for connections, in milliseconds; none to leave them.
    pub connections_ms: Option<u64>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = |patterns: &[Pattern]| {
            let all: Vec<_> = patterns.iter().map(|pattern| pattern.as_path().display().to_string()).collect();
            if all.is_empty() { "none".into() } else { all.join(",") }
        };
        let journal = match &self.journal {
            None => "no".into(),
            Some(units) if units.is_empty() => "all".into(),
            Some(units) => units.join(","),
        };
        let fim = self.fim.as_ref().map_or("off".into(), |fim| paths(&fim.include));
        let devlog = self.devlog.as_ref().map_or("no", |devlog| if devlog.required { "yes" } else { "if-free" });
        let every = |interval_ms: Option<u64>| interval_ms.map_or("off".into(), |ms| format!("{ms}ms"));
        let (processes, connections) = (every(self.processes_ms), every(self.connections_ms));
        write!(f, "journal={journal} files={} devlog={devlog} fim={fim} ", paths(&self.files))?;
        write!(f, "processes={processes} connections={connections}")
    }
}

/// Whether there is a journal here that can be read: its folder, and `journalctl` in the path.
pub fn journal_present() -> bool {
    let folder = ["/run/log/journal", "/var/log/journal"].iter().any(|folder| Path::new(folder).is_dir());
    let path = std::env::var_os("PATH").unwrap_or_default();
    folder && std::env::split_paths(&path).any(|folder| folder.join("journalctl").is_file())
}

/// The plan of these settings.
///
/// # Errors
/// Names the key and what is wrong with it.
pub fn check(settings: &Settings, journal_present: bool) -> Result<Plan, PlanError> {
    let journal = check_journal(settings, journal_present)?;
    let default = || FILES_DEFAULT.iter().map(ToString::to_string).collect();
    let files = match &settings.files {
        Some(files) => files.clone(),
        None if journal.is_some() => Vec::new(),
        None => default(),
    };
    let files = patterns("files", &files, Pattern::absolute)?;
    if let Some(units) = &journal
        && let Some((file, unit)) = files.iter().find_map(|file| overlap::overlap(file, units))
    {
        return Err(PlanError::Overlap { file, unit });
    }
    let devlog = check_devlog(settings, journal_present)?;
    let fim = settings.fim.enabled.then(|| check_fim(&settings.fim)).transpose()?;
    let (processes_ms, connections_ms) = (settings.processes.check()?, settings.connections.check()?);
    Ok(Plan { files, from_start: settings.from_start, journal, devlog, fim, processes_ms, connections_ms })
}

/// Where there is a journal it holds the socket, whether it is read or not. Whoever names files says what is read.
fn check_devlog(settings: &Settings, journal_present: bool) -> Result<Option<devlog::Settings>, PlanError> {
    let required = match settings.devlog {
        Some(true) if journal_present => return Err(PlanError::DevlogTaken),
        Some(true) => true,
        None if !journal_present && settings.files.is_none() => false,
        None | Some(false) => return Ok(None),
    };
    Ok(Some(devlog::Settings { path: devlog::PATH.into(), required }))
}

/// The units to read, all when empty; none where the journal is left.
fn check_journal(settings: &Settings, present: bool) -> Result<Option<Vec<String>>, PlanError> {
    let units = match &settings.journal {
        Some(Journal::All(false)) => return Ok(None),
        None if !present || settings.files.is_some() => return Ok(None),
        None | Some(Journal::All(true)) => Vec::new(),
        Some(Journal::Units(units)) if units.is_empty() => return Err(PlanError::NoUnits),
        Some(Journal::Units(units)) => units.clone(),
    };
    // Such a name would be taken for an option, or for nothing.
    if let Some(unit) = units.iter().find(|unit| unit.is_empty() || unit.starts_with('-') || unit.contains('/')) {
        return Err(PlanError::Unit(unit.clone()));
    }
    if present { Ok(Some(units)) } else { Err(PlanError::NoJournal) }
}

fn check_fim(settings: &Fim) -> Result<fim::Settings, PlanError> {
    let include = patterns("fim.include", &settings.include, Pattern::absolute)?;
    let exclude = patterns("fim.exclude", &settings.exclude, Pattern::any)?;
    let kernel = ["/proc", "/sys", "/dev"].map(Path::new);
    let is_pseudo = |path: &Path| kernel.iter().any(|root| path.starts_with(root)) || scan::is_pseudo(path);
    if let Some(wrong) = include.iter().map(Pattern::as_path).find(|path| is_pseudo(path)) {
        return Err(PlanError::Pseudo(wrong.into()));
    }
    Ok(fim::Settings { include, exclude })
}

fn patterns(
    key: &'static str,
    texts: &[String],
    read: impl Fn(&str) -> Result<Pattern, PatternError>,
) -> Result<Vec<Pattern>, PlanError> {
    pattern::all(texts, read).map_err(|(text, problem)| PlanError::Path { key, text, problem })
}

/// Where the collectors' events go, and what is kept of them.
#[derive(Clone)]
pub struct Way {
    /// The way into the daemon's core.
    pub sender: Sender,
    /// The checkpoints of an earlier run.
    pub checkpoints: Checkpoints,
    /// In whose name.
    pub source: EndpointId,
    /// The daemon's state folder; the baseline is kept in it.
    pub state: PathBuf,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("source", &self.source).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Why collectors do not start.
#[derive(Debug)]
pub enum StartError {
    /// The file integrity baseline cannot be opened.
    Baseline(StoreError),
    /// `/dev/log` is required and cannot be opened.
    Devlog(PathBuf, io::Error),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline(error) => error.fmt(f),
            Self::Devlog(path, error) => {
                write!(f, "cannot open {}: {error}; set devlog = false, or stop whoever holds it", path.display())
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Collectors that run until the stop of their tasks.
#[derive(Clone, Debug)]
pub struct Running {
    fim: Option<fim::Handle>,
    /// What they counted.
    pub counters: Arc<Counters>,
}

impl Running {
    /// Asks for a file integrity report: a row for each file, then its end, all with `command_id`.
    ///
    /// # Errors
    /// File integrity is off, or too many reports wait.
    pub fn report(&self, command_id: &str) -> Result<(), ReportError> {
        self.fim.as_ref().ok_or(ReportError::Off)?.report(command_id)
    }
}

/// Starts what is planned.
///
/// # Errors
/// The baseline cannot be opened, or a thread not started; the message says what to do.
pub fn start(plan: Plan, tasks: &Tasks, way: &Way) -> Result<Running, StartError> {
    let counters = Arc::<Counters>::default();
    let to = || (way.sender.clone(), way.source.clone());
    log::info!("collecting {plan}");
    let fim = match plan.fim {
        None => None,
        Some(settings) => {
            let path = way.state.join("fim.redb");
            Some(fim::start(settings, &path, Arc::clone(&counters), tasks, to()).map_err(StartError::Baseline)?)
        }
    };
    if !plan.files.is_empty() {
        let settings = tail::Settings { patterns: plan.files, from_start: plan.from_start };
        let tail = Tail::new(settings, Arc::clone(&way.checkpoints), Arc::clone(&counters));
        let (sender, source) = to();
        tail::start(tail, tasks, sender, source).map_err(StartError::Thread)?;
    }
    if let Some(units) = plan.journal {
        let settings = journal::Settings { program: "journalctl".into(), units, from_start: plan.from_start };
        let checkpoint = (way.checkpoints)(journal::KEY);
        journal::start(settings, checkpoint.as_deref(), Arc::clone(&counters), tasks, to());
    }
    if let Some(settings) = plan.devlog {
        devlog::start(&settings, Arc::clone(&counters), tasks, to())
            .map_err(|error| StartError::Devlog(settings.path, error))?;
    }
    let passwd = Path::new(PASSWD);
    if let Some(interval_ms) = plan.processes_ms {
        let processes = processes::Processes::new(passwd, Arc::clone(&counters));
        processes::start(processes, interval_ms, tasks, to()).map_err(StartError::Thread)?;
    }
    if let Some(interval_ms) = plan.connections_ms {
        let connections = connections::Connections::new(passwd, Arc::clone(&counters));
        connections::start(connections, interval_ms, tasks, to()).map_err(StartError::Thread)?;
    }
    Ok(Running { fim, counters })
}
