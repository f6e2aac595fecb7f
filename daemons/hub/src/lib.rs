//! The hub: takes syslog and agents, correlates, spools, sends to the server, serves the dashboard.
//!
//! ```text
//! syslog_in, agents, collectors -> run (core: name, correlate, batch) -> spool -> uplink -> server
//!                                   |                                                   |
//!                                   +-> state, lines -> dash                 alerts <---+
//! ```
//! Modules stand in dependency order.
#![forbid(unsafe_code)]

pub mod config;
mod identity;
mod lines;
mod alerts;
mod state;
mod books;
mod core;
mod dash;
mod syslog_in;
mod agents;
mod admin;
mod upstream;
mod run;

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc};

use nms_collect::plan;
use nms_detect::Correlator;
use nms_kit::{
    clock, control,
    enroll::Place,
    host, intake,
    net::{tcp, udp, unix},
    peer::{Peer, Way},
    pki::PkiError,
    renew::Renewal,
    spooler::Spooler,
    store::{
        self, Db, Settings, StoreError,
        spool::{Limits, Spool, SpoolError},
    },
    task::Tasks,
    tls::{self, TlsError},
    uplink,
};
use nms_proto::{
    dash::Role,
    id::{EndpointId, Instance},
    limits::{HUB_HISTORY_BYTES, SPOOL_QUEUE_BYTES, WINDOW_BYTES},
    message::Register,
};
use smol::channel;

use config::Config;
use identity::Identity;

/// Page cache of each of the hub's stores, in bytes.
const STORE_CACHE_BYTES: usize = 8 << 20;
/// Inputs that may wait for the core.
const INPUTS_MAX: usize = 1024;

