//! Frames that each released version wrote, and frames that a newer one might: both are understood, in either order.
//!
//! ```text
//! tests/recorded/VERSION/agent-hub.up.frames      what the sender says     length | payload | length | payload ...
//! tests/recorded/VERSION/agent-hub.down.frames    what the receiver says
//! ```
//! and so for `hub-server` and `dash`. `cargo xtask record` writes those of the version in Cargo.toml, once,
//! before a release; they are never written again.

mod said;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nms_proto::alert::{Status, Verdict};
use nms_proto::dash::{FromHub, ToHub};
use nms_proto::event::{Body, Change};
use nms_proto::finding::Category;
use nms_proto::id::{BatchSeq, Instance};
use nms_proto::json::{self, Decoder};
use nms_proto::message::{
    self, AckConfig, BatchBuilder, CommandAction, Message, Register, Results, Skipped, batch_frame,
};
use nms_proto::session::client::{ClientSession, Output as Asked, SpooledBatch, Stage};
use nms_proto::session::server::{Answer, Output as Heard, ServerSession};
use nms_proto::time::{Stamp, Tick};
use serde_json::{Value, json};

use said::{Way, said};

const NOW: Stamp = Stamp { unix_ms: 1_767_623_400_000, offset_min: 0 };
const START: Tick = Tick(1_000);
/// The instance that speaks in the recorded frames.
const INSTANCE: Instance = Instance([0x5f; 16]);
/// The batches of a recorded conversation; number 3 never comes.
const BATCHES: [u64; 3] = [1, 2, 4];
const LINKS: [&str; 2] = ["agent-hub", "hub-server"];

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

/// The versions of which frames are there.
fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(recorded()).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// The payloads of a file of frames.
fn payloads(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut rest, mut payloads) = (bytes.as_slice(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (payload, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        payloads.push(payload.to_vec());
        rest = after;
    }
    payloads
}

fn read(payload: &[u8]) -> Message {
    let read = message::read(&mut Decoder::default(), payload, NOW);
    read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(payload)))
}

/// The message as today's program writes it; a batch as a spool sends it.
fn written(message: &Message) -> Vec<u8> {
    let Message::Batch(batch) = message else { return message.to_frame(NOW).unwrap()[4..].to_vec() };
    let mut builder = BatchBuilder::default();
    for event in &batch.events {
        builder.push_group(std::slice::from_ref(event)).unwrap();
    }
    let frame = batch_frame(batch.batch.unwrap(), NOW, &batch.skipped, &builder.finish().1).unwrap();
    frame[4..].to_vec()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Whatever was recorded is in what is written again, with the same value; more may be.
fn assert_kept(recorded: &Value, again: &Value, at: &str) {
    match (recorded, again) {
        (Value::Object(recorded), Value::Object(again)) => {
            for (name, value) in recorded {
                let there = again.get(name).unwrap_or_else(|| panic!("{at}.{name} is not kept"));
                assert_kept(value, there, &format!("{at}.{name}"));
            }
        }
        (Value::Array(recorded), Value::Array(again)) => {
            assert_eq!(recorded.len(), again.len(), "{at}");
            for (index, (value, there)) in recorded.iter().zip(again).enumerate() {
                assert_kept(value, there, &format!("{at}[{index}]"));
            }
        }
        _ => assert_eq!(recorded, again, "{at}"),
    }
}

/// The typed content of dashboard frames, written again.
fn dash_again(way: Way, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match way {
        Way::Up => json::encode(&json::decode::<ToHub>(payload).unwrap(), &mut out).unwrap(),
        Way::Down => json::encode(&json::decode::<FromHub>(payload).unwrap(), &mut out).unwrap(),
    }
    out
}

#[test]
#[ignore = "writes the frames of this version; cargo xtask record"]
fn record() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    assert!(!folder.exists(), "{} is recorded already, and stays as it is", folder.display());
    fs::create_dir_all(&folder).unwrap();
    for link in [LINKS[0], LINKS[1], "dash"] {
        for way in [Way::Up, Way::Down] {
            let mut frames = Vec::new();
            for said in said(link, way) {
                let said = said.to_string();
                let payload =
                    if link == "dash" { dash_again(way, said.as_bytes()) } else { written(&read(said.as_bytes())) };
                frames.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
                frames.extend_from_slice(&payload);
            }
            fs::write(folder.join(format!("{link}.{}.frames", way.word())), frames).unwrap();
        }
    }
}

