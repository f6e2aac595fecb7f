//! The processes and their folder. Errors are sentences: what failed, and what was said about it.

use std::{
    fs::{self, File},
    io,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::settings::{self, Hub};

/// Lines of each log that [`Stage::logs`] shows.
const LOG_LINES: usize = 20;
/// Longest wait for a daemon that was asked to end, in milliseconds, and the time between two looks.
const STOP_MS_MAX: u64 = 20_000;
const STOP_LOOK_MS: u64 = 20;

/// The processes and their folder: all are killed, and the folder is deleted, with the value.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    binaries: PathBuf,
    server_port: u16,
    running: Vec<(String, Child)>,
}

impl Stage {
    /// A folder whose name begins with `prefix`, a server's authority, and its settings with `more` in them;
    /// nothing runs yet. The programs lie in `binaries`.
    ///
    /// # Errors
    /// The folder cannot be made, or `nmsd-server init` failed.
    pub fn new(prefix: &str, binaries: &Path, more: &str) -> Result<Self, String> {
        let stage = Self::bare(prefix, binaries)?;
        let server_port = stage.server_port;
        stage.write("server.toml", &settings::server(stage.folder(), server_port, more))?;
        stage.verb(&["init", "--name", "127.0.0.1"])?;
        Ok(stage)
    }

    /// A folder whose name begins with `prefix`, without a server.
    ///
    /// # Errors
    /// The folder cannot be made, or no port is free.
    pub fn bare(prefix: &str, binaries: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir().map_err(|error| error.to_string())?;
        let [server_port] = tcp_ports()?;
        Ok(Self { folder, binaries: binaries.into(), server_port, running: Vec::new() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A program's path.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Where the server takes hubs, on 127.0.0.1.
    pub fn server_port(&self) -> u16 {
        self.server_port
    }

    /// Writes a file of the folder.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        let failed = |error| format!("cannot write {}: {error}", path.display());
        fs::write(&path, text).map_err(failed)?;
        // Whatever the tester's umask is: settings that others may write are refused.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(failed)
    }

    /// Runs a verb of the server to its end and gives what it printed.
    ///
    /// # Errors
    /// It cannot be run, or failed; with what it said.
    pub fn verb(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.binary("nmsd-server"));
        command.arg("--config").arg(self.path("server.toml")).args(words);
        let Output { status, stdout, stderr } =
            command.output().map_err(|error| format!("cannot run nmsd-server (build it first): {error}"))?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        Err(format!("nmsd-server {} failed: {}", words.join(" "), String::from_utf8_lossy(&stderr)))
    }

    /// Writes a hub's settings on free ports; `more` is added to its server section.
    ///
    /// # Errors
    /// No port is free, or the file cannot be written.
    pub fn hub(&self, name: &str, more: &str) -> Result<Hub, String> {
        self.hub_at(name, self.server_port, more)
    }

    /// As [`Stage::hub`], with its server on another port, behind which the real one stands.
    ///
    /// # Errors
    /// As [`Stage::hub`].
    pub fn hub_at(&self, name: &str, server_port: u16, more: &str) -> Result<Hub, String> {
        let [tcp, agents] = tcp_ports()?;
        let hub = Hub { udp: udp_port()?, tcp, agents };
        self.write(&format!("{name}.toml"), &settings::hub(self.folder(), name, &hub, server_port, more))?;
        Ok(hub)
    }

    /// What an admin verb of the daemon with the settings `<name>.toml` printed, JSON lines.
    ///
    /// # Errors
    /// It cannot be run, or failed; with what it said.
    pub fn admin(&self, binary: &str, name: &str, words: &[&str]) -> Result<Vec<Value>, String> {
        let mut command = self.command(binary, name);
        let Output { status, stdout, stderr } =
            command.args(words).output().map_err(|error| format!("cannot run {binary} (build it first): {error}"))?;
        if !status.success() {
            return Err(format!("{binary} {} failed: {}", words.join(" "), String::from_utf8_lossy(&stderr)));
        }
        let lines = String::from_utf8_lossy(&stdout).into_owned();
        lines.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
    }

    /// Whether a daemon answers its admin.
    pub fn serves(&self, binary: &str, name: &str) -> bool {
        self.admin(binary, name, &["status"]).is_ok()
    }

    /// Writes an agent's settings: it reads `files` from their start and watches what lies below `watched`.
    /// The hub knows it as `127.0.0.1/<name>`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn agent(&self, name: &str, hub: &Hub, files: &[&Path], watched: &[&Path]) -> Result<(), String> {
        self.write(&format!("{name}.toml"), &settings::agent(self.folder(), name, hub, files, watched))
    }

