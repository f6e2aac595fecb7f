//! File integrity: files in a folder, changed as people, editors and intruders do.
//!
//! What is reported is shown as `change name` and, where it matters, more.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_collect::{
    counters::{Counters, What},
    fim::{
        Baseline, CHECK_MS, Guard, Roots, Watch,
        baseline::{Entry, Known, Row, change},
        context::{Context, is_package_manager, names, session_user, utmp_users},
        scan::{self, Step, Thing, Walk},
        settle::{QUIET_MS, Settle, WAIT_MS_MAX},
    },
    moment::Now,
    notice::{Kind, Notice},
    pattern::Pattern,
};
use nms_proto::{
    event::{Body, FileChange},
    limits::{FIM_HASH_BYTES_MAX, FIM_PENDING_MAX},
    time::{Stamp, Tick},
};

struct Bench {
    files: tempfile::TempDir,
    state: tempfile::TempDir,
    include: Vec<String>,
    exclude: Vec<String>,
    guard: Option<Guard>,
    counters: Arc<Counters>,
    now_ms: u64,
    rows: Vec<FileChange>,
}

impl Bench {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let include = vec![files.path().canonicalize().unwrap().display().to_string()];
        Self {
            files,
            state: tempfile::tempdir().unwrap(),
            include,
            exclude: Vec::new(),
            guard: None,
            counters: Arc::default(),
            now_ms: 0,
            rows: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn now(&self) -> Now {
        Now { tick: Tick(self.now_ms), stamp: Stamp::utc(1_767_600_000_000 + i64::try_from(self.now_ms).unwrap()) }
    }

    fn guard(&mut self) -> &mut Guard {
        if self.guard.is_none() {
            let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::any(text).unwrap()).collect::<Vec<_>>();
            let baseline = Baseline::open(&self.state.path().join("fim.redb")).unwrap();
            let before = |pattern: &Pattern| baseline.done(pattern.as_path()).unwrap();
            let roots = Roots::new(patterns(&self.include), patterns(&self.exclude), before);
            self.guard = Some(Guard::new(baseline, roots, Watch::open(), Arc::clone(&self.counters)).unwrap());
        }
        self.guard.as_mut().unwrap()
    }

    fn restart(&mut self) {
        self.guard = None;
    }

    /// Works until nothing is left to do at this time; what was reported, in order of the paths.
    fn work(&mut self) -> String {
        self.guard();
        let now = self.now();
        let root = self.path("").display().to_string();
        let mut said = Vec::new();
        loop {
            let guard = self.guard.as_mut().unwrap();
            let outcome = guard.step(now).unwrap();
            let idle = outcome.drafts.is_empty() && outcome.rows.is_empty() && !guard.is_busy();
            for draft in outcome.drafts {
                match draft.body {
                    Body::File(row) => {
                        said.push(format!("{} {}", row.change, row.path.strip_prefix(&root).unwrap_or(&row.path)));
                        self.rows.push(*row);
                    }
                    Body::Report(end) => {
                        said.push(format!("~end {} {} {}", end.files, end.changed, end.unreadable));
                    }
                    other => panic!("{other:?}"),
                }
            }
            smol::block_on(guard.baseline().keep(outcome.rows)).unwrap();
            if idle {
                said.sort_by_key(|text| text.split_once(' ').map(|(_, name)| name.to_owned()));
                return said.join(", ");
            }
        }
    }

    /// What the next full check reports.
    fn check(&mut self) -> String {
        self.now_ms += CHECK_MS;
        self.work()
    }

    /// Takes in the notices that the kernel has, lets them settle; what is reported.
    fn noticed(&mut self) -> String {
        let now = self.now();
        self.guard().wait(1_000, || now);
        // Everything is in the queue before the call that made it returns: one more look is enough.
        self.guard().wait(0, || now);
        self.now_ms += QUIET_MS;
        self.work()
    }
}

