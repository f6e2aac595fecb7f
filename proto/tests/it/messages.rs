//! Messages: round trips of every type, the documented examples, and what is refused by which field.

use nms_proto::event::{Body, Event, Syslog};
use nms_proto::id::{BatchSeq, EndpointId, EventId, EventSeq, Instance};
use nms_proto::json::Decoder;
use nms_proto::limits::{FRAME_BYTES_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX};
use nms_proto::message::{
    self, Ack, AckConfig, AckStatus, Batch, BatchBuilder, Command, CommandAction, Heartbeat, Message, Register, Single,
    Skipped, batch_frame,
};
use nms_proto::time::Stamp;
use proptest::prelude::*;

const NOW: Stamp = Stamp { unix_ms: 1_767_623_400_000, offset_min: 60 };

fn read(text: &str) -> Result<Message, String> {
    message::read(&mut Decoder::default(), text.as_bytes(), NOW).map_err(|error| error.to_string())
}

fn again(message: &Message) -> Message {
    let frame = message.to_frame(NOW).unwrap();
    message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap()
}

fn syslog(seq: u64, text: &str) -> Event {
    Event {
        id: EventId { instance: Instance([7; 16]), seq: EventSeq(seq) },
        source: EndpointId::new("192.168.1.101"),
        at: NOW,
        device_at: None,
        host: Some("pi".into()),
        raw: None,
        body: Body::Syslog(Syslog {
            facility: 4,
            severity: 5,
            app: Some("sshd".into()),
            pid: Some("12345".into()),
            message: text.into(),
            ..Syslog::default()
        }),
    }
}

#[test]
fn every_small_type_comes_back() {
    let register = Register { hostname: "home-hub".into(), next: Some(BatchSeq(812)), ..Register::default() };
    let beat = Heartbeat { dropped: [("udp".into(), 7)].into(), heartbeat: Some(120), ..Heartbeat::default() };
    let command = Command {
        command_id: "cmd-123".into(),
        action: CommandAction::RequestFimReport,
        target: "192.168.1.101".into(),
        arguments: [("scope".into(), "all".into())].into(),
    };
    let busy =
        Ack { retry_after_ms: Some(500), config: Some(AckConfig::default()), ..Ack::new(AckStatus::Busy, "full") };
    for message in
        [Message::Register(register), Message::Heartbeat(beat), Message::Command(command), Message::Ack(busy)]
    {
        assert_eq!(again(&message), message);
    }
}

#[test]
fn the_documented_examples_are_read() {
    let ack = r#"{"type":"ACK","timestamp":"2026-01-05T14:30:00Z","payload":{"status":"ok","message":"registration successful","config":{"heartbeat_interval":30,"batch_size":64,"window":64},"batch":811}}"#;
    assert!(matches!(read(ack).unwrap(), Message::Ack(ack) if ack.batch == Some(BatchSeq(811))));
    let results = r#"{"type":"RESULTS","timestamp":"2026-01-05T14:30:06Z","payload":{"seq":31,"alerts":[{"id":"a-7c1e","revision":2,"severity":"HIGH","source":"192.168.1.101","category":"brute_force","message":"password guessing for root from 10.0.0.50","confidence":0.94,"status":"open","count":37}],"stats":{"events_processed":64,"anomalies_detected":1,"processing_time_ms":4}}}"#;
    assert!(matches!(read(results).unwrap(), Message::Results(results) if results.alerts[0].count == 37));
    let batch = r#"{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:05Z","payload":{"batch":812,"origins":["5f0c0000000000000000000000000000"],"events":[{"source":"192.168.1.101","id":[0,90112],"at":"2026-01-05T15:30:04.812+01:00","host":"pi","syslog":{"facility":4,"severity":5,"app":"sshd","pid":12345,"message":"Failed password for root from 10.0.0.50 port 40022 ssh2"}}]}}"#;
    let Message::Batch(batch) = read(batch).unwrap() else { panic!("not a batch") };
    assert_eq!(batch.events[0].id.to_string(), "5f0c0000000000000000000000000000:90112");
}

#[test]
fn members_may_come_in_any_order_and_unknown_ones_are_ignored() {
    let text = r#"{"new":[{}],"payload":{"command_id":"c","action":"levitate","target":"t","extra":1},"timestamp":"2026-01-05T14:30:00Z","type":"COMMAND"}"#;
    let Message::Command(command) = read(text).unwrap() else { panic!("not a command") };
    assert_eq!(command.action, CommandAction::Other("levitate".into()), "a newer peer's word is kept");
}

#[test]
fn an_original_batch_without_numbers_is_taken() {
    let text = r#"{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:00Z","payload":{"events":[{"source":"a","syslog":{"facility":1,"severity":6,"message":"hello"}}]}}"#;
    let Message::Batch(batch) = read(text).unwrap() else { panic!("not a batch") };
    assert_eq!((batch.batch, batch.events[0].at, batch.events[0].id.instance), (None, NOW, Instance::UNNAMED));
}