    /// A daemon's command line with the settings `<name>.toml`.
    pub fn command(&self, binary: &str, name: &str) -> Command {
        let mut command = Command::new(self.binary(binary));
        command.arg("--config").arg(self.path(&format!("{name}.toml")));
        command
    }

    /// Starts a daemon with the settings `<name>.toml`; its log goes to `<name>.log`.
    ///
    /// # Errors
    /// It cannot be started, or runs already.
    pub fn start(&mut self, binary: &str, name: &str) -> Result<(), String> {
        let mut command = self.command(binary, name);
        self.start_other(name, &mut command)
    }

    /// Starts any program under a name; what it says goes to `<name>.log`.
    ///
    /// # Errors
    /// It cannot be started, or one of that name runs already.
    pub fn start_other(&mut self, name: &str, command: &mut Command) -> Result<(), String> {
        if self.running.iter().any(|(running, _)| running == name) {
            return Err(format!("{name} runs already"));
        }
        let failed = |error: io::Error| format!("cannot start {name}: {error}");
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().map_err(failed)?;
        self.running.push((name.into(), child));
        Ok(())
    }

    /// kill -9, and waits for the end.
    ///
    /// # Errors
    /// Nothing was started by that name.
    pub fn kill(&mut self, name: &str) -> Result<(), String> {
        let index = self.running.iter().position(|(running, _)| running == name);
        end(&mut self.running.remove(index.ok_or_else(|| format!("{name} does not run"))?).1);
        Ok(())
    }

    /// Asks a daemon to end (SIGTERM) and waits for it; killed where it does not come.
    ///
    /// # Errors
    /// Nothing was started by that name, or it did not end within 20 s.
    pub fn stop(&mut self, name: &str) -> Result<ExitStatus, String> {
        let index = self.running.iter().position(|(running, _)| running == name);
        let mut child = self.running.remove(index.ok_or_else(|| format!("{name} does not run"))?).1;
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        asked.map_err(|error| format!("cannot run kill: {error}"))?;
        for _ in 0..STOP_MS_MAX / STOP_LOOK_MS {
            if let Some(status) = child.try_wait().map_err(|error| format!("cannot wait for {name}: {error}"))? {
                return Ok(status);
            }
            pause();
        }
        end(&mut child);
        Err(format!("{name} did not end within {STOP_MS_MAX} ms"))
    }

    /// The process of a name.
    pub fn process_id(&self, name: &str) -> Option<u32> {
        self.running.iter().find_map(|(running, child)| (running == name).then(|| child.id()))
    }

    /// Those that ended by themselves, and how.
    pub fn ended(&mut self) -> Vec<(&str, ExitStatus)> {
        self.running.iter_mut().filter_map(|(name, child)| Some((name.as_str(), child.try_wait().ok()??))).collect()
    }

    /// A hub's dashboard socket.
    pub fn socket(&self, hub: &str) -> PathBuf {
        self.path(&format!("run-{hub}/dash.sock"))
    }

    /// What `nms-tui --once WHAT --json` prints of a hub; nothing where the hub does not answer.
    pub fn once(&self, hub: &str, what: &str) -> Vec<Value> {
        let mut command = Command::new(self.binary("nms-tui"));
        command.arg("--socket").arg(self.socket(hub)).args(["--once", what, "--json"]).stderr(Stdio::null());
        let Ok(answer) = command.output() else { return Vec::new() };
        String::from_utf8_lossy(&answer.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How a hub's link stands; null where the hub does not answer.
    pub fn link(&self, hub: &str) -> Value {
        self.once(hub, "link").into_iter().next().unwrap_or(Value::Null)
    }

    /// Whether a hub has its server.
    pub fn is_linked(&self, hub: &str) -> bool {
        self.link(hub).get("server").is_some_and(|state| state == "ok")
    }

    /// The end of every log.
    pub fn logs(&self) -> String {
        let paths = fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let end = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            format!("--- {}\n{}\n", path.display(), tail.join("\n"))
        };
        logs.map(end).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in self.running.iter_mut().rev() {
            end(child);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a process is waited for in real time")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(STOP_LOOK_MS));
}

fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// TCP ports of loopback that are free now, each another one.
fn tcp_ports<const N: usize>() -> Result<[u16; N], String> {
    let held: io::Result<Vec<TcpListener>> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let ports: io::Result<Vec<u16>> =
        held.and_then(|held| held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect());
    let ports = ports.map_err(|error| no_port(&error))?;
    ports.try_into().map_err(|_fewer| "no free ports on 127.0.0.1".into())
}

fn udp_port() -> Result<u16, String> {
    let bound = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    bound.map(|address| address.port()).map_err(|error| no_port(&error))
}

fn no_port(error: &io::Error) -> String {
    format!("no free ports on 127.0.0.1: {error}")
}
