//! Who sends: numbered lines into files that agents tail, over TCP and over UDP, until the stop.
//!
//! A file is a durable source: whatever stands in it must come. A line that went into a socket may be
//! lost with the hub that had not committed it; those are counted apart.

use std::{
    fs::{self, File},
    io::Write as _,
    net::{TcpStream, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use nms_kit::clock;

/// Time between two writes of a sender, in milliseconds.
const BEAT_MS: u64 = 20;
/// Time after which a tailed file is renamed and begun anew, in milliseconds.
const ROTATE_MS: u64 = 7_000;
/// Lines that one overload writes at once.
const BURST_LINES: u64 = 20_000;

/// A sender: its name in the lines, and the lines that it has sent.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) name: String,
    sent: Arc<AtomicU64>,
    burst: Arc<AtomicU64>,
}

impl Sender {
    fn new(name: &str) -> Self {
        Self { name: name.into(), sent: Arc::default(), burst: Arc::default() }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Writes many lines at once with the next beat.
    pub(super) fn overload(&self) {
        self.burst.fetch_add(BURST_LINES, Ordering::Relaxed);
    }
}

/// All senders.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) files: Vec<Sender>,
    pub(super) sockets: Vec<Sender>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// Starts senders: one a file, one over TCP, one over UDP, each `lines_per_beat` every 20 ms.
    pub(super) fn start(files: &[PathBuf], tcp: u16, udp: u16, lines_per_beat: u64) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let mut load = Self { files: Vec::new(), sockets: Vec::new(), stop, threads: Vec::new() };
        for (at, path) in files.iter().enumerate() {
            let (sender, path) = (Sender::new(&format!("file{at}")), path.clone());
            let writer = sender.clone();
            load.files.push(sender);
            load.run(move |stop| write_file(&writer, &path, lines_per_beat, stop));
        }
        for name in ["tcp", "udp"] {
            let sender = Sender::new(name);
            load.sockets.push(sender.clone());
            match name {
                "tcp" => load.run(move |stop| {
                    send_tcp(&sender, tcp, lines_per_beat, stop);
                    Ok(())
                }),
                _ => load.run(move |stop| send_udp(&sender, udp, lines_per_beat, stop)),
            }
        }
        load
    }

    fn run(&mut self, work: impl FnOnce(&AtomicBool) -> Result<(), String> + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || work(&stop)));
    }

    /// Ends all senders; what went wrong with one.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_panic| "a sender panicked".to_owned())??;
        }
        Ok(())
    }
}

/// The text by which a stored line is known again.
fn line(name: &str, number: u64) -> String {
    format!("app: torture {name} {number} request took {} ms", number * 7 % 1_000)
}

fn write_file(sender: &Sender, path: &Path, lines: u64, stop: &AtomicBool) -> Result<(), String> {
    let failed = |error| format!("cannot write {}: {error}", path.display());
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let mut rotated = clock::monotonic_ms();
    while !stop.load(Ordering::Relaxed) {
        let first = sender.sent();
        let count = lines + sender.burst.swap(0, Ordering::Relaxed);
        let text: String = (first..first + count).map(|number| line(&sender.name, number) + "\n").collect();
        file.write_all(text.as_bytes()).map_err(failed)?;
        sender.sent.fetch_add(count, Ordering::Relaxed);
        let now = clock::monotonic_ms();
        if now - rotated >= ROTATE_MS {
            rotated = now;
            fs::rename(path, path.with_extension(format!("log.{now}"))).map_err(failed)?;
            file = File::options().create(true).append(true).open(path).map_err(failed)?;
        }
        clock::block(BEAT_MS);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which serves no tasks")]
fn send_tcp(sender: &Sender, port: u16, lines: u64, stop: &AtomicBool) {
    let mut stream: Option<TcpStream> = None;
    while !stop.load(Ordering::Relaxed) {
        stream = stream.or_else(|| TcpStream::connect(("127.0.0.1", port)).ok());
        if let Some(connected) = &mut stream {
            let first = sender.sent();
            let text: Vec<String> = (first..first + lines).map(|number| line(&sender.name, number)).collect();
            let text = format!("<14>{}\n", text.join("\n<14>"));
            // What broke off in the middle counts as sent: how much of it the hub has nobody knows.
            let is_whole = connected.write_all(text.as_bytes()).is_ok();
            sender.sent.fetch_add(lines, Ordering::Relaxed);
            if !is_whole {
                stream = None;
            }
        }
        clock::block(BEAT_MS);
    }
}

fn send_udp(sender: &Sender, port: u16, lines: u64, stop: &AtomicBool) -> Result<(), String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| format!("no UDP socket: {error}"))?;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..lines {
            let number = sender.sent.fetch_add(1, Ordering::Relaxed);
            // Nobody may be there to take it; it is sent all the same.
            socket.send_to(format!("<14>{}", line(&sender.name, number)).as_bytes(), ("127.0.0.1", port)).ok();
        }
        clock::block(BEAT_MS);
    }
    Ok(())
}
