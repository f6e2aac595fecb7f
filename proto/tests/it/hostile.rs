//! Bad input that peers of this system fell to, class by class (docs/THREAT-MODEL.md, "What peers fell to").

use nms_proto::{
    flow::ledger::Ledger,
    frame::{Direction, FrameError, FrameReader},
    id::EndpointId,
    json::Decoder,
    limits::{
        BATCH_EVENTS_MAX, CAUSES_MAX, FRAME_BYTES_MAX, JSON_DEPTH_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX,
        REGISTER_BYTES_MAX,
    },
    message::{self, Message},
    syslog::{self, Dialect, Received, Splitter},
    time::Stamp,
    unseen::one_line,
};

fn read(text: &str) -> Result<Message, String> {
    message::read(&mut Decoder::default(), text.as_bytes(), Stamp::utc(0)).map_err(|error| error.to_string())
}

/// A message of that type with these members in its payload.
fn of(kind: &str, payload: &str) -> String {
    format!(r#"{{"type":"{kind}","timestamp":"2026-01-05T14:30:00Z","payload":{{{payload}}}}}"#)
}

/// What a reader makes of a frame's four bytes and what follows, one byte at a time.
fn framed(length: u32, body: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let mut reader = FrameReader::new(Direction::Upward);
    reader.limit(max);
    for byte in length.to_be_bytes().iter().chain(body) {
        reader.push(&[*byte]);
        if let Some(frame) = reader.next_frame()? {
            return Ok(Some(frame.len()));
        }
    }
    Ok(None)
}

#[test]
fn frame_counts_of_all_sizes_split_at_every_byte() {
    for max in [REGISTER_BYTES_MAX, FRAME_BYTES_MAX] {
        let most = u32::try_from(max).unwrap();
        assert_eq!(framed(0, b"", max), Err(FrameError::Empty));
        assert_eq!(framed(1, b"x", max), Ok(Some(1)));
        assert_eq!(framed(most, b"x", max), Ok(None), "more is waited for");
        // Refused by the four bytes alone, so that nothing was allocated.
        for length in [most + 1, 1 << 31, u32::MAX] {
            assert_eq!(framed(length, b"", max), Err(FrameError::TooLong { length, max }));
        }
    }
    let whole = vec![b' '; REGISTER_BYTES_MAX];
    assert_eq!(framed(REGISTER_BYTES_MAX as u32, &whole, REGISTER_BYTES_MAX), Ok(Some(REGISTER_BYTES_MAX)));
}

/// The lengths of a stream's messages, `~` behind those that were cut, byte by byte and split once at each byte.
fn messages(stream: &[u8]) -> String {
    let told = |pieces: &[&[u8]]| {
        let (mut splitter, mut told) = (Splitter::default(), Vec::new());
        for piece in pieces {
            let mut chunk = *piece;
            while let Some(frame) = splitter.next_frame(&mut chunk) {
                told.push(format!("{}{}", frame.bytes.len(), if frame.truncated { "~" } else { "" }));
            }
        }
        told.extend(
            splitter.finish().map(|frame| format!("{}{}", frame.bytes.len(), if frame.truncated { "~" } else { "" })),
        );
        told.join(" ")
    };
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    let said = told(&bytes);
    // At every byte where the counts stand, and at some of what is between.
    let cuts = (0..stream.len()).filter(|at| *at < 64 || *at + 64 > stream.len() || at % 4_099 == 0);
    for cut in cuts {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(told(&[head, tail]), said, "split at {cut}");
    }
    said
}

#[test]
fn octet_counts_of_all_sizes_and_digits_without_end_split_at_every_byte() {
    let counted = |count: u64, body: usize| [format!("{count} <").as_bytes(), &vec![b'x'; body - 1]].concat();
    let max = LINE_BYTES_MAX as u64;
    assert_eq!(messages(b"0 <13>a\n<13>b\n"), "7 5", "no count begins with 0: a line");
    assert_eq!(messages(b"1 <1 <"), "1 1");
    assert_eq!(messages(&[counted(max, LINE_BYTES_MAX), b"2 <b".to_vec()].concat()), format!("{max} 2"));
    assert_eq!(messages(&[counted(max + 1, LINE_BYTES_MAX + 1), b"2 <b".to_vec()].concat()), format!("{max}~ 2"));
    for count in [1 << 31, u64::from(u32::MAX), 9_999_999_999] {
        assert_eq!(messages(&counted(count, 40)), "40~", "{count} octets that never come");
        assert_eq!(messages(&counted(count, LINE_BYTES_MAX + 100)), format!("{max}~"));
    }
    assert_eq!(
        messages(&[vec![b'9'; 11], b" <13>a\n".to_vec()].concat()),
        "17",
        "a count of more than 32 bits: a line"
    );
    let endless = vec![b'7'; LINE_BYTES_MAX + 1_000];
    assert_eq!(messages(&endless), format!("{max}~"));
    assert_eq!(messages(&[endless, b"\n<13>a\n".to_vec()].concat()), format!("{max}~ 5"));
}

fn parse(line: &[u8]) -> Result<syslog::Message<'_>, syslog::Reject> {
    syslog::parse(line, &Received { unix_ms: 1_767_623_400_000, utc_offset_s: 0 })
}

