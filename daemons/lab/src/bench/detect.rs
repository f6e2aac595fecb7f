//! `bench detect`: what the correlators cost, on the bench corpus and on an sshd's log, in this process; beside
//! `fail2ban-regex` on the same log, where it is installed.

use std::{fs, process::Command};

use nms_detect::{Correlator, Settings, extract};
use nms_kit::clock;
use nms_proto::{
    event::Event,
    id::{EndpointId, EventId, EventSeq, Instance},
    syslog::{self, Received},
    time::Stamp,
};

use super::{Figure, corpus::Corpus, percentile};

/// Lines of the corpus, and of the sshd's log.
const CORPUS_LINES: usize = 400_000;
const LOG_LINES: usize = 60_000;
/// Addresses that guess in the log.
const ADDRESSES: usize = 4_000;
/// Milliseconds between two events, in thousandths: 20,000 events a second.
const STEP_US: i64 = 50;
/// When it all happens: 2026-01-05 14:30 UTC.
const BEGIN_MS: i64 = 1_767_623_400_000;
const INSTANCE: Instance = Instance(*b"nms-lab bench...");

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct DetectOptions {
    /// The corpus.
    pub seed: u64,
}

/// The figures.
///
/// # Errors
/// The log for the peer cannot be written, or the peer cannot be run.
pub fn detect(options: DetectOptions) -> Result<Vec<Figure>, String> {
    let corpus = Corpus::new(options.seed, CORPUS_LINES);
    let ordinary = events(corpus.lines.iter().cloned());
    let log = sshd_log();
    let mut figures = Vec::new();
    let (extraction, correlation, slowest) = run(&ordinary);
    figures.push(Figure::new("corpus", "extraction", extraction, "CPU s per million events"));
    figures.push(Figure::new("corpus", "extraction and correlators", correlation, "CPU s per million events"));
    if let Some(slowest) = slowest {
        figures.push(Figure::new("corpus", "event to finding, p99", slowest, "ms"));
    }
    let begun_us = clock::cpu_us();
    let guessed = events(log.lines().map(|line| line.as_bytes().to_vec()));
    let parse = (clock::cpu_us() - begun_us) as f64 / guessed.len().max(1) as f64;
    let (_, correlation, _) = run(&guessed);
    let ours = parse + correlation;
    let peer = fail2ban(&log)?;
    let missing = || "fail2ban-regex is not installed: apt-get install fail2ban".to_owned();
    figures.push(Figure {
        peer: Some(peer.map_or_else(missing, |peer| format!("fail2ban-regex: {peer:.1}"))),
        ratio: peer.map(|peer| ours / peer),
        ..Figure::new("sshd", "parser, extraction and correlators", ours, "CPU s per million events")
    });
    Ok(figures)
}

/// Lines as events that come at 20,000 a second.
fn events(lines: impl Iterator<Item = Vec<u8>>) -> Vec<Event> {
    let received = Received { unix_ms: BEGIN_MS, utc_offset_s: 0 };
    let event = |(number, line): (usize, Vec<u8>)| {
        let (draft, _cut) = syslog::draft(&line, &received).ok()?;
        let id = EventId { instance: INSTANCE, seq: EventSeq(number as u64 + 1) };
        let source = EndpointId::new(draft.host.as_deref().unwrap_or("host"));
        let at = Stamp::utc(BEGIN_MS + number as i64 * STEP_US / 1_000);
        Some(draft.named(id, source, at))
    };
    lines.enumerate().filter_map(event).collect()
}

/// CPU of extraction, of extraction with the correlators, and how long the events took that completed a finding.
fn run(events: &[Event]) -> (f64, f64, Option<f64>) {
    let each = |begun_us: u64| (clock::cpu_us() - begun_us) as f64 / events.len().max(1) as f64;
    let begun_us = clock::cpu_us();
    for event in events {
        std::hint::black_box(extract(event));
    }
    let extraction = each(begun_us);
    let settings = || Settings { instance: INSTANCE, admins: Vec::new() };
    let mut correlator = Correlator::new(settings());
    let mut found = Vec::new();
    let begun_us = clock::cpu_us();
    for event in events {
        correlator.observe(event.at, event, &mut found);
        found.clear();
    }
    let correlation = each(begun_us);
    let mut correlator = Correlator::new(settings());
    let mut took = Vec::new();
    for event in events {
        let begun_us = clock::monotonic_us();
        correlator.observe(event.at, event, &mut found);
        if !found.is_empty() {
            took.push((clock::monotonic_us() - begun_us) as f64 / 1_000.0);
            found.clear();
        }
    }
    took.sort_by(f64::total_cmp);
    (extraction, correlation, percentile(&took, 99))
}

/// An exposed sshd's log: failures of many addresses, and a login now and then.
fn sshd_log() -> String {
    let mut log = String::new();
    for at in 0..LOG_LINES {
        let (second, address) = (at / 20, at * 7_919 % ADDRESSES);
        let (minute, hour) = (second / 60 % 60, second / 3_600 % 24);
        let from = format!("203.0.{}.{}", address / 250, address % 250 + 1);
        let said = match at % 10 {
            0 => {
                format!("Accepted publickey for admin from {from} port {} ssh2: ED25519 SHA256:x", 30_000 + at % 30_000)
            }
            1..=4 => {
                format!("Failed password for invalid user u{} from {from} port {} ssh2", at % 97, 30_000 + at % 30_000)
            }
            _ => format!("Failed password for root from {from} port {} ssh2", 30_000 + at % 30_000),
        };
        let line =
            format!("Jan  5 {hour:02}:{minute:02}:{:02} web sshd[{}]: {said}\n", second % 60, 1_000 + at % 30_000);
        log.push_str(&line);
    }
    log
}

/// CPU of `fail2ban-regex` with its sshd filter, per million lines; none where it is not installed.
fn fail2ban(log: &str) -> Result<Option<f64>, String> {
    if !Command::new("fail2ban-regex").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    let path = std::env::temp_dir().join(format!("nms-bench-detect-{}.log", std::process::id()));
    fs::write(&path, log).map_err(|cause| format!("{}: {cause}", path.display()))?;
    // The shell's own word on what its children took.
    let script = format!("fail2ban-regex '{}' sshd >/dev/null 2>&1; times", path.display());
    let output = Command::new("bash").args(["-c", &script]).output();
    let _gone = fs::remove_file(&path);
    let output = output.map_err(|cause| format!("cannot run fail2ban-regex: {cause}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let children = said.lines().nth(1).unwrap_or_default();
    let seconds: Option<f64> = children.split_whitespace().map(seconds).sum();
    let seconds = seconds.filter(|seconds| *seconds > 0.0).ok_or("the shell does not say what fail2ban-regex took")?;
    Ok(Some(seconds * 1e6 / LOG_LINES as f64))
}

/// `1m2.345s` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, rest) = text.split_once('m')?;
    let rest: f64 = rest.trim_end_matches('s').parse().ok()?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + rest)
}
