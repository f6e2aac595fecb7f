//! A thousand connections that mean harm, of every kind and at every port, while honest peers are served; and what a
//! hub does that runs out of file descriptors.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::{
    senders::{connect_from, sshd, tcp, udp},
    stage::{Hub, Stage},
};

/// Hostile connections, at all ports together, and the addresses that they come from.
const HOSTILE: usize = 1_000;
const ADDRESSES: usize = 20;
/// Most memory that a daemon may grow by for each of them, in bytes, on the average over all kinds.
const BYTES_EACH_MAX: usize = 64 << 10;
/// Most memory that a daemon may grow by while it serves, in bytes: its stores' page caches fill.
const SERVED_BYTES_MAX: usize = 16 << 20;
/// Lines of each honest sender.
const LINES: usize = 200;
/// `HANDSHAKE_MS` and `REGISTER_MS` of PROTOCOL.md, and time for the test's machine.
const DEADLINE: Duration = Duration::from_secs(10 + 10 + 10);

/// Resident memory of a daemon, in bytes (proc(5)).
fn resident(stage: &Stage, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.process_id(name).unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Processor time that a daemon used, in clock ticks of a hundredth of a second (proc(5)).
fn processor_ticks(stage: &Stage, name: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", stage.process_id(name).unwrap())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// As many file descriptors as this process may have: a connection is one here too.
fn allow_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
}

/// What the kinds of hostile peers say first; each goes on with a byte now and then, or never.
fn kinds() -> Vec<Vec<u8>> {
    let deep = [b"{\"a\":".repeat(40), b"1".to_vec(), b"}".repeat(40)].concat();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], [0xa5; 200].as_slice()].concat();
    let counted = |length: u32, body: &[u8]| [&length.to_be_bytes(), body].concat();
    vec![
        // Idle.
        Vec::new(),
        // Half a TLS handshake.
        hello,
        // Frames of the greatest length, without a body and with all but a byte of what a stranger may send.
        counted(1 << 20, b""),
        counted(64 << 10, &vec![b' '; (64 << 10) - 1]),
        // Octets that never come, digits without end, a line without end.
        b"999999999 <13>".to_vec(),
        vec![b'9'; 4 << 10],
        vec![b'x'; 64 << 10],
        // Too deep.
        counted(deep.len() as u32, &deep),
        // A byte at a time.
        b"<".to_vec(),
    ]
}

/// A chain whose hub takes syslog over TLS too, and its port.
fn chain() -> Option<(Stage, Hub, u16)> {
    let mut stage = Stage::new("public_ip = true")?;
    stage.start_server();
    let hub = stage.hub("hub", "");
    let tls = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let settings = fs::read_to_string(stage.path("hub.toml")).unwrap();
    stage.write("hub.toml", &settings.replace("[listen]\n", &format!("[listen]\nsyslog_tls = \"127.0.0.1:{tls}\"\n")));
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked", |stage| stage.is_linked("hub"));
    Some((stage, hub, tls))
}

fn lines(what: &str) -> Vec<String> {
    (0..LINES).map(|number| sshd(&format!("Connection closed by 192.0.2.7 port {number} {what}"))).collect()
}

/// Honest lines over UDP, TCP and by an agent, up to the server.
fn serves(stage: &mut Stage, hub: &Hub, round: u64) {
    udp(hub, lines("udp"));
    tcp(hub, lines("tcp"));
    let mut file = fs::File::options().create(true).append(true).open(stage.path("auth.log")).unwrap();
    for line in lines("file") {
        writeln!(file, "Jan  5 14:30:00 gate {}", line.split_once("gate ").unwrap().1).unwrap();
    }
    let delivered = |stage: &Stage, source: &str| stage.account("hub", source)["delivered"].as_u64();
    stage.until("what honest senders sent is delivered", |stage| {
        delivered(stage, "127.0.0.1") == Some(round * 2 * LINES as u64)
    });
    stage.until("what an honest agent sent is delivered", |stage| {
        delivered(stage, "127.0.0.1/agent") == Some(round * LINES as u64)
    });
}

/// How a port stands, as its daemon says.
fn standing(stage: &Stage, daemon: &str, port: &str) -> Value {
    if daemon == "server" {
        let status: Value = serde_json::from_str(stage.verb(&["status"]).lines().next().unwrap()).unwrap();
        return status["connections"].clone();
    }
    stage.admin("nmsd-hub", "hub", &["status"])[0]["connections"][port].clone()
}

