//! The whole server on a loopback socket: TLS, sessions, results, commands.

use nms_kit::{
    clock,
    control::{self, ControlError, Request},
    net::tcp,
};
use nms_proto::{
    event::{Body, Change, Event, FileChange, FileReport},
    id::BatchSeq,
    limits::{FRAME_BYTES_MAX, REGISTER_BYTES_MAX},
    message::{Ack, AckStatus, CommandAction, Heartbeat, Message},
};
use smol::io::AsyncWriteExt as _;

use crate::{
    stage::Stage,
    world::{HUB, OTHER_HUB, failure, run, tenant_id},
};

#[test]
fn a_guessing_run_becomes_an_alert_that_stays_owed_until_it_is_acknowledged() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send_batch(1, &run(HUB)).await;
        let ack = hub.ack().await;
        assert_eq!((ack.status, ack.batch), (AckStatus::Ok, Some(BatchSeq(1))));
        let results = hub.results().await;
        assert_eq!((results.seq, results.alerts[0].id.as_str()), (Some(1), "a-0000000000000001"));
        assert!(results.alerts[0].model.is_some());
        drop(hub);
        let mut again = stage.hub("home", HUB, 1).await;
        assert_eq!(again.results().await.alerts, results.alerts);
        again.send(Message::Ack(Ack { results: Some(1), ..Ack::ok() })).await;
        again.send(Message::Heartbeat(Heartbeat { heartbeat: Some(7), ..Heartbeat::default() })).await;
        assert_eq!(again.ack().await.heartbeat, Some(7), "and nothing else is owed");
    });
    stage.end();
}

#[test]
fn what_was_acknowledged_is_known_after_a_restart_and_sent_twice_is_stored_once() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send_batch(1, &[failure(HUB, 1, 0)]).await;
        assert_eq!(hub.ack().await.batch, Some(BatchSeq(1)));
    });
    let stage = Stage::set_in(stage.end());
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 1).await;
        hub.send_batch(1, &[failure(HUB, 1, 0)]).await;
        assert_eq!(hub.ack().await.batch, Some(BatchSeq(1)));
        hub.send_batch(1, &[failure(HUB, 2, 0)]).await;
        let refusal = hub.ack().await;
        assert_eq!((refusal.status, &*refusal.message), (AckStatus::Error, "batch number reused by another sender"));
        assert_eq!(hub.next().await, None);
    });
    let tenant = stage.running.tenants.known(&tenant_id("home")).unwrap();
    assert_eq!((tenant.counts().taken, tenant.counts().duplicates, tenant.counts().reused), (0, 1, 1));
    drop(tenant);
    stage.end();
}

#[test]
fn a_second_connection_of_an_instance_ends_the_first() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut first = stage.hub("home", HUB, 0).await;
        let mut second = stage.hub("home", HUB, 0).await;
        assert_eq!(first.next().await, None);
        second.send_batch(1, &[failure(HUB, 1, 0)]).await;
        assert_eq!(second.ack().await.batch, Some(BatchSeq(1)));
    });
    let tenant = stage.running.tenants.known(&tenant_id("home")).unwrap();
    assert_eq!(tenant.hubs().replaced(), 1);
    drop(tenant);
    stage.end();
}

#[test]
fn tenants_do_not_see_each_other_even_under_one_instance() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut home = stage.hub("home", HUB, 0).await;
        let mut work = stage.hub("work", HUB, 0).await;
        home.send_batch(1, &run(HUB)).await;
        home.results().await;
        work.send(Message::Heartbeat(Heartbeat { heartbeat: Some(1), ..Heartbeat::default() })).await;
        assert_eq!(work.ack().await.heartbeat, Some(1), "no RESULTS, no end");
        work.send_batch(1, &[failure(HUB, 1, 0)]).await;
        assert_eq!(work.ack().await.batch, Some(BatchSeq(1)), "its own numbers");
    });
    stage.end();
}

