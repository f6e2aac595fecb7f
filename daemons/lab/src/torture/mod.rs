//! `torture`: real daemons, killed again and again at named points and at random, behind a link that
//! is cut and slowed, under overload; and at the end an account of every numbered line.
//!
//! ```text
//! files -> agent 1, agent 2 --+                     proxy
//! TCP, UDP --------------------> hub ------------------------------> server
//!              each killed at fault points (nms_kit::fault) and at random
//! ```
//! The binaries must have fault points: unoptimised ones, or built with the feature `faults`.

mod ledger;
mod load;
mod proxy;

pub use ledger::{Report, Stored};

use std::{os::unix::process::ExitStatusExt as _, path::PathBuf};

use nms_e2e::Stage;
use nms_kit::{clock, fault};
use nms_model::random::Random;
use serde_json::Value;

use load::Load;
use proxy::Proxy;

/// Lines that each sender sends with each beat of 20 ms.
const LINES_PER_BEAT: u64 = 8;
/// Longest wait for a daemon to come to its fault point, for one to serve, and for everything to be delivered at the end,
/// in milliseconds.
const FAULT_MS_MAX: u64 = 6_000;
const SERVE_MS_MAX: u64 = 15_000;
const DRAIN_MS_MAX: u64 = 180_000;
/// Time that the chain runs between two troubles, and between two looks, in milliseconds.
const REST_MS: u64 = 300;
/// How long a disk is full before somebody looks, and the longest until its daemon says so, in milliseconds.
const FULL_MS: u64 = 700;
const SAY_MS_MAX: u64 = 3_000;
const LOOK_MS: u64 = 20;
/// Longest way to a fault point: so many batches may pass it before.
const PASSES_MAX: u64 = 12;
/// Batches that a hub loses unseen where it is to: so many that one of them holds lines of files.
const LOST: &str = "5,6,7,8,12,13,14,15,25,26,27,28,45,46,47,48,80,81,82,83";
/// Longest time that a daemon may take to serve again, and to take data again on a disk that has room, in milliseconds.
const RECOVERY_MS_MAX: u64 = 5_000;
/// Least kills at each point of a run of ten minutes.
const KILLS_MIN: u64 = 20;
/// A run from which that many kills are asked, in seconds.
const LONG_RUN_S: u64 = 600;

/// How to torture.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where binaries with fault points are.
    pub binaries: PathBuf,
    /// For how long.
    pub seconds: u64,
    /// The order of troubles.
    pub seed: u64,
    /// Whether each hub loses a batch unseen: the account must not hold then.
    pub lose: bool,
}

const SERVER: (&str, &str) = ("nmsd-server", "server");
const HUB: (&str, &str) = ("nmsd-hub", "hub");
const AGENTS: [(&str, &str); 2] = [("nmsd-agent", "agent0"), ("nmsd-agent", "agent1")];