#[test]
fn frames_of_this_version_are_recorded() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    assert!(
        folder.join("dash.down.frames").is_file(),
        "no frames of version {} are recorded: run `cargo xtask record`, read what it wrote and commit it",
        env!("CARGO_PKG_VERSION")
    );
    let sizes = versions().into_iter().map(|folder| {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
        files.sum::<u64>()
    });
    assert!(sizes.max() < Some(100 << 10), "a version's frames are small");
}

/// Every type, body and word is among what was recorded, so that none of them can be forgotten.
#[test]
fn what_is_recorded_is_everything_that_can_be_said() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for link in LINKS {
        for way in [Way::Up, Way::Down] {
            for payload in payloads(&folder.join(format!("{link}.{}.frames", way.word()))) {
                let message = read(&payload);
                seen.insert(message.type_name().into());
                if let Message::Batch(batch) = &message {
                    seen.extend(batch.events.iter().map(|event| event.body.name().to_owned()));
                }
                words(&value(&payload), &mut seen);
            }
        }
    }
    let types = ["REGISTER", "HEARTBEAT", "EVENT", "BATCH_EVENT", "RESULTS", "COMMAND", "ACK"];
    let bodies = ["syslog", "file", "report", "process", "connection", "finding", "loss"];
    let all = types.into_iter().chain(bodies).chain(Category::ALL.iter().map(Category::as_str));
    let all = all.chain(Status::ALL.iter().map(Status::as_str)).chain(Verdict::ALL.iter().map(Verdict::as_str));
    let all = all.chain(Change::ALL.iter().map(Change::as_str));
    for word in all.chain(CommandAction::ALL.iter().map(CommandAction::as_str)).chain(["ok", "error", "SERVER_BUSY"]) {
        assert!(seen.contains(word), "{word} is not recorded");
    }
    for way in [Way::Up, Way::Down] {
        let said = payloads(&folder.join(format!("dash.{}.frames", way.word())));
        let kinds: BTreeSet<String> = said.iter().map(|payload| value(payload)["type"].to_string()).collect();
        assert_eq!(kinds.len(), if way == Way::Up { 2 } else { 10 }, "{kinds:?}");
    }
}

fn words(value: &Value, seen: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(seen.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| words(value, seen)),
        Value::Object(members) => members.values().for_each(|value| words(value, seen)),
        _ => {}
    }
}

#[test]
fn recorded_frames_mean_today_what_they_meant() {
    for folder in versions() {
        for link in LINKS {
            for way in [Way::Up, Way::Down] {
                for payload in payloads(&folder.join(format!("{link}.{}.frames", way.word()))) {
                    let mut recorded = value(&payload);
                    recorded["timestamp"] = json!("2026-01-05T14:30:00.000Z");
                    assert_kept(&recorded, &value(&written(&read(&payload))), link);
                }
            }
        }
        for way in [Way::Up, Way::Down] {
            for payload in payloads(&folder.join(format!("dash.{}.frames", way.word()))) {
                assert_kept(&value(&payload), &value(&dash_again(way, &payload)), "dash");
            }
        }
    }
}