#[test]
fn strangers_and_garbage_are_turned_away_by_name_and_counted() {
    let stage = Stage::set();
    smol::block_on(async {
        for (token, words) in [(Some("wrong"), "unknown token"), (None, "no token")] {
            let mut peer = stage.peer().await;
            peer.register(token, Some(OTHER_HUB)).await;
            let ack = peer.ack().await;
            assert_eq!(ack.status, AckStatus::Error);
            assert!(ack.message.contains(words), "{}", ack.message);
            assert_eq!(peer.next().await, None);
        }
        let mut peer = stage.peer().await;
        peer.send_bytes(b"{x").await;
        assert_eq!(peer.ack().await.status, AckStatus::Error);
        let deep = "[".repeat(40);
        let unknown = r#"{"type":"DANCE","timestamp":"2026-01-05T14:30:00Z","payload":{}}"#;
        let wrong = r#"{"type":"HEARTBEAT","timestamp":"2026-01-05T14:30:00Z","payload":{"heartbeat":"x"}}"#;
        for bytes in [deep.as_str(), unknown, wrong, ""] {
            let mut hub = stage.hub("work", OTHER_HUB, 0).await;
            hub.send_bytes(bytes.as_bytes()).await;
            assert_eq!(hub.ack().await.status, AckStatus::Error);
            assert_eq!(hub.next().await, None);
        }
        let mut plain = tcp::dial(&stage.running.address.to_string()).await.unwrap();
        plain.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        smol::io::AsyncReadExt::read_to_end(&mut plain, &mut answer).await.ok();
        assert!(!answer.starts_with(b"HTTP"));
        let mut hub = stage.hub("home", HUB, 0).await;
        hub.send(Message::Heartbeat(Heartbeat { heartbeat: Some(1), ..Heartbeat::default() })).await;
        assert_eq!(hub.ack().await.heartbeat, Some(1), "others do not notice");
        let mut lines = Vec::new();
        control::ask(&stage.control, &Request::new("status"), |line| lines.push(line.to_owned())).await.unwrap();
        assert!(lines[0].contains("\"strangers\":2"), "{lines:?}");
        assert!(lines[0].contains("\"handshakes_failed\":1"), "{lines:?}");
        let refused = r#""refused":{"frame_empty":1,"json_too_deep":1,"not_json":1,"stranger":2,"unknown_type":1,"wrong_field":1}"#;
        assert!(lines[0].contains(refused), "{lines:?}");
        assert!(lines[1].contains("\"tenant\":\"home\"") && lines[1].contains("\"refused\":{}"), "{lines:?}");
        let refused = r#""refused":{"frame_empty":1,"json_too_deep":1,"unknown_type":1,"wrong_field":1}"#;
        assert!(lines[2].contains("\"tenant\":\"work\"") && lines[2].contains(refused), "{lines:?}");
    });
    stage.end();
}

fn row(seq: u64, id: &str, body: impl Fn(Box<str>) -> Body) -> Event {
    Event { body: body(id.into()), ..failure(HUB, seq, 0) }
}

fn file_row(command_id: Box<str>) -> Body {
    Body::File(Box::new(FileChange {
        path: "/etc/passwd".into(),
        change: Change::Report,
        old_sha256: None,
        new_sha256: Some("ab".into()),
        owner: None,
        group: None,
        mode: None,
        size: None,
        inode: None,
        mtime: None,
        sessions: Vec::new(),
        package_manager: false,
        command_id: Some(command_id),
    }))
}

fn report_end(command_id: Box<str>) -> Body {
    Body::Report(Box::new(FileReport { command_id, files: 1, changed: 0, unreadable: 0 }))
}

#[test]
fn a_report_is_asked_of_the_tenants_hub_and_its_rows_are_printed_as_they_come() {
    let stage = Stage::set();
    let request = Request::new("command").with("action", "request_fim_report").with("tenant", "home");
    let request = request.with("target", "pi").with("json", "true");
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        let mut lines = Vec::new();
        let asked = control::ask(&stage.control, &request, |line| lines.push(line.to_owned()));
        let answered = async {
            let Some(Message::Command(command)) = hub.next().await else { panic!("no command") };
            assert_eq!((&command.action, &*command.target), (&CommandAction::RequestFimReport, "pi"));
            hub.send_batch(1, &[row(1, &command.command_id, file_row), row(2, "cmd-other", file_row)]).await;
            hub.send_batch(2, &[row(3, &command.command_id, report_end)]).await;
        };
        let (asked, ()) = smol::future::zip(asked, answered).await;
        asked.unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("/etc/passwd") && lines[1].contains("\"files\":1"), "{lines:?}");
    });
    stage.end();
}

#[test]
fn a_slow_reader_of_a_report_is_told_what_was_left_out_and_hears_the_end() {
    const BATCHES: u64 = 9;
    const EACH: u64 = 1_000;
    let stage = Stage::set();
    let request = Request::new("command").with("action", "request_fim_report").with("tenant", "home");
    let request = request.with("target", "pi").with("json", "true");
    smol::block_on(async {
        let mut hub = stage.hub("home", HUB, 0).await;
        let mut lines = Vec::new();
        let asked = control::ask(&stage.control, &request, |line| lines.push(line.to_owned()));
        let mut asked = Box::pin(asked);
        let command = loop {
            // It asks, and then reads nothing until everything came.
            assert!(smol::future::poll_once(&mut asked).await.is_none());
            let next = async { Some(hub.next().await) };
            let moment = async {
                clock::pause(20).await;
                None
            };
            match smol::future::or(next, moment).await {
                Some(Some(Message::Command(command))) => break command,
                None => {}
                other => panic!("{other:?}"),
            }
        };
        for number in 1..=BATCHES {
            let rows: Vec<Event> =
                (0..EACH).map(|seq| row(number * EACH + seq, &command.command_id, file_row)).collect();
            hub.send_batch(number, &rows).await;
            assert_eq!(hub.ack().await.status, AckStatus::Ok);
        }
        hub.send_batch(BATCHES + 1, &[row(99_999, &command.command_id, report_end)]).await;
        assert_eq!(hub.ack().await.status, AckStatus::Ok);
        asked.await.unwrap();
        let end = lines.pop().unwrap();
        assert!(end.contains("\"report\""), "{end}");
        let omitted: u64 =
            lines.pop().unwrap().strip_prefix("{\"omitted\":").unwrap().trim_end_matches('}').parse().unwrap();
        assert!(omitted > 0 && lines.iter().all(|line| line.contains("/etc/passwd")));
        assert_eq!(lines.len() as u64 + omitted, BATCHES * EACH);
    });
    stage.end();
}

