//! `eval security`, the alerts: whether they name who did it where public cases say so, and how few they are where
//! nothing, or nothing new, happens.
//!
//! `CrowdSec`'s cases are runs of lines in their own time, each of a few seconds to hours; one is right where
//! every source that its truth names is named by an alert of LOW or more. A host's own log is learnt from over the
//! first three fifths of its days, and what is alerted on the rest is counted. So is what the generator's ordinary
//! network raises in two weeks.

use std::fmt;
use std::fs;
use std::path::Path;

use nms_detect::{Settings, provisional};
use nms_model::bundle::Bundle;
use nms_proto::alert::Alert;
use nms_proto::event::Event;
use nms_proto::severity::Severity;
use nms_proto::time::Stamp;
use nmsd_server::analyse::model::Model;
use nmsd_server::chain::{Chain, Told};
use nmsd_server::replay::{Lines, Reading};
use serde::{Deserialize, Serialize};

use super::lines::objects;
use super::security::Score;
use crate::corpus::{DAY_MS, ordinary_days};

/// Share of a log's days that are only learnt from.
const LEARNT: f64 = 0.6;
/// By how much a log's time goes back where another log begins, in milliseconds.
const FALLS_BACK_MS: i64 = 5 * 60_000;
/// Time that follows the last line, in milliseconds.
const AFTER_MS: i64 = 65 * 60_000;

/// A run of lines, and who did what they show.
#[derive(Debug, Deserialize)]
struct Case {
    test: String,
    /// None where the case carries no truth.
    n_overflows: Option<usize>,
    #[serde(default)]
    overflows: Option<Vec<Overflow>>,
    lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Overflow {
    #[serde(default)]
    sources: Vec<String>,
}

/// A case that came out otherwise than its truth says.
#[derive(Clone, Debug, Serialize)]
pub struct CaseMiss {
    /// Its name.
    pub test: String,
    /// Who must be named.
    pub sources: Vec<String>,
    /// The alerts that came.
    pub alerts: Vec<String>,
    /// Its first line.
    pub line: String,
}

/// The figures on `CrowdSec`'s cases: those in which somebody must be named, those in which nobody must; and each miss.
///
/// # Errors
/// A file that cannot be read or is not of that form, or a model that does not load.
pub fn crowdsec(path: &Path) -> Result<(Vec<Score>, Vec<CaseMiss>), String> {
    let bundle = Bundle::shipped().map_err(|error| error.to_string())?;
    let (mut misses, mut verdicts) = (Vec::new(), Vec::new());
    for case in objects::<Case>(path)? {
        let Some(expected) = case.n_overflows else { continue };
        let mut alerts = Vec::new();
        let mut watch = Watch::new(&bundle)?;
        let mut lines = Lines::new(&reading());
        for line in &case.lines {
            let Some(event) = lines.event(line.as_bytes()) else { continue };
            // Several logs, one behind the other.
            if event.at.unix_ms < watch.now.unix_ms - FALLS_BACK_MS {
                let before = std::mem::replace(&mut watch, Watch::new(&bundle)?);
                alerts.extend(before.end(i64::MIN, Severity::Low));
            }
            watch.event(event.at, event);
        }
        alerts.extend(watch.end(i64::MIN, Severity::Low));
        let mut sources: Vec<String> =
            case.overflows.into_iter().flatten().flat_map(|overflow| overflow.sources).collect();
        sources.sort();
        sources.dedup();
        let named = |source: &String| alerts.iter().any(|alert| names(alert, source));
        let fits = if expected == 0 { alerts.is_empty() } else { !alerts.is_empty() && sources.iter().all(named) };
        verdicts.push((expected > 0, fits));
        if !fits {
            let told = |alert: &Alert| format!("{} {} {}", alert.severity, alert.category, alert.message);
            let line = case.lines.first().cloned().unwrap_or_default();
            misses.push(CaseMiss { test: case.test, sources, alerts: alerts.iter().map(told).collect(), line });
        }
    }
    let score =
        |set, alerted| Score::of(set, verdicts.iter().filter(|(of, _fits)| *of == alerted).map(|(_of, fits)| *fits));
    Ok((vec![score("CrowdSec, somebody to name", true), score("CrowdSec, nobody to name", false)], misses))
}

/// Whether an alert says that `source` did it, however an address is written.
fn names(alert: &Alert, source: &str) -> bool {
    let source =
        source.parse::<std::net::IpAddr>().map_or_else(|_| source.to_owned(), |ip| ip.to_canonical().to_string());
    let named = alert.actor.as_deref() == Some(&*source);
    // Between characters that are no part of it: 192.0.2.1 is not named by 192.0.2.10.
    let is_part =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.'));
    let holds = |text: &str| {
        text.match_indices(&*source).any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at).copied());
            !is_part(before) && !is_part(text.as_bytes().get(at + source.len()).copied())
        })
    };
    named || alert.reasons.iter().map(|reason| &**reason).chain([&*alert.message]).any(holds)
}

/// How many alerts a stretch of events raised.
#[derive(Clone, Debug, Serialize)]
pub struct Quiet {
    /// Whose events.
    pub set: String,
    /// Days that were judged.
    pub days: f64,
    /// Events in them.
    pub events: usize,
    /// Alerts of HIGH or more that began in them.
    pub high: usize,
    /// Of MEDIUM.
    pub medium: usize,
    /// Of LOW.
    pub low: usize,
    /// Alerts of MEDIUM or more, a day.
    pub a_day: f64,
    /// The same for each million events a day.
    pub a_day_per_million: f64,
}

