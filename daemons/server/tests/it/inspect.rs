//! What a person asks of the store: the same answer from the server that runs and from its files.

use nms_kit::{
    control::{self, ControlError, Request},
    store::log::{Entry as LogEntry, Log, LogSettings},
};
use nms_proto::{
    event::Event,
    id::BatchSeq,
    message::{AckStatus, BatchBuilder},
};
use nmsd_server::{
    inspect::{self, Inspection},
    store::look::Look,
};
use serde_json::Value;

use crate::{
    stage::Stage,
    world::{HUB, OTHER_HUB, START_MS, failure, run, tenant_id},
};

fn dump(tenant: &str) -> Inspection {
    Inspection::LogDump { tenant: tenant_id(tenant) }
}

/// What the files say while no server runs: the lines, and the complaint at their end.
fn offline(folder: &std::path::Path, what: &Inspection) -> (Vec<String>, Result<(), String>) {
    let mut lines = Vec::new();
    let end = inspect::print(&Look::open(folder).unwrap(), what, |line| {
        lines.push(line);
        true
    });
    (lines, end)
}

/// The same of the server that runs.
async fn online(stage: &Stage, request: &Request) -> (Vec<String>, Result<(), String>) {
    let mut lines = Vec::new();
    let end = match control::ask(&stage.control, request, |line| lines.push(line.to_owned())).await {
        Err(ControlError::Refused(words)) => Err(words),
        other => {
            other.unwrap();
            Ok(())
        }
    };
    (lines, end)
}

fn content(events: &[Event]) -> String {
    let mut builder = BatchBuilder::default();
    for event in events {
        builder.push_group(std::slice::from_ref(event)).unwrap();
    }
    String::from_utf8(builder.finish().1).unwrap()
}

#[test]
fn the_log_is_dumped_as_it_came_whether_the_server_runs_or_not() {
    let stage = Stage::set();
    let asked = Request::new("log dump").with("tenant", "home");
    let said = smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send_batch(1, &run(HUB)).await;
        hub.results().await;
        hub.send_batch(2, &[failure(HUB, 9, 0)]).await;
        assert_eq!(hub.ack().await.batch, Some(BatchSeq(2)));
        let mut other = stage.hub("work", OTHER_HUB, 0).await;
        other.send_batch(1, &[failure(OTHER_HUB, 1, 0)]).await;
        assert_eq!(other.ack().await.status, AckStatus::Ok);
        let (_, refused) = online(&stage, &asked.clone().with("tenant", "nobody")).await;
        assert_eq!(refused.unwrap_err(), "nothing is kept of tenant nobody; tenants that are: home, work");
        assert_eq!(online(&stage, &Request::new("log dump")).await.1.unwrap_err(), "log dump needs tenant");
        online(&stage, &asked).await
    });
    let (lines, end) = &said;
    assert_eq!((lines.len(), end), (2, &Ok(())), "{lines:?}");
    for (at, events) in [run(HUB), vec![failure(HUB, 9, 0)]].iter().enumerate() {
        let number = at + 1;
        let (head, rest) = lines[at].split_once(",\"origins\"").unwrap();
        assert_eq!(format!("\"origins\"{rest}"), content(events) + "}", "the bytes as they came");
        let head: Value = serde_json::from_str(&format!("{head}}}")).unwrap();
        assert_eq!((&head["seq"], &head["batch"]), (&number.into(), &number.into()));
        assert_eq!(head["hub"], "01".repeat(16));
        assert!(head["arrived"].as_str().unwrap().ends_with('Z'), "{head}");
        serde_json::from_str::<Value>(&lines[at]).unwrap();
    }
    let folder = stage.end();
    assert_eq!(offline(folder.path(), &dump("home")), said);
    assert_eq!(offline(folder.path(), &dump("work")).0.len(), 1);
}

/// Line feeds in exported records: a hub may put them between the members of its batches, and what stands between two of
/// them may look like a record.
#[test]
fn a_hubs_line_feeds_forge_no_record_of_a_dump() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        let forged = "{\"seq\":99,\"hub\":\"forged\",\"batch\":7}";
        let event = format!(
            "{{\"x\":\n{forged}\n,\"source\":\"a\u{202e}\u{9b}2J\",\"loss\":{{\"source\":\"a\",\"cause\":\"b\",\"count\":1}}}}"
        );
        let batch = format!(
            r#"{{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:00Z","payload":{{"batch":1,"origins":[],"events":[{event}]}}}}"#
        );
        hub.send_bytes(batch.as_bytes()).await;
        let ack = hub.ack().await;
        assert_eq!((ack.status, ack.batch), (AckStatus::Ok, Some(BatchSeq(1))), "{}", ack.message);
    });
    let folder = stage.end();
    let (lines, end) = offline(folder.path(), &dump("home"));
    assert_eq!((lines.len(), end), (1, Ok(())));
    assert!(lines[0].contains("forged") && !lines[0].contains(['\n', '\r', '\u{202e}', '\u{9b}']), "{:?}", lines[0]);
    let record: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&record["seq"], &record["events"][0]["source"]), (&1.into(), &"a\u{202e}\u{9b}2J".into()));
}

