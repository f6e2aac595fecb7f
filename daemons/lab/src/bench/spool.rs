//! `bench spool`: TCP syslog in, parsed, and kept where a kill -9 or a power cut does not reach it; beside rsyslog's
//! disk-assisted queue, which is not synced, in the same run and on the same lines.
//!
//! Twice, because a user compares whole programs and an engineer compares like with like: the hub without its server,
//! which also correlates and serves dashboards, and the way of a line alone (splitter, parser, encoder, spool), in
//! this process.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use nms_e2e::Stage;
use nms_kit::{
    clock,
    spooler::Spooler,
    store::{self, Db, Settings, spool},
};
use nms_proto::{
    id::EndpointId,
    limits::BATCH_EVENTS_MAX,
    syslog::{self, Received, Splitter},
};

use super::{
    Figure,
    corpus::Corpus,
    daemons::{Usage, usage},
    percentile,
    sender::from,
    wait,
};

/// Distinct lines of the corpus.
const CORPUS_LINES: usize = 200_000;
/// Connections that feed a program, and lines in one write.
const CONNECTIONS: u8 = 8;
const LINES_AT_ONCE: usize = 256;
/// What the splitter is given at a time, as the hub reads it from a busy connection.
const CHUNK_BYTES: usize = 64 << 10;
/// Longest wait for a program to be ready, and to have everything on its disk, in milliseconds.
const READY_MS_MAX: u64 = 20_000;
const KEPT_MS_MAX: u64 = 120_000;
/// Messages that rsyslog holds in memory before it writes to its disk.
const RSYSLOG_MEMORY_MESSAGES: usize = 10_000;
/// Page cache of the spool, in bytes: the hub's.
const CACHE_BYTES: usize = 8 << 20;

/// What to measure.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// Where the release binaries are.
    pub binaries: PathBuf,
    /// Lines that each of them gets.
    pub lines: usize,
    /// The corpus.
    pub seed: u64,
}

/// Runs ours and the peer, and gives their figures.
///
/// # Errors
/// What could not be started, or that a line is missing.
pub fn spool(options: &SpoolOptions) -> Result<Vec<Figure>, String> {
    let corpus = Corpus::new(options.seed, CORPUS_LINES);
    let peer = rsyslog(&corpus, options)?;
    let alone = alone(&corpus, options)?;
    let hub = hub(&corpus, options)?;
    let mut figures = vec![
        Figure::new("spool", "lines, each of them", options.lines as f64, "lines"),
        Figure::new("rsyslog", "CPU, disk-assisted queue, not synced", peer.cpu, "s per million events"),
        Figure::new("rsyslog", "kept on disk", peer.rate, "events/s"),
    ];
    for (leg, what, ours) in [
        ("spool", "CPU: splitter, parser, encoder, spool; synced", &alone),
        ("hub", "CPU: the whole hub without its server; synced", &hub),
    ] {
        let ratio = ours.cpu / peer.cpu;
        let name = "rsyslog, disk-assisted queue".to_owned();
        let cpu = Figure::new(leg, what, ours.cpu, "s per million events");
        figures.push(Figure { peer: Some(name), ratio: Some(ratio), ..cpu });
        figures.push(Figure::new(leg, "durable", ours.rate, "events/s"));
        figures.push(Figure::new(leg, "on disk", ours.bytes, "bytes an event"));
    }
    figures.extend(alone.latencies);
    Ok(figures)
}

/// What one of them did.
struct Kept {
    /// CPU seconds per million events.
    cpu: f64,
    /// Events a second, from the first byte sent until everything was kept.
    rate: f64,
    /// Bytes of its files, an event.
    bytes: f64,
    latencies: Vec<Figure>,
}

impl Kept {
    fn new(lines: usize, (before, after): (Usage, Usage), begun_us: u64, folder: &Path) -> Self {
        let seconds = (clock::monotonic_us() - begun_us) as f64 / 1e6;
        Self {
            cpu: (after.cpu_s - before.cpu_s) * 1e6 / lines as f64,
            rate: lines as f64 / seconds,
            bytes: size(folder) as f64 / lines as f64,
            latencies: Vec::new(),
        }
    }
}