#[test]
fn a_refusal_names_the_field() {
    let refused = |text: &str| read(text).unwrap_err();
    let deep = "[".repeat(33);
    assert_eq!(refused(&deep), "JSON nested deeper than 32 levels");
    assert!(refused("{}").contains("type"));
    assert!(refused(r#"{"type":"SHOUT","timestamp":"2026-01-05T14:30:00Z","payload":{}}"#).contains("SHOUT"));
    assert!(refused(r#"{"type":"ACK","payload":{"status":"ok"}}"#).contains("timestamp"));
    let wrong = r#"{"type":"HEARTBEAT","timestamp":"2026-01-05T14:30:00Z","payload":{"uptime_seconds":"long","events_queued":1,"endpoints_connected":1}}"#;
    assert!(refused(wrong).contains("payload.uptime_seconds"), "{}", refused(wrong));
    let index = r#"{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:00Z","payload":{"origins":[],"events":[{"source":"a","id":[0,1],"syslog":{"facility":1,"severity":6,"message":""}}]}}"#;
    assert!(refused(index).contains("payload.events[0].id"));
    let two = r#"{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:00Z","payload":{"events":[{"source":"a","loss":{"source":"a","cause":"b","count":1},"syslog":{"facility":1,"severity":6,"message":""}}]}}"#;
    assert!(refused(two).contains("exactly one of"));
    let range = r#"{"type":"BATCH_EVENT","timestamp":"2026-01-05T14:30:00Z","payload":{"events":[{"source":"a","syslog":{"facility":24,"severity":6,"message":""}}]}}"#;
    assert!(refused(range).contains("facility"));
}

#[test]
fn the_hash_is_of_the_content_alone() {
    let mut builder = BatchBuilder::default();
    builder.push_group(&[syslog(1, "one")]).unwrap();
    let (header, content) = builder.finish();
    assert_eq!((header.events, header.counts.len()), (1, 1));
    let skipped = [Skipped { from: BatchSeq(1), to: BatchSeq(4), events: 9, cause: "spool_full".into() }];
    let hash = |seq, skipped: &[Skipped]| {
        let frame = batch_frame(BatchSeq(seq), NOW, skipped, &content).unwrap();
        let message = message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap();
        let Message::Batch(batch) = message else { panic!("not a batch") };
        (batch.content_hash, batch.skipped.len())
    };
    assert_eq!(hash(5, &skipped), (hash(6, &[]).0, 1));
    builder.push_group(&[syslog(1, "two")]).unwrap();
    let (_, other) = builder.finish();
    assert_ne!(other, content);
}

#[test]
fn what_is_longer_than_is_kept_is_cut_where_it_comes_in_and_counted() {
    let mut long = syslog(1, &"\u{e9}".repeat(350_000));
    long.host = Some("h".repeat(300).into());
    long.raw = Some(vec![0xff; LINE_BYTES_MAX + 1].into());
    let Body::Syslog(line) = &mut long.body else { panic!("no line") };
    (line.app, line.pid) = (Some("a".repeat(256).into()), Some("p".repeat(255).into()));
    line.structured_data = Some("d".repeat(LINE_BYTES_MAX + 1).into());
    let events = [long.clone(), syslog(2, &"x".repeat(LINE_BYTES_MAX))];
    let mut builder = BatchBuilder::default();
    builder.push_group(&events).unwrap();
    let frame = batch_frame(BatchSeq(3), NOW, &[], &builder.finish().1).unwrap();
    assert!(frame.len() > 900_000 && frame.len() < FRAME_BYTES_MAX, "{}", frame.len());
    let message = message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap();
    let Message::Batch(batch) = message else { panic!("not a batch") };
    assert_eq!((batch.cut, &batch.events[1]), (1, &events[1]), "what just fits is whole");
    let Body::Syslog(line) = &batch.events[0].body else { panic!("no line") };
    let names = [batch.events[0].host.as_deref(), line.app.as_deref(), line.pid.as_deref()];
    assert_eq!(names.map(|name| name.map(str::len)), [Some(NAME_BYTES_MAX); 3]);
    let texts = [line.message.len(), line.structured_data.as_deref().unwrap().len()];
    assert_eq!((texts, batch.events[0].raw.as_deref().unwrap().len()), ([LINE_BYTES_MAX; 2], LINE_BYTES_MAX));
    let alone = Message::Event(Box::new(Single { event: long, is_cut: false }));
    assert!(matches!(again(&alone), Message::Event(single) if single.is_cut));
}

fn event() -> impl Strategy<Value = Event> {
    (
        "\\PC{0,60}",
        any::<u64>(),
        proptest::option::of("\\PC{1,9}"),
        0u8..24,
        0u8..8,
        proptest::option::of(any::<Vec<u8>>()),
    )
        .prop_map(|(text, seq, pid, facility, severity, raw)| {
            let mut event = syslog(seq, &text);
            event.raw = raw.map(Vec::into_boxed_slice);
            if let Body::Syslog(line) = &mut event.body {
                line.pid = pid.map(Into::into);
                (line.facility, line.severity) = (facility, severity);
            }
            event
        })
}

proptest! {
    #[test]
    fn batches_come_back_as_they_went(events in proptest::collection::vec(event(), 1..20)) {
        let mut builder = BatchBuilder::default();
        for event in &events {
            builder.push_group(std::slice::from_ref(event)).unwrap();
        }
        let (header, content) = builder.finish();
        prop_assert_eq!(header.events as usize, events.len());
        let frame = batch_frame(BatchSeq(3), NOW, &[], &content).unwrap();
        let message = message::read(&mut Decoder::default(), &frame[4..], NOW).unwrap();
        let Message::Batch(batch) = message else { panic!("not a batch") };
        prop_assert_eq!(&batch.events, &events);
        let twin = again(&Message::Batch(batch.clone()));
        prop_assert_eq!(twin, Message::Batch(Batch { ..batch }));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(message::read(&mut Decoder::default(), &bytes, NOW).is_err());
    }

    #[test]
    fn broken_messages_are_refused_without_a_panic(at in 0usize..400, byte: u8) {
        let mut builder = BatchBuilder::default();
        builder.push_group(&[syslog(1, "Failed password for root")]).unwrap();
        let mut frame = batch_frame(BatchSeq(3), NOW, &[], &builder.finish().1).unwrap();
        let place = 4 + at % (frame.len() - 4);
        frame[place] = byte;
        let _ = message::read(&mut Decoder::default(), &frame[4..], NOW);
    }
}
