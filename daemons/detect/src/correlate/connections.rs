//! Connections that processes make to the outside: by a shell or from a folder for temporary files (ATT&CK T1059, T1071),
//! to a miner's pool (T1496), or by the clock (T1071, T1029).
//!
//! A shell or netcat that connects outside is MEDIUM, and so is what runs from a temporary folder, but for what tools are
//! known to run there; with a rhythm HIGH.
//! An interpreter does so all day on the ports of the web, mail, names and time, and is LOW on others. The ports that
//! pools of miners use are MEDIUM, but for browsers and programs that share files, whose peers choose any port.
//! Eight connections of one program to one endpoint with a spread of at most 10 % are a rhythm: LOW, and silent for
//! programs that keep time, fetch updates, deliver logs and figures, or hold tunnels open.
//!
//! What the list calls by name it knows by name alone: who calls himself `chronyd` is not told for his rhythm.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::{Body, Event},
    finding::{Category, Finding},
    id::EndpointId,
    limits::FLOWS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::Xxh3Default;

use super::{
    guessing::victim,
    on_host::{is_temporary, is_tools},
    unsaid::Unsaid,
};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_outside},
    text::{address, cut},
};

/// Connections that show a rhythm, if there is one, and how many are kept.
const RHYTHM_MIN: usize = 8;
const KEPT: usize = 12;
/// The largest spread of a rhythm, as a part of its period; its shortest and longest period, in milliseconds.
const SPREAD_MAX: f64 = 0.1;
const PERIOD_MS: std::ops::RangeInclusive<i64> = 10_000..=6 * 60 * 60_000;
/// Bytes of a path that are shown.
const PATH_BYTES: usize = 120;
/// Lines kept as evidence.
const EVIDENCE_KEPT: usize = 3;

/// Not busybox, which is every program of a small system at once: of its path alone nobody knows which.
const SHELLS: [&str; 11] =
    ["sh", "bash", "dash", "zsh", "ksh", "ash", "nc", "ncat", "netcat", "nc.openbsd", "nc.traditional"];
const INTERPRETERS: [&str; 5] = ["python", "perl", "ruby", "php", "lua"];
/// Ports on which interpreters talk to the outside as part of their work.
const EVERYDAY: [u16; 14] = [21, 22, 25, 53, 80, 110, 123, 143, 443, 465, 587, 853, 993, 8443];
/// Ports of miners' pools.
const POOLS: [u16; 5] = [3333, 4444, 5555, 14444, 45700];
/// Programs whose peers listen on any port.
const PEERS: [&str; 10] = [
    "transmission-daemon",
    "transmission-gtk",
    "qbittorrent",
    "qbittorrent-nox",
    "deluged",
    "rtorrent",
    "aria2c",
    "syncthing",
    "firefox",
    "chrome",
];
/// Programs that speak by the clock.
const REGULAR: [&str; 33] = [
    "chronyd",
    "ntpd",
    "systemd-timesyncd",
    "http",
    "https",
    "apt-get",
    "unattended-upgr",
    "dnf",
    "yum",
    "packagekitd",
    "snapd",
    "fwupd",
    "freshclam",
    "zabbix_agentd",
    "zabbix_agent2",
    "telegraf",
    "collectd",
    "prometheus",
    "rsyslogd",
    "syslog-ng",
    "fluent-bit",
    "filebeat",
    "metricbeat",
    "crowdsec",
    "tailscaled",
    "cloudflared",
    "openvpn",
    "amazon-ssm-agent",
    "google_guest_agent",
    "dockerd",
    "containerd",
    "nmsd-agent",
    "nmsd-hub",
];

/// What a program is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Temporary,
    Shell,
    Interpreter,
    Peer,
    Regular,
    Unknown,
}

fn program(path: &str) -> Program {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    if is_temporary(path) && !is_tools(path) {
        return Program::Temporary;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if SHELLS.contains(&name) {
        Program::Shell
    } else if INTERPRETERS.iter().any(|interpreter| name.starts_with(interpreter)) {
        Program::Interpreter
    } else if PEERS.contains(&name) {
        Program::Peer
    } else if REGULAR.contains(&name) {
        Program::Regular
    } else {
        Program::Unknown
    }
}

/// When a program connected to an endpoint lately.
#[derive(Debug, Default)]
struct Times {
    made: VecDeque<i64>,
    unsaid: Unsaid,
}

impl Suspicion for Times {
    fn suspicion(&self) -> (u32, i64) {
        (self.made.len().saturating_sub(1) as u32, self.made.back().copied().unwrap_or_default())
    }
}

impl Times {
    fn add(&mut self, at: i64) {
        self.made.retain(|made| at - made <= *PERIOD_MS.end() * KEPT as i64);
        if self.made.is_empty() {
            self.unsaid.clear();
        }
        if self.made.len() == KEPT {
            self.made.pop_front();
        }
        self.made.push_back(at);
        self.unsaid.saw();
    }

    /// The period in milliseconds and its spread in percent, where the connections keep one.
    fn rhythm(&self) -> Option<(i64, u32)> {
        if self.made.len() < RHYTHM_MIN {
            return None;
        }
        let times = self.made.iter().map(|at| *at as f64);
        let gaps: Vec<f64> = times.clone().zip(times.skip(1)).map(|(one, next)| next - one).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let spread = variance.sqrt() / mean;
        let fits = PERIOD_MS.contains(&(mean as i64)) && spread <= SPREAD_MAX;
        fits.then_some((mean as i64, (spread * 100.0).round() as u32))
    }
}

/// What a connection is told for.
struct Judged {
    severity: Severity,
    category: Category,
    confidence: f32,
    why: String,
    techniques: &'static [&'static str],
}