/// The way of a line from a connection's bytes to the disk, in this process.
fn alone(corpus: &Corpus, options: &SpoolOptions) -> Result<Kept, String> {
    let stage = Stage::bare("nms-bench-spool-", &options.binaries)?;
    let failed = |error: &dyn std::fmt::Display| format!("the spool: {error}");
    let db = Db::open_file(&stage.path("spool.redb"), Settings::with_cache(CACHE_BYTES)).map_err(|e| failed(&e))?;
    let limits = spool::Limits {
        events_max: 4 * options.lines as u64,
        bytes_max: u64::MAX,
        memory_bytes_max: CACHE_BYTES,
        history_bytes_max: 0,
    };
    let fresh = store::draw_instance().map_err(|e| failed(&e))?;
    let mut spooler = Spooler::new(spool::Spool::open(db, limits, fresh).map_err(|e| failed(&e))?);
    spooler.set_events_max(BATCH_EVENTS_MAX);
    let source = EndpointId::new("198.51.100.1");
    let stream = stream(corpus, options.lines);
    let (before, begun) = (usage("self"), clock::monotonic_us());
    let mut splitter = Splitter::default();
    let mut waiting: Vec<(u64, smol::channel::Receiver<()>)> = Vec::new();
    let mut times = Vec::new();
    for mut chunk in stream.chunks(CHUNK_BYTES) {
        let read_us = clock::monotonic_us();
        let unix_ms = clock::unix_ms();
        let (now, stamp) = (clock::tick(), clock::stamp());
        let received = Received { unix_ms, utc_offset_s: clock::offset_s(unix_ms) };
        while let Some(frame) = splitter.next_frame(&mut chunk) {
            let (draft, _) = syslog::draft(frame.bytes, &received).map_err(|reason| failed(&reason.name()))?;
            let id = spooler.next_id().map_err(|e| failed(&e))?;
            spooler.push_group(now, &[draft.named(id, source.clone(), stamp)]).map_err(|e| failed(&e))?;
        }
        let (tell, told) = smol::channel::bounded(1);
        spooler.mark(Vec::new(), Some(tell));
        waiting.push((read_us, told));
        spooler.flush(clock::tick(), false).map_err(|e| failed(&e))?;
        while spooler.is_stuck() {
            clock::block(1);
            spooler.flush(clock::tick(), false).map_err(|e| failed(&e))?;
        }
        settle(&mut waiting, &mut times);
    }
    spooler.finish(clock::tick()).map_err(|e| failed(&e))?;
    settle(&mut waiting, &mut times);
    let kept = spooler.spool().stats().events;
    if kept != options.lines as u64 || !waiting.is_empty() {
        return Err(format!("{} lines went in, {kept} are kept, {} marks untold", options.lines, waiting.len()));
    }
    let mut figures = Kept::new(options.lines, (before, usage("self")), begun, stage.folder());
    times.sort_by(f64::total_cmp);
    for percent in [50, 99] {
        if let Some(value) = percentile(&times, percent) {
            let what = format!("read to durable at full speed, p{percent}");
            figures.latencies.push(Figure::new("spool", what, value, "ms"));
        }
    }
    Ok(figures)
}

/// Takes out what is durable now.
fn settle(waiting: &mut Vec<(u64, smol::channel::Receiver<()>)>, times: &mut Vec<f64>) {
    let now = clock::monotonic_us();
    waiting.retain(|(since, told)| {
        let is_durable = told.try_recv().is_ok();
        if is_durable {
            times.push((now - since) as f64 / 1e3);
        }
        !is_durable
    });
}

/// `lines` lines as a connection carries them.
fn stream(corpus: &Corpus, lines: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in corpus.lines.iter().cycle().take(lines) {
        stream.extend_from_slice(line);
        stream.push(b'\n');
    }
    stream
}

/// The hub, whose server is away.
fn hub(corpus: &Corpus, options: &SpoolOptions) -> Result<Kept, String> {
    let mut stage = Stage::new("nms-bench-spool-", &options.binaries, "public_ip = true")?;
    let room = format!("[spool]\nevents_max = {}\nbytes_max = {}\n", 4 * options.lines, 4_u64 << 30);
    let hub = stage.hub("hub", &room)?;
    stage.start("nmsd-hub", "hub")?;
    if !wait(READY_MS_MAX, || stage.serves("nmsd-hub", "hub")) {
        return Err(format!("the hub did not start\n{}", stage.logs()));
    }
    let process = stage.process_id("hub").unwrap_or_default().to_string();
    let (before, begun) = (usage(&process), clock::monotonic_us());
    feed(corpus, options.lines, hub.tcp)?;
    let count = |stage: &Stage, what: &str| {
        let rows = stage.link("hub").get("sources").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let lines = rows.iter().filter(|row| row.get("source").is_some_and(|source| source != EndpointId::SELF));
        lines.filter_map(|row| row.get(what)?.as_u64()).sum::<u64>()
    };
    if !wait(KEPT_MS_MAX, || count(&stage, "received") == options.lines as u64) {
        return Err(format!("the hub received {} of {} lines", count(&stage, "received"), options.lines));
    }
    let all = options.lines as u64;
    if !wait(KEPT_MS_MAX, || stage.link("hub").get("queue").and_then(serde_json::Value::as_u64) >= Some(all)) {
        return Err(format!("the hub received {all} lines and its spool does not have them: {}", stage.link("hub")));
    }
    let kept = Kept::new(options.lines, (before, usage(&process)), begun, &stage.path("hub"));
    // What it says it has is what its disk has, after a kill.
    let held = |stage: &Stage| {
        let check = stage.admin("nmsd-hub", "hub", &["spool", "check"]).unwrap_or_default();
        check.first().and_then(|row| row.get("events")?.as_u64()).unwrap_or_default()
    };
    let is_held = wait(KEPT_MS_MAX, || held(&stage) >= all);
    stage.kill("hub")?;
    if !is_held || held(&stage) < all {
        return Err(format!("the hub said that it has {all} lines, its disk has {} after a kill", held(&stage)));
    }
    Ok(kept)
}

