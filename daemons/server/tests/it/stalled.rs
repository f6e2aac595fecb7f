//! Nothing blocks a task: a disk that stalls holds up those who wait for it, and nobody else.

use std::sync::{Arc, Condvar, Mutex};

use nms_kit::{
    clock,
    net::tcp,
    pki,
    task::Tasks,
    tls::{self, Own},
};
use nms_proto::{
    id::TenantId,
    message::{AckConfig, AckStatus, Heartbeat, Message},
};
use nmsd_server::{
    clients::{Clients, Door},
    config::{Retention, pki_files},
    live::Tenants,
    store::{Store, StoreError, TenantStore, disk::DiskStore},
    tenant::Directory,
};
use smol::channel;

use crate::{
    stage::Stage,
    world::{HUB, OTHER_HUB, START_MS, failure, tenant_id},
};

/// Longest wait for who is to be served, in milliseconds; a test that works never waits for it.
const PATIENCE_MS: u64 = 20_000;

/// A store that does not answer about one tenant before it is let go on.
#[derive(Debug)]
struct Stalled {
    store: DiskStore,
    tenant: TenantId,
    /// Whether it is asked, and whether it may go on.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Stalled {
    fn set(&self, change: impl FnOnce(&mut (bool, bool))) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, is_so: impl Fn((bool, bool)) -> bool) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !is_so(*state)).unwrap());
    }
}

impl Store for Stalled {
    fn tenant(&self, id: &TenantId) -> Result<Arc<dyn TenantStore>, StoreError> {
        if *id == self.tenant {
            self.set(|(is_asked, _)| *is_asked = true);
            self.wait(|(_, may_go_on)| may_go_on);
        }
        self.store.tenant(id)
    }
    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.store.tenants()
    }
    fn tidy(&self, now_ms: i64) -> Result<(), StoreError> {
        self.store.tidy(now_ms)
    }
}

#[test]
fn a_stalled_disk_blocks_no_task_but_who_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = pki_files(folder.path());
    pki::init(&files, &["127.0.0.1".into()], clock::unix_ms()).unwrap();
    let config = Stage::config(folder.path(), &[], false);
    let retention = Retention { days: 30, bytes: 1 << 30, alerts: 1_000 };
    let store = Arc::new(Stalled {
        store: DiskStore::open(folder.path(), retention, START_MS).unwrap(),
        tenant: tenant_id("home"),
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    // One thread for all tasks: whatever blocked it would hold up everybody.
    let tasks = Tasks::start(1).unwrap();
    let tenants = Arc::new(Tenants::new(Arc::clone(&store) as Arc<dyn Store>, 1));
    let own = Own::from_files(&files.certificate, &files.key).unwrap();
    let authority = std::fs::read_to_string(&files.ca).unwrap();
    let door = Door { acceptor: tls::acceptor_of_clients(own, &authority).unwrap(), roll: None };
    let clients = Arc::new(Clients::new(&tasks, tenants, Directory::new(&config), door, AckConfig::default()));
    smol::block_on(async {
        let listener = tcp::Listener::bind("127.0.0.1:0".parse().unwrap(), clients.gate().clone()).await.unwrap();
        let address = listener.address().unwrap().to_string();
        let (alive, _ended) = channel::bounded(1);
        tasks.spawn("listen", Arc::clone(&clients).listen(listener, alive));
        let connect = async || {
            let stream = tcp::dial(&address).await.unwrap();
            Stage::peer_over(stream, tls::connector(&files.ca).unwrap()).await
        };
        // Known since the start; tenants that are not are opened one after another.
        let mut known = connect().await;
        known.register(Some("work"), Some(OTHER_HUB)).await;
        assert_eq!(known.ack().await.status, AckStatus::Ok);
        let mut waiting = connect().await;
        waiting.register(Some("home"), Some(HUB)).await;
        let asked = Arc::clone(&store);
        smol::unblock(move || asked.wait(|(is_asked, _)| is_asked)).await;
        let served = async {
            let mut served = connect().await;
            served.register(Some("work"), Some(OTHER_HUB)).await;
            assert_eq!(served.ack().await.status, AckStatus::Ok);
            served.send(Message::Heartbeat(Heartbeat { heartbeat: Some(7), ..Heartbeat::default() })).await;
            assert_eq!(served.ack().await.heartbeat, Some(7));
            served.send_batch(1, &[failure(OTHER_HUB, 1, 0)]).await;
            assert_eq!(served.ack().await.batch.map(|batch| batch.0), Some(1));
        };
        let late = async {
            clock::pause(PATIENCE_MS).await;
            panic!("the stalled disk holds up everybody");
        };
        smol::future::or(served, late).await;
        store.set(|(_, may_go_on)| *may_go_on = true);
        assert_eq!(waiting.ack().await.status, AckStatus::Ok, "and who waited is served then");
    });
    assert_eq!(tasks.join(30_000), [""; 0]);
}