/// Why a hub does not start.
#[derive(Debug)]
pub enum StartError {
    /// A folder cannot be made.
    Folder(PathBuf, io::Error),
    /// A socket cannot be had.
    Listen(&'static str, String, io::Error),
    /// A store cannot be opened.
    Store(StoreError),
    /// The spool cannot be opened.
    Spool(SpoolError),
    /// A certificate or its key cannot be used.
    Tls(TlsError),
    /// The settings name a server and no authority, and the hub is not enrolled.
    NotEnrolled,
    /// What was enrolled cannot be used, in words.
    Identity(String),
    /// The hub's own authority cannot be used.
    Authority(PkiError),
    /// The own host cannot be collected from.
    Plan(plan::PlanError),
    /// A collector cannot be started.
    Collect(plan::StartError),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(f, "cannot make the folder {}: {error}", path.display()),
            Self::Listen(what, place, error) => write!(f, "cannot listen for {what} at {place}: {error}"),
            Self::Store(error) => error.fmt(f),
            Self::Spool(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::NotEnrolled => f.write_str(
                "the hub is not enrolled at its server: run nmsd-hub enroll TOKEN with a token of the server's \
                 (nmsd-server token new), or name its authority as server.ca",
            ),
            Self::Identity(problem) => write!(f, "cannot use what was enrolled: {problem}"),
            Self::Authority(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Collect(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A hub that runs. It ends when the stop of its tasks is requested.
#[derive(Debug)]
pub struct Running {
    /// Where it takes syslog over UDP.
    pub syslog_udp: Option<SocketAddr>,
    /// Where it takes syslog over TCP.
    pub syslog_tcp: Option<SocketAddr>,
    /// Where it takes syslog over TLS.
    pub syslog_tls: Option<SocketAddr>,
    /// Where it takes agents.
    pub agents: Option<SocketAddr>,
    /// The operators' socket.
    pub dash: PathBuf,
}

/// Starts a hub.
///
/// # Errors
/// What could not be had, where, and what to do.
pub async fn start(config: Config, tasks: &Tasks) -> Result<Running, StartError> {
    for folder in [&config.state, &config.runtime] {
        std::fs::create_dir_all(folder).map_err(|error| StartError::Folder(folder.clone(), error))?;
    }
    let spool = open_spool(&config)?;
    let alerts = Db::open_file(&config.state.join("hub.redb"), Settings::with_cache(STORE_CACHE_BYTES))
        .map_err(StartError::Store)?;
    let settings = nms_detect::Settings { instance: Instance(spool.instance()), admins: host::members(&config.admins) };
    let core = core::Core::new(
        Spooler::new(spool.clone()),
        Correlator::new(settings),
        alerts::AlertStore::new(alerts),
        clock::tick(),
    )
    .map_err(StartError::Spool)?;
    let uplink = start_uplink(&config, tasks, &spool)?;

    let identity = Arc::new(Identity::open(&config)?);
    let (waits_in, waits) = intake::channel();
    let (batches_in, batches) = intake::channel();
    let (sheds_in, sheds) = intake::channel();
    let (requests_in, requests) = channel::bounded(INPUTS_MAX);
    let (reports_in, reports) = channel::bounded(INPUTS_MAX);
    let agents = Arc::new(agents::Agents::new(
        tasks,
        (batches_in, sheds_in.clone()),
        reports_in,
        spool.checkpoints(),
        (Arc::clone(&identity), config.plain_networks.clone()),
    ));
    let registry = agents.registry();
    let doors = admin::Doors::default();
    let admin = admin::Admin {
        spool: spool.clone(),
        agents: Arc::clone(&registry),
        roll: Arc::clone(&identity.roll),
        doors: doors.clone(),
    };
    let control = config.control();
    control::serve(tasks, &control, move |request, lines| admin.clone().answer(request, lines))
        .map_err(|error| StartError::Listen("admin verbs", control.display().to_string(), error))?;
    let untaken = [waits_in.untaken(), sheds_in.untaken()];
    let collectors = collect(&config, tasks, &spool, waits_in.clone())?;
    let running =
        listen(&config, tasks, &agents, Ways { waits: waits_in, sheds: sheds_in, requests: requests_in, doors })
            .await?;
    let run = run::Run {
        core: configured(core, &config),
        dashboards: dash::Dashboards::new(config.name.clone()),
        agents: registry,
        collectors,
        uplink,
        waits,
        batches,
        sheds,
        untaken,
        requests,
        reports,
        setting: clock::Setting::default(),
        stop: tasks.stop().clone(),
    };
    tasks.thread("core", move || run.run()).map_err(StartError::Thread)?;
    Ok(running)
}

/// Starts the collectors of the own host.
fn collect(
    config: &Config,
    tasks: &Tasks,
    spool: &Spool,
    sender: intake::Sender,
) -> Result<Option<plan::Running>, StartError> {
    let Some(plan) = config.plan().map_err(StartError::Plan)? else { return Ok(None) };
    let checkpoints = spool.checkpoints();
    let find = move |key: &str| checkpoints.value(key.as_bytes()).ok()??.sound();
    let source = EndpointId::new(EndpointId::SELF);
    let way = plan::Way { sender, checkpoints: Arc::new(find), source, state: config.state.clone() };
    plan::start(plan, tasks, &way).map(Some).map_err(StartError::Collect)
}

fn configured(mut core: core::Core, config: &Config) -> core::Core {
    core.state().link().queue_max = config.spool.events_max;
    core
}

fn open_spool(config: &Config) -> Result<Spool, StartError> {
    let settings = Settings { queue_bytes: SPOOL_QUEUE_BYTES, ..Settings::with_cache(STORE_CACHE_BYTES) };
    let db = Db::open_file(&config.spool_file(), settings).map_err(StartError::Store)?;
    let limits = Limits {
        events_max: config.spool.events_max,
        bytes_max: config.spool.bytes_max,
        memory_bytes_max: 2 * WINDOW_BYTES,
        history_bytes_max: HUB_HISTORY_BYTES,
    };
    let fresh = store::draw_instance().map_err(StartError::Store)?;
    Spool::open(db, limits, fresh).map_err(StartError::Spool)
}

/// Whether a hub with these settings could speak to its server, as far as can be seen without starting it.
///
/// # Errors
/// A certificate, a key or a name cannot be used, or the hub is not enrolled.
pub fn check(config: &Config) -> Result<(), StartError> {
    identity::check(config)?;
    config.server.as_ref().map(|server| peer(server, &config.place())).transpose().map(drop)
}

/// The server, and who the hub is there: enrolled, unless the settings name an authority.
fn peer(server: &config::Server, place: &Place) -> Result<Peer, StartError> {
    let name = server.name.as_deref().unwrap_or(tcp::host_of(&server.address));
    let name = tls::server_name(name).map_err(StartError::Tls)?;
    let (connector, renewal) = match &server.ca {
        Some(ca) => (tls::connector(ca).map_err(StartError::Tls)?, None),
        None if !place.is_enrolled() => return Err(StartError::NotEnrolled),
        None => {
            let (identity, seen) = place.open().map_err(StartError::Identity)?;
            let connector = place.connector(Arc::clone(&identity)).map_err(StartError::Identity)?;
            (connector, Some(Renewal::new(place.clone(), identity, seen)))
        }
    };
    Ok(Peer { way: Way { address: server.address.clone(), tls: Some((connector, name)) }, renewal })
}

fn start_uplink(config: &Config, tasks: &Tasks, spool: &Spool) -> Result<Option<uplink::Uplink>, StartError> {
    let Some(server) = &config.server else { return Ok(None) };
    let peer = peer(server, &config.place())?;
    let register = Register {
        client_version: env!("CARGO_PKG_VERSION").into(),
        hostname: config.name.clone(),
        os: host::system().into(),
        protocol: Some(nms_proto::message::PROTOCOL),
        token: server.token.clone(),
        utc_offset_s: Some(clock::offset_s(clock::unix_ms())),
        ..Register::default()
    };
    let seed = u64::from_le_bytes(*spool.instance().first_chunk::<8>().unwrap_or(&[0; 8]));
    Ok(Some(uplink::start(tasks, peer, spool.clone(), register, seed)))
}

/// The ways into the core.
struct Ways {
    waits: intake::Sender,
    sheds: intake::Sender,
    requests: channel::Sender<dash::Request>,
    doors: admin::Doors,
}

async fn listen(
    config: &Config,
    tasks: &Tasks,
    agents: &Arc<agents::Agents>,
    ways: Ways,
) -> Result<Running, StartError> {
    let refused = |what: &'static str, place: &dyn fmt::Display| {
        let place = place.to_string();
        move |error| StartError::Listen(what, place, error)
    };
    let mut running = Running {
        syslog_udp: None,
        syslog_tcp: None,
        syslog_tls: None,
        agents: None,
        dash: config.runtime.join("dash.sock"),
    };
    if let Some(address) = config.listen.syslog_udp {
        let intake = udp::Intake::bind(address).map_err(refused("syslog over UDP", &address))?;
        running.syslog_udp = intake.address().ok();
        log::info!("syslog over UDP at={address} receive_buffer_bytes={}", intake.receive_buffer_bytes());
        syslog_in::udp(tasks, intake, ways.sheds).map_err(StartError::Thread)?;
    }
    if let Some(address) = config.listen.syslog_tcp {
        let bound = tcp::Listener::bind(address, ways.doors.syslog_tcp.clone()).await;
        let listener = bound.map_err(refused("syslog over TCP", &address))?;
        running.syslog_tcp = listener.address().ok();
        log::info!("syslog over TCP at={address}");
        tasks.spawn("syslog-tcp", syslog_in::tcp(tasks.clone(), listener, ways.waits.clone()));
    }
    if let Some(address) = config.listen.syslog_tls {
        let acceptor = agents.identity().for_devices(config)?;
        let bound = tcp::Listener::bind(address, ways.doors.syslog_tls.clone()).await;
        let listener = bound.map_err(refused("syslog over TLS", &address))?;
        running.syslog_tls = listener.address().ok();
        log::info!("syslog over TLS at={address}");
        tasks.spawn("syslog-tls", syslog_in::tls(tasks.clone(), listener, acceptor, ways.waits.clone()));
    }
    if let Some(address) = config.listen.agents {
        let bound = tcp::Listener::bind(address, ways.doors.agents.clone()).await;
        let listener = bound.map_err(refused("agents", &address))?;
        running.agents = listener.address().ok();
        log::info!("agents at={address}");
        tasks.spawn("agents", agents::listen(Arc::clone(agents), listener));
    }
    let local = config.runtime.join("agent.sock");
    let listener = unix::Listener::bind(&local, 0o660).map_err(refused("the local agent", &local.display()))?;
    let agent_uid = host::user_id("nmsd-agent").unwrap_or(0);
    tasks.spawn("agent.sock", agents::listen_local(Arc::clone(agents), listener, agent_uid));
    for (file, role) in [("dash.sock", Role::Operator), ("dash-ro.sock", Role::Reader)] {
        let path = config.runtime.join(file);
        let listener = dash::bind(&path).map_err(refused("dashboards", &path.display()))?;
        tasks.spawn(file, dash::listen(tasks.clone(), listener, role, ways.requests.clone()));
    }
    Ok(running)
}