/// rsyslog, whose receiver is away, with a queue that goes to disk.
fn rsyslog(corpus: &Corpus, options: &SpoolOptions) -> Result<Kept, String> {
    let mut stage = Stage::bare("nms-bench-rsyslog-", &options.binaries)?;
    let away = TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).map_err(|e| e.to_string())?.port();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).map_err(|e| e.to_string())?.port();
    let folder = stage.folder().display().to_string();
    fs::create_dir(stage.path("queue")).map_err(|error| error.to_string())?;
    let settings = format!(
        "global(workDirectory=\"{folder}/queue\")\n\
         module(load=\"impstats\" interval=\"1\" format=\"json\" log.syslog=\"off\" log.file=\"{folder}/stats\")\n\
         module(load=\"imtcp\" MaxSessions=\"64\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         action(name=\"kept\" type=\"omfwd\" target=\"127.0.0.1\" port=\"{away}\" protocol=\"tcp\"\n\
         action.resumeRetryCount=\"-1\" queue.type=\"LinkedList\" queue.filename=\"kept\" queue.size=\"{RSYSLOG_MEMORY_MESSAGES}\"\n\
         queue.maxDiskSpace=\"8g\" queue.maxFileSize=\"64m\" queue.saveOnShutdown=\"on\" queue.timeoutEnqueue=\"60000\")\n",
    );
    stage.write("rsyslog.conf", &settings)?;
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(stage.path("rsyslog.conf")).arg("-i").arg(stage.path("rsyslog.pid"));
    stage.start_other("rsyslog", &mut command).map_err(|error| format!("{error} (apt install rsyslog)"))?;
    let answers = || from(Ipv4Addr::new(127, 0, 3, CONNECTIONS + 1), SocketAddr::from(([127, 0, 0, 1], port))).is_ok();
    if !wait(READY_MS_MAX, answers) {
        return Err(format!("rsyslog did not start\n{}", stage.logs()));
    }
    let process = stage.process_id("rsyslog").unwrap_or_default().to_string();
    let (before, begun) = (usage(&process), clock::monotonic_us());
    feed(corpus, options.lines, port)?;
    let stats = stage.path("stats");
    let enqueued = |queue: &str| {
        let text = fs::read_to_string(&stats).unwrap_or_default();
        let row = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
            (row.get("name")?.as_str()? == queue).then(|| row.get("enqueued")?.as_u64())?
        };
        text.lines().rev().find_map(row).unwrap_or_default()
    };
    let all = options.lines as u64;
    let is_kept =
        || enqueued("kept queue") >= all && enqueued("kept queue[DA]") + RSYSLOG_MEMORY_MESSAGES as u64 >= all;
    if !wait(KEPT_MS_MAX, is_kept) {
        let (taken, on_disk) = (enqueued("kept queue"), enqueued("kept queue[DA]"));
        return Err(format!("rsyslog took {taken} of {all} lines and has {on_disk} on disk\n{}", stage.logs()));
    }
    Ok(Kept::new(options.lines, (before, usage(&process)), begun, &stage.path("queue")))
}

/// Sends `lines` lines over a few connections, as fast as they are taken.
fn feed(corpus: &Corpus, lines: usize, port: u16) -> Result<(), String> {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let streams: Result<Vec<_>, _> = (1..=CONNECTIONS).map(|last| from(Ipv4Addr::new(127, 0, 3, last), to)).collect();
    let mut streams = streams.map_err(|error| format!("cannot connect to {to}: {error}"))?;
    let mut source = corpus.lines.iter().cycle().take(lines);
    for turn in 0.. {
        let mut block = Vec::new();
        for line in source.by_ref().take(LINES_AT_ONCE) {
            block.extend_from_slice(line);
            block.push(b'\n');
        }
        if block.is_empty() {
            break;
        }
        let at = turn % streams.len();
        if let Some(stream) = streams.get_mut(at) {
            stream.write_all(&block).map_err(|error| format!("cannot send to {to}: {error}"))?;
        }
    }
    Ok(())
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
