//! Those who send: UDP, TCP, `logger`, rsyslog.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::Command,
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::stage::Hub;

/// A failed login as OpenSSH logs it.
pub(crate) fn failure(actor: &str, port: u32) -> String {
    format!("Failed password for root from {actor} port {port} ssh2")
}

/// Lines as they stand in a file.
pub(crate) fn text_of(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

/// An RFC 3164 message of sshd; the stamp is old on purpose, nobody believes it.
pub(crate) fn sshd(text: &str) -> String {
    format!("<38>Jan  5 14:30:00 gate sshd[811]: {text}")
}

/// Ordinary lines of sshd in an order that does not repeat: each window of them is new to the model.
pub(crate) fn varied(seed: u32, lines: usize) -> impl Iterator<Item = String> {
    const WHAT: [&str; 6] = [
        "Accepted publickey for deploy from 198.51.100.7 port 50022 ssh2: RSA SHA256:kE2x",
        "pam_unix(sshd:session): session opened for user deploy(uid=1001) by (uid=0)",
        "pam_unix(sshd:session): session closed for user deploy",
        "Received disconnect from 198.51.100.7 port 50022:11: disconnected by user",
        "Disconnected from user deploy 198.51.100.7 port 50022",
        "Server listening on 0.0.0.0 port 22.",
    ];
    // A linear congruential generator (Knuth, MMIX): the same lines in every run.
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        WHAT.get((*state >> 33) as usize % WHAT.len()).map(|text| sshd(text))
    };
    (0..lines).scan(u64::from(seed), move |state, _| step(state))
}

pub(crate) fn udp(hub: &Hub, messages: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in messages {
        socket.send_to(message.as_ref(), ("127.0.0.1", hub.udp)).unwrap();
    }
}

pub(crate) fn tcp(hub: &Hub, lines: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut stream = TcpStream::connect(("127.0.0.1", hub.tcp)).unwrap();
    let mut block = Vec::new();
    for line in lines {
        block.extend_from_slice(line.as_ref());
        block.push(b'\n');
    }
    stream.write_all(&block).unwrap();
}

/// A TCP connection from an address of loopback, each of which is an address of its own to a daemon.
pub(crate) fn connect_from(from: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket.into())
}

/// An agent that says `payloads` one after another as frames, and nothing else; it stays while the value lives.
pub(crate) fn frames(hub: &Hub, payloads: &[Value]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", hub.agents)).unwrap();
    let mut all = Vec::new();
    for payload in payloads {
        let text = payload.to_string();
        all.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        all.extend_from_slice(text.as_bytes());
    }
    stream.write_all(&all).unwrap();
    stream
}

/// util-linux's logger, in one of its forms.
pub(crate) fn logger(hub: &Hub, form: &[&str], text: &str) {
    let port = if form.contains(&"--tcp") { hub.tcp } else { hub.udp };
    let status = Command::new("logger")
        .args(["--server", "127.0.0.1", "--port", &port.to_string(), "--tag", "sshd", "--priority", "auth.info"])
        .args(form)
        .arg(text)
        .status()
        .expect("logger of util-linux is installed");
    assert!(status.success());
}

/// rsyslog that reads `file` and forwards over UDP and TCP, with settings of its own; run it in the foreground.
pub(crate) fn rsyslog(folder: &Path, hub: &Hub, file: &Path) -> Command {
    let settings = folder.join("rsyslog.conf");
    let text = format!(
        "global(workDirectory=\"{folder}\")\nmodule(load=\"imfile\" PollingInterval=\"1\")\n\
         input(type=\"imfile\" File=\"{file}\" Tag=\"sshd\" Facility=\"auth\" Severity=\"info\" freshStartTail=\"off\")\n\
         :msg, contains, \"odd\" @127.0.0.1:{udp}\n& stop\n*.* @@127.0.0.1:{tcp}\n",
        folder = folder.display(),
        file = file.display(),
        udp = hub.udp,
        tcp = hub.tcp
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(settings).arg("-i").arg(folder.join("rsyslog.pid"));
    command
}
