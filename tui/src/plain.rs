//! What the dashboard says to scripts, pipes and plain terminals: one line a thing, words first.
//!
//! Pure: messages in, lines out, and the exit code they mean. JSON lines are the hub's own values;
//! whatever a terminal would obey in them is a `\u` escape.

use nms_proto::{
    alert::Alert,
    dash::{Endpoint, FromHub, Line, ServerState, Snapshot},
    json::{self, JsonError},
    severity::{Severity, syslog_severity_name},
    time::Stamp,
};
use serde::Serialize;

use crate::{
    filter::{Filter, Subject, is_settled},
    safe::{self, Safe},
    text,
};

/// What `--once` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Every alert that the hub holds, newest last.
    Alerts,
    /// Every endpoint.
    Endpoints,
    /// The link to the server, with the account of every source.
    Link,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Plain,
    /// For programs.
    Json,
}

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing of severity HIGH or more is open, and all is current.
    Fine = 0,
    /// An alert of severity HIGH or more is not settled.
    Open = 1,
    /// The hub is not reached, or is not understood.
    Unreachable = 2,
    /// The server is away: what came from it may be out of date.
    Stale = 3,
    /// The command line is wrong (sysexits: `EX_USAGE`).
    Usage = 64,
}

/// The exit code for what the hub holds. An open alert says more than a server that is away.
pub fn verdict(snapshot: &Snapshot) -> Exit {
    let is_open = |alert: &Alert| alert.severity >= Severity::High && !is_settled(&alert.status);
    if snapshot.alerts.iter().any(is_open) {
        return Exit::Open;
    }
    match snapshot.link.server {
        ServerState::Down | ServerState::Connecting => Exit::Stale,
        _ => Exit::Fine,
    }
}

/// The lines of `part`. The filter works on alerts only.
///
/// # Errors
/// None in practice: the hub's values can all be written.
pub fn once(
    snapshot: &Snapshot,
    now: Stamp,
    part: Part,
    form: Form,
    filter: &Filter,
) -> Result<Vec<String>, JsonError> {
    match (part, form) {
        (Part::Alerts, _) => {
            let shown = snapshot.alerts.iter().filter(|alert| filter.shows(&Subject::from(*alert)));
            shown.map(|alert| if form == Form::Json { json(alert) } else { Ok(alert_words(alert)) }).collect()
        }
        (Part::Endpoints, Form::Json) => snapshot.endpoints.iter().map(json).collect(),
        (Part::Endpoints, Form::Plain) => Ok(snapshot.endpoints.iter().map(endpoint_words).collect()),
        (Part::Link, Form::Json) => Ok(vec![json(&snapshot.link)?]),
        (Part::Link, Form::Plain) => {
            let words = text::link_words(&snapshot.link, now);
            let mut lines = vec![words.to_string()];
            for source in &snapshot.link.sources {
                let dropped = text::total(source.dropped.values());
                let rejected = text::total(source.rejected.values());
                lines.push(say(format_args!(
                    "source {} received {} delivered {} waiting {} dropped {dropped} rejected {rejected}",
                    source.source, source.received, source.delivered, source.waiting
                )));
            }
            Ok(lines)
        }
    }
}

/// One JSON line.
fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, JsonError> {
    let mut bytes = Vec::new();
    json::encode(value, &mut bytes)?;
    Ok(safe::escape_json(&String::from_utf8_lossy(&bytes)))
}

fn say(args: std::fmt::Arguments<'_>) -> String {
    Safe::say(args).to_string()
}

/// An alert in one line, the words that matter first.
fn alert_words(alert: &Alert) -> String {
    let at = alert.last_seen.map_or_else(|| text::NONE.to_owned(), |at| at.to_string());
    say(format_args!(
        "alert {} {} {} {} x{} score {} at {at} {}: {}",
        text::severity(alert.severity),
        alert.category,
        alert.source,
        text::status_long(alert),
        alert.count,
        alert.confidence,
        alert.id,
        alert.message
    ))
}

fn endpoint_words(endpoint: &Endpoint) -> String {
    let seen = endpoint.last_seen.map_or_else(|| text::NONE.to_owned(), |at| at.to_string());
    let also = text::also(&endpoint.also);
    let also = if also.is_empty() { also } else { format!(" also {also}") };
    say(format_args!(
        "endpoint {} {} {} ev/s {} parse errors {} last seen {seen}{also}",
        endpoint.name,
        endpoint.kind,
        endpoint.status,
        text::rate(endpoint.events_per_s),
        endpoint.parse_errors
    ))
}

