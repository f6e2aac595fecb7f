//! The file form of scenarios: one JSON object a line, what happened and what must come of it.

use std::{fs, net::IpAddr, path::Path, str::FromStr as _};

use nms_kit::net::canonical;
use nms_proto::{
    event::{Body, Draft, FileChange, NetConnection, ProcessStart},
    finding::Category,
    id::EndpointId,
    severity::Severity,
    time::Stamp,
};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// One scenario.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its name.
    pub(super) id: Box<str>,
    /// When its clock says 0.
    pub(super) start_ms: i64,
    /// Where it happens: seconds east of UTC.
    pub(super) utc_offset_s: i32,
    /// What happens, in the order of time.
    pub(super) lines: Vec<Line>,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Milliseconds after the start.
    pub(super) at_ms: i64,
    /// Who sends it.
    pub(super) source: EndpointId,
    /// What is sent.
    pub(super) sent: Sent,
}

/// What a hub gets.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// A datagram.
    Datagram(Box<str>),
    /// An agent's word.
    Draft(Box<Draft>),
}

/// What must come of a scenario.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// It is an attack, and must be seen as one.
    Attack(Attack),
    /// It is harmless, and must stay quiet.
    Benign(Benign),
}

/// An alert fits with one of the categories at that severity or more.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Attack {
    /// Any of them.
    #[serde(rename = "category", deserialize_with = "one_or_more")]
    pub(super) categories: Vec<Category>,
    /// The least severity.
    #[serde(deserialize_with = "severity")]
    pub(super) min_severity: Severity,
    /// Most alerts of MEDIUM or more.
    pub(super) max_alerts: usize,
    /// Fewest alerts that fit.
    #[serde(default = "one")]
    pub(super) min_alerts: usize,
    /// The least confidence of one that fits.
    #[serde(default)]
    pub(super) min_confidence: Option<f32>,
    /// Each stands in the message, source, actor, victim or reasons of some alert.
    #[serde(default)]
    pub(super) must_mention: Vec<Box<str>>,
    /// Seconds from the first line to the first alert that fits, at most.
    #[serde(default)]
    pub(super) max_time_to_alert_s: Option<f64>,
}

/// Nothing may be worse than this.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Benign {
    /// The worst alert allowed.
    #[serde(default = "info", deserialize_with = "severity")]
    pub(super) max_severity: Severity,
    /// Most alerts of MEDIUM or more.
    pub(super) max_alerts: usize,
    /// The most confidence of any alert.
    #[serde(default)]
    pub(super) max_confidence: Option<f32>,
    /// Fewest datagrams that are counted as no message.
    #[serde(default)]
    pub(super) parse_errors_min: u64,
}

fn one() -> usize {
    1
}

fn info() -> Severity {
    Severity::Info
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Attack,
    Benign,
}

#[derive(Deserialize)]
struct CaseForm {
    id: Box<str>,
    kind: Kind,
    #[serde(deserialize_with = "moment")]
    start: i64,
    #[serde(default)]
    utc_offset_s: i32,
    lines: Vec<LineForm>,
    expected: Value,
}

#[derive(Deserialize)]
struct LineForm {
    t: f64,
    src: Box<str>,
    raw: Option<Box<str>>,
    host: Option<Box<str>>,
    file: Option<FileChange>,
    process: Option<ProcessStart>,
    connection: Option<NetConnection>,
}

