//! The store on disk: what is appended is there after a restart, and nowhere else.

use nms_detect::Standing;
use nms_kit::store::{
    ignore,
    log::{Entry as LogEntry, Log, LogSettings},
};
use nms_proto::{
    event::Body,
    finding::Finding,
    id::BatchSeq,
    message::{Results, ResultsStats},
    session::receiver::Judgement,
    time::Stamp,
};
use nmsd_server::{
    config::Retention,
    store::{Change, Class, Cursor, Entry, LogSeq, Mark, Snapshot, Store, disk::DiskStore},
};

use crate::world::{HUB, Hub, OTHER_HUB, START_MS, Server, batch, failure, finding, flush, tenant_id};

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq().0).collect()
}

#[test]
fn a_batch_and_its_number_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let sent = batch(1, &[failure(HUB, 1, 0), failure(HUB, 2, 10)]);
    {
        let server = Server::open(folder.path());
        Hub::connect(&server, "home", HUB).send(5, sent.clone());
    }
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    assert_eq!(hub.durable, BatchSeq(1));
    let receiver = hub.tenant.store().receiver(HUB).unwrap();
    assert_eq!(receiver.judge(&sent), Judgement::Duplicate);
    assert_eq!(receiver.judge(&batch(1, &[failure(HUB, 3, 0)])), Judgement::Reused);
    let entries = hub.tenant.store().read(LogSeq(1), 1 << 20).unwrap();
    let [Entry::Batch(logged)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((logged.seq, logged.hub, logged.arrived_ms), (LogSeq(1), HUB, START_MS + 5));
    assert_eq!(logged.events, sent.events);
}

#[test]
fn many_batches_keep_the_numbers_of_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    for number in 1..=1_030 {
        assert_eq!(
            hub.tenant.take(START_MS, HUB, batch(number, &[failure(HUB, number, 0)])),
            nms_proto::session::server::Answer::Taken
        );
        if number.is_multiple_of(60) {
            while hub.tenant.gate().durable(HUB) < BatchSeq(number) {
                hub.attached.bell.recv_blocking().unwrap();
            }
        }
    }
    while hub.tenant.gate().durable(HUB) < BatchSeq(1_030) {
        hub.attached.bell.recv_blocking().unwrap();
    }
    let stored = hub.tenant.store().receiver(HUB).unwrap();
    assert_eq!(stored.durable(), BatchSeq(1_030));
    assert_eq!(stored.judge(&batch(1_030, &[failure(HUB, 1_030, 0)])), Judgement::Duplicate);
    assert_eq!(stored.judge(&batch(7, &[failure(HUB, 8, 0)])), Judgement::Reused);
    assert_eq!(stored.judge(&batch(6, &[failure(HUB, 8, 0)])), Judgement::Duplicate, "too old to be told apart");
}

#[test]
fn a_tenant_sees_nothing_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let home = Hub::connect(&server, "home", HUB);
    let work = Hub::connect(&server, "work", HUB);
    home.send(0, batch(1, &[failure(HUB, 1, 0)]));
    home.send(0, batch(2, &[failure(HUB, 2, 0)]));
    work.send(0, batch(1, &[failure(HUB, 7, 0)]));
    assert_eq!(seqs(&home.tenant.store().read(LogSeq(0), 1 << 20).unwrap()), [1, 2]);
    assert_eq!(seqs(&work.tenant.store().read(LogSeq(0), 1 << 20).unwrap()), [1]);
    assert_eq!(work.tenant.store().receiver(HUB).unwrap().durable(), BatchSeq(1));
    assert_eq!(work.tenant.store().receiver(OTHER_HUB).unwrap().durable(), BatchSeq(0));
    let cursor = Cursor { scored: LogSeq(2), ticked_ms: 9 };
    home.tenant.store().commit(vec![Change::Cursor(cursor)], Class::Upkeep, ignore()).unwrap();
    flush(&home.tenant);
    assert_eq!(home.tenant.store().progress().unwrap().cursor, cursor);
    assert_eq!(work.tenant.store().progress().unwrap().cursor, Cursor::default());
    assert_eq!(server.store.tenants().unwrap(), [tenant_id("home"), tenant_id("work")]);
}