impl Quiet {
    fn of(set: &str, days: f64, events: usize, alerts: &[Alert]) -> Self {
        let count = |is_meant: fn(Severity) -> bool| alerts.iter().filter(|alert| is_meant(alert.severity)).count();
        let (high, medium) =
            (count(|severity| severity >= Severity::High), count(|severity| severity == Severity::Medium));
        let low = count(|severity| severity == Severity::Low);
        let a_day = (high + medium) as f64 / days.max(f64::MIN_POSITIVE);
        let millions = events as f64 / days.max(f64::MIN_POSITIVE) / 1e6;
        Self { set: set.into(), days, events, high, medium, low, a_day, a_day_per_million: a_day / millions.max(1e-9) }
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, days, events, high, medium, low, a_day, a_day_per_million } = self;
        write!(f, "{set:<28} {days:6.1} days {events:>8} events  HIGH {high} MEDIUM {medium} LOW {low}")?;
        write!(f, "  {a_day:.2} a day, {a_day_per_million:.1} a day per million events a day")
    }
}

/// Alerts on the last two fifths of the days of a log; and what they say.
///
/// # Errors
/// A file that cannot be read, or a model that does not load.
pub fn quiet_log(set: &str, path: &Path) -> Result<(Quiet, Vec<String>), String> {
    let bytes = fs::read(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let bundle = Bundle::shipped().map_err(|error| error.to_string())?;
    let mut watch = Watch::new(&bundle)?;
    let mut lines = Lines::new(&reading());
    let mut times = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Some(event) = lines.event(line) {
            times.push(lines.now().unix_ms);
            watch.event(lines.now(), event);
        }
    }
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    let from = first + ((last - first) as f64 * LEARNT) as i64;
    let events = times.iter().filter(|at| **at >= from).count();
    let alerts = watch.end(from, Severity::Low);
    Ok((Quiet::of(set, (last - from) as f64 / DAY_MS as f64, events, &alerts), told(&alerts)))
}

/// Alerts on so many ordinary days of the generator's network of a seed.
///
/// # Errors
/// A model that does not load.
pub fn quiet_network(seed: u64, days: usize) -> Result<(Quiet, Vec<String>), String> {
    let bundle = Bundle::shipped().map_err(|error| error.to_string())?;
    let mut watch = Watch::new(&bundle)?;
    let (network, emissions) = ordinary_days(seed, 0..days);
    for emission in &emissions {
        let event = emission.event(&network);
        watch.event(event.at, event);
    }
    let alerts = watch.end(i64::MIN, Severity::Low);
    Ok((Quiet::of(&format!("generator, seed {seed}"), days as f64, emissions.len(), &alerts), told(&alerts)))
}

fn told(alerts: &[Alert]) -> Vec<String> {
    let one = |alert: &Alert| {
        let at = alert.first_seen.unwrap_or_default();
        format!("{at} {} {} {} ({} events)", alert.severity, alert.category, alert.message, alert.count)
    };
    alerts.iter().map(one).collect()
}

fn reading() -> Reading {
    // 2026-01-05: stamps without a year are of the year before.
    Reading { source: None, utc_offset_s: 0, year: None, modified_ms: 1_767_623_400_000, admins: Vec::new() }
}

/// Hub and server, and the worst revision of each alert.
struct Watch {
    chain: Chain,
    now: Stamp,
    alerts: Vec<(i64, Alert)>,
}

impl Watch {
    fn new(bundle: &Bundle) -> Result<Self, String> {
        let model = Model::new(bundle).map_err(|error| error.to_string())?;
        let settings = Settings { instance: Lines::INSTANCE, admins: Vec::new() };
        Ok(Self { chain: Chain::new(settings, model), now: Stamp::default(), alerts: Vec::new() })
    }

    fn event(&mut self, now: Stamp, event: Event) {
        self.now = now;
        let alerts = &mut self.alerts;
        self.chain.event(now, event, &mut |now, told| keep(alerts, now, told), &mut |_, _| ());
    }

    /// The alerts that began at `from_ms` or later and became as bad as `least`, in the order in which they came.
    fn end(mut self, from_ms: i64, least: Severity) -> Vec<Alert> {
        let end = Stamp { unix_ms: self.now.unix_ms.saturating_add(AFTER_MS), ..self.now };
        let alerts = &mut self.alerts;
        self.chain.advance(end, &mut |now, told| keep(alerts, now, told));
        let meant = self.alerts.into_iter().filter(|(at, alert)| *at >= from_ms && alert.severity >= least);
        meant.map(|(_at, alert)| alert).collect()
    }
}

fn keep(alerts: &mut Vec<(i64, Alert)>, now: Stamp, told: Told) {
    let alert = match told {
        Told::Finding(finding) => provisional(&finding),
        Told::Alert(alert) => alert,
    };
    // What went into another alert is that one.
    if alert.merged_into.is_some() {
        return;
    }
    match alerts.iter_mut().find(|(_at, known)| known.id == alert.id) {
        Some((_at, known)) if alert.severity >= known.severity => *known = alert,
        Some(_milder) => {}
        None => alerts.push((now.unix_ms, alert)),
    }
}