impl LineForm {
    fn line(self) -> Result<Line, String> {
        let source = match IpAddr::from_str(&self.src) {
            Ok(address) => EndpointId::new(&canonical(address).to_string()),
            Err(_a_name) => EndpointId::new(&self.src),
        };
        let file = self.file.map(|file| Body::File(Box::new(file)));
        let process = self.process.map(|process| Body::Process(Box::new(process)));
        let connection = self.connection.map(|connection| Body::Connection(Box::new(connection)));
        let mut bodies = [file, process, connection].into_iter().flatten();
        let sent = match (self.raw, bodies.next(), bodies.next()) {
            (Some(raw), None, None) => Sent::Datagram(raw),
            (None, Some(body), None) => Sent::Draft(Box::new(Draft { host: self.host, ..Draft::new(body) })),
            _ => return Err("one of raw, file, process and connection must be there".into()),
        };
        let at_ms = self.t * 1_000.0;
        if !at_ms.is_finite() || at_ms.abs() > 1e14 {
            return Err(format!("t = {} is no time in seconds", self.t));
        }
        Ok(Line { at_ms: at_ms.round() as i64, source, sent })
    }
}

/// The scenarios of a file.
///
/// # Errors
/// It cannot be read, or a line is no scenario: the file, the line and the field.
pub(super) fn cases(path: &Path) -> Result<Vec<Case>, String> {
    each(path, case)
}

/// Ordinary traffic: a file with a line's form a line, or with scenarios, whose lines are taken.
///
/// # Errors
/// As [`cases`]; or nothing is in it.
pub(super) fn traffic(path: &Path) -> Result<Vec<Line>, String> {
    let one = |text: &str| {
        if text.contains("\"lines\"") {
            return case(text).map(|case| case.lines);
        }
        let form: LineForm = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(vec![form.line()?])
    };
    let mut lines: Vec<Line> = each(path, one)?.into_iter().flatten().collect();
    if lines.is_empty() {
        return Err(format!("{}: there is no traffic in it", path.display()));
    }
    lines.sort_by_key(|line| line.at_ms);
    Ok(lines)
}

fn each<T>(path: &Path, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_at, line)| !line.trim().is_empty());
    lines.map(|(at, line)| read(line).map_err(|error| format!("{} line {}: {error}", path.display(), at + 1))).collect()
}

fn case(text: &str) -> Result<Case, String> {
    let form: CaseForm = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let expected = |error: serde_json::Error| format!("case {}, field expected: {error}", form.id);
    let expected = match form.kind {
        Kind::Attack => serde_json::from_value(form.expected).map(Expected::Attack).map_err(expected)?,
        Kind::Benign => serde_json::from_value(form.expected).map(Expected::Benign).map_err(expected)?,
    };
    let mut lines = Vec::with_capacity(form.lines.len());
    for (at, line) in form.lines.into_iter().enumerate() {
        lines.push(line.line().map_err(|error| format!("case {}, field lines[{at}]: {error}", form.id))?);
    }
    // Who writes a case by hand puts lines together by topic; the network sends them by time.
    lines.sort_by_key(|line| line.at_ms);
    Ok(Case { id: form.id, start_ms: form.start, utc_offset_s: form.utc_offset_s, lines, expected })
}

/// `2026-03-10T03:00:00Z`; without a zone it is UTC as well. Or seconds since 1970.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if let Some(seconds) = value.as_f64() {
        return Ok((seconds * 1_000.0) as i64);
    }
    let text = value.as_str().unwrap_or_default();
    let parsed = Stamp::parse(text).or_else(|_error| Stamp::parse(&format!("{text}Z")));
    parsed.map(|stamp| stamp.unix_ms).map_err(|error| de::Error::custom(format!("start: {error}")))
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
    let text = <Box<str>>::deserialize(deserializer)?;
    Severity::from_text(&text).ok_or_else(|| de::Error::custom(format!("{text} is no severity")))
}

/// A word or a list of words.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Category>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(Category),
        Many(Vec<Category>),
    }
    let categories = match Form::deserialize(deserializer)? {
        Form::One(category) => vec![category],
        Form::Many(categories) => categories,
    };
    match categories.iter().find(|category| matches!(category, Category::Other(_))) {
        Some(unknown) => Err(de::Error::custom(format!("{unknown} is no category"))),
        None if categories.is_empty() => Err(de::Error::custom("category: at least one must be there")),
        None => Ok(categories),
    }
}