#[test]
fn a_thousand_hostile_connections_cost_little_and_keep_nobody_out() {
    let Some((mut stage, hub, tls)) = chain() else { return };
    allow_descriptors();
    let log = stage.path("auth.log");
    fs::write(&log, "").unwrap();
    stage.start_agent("agent", &hub, &[&log]);
    // What a daemon allocates once for its work is not the hostile ones' doing.
    for round in 1..=3 {
        serves(&mut stage, &hub, round);
    }
    let before = ["hub", "server"].map(|name| resident(&stage, name));

    let ports = [hub.tcp, hub.agents, tls, stage.server_port()];
    let kinds = kinds();
    let mut hostile: Vec<(u16, TcpStream)> = Vec::new();
    for number in 0..HOSTILE {
        let port = ports[number % ports.len()];
        let from = Ipv4Addr::new(127, 9, 0, 1 + (number / ports.len() % ADDRESSES) as u8);
        let mut stream = connect_from(from, port).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        // One that is closed already has said what it came for.
        stream.write_all(&kinds[number / ports.len() % kinds.len()]).ok();
        hostile.push((port, stream));
    }
    // One address more, at the plainest port, that wants more than its share.
    let greedy: Vec<_> = (0..100).map(|_| connect_from(Ipv4Addr::new(127, 9, 9, 9), hub.tcp).unwrap()).collect();
    stage.until("the greedy address has its places and no more", |stage| {
        standing(stage, "hub", "syslog_tcp")["refused"]["connections_of_address"] == 100 - 64
    });

    // A byte a second from each that is still there and not idle, while honest peers are served.
    let is_dripping = |number: &usize| !(number / ports.len()).is_multiple_of(kinds.len());
    let dripping: Vec<TcpStream> =
        (0..HOSTILE).filter(is_dripping).map(|number| hostile[number].1.try_clone().unwrap()).collect();
    let drip = thread::spawn(move || {
        for _ in 0..5 {
            for mut stream in &dripping {
                stream.write_all(b"1").ok();
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
    let after = ["hub", "server"].map(|name| resident(&stage, name));
    serves(&mut stage, &hub, 4);
    drip.join().unwrap();
    let later = ["hub", "server"].map(|name| resident(&stage, name));

    let at = |port: u16| hostile.iter().filter(|(to, _)| *to == port).count();
    let shares = [HOSTILE - at(ports[3]) + greedy.len(), at(ports[3])];
    for (index, name) in ["hub", "server"].into_iter().enumerate() {
        let grown = after[index].saturating_sub(before[index]);
        let (each, served) = (grown / shares[index], later[index].saturating_sub(after[index]));
        eprintln!(
            "{name}: {each} bytes for each of {}, {served} bytes more while honest peers were served",
            shares[index]
        );
        assert!(each <= BYTES_EACH_MAX, "{name} grew by {grown} bytes, {each} for each of {}", shares[index]);
        assert!(served <= SERVED_BYTES_MAX, "{name} grew by {served} bytes while it served");
    }

    // Where a peer must say who it is, each is gone at its deadline; devices may stay as long as they like.
    let mut left = 0;
    for (port, stream) in &mut hostile {
        stream.set_read_timeout(Some(if *port == hub.tcp { Duration::from_millis(1) } else { DEADLINE })).unwrap();
        let ended = loop {
            match stream.read(&mut [0; 512]) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => {
                    break !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                }
            }
        };
        assert!(ended || *port == hub.tcp, "a peer that never said who it is stays at port {port}");
        left += usize::from(!ended);
    }
    assert_eq!(left, HOSTILE / ports.len(), "nobody is thrown out of the port for devices while there is room");
    let refused = standing(&stage, "hub", "agents")["refused"].clone();
    for reason in ["frame_too_long", "json_too_deep", "silent"] {
        assert!(refused[reason].as_u64().is_some_and(|count| count > 0), "{reason} in {refused}");
    }
    // Their last words have a moment to arrive.
    stage.until("nobody is left where a peer must say who it is, but the hub and the agent", |stage| {
        let open = |daemon, port| standing(stage, daemon, port)["open"].as_u64();
        (open("hub", "syslog_tls"), open("hub", "agents"), open("server", "")) == (Some(0), Some(1), Some(1))
    });
    drop((hostile, greedy));
    serves(&mut stage, &hub, 5);
    assert_eq!(stage.ended(), []);
}

/// EMFILE back-off: without a descriptor left a hub waits, idle peers give way, and afterwards all is as before.
#[test]
fn emfile_is_waited_out_and_idle_connections_give_way() {
    let Some(mut stage) = Stage::new("public_ip = true") else { return };
    allow_descriptors();
    let hub = stage.hub("hub", "");
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 128; exec \"$0\" --config \"$1\""]).arg(stage.binary("nmsd-hub"));
    few.arg(stage.path("hub.toml"));
    stage.start_other("hub", &mut few);
    stage.until("the hub answers", |stage| stage.socket("hub").exists() && stage.serves("nmsd-hub", "hub"));
    let ticks = processor_ticks(&stage, "hub");
    let mut idle: Vec<TcpStream> = (0..300_u16)
        .map(|number| connect_from(Ipv4Addr::new(127, 9, 1, 1 + (number / 50) as u8), hub.tcp).unwrap())
        .collect();
    // An honest sender comes through, for one of the idle ones goes.
    tcp(&hub, lines("while there are none"));
    thread::sleep(Duration::from_secs(3));
    let used = processor_ticks(&stage, "hub") - ticks;
    assert!(used < 200, "{used} hundredths of a second of work in three seconds of waiting");
    idle.clear();
    stage.until("the hub takes what was sent", |stage| stage.account("hub", "127.0.0.1")["received"] == LINES);
    let refused = standing(&stage, "hub", "syslog_tcp")["refused"].clone();
    for reason in ["accept_failed", "connections_gave_way"] {
        assert!(refused[reason].as_u64().is_some_and(|count| count > 0), "{reason} in {refused}");
    }
    assert_eq!(stage.ended(), []);
}