/// What an old sender said, to today's receiver.
fn receive(up: &[Vec<u8>], down: &[Vec<u8>]) {
    let mut session = ServerSession::new(START);
    let (mut batches, mut heartbeats, mut rest) = (Vec::new(), 0, Vec::new());
    for payload in up {
        session.received(START, read(payload));
        while let Some(output) = session.poll_output() {
            match output {
                Heard::Register(register) => {
                    assert_eq!((register.instance, register.next), (Some(INSTANCE), Some(BatchSeq(5))));
                    session.accept(START, BatchSeq(0), AckConfig::default());
                    for payload in down {
                        match read(payload) {
                            Message::Results(results) => session.results(results),
                            Message::Command(command) => assert!(session.command(command)),
                            _ => {}
                        }
                    }
                }
                Heard::Batch(batch) => {
                    session.answer(START, Answer::Taken);
                    session.committed(batch.batch.unwrap());
                    batches.push(batch.batch.unwrap().0);
                }
                Heard::Heartbeat(_) => heartbeats += 1,
                Heard::Close(end) => panic!("the receiver ends: {end}"),
                Heard::Command(command) => {
                    session.answer_command(message::Ack { command_id: Some(command.command_id), ..message::Ack::ok() });
                }
                other => rest.push(other),
            }
        }
        while session.poll_transmit(NOW).is_some() {}
    }
    assert!(session.is_active());
    assert_eq!((batches, heartbeats), (BATCHES.to_vec(), 2));
    assert!(rest.contains(&Heard::ResultsAcked(1)), "{rest:?}");
    assert!(rest.iter().any(|output| matches!(output, Heard::Event(_))), "{rest:?}");
    assert!(rest.iter().any(|output| matches!(output, Heard::CommandAnswered(_))), "{rest:?}");
}

/// What an old receiver said, to today's sender; what it made of it.
fn send(down: &[Vec<u8>]) -> Vec<Asked> {
    let register = Register { instance: Some(INSTANCE), ..Register::default() };
    let mut session = ClientSession::new(START, 7, register, BatchSeq(1)..BatchSeq(5));
    let mut now = START;
    session.connected(now);
    let mut asked = Vec::new();
    for payload in down {
        // A second heartbeat is due before it is answered, and what was busy is tried again.
        if String::from_utf8_lossy(payload).contains("\"heartbeat\":2") {
            now = now.plus(30_000);
            session.handle_timeout(now);
        }
        work(&mut session, now, &mut asked);
        session.received(now, read(payload));
        work(&mut session, now, &mut asked);
        now = now.plus(700);
        session.handle_timeout(now);
    }
    assert_eq!(session.link(now).stage, Stage::Active, "{asked:?}");
    assert!(!asked.iter().any(|output| matches!(output, Asked::Close(_))), "{asked:?}");
    assert!(asked.contains(&Asked::Acked(BatchSeq(4))), "{asked:?}");
    asked
}

/// Answers what a sender asks of its spool, and lets it write.
fn work(session: &mut ClientSession, now: Tick, asked: &mut Vec<Asked>) {
    loop {
        while let Some(output) = session.poll_output() {
            let Asked::Read(read) = output else {
                asked.push(output);
                continue;
            };
            let from = BATCHES.into_iter().filter(|number| *number >= read.from.0);
            let batches = from.take(read.batches_max).map(|number| SpooledBatch {
                seq: BatchSeq(number),
                skipped: if number == 4 { vec![skipped()] } else { Vec::new() },
                content: br#""origins":[],"events":[]"#.to_vec(),
            });
            session.loaded(read, batches.collect::<Vec<_>>());
        }
        if session.poll_transmit(now, NOW).is_none() {
            return;
        }
    }
}

fn skipped() -> Skipped {
    Skipped { from: BatchSeq(3), to: BatchSeq(3), events: 64, cause: "spool_full".into() }
}

fn conversation(folder: &Path, link: &str) -> [Vec<Vec<u8>>; 2] {
    [Way::Up, Way::Down].map(|way| payloads(&folder.join(format!("{link}.{}.frames", way.word()))))
}

#[test]
fn either_side_may_be_of_another_version() {
    for folder in versions() {
        for link in LINKS {
            let [up, down] = conversation(&folder, link);
            receive(&up, &down);
            let asked = send(&down);
            assert!(asked.iter().any(|output| matches!(output, Asked::Results(_))), "{asked:?}");
            assert!(asked.iter().any(|output| matches!(output, Asked::Command(_))), "{asked:?}");
        }
    }
}

