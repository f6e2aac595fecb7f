//! The demo: server, hub and agent on loopback, ordinary traffic, three password-guessing runs, and
//! the alerts that come back.
//!
//! Each run comes another way (UDP, TCP, a tailed file) and from another attacker. The demo passes
//! when all three are back from the server as `brute_force`, HIGH or more, judged by the model. It
//! fails 60 s after the daemons are ready without them. Nothing is left running, however it ends.

mod traffic;

use std::{
    fs::File,
    io::{IsTerminal as _, stdout},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use nms_e2e::{Hub, Stage};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::run::{cargo, step, target};
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
/// The sources of the three guessing runs: UDP, TCP, the agent's file.
const SOURCES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.1/agent"];

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
    let (mut stage, hub, log_file) = set(&binaries)?;
    let deadline = |seconds: u64| clock() + Duration::from_secs(seconds);
    eprintln!("demo: starting server, hub and agent below {}", stage.folder().display());
    let ready = deadline(READY_S_MAX);
    while !is_ready(&stage) {
        check_alive(&mut stage)?;
        wait(&interrupted)?;
        if clock() > ready {
            return Err(format!("the daemons were not ready within {READY_S_MAX} s\n{}", stage.logs()));
        }
    }
    eprintln!("demo: ready, the dashboard's socket is {}", stage.socket("hub").display());
    if options.without_server {
        stage.kill("server")?;
    }
    let traffic = Traffic::start(&hub, &log_file)?;
    if !options.headless && stdout().is_terminal() {
        return dashboard(&stage);
    }
    let end = deadline(if options.without_server { IN_VAIN_S } else { ALERTS_S_MAX });
    loop {
        let alerts = stage.once("hub", "alerts");
        let found: Vec<&Value> =
            SOURCES.iter().filter_map(|source| alerts.iter().find(|alert| fits(alert, source))).collect();
        if found.len() == SOURCES.len() {
            drop(traffic);
            show(&alerts);
            eprintln!("demo: all {} guessing runs came back from the server", found.len());
            return Ok(());
        }
        if clock() > end {
            show(&alerts);
            let missing = SOURCES.len() - found.len();
            return Err(format!("{NO_ALERTS}: {missing} of {} are missing\n{}", SOURCES.len(), stage.logs()));
        }
        wait(&interrupted)?;
    }
}

/// Starts server, hub, and an agent that reads an empty file.
fn set(binaries: &Path) -> Result<(Stage, Hub, PathBuf), String> {
    let mut stage = Stage::new("nms-demo-", binaries, "public_ip = true")?;
    let hub = stage.hub("hub", "")?;
    let log_file = stage.path("auth.log");
    File::create(&log_file).map_err(|error| error.to_string())?;
    stage.agent("agent", &hub, &[&log_file], &[])?;
    for (binary, name) in [("nmsd-server", "server"), ("nmsd-hub", "hub"), ("nmsd-agent", "agent")] {
        stage.start(binary, name)?;
    }
    Ok((stage, hub, log_file))
}

/// Whether the hub has its server and its agent.
fn is_ready(stage: &Stage) -> bool {
    let is_agent = |endpoint: &Value| endpoint.get("kind").is_some_and(|kind| kind == "agent");
    stage.is_linked("hub") && stage.once("hub", "endpoints").iter().any(is_agent)
}

/// A daemon that ended by itself is an error, with its log.
fn check_alive(stage: &mut Stage) -> Result<(), String> {
    let ended: Vec<String> = stage.ended().iter().map(|(name, status)| format!("{name} ended with {status}")).collect();
    if ended.is_empty() { Ok(()) } else { Err(format!("{}\n{}", ended.join(", "), stage.logs())) }
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
    let status = Command::new(stage.binary("nms-tui")).arg("--socket").arg(stage.socket("hub")).status();
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
