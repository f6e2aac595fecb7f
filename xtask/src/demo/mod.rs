//! The demo: server, hub and agent on loopback, ordinary traffic, three password-guessing runs, and
//! the alerts that come back.
//!
//! Each run comes another way (UDP, TCP, a tailed file) and from another attacker. The demo passes
//! when all three are back from the server as `brute_force`, HIGH or more, judged by the model. It
//! fails 60 s after the daemons are ready without them. Nothing is left running, however it ends.

mod stage;
mod traffic;

use std::{
    io::{IsTerminal as _, stdout},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::run::{cargo, step, target};
use stage::Stage;
use traffic::Traffic;

/// Why the demo fails when no alerts come.
pub(crate) const NO_ALERTS: &str = "the alerts did not come back from the server";
/// Seconds that the alerts may take once the daemons are ready.
const ALERTS_S_MAX: u64 = 60;
/// Seconds that the daemons may take to be ready.
const READY_S_MAX: u64 = 30;
/// Seconds that the check without a server waits: it is known to be in vain.
const IN_VAIN_S: u64 = 15;
const LOOK: Duration = Duration::from_millis(300);

/// How the demo is run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print the alerts as JSON lines and end, instead of opening the dashboard.
    #[arg(long)]
    headless: bool,
    /// Stop the server before the attack: shows that the demo can fail.
    #[arg(long)]
    without_server: bool,
}

impl Options {
    pub(crate) fn headless() -> Self {
        Self { headless: true, without_server: false }
    }

    pub(crate) fn headless_without_server() -> Self {
        Self { headless: true, without_server: true }
    }
}

/// Builds, starts, attacks, shows.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).map_err(|error| error.to_string())?;
    }
    let mut build = cargo();
    build.args(["build", "--release"]);
    step(build.args(["-p", "nmsd-server", "-p", "nmsd-hub", "-p", "nmsd-agent", "-p", "nms-tui"]))?;

    let binaries = target().join("release");
    let mut stage = Stage::set(&binaries)?;
    let deadline = |seconds: u64| clock() + Duration::from_secs(seconds);
    eprintln!("demo: starting server, hub and agent below {}", stage.folder().display());
    let ready = deadline(READY_S_MAX);
    while !stage.is_ready() {
        stage.check_alive()?;
        wait(&interrupted)?;
        if clock() > ready {
            return Err(format!("the daemons were not ready within {READY_S_MAX} s\n{}", stage.logs()));
        }
    }
    eprintln!("demo: ready, the dashboard's socket is {}", stage.socket().display());
    if options.without_server {
        stage.stop_server();
    }
    let traffic = Traffic::start(&stage.places())?;
    if !options.headless && stdout().is_terminal() {
        return dashboard(&stage);
    }
    let end = deadline(if options.without_server { IN_VAIN_S } else { ALERTS_S_MAX });
    loop {
        let alerts = stage.alerts();
        let found: Vec<&Value> =
            stage.sources().iter().filter_map(|source| alerts.iter().find(|alert| fits(alert, source))).collect();
        if found.len() == stage.sources().len() {
            drop(traffic);
            show(&alerts);
            eprintln!("demo: all {} guessing runs came back from the server", found.len());
            return Ok(());
        }
        if clock() > end {
            show(&alerts);
            let missing = stage.sources().len() - found.len();
            return Err(format!("{NO_ALERTS}: {missing} of {} are missing\n{}", stage.sources().len(), stage.logs()));
        }
        wait(&interrupted)?;
    }
}

fn show(alerts: &[Value]) {
    for alert in alerts {
        println!("{alert}");
    }
}

/// Whether this is a judged alert for a guessing run against `source`.
fn fits(alert: &Value, source: &str) -> bool {
    let text = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or_default();
    text("category") == "brute_force"
        && ["HIGH", "CRITICAL"].contains(&text("severity"))
        && text("source") == source
        && text("status") != "provisional"
        && alert.get("model").is_some_and(Value::is_object)
}

fn dashboard(stage: &Stage) -> Result<(), String> {
    let status = Command::new(stage.binary("nms-tui")).arg("--socket").arg(stage.socket()).status();
    let status = status.map_err(|error| format!("cannot open the dashboard: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the dashboard ended with {status}")) }
}

#[expect(clippy::disallowed_methods, reason = "the demo waits in real time for real programs")]
fn wait(interrupted: &AtomicBool) -> Result<(), String> {
    thread::sleep(LOOK);
    if interrupted.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}

#[expect(clippy::disallowed_methods, reason = "the demo waits in real time for real programs")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
