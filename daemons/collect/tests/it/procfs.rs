//! What the kernel writes about processes and sockets, read from texts; and a folder that looks like /proc.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nms_collect::procfs::parse::{self, CMDLINE_BYTES_MAX, cmdline, sockets, stat, user};

/// The line of a process as Linux 6.12 writes it.
pub(crate) fn stat_line(pid: u32, name: &str, parent: u32, started: u64) -> String {
    format!(
        "{pid} ({name}) S {parent} {pid} {pid} 34816 {pid} 4194304 1204 0 3 0 5 2 0 0 20 0 1 0 {started} 8634368 1343 \
         18446744073709551615 94 95 140 0 0 0 65536 4 65538 1 0 0 17 3 0 0 0 0 0 95 95 96 140 140 140 140 0\n"
    )
}

/// A folder that looks like /proc, with users beside it.
pub(crate) struct Proc {
    folder: tempfile::TempDir,
}

impl Proc {
    pub(crate) fn new() -> Self {
        let proc = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(proc.root().join("net")).unwrap();
        fs::create_dir_all(proc.root().join("sys")).unwrap();
        fs::write(proc.root().join("uptime"), "1.0 1.0\n").unwrap();
        fs::write(proc.passwd(), "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n").unwrap();
        proc
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("proc")
    }

    pub(crate) fn passwd(&self) -> PathBuf {
        self.folder.path().join("passwd")
    }

    /// A process of `uid`; without an executable where `exe` is empty.
    pub(crate) fn runs(&self, pid: u32, parent: u32, started: u64, exe: &str, cmdline: &[u8], uid: u32) {
        self.ends(pid);
        let folder = self.root().join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        let name = exe.rsplit('/').next().unwrap();
        fs::write(folder.join("stat"), stat_line(pid, name, parent, started)).unwrap();
        let status = format!("Name:\t{name}\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t1000\t{uid}\t{uid}\t{uid}\n");
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("cmdline"), cmdline).unwrap();
        if !exe.is_empty() {
            symlink(exe, folder.join("exe")).unwrap();
        }
    }

    pub(crate) fn ends(&self, pid: u32) {
        fs::remove_dir_all(self.root().join(pid.to_string())).ok();
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        fs::write(self.root().join(path), text).unwrap();
    }

    /// Opens a file of a process.
    pub(crate) fn opens(&self, pid: u32, number: u32, what: &str) {
        symlink(what, self.root().join(format!("{pid}/fd/{number}"))).unwrap();
    }
}

