//! Power cuts under the stores beside the spool: the log, and the keyed rows that the hub's alerts, checkpoints and the
//! file integrity baseline are.
//!
//! The power goes at a step of a disk that nobody chose, and comes back at once; the writer opens the file again, as
//! after a disk that was gone for a moment. Then everything is closed, opened, and compared with what was promised.

use crate::sim::{Dice, Rig, watch_lies};
use nms_kit::store::log::{Entry, Log, LogSettings};
use nms_kit::store::map::Map;
use nms_kit::store::{Class, Db, Found, Op, Settings, StoreError, Table, ignore};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

const DAY_MS: i64 = 86_400_000;
/// Cuts that one machine goes through.
const EACH: u64 = 50;

fn settings(rig: &Rig) -> Settings {
    Settings { pace_us: 0, retry_ms: 1, disks: Some(Arc::new(rig.clone())), ..Settings::with_cache(1 << 20) }
}

fn noise(dice: &mut Dice, bytes_max: u64) -> Vec<u8> {
    (0..100 + dice.below(bytes_max)).map(|_| dice.below(256) as u8).collect()
}

/// What came of a number of cuts.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) broken: Vec<String>,
    /// Cuts that met a store at work.
    pub(crate) hits: u64,
    pub(crate) promised: u64,
}

/// Lives with cuts in them: `live` works until the power goes, `look` says afterwards what is broken.
fn cut_power<Room>(
    rig: &Rig,
    seed: u64,
    mut open: impl FnMut() -> Result<Room, StoreError>,
    mut live: impl FnMut(&Room, &mut Dice),
    mut look: impl FnMut(&Room) -> Vec<String>,
) -> Run {
    let (mut dice, mut run) = (Dice::new(seed), Run::default());
    for cut in 0..EACH {
        rig.cut_in(dice.below(60));
        if let Ok(room) = open() {
            live(&room, &mut dice);
        }
        run.hits += u64::from(!rig.cut());
        let broken = open().map_or_else(|error| vec![error.to_string()], |room| look(&room));
        run.broken.extend(broken.into_iter().map(|what| format!("cut {cut}: {what}")));
        if !run.broken.is_empty() {
            break;
        }
    }
    run
}

/// Entries that were promised, by tenant and sequence; and the highest number that was promised with one.
type Promised = Arc<Mutex<(BTreeMap<(u32, u64), Vec<u8>>, u64)>>;

fn cut_log(folder: &Path, rig: &Rig, seed: u64) -> Run {
    let promised = Promised::default();
    let now_ms = std::cell::Cell::new(0);
    let open = || {
        let settings = LogSettings { store: settings(rig), ..LogSettings::with_cache(1 << 20) };
        Log::open(folder, settings, now_ms.get())
    };
    let mut number = 0_u64;
    let live = |log: &Log, dice: &mut Dice| {
        for _ in 0..=dice.below(12) {
            if rig.is_cut() {
                return;
            }
            now_ms.set(now_ms.get() + i64::from(dice.below(10) == 0) * DAY_MS);
            number += 1;
            let entry = Entry { tenant: 1 + dice.below(2) as u32, header: vec![7], value: noise(dice, 6_000) };
            let key = (entry.tenant, log.next(entry.tenant));
            let (kept, number, promised) = (entry.value.clone(), number, Arc::clone(&promised));
            let done = Box::new(move |result: Result<(), StoreError>| {
                if result.is_ok() {
                    let mut promised = promised.lock().unwrap();
                    promised.0.insert(key, kept);
                    promised.1 = number;
                }
            });
            let meta = vec![(b"number".to_vec(), number.to_be_bytes().to_vec())];
            if log.append(&[entry], meta, now_ms.get(), done).is_err() {
                return;
            }
            if dice.below(2) == 0 && log.keep(Vec::new()).is_err() {
                return;
            }
        }
    };
    let look = |log: &Log| {
        let mut broken = Vec::new();
        let mut found = BTreeMap::new();
        for tenant in [1, 2] {
            let stretch = log.read(tenant, 0, usize::MAX).unwrap();
            broken.extend(stretch.damaged.iter().map(|sequence| format!("{tenant}/{sequence} is damaged")));
            found.extend(stretch.entries.into_iter().map(|stored| ((tenant, stored.sequence), stored.value)));
        }
        let promised = promised.lock().unwrap();
        broken.extend(
            promised
                .0
                .iter()
                .filter(|(key, value)| found.get(key) != Some(value))
                .map(|(key, _)| format!("{key:?} is gone")),
        );
        let number = log
            .meta(b"number")
            .unwrap()
            .and_then(Found::sound)
            .map_or(0, |number| u64::from_be_bytes(number.try_into().unwrap()));
        if number < promised.1 {
            broken.push(format!("{} was promised, {number} is there", promised.1));
        }
        broken.extend(log.set_aside().iter().map(ToString::to_string));
        broken
    };
    let mut run = cut_power(rig, seed, open, live, look);
    run.promised = promised.lock().unwrap().0.len() as u64;
    run
}

