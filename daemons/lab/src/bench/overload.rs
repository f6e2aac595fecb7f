//! `bench overload`: three times the ordinary rate for a minute, then the ordinary rate until nothing waits.
//!
//! The sender is a source that can wait, like a file that grows: what the hub does not take at once it owes, and sends
//! as soon as it is taken. So nothing may be lost, and after the overload the hub has to take what comes and
//! what is owed.

use std::path::PathBuf;

use nms_kit::clock;

use super::{
    Figure,
    corpus::Corpus,
    daemons::Daemons,
    dash::Watcher,
    pipeline::{linked, taken},
    sender::Sender,
};

/// Lines of the corpus that are made before the clock starts.
const CORPUS_LINES: usize = 200_000;
/// Overload, in ordinary rates.
const OVERLOAD: u64 = 3;
/// Milliseconds between two heartbeats, as the server asks.
const HEARTBEAT_MS: u64 = 1_000;
/// Most that a heartbeat may be late, in milliseconds.
const LATE_MS_MAX: f64 = 1_000.0;
/// Least rate of draining, in ordinary rates.
const DRAIN_MIN: f64 = 1.5;
/// Longest drain, in seconds.
const DRAIN_S_MAX: u64 = 240;

/// What to measure.
#[derive(Clone, Debug)]
pub struct OverloadOptions {
    /// Where the release binaries are.
    pub binaries: PathBuf,
    /// The ordinary rate, in lines a second.
    pub rate: u64,
    /// How long the overload lasts.
    pub seconds: u64,
    /// The corpus.
    pub seed: u64,
}

/// Overloads the pipeline and gives its figures.
///
/// # Errors
/// What could not be started; that lines were lost, a heartbeat was late, the server never said that it is busy, or
/// what was owed drained too slowly.
pub fn overload(options: &OverloadOptions) -> Result<Vec<Figure>, String> {
    let corpus = Corpus::new(options.seed, CORPUS_LINES);
    let settings = format!("public_ip = true\nheartbeat_interval = {}", HEARTBEAT_MS / 1_000);
    let daemons = Daemons::start(&options.binaries, &settings)?;
    let watcher = linked(&daemons)?;
    measure(&daemons, &watcher, &corpus, options).map_err(|problem| format!("{problem}\n{}", daemons.logs()))
}

fn measure(
    daemons: &Daemons,
    watcher: &Watcher,
    corpus: &Corpus,
    options: &OverloadOptions,
) -> Result<Vec<Figure>, String> {
    let mut sender = Sender::connect(daemons.syslog).map_err(|error| format!("cannot connect: {error}"))?;
    let begun = clock::monotonic_us();
    let since = |us: u64| (us - begun) as f64 / 1e6;
    let peak_us = options.seconds * 1_000_000;
    let due = |at_us: u64| (at_us.min(peak_us) * OVERLOAD + at_us.saturating_sub(peak_us)) * options.rate / 1_000_000;
    let delivered = || watcher.account().delivered;
    let mut peak: Option<(u64, u64, u64)> = None;
    let mut sent = 0_u64;
    // The drain ends with the first moment in which nothing is owed and little waits.
    let (end_us, drained) = loop {
        let now = clock::monotonic_us();
        if now - begun >= peak_us && peak.is_none() {
            peak = Some((now, delivered(), due(now - begun).saturating_sub(delivered())));
        }
        let owed = due(now - begun).saturating_sub(sent);
        sent += sender.write(corpus, owed).map_err(|error| format!("cannot send: {error}"))?;
        if peak.is_some() && owed < options.rate / 100 {
            let account = watcher.account();
            if account.waiting < options.rate / 10 {
                break (now, account.delivered);
            }
        }
        if now - begun > peak_us + DRAIN_S_MAX * 1_000_000 {
            return Err(format!("after {DRAIN_S_MAX} s {owed} lines are still owed: {:?}", watcher.account()));
        }
    };
    let Some((peak_at, at_peak, backlog)) = peak else { return Err("the overload never ended".into()) };
    taken(daemons, watcher, sent)?;
    let overloaded = at_peak as f64 / since(peak_at);
    let draining = (drained - at_peak) as f64 / ((end_us - peak_at).max(1) as f64 / 1e6);
    let ratio = draining / options.rate as f64;
    let tenant = daemons.tenant();
    let number = |at: &str| {
        tenant.pointer(at).and_then(serde_json::Value::as_f64).ok_or_else(|| format!("the server does not say {at}"))
    };
    let late = number("/hubs/0/heartbeat_gap_ms_max")? - HEARTBEAT_MS as f64;
    let busy = number("/batches/busy")?;
    if ratio < DRAIN_MIN || late > LATE_MS_MAX || busy < 1.0 {
        return Err(format!(
            "drained at {ratio:.2} times the input rate (at least {DRAIN_MIN}), a heartbeat came {late} ms late (at \
             most {LATE_MS_MAX}), batches refused as busy: {busy} (at least one)"
        ));
    }
    Ok(vec![
        Figure::new("overload", "ordinary rate", options.rate as f64, "events/s"),
        Figure::new("overload", "rate offered for the overload", (options.rate * OVERLOAD) as f64, "events/s"),
        Figure::new("overload", "delivered meanwhile", overloaded, "events/s"),
        Figure::new("overload", "not delivered at its end", backlog as f64, "events"),
        Figure::new("drain", "delivered, at the ordinary rate of input", draining, "events/s"),
        Figure::new("drain", "of the rate of input", ratio, "times"),
        Figure::new("drain", "until nothing was owed", since(end_us) - since(peak_at), "s"),
        Figure::new("overload", "events sent and logged durably, none lost", sent as f64, "events"),
        Figure::new("overload", "latest heartbeat", late.max(0.0), "ms late"),
        Figure::new("overload", "batches refused as busy", busy, "batches"),
        Figure::new("hub", "memory at the end", daemons.usage("hub").rss_mb, "MiB"),
        Figure::new("server", "memory at the end", daemons.usage("server").rss_mb, "MiB"),
    ])
}
