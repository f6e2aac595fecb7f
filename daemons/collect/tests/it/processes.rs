//! Processes that start, in a folder that looks like /proc; a look is a call.

use std::{fs, sync::Arc};

use nms_collect::{
    counters::{Counters, What},
    portion::Portion,
    processes::{Processes, STARTS_MAX, STARTS_OVER},
};
use nms_proto::{event::Body, time::Stamp};

use crate::procfs::Proc;

struct Stage {
    proc: Proc,
    processes: Processes,
    counters: Arc<Counters>,
    looks: i64,
}

impl Stage {
    /// A host on which init and a web server run, looked at once.
    fn new() -> Self {
        let proc = Proc::new();
        proc.runs(1, 0, 3, "/usr/lib/systemd/systemd", b"/sbin/init\0", 0);
        proc.runs(700, 1, 900, "/usr/sbin/nginx", b"nginx: worker process\0\0\0", 33);
        let counters = Arc::<Counters>::default();
        let processes = Processes::new(&proc.passwd(), Arc::clone(&counters));
        let mut stage = Self { proc, processes, counters, looks: 0 };
        assert_eq!(stage.look(), Vec::<String>::new(), "what runs already is the baseline");
        stage
    }

    fn portion(&mut self) -> Portion {
        self.looks += 1;
        self.processes.look(&self.proc.root(), Stamp::utc(self.looks * 1_000))
    }

    fn look(&mut self) -> Vec<String> {
        let portion = self.portion();
        let mut said = Vec::new();
        for draft in portion.drafts {
            assert_eq!(draft.at, Some(Stamp::utc(self.looks * 1_000)));
            let Body::Process(start) = draft.body else { panic!("a process") };
            said.push(format!(
                "{} {} by {} from {}: {}",
                start.pid, start.exe, start.user, start.parent, start.cmdline
            ));
        }
        said.extend(portion.lost.iter().map(|(cause, count)| format!("lost {cause} {count}")));
        said.extend((portion.cut > 0).then(|| format!("cut {}", portion.cut)));
        said
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_starts_is_told_once() {
    let mut stage = Stage::new();
    assert_eq!(stage.look(), NOTHING);
    stage.proc.runs(812, 700, 5_000, "/usr/bin/dash", b"sh\0-c\0id; uname -a\0", 33);
    assert_eq!(stage.look(), ["812 /usr/bin/dash by www-data from /usr/sbin/nginx: sh -c id; uname -a"]);
    assert_eq!(stage.look(), NOTHING);
    stage.proc.ends(812);
    assert_eq!(stage.look(), NOTHING);
    // The number comes again, at once, for somebody whom passwd does not know.
    stage.proc.runs(700, 1, 6_000, "/usr/bin/id (deleted)", b"id\0", 4_242);
    assert_eq!(stage.look(), ["700 /usr/bin/id (deleted) by 4242 from /usr/lib/systemd/systemd: id"]);
    assert_eq!(stage.counters.count(What::ProcessesStarted), 2);
}

#[test]
fn who_was_seen_between_fork_and_exec_is_told_again() {
    let mut stage = Stage::new();
    stage.proc.runs(812, 700, 5_000, "/usr/sbin/nginx", b"nginx: worker process\0", 33);
    assert_eq!(stage.look().len(), 1);
    stage.proc.runs(812, 700, 5_000, "/usr/bin/bash", b"bash\0-i\0", 33);
    assert_eq!(stage.look(), ["812 /usr/bin/bash by www-data from /usr/sbin/nginx: bash -i"]);
    assert_eq!(stage.look(), NOTHING);
    stage.proc.runs(812, 700, 5_000, "/usr/bin/nc", b"nc\0", 33);
    assert_eq!(stage.look(), NOTHING, "later it is not looked at again");
}

#[test]
fn threads_of_the_kernel_and_what_ended_are_passed_over() {
    let mut stage = Stage::new();
    stage.proc.runs(50, 2, 5_000, "", b"", 0);
    // Ended between the list and the read: nothing of it is there, or only a part.
    for (pid, gone) in [(51, "stat"), (52, "status")] {
        stage.proc.runs(pid, 1, 5_000, "/bin/true", b"true\0", 0);
        fs::remove_file(stage.proc.root().join(format!("{pid}/{gone}"))).unwrap();
    }
    stage.proc.runs(53, 1, 5_000, "/bin/true", b"true\0", 0);
    stage.proc.write("53/stat", "53 (true) Z 1");
    assert_eq!(stage.look(), NOTHING);
    // Who only calls himself so has an executable; who hides that has a command line.
    stage.proc.runs(54, 2, 5_000, "/tmp/.x", b"[kworker/0:1]\0", 0);
    stage.proc.runs(55, 999, 5_000, "", b"[kworker/0:2]\0", 0);
    stage.proc.write("55/stat", &crate::procfs::stat_line(55, "k) S 1 (x", 999, 5_000));
    assert_eq!(stage.look(), ["54 /tmp/.x by root from : [kworker/0:1]", "55 k) S 1 (x by root from : [kworker/0:2]"]);
}

#[test]
fn a_flood_of_starts_is_bounded_and_counted() {
    let mut stage = Stage::new();
    for pid in 1_000..1_005 + STARTS_MAX as u32 {
        stage.proc.runs(pid, 1, 5_000, "/bin/true", b"true\0", 0);
    }
    let portion = stage.portion();
    assert_eq!((portion.drafts.len(), portion.lost), (STARTS_MAX, vec![(STARTS_OVER, 5)]));
    assert_eq!(stage.look(), NOTHING);
    stage.proc.runs(9_000, 1, 6_000, "/bin/echo", &vec![b'a'; 100_000], 0);
    let said = stage.look();
    assert_eq!((said.len(), said[1].as_str()), (2, "cut 1"));
    assert!(said[0].len() < 10_000);
}

#[test]
fn a_list_that_cannot_be_read_is_counted_and_no_baseline() {
    let proc = Proc::new();
    let counters = Arc::<Counters>::default();
    let mut processes = Processes::new(&proc.passwd(), Arc::clone(&counters));
    let portion = processes.look(&proc.root().join("nowhere"), Stamp::utc(0));
    assert!(portion.drafts.is_empty() && portion.lost.is_empty());
    assert_eq!(counters.count(What::ProcessesUnreadable), 1);
    proc.runs(1, 0, 3, "/sbin/init", b"init\0", 0);
    assert!(processes.look(&proc.root(), Stamp::utc(1)).drafts.is_empty(), "the first look that sees is the baseline");
    processes.look(&proc.root().join("nowhere"), Stamp::utc(2));
    assert!(processes.look(&proc.root(), Stamp::utc(3)).drafts.is_empty(), "what was known stays known");
}