fn line_words(line: &Line) -> String {
    let host = line.host.as_deref().unwrap_or(line.source.as_str());
    let app = line.app.as_deref().unwrap_or(text::NONE);
    let pid = line.pid.as_deref().map_or_else(String::new, |pid| format!("[{pid}]"));
    say(format_args!("{} {} {host} {app}{pid}: {}", line.at, syslog_severity_name(line.severity), line.message))
}

/// An alert among log lines.
#[derive(Serialize)]
struct AlertEntry<'a> {
    alert: &'a Alert,
}

/// Missing log lines among log lines.
#[derive(Serialize)]
struct GapEntry {
    gap: u64,
}

/// Follows the hub: each message as the lines to print.
#[derive(Debug)]
pub struct Tail {
    form: Form,
    filter: Filter,
    /// Lines of the first snapshot to print.
    begin_with: usize,
    last_seq: Option<u64>,
    begun: bool,
    server: Option<ServerState>,
}

impl Tail {
    /// Prints what `filter` shows, after the last `begin_with` lines that are there already.
    pub fn new(form: Form, filter: Filter, begin_with: usize) -> Self {
        Self { form, filter, begin_with, last_seq: None, begun: false, server: None }
    }

    /// The number of the last line that came, to go on after it.
    pub fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// The lines to print for `said`.
    ///
    /// # Errors
    /// None in practice: the hub's values can all be written.
    pub fn take(&mut self, said: &FromHub, now: Stamp) -> Result<Vec<String>, JsonError> {
        match said {
            FromHub::Snapshot(snapshot) => self.snapshot(snapshot, now),
            FromHub::Lines(lines) => self.lines(lines),
            FromHub::Gap(gap) => Ok(vec![self.gap(gap.lines)?]),
            FromHub::Alert(alert) if self.filter.shows(&Subject::from(&**alert)) => Ok(vec![match self.form {
                Form::Json => json(&AlertEntry { alert })?,
                Form::Plain => alert_words(alert),
            }]),
            FromHub::Link(link) => Ok(self.link(&link.server, text::server(link, now).as_str())),
            _ => Ok(Vec::new()),
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot, now: Stamp) -> Result<Vec<String>, JsonError> {
        let link = &snapshot.link;
        let mut out = self.link(&link.server, text::server(link, now).as_str());
        let newest = snapshot.lines.last().map(|line| line.seq);
        if self.last_seq.zip(newest).is_some_and(|(held, newest)| newest < held) {
            // The hub began its store anew.
            self.last_seq = None;
        }
        let fresh = |line: &&Line| self.last_seq.is_none_or(|last| line.seq > last);
        if let (Some(last), Some(first)) = (self.last_seq, snapshot.lines.iter().find(fresh))
            && first.seq > last + 1
        {
            out.push(self.gap(first.seq - last - 1)?);
        }
        let skip = if self.begun { 0 } else { snapshot.lines.len().saturating_sub(self.begin_with) };
        self.begun = true;
        out.extend(self.lines(snapshot.lines.get(skip..).unwrap_or_default())?);
        self.last_seq = self.last_seq.max(newest);
        Ok(out)
    }

    fn lines(&mut self, lines: &[Line]) -> Result<Vec<String>, JsonError> {
        let mut out = Vec::new();
        for line in lines {
            if self.last_seq.is_some_and(|last| line.seq <= last) {
                continue;
            }
            self.last_seq = Some(line.seq);
            if self.filter.shows(&Subject::from(line)) {
                out.push(if self.form == Form::Json { json(line)? } else { line_words(line) });
            }
        }
        Ok(out)
    }

    fn gap(&self, lines: u64) -> Result<String, JsonError> {
        match self.form {
            Form::Json => json(&GapEntry { gap: lines }),
            Form::Plain => Ok(text::skipped(lines).to_string()),
        }
    }

    /// People are told when the server's state changes; programs ask `--once link`.
    fn link(&mut self, server: &ServerState, words: &str) -> Vec<String> {
        let changed = self.server.as_ref() != Some(server);
        self.server = Some(server.clone());
        if changed && self.form == Form::Plain { vec![format!("link {words}")] } else { Vec::new() }
    }
}