#[test]
fn rfc3164_off_by_ones_are_read_or_refused_and_never_beyond_the_end() {
    let pri = |number: &str| parse(format!("<{number}>Jan  5 14:30:00 gate sshd[7]: x").as_bytes()).map(|_| ());
    for number in ["0", "1", "13", "99", "100", "191"] {
        assert_eq!(pri(number), Ok(()), "{number}");
    }
    for number in ["", "192", "199", "200", "999", "1000", "0191", "-1", "+1", " 1", "1 "] {
        assert!(pri(number).is_err(), "{number}");
    }
    // Whether the stamp is believed; the message is taken either way and nothing of its text is lost.
    let stamped = |stamp: &str| {
        let line = format!("<13>{stamp} gate sshd[7]: hello");
        let message = parse(line.as_bytes()).unwrap();
        assert!(message.message.ends_with("hello"), "{stamp}: {message:?}");
        message.device_at.is_some()
    };
    for stamp in ["Jan  1 00:00:00", "Jan 31 23:59:59", "Dec 31 23:59:60", "Jan 01 00:00:00", "Feb 28 12:00:00"] {
        assert!(stamped(stamp), "{stamp}");
    }
    for stamp in [
        "Jan  0 00:00:00",
        "Jan 32 00:00:00",
        "Feb 30 00:00:00",
        "Jan  1 24:00:00",
        "Jan  1 00:60:00",
        "Jan  1 00:00:61",
    ] {
        assert!(!stamped(stamp), "{stamp}");
    }
    // Cut anywhere, and with each byte another one: a message or a reason, and no panic.
    let line = b"<34>Oct 11 22:14:15 mymachine su[4123]: 'su root' failed for lonvick on /dev/pts/8";
    for end in 0..=line.len() {
        parse(&line[..end]).ok();
    }
    for at in 0..line.len() {
        for byte in [0, b' ', b'<', b'>', b'[', b']', b':', b'9', 0x80, 0xff] {
            let mut other = line.to_vec();
            other[at] = byte;
            parse(&other).ok();
        }
    }
    let longest = [b"<13>Jan  5 14:30:00 gate ".as_slice(), &vec![b't'; NAME_BYTES_MAX + 1], b": x"].concat();
    assert_eq!(parse(&longest).map(|message| message.dialect), Ok(Dialect::Rfc3164));
}

