//! The agent: collects on one host, spools, sends to the hub.
//!
//! Nothing else: no correlators, no model, no listening socket. The way of a line is
//! `nms_collect` -> `core` (numbers, batches, spool) -> `nms_kit::uplink`.
#![forbid(unsafe_code)]

pub mod config;
mod admin;
mod core;

use std::{fmt, io, path::PathBuf, sync::Arc};

use nms_collect::plan;
use nms_kit::{
    clock, control,
    enroll::Place,
    host, intake,
    peer::{Peer, Way},
    pki::HUB_NAME,
    renew::Renewal,
    spooler::Spooler,
    store::{
        self, Db, Found, Settings, StoreError,
        spool::{Limits, Spool, SpoolError},
    },
    task::Tasks,
    tls::{self, TlsError},
    uplink::{self, Uplink},
};
use nms_proto::{
    id::EndpointId,
    limits::{AGENT_SPOOL_MEMORY_BYTES, SPOOL_QUEUE_BYTES},
    message::Register,
};

use config::Config;

/// Page cache of the spool, in bytes.
const STORE_CACHE_BYTES: usize = 1 << 20;

/// Why an agent does not start.
#[derive(Debug)]
pub enum StartError {
    /// A folder cannot be made.
    Folder(PathBuf, io::Error),
    /// A store cannot be opened.
    Store(StoreError),
    /// The spool cannot be opened.
    Spool(SpoolError),
    /// The hub's authority cannot be used.
    Tls(TlsError),
    /// The agent is not enrolled.
    NotEnrolled,
    /// What was enrolled cannot be used, in words.
    Identity(String),
    /// The control socket cannot be made.
    Control(PathBuf, io::Error),
    /// A collector cannot be started.
    Collect(plan::StartError),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(f, "cannot make the folder {}: {error}", path.display()),
            Self::Store(error) => error.fmt(f),
            Self::Spool(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::NotEnrolled => f.write_str(
                "the agent is not enrolled at its hub: run nmsd-agent enroll TOKEN with a token of the hub's \
                 (nmsd-hub token new), or set hub.plain = true in a network that the hub names",
            ),
            Self::Identity(problem) => write!(f, "cannot use what was enrolled: {problem}"),
            Self::Control(path, error) => write!(f, "cannot make the control socket {}: {error}", path.display()),
            Self::Collect(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// An agent that runs. It ends when the stop of its tasks is requested.
#[derive(Debug)]
pub struct Running {
    /// What waits for the hub.
    pub spool: Spool,
    /// The collectors.
    pub collectors: plan::Running,
}

/// Starts an agent.
///
/// # Errors
/// What could not be had, where, and what to do.
pub fn start(config: Config, tasks: &Tasks) -> Result<Running, StartError> {
    for folder in [&config.state, &config.runtime] {
        std::fs::create_dir_all(folder).map_err(|error| StartError::Folder(folder.clone(), error))?;
    }
    let control = config.control();
    let spool = open_spool(&config)?;
    let uplink = start_uplink(&config, tasks, &spool)?;
    let (sender, chunks) = intake::channel();
    let checkpoints = spool.checkpoints();
    let find = move |key: &str| match checkpoints.value(key.as_bytes()) {
        Ok(Some(Found::Value(value))) => Some(value),
        Ok(Some(Found::Damaged)) => {
            log::warn!("a checkpoint is damaged, its source is taken as new key={key}");
            None
        }
        Ok(None) => None,
        Err(error) => {
            log::error!("cannot read a checkpoint key={key} error={error}");
            None
        }
    };
    let source = EndpointId::new(EndpointId::SELF);
    let way = plan::Way { sender, checkpoints: Arc::new(find), source, state: config.state };
    let collectors = plan::start(config.plan, tasks, &way).map_err(StartError::Collect)?;
    let admin = admin::Admin { spool: spool.clone(), collectors: collectors.clone() };
    control::serve(tasks, &control, move |request, lines| admin.clone().answer(request, lines))
        .map_err(|error| StartError::Control(control.clone(), error))?;
    // The collectors hold the only ways into the core: when they have ended, it ends.
    drop(way);
    let core = core::Core {
        spooler: Spooler::new(spool.clone()),
        uplink,
        chunks,
        collectors: collectors.clone(),
        started: clock::tick(),
        stop: tasks.stop().clone(),
        dropped: std::collections::BTreeMap::new(),
    };
    tasks.thread("core", move || core.run()).map_err(StartError::Thread)?;
    Ok(Running { spool, collectors })
}

fn open_spool(config: &Config) -> Result<Spool, StartError> {
    let settings = Settings { queue_bytes: SPOOL_QUEUE_BYTES, ..Settings::with_cache(STORE_CACHE_BYTES) };
    let db = Db::open_file(&config.spool_file(), settings).map_err(StartError::Store)?;
    let limits = Limits {
        events_max: config.spool.events_max,
        bytes_max: config.spool.bytes_max,
        memory_bytes_max: AGENT_SPOOL_MEMORY_BYTES,
        history_bytes_max: 0,
    };
    let fresh = store::draw_instance().map_err(StartError::Store)?;
    Spool::open(db, limits, fresh).map_err(StartError::Spool)
}

/// Whether an agent with these settings could speak to its hub, as far as can be seen without starting it.
///
/// # Errors
/// The hub's authority or name cannot be used.
pub fn check(config: &Config) -> Result<(), StartError> {
    peer(&config.hub, &config.place()).map(drop)
}

/// The hub, and who the agent is there: enrolled, unless the settings say plain, name an authority or a Unix socket.
fn peer(hub: &config::Hub, place: &Place) -> Result<Peer, StartError> {
    let (address, is_socket) = (hub.address.clone(), hub.address.starts_with('/'));
    if hub.plain || is_socket {
        return Ok(Peer { way: Way { address, tls: None }, renewal: None });
    }
    let (connector, renewal) = match &hub.ca {
        Some(ca) => (tls::connector(ca).map_err(StartError::Tls)?, None),
        None if !place.is_enrolled() => return Err(StartError::NotEnrolled),
        None => {
            let (identity, seen) = place.open().map_err(StartError::Identity)?;
            let connector = place.connector(Arc::clone(&identity)).map_err(StartError::Identity)?;
            (connector, Some(Renewal::new(place.clone(), identity, seen)))
        }
    };
    let name = tls::server_name(hub.name.as_deref().unwrap_or(HUB_NAME)).map_err(StartError::Tls)?;
    Ok(Peer { way: Way { address, tls: Some((connector, name)) }, renewal })
}

fn start_uplink(config: &Config, tasks: &Tasks, spool: &Spool) -> Result<Uplink, StartError> {
    let peer = peer(&config.hub, &config.place())?;
    let register = Register {
        client_version: env!("CARGO_PKG_VERSION").into(),
        hostname: config.name.clone(),
        os: host::system().into(),
        protocol: Some(nms_proto::message::PROTOCOL),
        utc_offset_s: Some(clock::offset_s(clock::unix_ms())),
        ..Register::default()
    };
    let seed = u64::from_le_bytes(*spool.instance().first_chunk::<8>().unwrap_or(&[0; 8]));
    Ok(uplink::start(tasks, peer, spool.clone(), register, seed))
}