/// Power cuts of each store; `NMS_CUTS=6000` for all.
fn cuts() -> u64 {
    std::env::var("NMS_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(300)
}

/// Cuts the power of many machines, and says with `--nocapture` what was at stake.
#[expect(clippy::print_stderr, reason = "figures, for who asks with --nocapture")]
pub(crate) fn check(store: &str, cut_machine: impl Fn(u64) -> Run) {
    let (mut hits, mut promised) = (0, 0);
    for seed in 1..=cuts().div_ceil(EACH) {
        let run = cut_machine(seed);
        assert_eq!(run.broken, Vec::<String>::new(), "seed {seed}");
        assert!(run.hits * 2 > EACH && run.promised > EACH, "too little was at stake: {run:?}");
        (hits, promised) = (hits + run.hits, promised + run.promised);
    }
    eprintln!("{store}: {} cuts, {hits} of a store at work, {promised} promises, none broken", cuts());
}

#[test]
fn a_power_cut_loses_no_entry_of_the_log() {
    check("log", |seed| cut_log(tempfile::tempdir().unwrap().path(), &Rig::new(seed, false), seed));
}

#[test]
fn a_lying_disk_is_caught_under_the_log() {
    assert!(watch_lies(|folder, rig, seed| cut_log(folder, rig, seed).broken), "the test has no teeth");
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
/// Rows that are set, or removed, together.
type Change = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The changes of a map, in order, since it was last looked at; and how many of them are promised.
#[derive(Default)]
struct Changes {
    base: Rows,
    made: Vec<Change>,
    promised: Arc<Mutex<usize>>,
    all: u64,
}

impl Changes {
    /// Makes the next change: a few rows of forty are set or removed, together.
    fn make(&mut self, map: &Map, dice: &mut Dice) -> Result<(), StoreError> {
        let row = |dice: &mut Dice| {
            let key = format!("/etc/file-{}", dice.below(40)).into_bytes();
            (key, (dice.below(4) > 0).then(|| noise(dice, 3_000)))
        };
        let change: Change = (0..=dice.below(3)).map(|_| row(dice)).collect();
        let op = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| match value {
            Some(value) => map.put(key, value),
            None => map.delete(key),
        };
        let ops: Vec<Op> = change.iter().map(op).collect();
        self.made.push(change);
        let (promised, made) = (Arc::clone(&self.promised), self.made.len());
        let done = Box::new(move |result: Result<(), StoreError>| {
            if result.is_ok() {
                *promised.lock().unwrap() = made;
            }
        });
        map.db().submit(ops, Class::Upkeep, done)
    }

    /// Whether `found` is what a beginning of the changes makes, with all that were promised in it.
    fn settle(&mut self, found: Rows) -> Vec<String> {
        let promised = std::mem::take(&mut *self.promised.lock().unwrap());
        let mut state = std::mem::take(&mut self.base);
        let mut is_there = promised == 0 && state == found;
        for (number, change) in (1..).zip(std::mem::take(&mut self.made)) {
            for (key, value) in change {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
            is_there |= number >= promised && state == found;
        }
        self.all += promised as u64;
        (self.promised, self.base) = (Arc::default(), found);
        if is_there { Vec::new() } else { vec![format!("the rows are not those of {promised} changes or more")] }
    }
}

fn cut_map(folder: &Path, rig: &Rig, seed: u64) -> Run {
    let changes = std::cell::RefCell::new(Changes::default());
    let open = || Db::open_file(&folder.join("hub.redb"), settings(rig)).map(|db| Map::new(db, Table("alerts.v1")));
    let live = |map: &Map, dice: &mut Dice| {
        for _ in 0..=dice.below(20) {
            let made = if rig.is_cut() { return } else { changes.borrow_mut().make(map, dice) };
            if made.is_err() || dice.below(2) == 0 && map.db().flush().is_err() {
                return;
            }
        }
        map.db().submit(Vec::new(), Class::Lazy, ignore()).unwrap_or_default();
    };
    let look = |map: &Map| match map.scan(b"") {
        Ok(scan) if scan.damaged == 0 => changes.borrow_mut().settle(scan.entries.into_iter().collect()),
        Ok(scan) => vec![format!("{} rows are damaged", scan.damaged)],
        Err(error) => vec![error.to_string()],
    };
    let mut run = cut_power(rig, seed, open, live, look);
    run.promised = changes.borrow().all;
    run
}

#[test]
fn a_power_cut_loses_no_alert_of_a_hub_and_no_row_of_a_baseline() {
    check("keyed rows", |seed| cut_map(tempfile::tempdir().unwrap().path(), &Rig::new(seed, false), seed));
}

#[test]
fn a_lying_disk_is_caught_under_keyed_rows() {
    assert!(watch_lies(|folder, rig, seed| cut_map(folder, rig, seed).broken), "the test has no teeth");
}