#[test]
fn the_first_look_is_silent_and_a_check_finds_what_differs() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.write("deep/b", "two");
    assert_eq!(bench.work(), "");
    bench.restart();
    bench.write("a", "changed while away");
    bench.write("deep/new", "x");
    fs::remove_file(bench.path("deep/b")).unwrap();
    assert_eq!(bench.work(), "modified a, deleted deep/b, created deep/new");
    assert_eq!(bench.check(), "");
    let modified = bench.rows.iter().find(|row| row.path.ends_with("/a")).unwrap();
    let hash = |text: &str| Some(nms_kit::digest::hex(&nms_kit::digest::sha256(text.as_bytes())).into());
    assert_eq!((modified.old_sha256.clone(), modified.new_sha256.clone()), (hash("one"), hash("changed while away")));
    assert_eq!((modified.size, modified.mode.as_deref()), (Some(18), Some("0644")));
    assert_eq!(bench.counters.count(What::FimChanges), 3);
}

#[test]
fn owner_and_mode_are_attributes_and_new_times_are_nothing() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.write("b", "two");
    bench.work();
    fs::set_permissions(bench.path("a"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(bench.path("b"), "two").unwrap();
    assert_eq!(bench.check(), "attributes a");
    assert_eq!(bench.rows[0].mode.as_deref(), Some("4755"));
}

#[test]
fn a_content_whose_times_were_set_back_is_found_by_its_ctime() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.work();
    let modified = fs::metadata(bench.path("a")).unwrap().modified().unwrap();
    bench.write("a", "two");
    fs::File::options().write(true).open(bench.path("a")).unwrap().set_modified(modified).unwrap();
    assert_eq!(bench.check(), "modified a");
}

#[test]
fn notices_come_at_once_with_who_was_there() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.write("gone", "x");
    bench.work();
    bench.write("a", "two");
    fs::remove_file(bench.path("gone")).unwrap();
    assert_eq!(bench.noticed(), "modified a, deleted gone");
    assert!(!bench.rows[0].package_manager);
    assert_eq!(bench.noticed(), "");
}

#[test]
fn a_file_moved_over_another_is_one_modification() {
    let mut bench = Bench::new();
    bench.write("passwd", "root");
    bench.work();
    bench.write("passwd.new", "root and more");
    fs::rename(bench.path("passwd.new"), bench.path("passwd")).unwrap();
    assert_eq!(bench.noticed(), "modified passwd");
    // As vim writes: the old one moves away, a new one is made, the old one goes.
    fs::rename(bench.path("passwd"), bench.path("passwd~")).unwrap();
    bench.write("passwd", "root again");
    fs::remove_file(bench.path("passwd~")).unwrap();
    assert_eq!(bench.noticed(), "modified passwd");
}

#[test]
fn folders_that_come_and_go_take_their_files_along() {
    let mut bench = Bench::new();
    bench.write("dir/a", "one");
    bench.work();
    bench.write("fresh/deep/b", "two");
    assert_eq!(bench.noticed(), "created fresh/deep/b");
    bench.write("fresh/deep/b", "three");
    assert_eq!(bench.noticed(), "modified fresh/deep/b", "the new folder is watched");
    fs::rename(bench.path("dir"), bench.path("moved")).unwrap();
    assert_eq!(bench.noticed(), "deleted dir/a, created moved/a");
    fs::remove_dir_all(bench.path("moved")).unwrap();
    assert_eq!(bench.noticed(), "deleted moved/a");
    assert_eq!(bench.check(), "");
}

#[test]
fn an_include_that_appears_later_is_created_and_one_that_goes_is_deleted() {
    let mut bench = Bench::new();
    fs::create_dir_all(bench.path("home/ann")).unwrap();
    bench.include = vec![bench.path("home/*/.ssh").display().to_string()];
    bench.write("home/ann/notes", "not watched");
    bench.work();
    bench.write("home/ann/.ssh/authorized_keys", "key");
    assert_eq!(bench.noticed(), "created home/ann/.ssh/authorized_keys");
    bench.restart();
    bench.work();
    fs::remove_dir_all(bench.path("home/ann")).unwrap();
    assert_eq!(bench.check(), "deleted home/ann/.ssh/authorized_keys");
    bench.write("home/bob/.ssh/authorized_keys", "key");
    assert_eq!(bench.check(), "created home/bob/.ssh/authorized_keys");
}

