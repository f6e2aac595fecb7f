//! The wiring: store, tenants, analysis threads, connections, control socket; and their ordered end.
//!
//! Connections end first; when the last is gone the analysis threads finish their slice, write cursor
//! and snapshot, and end; then the store commits what waits.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{
    clock, control,
    net::tcp,
    pki::{Authority, PkiError},
    roll::Roll,
    store::StoreError,
    task::Tasks,
    tls::{self, Own, TlsAcceptor, TlsError},
};
use nms_model::bundle::{Bundle, BundleError};
use nms_proto::{limits::WINDOW_BATCHES, message::AckConfig};
use smol::channel;

use crate::{
    admin::Admin,
    analyse::model::Model,
    backup::restore,
    clients::{Clients, Door},
    config::{self, Config},
    live::{Tenants, Unserved},
    store::{Store as _, disk::DiskStore, look::IDENTITY},
    tenant::Directory,
    work::{panics, thread},
};

/// Longest wait for connections to end before analysis does, in milliseconds.
const LEAVE_MS: u64 = 5_000;
/// Time between two looks at what is to be let go, in milliseconds.
const TIDY_MS: u64 = 60 * 60_000;

/// Why the server does not start.
#[derive(Debug)]
pub enum StartError {
    /// Certificate or key.
    Tls(TlsError),
    /// The authority.
    Authority(PkiError),
    /// The model.
    Model(BundleError),
    /// The weights do not fit the model's shape.
    Weights(nms_model::net::NetError),
    /// The store.
    Store(StoreError),
    /// A tenant's state.
    Tenant(Unserved),
    /// The address to listen on.
    Listen(SocketAddr, io::Error),
    /// The control socket.
    Control(PathBuf, io::Error),
    /// A thread.
    Thread(io::Error),
    /// The state folder holds half of a restore.
    Unfinished(PathBuf),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(TlsError::Read(path, error)) if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "{} is not there: make it with nmsd-server init", path.display())
            }
            Self::Tls(error) => error.fmt(f),
            Self::Authority(error) => error.fmt(f),
            Self::Model(error) => error.fmt(f),
            Self::Weights(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Tenant(error) => error.fmt(f),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Control(path, error) => write!(f, "cannot make the control socket {}: {error}", path.display()),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Unfinished(state) => {
                write!(f, "a restore into {} was not finished: empty the folder and restore again", state.display())
            }
        }
    }
}

impl std::error::Error for StartError {}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where hubs connect; a real port when port 0 was asked for.
    pub address: SocketAddr,
    /// The tenants, for who looks inside.
    pub tenants: Arc<Tenants>,
    store: Arc<DiskStore>,
}

impl Running {
    /// Commits what waits, after every task ended.
    pub fn close(self) {
        self.store.close();
    }
}

/// The model bundle in `folder`, or the one built in.
///
/// # Errors
/// Names the file and the field.
pub fn bundle(folder: Option<&Path>) -> Result<Bundle, BundleError> {
    folder.map_or_else(Bundle::shipped, Bundle::open)
}

/// Starts a server; it ends with the stop of `tasks`.
///
/// # Errors
/// What stands in the way, where, and what to do.
pub async fn start(config: Config, tasks: &Tasks) -> Result<Running, StartError> {
    let bundle = bundle(config.model.as_deref()).map_err(StartError::Model)?;
    start_with(config, tasks, &bundle).await
}

