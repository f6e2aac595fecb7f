//! `eval security`: what is made of public lines and cases whose truth is known.
//!
//! fail2ban's test lines judge the extractor, line by line: one that must match is right where it is read as a failure
//! or an attack of the host that is named, and one that must not match where it is read as neither. One failed login is
//! no alert, so alerts are not judged by them.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use nms_proto::extraction::{Action, Actor, Extraction, Outcome};
use serde::{Deserialize, Serialize};

use super::lines::{meaning, objects};

/// The figure of one set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Its name.
    pub set: String,
    /// Cases judged.
    pub cases: usize,
    /// Read as they are meant.
    pub right: usize,
    /// Read otherwise.
    pub wrong: usize,
    /// Share that is right.
    pub rate: f64,
}

impl Score {
    pub(super) fn of(set: &str, verdicts: impl Iterator<Item = bool>) -> Self {
        let (mut cases, mut right) = (0, 0);
        for verdict in verdicts {
            cases += 1;
            right += usize::from(verdict);
        }
        let rate = right as f64 / cases.max(1) as f64;
        Self { set: set.into(), cases, right, wrong: cases - right, rate }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, cases, right, wrong, rate } = self;
        write!(f, "{set:<28} {cases:>5} cases {right:>5} right {wrong:>5} wrong  {:6.2} %", rate * 100.0)
    }
}

/// A line with what must be made of it.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    filter: String,
    #[serde(rename = "line")]
    pub(super) text: String,
    #[serde(rename = "match")]
    pub(super) must_match: bool,
    host: Option<String>,
}

/// A line that was read otherwise than it is meant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// Whose test it is.
    pub filter: String,
    /// Whether it must be read as a failure or an attack.
    pub must_match: bool,
    /// The line.
    pub line: String,
    /// What was made of it.
    pub found: String,
}

/// The figures on fail2ban's lines: those that must match, those that must not; and each miss.
///
/// # Errors
/// A file that cannot be read or is not of that form.
pub fn fail2ban(path: &Path) -> Result<(Vec<Score>, Vec<Miss>), String> {
    let lines: Vec<Line> = objects(path)?;
    let (mut misses, mut verdicts) = (Vec::new(), Vec::new());
    for line in lines {
        let read = meaning(&line.text, |found| (fits(&line, found), format!("{found:?}")));
        let (fits, found) = read.unwrap_or((!line.must_match, "no message".into()));
        verdicts.push((line.must_match, fits));
        if !fits {
            misses.push(Miss { filter: line.filter, must_match: line.must_match, line: line.text, found });
        }
    }
    let score = |set, must_match| {
        Score::of(set, verdicts.iter().filter(|(of, _fits)| *of == must_match).map(|(_of, fits)| *fits))
    };
    Ok((vec![score("fail2ban, must match", true), score("fail2ban, must not match", false)], misses))
}

fn fits(line: &Line, found: &Extraction<'_>) -> bool {
    let seen = found.outcome == Outcome::Failed || matches!(found.action, Action::Block | Action::Ids);
    if !line.must_match {
        return !seen;
    }
    seen && line.host.as_deref().is_none_or(|host| is(found.actor, host))
}

/// Whether `actor` is `host`, an address however it is written, or a name.
pub(super) fn is(actor: Option<Actor<'_>>, host: &str) -> bool {
    match actor {
        Some(Actor::Address(address)) => host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical() == address),
        Some(Actor::Name(name)) => name.eq_ignore_ascii_case(host),
        None => false,
    }
}