#[test]
fn a_command_that_cannot_be_carried_out_says_why() {
    let stage = Stage::set();
    let request = Request::new("command").with("action", "request_fim_report").with("target", "pi");
    smol::block_on(async {
        let refused = async |request: &Request| match control::ask(&stage.control, request, |_| ()).await {
            Err(ControlError::Refused(words)) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&request).await, "command needs tenant");
        let request = request.with("tenant", "home");
        assert!(refused(&request).await.contains("no hub of tenant home"));
        let mut hub = stage.hub("home", HUB, 0).await;
        let hub_says = async {
            let Some(Message::Command(command)) = hub.next().await else { panic!("no command") };
            let refusal = Ack::new(AckStatus::Error, "pi is not connected");
            hub.send(Message::Ack(Ack { command_id: Some(command.command_id), ..refusal })).await;
        };
        let (words, ()) = smol::future::zip(refused(&request), hub_says).await;
        assert!(words.contains("pi is not connected"), "{words}");
        let block = Request::new("command").with("action", "block_ip").with("tenant", "home").with("target", "x");
        assert!(refused(&block).await.contains("only request_fim_report"));
        assert!(refused(&Request::new("dance")).await.contains("unknown verb"));
    });
    stage.end();
}

#[test]
fn before_it_is_registered_a_peer_may_say_little_and_the_rest_waits() {
    let stage = Stage::set();
    smol::block_on(async {
        let mut stranger = stage.peer().await;
        stranger.send_bytes(&vec![b' '; REGISTER_BYTES_MAX + 1]).await;
        assert_eq!(&*stranger.ack().await.message, "frame of 65537 bytes, at most 65536 are taken");
        // What a stranger says behind its REGISTER is never looked at.
        let mut stranger = stage.peer().await;
        stranger.register(Some("nobody"), Some(HUB)).await;
        stranger.send_bytes(b"no JSON").await;
        let refused = stranger.ack().await;
        assert!(!refused.message.contains("field"), "{}", refused.message);
        assert_eq!(stranger.next().await, None);
        // A hub may say it at once, and then as much as a frame holds.
        let mut hub = stage.peer().await;
        hub.register(Some("home"), Some(HUB)).await;
        let padded = format!(
            r#"{{"type":"HEARTBEAT","timestamp":"2026-01-05T14:30:00Z","payload":{{"uptime_seconds":1,"events_queued":0,"endpoints_connected":0,"heartbeat":7}}{}}}"#,
            " ".repeat(FRAME_BYTES_MAX / 2)
        );
        hub.send_bytes(padded.as_bytes()).await;
        assert_eq!(hub.ack().await.status, AckStatus::Ok);
        assert_eq!(hub.ack().await.heartbeat, Some(7));
    });
    stage.end();
}

/// A peer's file name or path used: what it calls itself, its source and a file is text here, and no name of a file.
#[test]
fn a_peers_path_is_never_a_file_of_ours() {
    let stage = Stage::set();
    let before = names_below(stage.folder.path());
    smol::block_on(async {
        for token in ["../evil", "/tmp/evil", "home/../evil", "evil\0"] {
            let mut stranger = stage.peer().await;
            stranger.register(Some(token), Some(OTHER_HUB)).await;
            assert_eq!(stranger.ack().await.status, AckStatus::Error, "{token:?}");
            assert!(token.parse::<nms_proto::id::TenantId>().is_err(), "{token:?} is no name of a tenant");
        }
        let mut hub = stage.hub("home", HUB, 0).await;
        let path = "../../../../tmp/evil-file";
        let mut event = failure(HUB, 1, 0);
        event.source = nms_proto::id::EndpointId::new(path);
        event.host = Some(path.into());
        let change = format!(r#"{{"path":"{path}","change":"created","command_id":"{path}"}}"#);
        let change: FileChange = serde_json::from_str(&change).unwrap();
        let mut file = failure(HUB, 2, 0);
        file.body = Body::File(Box::new(change));
        hub.send_batch(1, &[event, file]).await;
        assert_eq!(hub.ack().await.batch, Some(BatchSeq(1)));
    });
    let added: Vec<_> = names_below(stage.folder.path()).into_iter().filter(|name| !before.contains(name)).collect();
    assert!(added.iter().all(|name| !name.contains("evil")), "{added:?}");
    assert!(!std::path::Path::new("/tmp/evil-file").exists() && !std::path::Path::new("/tmp/evil").exists());
    stage.end();
}

fn names_below(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        names.push(entry.path().display().to_string());
        if entry.path().is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names
}