/// Names of members that hold one of a list, and of those whose members are names.
const WORDS: [&str; 8] = ["category", "verdict", "change", "action", "severity", "floor", "kind", "server"];
const MAPS: [&str; 4] = ["dropped", "rejected", "arguments", "reasons"];

/// As a newer version might say it: members that this one does not know in every object, and other words.
fn newer(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(newer),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if WORDS.contains(&name.as_str()) && value.is_string() {
                    *value = json!("a_newer_word");
                } else if !(MAPS.contains(&name.as_str()) && value.is_object()) {
                    newer(value);
                }
            }
            members.insert("zz_newer".into(), json!({ "deep": [1, { "text": null }] }));
        }
        _ => {}
    }
}

fn renewed(payload: &[u8]) -> Vec<u8> {
    let mut value = value(payload);
    newer(&mut value);
    if value["payload"]["alerts"].is_array() {
        value["payload"]["alerts"][0]["status"] = json!("a_newer_word");
    }
    if let Some(events) = value["payload"]["events"].as_array_mut() {
        // A body of which this version has never heard.
        events.push(
            json!({ "source": "pi", "id": [0, 99], "dns": { "question": "example.org", "answers": [1.5, true] } }),
        );
    }
    value.to_string().into_bytes()
}

#[test]
fn what_a_newer_version_adds_is_kept_as_text_or_ignored() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    for link in LINKS {
        let [up, down] =
            conversation(&folder, link).map(|said| said.iter().map(|one| renewed(one)).collect::<Vec<_>>());
        receive(&up, &down);
        let asked = send(&down);
        let results: Vec<&Results> = asked
            .iter()
            .filter_map(|output| if let Asked::Results(results) = output { Some(results) } else { None })
            .collect();
        let alert = &results[0].alerts[0];
        assert_eq!((alert.category.as_str(), alert.status.as_str()), ("a_newer_word", "a_newer_word"));
        assert_eq!(alert.severity, nms_proto::severity::Severity::High, "somebody is to look");
        let command =
            asked.iter().find_map(|output| if let Asked::Command(command) = output { Some(command) } else { None });
        assert_eq!(command.unwrap().action, CommandAction::Other("a_newer_word".into()));
        // A hub that is older than its agent passes on what it cannot read.
        for payload in &up {
            let Message::Batch(batch) = read(payload) else { continue };
            let last = batch.events.last().unwrap();
            let Body::Other(newer) = &last.body else { panic!("{last:?}") };
            assert_eq!(&*newer.name, "dns");
            let again = value(&written(&Message::Batch(batch.clone())));
            let events = again["payload"]["events"].as_array().unwrap();
            assert_eq!(events.last().unwrap()["dns"], json!({ "question": "example.org", "answers": [1.5, true] }));
        }
    }
    for way in [Way::Up, Way::Down] {
        for payload in payloads(&folder.join(format!("dash.{}.frames", way.word()))) {
            let mut value = value(&payload);
            newer(&mut value["payload"]);
            dash_again(way, value.to_string().as_bytes());
        }
    }
}

/// An event without any body is still refused, and one whose unknown body is too long keeps its name.
#[test]
fn an_unknown_body_has_its_bounds() {
    let batch = |event: &Value| {
        let payload = json!({ "batch": 1, "origins": [INSTANCE.to_string()], "events": [event] });
        let text =
            json!({ "type": "BATCH_EVENT", "timestamp": "2026-01-05T14:30:00Z", "payload": payload }).to_string();
        message::read(&mut Decoder::default(), text.as_bytes(), NOW)
    };
    let none = batch(&json!({ "source": "pi", "id": [0, 1], "newer": 7 })).unwrap_err().to_string();
    assert!(none.contains("exactly one of"), "{none}");
    let long = json!({ "source": "pi", "id": [0, 1], "dns": { "text": "x".repeat(70_000) } });
    let Message::Batch(batch) = batch(&long).unwrap() else { panic!("no batch") };
    assert_eq!(batch.cut, 1);
    let Body::Other(newer) = &batch.events[0].body else { panic!("no body of a newer peer") };
    assert_eq!((&*newer.name, newer.content.to_string().as_str()), ("dns", "{}"));
}
