//! A process that ends while deadlines are handled: a store that takes no more at a mark stands for it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use nms_detect::Standing;
use nms_proto::{
    id::{AlertId, Instance, TenantId},
    session::receiver::Receiver,
};
use nmsd_server::{
    live::Tenants,
    store::{
        Appended, Change, Class, Done, Entry, LogSeq, Mark, NewBatch, Owed, Progress, Snapshot, Store, StoreError,
        TenantStore,
    },
    work::Work,
};

use crate::world::{HUB, Hub, Server, batch, failure, flush, model, now, settle, tenant_id};

/// Whether the process ends with this mark.
type Ends = dyn Fn(&Mark) -> bool + Send + Sync;

/// Ends with a mark; what is stored after that is not.
struct Fate {
    ends: Box<Ends>,
    is_armed: AtomicBool,
    is_dead: AtomicBool,
    marks: Mutex<Vec<Mark>>,
}

impl std::fmt::Debug for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fate").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Mortal(Arc<dyn Store>, Arc<Fate>);

impl Store for Mortal {
    fn tenant(&self, id: &TenantId) -> Result<Arc<dyn TenantStore>, StoreError> {
        Ok(Arc::new(MortalTenant(self.0.tenant(id)?, Arc::clone(&self.1))))
    }
    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.0.tenants()
    }
    fn tidy(&self, now_ms: i64) -> Result<(), StoreError> {
        self.0.tidy(now_ms)
    }
}

#[derive(Debug)]
struct MortalTenant(Arc<dyn TenantStore>, Arc<Fate>);

impl TenantStore for MortalTenant {
    fn commit(&self, changes: Vec<Change>, class: Class, done: Done) -> Result<(), StoreError> {
        let fate = &self.1;
        if fate.is_dead.load(Ordering::Relaxed) {
            return Err(StoreError::Stopped { store: "dead".into() });
        }
        if let [Change::Mark(mark)] = changes[..]
            && fate.is_armed.load(Ordering::Relaxed)
        {
            fate.marks.lock().unwrap().push(mark);
            fate.is_dead.store((fate.ends)(&mark), Ordering::Relaxed);
        }
        self.0.commit(changes, class, done)
    }
    fn receiver(&self, hub: Instance) -> Result<Receiver, StoreError> {
        self.0.receiver(hub)
    }
    fn origin(&self) -> Instance {
        self.0.origin()
    }
    fn append(&self, batch: NewBatch, done: Appended) -> Result<(), StoreError> {
        self.0.append(batch, done)
    }
    fn last(&self) -> LogSeq {
        self.0.last()
    }
    fn read(&self, from: LogSeq, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.read(from, bytes_max)
    }
    fn progress(&self) -> Result<Progress, StoreError> {
        self.0.progress()
    }
    fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.0.snapshot()
    }
    fn owed(&self) -> Result<Vec<Owed>, StoreError> {
        self.0.owed()
    }
    fn alert(&self, id: &AlertId) -> Result<Option<Standing>, StoreError> {
        self.0.alert(id)
    }
    fn alerts_let_go(&self) -> u64 {
        self.0.alerts_let_go()
    }
    fn alerts(&self) -> Result<Vec<Standing>, StoreError> {
        self.0.alerts()
    }
}

/// One life: everything is analysed, then deadlines are handled, and there the process may end. The marks of that; none
/// where it did not end.
fn life(folder: &Path, ends: impl Fn(&Mark) -> bool + Send + Sync + 'static) -> Option<Vec<Mark>> {
    let server = Server::open(folder);
    let fate = Arc::new(Fate {
        ends: Box::new(ends),
        is_armed: AtomicBool::new(false),
        is_dead: AtomicBool::new(false),
        marks: Mutex::default(),
    });
    let tenants = Tenants::new(Arc::new(Mortal(server.store, Arc::clone(&fate))), 1);
    let tenant = tenants.tenant(&tenant_id("home")).unwrap();
    let (mut work, mut model) = (Work::open(Arc::clone(&tenant), now(100)).unwrap(), model());
    settle(&tenant, &mut work, &mut model, now(100));
    fate.is_armed.store(true, Ordering::Relaxed);
    let end = work.step(&mut model, now(5_000));
    if end.is_ok() {
        flush(&tenant);
    }
    end.is_err().then(|| std::mem::take(&mut *fate.marks.lock().unwrap()))
}

#[track_caller]
fn check(with_snapshot: bool) {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::open(folder.path());
        let hub = Hub::connect(&server, "home", HUB);
        (1..=3).for_each(|number| hub.send(0, batch(number, &[failure(HUB, number, 0)])));
        if with_snapshot {
            let mut work = Work::open(Arc::clone(&hub.tenant), now(50)).unwrap();
            settle(&hub.tenant, &mut work, &mut model(), now(50));
            work.finish(now(50)).unwrap();
            flush(&hub.tenant);
        }
    }
    let bad = LogSeq(3);
    let first = life(folder.path(), move |mark| (mark.from..=mark.to).contains(&bad)).expect("deadlines are marked");
    assert_eq!(first, [Mark { from: LogSeq(1), to: bad, deaths: 0 }]);
    let mut deaths = Vec::new();
    while let Some(marks) = life(folder.path(), move |mark| (mark.from, mark.to) == (bad, bad)) {
        deaths.extend(marks.last().map(|mark| mark.deaths));
        assert!(deaths.len() < 20, "a loop");
    }
    assert_eq!(deaths, (0..8).collect::<Vec<_>>(), "the batch whose window it is, alone");
    let server = Server::open(folder.path());
    let progress = server.tenant("home").store().progress().unwrap();
    assert_eq!(progress.quarantined.into_iter().collect::<Vec<_>>(), [bad]);
}

#[test]
fn a_batch_whose_window_ends_the_process_when_its_source_falls_quiet_goes_to_quarantine() {
    check(false);
}

#[test]
fn it_does_so_too_where_a_snapshot_holds_the_window() {
    check(true);
}
