//! Connections of a host, in a folder that looks like /proc; a look is a call.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use nms_collect::{
    connections::{CONNECTIONS_MAX, CONNECTIONS_OVER, Connections},
    counters::{Counters, What},
    portion::Portion,
};
use nms_proto::{event::Body, time::Stamp};

use crate::procfs::Proc;

const NOTHING: [&str; 0] = [];

/// A line of a table, as this host's kernel would print it.
fn line((local, remote): (&str, &str), state: &str, uid: u32, inode: u64) -> String {
    let end = |text: &str| {
        let end: SocketAddr = text.parse().unwrap();
        let bytes = match end.ip() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap())));
        format!("{}:{:04X}", words.collect::<String>(), end.port())
    };
    let (local, remote) = (end(local), end(remote));
    format!("   1: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1 0000 20 4\n")
}

fn open(ends: (&str, &str), uid: u32, inode: u64) -> String {
    line(ends, "01", uid, inode)
}

fn listen(local: &str) -> String {
    let remote = if local.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    line((local, remote), "0A", 0, 20_031)
}

struct Stage {
    proc: Proc,
    connections: Connections,
    counters: Arc<Counters>,
}

impl Stage {
    /// A host with a few processes and these sockets, looked at once.
    fn new(tcp: &[String]) -> Self {
        let proc = Proc::new();
        proc.runs(700, 1, 900, "/usr/sbin/nginx", b"nginx\0", 33);
        proc.runs(812, 700, 950, "/usr/bin/dash", b"sh\0", 33);
        let counters = Arc::<Counters>::default();
        let connections = Connections::new(&proc.passwd(), Arc::clone(&counters));
        let mut stage = Self { proc, connections, counters };
        assert_eq!(stage.look(tcp), NOTHING, "what is connected already is the baseline");
        stage
    }

    fn portion(&mut self, tcp: &[String]) -> Portion {
        let heading = String::from("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n");
        self.proc.write("net/tcp", &(heading + &tcp.concat()));
        self.connections.look(&self.proc.root(), Stamp::utc(5_000))
    }

    fn look(&mut self, tcp: &[String]) -> Vec<String> {
        let portion = self.portion(tcp);
        let mut said = Vec::new();
        for draft in portion.drafts {
            assert_eq!(draft.at, Some(Stamp::utc(5_000)));
            let Body::Connection(made) = draft.body else { panic!("a connection") };
            assert_eq!(&*made.proto, "tcp");
            let (exe, user, way) = (&made.exe, &made.user, &made.direction);
            said.push(format!("{exe} {user} {} {way} {}:{}", made.local_port, made.remote, made.remote_port));
        }
        said.extend(portion.lost.iter().map(|(cause, count)| format!("lost {cause} {count}")));
        said
    }
}

#[test]
fn a_connection_is_told_once_with_who_made_it() {
    let old = open(("192.168.1.2:22", "192.168.1.9:50000"), 0, 100);
    let mut stage = Stage::new(std::slice::from_ref(&old));
    stage.proc.opens(812, 0, "/dev/null");
    stage.proc.opens(812, 1, "pipe:[48211]");
    stage.proc.opens(812, 3, "socket:[48211]");
    let new = open(("192.168.1.2:50100", "203.0.113.9:4444"), 33, 48_211);
    assert_eq!(stage.look(&[old.clone(), new.clone()]), ["/usr/bin/dash www-data 50100 out 203.0.113.9:4444"]);
    assert_eq!(stage.look(&[old.clone(), new]), NOTHING);
    // The same two ends, and another socket.
    let again = open(("192.168.1.2:50100", "203.0.113.9:4444"), 1_000, 48_300);
    assert_eq!(stage.look(&[old, again]), [" 1000 50100 out 203.0.113.9:4444"]);
    assert_eq!(stage.counters.count(What::ConnectionsUnowned), 1);
    assert_eq!(stage.counters.count(What::ConnectionsMade), 2);
}

#[test]
fn it_comes_in_where_somebody_listens() {
    let mut stage = Stage::new(&[listen("0.0.0.0:22"), listen("192.168.1.2:8080"), listen("0.0.0.0:4444")]);
    stage
        .proc
        .write("net/tcp6", &[listen("[::]:443"), open(("[2001:db8::1]:443", "[2001:db8::2]:6000"), 33, 7)].concat());
    stage.proc.opens(700, 9, "socket:[7]");
    let tables = [
        listen("0.0.0.0:22"),
        listen("192.168.1.2:8080"),
        open(("192.168.1.2:22", "203.0.113.9:6000"), 0, 1),
        open(("192.168.1.2:8080", "203.0.113.9:6001"), 0, 2),
        open(("192.168.1.3:8080", "203.0.113.9:6002"), 0, 3),
        // Who listened for one connection, and does not any more.
        open(("192.168.1.2:4444", "203.0.113.9:6003"), 0, 4),
        open(("192.168.1.2:443", "203.0.113.9:6004"), 0, 5),
    ];
    assert_eq!(
        stage.look(&tables),
        [
            " root 22 in 203.0.113.9:6000",
            " root 8080 in 203.0.113.9:6001",
            " root 8080 out 203.0.113.9:6002",
            " root 4444 in 203.0.113.9:6003",
            " root 443 in 203.0.113.9:6004",
            "/usr/sbin/nginx www-data 443 in 2001:db8::2:6000",
        ]
    );
}

#[test]
fn what_stays_here_is_closing_or_not_accepted_is_passed_over() {
    let mut stage = Stage::new(&[]);
    let ends = ("192.168.1.2:80", "203.0.113.9:6000");
    let tables = [
        open(("127.0.0.1:50000", "127.0.0.1:5432"), 0, 1),
        line(("192.168.1.2:50001", "203.0.113.9:443"), "06", 0, 0),
        line(("192.168.1.2:50002", "203.0.113.9:443"), "02", 0, 2),
        open(ends, 0, 0),
        "   9: 0201A8C0:C3".into(),
    ];
    assert_eq!(stage.look(&tables), NOTHING);
    stage.proc.write("net/tcp6", &open(("[::1]:50000", "[::1]:5432"), 0, 3));
    assert_eq!(stage.look(&[open(ends, 0, 9)]), [" root 80 out 203.0.113.9:6000"], "told once it is accepted");
}

#[test]
fn a_flood_of_connections_is_bounded_and_counted() {
    let mut stage = Stage::new(&[]);
    let flood: Vec<String> = (0..CONNECTIONS_MAX as u64 + 7)
        .map(|number| open(("192.168.1.2:80", &format!("203.0.113.9:{}", 10_000 + number)), 0, 1 + number))
        .collect();
    let portion = stage.portion(&flood);
    assert_eq!((portion.drafts.len(), portion.lost), (CONNECTIONS_MAX, vec![(CONNECTIONS_OVER, 7)]));
    assert_eq!(stage.look(&flood), NOTHING);
}

#[test]
fn tables_that_cannot_be_read_are_counted_and_no_baseline() {
    let proc = Proc::new();
    let counters = Arc::<Counters>::default();
    let mut connections = Connections::new(&proc.passwd(), Arc::clone(&counters));
    assert!(connections.look(&proc.root(), Stamp::utc(0)).drafts.is_empty());
    assert_eq!(counters.count(What::ConnectionsUnreadable), 1);
    proc.write("net/tcp", &open(("192.168.1.2:80", "203.0.113.9:6000"), 0, 1));
    assert!(
        connections.look(&proc.root(), Stamp::utc(1)).drafts.is_empty(),
        "the first look that sees is the baseline"
    );
}
