//! Files in a folder, written, moved, copied and cut as log writers and logrotate do; no loss, no repeat.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_collect::{
    counters::{Counters, What},
    moment::Now,
    pattern::Pattern,
    tail::{ROTATED_MS, Settings, Tail},
};
use nms_proto::{
    event::Body,
    limits::{CHUNK_EVENTS_MAX, LINE_BYTES_MAX},
    time::{Stamp, Tick},
};

/// A folder with a log, and a tail on it that can be restarted.
struct Bench {
    folder: tempfile::TempDir,
    patterns: Vec<String>,
    from_start: bool,
    checkpoints: HashMap<Box<str>, Vec<u8>>,
    tail: Option<Tail>,
    counters: Arc<Counters>,
    now: u64,
    lost: Vec<(&'static str, u64)>,
    cut: u64,
    /// The `at` of all that was read.
    ats: Vec<String>,
}

impl Bench {
    fn new(patterns: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let patterns = patterns.iter().map(|name| format!("{}/{name}", folder.path().display())).collect();
        Self {
            folder,
            patterns,
            from_start: true,
            checkpoints: HashMap::new(),
            tail: None,
            counters: Arc::default(),
            now: 0,
            lost: Vec::new(),
            cut: 0,
            ats: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// What logrotate's copytruncate does.
    fn copytruncate(&self, name: &str, to: &str) {
        fs::copy(self.path(name), self.path(to)).unwrap();
        self.truncate(name);
    }

    fn truncate(&self, name: &str) {
        File::options().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn restart(&mut self) {
        self.tail = None;
    }

    fn tail(&mut self) -> &mut Tail {
        if self.tail.is_none() {
            let patterns = self.patterns.iter().map(|text| Pattern::absolute(text).unwrap()).collect();
            let kept = self.checkpoints.clone();
            let find = Arc::new(move |key: &str| kept.get(key).cloned());
            let settings = Settings { patterns, from_start: self.from_start };
            self.tail = Some(Tail::new(settings, find, Arc::clone(&self.counters)));
        }
        self.tail.as_mut().unwrap()
    }

    /// Reads all there is; the messages, in order.
    fn read(&mut self) -> String {
        let mut lines = Vec::new();
        let tick = Tick(self.now);
        self.tail().sweep(tick);
        while let Some(line) = self.portion() {
            lines.extend(line);
        }
        lines.join(" ")
    }

    fn portion(&mut self) -> Option<Vec<String>> {
        let now = Now { tick: Tick(self.now), stamp: Stamp::utc(i64::try_from(wall_ms()).unwrap()) };
        let portion = self.tail().next(now)?;
        assert!(portion.messages() <= CHUNK_EVENTS_MAX);
        self.lost.extend(portion.lost);
        self.cut += portion.cut;
        self.ats.extend(portion.drafts.iter().map(|draft| draft.at.unwrap().to_string()));
        let checkpoint = portion.checkpoint.unwrap();
        self.checkpoints.insert(checkpoint.key, checkpoint.value.into());
        let text = |body: Body| if let Body::Syslog(line) = body { line.message.into() } else { String::new() };
        Some(portion.drafts.into_iter().map(|draft| text(draft.body)).collect())
    }

    #[track_caller]
    fn check(&mut self, expected: &str) {
        assert_eq!(self.read(), expected);
    }
}

/// The wall clock as the files' own stamps show it.
fn wall_ms() -> u128 {
    let file = tempfile::NamedTempFile::new().unwrap();
    let modified = fs::metadata(file.path()).unwrap().modified().unwrap();
    modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

/// Sets the last modification, as time between rotations would.
fn age(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let now = fs::metadata(path).unwrap().modified().unwrap();
    file.set_modified(now - std::time::Duration::from_secs(seconds)).unwrap();
}

#[test]
fn lines_come_once_and_a_part_of_a_line_waits_for_its_end() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\na2\npar");
    bench.check("a1 a2");
    bench.check("");
    bench.write("log", "t\nb1\n");
    bench.check("part b1");
    bench.restart();
    bench.check("");
    bench.write("log", "c1\n");
    bench.check("c1");
}

#[test]
fn a_line_without_a_stamp_leaves_the_stamps_behind_it_believed() {
    let mut bench = Bench::new(&["log"]);
    let line = |minute: u32| format!("2026-01-05T10:{minute:02}:00Z gate sshd[1]: failed\n");
    bench.write("log", "no stamp yet\n");
    bench.write("log", &[&line(0), "Traceback:\n", "  in main\n", &line(3), &line(1), &line(6)].concat());
    bench.write("log", "2999-01-01T00:00:00Z gate sshd[1]: from the future\n");
    bench.write("log", &line(9));
    bench.read();
    let minutes = |ats: &[String]| -> Vec<String> {
        let minute = |at: &String| Some(at.strip_prefix("2026-01-05T10:")?.split_once(':')?.0.to_owned());
        ats.iter().filter_map(minute).collect()
    };
    assert_eq!(minutes(&bench.ats), ["00", "00", "00", "03", "06", "09"]);
    assert_eq!(bench.ats.len(), 6 + 3, "no stamp yet, one that goes back, one from the future");
    bench.restart();
    bench.write("log", &line(5));
    bench.write("log", &line(12));
    bench.read();
    assert_eq!(minutes(&bench.ats).last().unwrap(), "12");
}

#[test]
fn a_file_is_first_read_from_its_end_and_one_that_appears_from_its_start() {
    let mut bench = Bench::new(&["*.log"]);
    bench.from_start = false;
    bench.write("old.log", "o1\no2\nhal");
    bench.check("");
    bench.write("old.log", "f\no3\n");
    bench.write("new.log", "n1\n");
    bench.write("new.log.1", "no log of its own\n");
    bench.check("half o3 n1");
}

#[test]
fn a_restart_before_the_first_line_misses_nothing() {
    let mut bench = Bench::new(&["log"]);
    bench.from_start = false;
    bench.write("log", "before\n");
    bench.check("");
    bench.restart();
    bench.write("log", "a\n");
    bench.check("a");
}

#[test]
fn renamed_and_made_anew() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.write("log", "a2\n");
    bench.rename("log", "log.1");
    bench.check("a2");
    bench.write("log.1", "a3 of a writer that has not noticed\n");
    bench.write("log", "b1\n");
    bench.check("a3 of a writer that has not noticed b1");
    bench.write("log.1", "a4 still\n");
    bench.write("log", "b2\n");
    bench.check("a4 still b2");
    assert!(bench.lost.is_empty());
}

#[test]
fn renamed_while_away_and_a_late_writer_after_the_restart() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.restart();
    bench.write("log", "a2\n");
    bench.rename("log", "log.1");
    bench.write("log", "b1\n");
    bench.check("a2 b1");
    bench.restart();
    bench.write("log.1", "a3\n");
    bench.check("a3");
    assert!(bench.lost.is_empty());
}

#[test]
fn a_rotated_file_that_was_packed_at_once_is_still_read_while_it_is_held() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.write("log", "a2\n");
    fs::remove_file(bench.path("log")).unwrap();
    bench.write("log.1.gz", "not text");
    bench.write("log", "b1\n");
    bench.check("a2 b1");
    assert!(bench.lost.is_empty());
}

#[test]
fn the_last_words_of_a_rotated_file_come_when_its_time_is_over() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\nno end");
    bench.check("a1");
    bench.rename("log", "log.1");
    bench.write("log", "b1\n");
    bench.check("b1");
    bench.now += ROTATED_MS;
    bench.check("no end");
    bench.write("log", "b2\n");
    bench.restart();
    bench.check("b2");
}