#[test]
fn a_tenant_whose_name_begins_like_anothers_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path());
    let (short, long) = (server.tenant("a"), server.tenant("ab"));
    let results = Results { alerts: Vec::new(), stats: ResultsStats::default(), seq: Some(1) };
    let change = Change::Results { hub: HUB, seq: 1, results: Box::new(results) };
    long.store().commit(vec![change], Class::Upkeep, ignore()).unwrap();
    flush(&long);
    assert_eq!(short.store().owed().unwrap(), []);
    assert_eq!(long.store().owed().unwrap().len(), 1);
}

#[test]
fn a_tenant_finds_its_own_log_again_after_state_was_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::open(folder.path());
        Hub::connect(&server, "home", HUB).send(0, batch(1, &[failure(HUB, 1, 0), failure(HUB, 2, 0)]));
        Hub::connect(&server, "work", HUB).send(0, batch(1, &[failure(HUB, 7, 0)]));
    }
    let state = folder.path().join("state.redb");
    std::fs::rename(&state, folder.path().join("state.redb.damaged")).unwrap();
    let events = |server: &Server, name: &str| -> Vec<u64> {
        let entries = server.tenant(name).store().read(LogSeq(0), 1 << 20).unwrap();
        let batches = entries.iter().map(|entry| match entry {
            Entry::Batch(logged) => logged.events.iter().map(|event| event.id.seq.0).collect::<Vec<_>>(),
            Entry::Damaged(seq) => panic!("{seq}"),
        });
        batches.flatten().collect()
    };
    for _ in 0..2 {
        let server = Server::open(folder.path());
        assert_eq!(Hub::connect(&server, "work", HUB).durable, BatchSeq(1));
        assert_eq!(events(&server, "work"), [7]);
        assert_eq!(events(&server, "new"), [0; 0]);
        assert_eq!(events(&server, "home"), [1, 2]);
        assert_eq!(server.store.tenants().unwrap(), [tenant_id("home"), tenant_id("new"), tenant_id("work")]);
    }
}

#[test]
fn entries_that_nobody_is_known_to_own_are_given_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    {
        // As a version wrote it that named tenants in state.redb alone.
        std::fs::create_dir(folder.path().join("log")).unwrap();
        let log = Log::open(&folder.path().join("log"), LogSettings::with_cache(1 << 20), START_MS).unwrap();
        let entry = LogEntry { tenant: 1, header: Vec::new(), value: b"x".to_vec() };
        log.append(&[entry], Vec::new(), START_MS, ignore()).unwrap();
    }
    let server = Server::open(folder.path());
    let hub = Hub::connect(&server, "home", HUB);
    assert_eq!((hub.durable, hub.tenant.store().last()), (BatchSeq(0), LogSeq(0)));
    assert_eq!(hub.tenant.store().read(LogSeq(0), 1 << 20).unwrap(), []);
}

#[test]
fn marks_quarantine_and_snapshots_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mark = Mark { from: LogSeq(3), to: LogSeq(9), deaths: 1 };
    let cursor = Cursor { scored: LogSeq(2), ticked_ms: -5 };
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let snapshot = Snapshot { cursor, bytes };
    {
        let server = Server::open(folder.path());
        let hub = Hub::connect(&server, "home", HUB);
        (1..=9).for_each(|number| hub.send(0, batch(number, &[failure(HUB, number, 0)])));
        let tenant = server.tenant("home");
        let longer = Snapshot { cursor, bytes: [&snapshot.bytes[..], &vec![1; 5_000_000]].concat() };
        let changes = vec![
            Change::Mark(mark),
            Change::Cursor(cursor),
            Change::Quarantine { seq: LogSeq(1), reason: "bad".into() },
            Change::Snapshot(longer),
            Change::Snapshot(snapshot.clone()),
        ];
        tenant.store().commit(changes, Class::Upkeep, ignore()).unwrap();
        flush(&tenant);
    }
    let server = Server::open(folder.path());
    let tenant = server.tenant("home");
    let progress = tenant.store().progress().unwrap();
    assert_eq!((progress.cursor, progress.mark), (cursor, Some(mark)));
    assert_eq!(progress.quarantined.into_iter().collect::<Vec<_>>(), [LogSeq(1)]);
    assert!(tenant.store().snapshot().unwrap() == Some(snapshot));
    tenant.store().commit(vec![Change::Unmark], Class::Upkeep, ignore()).unwrap();
    flush(&tenant);
    assert_eq!(tenant.store().progress().unwrap().mark, None);
}

