//! The hub's settings: what stands in `hub.toml`, checked once, so that nothing behind asks again.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use nms_collect::plan::{self, Fim, Journal, Plan};
use nms_kit::config::{self, ConfigError, wrong_value};
use nms_proto::limits::{HUB_SPOOL_BYTES, HUB_SPOOL_EVENTS};
use serde::Deserialize;

/// Where the hub listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Syslog over UDP; none to leave it off.
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP; none to leave it off.
    pub syslog_tcp: Option<SocketAddr>,
    /// Agents; none to leave it off.
    pub agents: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| Some(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port));
        Self { syslog_udp: any(514), syslog_tcp: any(514), agents: any(1515) }
    }
}

/// Where the server is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// The server's authority, as `nmsd-server init` made it.
    pub ca: PathBuf,
    /// The name in the server's certificate, where it is not the host of `address`.
    #[serde(default)]
    pub name: Option<String>,
    /// Standing tenant token.
    #[serde(default)]
    pub token: Option<Box<str>>,
}

/// How much the spool holds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spool {
    /// Events.
    pub events_max: u64,
    /// Bytes.
    pub bytes_max: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self { events_max: HUB_SPOOL_EVENTS, bytes_max: HUB_SPOOL_BYTES }
    }
}

/// The hub's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub's name; the host's by default.
    pub name: Box<str>,
    /// Folder of the spool and the alerts.
    pub state: PathBuf,
    /// Folder of the sockets.
    pub runtime: PathBuf,
    /// Where it listens.
    pub listen: Listen,
    /// Networks from which agents may connect without TLS.
    pub plain_networks: Vec<IpNet>,
    /// The server; none to work alone.
    pub server: Option<Server>,
    /// How much the spool holds.
    pub spool: Spool,
    /// Groups and users whose sessions may change files.
    pub admins: Vec<String>,
    /// Whether the hub collects from its own host itself; not beside an agent there.
    pub own_host: bool,
    /// Log files of the own host.
    pub files: Option<Vec<String>>,
    /// The journal of the own host.
    pub journal: Option<Journal>,
    /// File integrity of the own host.
    pub fim: Fim,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: nms_kit::host::name().into(),
            state: "/var/lib/nmsd-hub".into(),
            runtime: "/run/nmsd-hub".into(),
            listen: Listen::default(),
            plain_networks: Vec::new(),
            server: None,
            spool: Spool::default(),
            admins: ["root", "sudo", "wheel", "adm"].map(String::from).to_vec(),
            own_host: true,
            files: None,
            journal: None,
            fim: Fim::default(),
        }
    }
}

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// Names the file, the key, and what was expected.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = config::load(path)?;
        config.check(path)?;
        Ok(config)
    }

    /// What is collected from the own host; none where it is left to an agent.
    ///
    /// # Errors
    /// Settings that overlap, or ask for a journal that is not there.
    pub fn plan(&self) -> Result<Option<Plan>, plan::PlanError> {
        let settings = plan::Settings {
            files: self.files.clone(),
            journal: self.journal.clone(),
            from_start: false,
            fim: self.fim.clone(),
        };
        self.own_host.then(|| plan::check(&settings, plan::journal_present())).transpose()
    }

    /// The socket of the admin verbs.
    pub fn control(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// The file of what waits for the server.
    pub fn spool_file(&self) -> PathBuf {
        self.state.join("spool.redb")
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        if self.spool.events_max == 0 || self.spool.bytes_max < 1 << 20 {
            let value = format!("{} events, {} bytes", self.spool.events_max, self.spool.bytes_max);
            return Err(wrong_value(path, "spool", value, "at least 1 event and 1048576 bytes"));
        }
        self.plan().map_err(|error| ConfigError::Shape(path.into(), format!("{}: {error}", error.key())))?;
        let Some(server) = &self.server else { return Ok(()) };
        let port = server.address.rsplit_once(':').and_then(|(_host, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(wrong_value(path, "server.address", &server.address, "host:port, such as server.example:1514"));
        }
        Ok(())
    }
}