#[test]
fn open_types_of_a_peer_are_bounded() {
    // Objects with names of the peer's choice: what is kept of them is bounded, and nothing counts for less.
    let causes: Vec<String> = (0..10_000).map(|number| format!(r#""cause-{number}":1"#)).collect();
    let heartbeat = of(
        "HEARTBEAT",
        &format!(r#""uptime_seconds":1,"events_queued":1,"endpoints_connected":1,"dropped":{{{}}}"#, causes.join(",")),
    );
    let Message::Heartbeat(heartbeat) = read(&heartbeat).unwrap() else { panic!("no heartbeat") };
    assert_eq!(heartbeat.dropped.len(), CAUSES_MAX);
    assert_eq!(heartbeat.dropped.values().sum::<u64>(), 10_000);
    // A word that is not known is kept, and cut.
    let command = of("COMMAND", &format!(r#""command_id":"c","action":"{}""#, "x".repeat(10_000)));
    let Message::Command(command) = read(&command).unwrap() else { panic!("no command") };
    assert!(command.action.as_str().len() <= 64, "{}", command.action.as_str().len());
    // A member that is not known may hold anything, and nothing of it is kept.
    let unknown =
        of("ACK", r#""status":"ok","$type":"System.IO.FileInfo","@class":["a",{"b":{}}],"__proto__":{"x":1}"#);
    assert_eq!(read(&unknown), read(&of("ACK", r#""status":"ok""#)));
    for wrong in [r#""status":{"$type":"x"}"#, r#""status":["ok"]"#, r#""status":7"#, r#""status":"ok","batch":{}"#] {
        assert!(read(&of("ACK", wrong)).unwrap_err().starts_with("field payload."), "{wrong}");
    }
}

#[test]
fn json_depth_is_bounded_before_it_is_decoded() {
    let nested = |levels: usize| {
        of("ACK", &format!(r#""status":"ok","x":{}{}"#, "[".repeat(levels - 2), "]".repeat(levels - 2)))
    };
    assert!(read(&nested(JSON_DEPTH_MAX)).is_ok());
    for levels in [JSON_DEPTH_MAX + 1, 1_000, 400_000] {
        assert_eq!(read(&nested(levels)).unwrap_err(), "JSON nested deeper than 32 levels");
    }
}

#[test]
fn duplicate_keys_are_refused_wherever_they_stand() {
    let stamp = r#""timestamp":"2026-01-05T14:30:00Z""#;
    let cases = [
        format!(r#"{{"type":"ACK","type":"ACK",{stamp},"payload":{{"status":"ok"}}}}"#),
        format!(r#"{{"type":"ACK",{stamp},{stamp},"payload":{{"status":"ok"}}}}"#),
        format!(r#"{{"type":"ACK",{stamp},"payload":{{"status":"ok"}},"payload":{{"status":"ok"}}}}"#),
        of("ACK", r#""status":"ok","status":"error""#),
        of("ACK", r#""status":"ok","st\u0061tus":"error""#),
        of("REGISTER", r#""client_version":"1","hostname":"a","os":"x","endpoints_count":0,"token":"a","token":"b""#),
        of("COMMAND", r#""command_id":"c","action":"enroll","arguments":{"token":"a","token":"b"}"#),
        of("HEARTBEAT", r#""uptime_seconds":1,"events_queued":1,"endpoints_connected":1,"dropped":{"a":1,"a":2}"#),
        of(
            "BATCH_EVENT",
            r#""events":[{"source":"a","source":"b","syslog":{"facility":1,"severity":6,"message":""}}]"#,
        ),
    ];
    for text in cases {
        let problem = read(&text).expect_err(&text);
        assert!(problem.contains("duplicate") || problem.contains("twice"), "{text}: {problem}");
    }
}

#[test]
fn huge_numbers_are_refused_by_field() {
    let queued = |number: &str| {
        let text = of("HEARTBEAT", &format!(r#""uptime_seconds":1,"events_queued":{number},"endpoints_connected":1"#));
        read(&text)
            .map(|message| matches!(message, Message::Heartbeat(heartbeat) if heartbeat.events_queued == u64::MAX))
    };
    assert_eq!(queued("18446744073709551615"), Ok(true));
    let long = "9".repeat(100_000);
    for number in
        ["18446744073709551616", "-1", "1e3", "1.5", "1e999", "1e-999", "0x10", "NaN", "Infinity", "01", &long]
    {
        let problem = queued(number).expect_err(number);
        assert!(problem.starts_with("field "), "{problem}");
        assert!(problem.len() < 400, "a problem is told in a line, whatever the number: {}", problem.len());
    }
    let finding =
        r#""alert":"a-1","revision":1,"rule":"r","key":"k","category":"brute_force","floor":"LOW","confidence":1e400"#;
    let text = of("BATCH_EVENT", &format!(r#""events":[{{"source":"a","finding":{{{finding}}}}}]"#));
    assert!(read(&text).is_err());
}

#[test]
fn a_million_empty_events_are_counted_and_not_kept() {
    let many = |count: usize| of("BATCH_EVENT", &format!(r#""events":[{}{{}}]"#, "{},".repeat(count - 1)));
    // More do not fit the longest frame.
    let most = many(349_000);
    assert!(most.len() < FRAME_BYTES_MAX && many(350_000).len() > FRAME_BYTES_MAX);
    assert_eq!(read(&most).unwrap_err(), format!("field payload.events: 349000 events, at most {BATCH_EVENTS_MAX}"));
    assert_eq!(
        read(&many(1_000_000)).unwrap_err(),
        format!("field payload.events: 1000000 events, at most {BATCH_EVENTS_MAX}")
    );
    assert!(read(&many(BATCH_EVENTS_MAX)).unwrap_err().contains("exactly one of"), "as many as may be are looked at");
    // Where something else is wrong, no tree of all of them is built to say where.
    let wrong = of("BATCH_EVENT", &format!(r#""events":7,"x":[{}{{}}]"#, "{},".repeat(300_000)));
    assert!(read(&wrong).unwrap_err().starts_with("field .: "));
}

#[test]
fn counters_of_64_bits_never_overflow() {
    let mut ledger = Ledger::default();
    let source = EndpointId::new("liar");
    for _ in 0..3 {
        ledger.received(&source, u64::MAX);
        ledger.dropped(&source, "spool_full", u64::MAX);
    }
    assert!(ledger.imbalance().is_empty(), "{:?}", ledger.imbalance());
    assert_eq!((ledger.total().received, ledger.total().dropped["spool_full"]), (u64::MAX, u64::MAX));
    ledger.received(&EndpointId::new("honest"), 7);
    assert_eq!(ledger.total().received, u64::MAX);
    // More than 32 bits come and go as they are.
    let text = of("ACK", r#""status":"ok","batch":9007199254740993"#);
    assert!(matches!(read(&text).unwrap(), Message::Ack(ack) if ack.batch.map(|batch| batch.0) == Some((1 << 53) + 1)));
}

#[test]
fn exported_records_are_one_line_each_whatever_they_hold() {
    // A line feed between two members is nothing to a decoder.
    let forged = "{\"x\":\n{\"seq\":99,\"hub\":\"forged\"}\n,\r\n\t\"y\":1}";
    assert_eq!(one_line(forged), "{\"x\": {\"seq\":99,\"hub\":\"forged\"} ,   \"y\":1}");
    let hostile = "a\n\r\t\0\u{1b}[2J\u{7f}\u{9b}31m\u{202e}evil\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}\"\\\\\"";
    let json = serde_json::to_string(&[hostile, "\\", "\"\n"]).unwrap();
    for text in [json.clone(), json.replace("\\n", "\n"), hostile.into(), "\\\"\n".into()] {
        let line = one_line(&text);
        let is_shown = |c: char| !c.is_control() && !nms_proto::unseen::is_unseen(c);
        assert!(line.chars().all(is_shown), "{line:?}");
    }
    assert_eq!(serde_json::from_str::<Vec<String>>(&one_line(&json)).unwrap(), [hostile, "\\", "\"\n"]);
    assert_eq!(one_line("{\"name\":\"Zoë 日本\"}"), "{\"name\":\"Zoë 日本\"}", "what is seen stays as it is");
}
