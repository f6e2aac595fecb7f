//! The daemons of the demo: their folder, settings, processes and logs. All of it ends with the value.

use std::{
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

/// Lines of each daemon's log that are shown when the demo fails.
const LOG_LINES: usize = 15;
const STOP_LOOKS: u32 = 50;
const STOP_LOOK: Duration = Duration::from_millis(100);

/// Where traffic goes.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) udp: u16,
    pub(super) tcp: u16,
    pub(super) log_file: PathBuf,
}

/// The daemons and their folder.
pub(super) struct Stage {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    places: Places,
    sources: [String; 3],
    /// In the order in which they are stopped.
    daemons: Vec<(&'static str, Child)>,
}

impl Stage {
    /// Writes settings, makes certificates, starts the daemons.
    pub(super) fn set(binaries: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("nms-demo-").tempdir().map_err(|error| error.to_string())?;
        let root = folder.path().to_path_buf();
        let [udp, tcp, agents, server] = ports()?;
        let log_file = root.join("auth.log");
        File::create(&log_file).map_err(|error| error.to_string())?;
        let host = hostname();
        let mut stage = Self {
            folder,
            binaries: binaries.into(),
            places: Places { udp, tcp, log_file },
            sources: ["127.0.0.1".into(), "127.0.0.2".into(), format!("127.0.0.1/{host}")],
            daemons: Vec::new(),
        };
        stage.write_settings(&root, agents, server)?;
        let mut init = Command::new(stage.binary("nmsd-server"));
        init.arg("--config").arg(root.join("server.toml")).args(["init", "--name", "127.0.0.1"]);
        let made = init.output().map_err(|error| format!("cannot run nmsd-server: {error}"))?;
        if !made.status.success() {
            return Err(format!("nmsd-server init failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        for (name, settings) in [("nmsd-server", "server"), ("nmsd-hub", "hub"), ("nmsd-agent", "agent")] {
            stage.start(name, &root.join(format!("{settings}.toml")))?;
        }
        stage.daemons.reverse();
        Ok(stage)
    }

    fn write_settings(&self, root: &Path, agents: u16, server: u16) -> Result<(), String> {
        let (udp, tcp, log_file) = (self.places.udp, self.places.tcp, self.places.log_file.display());
        let root_shown = root.display();
        let server_toml = format!(
            "state = \"{root_shown}/server\"\ncontrol = \"{root_shown}/server.sock\"\nlisten = \"127.0.0.1:{server}\"\npublic_ip = true\n"
        );
        let hub_toml = format!(
            "name = \"demo-hub\"\nstate = \"{root_shown}/hub\"\nruntime = \"{root_shown}/run-hub\"\n\
             plain_networks = [\"127.0.0.0/8\"]\nown_host = false\n\
             [listen]\nsyslog_udp = \"127.0.0.1:{udp}\"\nsyslog_tcp = \"127.0.0.1:{tcp}\"\nagents = \"127.0.0.1:{agents}\"\n\
             [server]\naddress = \"127.0.0.1:{server}\"\nca = \"{root_shown}/server/pki/ca.pem\"\n"
        );
        let agent_toml = format!(
            "state = \"{root_shown}/agent\"\njournal = false\nfiles = [\"{log_file}\"]\nfrom_start = true\n\
             [hub]\naddress = \"127.0.0.1:{agents}\"\nplain = true\n[fim]\nenabled = false\n"
        );
        for (name, text) in [("server", server_toml), ("hub", hub_toml), ("agent", agent_toml)] {
            fs::write(root.join(format!("{name}.toml")), text).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn start(&mut self, name: &'static str, settings: &Path) -> Result<(), String> {
        let log = File::create(self.log(name)).map_err(|error| error.to_string())?;
        let mut command = Command::new(self.binary(name));
        command.arg("--config").arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        self.daemons.push((name, child));
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("run-hub/dash.sock")
    }

    pub(super) fn places(&self) -> Places {
        self.places.clone()
    }

    /// The sources of the three guessing runs.
    pub(super) fn sources(&self) -> &[String; 3] {
        &self.sources
    }

    /// Whether the hub has its server and its agent.
    pub(super) fn is_ready(&self) -> bool {
        let server = self.ask("link").first().is_some_and(|link| link.get("server").is_some_and(|state| state == "ok"));
        let is_agent = |endpoint: &Value| endpoint.get("kind").is_some_and(|kind| kind == "agent");
        server && self.ask("endpoints").iter().any(is_agent)
    }

    /// The alerts, as the scripting verb prints them.
    pub(super) fn alerts(&self) -> Vec<Value> {
        self.ask("alerts")
    }

    fn ask(&self, what: &str) -> Vec<Value> {
        let mut command = Command::new(self.binary("nms-tui"));
        command.arg("--socket").arg(self.socket()).args(["--once", what, "--json"]);
        let Ok(answer) = command.stderr(Stdio::null()).output() else { return Vec::new() };
        String::from_utf8_lossy(&answer.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A daemon that ended by itself is an error, with its log.
    pub(super) fn check_alive(&mut self) -> Result<(), String> {
        let ended = self.daemons.iter_mut().find_map(|(name, child)| Some((*name, child.try_wait().ok()??)));
        ended.map_or(Ok(()), |(name, status)| Err(format!("{name} ended with {status}\n{}", self.logs())))
    }

    pub(super) fn stop_server(&mut self) {
        if let Some((_, server)) = self.daemons.iter_mut().find(|(name, _)| *name == "nmsd-server") {
            end(server);
        }
    }

    /// The last lines of each daemon's log.
    pub(super) fn logs(&self) -> String {
        let mut shown = String::new();
        for (name, _) in &self.daemons {
            let text = fs::read_to_string(self.log(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            shown = format!("{shown}--- {name}\n{}\n", tail.join("\n"));
        }
        shown
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            end(child);
        }
    }
}

/// Asks a process to end, then makes it.
#[expect(clippy::disallowed_methods, reason = "the demo waits in real time for real programs")]
fn end(child: &mut Child) {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    for _ in 0..STOP_LOOKS {
        if asked.is_err() || matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            break;
        }
        thread::sleep(STOP_LOOK);
    }
    child.kill().ok();
    child.wait().ok();
}

/// Four ports of loopback that are free now.
fn ports() -> Result<[u16; 4], String> {
    let udp = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let tcp: Result<Vec<TcpListener>, _> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let tcp = tcp.and_then(|all| all.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>());
    match (udp, tcp) {
        (Ok(udp), Ok(tcp)) => match tcp.as_slice() {
            [a, b, c] => Ok([udp.port(), a.port(), b.port(), c.port()]),
            _ => Err("no free ports".into()),
        },
        (Err(error), _) | (_, Err(error)) => Err(format!("no free ports on 127.0.0.1: {error}")),
    }
}

fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into()
}
