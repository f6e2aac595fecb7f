//! The agent's settings: what stands in `agent.toml`, checked once, so that nothing behind asks again.
//!
//! ```toml
//! files = ["/var/log/auth.log", "/srv/app/*.log"]   # left out: the journal, or the usual files
//! journal = ["ssh.service"]                         # true, false, or units
//! devlog = false                                    # left out: /dev/log where neither journal nor daemon holds it
//! [hub]
//! address = "hub.lan:1515"                          # or the path of the hub's agent.sock
//! plain = true                                      # in a network that the hub names; else: nmsd-agent enroll TOKEN
//! [fim]
//! include = ["/etc"]
//! [processes]                                       # what starts; missed is what ends between two looks
//! interval_ms = 1000                                # 100 to 3600000; enabled = false leaves it
//! [connections]                                     # TCP connections of this host
//! interval_ms = 5000
//! ```

use std::path::{Path, PathBuf};

use nms_collect::plan::{self, Connections, Fim, Journal, Plan, Processes};
use nms_kit::{
    config::{self, ConfigError, wrong_value},
    enroll::Place,
    net::tcp,
};
use nms_proto::limits::{AGENT_SPOOL_BYTES, AGENT_SPOOL_EVENTS};
use serde::Deserialize;

/// Where the hub is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// `host:port`, or the path of the hub's Unix socket for the agent of its own host.
    pub address: String,
    /// The hub's authority.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The name in the hub's certificate, where it is not the host of `address`.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether to speak plain TCP, inside a network that the hub's settings name.
    #[serde(default)]
    pub plain: bool,
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
        Self { events_max: AGENT_SPOOL_EVENTS, bytes_max: AGENT_SPOOL_BYTES }
    }
}

/// The settings as they stand in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    state: Option<PathBuf>,
    #[serde(default)]
    runtime: Option<PathBuf>,
    hub: Hub,
    #[serde(default)]
    spool: Spool,
    #[serde(default)]
    files: Option<Vec<String>>,
    #[serde(default)]
    journal: Option<Journal>,
    #[serde(default)]
    devlog: Option<bool>,
    #[serde(default)]
    from_start: bool,
    #[serde(default)]
    fim: Fim,
    #[serde(default)]
    processes: Processes,
    #[serde(default)]
    connections: Connections,
}

/// The agent's settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name it registers by; the host's by default.
    pub name: Box<str>,
    /// Folder of the spool and the file integrity baseline.
    pub state: PathBuf,
    /// Folder of the control socket.
    pub runtime: PathBuf,
    /// The hub.
    pub hub: Hub,
    /// How much the spool holds.
    pub spool: Spool,
    /// What is collected.
    pub plan: Plan,
}

impl Config {
    /// Reads and checks `path` on a host with or without a journal.
    ///
    /// # Errors
    /// Names the file, the key, and what was expected.
    pub fn load(path: &Path, journal_present: bool) -> Result<Self, ConfigError> {
        Self::check(path, config::load(path)?, journal_present)
    }

    /// Checks the `text` of `path` as for such a host.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str, journal_present: bool) -> Result<Self, ConfigError> {
        Self::check(path, config::parse(path, text)?, journal_present)
    }

    fn check(path: &Path, raw: Raw, journal_present: bool) -> Result<Self, ConfigError> {
        check_hub(path, &raw.hub)?;
        config::check_spool(path, raw.spool.events_max, raw.spool.bytes_max)?;
        let settings = plan::Settings {
            files: raw.files,
            journal: raw.journal,
            devlog: raw.devlog,
            from_start: raw.from_start,
            fim: raw.fim,
            processes: raw.processes,
            connections: raw.connections,
        };
        let plan = plan::check(&settings, journal_present)
            .map_err(|error| ConfigError::Shape(path.into(), format!("{}: {error}", error.key())))?;
        Ok(Self {
            name: raw.name.unwrap_or_else(|| nms_kit::host::name().into()),
            state: raw.state.unwrap_or_else(|| "/var/lib/nmsd-agent".into()),
            runtime: raw.runtime.unwrap_or_else(|| "/run/nmsd-agent".into()),
            hub: raw.hub,
            spool: raw.spool,
            plan,
        })
    }
}

impl Config {
    /// Where the agent's certificate lies once it is enrolled.
    pub fn place(&self) -> Place {
        Place::within(&self.state, "hub-ca.pem")
    }

    /// The socket of the admin verbs.
    pub fn control(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// The file of what waits for the hub.
    pub fn spool_file(&self) -> PathBuf {
        self.state.join("spool.redb")
    }
}

fn check_hub(path: &Path, hub: &Hub) -> Result<(), ConfigError> {
    if hub.address.starts_with('/') {
        return match hub.ca {
            Some(_) => Err(wrong_value(path, "hub.ca", "set", "nothing beside the path of a Unix socket")),
            None => Ok(()),
        };
    }
    if !tcp::is_dialable(&hub.address) {
        return Err(wrong_value(
            path,
            "hub.address",
            &hub.address,
            "host:port, such as hub.lan:1515, or a socket's path",
        ));
    }
    match (&hub.ca, hub.plain) {
        (_, false) | (None, true) => Ok(()),
        (Some(_), true) => Err(wrong_value(path, "hub.plain", true, "false where hub.ca is set")),
    }
}
