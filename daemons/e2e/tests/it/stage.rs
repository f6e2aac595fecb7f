//! Server, hubs and agents in a temporary folder: started, killed, asked. Everything ends with the value.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);

/// Where the binaries are; none where a test is to be skipped.
pub(crate) fn binaries() -> Option<PathBuf> {
    let named = std::env::var_os("NMS_BIN").map(PathBuf::from);
    let found = named.filter(|folder| folder.join("nmsd-hub").is_file());
    if found.is_none() {
        let required = std::env::var("NMS_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "NMS_BIN names no folder with the daemons; run `cargo xtask test`");
        eprintln!("skipped: NMS_BIN names no folder with the daemons; run `cargo xtask test`");
    }
    found
}

/// A hub's ports.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
    pub(crate) agents: u16,
}

/// The processes and their folder.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    server_port: u16,
    running: BTreeMap<String, Child>,
}

impl Stage {
    /// A folder with an authority and a server's settings; nothing runs yet. `server` is added to its settings.
    pub(crate) fn new(server: &str) -> Option<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("nms-e2e-").tempdir().unwrap();
        let server_port = free_port();
        let stage = Self { folder, binaries, server_port, running: BTreeMap::new() };
        let root = stage.root();
        let settings = format!(
            "state = \"{root}/server\"\nruntime = \"{root}/run-server\"\nlisten = \"127.0.0.1:{server_port}\"\n{server}\n"
        );
        stage.write("server.toml", &settings);
        stage.verb("nmsd-server", &["init", "--name", "127.0.0.1"]);
        Some(stage)
    }

    /// A whole chain that runs: server with `public_ip`, one hub.
    pub(crate) fn chain() -> Option<(Self, Hub)> {
        let mut stage = Self::new("public_ip = true")?;
        stage.start_server();
        let hub = stage.hub("hub", "");
        stage.start("nmsd-hub", "hub");
        stage.until("the hub is linked", |stage| stage.link("hub")["server"] == "ok");
        Some((stage, hub))
    }

    pub(crate) fn root(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a verb of the server to its end and gives what it printed.
    pub(crate) fn verb(&self, binary: &str, words: &[&str]) -> String {
        let settings = self.path(&format!("{}.toml", binary.trim_start_matches("nmsd-")));
        let output =
            Command::new(self.binaries.join(binary)).arg("--config").arg(settings).args(words).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{binary} {words:?}: {shown}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes a hub's settings; `server` is added to its server section.
    pub(crate) fn hub(&self, name: &str, server: &str) -> Hub {
        let hub = Hub { udp: free_udp_port(), tcp: free_port(), agents: free_port() };
        let (root, port) = (self.root(), self.server_port);
        let settings = format!(
            "name = \"{name}\"\nstate = \"{root}/{name}\"\nruntime = \"{root}/run-{name}\"\nplain_networks = [\"127.0.0.0/8\"]\nown_host = false\n\
             [listen]\nsyslog_udp = \"127.0.0.1:{}\"\nsyslog_tcp = \"127.0.0.1:{}\"\nagents = \"127.0.0.1:{}\"\n\
             [server]\naddress = \"127.0.0.1:{port}\"\nca = \"{root}/server/ca.pem\"\n{server}\n",
            hub.udp, hub.tcp, hub.agents
        );
        self.write(&format!("{name}.toml"), &settings);
        hub
    }

    /// Writes an agent's settings: it tails `files` from their start.
    pub(crate) fn agent(&self, name: &str, hub: &Hub, files: &[&Path]) {
        let root = self.root();
        let files: Vec<String> = files.iter().map(|file| format!("\"{}\"", file.display())).collect();
        let settings = format!(
            "state = \"{root}/{name}\"\njournal = false\nfiles = [{}]\nfrom_start = true\n\
             [hub]\naddress = \"127.0.0.1:{}\"\nplain = true\n[fim]\nenabled = false\n",
            files.join(", "),
            hub.agents
        );
        self.write(&format!("{name}.toml"), &settings);
    }

    pub(crate) fn start_server(&mut self) {
        self.start("nmsd-server", "server");
    }

    /// Starts a daemon with the settings `<name>.toml`; its log goes to `<name>.log`.
    pub(crate) fn start(&mut self, binary: &str, name: &str) {
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let child = Command::new(self.binaries.join(binary))
            .arg("--config")
            .arg(self.path(&format!("{name}.toml")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        assert!(self.running.insert(name.into(), child).is_none(), "{name} runs already");
    }

    /// Starts any other program; it ends with the stage.
    pub(crate) fn start_other(&mut self, name: &str, command: &mut Command) {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.running.insert(name.into(), child);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Whether the daemon still runs.
    pub(crate) fn is_alive(&mut self, name: &str) -> bool {
        self.running.get_mut(name).is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// What `nms-tui --once WHAT --json` prints of a hub.
    pub(crate) fn once(&self, hub: &str, what: &str) -> Vec<Value> {
        let socket = self.path(&format!("run-{hub}/dash.sock"));
        let output = Command::new(self.binaries.join("nms-tui"))
            .arg("--socket")
            .arg(socket)
            .args(["--once", what, "--json"])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn alerts(&self, hub: &str) -> Vec<Value> {
        self.once(hub, "alerts")
    }

    /// Alerts of a category that the server has judged.
    pub(crate) fn judged(&self, hub: &str, category: &str) -> Vec<Value> {
        let is_judged = |alert: &Value| {
            alert["category"] == category && alert["status"] != "provisional" && alert["model"].is_object()
        };
        self.alerts(hub).into_iter().filter(is_judged).collect()
    }

    pub(crate) fn link(&self, hub: &str) -> Value {
        self.once(hub, "link").into_iter().next().unwrap_or(Value::Null)
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

    /// The end of every log.
    pub(crate) fn logs(&self) -> String {
        let mut shown = String::new();
        for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines[lines.len().saturating_sub(20)..].join("\n");
                shown = format!("{shown}--- {}\n{tail}\n", path.display());
            }
        }
        shown
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
