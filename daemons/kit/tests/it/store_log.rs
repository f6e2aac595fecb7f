//! The server's log: order, segments, retention, damage.

use nms_kit::store::log::{Entry, Log, LogSettings};
use nms_kit::store::{Db, Found, Health, Settings};
use std::path::Path;

const DAY_MS: i64 = 86_400_000;

fn settings(segment_bytes: u64) -> LogSettings {
    let store = Settings { pace_us: 0, ..Settings::with_cache(1 << 20) };
    LogSettings { store, segment_bytes }
}

fn entry(tenant: u32, value: &str) -> Entry {
    Entry { tenant, header: format!("h {value}").into_bytes(), value: value.repeat(20).into_bytes() }
}

/// Appends and waits until it is durable.
fn append(log: &Log, entries: &[Entry], meta: &[(&str, &str)], now_ms: i64) -> Vec<u64> {
    let (send, durable) = std::sync::mpsc::channel();
    let meta = meta.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let done = Box::new(move |result| send.send(result).unwrap_or_default());
    let sequences = log.append(entries, meta, now_ms, done).unwrap();
    durable.recv().unwrap().unwrap();
    sequences
}

/// A tenant's entries as `sequence header`.
fn told(log: &Log, tenant: u32, from: u64) -> Vec<String> {
    let stretch = log.read(tenant, from, usize::MAX).unwrap();
    let each = stretch.entries.iter().map(|stored| {
        let header = String::from_utf8_lossy(&stored.header).into_owned();
        assert_eq!(stored.value, header.trim_start_matches("h ").repeat(20).as_bytes());
        format!("{} {header}", stored.sequence)
    });
    each.collect()
}

fn meta(log: &Log, key: &str) -> Option<Vec<u8>> {
    log.meta(key.as_bytes()).unwrap().and_then(Found::sound)
}

fn files(folder: &Path) -> usize {
    let listed = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    listed.filter(|path| path.extension().is_some_and(|kind| kind == "redb")).count()
}

#[test]
fn each_tenant_has_its_own_order_across_segments_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let open = |now_ms| Log::open(folder.path(), settings(u64::MAX), now_ms).unwrap();
    let log = open(0);
    assert_eq!(append(&log, &[entry(1, "a"), entry(2, "b"), entry(1, "c")], &[("k", "1")], 0), [1, 1, 2]);
    assert_eq!(append(&log, &[entry(1, "d")], &[], DAY_MS + 5), [3]);
    assert_eq!(files(folder.path()), 2);
    assert_eq!(meta(&log, "k"), Some(b"1".to_vec()), "carried into the new segment");
    assert_eq!(append(&log, &[entry(2, "e")], &[("k", "2")], 7), [2], "a clock that went back begins no segment");
    drop(log);

    let log = open(DAY_MS);
    assert_eq!(files(folder.path()), 2);
    assert_eq!(told(&log, 1, 0), ["1 h a", "2 h c", "3 h d"]);
    assert_eq!(told(&log, 1, 3), ["3 h d"]);
    assert_eq!(told(&log, 2, 0), ["1 h b", "2 h e"]);
    assert_eq!(told(&log, 3, 0), Vec::<String>::new());
    assert_eq!((log.next(1), log.next(2), log.next(3)), (4, 3, 1));
    assert_eq!(meta(&log, "k"), Some(b"2".to_vec()));
    assert_eq!(log.health(), Health::Sound);
}

#[test]
fn a_read_is_bounded_and_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), settings(100), 0).unwrap();
    for value in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        append(&log, &[entry(1, value), entry(2, value)], &[], 0);
    }
    assert!(files(folder.path()) > 2, "segments end by size");
    let (mut from, mut read) = (0, Vec::new());
    loop {
        let stretch = log.read(1, from, 40).unwrap();
        if stretch.entries.is_empty() {
            break;
        }
        assert!(stretch.entries.len() <= 2);
        from = stretch.next;
        read.extend(stretch.entries.into_iter().map(|stored| stored.sequence));
    }
    assert_eq!(read, (1..=9).collect::<Vec<_>>());
    let usage = log.usage(2);
    assert_eq!((usage[0].first, usage[usage.len() - 1].next), (1, 10));
}