#[test]
fn two_rotations_while_away() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.restart();
    bench.write("log", "a2\n");
    bench.rename("log", "log.2");
    bench.write("log.1", "b1\nb2\n");
    bench.write("log", "c1\n");
    age(&bench.path("log.2"), 20);
    age(&bench.path("log.1"), 10);
    bench.check("a2 b1 b2 c1");
    bench.restart();
    bench.check("");
    assert!(bench.lost.is_empty());
}

#[test]
fn a_crash_at_any_portion_goes_on_where_it_was() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.restart();
    bench.write("log", "a2\n");
    bench.rename("log", "log.2");
    bench.write("log.1", "b1\n");
    bench.write("log", "c1\n");
    age(&bench.path("log.2"), 20);
    age(&bench.path("log.1"), 10);
    let mut lines = Vec::new();
    for _ in 0..12 {
        bench.restart();
        bench.tail().sweep(Tick(0));
        lines.extend(bench.portion().unwrap_or_default());
    }
    assert_eq!(lines.join(" "), "a2 b1 c1");
}

#[test]
fn copytruncate_reads_the_rest_from_the_copy() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.write("log", "a2\na3\n");
    bench.copytruncate("log", "log.1");
    bench.write("log", "b1\n");
    bench.check("a2 a3 b1");
    bench.write("log", "b2\n");
    bench.copytruncate("log", "log.1");
    bench.check("b2");
    bench.write("log", "c1\nc2 which is longer than all that was there before\n");
    bench.check("c1 c2 which is longer than all that was there before");
    assert!(bench.lost.is_empty());
}

#[test]
fn copytruncate_while_away_and_grown_beyond_the_place() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    bench.restart();
    bench.write("log", "a2\n");
    bench.copytruncate("log", "log.1");
    bench.write("log", "b1\nb2\nb3\nb4\n");
    bench.check("a2 b1 b2 b3 b4");
    assert!(bench.lost.is_empty());
}