/// As [`start`], with a model of the caller's.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, tasks: &Tasks, bundle: &Bundle) -> Result<Running, StartError> {
    let (acceptor, authority) = credentials(&config)?;
    if restore::is_unfinished(&config.state) {
        return Err(StartError::Unfinished(config.state));
    }
    let store = DiskStore::open(&config.state, config.retention, clock::unix_ms()).map_err(StartError::Store)?;
    let store = Arc::new(store);
    let tenants = Tenants::new(Arc::clone(&store) as Arc<dyn crate::store::Store>, config.analysis_threads);
    let tenants = tenants.with_uncommitted_bytes_max(config.uncommitted_bytes_max);
    let tenants = Arc::new(tenants.with_panicked(panics::take_notes(&config.state)));
    for (number, inbox) in tenants.inboxes().iter().enumerate() {
        let model = Model::new(bundle).map_err(StartError::Weights)?;
        let (tenants, inbox) = (Arc::clone(&tenants), Arc::clone(inbox));
        thread::start(tasks, &format!("analysis-{number}"), tenants, inbox, model).map_err(StartError::Thread)?;
    }
    tenants.wake_all().map_err(StartError::Tenant)?;
    let heartbeat_interval = config.heartbeat_interval;
    let asked = AckConfig { heartbeat_interval, window: Some(WINDOW_BATCHES), ..AckConfig::default() };
    let roll = authority.map(|authority| Roll::open(&config.state.join(IDENTITY), authority)).transpose();
    let roll = roll.map_err(StartError::Store)?.map(Arc::new);
    let door = Door { acceptor, roll: roll.clone() };
    let clients = Clients::new(tasks, Arc::clone(&tenants), Directory::new(&config), door, asked);
    let clients = Arc::new(clients);
    let listener = tcp::Listener::bind(config.listen, clients.gate().clone()).await;
    let listener = listener.map_err(|error| StartError::Listen(config.listen, error))?;
    let listener = listener.with_balancers(config.proxy_networks.clone());
    let address = listener.address().map_err(|error| StartError::Listen(config.listen, error))?;
    let admin = Admin { tenants: Arc::clone(&tenants), clients: Arc::clone(&clients), store: Arc::clone(&store), roll };
    control::serve(tasks, &config.control, move |request, lines| admin.clone().answer(request, lines))
        .map_err(|error| StartError::Control(config.control.clone(), error))?;
    let (alive, ended) = channel::bounded(1);
    tasks.spawn("listen", clients.listen(listener, alive));
    tasks.spawn("end", end(tasks.clone(), Arc::clone(&tenants), ended));
    tidy(tasks, Arc::clone(&store)).map_err(StartError::Thread)?;
    Ok(Running { address, tenants, store })
}

/// What the server shows in a handshake, and the authority whose certificates it believes; none where there is none.
///
/// # Errors
/// A file cannot be read or used, or others may read a key.
pub fn credentials(config: &Config) -> Result<(TlsAcceptor, Option<Authority>), StartError> {
    let own = Own::from_files(&config.certificate, &config.key).map_err(StartError::Tls)?;
    let files = config::pki_files(&config.state);
    if !files.ca_key.exists() {
        let acceptor = tls::acceptor(&config.certificate, &config.key).map_err(StartError::Tls)?;
        return Ok((acceptor, None));
    }
    let authority = Authority::open(&files).map_err(StartError::Authority)?;
    let acceptor = tls::acceptor_of_clients(own, authority.pem()).map_err(StartError::Tls)?;
    Ok((acceptor, Some(authority)))
}

/// Ends analysis when the stop was asked for and the last connection is gone.
async fn end(tasks: Tasks, tenants: Arc<Tenants>, ended: channel::Receiver<()>) {
    tasks.stop().requested().await;
    let gone = async {
        // Nothing is ever sent: the only answer is that the last connection dropped its end.
        ended.recv().await.ok();
    };
    smol::future::or(gone, clock::pause(LEAVE_MS)).await;
    for inbox in tenants.inboxes() {
        inbox.stop();
    }
}

/// Lets go of old data until the stop; on a thread of its own, because it waits for the disk.
fn tidy(tasks: &Tasks, store: Arc<DiskStore>) -> io::Result<()> {
    let stop = tasks.stop().clone();
    tasks.thread("tidy", move || {
        while smol::block_on(stop.or(clock::pause(TIDY_MS))).is_some() {
            if let Err(error) = store.tidy(clock::unix_ms()) {
                log::error!("old data cannot be let go error={error}");
            }
        }
    })
}
