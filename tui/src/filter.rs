//! What is shown of a list: `sev>=HIGH status=open app=sshd "failed password" -cron`.
//!
//! All terms must hold. A word is looked for in every text of a row, in any case; `-` in front of it
//! hides what has it. One grammar for alerts and log lines, on the screen and in the scripting
//! verbs: a term that does not concern a row lets it pass.

use std::fmt;

use nms_proto::{
    alert::{Alert, Status},
    dash::Line,
    severity::{SYSLOG_SEVERITIES, Severity, syslog_severity_name},
};
use regex::Regex;

/// How bad a row is, in its own scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Of an alert.
    Alert(Severity),
    /// Of a log line, 0 is the worst.
    Syslog(u8),
}

/// What a filter looks at.
#[derive(Debug)]
pub struct Subject<'a> {
    /// How bad.
    pub level: Level,
    /// Of an alert.
    pub status: Option<&'a Status>,
    /// Where it came from, by any name.
    pub sources: [&'a str; 2],
    /// Application of a line, category of an alert.
    pub app: &'a str,
    /// The text.
    pub message: &'a str,
    /// Who did it, and against whom.
    pub parties: [&'a str; 2],
}

impl<'a> From<&'a Alert> for Subject<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            level: Level::Alert(alert.severity),
            status: Some(&alert.status),
            sources: [alert.source.as_str(), ""],
            app: alert.category.as_str(),
            message: &alert.message,
            parties: [alert.actor.as_deref().unwrap_or_default(), alert.victim.as_deref().unwrap_or_default()],
        }
    }
}

impl<'a> From<&'a Line> for Subject<'a> {
    fn from(line: &'a Line) -> Self {
        Self {
            level: Level::Syslog(line.severity),
            status: None,
            sources: [line.source.as_str(), line.host.as_deref().unwrap_or_default()],
            app: line.app.as_deref().unwrap_or_default(),
            message: &line.message,
            parties: ["", ""],
        }
    }
}

/// A word in a filter that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    word: Box<str>,
    expected: &'static str,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter: {} is not {}", self.word, self.expected)
    }
}

impl std::error::Error for FilterError {}

/// A text that is looked for, in any case.
#[derive(Clone, Debug)]
struct Needle {
    text: Box<str>,
    pattern: Regex,
}

impl Needle {
    fn new(text: &str) -> Result<Self, FilterError> {
        let pattern = regex::RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
        // An escaped text is always a pattern; only its size can be refused.
        let pattern = pattern.map_err(|_e| FilterError { word: text.into(), expected: "a word of bearable length" })?;
        Ok(Self { text: text.into(), pattern })
    }
}

#[derive(Clone, Debug)]
enum Term {
    AtLeast(Severity),
    AtMost(u8),
    Unsettled,
    Status(Status),
    App(Needle),
    Source(Needle),
    Has(Needle),
    HasNot(Needle),
}

impl Term {
    fn parse(word: &str) -> Result<Option<Self>, FilterError> {
        let wrong = |expected| FilterError { word: word.into(), expected };
        if let Some(name) = word.strip_prefix("sev>=") {
            let expected = "sev>= and one of INFO LOW MEDIUM HIGH CRITICAL";
            return Ok(Some(Self::AtLeast(severity(name).ok_or(wrong(expected))?)));
        }
        if let Some(name) = word.strip_prefix("sev<=") {
            let expected = "sev<= and one of emerg alert crit err warn notice info debug";
            return Ok(Some(Self::AtMost(syslog(name).ok_or(wrong(expected))?)));
        }
        Ok(match word.split_once('=') {
            Some(("status", "open")) => Some(Self::Unsettled),
            Some(("status", "all")) => None,
            Some(("status", name)) => match Status::from_text(name) {
                Status::Other(_) => return Err(wrong("status= and open, all or an alert's status")),
                status => Some(Self::Status(status)),
            },
            Some(("app" | "category", name)) => Some(Self::App(Needle::new(name)?)),
            Some(("source" | "host", name)) => Some(Self::Source(Needle::new(name)?)),
            _ => Some(match word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                Some(rest) => Self::HasNot(Needle::new(rest)?),
                None => Self::Has(Needle::new(word)?),
            }),
        })
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        let any = |needle: &Needle, texts: &[&str]| texts.iter().any(|text| needle.pattern.is_match(text));
        let [source, host] = subject.sources;
        let [actor, victim] = subject.parties;
        let all = [subject.message, subject.app, source, host, actor, victim];
        match (self, subject.level) {
            (Self::AtLeast(least), Level::Alert(severity)) => severity >= *least,
            (Self::AtMost(most), Level::Syslog(severity)) => severity <= *most,
            (Self::AtLeast(_), Level::Syslog(_)) | (Self::AtMost(_), Level::Alert(_)) => true,
            (Self::Unsettled, _) => subject.status.is_none_or(|status| !is_settled(status)),
            (Self::Status(wanted), _) => subject.status.is_none_or(|status| status == wanted),
            (Self::App(needle), _) => any(needle, &[subject.app]),
            (Self::Source(needle), _) => any(needle, &subject.sources),
            (Self::Has(needle), _) => any(needle, &all),
            (Self::HasNot(needle), _) => !any(needle, &all),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = |text: &str| if text.contains(' ') { "\"" } else { "" };
        match self {
            Self::AtLeast(severity) => write!(f, "sev>={severity}"),
            Self::AtMost(severity) => write!(f, "sev<={}", syslog_severity_name(*severity)),
            Self::Unsettled => f.write_str("status=open"),
            Self::Status(status) => write!(f, "status={status}"),
            Self::App(needle) => write!(f, "{0}app={1}{0}", quote(&needle.text), needle.text),
            Self::Source(needle) => write!(f, "{0}source={1}{0}", quote(&needle.text), needle.text),
            Self::Has(needle) => write!(f, "{0}{1}{0}", quote(&needle.text), needle.text),
            Self::HasNot(needle) => write!(f, "{0}-{1}{0}", quote(&needle.text), needle.text),
        }
    }
}