#[test]
fn a_stat_is_read_behind_the_last_bracket() {
    let read = |text: &str| match stat(text) {
        Some(stat) => {
            format!("{:?} parent={} started={} kernel={}", stat.name, stat.parent, stat.started, stat.is_kernel)
        }
        None => "nothing".into(),
    };
    assert_eq!(read(&stat_line(812, "bash", 790, 4711)), "\"bash\" parent=790 started=4711 kernel=false");
    assert_eq!(
        read(&stat_line(812, "a) R 1 1 1 0 (b", 790, 1)),
        "\"a) R 1 1 1 0 (b\" parent=790 started=1 kernel=false"
    );
    assert_eq!(read(&stat_line(812, ") R 1", 790, 1)), "\") R 1\" parent=790 started=1 kernel=false");
    assert_eq!(
        read(&stat_line(812, "two words\nline", 790, 1)),
        "\"two words\\nline\" parent=790 started=1 kernel=false"
    );
    assert_eq!(read(&stat_line(812, "", 0, 1)), "\"\" parent=0 started=1 kernel=false");
    let kernel = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 15 0 0 18446744073709551615 0 0";
    assert_eq!(read(kernel), "\"kthreadd\" parent=0 started=15 kernel=true");
    let ended = stat_line(812, "bash", 790, 1).replacen(" S ", " Z ", 1);
    assert!(stat(&ended).unwrap().has_ended && !stat(kernel).unwrap().has_ended);

    let whole = "812 (bash) S 790 812 812 34816 812 4194304 1204 0 3 0 5 2 0 0 20 0 1 0 ";
    for end in 0..whole.len() {
        assert_eq!(read(whole.get(..end).unwrap()), "nothing", "{end}");
    }
    for wrong in
        ["", "()", ")(", "1 (a", "1 a) S 1", "1 (a) S x 1 1 1 1 1", "1 (a) S -1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]
    {
        assert_eq!(read(wrong), "nothing", "{wrong}");
    }
}

#[test]
fn a_user_is_the_one_it_acts_as() {
    assert_eq!(user("Name:\tsudo\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\n"), Some(0));
    assert_eq!(user("Name:\tUid:\t0\t0\\nUid:\t0\t0\nUid:\t33\t33\t33\t33\n"), Some(33));
    for wrong in ["", "Uid:", "Uid:\t1000", "Uid:\t1000\t-1", "Name:\tx", "Uid:\t0\t4294967296"] {
        assert_eq!(user(wrong), None, "{wrong}");
    }
}

#[test]
fn a_command_line_is_joined_cut_and_made_text() {
    let read = |bytes: &[u8]| {
        let (text, is_cut) = cmdline(bytes);
        (text.len(), text.chars().take(40).collect::<String>(), is_cut)
    };
    assert_eq!(read(b"sh\0-c\0nc 203.0.113.9 4444\0"), (25, "sh -c nc 203.0.113.9 4444".into(), false));
    assert_eq!(read(b"a\0\0b\0\0\0"), (4, "a  b".into(), false));
    assert_eq!(read(b""), (0, String::new(), false));
    assert_eq!(read(b"\0\0"), (0, String::new(), false));
    assert_eq!(read(b"caf\xe9\0x\ny"), (10, "caf\u{fffd} x\ny".into(), false));
    let exactly = [vec![b'a'; CMDLINE_BYTES_MAX], vec![0]].concat();
    assert_eq!(read(&exactly), (CMDLINE_BYTES_MAX, "a".repeat(40), false));
    assert_eq!(read(&vec![b'a'; CMDLINE_BYTES_MAX + 1]), (CMDLINE_BYTES_MAX, "a".repeat(40), true));
    assert_eq!(read(&vec![0; CMDLINE_BYTES_MAX + 2]), (0, String::new(), true), "something may stand behind it");
    // The bound lies within a character.
    let (text, is_cut) = cmdline(format!("a{}", "é".repeat(CMDLINE_BYTES_MAX)).as_bytes());
    assert!(is_cut && text.len() == CMDLINE_BYTES_MAX - 1 && text.ends_with('é'));
    let (text, is_cut) = cmdline(&vec![0xff; CMDLINE_BYTES_MAX]);
    assert!(is_cut && text.len() <= CMDLINE_BYTES_MAX && text.len() > CMDLINE_BYTES_MAX - 3);
}

/// Lines as Linux 6.12 writes them on a little-endian host.
const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20031 1 0000000000000000 100 0 0 10 0                     \n   1: 0201A8C0:C350 097100CB:01BB 01 00000000:00000000 02:000A7214 00000000    33        0 48211 2 0000000000000000 22 4 30 10 -1                    \n   2: 0201A8C0:C352 097100CB:01BB 06 00000000:00000000 03:00001700 00000000     0        0 0 3 0000000000000000\n";
const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20040 1 0000000000000000 100 0 0 10 0\n   1: 0000000000000000FFFF00000201A8C0:01BB 0000000000000000FFFF0000076433C6:D431 01 00000000:00000000 00:00000000 00000000    33        0 50001 1 0000000000000000 20 4 0 10 -1\n   2: B80D0120000000000000000001000000:01BB B80D0120000000000000000002000000:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 50002 1 0000000000000000 20 4 0 10 -1\n";

#[test]
fn sockets_are_read_from_both_tables() {
    if cfg!(target_endian = "big") {
        return;
    }
    let read = |text: &str| -> Vec<String> {
        let row = |socket: parse::Socket| {
            let parse::Socket { local, remote, state, user, inode } = socket;
            format!("{local} {remote} {state:?} {user} {inode}")
        };
        sockets(text).map(row).collect()
    };
    assert_eq!(
        read(TCP),
        [
            "0.0.0.0:22 0.0.0.0:0 Listening 0 20031",
            "192.168.1.2:50000 203.0.113.9:443 Established 33 48211",
            "192.168.1.2:50002 203.0.113.9:443 Other 0 0",
        ]
    );
    assert_eq!(
        read(TCP6),
        [
            "[::]:443 [::]:0 Listening 0 20040",
            "192.168.1.2:443 198.51.100.7:54321 Established 33 50001",
            "[2001:db8::1]:443 [2001:db8::2]:8080 Established 1000 50002",
        ]
    );
    let line = TCP.lines().nth(2).unwrap();
    for end in 0..line.find(" 48211").unwrap() {
        assert_eq!(read(line.get(..end).unwrap()), Vec::<String>::new(), "{end}");
    }
    for (right, wrong) in [
        ("0201A8C0:", "0201A8C:"),
        ("0201A8C0:", "+201A8C0:"),
        ("0201A8C0:", "0201A8C000:"),
        ("0201A8C0:", "é201A8C:"),
        (":C350", ":C35"),
        (":C350", ":+C35"),
        (":C350", ""),
        ("1:", "1"),
        (" 33 ", " x "),
        (" 48211 ", " -1 "),
    ] {
        assert_eq!(read(&line.replacen(right, wrong, 1)), Vec::<String>::new(), "{wrong}");
    }
    assert_eq!(parse::socket_link("socket:[48211]"), Some(48211));
    for wrong in ["pipe:[1]", "socket:[1", "socket:[]", "socket:[x]", "/dev/null", "socket:[1] (deleted)"] {
        assert_eq!(parse::socket_link(wrong), None, "{wrong}");
    }
}
