//! Daemons that are killed again and again right after their start: nothing is drawn anew, nothing grows, nothing is lost.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    backup::texts,
    senders::{tcp, text_of},
    stage::{PATIENCE, Stage},
};

/// Starts of each daemon.
const STARTS: u64 = 20;
/// Lines that are written to the agent's file with each start.
const LINES: u64 = 20;
/// Longest that all the kills may take.
const KILLING: Duration = Duration::from_secs(15);

fn append(file: &Path, lines: std::ops::Range<u64>) {
    let text = text_of(lines.map(|number| format!("app: restart {number}")));
    fs::File::options().create(true).append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The spool's instance, and what lies in it.
fn spool(stage: &Stage, binary: &str, name: &str) -> (Value, Value) {
    let status = stage.admin(binary, name, &["status"]).remove(0);
    (status["spool"]["instance"].clone(), status["spool"]["renumbered"].clone())
}

fn bytes(folder: &Path) -> u64 {
    let each = |entry: fs::DirEntry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { bytes(&entry.path()) } else { meta.len() }
    };
    fs::read_dir(folder).unwrap().map(|entry| each(entry.unwrap())).sum()
}

#[test]
fn twenty_quick_kills_of_each_daemon_change_nothing() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let file = stage.path("app.log");
    append(&file, 0..LINES);
    stage.start_agent("agent", &hub, &[&file]);
    stage.until("the file is delivered", |stage| stage.account("hub", "127.0.0.1/agent")["delivered"] == LINES);
    let daemons = [("nmsd-agent", "agent"), ("nmsd-hub", "hub"), ("nmsd-server", "server")];
    let before: Vec<_> = daemons[..2].iter().map(|(binary, name)| spool(&stage, binary, name)).collect();
    let sizes: Vec<u64> = daemons.iter().map(|(_, name)| bytes(&stage.path(name))).collect();
    let begun = Instant::now();
    for round in 0..STARTS {
        append(&file, (round + 1) * LINES..(round + 2) * LINES);
        for (at, (binary, name)) in (0_u64..).zip(daemons) {
            stage.kill(name);
            stage.start(binary, name);
            // From before its settings are read until it serves and sends: an odd step meets other moments each time.
            thread::sleep(Duration::from_millis((round * 37 + at * 53) % 160));
        }
    }
    let took = begun.elapsed();
    assert!(took < KILLING, "{took:?}");
    for (binary, name) in daemons {
        // A backoff that the kills have drawn out is waited for by nobody.
        stage.kill(name);
        stage.start(binary, name);
    }
    let all = (STARTS + 1) * LINES;
    stage.until("the hub serves", |stage| stage.is_linked("hub"));
    stage.until("every line is stored", |stage| {
        texts(stage).iter().filter(|text| text.contains("restart ")).count() as u64 >= all
    });
    tcp(&hub, ["<14>app: last"]);
    stage.until("the last line is stored", |stage| texts(stage).iter().any(|text| text.ends_with("last")));
    stage.until("nothing waits", |stage| stage.link("hub")["queue"] == 0);
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for text in texts(&stage).into_iter().filter(|text| text.contains("restart ")) {
        *times.entry(text).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!((times.len() as u64, twice), (all, vec![]), "each line once");
    // Who they are has not changed, and no file grew by more than what was sent.
    let after: Vec<_> = daemons[..2].iter().map(|(binary, name)| spool(&stage, binary, name)).collect();
    assert_eq!(after, before);
    for ((_, name), size) in daemons.iter().zip(sizes) {
        let now = bytes(&stage.path(name));
        assert!(now <= size + (2 << 20), "{name} grew from {size} to {now} bytes");
    }
    assert_event_numbers_are_new(&stage);
    let quarantined = stage.verb(&["status"]);
    assert!(quarantined.contains("\"quarantined\":0"), "{quarantined}");
    assert!(begun.elapsed() < KILLING + PATIENCE);
}

/// No event has the name of another one.
fn assert_event_numbers_are_new(stage: &Stage) {
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for line in stage.verb(&["log", "dump", "--tenant", "ip-127.0.0.1"]).lines() {
        let batch: Value = serde_json::from_str(line).unwrap();
        for event in batch["events"].as_array().unwrap() {
            let origin = &batch["origins"][event["id"][0].as_u64().unwrap() as usize];
            *names.entry(format!("{origin}:{}", event["id"][1])).or_default() += 1;
        }
    }
    assert!(names.len() as u64 >= (STARTS + 1) * LINES);
    let again: Vec<_> = names.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "{again:?}");
}