#[test]
fn old_segments_go_whole_and_a_tenant_goes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Log::open(folder.path(), settings(u64::MAX), 0).unwrap();
    let log = open();
    for day in 0..4 {
        append(&log, &[entry(1, "a"), entry(2, "b")], &[], day * DAY_MS);
    }
    assert_eq!(log.drop_before(2 * DAY_MS).unwrap(), 1, "the second day's segment may hold entries of its whole day");
    assert_eq!(files(folder.path()), 3);
    assert_eq!(told(&log, 1, 0), ["2 h a", "3 h a", "4 h a"]);
    log.drop_tenant_before(2, 4).unwrap();
    append(&log, &[entry(3, "c")], &[], 3 * DAY_MS);
    log.compact().unwrap();
    assert_eq!(told(&log, 2, 0), ["4 h b"]);
    drop(log);
    let log = open();
    assert_eq!((told(&log, 1, 0).len(), told(&log, 2, 0).len(), told(&log, 3, 0).len()), (3, 1, 1));
    assert_eq!(log.usage(2).len(), 1);
    log.drop_before(100 * DAY_MS).unwrap();
    assert_eq!((files(folder.path()), log.next(2)), (1, 5), "the newest stays, and so do the sequences");
}

#[test]
fn compaction_gives_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), settings(u64::MAX), 0).unwrap();
    let noise = |seed: u64| {
        let mut dice = crate::sim::Dice::new(seed);
        (0..50_000).map(|_| dice.below(256) as u8).collect::<Vec<u8>>()
    };
    let many: Vec<Entry> = (1..40).map(|seed| Entry { tenant: 1, header: Vec::new(), value: noise(seed) }).collect();
    append(&log, &many, &[], 0);
    append(&log, &[entry(1, "new")], &[], DAY_MS);
    let size = || std::fs::metadata(folder.path().join("log-00000000-0000.redb")).unwrap().len();
    let before = size();
    assert_eq!(log.compact().unwrap(), 0, "half of it must be free");
    log.drop_tenant_before(1, 39).unwrap();
    assert_eq!(log.compact().unwrap(), 1);
    assert!(size() < before / 4, "{before} -> {}", size());
    let left = log.read(1, 0, usize::MAX).unwrap().entries;
    assert_eq!((left.len(), left[0].value == noise(39)), (2, true));
}

#[test]
fn a_segment_whose_beginning_was_cut_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), settings(u64::MAX), 0).unwrap();
    append(&log, &[entry(1, "a")], &[], 0);
    drop(log);
    // What a power cut leaves between the making of the file and its first commit.
    let half = folder.path().join("log-00000001-0000.redb");
    drop(Db::open_file(&half, settings(0).store).unwrap());
    let log = Log::open(folder.path(), settings(u64::MAX), DAY_MS).unwrap();
    assert!(!half.exists());
    assert_eq!(append(&log, &[entry(1, "b")], &[], DAY_MS), [2]);
    assert_eq!(told(&log, 1, 0), ["1 h a", "2 h b"]);
}

#[test]
fn a_damaged_closed_segment_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), settings(u64::MAX), 0).unwrap();
    append(&log, &[entry(1, "a")], &[], 0);
    append(&log, &[entry(1, "b")], &[], DAY_MS);
    drop(log);
    std::fs::write(folder.path().join("log-00000000-0000.redb"), vec![1; 50_000]).unwrap();
    let log = Log::open(folder.path(), settings(u64::MAX), DAY_MS).unwrap();
    assert_eq!(told(&log, 1, 0), ["2 h b"]);
    assert!(log.set_aside()[0].to_string().contains("log-00000000-0000.redb"));
    drop(log);
    std::fs::write(folder.path().join("log-00000001-0000.redb"), vec![1; 50_000]).unwrap();
    let error = Log::open(folder.path(), settings(u64::MAX), DAY_MS).unwrap_err().to_string();
    assert!(error.contains("log-00000001-0000.redb") && error.contains("move it aside"), "{error}");
}
