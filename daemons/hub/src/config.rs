//! The hub's settings: what stands in `hub.toml`, checked once, so that nothing behind asks again.
//!
//! ```toml
//! plain_networks = ["192.168.1.0/24"]   # agents from here may come without TLS
//! names = ["hub.lan", "192.168.1.2"]    # in the certificate that devices see; the host's by default
//! [listen]
//! syslog_udp = "0.0.0.0:514"            # as it is where it is left out
//! syslog_tcp = false                    # leaves it off; agents likewise
//! syslog_tls = "0.0.0.0:6514"           # off where it is left out
//! [server]                              # left out: the hub works alone
//! address = "server.example:1514"       # the hub is enrolled there: nmsd-hub enroll TOKEN
//! ca = "/etc/nms/server-ca.pem"         # or without enrolment, beside a standing token
//! ```

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use nms_collect::plan::{self, Connections, Fim, Journal, Plan, Processes};
use nms_kit::{
    config::{self, ConfigError, wrong_value},
    enroll::Place,
    net::tcp,
};
use nms_proto::limits::{HUB_SPOOL_BYTES, HUB_SPOOL_EVENTS};
use serde::Deserialize;

/// Where the hub listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Syslog over UDP; none to leave it off.
    #[serde(deserialize_with = "config::listen_address")]
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP; none to leave it off.
    #[serde(deserialize_with = "config::listen_address")]
    pub syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS; none, as it is where it is left out, to leave it off.
    #[serde(deserialize_with = "config::listen_address")]
    pub syslog_tls: Option<SocketAddr>,
    /// Agents; none to leave it off.
    #[serde(deserialize_with = "config::listen_address")]
    pub agents: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| Some(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port));
        Self { syslog_udp: any(514), syslog_tcp: any(514), syslog_tls: None, agents: any(1515) }
    }
}

/// Where the server is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    /// The server's authority, as `nmsd-server init` made it; none where the hub is enrolled.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host of `address`.
    #[serde(default)]
    pub name: Option<String>,
    /// Standing tenant token.
    #[serde(default)]
    pub token: Option<Box<str>>,
}

/// A certificate for devices that is not of the hub's own authority.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
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
    #[serde(deserialize_with = "config::networks")]
    pub plain_networks: Vec<IpNet>,
    /// Names and addresses in the hub's certificate, for devices that send syslog over TLS.
    pub names: Vec<String>,
    /// The certificate shown to such devices; none for one of the hub's own authority.
    pub syslog_tls: Option<Certificate>,
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
    /// `/dev/log` of the own host.
    pub devlog: Option<bool>,
    /// File integrity of the own host.
    pub fim: Fim,
    /// Processes that start on the own host.
    pub processes: Processes,
    /// TCP connections of the own host.
    pub connections: Connections,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: nms_kit::host::name().into(),
            state: "/var/lib/nmsd-hub".into(),
            runtime: "/run/nmsd-hub".into(),
            listen: Listen::default(),
            plain_networks: Vec::new(),
            names: vec![nms_kit::host::name()],
            syslog_tls: None,
            server: None,
            spool: Spool::default(),
            admins: ["root", "sudo", "wheel", "adm"].map(String::from).to_vec(),
            own_host: true,
            files: None,
            journal: None,
            devlog: None,
            fim: Fim::default(),
            processes: Processes::default(),
            connections: Connections::default(),
        }
    }
}

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// Names the file, the key, and what was expected.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::checked(path, config::load(path)?)
    }

    /// Checks the `text` of `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::checked(path, config::parse(path, text)?)
    }

    fn checked(path: &Path, config: Self) -> Result<Self, ConfigError> {
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
            devlog: self.devlog,
            from_start: false,
            fim: self.fim.clone(),
            processes: self.processes,
            connections: self.connections,
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

    /// Where the hub's certificate lies once it is enrolled.
    pub fn place(&self) -> Place {
        Place::within(&self.state, "server-ca.pem")
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        config::check_spool(path, self.spool.events_max, self.spool.bytes_max)?;
        self.plan().map_err(|error| ConfigError::Shape(path.into(), format!("{}: {error}", error.key())))?;
        let Some(server) = &self.server else { return Ok(()) };
        if !tcp::is_dialable(&server.address) {
            return Err(wrong_value(path, "server.address", &server.address, "host:port, such as server.example:1514"));
        }
        Ok(())
    }
}
