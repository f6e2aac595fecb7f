//! What the disk does to a store: power cuts, a full disk, damaged bytes, files that are no store.

use crate::sim::{Dice, SimDisk};
use crate::store_cuts::{Run, check};
use nms_kit::store::header::{Count, Header};
use nms_kit::store::spool::{Cause, Instance, Limits, NewBatch, Spool, SpoolError, WhenFull};
use nms_kit::store::{Class, Db, Found, Health, OnHealth, Op, Settings, StoreError, Table, ignore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};

const NAME: Instance = [7; 16];
const LIMITS: Limits =
    Limits { events_max: 1 << 40, bytes_max: 1 << 40, memory_bytes_max: 64 << 10, history_bytes_max: 0 };

fn settings() -> Settings {
    Settings { pace_us: 0, retry_ms: 1, ..Settings::with_cache(1 << 20) }
}

fn batch(events: u32, body: Vec<u8>) -> NewBatch {
    let counts = vec![Count { source: "router".into(), severity: 6, events }];
    NewBatch { header: Header { oldest_at_ms: 5, counts }, body: body.into() }
}

/// What was promised: batches whose `done` was called, and the highest number that was acknowledged.
#[derive(Default)]
struct Ledger {
    durable: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
    acked: u64,
    ids: u64,
}

impl Ledger {
    /// One life of the spool, until the power goes or the work is done.
    fn live(&mut self, spool: &Spool, dice: &mut Dice, faults: &smol::channel::Receiver<()>) {
        let ids = spool.event_ids(10);
        if let Ok(ids) = ids {
            assert!(ids.start >= self.ids, "event number {} was given before", ids.start);
            self.ids = ids.end;
        }
        for _ in 0..=dice.below(12) {
            let body: Vec<u8> = (0..100 + dice.below(6_000)).map(|_| dice.below(256) as u8).collect();
            let durable = self.durable.clone();
            let number = spool.state_next();
            let kept = body.clone();
            let done = Box::new(move |result: Result<(), StoreError>| {
                if result.is_ok() {
                    durable.lock().unwrap().insert(number, kept);
                }
            });
            let also = vec![spool.checkpoints().put(b"auth.log", &number.to_be_bytes())];
            if spool.append(vec![batch(3, body)], also, WhenFull::Refuse, done).is_err() {
                return;
            }
            if dice.below(2) == 0 {
                // Wait for the commit, or for the power to go.
                let durable = spool.db().commit(Vec::new(), Class::Upkeep);
                let gone = async { faults.recv().await.map_or(Ok(()), |()| Ok(())) };
                smol::block_on(smol::future::or(durable, gone)).unwrap_or_default();
            }
            if dice.below(3) == 0
                && let Ok(read) = spool.read(0, 10_000)
                && let Some(last) = read.last()
            {
                spool.ack(last.number).unwrap_or_default();
                self.acked = self.acked.max(last.number);
            }
        }
    }

    /// Every promise, against what is found after the power came back.
    fn missing(&self, spool: &Spool) -> Vec<String> {
        let mut broken = Vec::new();
        if spool.instance() != NAME {
            broken.push("another instance".to_owned());
        }
        let mut found = BTreeMap::new();
        let mut from = 0;
        while let Ok(read) = spool.read(from, 1 << 20)
            && let Some(last) = read.last()
        {
            from = last.number + 1;
            found.extend(read.into_iter().map(|batch| (batch.number, batch.body)));
        }
        let durable = self.durable.lock().unwrap();
        for (number, body) in durable.range(self.acked + 1..) {
            if found.get(number).is_none_or(|stored| **stored != **body) {
                broken.push(format!("batch {number} is gone"));
            }
        }
        if let Some(last) = durable.keys().next_back() {
            let checkpoint = spool.checkpoints().value(b"auth.log").ok().flatten().and_then(Found::sound);
            let stands = checkpoint.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            if stands.is_none_or(|number| number < *last) {
                broken.push(format!("the checkpoint stands at {stands:?}, events of {last} were promised"));
            }
        }
        broken
    }
}

trait NextNumber {
    fn state_next(&self) -> u64;
}

impl NextNumber for Spool {
    fn state_next(&self) -> u64 {
        self.stats().next
    }
}