#[test]
fn a_new_include_is_taken_silently_and_a_dropped_one_forgotten() {
    let mut bench = Bench::new();
    bench.write("one/a", "1");
    bench.write("two/b", "2");
    bench.include = vec![bench.path("one").display().to_string()];
    bench.work();
    bench.restart();
    bench.include.push(bench.path("two").display().to_string());
    assert_eq!(bench.work(), "");
    bench.restart();
    bench.include.remove(0);
    assert_eq!(bench.work(), "");
    let known = |bench: &mut Bench, name: &str| {
        let path = bench.path(name);
        bench.guard().baseline().file(&path).unwrap() != Known::No
    };
    assert_eq!((known(&mut bench, "one/a"), known(&mut bench, "two/b")), (false, true));
}

#[test]
fn what_is_excluded_and_what_is_no_file_is_left_alone() {
    let mut bench = Bench::new();
    bench.exclude = vec![bench.path("cache").display().to_string(), ".*.swp".into()];
    bench.work();
    bench.write("cache/a", "x");
    bench.write(".passwd.swp", "x");
    symlink("/etc/passwd", bench.path("link")).unwrap();
    symlink("/etc", bench.path("folder-link")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    assert_eq!(bench.noticed(), "");
    assert_eq!(bench.check(), "");
}

#[test]
fn an_included_link_stands_for_what_it_points_to() {
    let mut bench = Bench::new();
    bench.write("usr/bin/tool", "x");
    symlink("usr/bin", bench.path("bin")).unwrap();
    bench.include = vec![bench.path("bin").display().to_string(), bench.path("usr/bin").display().to_string()];
    bench.work();
    bench.write("usr/bin/tool", "y");
    assert_eq!(bench.check(), "modified usr/bin/tool");
}

#[test]
fn a_report_has_a_row_for_each_file_and_leaves_the_baseline() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.write("b", "two");
    bench.write("c", "three");
    bench.work();
    bench.write("a", "other");
    fs::remove_file(bench.path("b")).unwrap();
    bench.write("d", "new");
    assert!(bench.guard().report("cmd-1"));
    assert!(!bench.guard().report("cmd-2"), "one at a time");
    assert_eq!(bench.work(), "~end 3 3 0, report a, deleted b, unchanged c, report d");
    assert!(bench.rows.iter().all(|row| row.command_id.as_deref() == Some("cmd-1")));
    assert_eq!(bench.check(), "modified a, deleted b, created d");
}

#[test]
fn a_crash_between_event_and_baseline_repeats_the_event() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.work();
    bench.write("a", "two");
    bench.now_ms += CHECK_MS;
    let now = bench.now();
    let mut drafts = 0;
    while drafts == 0 {
        drafts = bench.guard().step(now).unwrap().drafts.len();
    }
    bench.restart();
    bench.now_ms = 0;
    assert_eq!(bench.work(), "modified a");
}

#[test]
fn lost_notices_ask_for_a_check() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.work();
    bench.write("a", "two");
    let now = bench.now();
    bench.guard().notice(Notice::Overflow, now);
    assert_eq!(bench.work(), "modified a");
    assert_eq!(bench.counters.count(What::FimOverflows), 1);
}

#[test]
fn content_that_rots_without_a_trace_is_found_within_a_day() {
    let mut bench = Bench::new();
    bench.write("a", "one");
    bench.work();
    // The disk gives other bytes, and nothing else changed: as if the baseline held another hash.
    let path = bench.path("a");
    let Known::Yes(mut entry) = bench.guard().baseline().file(&path).unwrap() else { panic!("known") };
    entry.sha256 = Some([7; 32]);
    let row = Row::file(&path, Some(&entry)).unwrap();
    smol::block_on(bench.guard().baseline().keep(vec![row])).unwrap();
    assert_eq!(bench.check(), "");
    bench.now_ms += 86_400_000;
    assert_eq!(bench.work(), "modified a");
}