#[test]
fn what_is_no_batch_is_named_in_its_place_and_a_lost_segment_is_complained_of() {
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("log");
    std::fs::create_dir(&segments).unwrap();
    let header = [&[1][..], &HUB.0, &[0; 8], &START_MS.to_be_bytes()].concat();
    let sound = LogEntry { tenant: 7, header, value: content(&[failure(HUB, 1, 0)]).into_bytes() };
    let torn = LogEntry { value: b"\"origins\":[],\"events\":[{\"id\"".to_vec(), ..sound.clone() };
    let log = Log::open(&segments, LogSettings::with_cache(1 << 20), START_MS).unwrap();
    let key = [0_u32.to_be_bytes(), 7_u32.to_be_bytes()].concat();
    log.keep(vec![(key, b"home".to_vec())]).unwrap();
    for day in 0..2 {
        let (done, durable) = std::sync::mpsc::channel();
        let entries = [torn.clone(), sound.clone()];
        let told = Box::new(move |result| done.send(result).unwrap());
        log.append(&entries, Vec::new(), START_MS + day * 86_400_000, told).unwrap();
        durable.recv().unwrap().unwrap();
    }
    drop(log);
    let (lines, end) = offline(folder.path(), &dump("home"));
    assert_eq!((lines.len(), end), (4, Ok(())));
    assert_eq!((&*lines[0], &*lines[2]), ("{\"seq\":1,\"damaged\":true}", "{\"seq\":3,\"damaged\":true}"));
    let original: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((&original["batch"], &original["arrived"]), (&Value::Null, &"2026-01-05T14:30:00.000Z".into()));

    let mut files: Vec<_> = std::fs::read_dir(&segments).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "redb"));
    files.sort();
    std::fs::write(&files[0], vec![0x55; 50_000]).unwrap();
    let (lines, end) = offline(folder.path(), &dump("home"));
    assert_eq!(lines.len(), 2);
    let end = end.unwrap_err();
    assert!(end.starts_with("the dump is not whole") && end.contains(files[0].to_str().unwrap()), "{end}");
    let left: Vec<_> = std::fs::read_dir(&segments).unwrap().collect();
    assert_eq!(left.len(), 3, "two segments and the reserve that were there: looking makes nothing");
}

/// Flips a bit of the first place in a file that holds `pattern`.
fn flip(file: &std::path::Path, pattern: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

fn json(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn everything_is_verified_whether_the_server_runs_or_not_and_damage_is_named() {
    let stage = Stage::set();
    let said = smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send_batch(1, &run(HUB)).await;
        hub.results().await;
        hub.send_batch(2, &[failure(HUB, 9, 0), failure(HUB, 10, 0)]).await;
        hub.ack().await;
        online(&stage, &Request::new("verify")).await
    });
    assert_eq!(said.1, Ok(()));
    let lines = json(&said.0);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        (&lines[0]["tenant"], &lines[0]["batches"], &lines[0]["events"]),
        (&"home".into(), &2.into(), &8.into())
    );
    assert_eq!((&lines[0]["alerts"], &lines[0]["results_owed"]), (&1.into(), &1.into()));
    assert_eq!(lines[1]["files"][0]["file"], "state.redb");
    assert_eq!(lines[1]["closed"], Value::Array(Vec::new()));

    let folder = stage.end();
    let (lines, end) = offline(folder.path(), &Inspection::Verify);
    let lines = json(&lines);
    assert_eq!(end, Ok(()), "{lines:?}");
    assert_eq!(
        (&lines[0]["last"], &lines[0]["analysed"], &lines[0]["snapshot"]),
        (&2.into(), &2.into(), &"sound".into())
    );
    let segment = folder.path().join(lines[1]["files"][1]["file"].as_str().unwrap());

    // A batch, and an alert.
    flip(&segment, b"Failed password");
    flip(&folder.path().join("state.redb"), b"guessing for root");
    let (lines, end) = offline(folder.path(), &Inspection::Verify);
    let lines = json(&lines);
    assert_eq!((&lines[0]["batches"], lines[0]["damaged"].as_array().unwrap().len()), (&1.into(), 1), "{lines:?}");
    let damaged = |file: usize| lines[1]["files"][file]["damaged"].clone();
    assert_eq!((damaged(0), damaged(1)), (1.into(), 1.into()), "{lines:?}");
    let end = end.unwrap_err();
    assert!(end.starts_with("not everything is sound (damaged rows: 2, batches that cannot be read: 1); "), "{end}");
    let named = lines[1]["files"][1]["rows_damaged"][0].as_str().unwrap();
    assert!(named.starts_with("log.entries.v1 00000001"), "{named}");
}
