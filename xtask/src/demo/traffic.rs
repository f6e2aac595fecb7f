//! What happens in the demo: an ordinary morning, and three people who try passwords.

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nms_e2e::Hub;

/// Failed logins of each run: a burst is 8 in 2 minutes.
const FAILURES: u32 = 12;
/// Rounds of ordinary lines before the attack.
const ORDINARY_ROUNDS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// Ordinary lines: tag and text.
const ORDINARY: &[(&str, &str)] = &[
    ("sshd[811]", "Accepted publickey for anna from 192.168.1.20 port 50112 ssh2: ED25519 SHA256:dGVzdA"),
    ("CRON[1201]", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
    ("CRON[1202]", "(root) CMD (cd / && run-parts --report /etc/cron.hourly)"),
    ("dnsmasq-dhcp[402]", "DHCPACK(br-lan) 192.168.1.23 aa:bb:cc:dd:ee:01 phone"),
    ("systemd[1]", "Started Daily apt download activities."),
    ("sudo", "anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/apt update"),
    ("kernel", "[UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.7 DST=192.168.1.2 LEN=40 PROTO=TCP SPT=51000 DPT=23"),
    ("sshd[811]", "Received disconnect from 192.168.1.20 port 50112:11: disconnected by user"),
];

/// Traffic that goes on until the value is dropped.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Traffic {
    /// Ordinary lines, then the attacks, then ordinary lines again.
    pub(super) fn start(hub: &Hub, log_file: &Path) -> Result<Self, String> {
        let mut ways = Ways::open(hub, log_file).map_err(|error| format!("cannot send the demo's traffic: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut round = 0;
            while !asked.load(Ordering::Relaxed) {
                if let Err(error) = ways.round(round) {
                    eprintln!("demo: cannot send: {error}");
                    return;
                }
                round += 1;
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The three ways in.
struct Ways {
    udp: UdpSocket,
    tcp: TcpStream,
    file: std::fs::File,
}

impl Ways {
    fn open(hub: &Hub, log_file: &Path) -> std::io::Result<Self> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.connect(("127.0.0.1", hub.udp))?;
        Ok(Self {
            udp,
            tcp: from_address("127.0.0.2:0", hub.tcp)?,
            file: OpenOptions::new().append(true).open(log_file)?,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the demo sends in real time")]
    fn round(&mut self, round: u32) -> std::io::Result<()> {
        for (tag, text) in ORDINARY {
            self.udp(tag, text)?;
            self.tcp(tag, text)?;
            self.file(tag, text)?;
        }
        if (ORDINARY_ROUNDS..ORDINARY_ROUNDS + FAILURES).contains(&round) {
            let port = 40_000 + round;
            let failed = |actor: &str| format!("Failed password for root from {actor} port {port} ssh2");
            self.udp("sshd[2301]", &failed("203.0.113.50"))?;
            self.tcp("sshd[2302]", &failed("198.51.100.23"))?;
            self.file("sshd[2303]", &failed("192.0.2.99"))?;
        }
        thread::sleep(if round < ORDINARY_ROUNDS + FAILURES { PAUSE } else { PAUSE * 20 });
        Ok(())
    }

    fn udp(&self, tag: &str, text: &str) -> std::io::Result<()> {
        self.udp.send(format!("<38>{} gateway {tag}: {text}", stamp()).as_bytes()).map(drop)
    }

    fn tcp(&mut self, tag: &str, text: &str) -> std::io::Result<()> {
        self.tcp.write_all(format!("<38>{} web {tag}: {text}\n", stamp()).as_bytes())
    }

    fn file(&mut self, tag: &str, text: &str) -> std::io::Result<()> {
        self.file.write_all(format!("{} laptop {tag}: {text}\n", stamp()).as_bytes())
    }
}

/// A connection to the hub from another address of loopback, so that it is another source.
fn from_address(from: &str, port: u16) -> std::io::Result<TcpStream> {
    let from: SocketAddr = from.parse().map_err(std::io::Error::other)?;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&from.into())?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    Ok(socket.into())
}

/// The stamp of RFC 3164, local time.
fn stamp() -> String {
    jiff::tz::TimeZone::system().to_datetime(jiff::Timestamp::now()).strftime("%b %e %H:%M:%S").to_string()
}