/// Runs, and gives the account; `progress` hears a line now and then.
///
/// # Errors
/// A daemon that does not come back, or an account that does not hold; with what was found.
pub fn torture(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, String> {
    let mut run = Run::start(options)?;
    let begun = clock::monotonic_ms();
    let mut round = 0;
    let done = loop {
        let passed_ms = clock::monotonic_ms() - begun;
        if passed_ms >= options.seconds * 1_000 {
            break Ok(());
        }
        if let Err(problem) = run.trouble(round) {
            break Err(problem);
        }
        round += 1;
        if round % 10 == 0 {
            progress(&format!("{} s, kills {:?}", passed_ms / 1_000, run.report.kills));
        }
    };
    let report = done.and_then(|()| run.account()).map_err(|problem| format!("{problem}\n{}", run.stage.logs()))?;
    verdict(&report, options.seconds).map(|()| report)
}

/// Whether an account holds.
fn verdict(report: &Report, seconds: u64) -> Result<(), String> {
    let mut wrong = Vec::new();
    if report.unexplained > 0 || report.duplicates_stored > 0 || report.quarantined > 0 {
        wrong.push("lines are lost, stored twice or set aside");
    }
    if report.longest_recovery_ms.max(report.longest_disk_recovery_ms) > RECOVERY_MS_MAX {
        wrong.push("a daemon took too long to recover");
    }
    let few = fault::POINTS.iter().filter(|point| report.kills.get(**point).is_none_or(|kills| *kills < KILLS_MIN));
    if seconds >= LONG_RUN_S && few.count() > 0 {
        wrong.push("a fault point was met too seldom");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let whole = serde_json::to_string(report).unwrap_or_default();
    Err(format!("{}: {whole}", wrong.join("; ")))
}

struct Run {
    stage: Stage,
    proxy: Proxy,
    load: Load,
    random: Random,
    lose: bool,
    report: Report,
}

impl Run {
    fn start(options: &Options) -> Result<Self, String> {
        let stage = Stage::new("nms-torture-", &options.binaries, "public_ip = true\nheartbeat_interval = 1")?;
        let proxy = Proxy::start(stage.server_port())?;
        let hub = stage.hub_at("hub", proxy.port, "")?;
        let folder = stage.path("load");
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let files: Vec<PathBuf> = (0..AGENTS.len()).map(|at| folder.join(format!("app{at}.log"))).collect();
        for ((_, name), file) in AGENTS.iter().zip(&files) {
            stage.agent(name, &hub, &[file], &[])?;
        }
        let load = Load::start(&files, hub.tcp, hub.udp, LINES_PER_BEAT);
        let random = Random::new(options.seed);
        let mut run = Self { stage, proxy, load, random, lose: options.lose, report: Report::default() };
        for (binary, name) in [SERVER, HUB].into_iter().chain(AGENTS) {
            run.launch(binary, name, None)?;
        }
        Ok(run)
    }

    /// One trouble, and a moment of rest: mostly a fault point, now and then something else.
    fn trouble(&mut self, round: u64) -> Result<(), String> {
        let point = fault::POINTS.into_iter().cycle().nth(round as usize % fault::POINTS.len()).unwrap_or_default();
        let agent = self.random.pick(&AGENTS).copied().unwrap_or(HUB);
        let who = match point {
            fault::AFTER_SPOOL | fault::AFTER_SEND if self.random.chance(0.5) => agent,
            fault::AFTER_SPOOL | fault::AFTER_SEND => HUB,
            fault::AFTER_ACK if self.random.chance(0.5) => HUB,
            _ => SERVER,
        };
        self.fault(who, point)?;
        match round % 8 {
            1 => self.kill_at_random()?,
            3 => self.count("cut", |run| run.proxy.cut(true), |run| run.proxy.cut(false)),
            5 => self.count("slow", |run| run.proxy.slow(20), |run| run.proxy.slow(0)),
            7 => self.count("overload", |run| run.load.files.iter().for_each(load::Sender::overload), |_| ()),
            0 => self.full_disk(true)?,
            4 => self.full_disk(false)?,
            _ => {}
        }
        self.hurry()
    }

    /// The disk of one daemon is full for a while; where `killed` the daemon is killed meanwhile, and starts where there
    /// is no room.
    fn full_disk(&mut self, killed: bool) -> Result<(), String> {
        let [first, second] = AGENTS;
        let who @ (binary, name) = self.random.pick(&[SERVER, HUB, first, second]).copied().unwrap_or(HUB);
        let full = self.disk(name);
        std::fs::write(&full, "").map_err(|error| format!("cannot write {}: {error}", full.display()))?;
        clock::block(FULL_MS);
        if killed {
            self.stage.kill(name)?;
            *self.report.kills.entry("on a full disk".into()).or_default() += 1;
            self.launch(binary, name, None)?;
        }
        // One that has nothing to write does not notice, but for one that starts.
        let said = !killed || wait(SAY_MS_MAX, || self.disk_said(who).is_some_and(|said| said.contains("full")));
        std::fs::remove_file(&full).map_err(|error| format!("cannot remove {}: {error}", full.display()))?;
        if !said {
            return Err(format!("{name} does not say that its disk is full"));
        }
        let freed = clock::monotonic_ms();
        if !wait(SERVE_MS_MAX, || self.disk_said(who).is_some_and(|said| said.is_empty())) {
            return Err(format!("{name} takes nothing, {SERVE_MS_MAX} ms after its disk had room again"));
        }
        let recovery_ms = clock::monotonic_ms() - freed;
        self.report.longest_disk_recovery_ms = self.report.longest_disk_recovery_ms.max(recovery_ms);
        *self.report.troubles.entry(format!("full disk, {binary}")).or_default() += 1;
        Ok(())
    }

    /// The file that makes a daemon's disk full while it is there.
    fn disk(&self, name: &str) -> PathBuf {
        self.stage.path(&format!("{name}.full"))
    }

    /// What a daemon says of its disk: nothing where all is well; none where it does not answer.
    fn disk_said(&self, (binary, name): (&str, &str)) -> Option<String> {
        let status = self.stage.admin(binary, name, &["status"]).ok()?;
        Some(status.first()?.get("disk")?.as_str().unwrap_or_default().to_owned())
    }

    fn count(&mut self, what: &str, begin: impl FnOnce(&Self), end: impl FnOnce(&Self)) {
        begin(self);
        clock::block(REST_MS * 2);
        end(self);
        *self.report.troubles.entry(what.into()).or_default() += 1;
    }

    /// Starts a daemon that ends at a point, and starts it again.
    fn fault(&mut self, (binary, name): (&str, &str), point: &str) -> Result<(), String> {
        self.stage.kill(name)?;
        let passes = 1 + self.random.below(PASSES_MAX as usize);
        self.launch(binary, name, Some(&format!("{point}:{passes}")))?;
        let met = wait(FAULT_MS_MAX, || {
            self.stage.ended().iter().any(|(ended, status)| *ended == name && status.signal() == Some(9))
        });
        if met {
            *self.report.kills.entry(point.into()).or_default() += 1;
        }
        self.stage.kill(name)?;
        self.launch(binary, name, None)?;
        clock::block(REST_MS);
        Ok(())
    }

    fn kill_at_random(&mut self) -> Result<(), String> {
        let [first, second] = AGENTS;
        let (binary, name) = self.random.pick(&[SERVER, HUB, first, second]).copied().unwrap_or(SERVER);
        self.stage.kill(name)?;
        *self.report.kills.entry("random".into()).or_default() += 1;
        self.launch(binary, name, None)
    }

    /// A hub that waits long before it dials again, because the server was killed so often, is started anew.
    fn hurry(&mut self) -> Result<(), String> {
        let link = self.stage.link("hub");
        if link.get("retry_in_s").and_then(Value::as_u64).is_none_or(|seconds| seconds < 2) {
            return Ok(());
        }
        self.stage.kill("hub")?;
        *self.report.kills.entry("random".into()).or_default() += 1;
        self.launch(HUB.0, HUB.1, None)
    }

    /// Starts a daemon, with or without a fault, and waits until it serves; one with a fault may have ended before.
    fn launch(&mut self, binary: &str, name: &str, fault: Option<&str>) -> Result<(), String> {
        let mut command = self.stage.command(binary, name);
        command.env("NMS_DISK_FULL", self.disk(name));
        command.env("NMS_SNAPSHOT_MS", "500").args(["--log-level", "warn"]);
        if let Some(fault) = fault {
            command.env("NMS_FAULT", fault);
        }
        if self.lose && name == HUB.1 {
            command.env("NMS_LOSE", LOST);
        }
        self.stage.start_other(name, &mut command)?;
        let begun = clock::monotonic_ms();
        let serves = wait(SERVE_MS_MAX, || {
            let has_ended = self.stage.ended().iter().any(|(ended, _)| *ended == name);
            (has_ended && fault.is_some()) || self.stage.serves(binary, name)
        });
        if !serves {
            return Err(format!("{name} does not serve within {SERVE_MS_MAX} ms"));
        }
        if fault.is_none() {
            self.report.longest_recovery_ms = self.report.longest_recovery_ms.max(clock::monotonic_ms() - begun);
        }
        Ok(())
    }

    /// Ends the load, waits until all is delivered, and compares.
    fn account(&mut self) -> Result<Report, String> {
        self.load.stop()?;
        for (binary, name) in AGENTS.into_iter().chain([HUB]) {
            // Nobody waits for a backoff that the kills have drawn out.
            self.stage.kill(name)?;
            self.launch(binary, name, None)?;
        }
        let senders = self.load.files.iter().chain(&self.load.sockets);
        let sent: Vec<(String, u64)> = senders.map(|sender| (sender.name.clone(), sender.sent())).collect();
        let read: u64 = self.load.files.iter().map(load::Sender::sent).sum();
        let mut still = (0, 0);
        let drained = wait(DRAIN_MS_MAX, || {
            clock::block(REST_MS);
            // Drained, and nothing more was delivered between three looks: what the agents read is behind them.
            let delivered = self.delivered();
            still = if Some(still.0) == delivered { (still.0, still.1 + 1) } else { (delivered.unwrap_or(0), 0) };
            still.1 >= 3
        });
        let status = self.stage.verb(&["status"])?;
        if !drained {
            return Err(format!("{read} lines were read from files and not all delivered: {status}"));
        }
        self.stage.kill("server")?;
        let mut stored = Stored::default();
        let tenant = ["log", "dump", "--tenant", "ip-127.0.0.1"];
        for line in self.stage.verb(&tenant)?.lines() {
            stored.batch(&serde_json::from_str(line).map_err(|error| format!("the log's dump: {error}"))?);
        }
        let quarantined = status.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let quarantined = quarantined.filter_map(|row| row.pointer("/log/quarantined")?.as_u64()).sum();
        let Report { kills, troubles, longest_recovery_ms, longest_disk_recovery_ms, .. } =
            std::mem::take(&mut self.report);
        let met = Report { kills, troubles, longest_recovery_ms, longest_disk_recovery_ms, ..stored.report(&sent) };
        Ok(Report { quarantined, ..met })
    }

    /// What the hub has delivered, where nothing waits at hub and agents and the server has analysed everything.
    fn delivered(&self) -> Option<u64> {
        let waits = |(binary, name): (&str, &str)| {
            let status = self.stage.admin(binary, name, &["status"]).ok()?;
            status.first()?.pointer("/spool/events")?.as_u64()
        };
        let hub = self.stage.admin(HUB.0, HUB.1, &["status"]).ok()?;
        let spool = hub.first()?.get("spool")?.clone();
        let is_empty = AGENTS.into_iter().chain([HUB]).all(|daemon| waits(daemon) == Some(0));
        is_empty.then(|| spool.get("delivered")?.as_u64())?
    }
}

/// Looks until `done` or the time is over; whether it was done.
fn wait(ms_max: u64, mut done: impl FnMut() -> bool) -> bool {
    let end = clock::monotonic_ms() + ms_max;
    loop {
        if done() {
            return true;
        }
        if clock::monotonic_ms() >= end {
            return false;
        }
        clock::block(LOOK_MS);
    }
}