fn judge(program: Program, port: u16, rhythm: Option<(i64, u32)>) -> Option<Judged> {
    let pool = POOLS.contains(&port);
    let beat = rhythm.map(|(period, spread)| format!(", every {} (spread {spread} %, limit 10 %)", span(period)));
    let (severity, confidence, why, techniques): (_, _, _, &[&str]) = match program {
        Program::Peer => return None,
        Program::Temporary if beat.is_some() => {
            (Severity::High, 0.85, "runs from a temporary folder", &["T1071", "T1029"])
        }
        Program::Shell if beat.is_some() => (Severity::High, 0.85, "is a shell", &["T1059.004", "T1071"]),
        Program::Temporary => (Severity::Medium, 0.65, "runs from a temporary folder", &["T1071"]),
        Program::Shell => (Severity::Medium, 0.65, "is a shell", &["T1059.004", "T1071"]),
        _ if pool => {
            let why = format!("port {port} is one of miners' pools");
            let techniques = &["T1496"];
            return Some(Judged {
                severity: Severity::Medium,
                category: Category::Malware,
                confidence: 0.6,
                why,
                techniques,
            });
        }
        Program::Interpreter if !EVERYDAY.contains(&port) => {
            (Severity::Low, 0.35, "is an interpreter, and the port is not an everyday one", &["T1059", "T1571"])
        }
        Program::Unknown if beat.is_some() => (Severity::Low, 0.25, "connects by the clock", &["T1071", "T1029"]),
        Program::Interpreter | Program::Unknown | Program::Regular => return None,
    };
    let why = format!("{why}{}", beat.unwrap_or_default());
    Some(Judged { severity, category: Category::C2Communication, confidence, why, techniques })
}

/// Programs that connect to the outside.
#[derive(Debug)]
pub(super) struct Connections {
    flows: Bounded<(EndpointId, u64), Times>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { flows: Bounded::new(FLOWS_MAX) }
    }

    /// A connection that a process made.
    pub(super) fn made(&mut self, incidents: &mut Incidents, event: &Event, when: When, out: &mut Vec<Finding>) {
        let Body::Connection(connection) = &event.body else { return };
        let Some(remote) = address(&connection.remote).filter(|remote| is_outside(*remote)) else { return };
        if &*connection.direction == "in" || connection.exe.is_empty() {
            return;
        }
        let (at, port) = (when.at.unix_ms, connection.remote_port);
        let flow = self.flows.entry((event.source.clone(), print(&connection.exe, remote, port)), Times::default);
        flow.add(at);
        let path = cut(&connection.exe, PATH_BYTES);
        let key = Key { story: Story::Control, subject: Subject::Name(event.source.clone(), path.into()) };
        let said = incidents.severity(&key, at);
        let judged = judge(program(&connection.exe), port, flow.rhythm());
        let Some(judged) = judged.filter(|judged| Some(judged.severity) > said) else {
            flow.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        };
        let host = victim(event);
        let endpoint = match remote {
            IpAddr::V4(v4) => format!("{v4}:{port}"),
            IpAddr::V6(v6) => format!("[{v6}]:{port}"),
        };
        let (evidence, count) = flow.unsaid.take(evidence(event, when.at));
        let user = if connection.user.is_empty() { "somebody" } else { cut(&connection.user, PATH_BYTES) };
        let sign = Sign {
            rule: "connections",
            category: judged.category,
            severity: judged.severity,
            confidence: judged.confidence,
            message: format!("{path} on {host} connects to {endpoint}"),
            reasons: vec![format!("{path}, run by {user}, {}", judged.why)],
            techniques: judged.techniques,
            actor: Some(host),
            victim: Some(endpoint.into()),
            evidence,
            count,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Flows remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.flows.len(), self.flows.forgotten())
    }
}

fn print(path: &str, remote: IpAddr, port: u16) -> u64 {
    let mut hash = Xxh3Default::new();
    match remote {
        IpAddr::V4(v4) => hash.update(&v4.octets()),
        IpAddr::V6(v6) => hash.update(&v6.octets()),
    }
    hash.update(&port.to_le_bytes());
    hash.update(path.as_bytes());
    hash.digest()
}
