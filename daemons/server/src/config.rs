//! Settings of the server: the file as it stands, checked into what the daemon runs on.
//!
//! ```toml
//! state = "/var/lib/nmsd-server"
//! runtime = "/run/nmsd-server"
//! listen = "0.0.0.0:1514"
//! retention_days = 30
//! retention_bytes = 5368709120
//! uncommitted_bytes_max = 4194304   # of a tenant, from 65536 on; above it, SERVER_BUSY
//! proxy_networks = ["192.0.2.10/32"] # load balancers, which must say whom they speak for (PROXY, version 2)
//! heartbeat_interval = 30           # seconds, 1 to 300; hubs are asked to keep to it, three missed are an end
//! [tls]
//! certificate = "/var/lib/nmsd-server/server.pem"
//! key = "/var/lib/nmsd-server/server-key.pem"
//! [[tenant]]
//! name = "home"
//! token_sha256 = "64 hex digits, from nmsd-server token standing"
//! ```
//! Refuses unknown keys, and settings under which nobody could connect.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use nms_kit::{
    config::{self, ConfigError, wrong_value},
    digest::{self, Digest},
    pki, secret,
};
use nms_proto::{
    id::TenantId,
    limits::{HEARTBEAT_MS, HEARTBEAT_S_RANGE, TENANT_ALERTS_MAX, TENANT_UNCOMMITTED_BYTES, TENANTS_MAX},
};
use serde::Deserialize;

/// Where the settings lie unless the command line says otherwise.
pub const PATH: &str = "/etc/nms/server.toml";

/// What the names of tenants by address begin with; no configured name does.
pub const ADDRESS_PREFIX: &str = "ip-";
/// Least that may wait for its commit, in bytes: less would make a tenant busy with every batch.
const UNCOMMITTED_BYTES_MIN: u64 = 64 << 10;
/// Name of the server's key among what systemd hands over.
const SERVER_KEY: &str = "server-key.pem";
/// The socket of the admin verbs, in the runtime folder.
const CONTROL: &str = "control.sock";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "state")]
    state: PathBuf,
    #[serde(default = "listen")]
    listen: String,
    #[serde(default = "runtime")]
    runtime: PathBuf,
    #[serde(default)]
    tls: RawTls,
    #[serde(default)]
    public_ip: bool,
    #[serde(default)]
    tenant: Vec<RawTenant>,
    #[serde(default = "retention_days")]
    retention_days: u32,
    #[serde(default = "retention_bytes")]
    retention_bytes: u64,
    #[serde(default = "analysis_threads")]
    analysis_threads: usize,
    #[serde(default = "uncommitted_bytes_max")]
    uncommitted_bytes_max: usize,
    #[serde(default = "heartbeat_interval")]
    heartbeat_interval: u64,
    #[serde(default, deserialize_with = "config::networks")]
    proxy_networks: Vec<IpNet>,
    model: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    name: String,
    token_sha256: String,
}

fn state() -> PathBuf {
    "/var/lib/nmsd-server".into()
}

fn runtime() -> PathBuf {
    "/run/nmsd-server".into()
}

fn listen() -> String {
    "0.0.0.0:1514".into()
}

fn retention_days() -> u32 {
    30
}

fn retention_bytes() -> u64 {
    5 << 30
}

fn uncommitted_bytes_max() -> usize {
    TENANT_UNCOMMITTED_BYTES
}

fn heartbeat_interval() -> u64 {
    HEARTBEAT_MS / 1_000
}

fn analysis_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2)
}

/// A tenant that proves itself by a standing token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTenant {
    /// Its name.
    pub id: TenantId,
    /// SHA-256 of its token.
    pub token_sha256: Digest,
}

/// How much is kept of a tenant, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// Bytes of a tenant, as they lie on disk.
    pub bytes: u64,
    /// Alerts of a tenant, whatever their age.
    pub alerts: usize,
}

/// What the server runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything it keeps.
    pub state: PathBuf,
    /// Where hubs connect.
    pub listen: SocketAddr,
    /// Socket of the admin verbs.
    pub control: PathBuf,
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// The certificate's key, PEM.
    pub key: PathBuf,
    /// Whether a peer without a token is the tenant of its address.
    pub public_ip: bool,
    /// Tenants with tokens.
    pub tenants: Vec<TokenTenant>,
    /// How long logs are kept.
    pub retention: Retention,
    /// Threads that analyse.
    pub analysis_threads: usize,
    /// Bytes of a tenant that may wait for their commit; more is refused with SERVER_BUSY.
    pub uncommitted_bytes_max: usize,
    /// Seconds between the heartbeats of a hub.
    pub heartbeat_interval: u64,
    /// Networks of load balancers, which say in a PROXY header whom they speak for.
    pub proxy_networks: Vec<IpNet>,
    /// Folder of the model bundle; none for the one built in.
    pub model: Option<PathBuf>,
}