/// Whether an alert of this status needs nobody any more: closed, resolved, suppressed.
pub fn is_settled(status: &Status) -> bool {
    matches!(status, Status::Closed | Status::Resolved | Status::Suppressed)
}

/// The alert severity that `name` begins, in any case: `MED`, `high`.
fn severity(name: &str) -> Option<Severity> {
    let upper = name.to_uppercase();
    Severity::ALL.into_iter().find(|severity| !upper.is_empty() && severity.as_str().starts_with(&upper))
}

/// The syslog severity of that name or number; `warning` and `error` are names too.
fn syslog(name: &str) -> Option<u8> {
    let short = match name {
        "warning" => "warn",
        "error" => "err",
        other => other,
    };
    let at = SYSLOG_SEVERITIES.iter().position(|known| *known == short);
    at.and_then(|at| u8::try_from(at).ok()).or_else(|| name.parse().ok().filter(|number| *number < 8))
}

/// What is shown of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

impl Filter {
    /// The filter that `text` says; the empty text shows all.
    ///
    /// # Errors
    /// The first word that is not understood, and what it should be.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut terms = Vec::new();
        for word in words(text) {
            terms.extend(Term::parse(&word)?);
        }
        Ok(Self { terms })
    }

    /// What needs somebody: alerts that are not settled.
    pub fn unsettled() -> Self {
        Self { terms: vec![Term::Unsettled] }
    }

    /// Whether it shows all.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `subject` is shown.
    pub fn shows(&self, subject: &Subject<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(subject))
    }

    /// Shows alerts from one severity higher on (`up`), or lower.
    pub fn step_alerts(&mut self, up: bool) {
        let find = |term: &Term| if let Term::AtLeast(severity) = term { Some(*severity) } else { None };
        let now = self.terms.iter().find_map(find).unwrap_or(Severity::Info);
        let at = Severity::ALL.iter().position(|severity| *severity == now).unwrap_or(0);
        let to = if up { at + 1 } else { at.saturating_sub(1) };
        self.terms.retain(|term| find(term).is_none());
        let least = Severity::ALL.get(to).copied().unwrap_or(now);
        if least > Severity::Info {
            self.terms.insert(0, Term::AtLeast(least));
        }
    }

    /// Shows log lines up to one severity worse (`up`), or less bad.
    pub fn step_lines(&mut self, up: bool) {
        let find = |term: &Term| if let Term::AtMost(severity) = term { Some(*severity) } else { None };
        let now = self.terms.iter().find_map(find).unwrap_or(7);
        let most = if up { now.saturating_sub(1) } else { now.saturating_add(1) };
        self.terms.retain(|term| find(term).is_none());
        if most < 7 {
            self.terms.insert(0, Term::AtMost(most));
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{term}")?;
        }
        Ok(())
    }
}

/// The words of `text`; what stands between double quotes is one word.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match (c, words.last_mut()) {
            ('"', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (_, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