#[test]
fn what_a_truncation_took_is_counted() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "line 1\nline 2\nline 3\n");
    bench.check("line 1 line 2 line 3");
    bench.truncate("log");
    bench.write("log", "b1\n");
    bench.check("b1");
    assert_eq!(bench.lost, [("gone_unseen", 1)], "nobody knows what was written between the last look and the cut");

    bench.write("log", "seen to be there but without its end");
    bench.check("");
    bench.truncate("log");
    bench.write("log", "c1\n");
    bench.check("c1");
    assert_eq!(bench.lost[1..], [("truncated_away", 12), ("gone_unseen", 1)], "36 bytes at 3 bytes a line");

    bench.restart();
    bench.truncate("log");
    bench.write("log", "d\n");
    bench.check("d");
    assert_eq!(bench.lost[3..], [("gone_unseen", 1)]);
}

#[test]
fn what_is_written_and_cut_between_two_looks_is_counted_though_the_file_was_held() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\n");
    bench.check("a1");
    for round in 1..=20 {
        bench.write("log", &"nobody sees this line\n".repeat(500));
        bench.truncate("log");
        bench.write("log", &format!("b{round}\n"));
        bench.check(&format!("b{round}"));
        assert_eq!(bench.lost.iter().map(|(_, times)| times).sum::<u64>(), round);
        assert!(bench.lost.iter().all(|(cause, _)| *cause == "gone_unseen"));
    }
}

#[test]
fn what_was_seen_to_be_there_and_cut_before_it_was_read_is_counted_in_lines() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", &"a line\n".repeat(2 * CHUNK_EVENTS_MAX));
    bench.tail().sweep(Tick(0));
    bench.portion().unwrap();
    assert_eq!(bench.portion().unwrap().len(), CHUNK_EVENTS_MAX);
    bench.truncate("log");
    bench.check("");
    bench.write("log", "b\n");
    bench.check("b");
    assert_eq!(bench.lost, [("truncated_away", CHUNK_EVENTS_MAX as u64), ("gone_unseen", 1)]);
}

#[test]
fn a_file_replaced_by_another_is_read_from_its_start() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a1\na2\n");
    bench.check("a1 a2");
    bench.write("fresh", "b1\nb2\nb3\n");
    bench.rename("fresh", "log");
    bench.check("b1 b2 b3");
    bench.write("restored", "b1\nb2\nb3\nb4\n");
    bench.restart();
    bench.rename("restored", "log");
    bench.check("b4");
}

#[test]
fn a_line_without_end_is_cut_and_its_rest_skipped_across_a_restart() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a\n");
    bench.write("log", &"x".repeat(LINE_BYTES_MAX + 10));
    let read = bench.read();
    assert_eq!(read.len(), 2 + LINE_BYTES_MAX);
    bench.restart();
    bench.write("log", "the rest\nb\n");
    bench.check("b");
    assert_eq!(bench.cut, 1);
}

#[test]
fn a_long_file_comes_in_portions_that_a_spool_can_take() {
    let mut bench = Bench::new(&["log"]);
    let lines: Vec<String> = (0..5_000).map(|number| format!("n{number}")).collect();
    bench.write("log", &(lines.join("\n") + "\n"));
    bench.check(&lines.join(" "));
    assert_eq!(bench.counters.count(What::TailLines), 5_000);
}

#[test]
fn a_file_that_grows_while_it_is_read() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", &"l\n".repeat(CHUNK_EVENTS_MAX + 1));
    bench.tail().sweep(Tick(0));
    assert_eq!(bench.portion().unwrap().len(), 0, "the first sight is made durable");
    assert_eq!(bench.portion().unwrap().len(), CHUNK_EVENTS_MAX);
    bench.write("log", "m\n");
    assert_eq!(bench.portion().unwrap(), ["l", "m"]);
    assert!(bench.portion().is_none());
}

#[test]
fn two_names_of_one_file_are_one() {
    let mut bench = Bench::new(&["*.log"]);
    bench.write("a.log", "a\n");
    bench.check("a");
    fs::hard_link(bench.path("a.log"), bench.path("b.log")).unwrap();
    bench.write("a.log", "b\n");
    bench.check("b");
}

#[test]
fn a_fifo_in_a_logs_place_blocks_nobody() {
    let mut bench = Bench::new(&["log"]);
    bench.write("log", "a\n");
    bench.check("a");
    fs::remove_file(bench.path("log")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(bench.path("log")).status().unwrap();
    assert!(made.success());
    bench.check("");
    assert_eq!(bench.counters.count(What::TailUnreadable), 1);
}

#[test]
fn notices_name_what_changed() {
    let mut bench = Bench::new(&["*.log"]);
    bench.write("a.log", "a1\n");
    bench.tail().watch().unwrap();
    bench.check("a1");
    bench.write("a.log", "a2\n");
    assert!(!bench.tail().wait(1_000));
    assert_eq!(bench.portion().unwrap(), ["a2"]);
    bench.write("b.log", "b1\n");
    assert!(bench.tail().wait(1_000), "a new file is looked for");
    bench.check("b1");
    bench.write("a.log", "a3\n");
    bench.rename("a.log", "a.log.1");
    bench.write("a.log", "a4\n");
    bench.tail().wait(1_000);
    bench.check("a3 a4");
}