impl Config {
    /// Reads and checks the settings in `path`.
    ///
    /// # Errors
    /// Names the file, the key, and what was expected.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::check(path, config::load(path)?)
    }

    /// Checks the `text` of `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::check(path, config::parse(path, text)?)
    }

    /// The state folder that the settings in `path` name, whatever else they lack; the usual one without a file.
    ///
    /// # Errors
    /// The file is there and cannot be read as settings.
    pub fn state_folder(path: &Path) -> Result<PathBuf, ConfigError> {
        if path.exists() { config::load::<Raw>(path).map(|raw| raw.state) } else { Ok(state()) }
    }

    /// State folder and control socket, whatever else the settings lack: a server that is lost has no authority before
    /// its backup is put back.
    ///
    /// # Errors
    /// The file cannot be read as settings.
    pub fn places(path: &Path) -> Result<(PathBuf, PathBuf), ConfigError> {
        let raw: Raw = config::load(path)?;
        Ok((raw.state, raw.runtime.join(CONTROL)))
    }

    fn check(path: &Path, raw: Raw) -> Result<Self, ConfigError> {
        let listen = raw.listen.parse().map_err(|_invalid: std::net::AddrParseError| {
            wrong_value(path, "listen", &raw.listen, "an address and a port, such as 0.0.0.0:1514")
        })?;
        within(path, "retention_days", raw.retention_days.into(), 1..=3_650)?;
        within(path, "retention_bytes", raw.retention_bytes, 1 << 20..=1 << 50)?;
        within(path, "analysis_threads", raw.analysis_threads as u64, 1..=256)?;
        let uncommitted = UNCOMMITTED_BYTES_MIN..=TENANT_UNCOMMITTED_BYTES as u64;
        within(path, "uncommitted_bytes_max", raw.uncommitted_bytes_max as u64, uncommitted)?;
        within(path, "heartbeat_interval", raw.heartbeat_interval, HEARTBEAT_S_RANGE)?;
        let tenants = tenants(path, raw.tenant)?;
        let files = pki_files(&raw.state);
        if tenants.is_empty() && !raw.public_ip && !files.ca_key.exists() {
            let expected = "an authority (nmsd-server init) that enrols hubs, a [[tenant]] (nmsd-server token standing), or public_ip = true";
            return Err(wrong_value(path, "tenant", "none", expected));
        }
        Ok(Self {
            listen,
            control: raw.runtime.join(CONTROL),
            certificate: raw.tls.certificate.unwrap_or(files.certificate),
            key: raw.tls.key.or_else(|| secret::credential(SERVER_KEY)).unwrap_or(files.key),
            public_ip: raw.public_ip,
            tenants,
            retention: Retention { days: raw.retention_days, bytes: raw.retention_bytes, alerts: TENANT_ALERTS_MAX },
            analysis_threads: raw.analysis_threads,
            uncommitted_bytes_max: raw.uncommitted_bytes_max,
            heartbeat_interval: raw.heartbeat_interval,
            proxy_networks: raw.proxy_networks,
            model: raw.model,
            state: raw.state,
        })
    }
}

/// Where `nmsd-server init` puts authority and certificate of a state folder.
pub fn pki_files(state: &Path) -> pki::Files {
    pki::Files::within(state)
}

fn within(path: &Path, key: &str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(wrong_value(path, key, value, &format!("a number from {} to {}", range.start(), range.end())))
}

fn tenants(path: &Path, raw: Vec<RawTenant>) -> Result<Vec<TokenTenant>, ConfigError> {
    if raw.len() > TENANTS_MAX {
        return Err(wrong_value(path, "tenant", raw.len(), &format!("at most {TENANTS_MAX} tenants")));
    }
    let mut tenants: Vec<TokenTenant> = Vec::with_capacity(raw.len());
    for (index, RawTenant { name, token_sha256 }) in raw.into_iter().enumerate() {
        let key = format!("tenant[{index}]");
        let id: TenantId = name
            .parse()
            .map_err(|_invalid: nms_proto::id::IdError| named(path, &key, &name, "1 to 64 letters, digits and .-_:"))?;
        if name.starts_with(ADDRESS_PREFIX) {
            return Err(named(path, &key, &name, "a name that does not begin with ip-"));
        }
        let token_sha256 = digest::unhex(&token_sha256).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            let expected = "64 hexadecimal digits, as nmsd-server token standing prints them";
            wrong_value(path, &format!("{key}.token_sha256"), &token_sha256, expected)
        })?;
        if tenants.iter().any(|known| known.id == id) {
            return Err(named(path, &key, &name, "a name that no other tenant has"));
        }
        if tenants.iter().any(|known| known.token_sha256 == token_sha256) {
            let expected = "a token that no other tenant has";
            return Err(wrong_value(path, &format!("{key}.token_sha256"), "(twice)", expected));
        }
        tenants.push(TokenTenant { id, token_sha256 });
    }
    Ok(tenants)
}

fn named(path: &Path, key: &str, name: &str, expected: &str) -> ConfigError {
    wrong_value(path, &format!("{key}.name"), format!("\"{name}\""), expected)
}