#[test]
fn changes_settle_within_bounds() {
    let context = || Arc::new(Context::default());
    let mut settle = Settle::default();
    let mut note = |at| settle.note(Tick(at), "/a".into(), Stamp::utc(0), context);
    assert!(note(0) && note(150));
    assert_eq!(settle.deadline(), Some(Tick(150 + QUIET_MS)));
    assert!(settle.due(Tick(349), 10).is_empty());
    assert_eq!(settle.due(Tick(350), 10).len(), 1);
    assert_eq!(settle.deadline(), None);
    for at in (0..=WAIT_MS_MAX).step_by(100) {
        assert!(settle.note(Tick(at), "/busy".into(), Stamp::utc(0), context));
    }
    assert_eq!(settle.deadline(), Some(Tick(WAIT_MS_MAX)), "a file that is never quiet is not waited for");
    for number in 1..FIM_PENDING_MAX {
        assert!(settle.note(Tick(0), format!("/{number}").into(), Stamp::utc(0), context));
    }
    assert!(!settle.note(Tick(0), "/one more".into(), Stamp::utc(0), context));
}

#[test]
fn differences_by_what_they_are() {
    let entry =
        |hash: u8, mode: u32, mtime_ns: i64| Entry { sha256: Some([hash; 32]), mode, mtime_ns, ..Entry::default() };
    let show =
        |old: Option<&Entry>, new: Option<&Entry>| change(old, new).map_or("-".into(), |change| change.to_string());
    let old = entry(1, 0o644, 5);
    assert_eq!(show(None, None), "-");
    assert_eq!(show(None, Some(&old)), "created");
    assert_eq!(show(Some(&old), None), "deleted");
    assert_eq!(show(Some(&old), Some(&entry(1, 0o644, 9))), "-");
    assert_eq!(show(Some(&old), Some(&entry(2, 0o755, 9))), "modified");
    assert_eq!(show(Some(&old), Some(&entry(1, 0o755, 9))), "attributes");
    let unhashed = Entry { sha256: None, ..entry(1, 0o644, 9) };
    assert_eq!(show(Some(&old), Some(&unhashed)), "modified");
}

#[test]
fn a_damaged_or_foreign_baseline_row_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = Baseline::open(&folder.path().join("fim.redb")).unwrap();
    let paths = ["/a", "/a/b", "/a.b", "/b"].map(PathBuf::from);
    let rows = paths.iter().map(|path| Row::file(path, Some(&Entry::default())).unwrap()).collect();
    smol::block_on(baseline.keep(rows)).unwrap();
    smol::block_on(baseline.keep(vec![Row::done(Path::new("/a*"), &paths)])).unwrap();
    assert_eq!(baseline.page(Path::new(""), None, 10).unwrap(), ["/a", "/a.b", "/a/b", "/b"].map(PathBuf::from));
    assert_eq!(baseline.page(Path::new("/a"), None, 1).unwrap(), [PathBuf::from("/a.b")]);
    assert_eq!(baseline.page(Path::new("/a"), Some(Path::new("/a")), 10).unwrap(), [PathBuf::from("/a/b")]);
    assert_eq!(baseline.done(Path::new("/a*")).unwrap().unwrap(), paths);
    assert_eq!(baseline.done(Path::new("/c")).unwrap(), None);
    assert_eq!(baseline.file(Path::new("/a/b")).unwrap(), Known::Yes(Box::default()));
    assert!(Row::file(Path::new(&"x".repeat(5_000)), None).is_none());
}

#[test]
fn the_kernels_own_files_are_never_walked() {
    assert!(scan::is_pseudo(Path::new("/proc")));
    let mut walk = Walk::over(std::iter::once(PathBuf::from("/proc")));
    assert_eq!(walk.next(|_| false), Some(Step::Unreadable("/proc".into())));
    assert_eq!(walk.next(|_| false), None);
}

#[test]
fn links_are_not_followed_and_long_files_are_not_hashed() {
    let bench = Bench::new();
    bench.write("dir/a", "x");
    symlink(bench.path("dir"), bench.path("link")).unwrap();
    assert!(scan::hash(&bench.path("dir/a")).unwrap().is_some());
    assert!(scan::hash(&bench.path("link/a")).is_err());
    assert_eq!(scan::look(&bench.path("link")).unwrap(), Thing::Other);
    let sparse = fs::File::create(bench.path("sparse")).unwrap();
    sparse.set_len(FIM_HASH_BYTES_MAX + 1).unwrap();
    assert_eq!(scan::hash(&bench.path("sparse")).unwrap(), None);
}