/// Cuts the power `cuts` times.
fn cut_power(disk: &SimDisk, limits: Limits, seed: u64, cuts: u64) -> Run {
    let mut dice = Dice::new(seed);
    let mut ledger = Ledger::default();
    let mut run = Run::default();
    for cut in 0..cuts {
        // Lives end in the middle of an opening, of a commit, of a clean close, or after one.
        disk.cut_in(dice.below(60));
        let (fault, faults) = smol::channel::unbounded();
        let on_health: OnHealth = Arc::new(move |_| fault.try_send(()).unwrap_or_default());
        let opened = Db::open(Box::new(disk.clone()), Settings { on_health: Some(on_health), ..settings() });
        if let Ok(db) = &opened
            && let Some(spool) = open_until_cut(db, limits)
        {
            ledger.live(&spool, &mut dice, &faults);
        }
        if let Ok(db) = opened {
            db.close();
        }
        run.hits += u64::from(!disk.cut());
        // A calm look at what is left.
        match Db::open(Box::new(disk.clone()), settings()) {
            Ok(db) => match Spool::open(db.clone(), limits, NAME) {
                Ok(spool) => {
                    run.broken.extend(ledger.missing(&spool).into_iter().map(|what| format!("cut {cut}: {what}")));
                }
                Err(error) => run.broken.push(format!("cut {cut}: {error}")),
            },
            Err(error) => run.broken.push(format!("cut {cut}: {error}")),
        }
        if !run.broken.is_empty() {
            break;
        }
    }
    run.promised = ledger.durable.lock().unwrap().len() as u64;
    run
}