#[test]
fn alerts_go_by_age_and_by_number_and_those_that_are_over_first() {
    const DAY_MS: i64 = 86_400_000;
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Retention { days: 30, bytes: 1 << 30, alerts: 100 }, START_MS).unwrap();
    let (home, work) = (store.tenant(&tenant_id("home")).unwrap(), store.tenant(&tenant_id("work")).unwrap());
    let finding = match finding(HUB, 1, 1, "a-1").body {
        Body::Finding(finding) => *finding,
        other => panic!("{other:?}"),
    };
    let alert = |number: i64, days_ago: i64, resolved: bool| {
        let id = format!("a-{number:05}").parse().unwrap();
        let last_seen = Stamp::utc(START_MS - days_ago * DAY_MS - number);
        let finding = Finding { alert: id, last_seen, resolved, evidence: Vec::new(), ..finding.clone() };
        let alert = nms_detect::fuse(&finding, None, Vec::new(), false);
        Change::Alert(Box::new(Standing { alert, finding: 1 }))
    };
    // 5,000 too old, in more than one stretch of rows; then 80 that are open and 60 that are over, the lower the newer.
    let old = (0..5_000).map(|number| alert(number, 31, false));
    let open = (6_000..6_080).map(|number| alert(number, 2, false));
    let over = (7_000..7_060).map(|number| alert(number, 1, true));
    let (done, durable) = std::sync::mpsc::channel();
    let changes = old.chain(open).chain(over).collect();
    home.commit(changes, Class::Upkeep, Box::new(move |result| done.send(result).unwrap())).unwrap();
    durable.recv().unwrap().unwrap();
    work.commit(vec![alert(1, 1, true)], Class::Upkeep, ignore()).unwrap();
    store.tidy(START_MS).unwrap();
    let kept: Vec<String> = home.alerts().unwrap().iter().map(|known| known.alert.id.to_string()).collect();
    let expected = (6_000..6_080).chain(7_000..7_020).map(|number| format!("a-{number:05}"));
    assert_eq!(kept, expected.collect::<Vec<_>>());
    assert_eq!((home.alerts_let_go(), work.alerts_let_go(), work.alerts().unwrap().len()), (40, 0, 1));
}

#[test]
fn retention_by_age_and_by_bytes_lets_go_of_the_oldest_and_never_of_what_is_not_analysed() {
    const DAY_MS: i64 = 86_400_000;
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Retention { days: 2, bytes: 1 << 30, alerts: 9 }, START_MS).unwrap();
    let tenant = store.tenant(&tenant_id("home")).unwrap();
    for day in 0..4 {
        let (done, durable) = std::sync::mpsc::channel();
        let new = nmsd_server::store::NewBatch {
            hub: HUB,
            batch: None,
            content_hash: 0,
            arrived_ms: START_MS + day * DAY_MS,
            content: batch(1, &[failure(HUB, 1, 0)]).content.into_vec(),
        };
        tenant.append(new, Box::new(move |seq, result| done.send((seq, result)).unwrap())).unwrap();
        durable.recv().unwrap().1.unwrap();
    }
    let cursor = Cursor { scored: LogSeq(4), ticked_ms: 0 };
    tenant.commit(vec![Change::Cursor(cursor)], Class::Upkeep, ignore()).unwrap();
    let first = |store: &dyn Store| {
        seqs(&store.tenant(&tenant_id("home")).unwrap().read(LogSeq(0), 1 << 20).unwrap()).first().copied()
    };
    assert_eq!(first(&store), Some(1));
    store.tidy(START_MS + 4 * DAY_MS).unwrap();
    assert!(first(&store) > Some(1), "older than two days");
    assert_eq!(tenant.last(), LogSeq(4), "numbers go on");
}
