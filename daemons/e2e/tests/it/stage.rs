//! The stage as tests use it: what fails fails the test, and every wait has a deadline.

use std::{
    io::Read as _,
    ops::{Deref, DerefMut},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

pub(crate) use nms_e2e::Hub;
use serde_json::Value;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);

/// Where the binaries are; none where a test is to be skipped.
fn binaries() -> Option<PathBuf> {
    let named = std::env::var_os("NMS_BIN").map(PathBuf::from);
    let found = named.filter(|folder| folder.join("nmsd-hub").is_file());
    if found.is_none() {
        let required = std::env::var("NMS_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "NMS_BIN names no folder with the daemons; run `cargo xtask test`");
        eprintln!("skipped: NMS_BIN names no folder with the daemons; run `cargo xtask test`");
    }
    found
}

/// A stage whose failures are the test's.
pub(crate) struct Stage(nms_e2e::Stage);

impl Deref for Stage {
    type Target = nms_e2e::Stage;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Stage {
    /// A folder with an authority and a server's settings; nothing runs yet. `more` is added to its settings.
    pub(crate) fn new(more: &str) -> Option<Self> {
        Some(Self(nms_e2e::Stage::new("nms-e2e-", &binaries()?, more).unwrap()))
    }

    /// A whole chain that runs: server with `public_ip`, one hub.
    pub(crate) fn chain() -> Option<(Self, Hub)> {
        let mut stage = Self::new("public_ip = true")?;
        stage.start_server();
        let hub = stage.hub("hub", "");
        stage.start("nmsd-hub", "hub");
        stage.until("the hub is linked", |stage| stage.is_linked("hub"));
        Some((stage, hub))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.0.write(name, text).unwrap();
    }

    /// Runs a verb of the server to its end and gives what it printed.
    pub(crate) fn verb(&self, words: &[&str]) -> String {
        self.0.verb(words).unwrap()
    }

    /// Writes a hub's settings; `more` is added to its server section.
    pub(crate) fn hub(&self, name: &str, more: &str) -> Hub {
        self.0.hub(name, more).unwrap()
    }

    /// Starts an agent that reads `files` from their start.
    pub(crate) fn start_agent(&mut self, name: &str, hub: &Hub, files: &[&Path]) {
        self.0.agent(name, hub, files, &[]).unwrap();
        self.start("nmsd-agent", name);
    }

    /// Starts an agent that reads no file and watches what lies below `folder`.
    pub(crate) fn start_watching(&mut self, name: &str, hub: &Hub, folder: &Path) {
        self.0.agent(name, hub, &[], &[folder]).unwrap();
        self.start("nmsd-agent", name);
    }

    /// What an admin verb of a daemon with the settings `<name>.toml` printed, JSON lines.
    pub(crate) fn admin(&self, binary: &str, name: &str, words: &[&str]) -> Vec<Value> {
        self.0.admin(binary, name, words).unwrap()
    }

    /// As `verb`; what the server said where it refused.
    pub(crate) fn try_verb(&self, words: &[&str]) -> Result<String, String> {
        self.0.verb(words)
    }

    pub(crate) fn start_server(&mut self) {
        self.start("nmsd-server", "server");
    }

    pub(crate) fn start(&mut self, binary: &str, name: &str) {
        self.0.start(binary, name).unwrap();
    }

    /// Starts any other program; it ends with the stage.
    pub(crate) fn start_other(&mut self, name: &str, command: &mut Command) {
        self.0.start_other(name, command).unwrap();
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, name: &str) {
        self.0.kill(name).unwrap();
    }

    /// Asks a daemon to end, and waits.
    pub(crate) fn stop(&mut self, name: &str) -> std::process::ExitStatus {
        self.0.stop(name).unwrap()
    }

    pub(crate) fn alerts(&self, hub: &str) -> Vec<Value> {
        self.once(hub, "alerts")
    }

    /// All that a hub tells a dashboard first.
    pub(crate) fn snapshot(&self, hub: &str) -> Value {
        let mut stream = UnixStream::connect(self.socket(hub)).unwrap();
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut payload = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut payload).unwrap();
            let mut message: Value = serde_json::from_slice(&payload).unwrap();
            if message["type"] == "snapshot" {
                return message["payload"].take();
            }
        }
    }

    /// Alerts of a category that the server has judged.
    pub(crate) fn judged(&self, hub: &str, category: &str) -> Vec<Value> {
        let is_judged = |alert: &Value| {
            alert["category"] == category && alert["status"] != "provisional" && alert["model"].is_object()
        };
        self.alerts(hub).into_iter().filter(is_judged).collect()
    }

    /// A source's account at a hub.
    pub(crate) fn account(&self, hub: &str, source: &str) -> Value {
        let link = self.link(hub);
        let found =
            link["sources"].as_array().and_then(|rows| rows.iter().find(|row| row["source"] == source).cloned());
        found.unwrap_or(Value::Null)
    }

    /// Waits until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            let late = || format!("not within {PATIENCE:?}: {what}\nlink: {}\n{}", self.link("hub"), self.logs());
            assert!(Instant::now() < end, "{}", late());
            thread::sleep(LOOK);
        }
    }
}