/// Opens the spool; where the power goes meanwhile, the store is closed so that nothing waits for it.
fn open_until_cut(db: &Db, limits: Limits) -> Option<Spool> {
    let (send, receive) = mpsc::channel();
    let opening = db.clone();
    let thread = std::thread::spawn(move || send.send(Spool::open(opening, limits, NAME).ok()));
    loop {
        match receive.recv_timeout(std::time::Duration::from_millis(1)) {
            Ok(spool) => {
                thread.join().unwrap().unwrap();
                return spool;
            }
            Err(_) if matches!(db.health(), Health::Failing(_)) => db.close(),
            Err(_) => {}
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_of_an_agents_spool() {
    check("agent's spool", |seed| cut_power(&SimDisk::new(seed), LIMITS, seed, 50));
}

/// It keeps what was delivered, for a while.
#[test]
fn a_power_cut_loses_nothing_of_a_hubs_spool() {
    let limits = Limits { history_bytes_max: 40_000, ..LIMITS };
    check("hub's spool", |seed| cut_power(&SimDisk::new(seed), limits, seed, 50));
}

#[test]
fn a_lying_disk_is_caught_by_the_same_test() {
    let caught = (1..=20).any(|seed| {
        let run = move || cut_power(&SimDisk::lying(seed), LIMITS, seed, 50);
        // On bytes that contradict each other the database library may also panic in debug builds.
        std::thread::spawn(run).join().map_or(true, |run| !run.broken.is_empty())
    });
    assert!(caught, "20 lying disks lost nothing: the test has no teeth");
}

/// A store whose states of health can be waited for.
fn watched(disk: &SimDisk) -> (Db, mpsc::Receiver<Health>) {
    let (send, receive) = mpsc::channel();
    let send = Mutex::new(send);
    let on_health: OnHealth = Arc::new(move |health| send.lock().unwrap().send(health.clone()).unwrap_or_default());
    let db = Db::open(Box::new(disk.clone()), Settings { on_health: Some(on_health), ..settings() });
    (db.unwrap(), receive)
}

#[test]
fn a_full_disk_refuses_keeps_and_goes_on() {
    let disk = SimDisk::new(1);
    let (db, health) = watched(&disk);
    let spool = Spool::open(db.clone(), LIMITS, NAME).unwrap();
    disk.set_capacity(disk.used() + (512 << 10));
    let (send, durable) = mpsc::channel();
    let mut taken = 0;
    let refusal = loop {
        let send = send.clone();
        let done = Box::new(move |result: Result<(), StoreError>| send.send(result).unwrap_or_default());
        match spool.append(vec![batch(1, vec![taken as u8; 20_000])], Vec::new(), WhenFull::Refuse, done) {
            Ok(_) => taken += 1,
            Err(SpoolError::Store(StoreError::Busy { .. })) => std::thread::yield_now(),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, SpoolError::Store(StoreError::Full { store: "sim".into() }));
    assert_eq!(health.recv().unwrap(), Health::Full);

    disk.set_capacity(u64::MAX);
    for _ in 0..taken {
        assert_eq!(durable.recv().unwrap(), Ok(()), "what was taken becomes durable");
    }
    while health.recv().unwrap() != Health::Sound {}
    smol::block_on(spool.append_durably(vec![batch(1, vec![9])], Vec::new(), WhenFull::Refuse)).unwrap();
    drop(spool);
    db.close();

    let again = Spool::open(Db::open(Box::new(disk), settings()).unwrap(), LIMITS, NAME).unwrap();
    let held = again.read(0, usize::MAX).unwrap();
    let bodies: Vec<u8> = held.iter().map(|batch| batch.body[0]).collect();
    let expected: Vec<u8> = (0..taken).map(|body| body as u8).chain([9]).collect();
    assert_eq!(bodies, expected);
}

#[test]
fn a_full_disk_still_takes_acknowledgements() {
    let disk = SimDisk::new(2);
    let (db, health) = watched(&disk);
    let spool = Spool::open(db.clone(), LIMITS, NAME).unwrap();
    let bodies = (0..20).map(|_| batch(1, vec![1; 10_000])).collect();
    smol::block_on(spool.append_durably(bodies, Vec::new(), WhenFull::Refuse)).unwrap();
    disk.set_capacity(disk.used());
    // The next change has no room, but for the reserve.
    spool.append(vec![batch(1, vec![2; 30_000])], Vec::new(), WhenFull::Refuse, ignore()).unwrap();
    assert_eq!(health.recv().unwrap(), Health::Full);
    assert_eq!(spool.ack(20), Ok(20));
    db.flush().unwrap();
    db.close();
    disk.set_capacity(u64::MAX);
    let again = Spool::open(Db::open(Box::new(disk), settings()).unwrap(), LIMITS, NAME).unwrap();
    assert_eq!(again.read(0, usize::MAX).unwrap().iter().map(|batch| batch.number).collect::<Vec<_>>(), [21]);
}

/// What waits for room does not keep readers from reading, nor what makes room from being committed.
#[test]
fn a_full_disk_is_read_and_what_makes_room_goes_first() {
    let disk = SimDisk::new(5);
    let (db, health) = watched(&disk);
    let spool = Spool::open(db.clone(), LIMITS, NAME).unwrap();
    let bodies = (0..40).map(|_| batch(1, vec![1; 50_000])).collect();
    smol::block_on(spool.append_durably(bodies, Vec::new(), WhenFull::Refuse)).unwrap();
    disk.set_capacity(disk.used());
    // More than the reserve has room for.
    let (send, durable) = mpsc::channel();
    let done = Box::new(move |result: Result<(), StoreError>| send.send(result).unwrap_or_default());
    let more = (0..30).map(|_| batch(1, vec![2; 50_000])).collect();
    spool.append(more, Vec::new(), WhenFull::Refuse, done).unwrap();
    assert_eq!(health.recv().unwrap(), Health::Full);
    // An attempt that fails ends the reads that meet it; others go on.
    let reads = (0..100).filter(|_| {
        nms_kit::clock::block(1);
        spool.read(1, 200_000).is_ok_and(|read| read.len() == 4)
    });
    assert!(reads.count() > 10);
    assert!(durable.try_recv().is_err(), "it has no room");
    assert_eq!(spool.ack(39), Ok(39));
    assert_eq!(durable.recv().unwrap(), Ok(()));
    assert_eq!(
        spool.read(40, usize::MAX).unwrap().iter().map(|batch| batch.number).collect::<Vec<_>>(),
        (40..=70).collect::<Vec<_>>()
    );
}

/// What was delivered and is kept to be looked at again is the first to go; a power cut finds all that is held.
#[test]
fn a_full_disk_lets_the_history_go() {
    let limits = Limits { history_bytes_max: 1 << 40, ..LIMITS };
    let disk = SimDisk::new(6);
    let (db, health) = watched(&disk);
    let spool = Spool::open(db.clone(), limits, NAME).unwrap();
    let bodies = (0..40).map(|_| batch(1, vec![1; 50_000])).collect();
    smol::block_on(spool.append_durably(bodies, Vec::new(), WhenFull::Refuse)).unwrap();
    assert_eq!(spool.ack(38), Ok(38));
    db.flush().unwrap();
    disk.set_capacity(disk.used());
    let more = (0..20).map(|_| batch(1, vec![2; 50_000])).collect();
    smol::block_on(spool.append_durably(more, Vec::new(), WhenFull::Refuse)).unwrap();
    assert_eq!(health.recv().unwrap(), Health::Full);
    assert_eq!(health.recv().unwrap(), Health::Sound, "others have the disk, and intake goes on all the same");
    let mut kept = 0;
    spool.recent(|_, _| kept += 1).unwrap();
    assert_eq!(kept, 22);
    drop((spool, db));
    let again = Spool::open(Db::open(Box::new(disk), settings()).unwrap(), limits, NAME).unwrap();
    assert_eq!(
        again.read(1, usize::MAX).unwrap().iter().map(|batch| batch.number).collect::<Vec<_>>(),
        (39..=60).collect::<Vec<_>>()
    );
    assert!(again.check().unwrap().totals_agree);
}

/// A file never shrinks by itself: one that has taken the whole disk, and holds little by now, gives the room back that the
/// reserve needs. Without that intake would stay closed for good.
#[test]
fn a_file_that_took_the_whole_disk_makes_room_by_itself() {
    let disk = SimDisk::new(4);
    let (db, health) = watched(&disk);
    let spool = Spool::open(db.clone(), LIMITS, NAME).unwrap();
    let bodies = (0..40).map(|_| batch(1, vec![1; 50_000])).collect();
    smol::block_on(spool.append_durably(bodies, Vec::new(), WhenFull::Refuse)).unwrap();
    // The rest of the disk is somebody else's: with the next change the reserve is given up, and has no room any more.
    disk.set_capacity(disk.used());
    spool.append(vec![batch(1, vec![2; 30_000])], Vec::new(), WhenFull::Refuse, ignore()).unwrap();
    assert_eq!(health.recv().unwrap(), Health::Full);
    db.flush().unwrap();
    assert_eq!(spool.ack(40), Ok(40));
    assert_eq!(health.recv().unwrap(), Health::Sound);
    assert_eq!(spool.read(41, usize::MAX).unwrap().len(), 1);
    assert!(spool.check().unwrap().totals_agree);
}

#[test]
fn a_damaged_row_is_skipped_and_counted_once() {
    let disk = SimDisk::new(3);
    let open = || Spool::open(Db::open(Box::new(disk.clone()), settings()).unwrap(), LIMITS, NAME).unwrap();
    let spool = open();
    let bodies = (1..=9).map(|events| batch(events, format!("body {events} of nine {}", "x".repeat(900)).into()));
    smol::block_on(spool.append_durably(bodies.collect(), Vec::new(), WhenFull::Refuse)).unwrap();
    drop(spool);
    assert!(disk.flip(b"body 4 of nine") && disk.flip(b"body 5 of nine") && disk.flip(b"body 9 of nine"));

    let spool = open();
    assert_eq!(spool.check().unwrap().damaged, [4, 5, 9]);
    let read = spool.read(0, usize::MAX).unwrap();
    assert_eq!(read.iter().map(|batch| batch.number).collect::<Vec<_>>(), [1, 2, 3, 6, 7, 8]);
    let skipped = &read[3].skipped;
    assert_eq!((skipped[0].from, skipped[0].to, skipped[0].events, skipped[0].cause), (4, 5, 9, Cause::Damaged));
    let losses = |spool: &Spool| spool.losses().iter().map(|loss| (loss.cause, loss.events)).collect::<Vec<_>>();
    assert_eq!(losses(&spool), [(Cause::Damaged, 18)]);
    assert_eq!(spool.ack(8), Ok(1 + 2 + 3 + 6 + 7 + 8));
    drop(spool);

    let spool = open();
    assert_eq!(losses(&spool), [(Cause::Damaged, 18)], "counted once");
    smol::block_on(spool.append_durably(vec![batch(1, vec![1])], Vec::new(), WhenFull::Refuse)).unwrap();
    let read = spool.read(0, usize::MAX).unwrap();
    assert_eq!((read[0].number, read[0].skipped[0].from, read[0].skipped[0].events), (10, 9, 9));
    assert!(spool.check().unwrap().totals_agree);
}

#[test]
fn a_file_that_is_no_store_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.redb");
    std::fs::write(&path, vec![b'#'; 100_000]).unwrap();
    let error = Db::open_file(&path, settings()).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("move it aside"), "{error}");

    std::fs::remove_file(&path).unwrap();
    let db = Db::open_file(&path, settings()).unwrap();
    let second = Db::open_file(&path, settings()).unwrap_err().to_string();
    assert!(second.contains("open in another process"), "{second}");
    smol::block_on(
        db.commit(vec![Op::Put { table: Table("spool.batches.v2"), key: vec![1], value: vec![] }], Class::Intake),
    )
    .unwrap();
    let newer = Spool::open(db, LIMITS, NAME).unwrap_err().to_string();
    assert!(newer.contains("newer version") && newer.contains("spool.batches.v2"), "{newer}");

    let nowhere = Db::open_file(&folder.path().join("none/spool.redb"), settings()).unwrap_err().to_string();
    assert!(nowhere.contains("check that its folder exists"), "{nowhere}");
}

#[test]
fn a_truncated_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.redb");
    let spool = Spool::open(Db::open_file(&path, settings()).unwrap(), LIMITS, NAME).unwrap();
    let bodies = (0..9).map(|_| batch(1, vec![1; 50_000])).collect();
    smol::block_on(spool.append_durably(bodies, Vec::new(), WhenFull::Refuse)).unwrap();
    drop(spool);
    let half = std::fs::metadata(&path).unwrap().len() / 2;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(half).unwrap();
    let opened = Db::open_file(&path, settings()).and_then(|db| db.read(|view| view.len(Table("spool.batches.v1"))));
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("spool.redb"), "{error}");
}
