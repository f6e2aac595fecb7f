//! Copies of stores: whole as of one moment, verified on the way, while others go on.

use nms_kit::store::log::{Entry, Log, LogSettings};
use nms_kit::store::{Class, CopyError, Db, Found, Op, Settings, Table};
use std::ops::ControlFlow;
use std::path::Path;

const NUMBERS: Table = Table("numbers.v1");
const OTHER: Table = Table("other.v3");
const DAY_MS: i64 = 86_400_000;

fn settings() -> Settings {
    Settings { pace_us: 0, ..Settings::with_cache(1 << 20) }
}

fn open(path: &Path) -> Db {
    Db::open_file(path, settings()).unwrap()
}

fn rows(db: &Db, table: Table) -> Vec<(Vec<u8>, Found<Vec<u8>>)> {
    let mut rows = Vec::new();
    db.read(|view| {
        view.range(table, &[], &[u8::MAX; 16], |key, found| {
            let found = match found {
                Found::Value(value) => Found::Value(value.to_vec()),
                Found::Damaged => Found::Damaged,
            };
            rows.push((key.to_vec(), found));
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    rows
}

/// 12,000 rows of some kilobytes: more than one stretch, and more than one commit of a copy.
fn fill(db: &Db) {
    for bunch in 0..12_u32 {
        let put = |number: u32| {
            let number = bunch * 1_000 + number;
            let value = format!("value {number} ").repeat(100).into_bytes();
            Op::Put { table: NUMBERS, key: number.to_be_bytes().to_vec(), value }
        };
        smol::block_on(db.commit((0..1_000).map(put).collect(), Class::Upkeep)).unwrap();
    }
    let put = Op::Put { table: OTHER, key: b"k".to_vec(), value: Vec::new() };
    smol::block_on(db.commit(vec![put], Class::Upkeep)).unwrap();
}

#[test]
fn a_copy_is_what_was_there_when_it_began_whatever_is_written_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("a.redb"));
    fill(&db);
    let expected = (rows(&db, NUMBERS), rows(&db, OTHER));
    let copy = folder.path().join("b.redb");
    let mut told = Vec::new();
    let met = db.copy_to(&copy, &mut |met| {
        // The writer waits for nobody, and a compaction for another time.
        let put = Op::Put { table: NUMBERS, key: vec![0; 4], value: b"newer".to_vec() };
        smol::block_on(db.commit(vec![put], Class::Upkeep)).unwrap();
        assert!(!db.compact().unwrap());
        told.push(met.rows);
        true
    });
    let met = met.unwrap();
    assert_eq!((met.rows, met.damaged), (12_001, 0));
    assert!(!told.is_empty());
    let copied = open(&copy);
    assert_eq!((rows(&copied, NUMBERS), rows(&copied, OTHER)), expected);
    assert_eq!(copied.check().unwrap(), met);
    let again = db.copy_to(&copy, &mut |_| true).unwrap_err().to_string();
    assert!(again.contains("cannot write") && again.contains("b.redb"), "{again}");
    let unwanted = db.copy_to(&folder.path().join("c.redb"), &mut |_| false);
    assert!(matches!(unwanted, Err(CopyError::Unwanted)));
}

#[test]
fn a_damaged_row_is_copied_as_it_is_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.redb");
    let db = open(&path);
    fill(&db);
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    let pattern = b"value 4711 value 4711 ";
    let at = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let met = open(&path).copy_to(&folder.path().join("b.redb"), &mut |_| true).unwrap();
    assert_eq!((met.rows, met.damaged, &met.named[..]), (12_001, 1, &["numbers.v1 00001267".to_owned()][..]));
    let copied = open(&folder.path().join("b.redb"));
    assert_eq!(rows(&copied, NUMBERS)[4711], (4711_u32.to_be_bytes().to_vec(), Found::Damaged));
    assert_eq!(copied.check().unwrap(), met);
}

#[test]
fn a_segment_is_copied_as_it_was_though_it_takes_more_and_ends_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), LogSettings { store: settings(), segment_bytes: u64::MAX }, 0).unwrap();
    let mut dice = crate::sim::Dice::new(1);
    let mut append = |log: &Log, number: u64, now_ms: i64| {
        let value = (0..60_000).map(|_| dice.below(256) as u8).collect();
        let entry = Entry { tenant: 1, header: Vec::new(), value };
        let (done, durable) = std::sync::mpsc::channel();
        let meta = vec![(b"last".to_vec(), number.to_be_bytes().to_vec())];
        log.append(&[entry], meta, now_ms, Box::new(move |result| done.send(result).unwrap())).unwrap();
        durable.recv().unwrap().unwrap();
    };
    (1..=300).for_each(|number| append(&log, number, 0));
    let file = log.files().remove(0);
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join(file.file_name().unwrap());
    let mut more = 300;
    let met = log.copy(&file, &copy, &mut |_| {
        for _ in 0..3 {
            more += 1;
            // From the third on in the next segment: the one that is copied was closed and opened again.
            append(&log, more, if more > 302 { DAY_MS } else { 0 });
        }
        true
    });
    assert_eq!(met.unwrap().unwrap().damaged, 0);
    assert!(more > 303 && log.files().len() == 2);
    let copied = Log::look(copies.path()).unwrap();
    let mut read: Vec<u64> = Vec::new();
    while let from = read.last().map_or(0, |last| last + 1)
        && let stretch = copied.read(1, from, 1 << 20).unwrap()
        && !stretch.entries.is_empty()
    {
        read.extend(stretch.entries.iter().map(|stored| stored.sequence));
    }
    assert_eq!(read, (1..=300).collect::<Vec<_>>(), "what was there when it began, and no more");
    assert_eq!(copied.meta(b"last").unwrap(), Some(Found::Value(300_u64.to_be_bytes().to_vec())));
    assert_eq!(copied.next(1), 301);
    let nowhere = folder.path().join("log-00000009-0000.redb");
    assert_eq!(log.check(&nowhere).unwrap(), None, "let go meanwhile");
}