/// FIFOs, sparse files, symlink races and /proc under file integrity.
#[test]
fn fifos_sparse_files_symlink_races_and_proc_lead_nobody_astray() {
    let mut bench = Bench::new();
    bench.write("plain", "one");
    bench.work();
    // A file that becomes something else between the look at it and its opening.
    bench.write("secret/target", "not to be read by another name");
    let target = bench.path("secret/target");
    for become_other in [
        |path: &Path, _: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
        |path: &Path, target: &Path| symlink(target, path).unwrap(),
        |path: &Path, _: &Path| symlink("/dev/zero", path).unwrap(),
        |path: &Path, _: &Path| symlink("/proc/self/mem", path).unwrap(),
        |path: &Path, _: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        |path: &Path, _: &Path| fs::create_dir(path).unwrap(),
    ] {
        let path = bench.path("raced");
        fs::write(&path, "a file when it was looked at").unwrap();
        assert!(matches!(scan::look(&path).unwrap(), Thing::File(_)));
        fs::remove_file(&path).unwrap();
        become_other(&path, &target);
        assert!(scan::hash(&path).is_err(), "nothing is opened, and nobody waits: {:?}", scan::look(&path));
        if fs::remove_file(&path).is_err() {
            fs::remove_dir(&path).unwrap();
        }
    }
    // A folder of the way that becomes a link.
    fs::create_dir(bench.path("way")).unwrap();
    bench.write("way/target", "x");
    fs::rename(bench.path("way"), bench.path("away")).unwrap();
    symlink(bench.path("secret"), bench.path("way")).unwrap();
    assert!(scan::hash(&bench.path("way/target")).is_err());
    // A terabyte of nothing takes no time, and the kernel's own files are not looked into by any way.
    let sparse = fs::File::create(bench.path("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert_eq!(scan::hash(&bench.path("sparse")).unwrap(), None);
    for pseudo in ["/proc", "/proc/self", "/sys"] {
        let mut walk = Walk::over(std::iter::once(PathBuf::from(pseudo)));
        assert!(matches!(walk.next(|_| false), Some(Step::Unreadable(_))), "{pseudo}");
    }
    symlink("/proc", bench.path("proc")).unwrap();
    let said = bench.check();
    assert!(said.contains("created sparse") && !said.contains("proc"), "{said}");
}

#[test]
fn sessions_owners_and_package_managers_are_read_as_they_are_written() {
    let session = "UID=1000\nUSER=ann\nACTIVE=1\nSTATE=active\nCLASS=user\n";
    assert_eq!(session_user(session), Some("ann"));
    assert_eq!(session_user(&session.replace("active\n", "closing\n")), None);
    assert_eq!(session_user(&session.replace("CLASS=user", "CLASS=greeter")), None);

    let size = if cfg!(target_arch = "aarch64") { 400 } else { 384 };
    let record = |kind: i16, user: &str| {
        let mut record = vec![0; size];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    };
    let utmp = [record(7, "bob"), record(8, "gone"), record(7, "ann"), vec![1; 100]].concat();
    assert_eq!(utmp_users(&utmp).into_iter().collect::<Vec<_>>(), ["ann".into(), "bob".into()] as [Box<str>; 2]);

    let passwd = names("root:x:0:0::/root:/bin/sh\nbroken\nann:x:1000:1000\n");
    assert_eq!((passwd[&0].as_ref(), passwd[&1000].as_ref(), passwd.len()), ("root", "ann", 2));
    assert!(is_package_manager("dpkg\n") && !is_package_manager("dpkg-deb-not"));
}

#[test]
fn a_notice_for_a_folder_that_is_not_watched_is_nothing() {
    let mut bench = Bench::new();
    bench.work();
    let now = bench.now();
    let kind = Kind { is_folder: false, came: true, went: false };
    let notice = Notice::Changed { folder: Path::new("/elsewhere").into(), name: Some("x".into()), kind };
    bench.guard().notice(notice, now);
    bench.now_ms += QUIET_MS;
    assert_eq!(bench.work(), "");
}
