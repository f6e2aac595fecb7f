//! `bench pipeline`: generator, hub and server on this machine, TCP syslog in, alerts out, everything durable.

use std::path::PathBuf;

use nms_kit::clock;
use nms_model::sequence::MASKS;
use nms_proto::limits::MODEL_WINDOW_EVENTS;

use super::{
    Figure,
    corpus::Corpus,
    daemons::{Daemons, Usage},
    dash::Watcher,
    percentile,
    sender::{Sender, Sent},
    wait,
};

/// Lines of the corpus that are made before the clock starts.
const CORPUS_LINES: usize = 400_000;
/// Longest wait for the daemons to be linked, and for the last event to be delivered, in milliseconds.
const READY_MS_MAX: u64 = 20_000;
const DRAIN_MS_MAX: u64 = 120_000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the release binaries are.
    pub binaries: PathBuf,
    /// Lines a second; none for as fast as they are taken.
    pub rate: Option<u64>,
    /// For how long.
    pub seconds: u64,
    /// The corpus.
    pub seed: u64,
}

/// Runs the pipeline and gives its figures.
///
/// # Errors
/// What could not be started, or that events were lost.
pub fn pipeline(options: &Options) -> Result<Vec<Figure>, String> {
    let corpus = Corpus::new(options.seed, CORPUS_LINES);
    let daemons = Daemons::start(&options.binaries, "public_ip = true")?;
    let run = Run { daemons: &daemons, watcher: linked(&daemons)? };
    let figures = run.measure(&corpus, options);
    figures.map_err(|problem| format!("{problem}\n{}", daemons.logs()))
}

struct Run<'a> {
    daemons: &'a Daemons,
    watcher: Watcher,
}

/// Who watches the hub, once that has its server.
pub(super) fn linked(daemons: &Daemons) -> Result<Watcher, String> {
    let path = daemons.socket();
    let mut watcher = Err("the hub did not open its dashboard socket".to_owned());
    wait(READY_MS_MAX, || {
        watcher = Watcher::connect(&path).map_err(|error| format!("{}: {error}", path.display()));
        watcher.is_ok()
    });
    let watcher = watcher.map_err(|problem| format!("{problem}\n{}", daemons.logs()))?;
    if !wait(READY_MS_MAX, || watcher.is_linked()) {
        return Err(format!("the hub did not reach its server\n{}", daemons.logs()));
    }
    Ok(watcher)
}

/// Waits until all lines that were sent are delivered and analysed, and gives how many the server logged of
/// them: what it took less the findings, which the hub made.
pub(super) fn taken(daemons: &Daemons, watcher: &Watcher, sent: u64) -> Result<u64, String> {
    let drained = wait(DRAIN_MS_MAX, || {
        let account = watcher.account();
        account.received >= sent && account.waiting == 0
    });
    let account = watcher.account();
    if !drained || account.dropped > 0 {
        return Err(format!("{sent} lines were sent and not all delivered: {account:?}"));
    }
    // Findings are counted when they are analysed, a moment after they are logged.
    if !wait(DRAIN_MS_MAX, || {
        let tenant = daemons.tenant();
        tenant.pointer("/log/last") == tenant.pointer("/log/analysed")
    }) {
        return Err("the server did not analyse everything that it logged".into());
    }
    let tenant = daemons.tenant();
    let count = |name: &str| tenant.pointer(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
    let skipped = count("/events/skipped");
    let lines = count("/events/taken").saturating_sub(count("/analysis/findings"));
    if lines != sent || skipped > 0 {
        return Err(format!("{sent} lines were sent, the server logged {lines} and was told of {skipped} lost"));
    }
    Ok(lines)
}

impl Run<'_> {
    fn usage(&self) -> [(&'static str, Usage); 2] {
        ["hub", "server"].map(|name| (name, self.daemons.usage(name)))
    }

    fn measure(&self, corpus: &Corpus, options: &Options) -> Result<Vec<Figure>, String> {
        let before = self.usage();
        let begun = clock::monotonic_us();
        let mut sender = Sender::connect(self.daemons.syslog).map_err(|error| format!("cannot connect: {error}"))?;
        let sent =
            sender.send(corpus, options.rate, options.seconds).map_err(|error| format!("cannot send: {error}"))?;
        wait(DRAIN_MS_MAX, || {
            let account = self.watcher.account();
            account.received >= sent.lines && account.waiting == 0
        });
        let seconds = (clock::monotonic_us() - begun) as f64 / 1e6;
        let after = self.usage();
        let taken = taken(self.daemons, &self.watcher, sent.lines)?;
        let mut figures = vec![
            Figure::new("pipeline", "events sent, delivered and logged durably", taken as f64, "events"),
            Figure::new(
                "pipeline",
                "sustained, until the last event was delivered",
                sent.lines as f64 / seconds,
                "events/s",
            ),
            Figure::new("generator", "rate at which lines were taken", sent.lines as f64 / sent.seconds, "events/s"),
            Figure::new("pipeline", "events lost", sent.lines.saturating_sub(taken) as f64, "events"),
            Figure::new("hub", "alerts", self.watcher.alerts() as f64, "alerts"),
        ];
        for ((leg, before), (_, after)) in before.into_iter().zip(after) {
            let per_million = (after.cpu_s - before.cpu_s) * 1e6 / sent.lines as f64;
            figures.push(Figure::new(leg, "CPU", per_million, "s per million events"));
            figures.push(Figure::new(leg, "memory at the end", after.rss_mb, "MiB"));
        }
        figures.extend(self.model());
        figures.extend(self.latencies(&sent));
        Ok(figures)
    }

    /// What the model had to do: repetitive traffic would win any bench.
    fn model(&self) -> Vec<Figure> {
        let tenant = self.daemons.tenant();
        let count = |name: &str| {
            tenant.pointer(&format!("/analysis/{name}")).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
        };
        let (hits, misses) = (count("cache_hits"), count("cache_misses"));
        vec![
            Figure::new("model", "windows scored", count("windows"), "windows"),
            Figure::new("model", "passes a window that is not cached, one a mask", MASKS as f64, "passes"),
            Figure::new("model", "positions of a window at most", MODEL_WINDOW_EVENTS as f64, "positions"),
            Figure::new("model", "window cache hits", hits * 100.0 / (hits + misses), "%"),
            Figure::new("model", "window cache misses", misses, "windows"),
        ]
    }

    /// From the write of a probe's last line to its alert here.
    fn latencies(&self, sent: &Sent) -> Vec<Figure> {
        let times = |at: fn(super::dash::Seen) -> Option<u64>| {
            let since = |probe: &super::sender::Probe| {
                Some((at(self.watcher.seen(&probe.actor))? - probe.sent_us) as f64 / 1e3)
            };
            let mut times: Vec<f64> = sent.probes.iter().filter_map(since).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let mut figures = Vec::new();
        let kinds =
            [("correlated", times(|seen| seen.correlated_us)), ("judged by the model", times(|seen| seen.model_us))];
        for (what, times) in kinds {
            let share = times.len() as f64 / sent.probes.len().max(1) as f64;
            figures.push(Figure::new("alerts", format!("probes {what}"), share * 100.0, "%"));
            for percent in [50, 99] {
                if let Some(value) = percentile(&times, percent) {
                    figures.push(Figure::new("alerts", format!("line sent to {what}, p{percent}"), value, "ms"));
                }
            }
        }
        figures
    }
}
