//! Hub and server as a bench starts them: release binaries, a temporary folder, loopback.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Kernel ticks a second of /proc/PID/stat; fixed on Linux.
const TICKS_PER_S: f64 = 100.0;
const END_LOOKS: u32 = 100;

/// Hub and server.
pub(super) struct Daemons {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    running: Vec<(&'static str, Child)>,
    pub(super) syslog: SocketAddr,
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu_s: f64,
    pub(super) rss_mb: f64,
}

impl Daemons {
    /// Starts both from `binaries`.
    pub(super) fn start(binaries: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("nms-bench-").tempdir().map_err(|error| error.to_string())?;
        let [syslog, server] = ports()?;
        let root = folder.path().display().to_string();
        let settings = [
            (
                "server",
                format!(
                    "state = \"{root}/server\"\nruntime = \"{root}/run-server\"\nlisten = \"{server}\"\npublic_ip = true\n"
                ),
            ),
            (
                "hub",
                format!(
                    "name = \"bench\"\nstate = \"{root}/hub\"\nruntime = \"{root}/run\"\nown_host = false\n[listen]\nsyslog_udp = \"{syslog}\"\n\
                     syslog_tcp = \"{syslog}\"\nagents = \"127.0.0.1:0\"\n[server]\naddress = \"{server}\"\nca = \"{root}/server/ca.pem\"\n"
                ),
            ),
        ];
        for (name, text) in &settings {
            fs::write(folder.path().join(format!("{name}.toml")), text).map_err(|error| error.to_string())?;
        }
        let config = |name: &str| folder.path().join(format!("{name}.toml"));
        let init = Command::new(binaries.join("nmsd-server"))
            .arg("--config")
            .arg(config("server"))
            .args(["init", "--name", "127.0.0.1"])
            .output()
            .map_err(|error| format!("cannot run nmsd-server (build it first): {error}"))?;
        if !init.status.success() {
            return Err(format!("nmsd-server init failed: {}", String::from_utf8_lossy(&init.stderr)));
        }
        let mut running = Vec::new();
        for (binary, name) in [("nmsd-server", "server"), ("nmsd-hub", "hub")] {
            let log = fs::File::create(folder.path().join(format!("{name}.log"))).map_err(|error| error.to_string())?;
            let mut command = Command::new(binaries.join(binary));
            command.arg("--config").arg(config(name)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            running.push((binary, command.spawn().map_err(|error| format!("cannot start {binary}: {error}"))?));
        }
        Ok(Self { folder, binaries: binaries.to_owned(), running, syslog })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("run/dash.sock")
    }

    /// CPU and memory of one of them.
    pub(super) fn usage(&self, binary: &str) -> Usage {
        let Some((_, child)) = self.running.iter().find(|(name, _)| *name == binary) else { return Usage::default() };
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
        let stat = read("stat");
        // Fields after the name in parentheses: user and system time are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = read("status");
        let rss_kb =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Usage { cpu_s: (ticks(11) + ticks(12)) / TICKS_PER_S, rss_mb: rss_kb.unwrap_or(0.0) / 1_024.0 }
    }

    /// What the server says of its only tenant; null where it has none.
    pub(super) fn tenant(&self) -> serde_json::Value {
        let mut command = Command::new(self.binaries.join("nmsd-server"));
        let asked = command.arg("--config").arg(self.folder.path().join("server.toml")).arg("status").output();
        let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let said = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        said.into_iter().find(|value| value.get("tenant").is_some()).unwrap_or_default()
    }

    /// The end of both logs.
    pub(super) fn logs(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        format!("--- server\n{}\n--- hub\n{}", log("server"), log("hub"))
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for (_, child) in self.running.iter_mut().rev() {
            let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            for _ in 0..END_LOOKS {
                if asked.is_err() || !matches!(child.try_wait(), Ok(None)) {
                    break;
                }
                nms_kit::clock::block(Duration::from_millis(100).as_millis() as u64);
            }
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn ports() -> Result<[SocketAddr; 2], String> {
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| Ok((listener.local_addr()?, listener)));
    match (free(), free()) {
        (Ok((a, _held_a)), Ok((b, _held_b))) => Ok([a, b]),
        (Err(error), _) | (_, Err(error)) => Err(format!("no free ports on 127.0.0.1: {error}")),
    }
}
