//! What is no message, no frame and no TLS, at every port: counted, kept as it came, answered by name, and nobody else's
//! business.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    senders::{failure, sshd, udp},
    stage::Stage,
};

/// Bytes that the hub keeps of a malformed message (`PARSE_ERROR_SAMPLE_BYTES_MAX` of PROTOCOL.md).
const KEPT_BYTES: usize = 256;

/// Sends bytes on a connection of their own, says that no more come, and gives what is answered until it is closed.
fn say(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A peer that closes with bytes unread resets the connection; what it said before is here all the same.
    stream.read_to_end(&mut answer).unwrap_or_default();
    answer
}

/// A frame: its length, then the payload.
fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
}

/// What a hub turned away of a source, reason and first bytes, in the order of the bytes.
fn kept(stage: &Stage, source: &str) -> Vec<(String, Vec<u8>)> {
    let errors = stage.snapshot("hub")["parse_errors"].clone();
    let entry = errors.as_array().unwrap().iter().find(|entry| entry["source"] == source).cloned().unwrap_or_default();
    let samples = entry["samples"].as_array().cloned().unwrap_or_default();
    let sample = |sample: &Value| {
        let raw = STANDARD.decode(sample["raw"].as_str().unwrap()).unwrap();
        (sample["reason"].as_str().unwrap().to_owned(), raw)
    };
    let mut samples: Vec<_> = samples.iter().map(sample).collect();
    samples.sort();
    samples
}

#[test]
fn malformed_syslog_is_counted_kept_and_not_forwarded() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let (controls, other_controls) = ([0x01; 300], [0x02; 300]);
    let datagrams: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("nul", b"<13>nul\0inside"),
        ("pri_out_of_range", b"<999>too big"),
        ("pri_empty", b"<>empty"),
        ("rfc5424_version", b"<34>9 2026-01-05T14:30:00Z host app - - - bad version"),
        ("control_bytes", &controls),
    ];
    udp(&hub, datagrams.map(|(_, bytes)| bytes));
    udp(&hub, [format!("<13>{}", "[".repeat(60_000))]);
    // Each on a connection of its own. What is no octet count is a line, and is taken as one.
    let streams: [&[u8]; 6] = [
        b"0 <13>no octets\n",
        b"99999999999 <13>a count of more than 32 bits\n",
        b"1234567890",
        b"4294967295 <13>octets that never come",
        b"9 <>counted16 <13>and the next",
        &[&other_controls, b"\n".as_slice()].concat(),
    ];
    for bytes in streams {
        say(hub.tcp, bytes);
    }
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("the alert comes all the same", |stage| stage.judged("hub", "brute_force").len() == 1);
    stage.until("every message is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"] == 16);
    let mut rejected = json!({
        "empty": 1, "nul": 1, "pri_out_of_range": 1, "pri_empty": 2, "rfc5424_version": 1, "control_bytes": 2,
    });
    let account = stage.account("hub", "127.0.0.1");
    assert_eq!((&account["received"], &account["rejected"]), (&json!(16 + 8), &rejected), "{account}");
    // Of what was turned away the beginning is kept as it came; what was cut is counted beside it, and was taken.
    let first = |bytes: &[u8]| bytes[..bytes.len().min(KEPT_BYTES)].to_vec();
    let mut expected: Vec<_> = datagrams.iter().map(|(reason, bytes)| ((*reason).to_owned(), first(bytes))).collect();
    expected.push(("pri_empty".into(), b"<>counted".to_vec()));
    expected.push(("control_bytes".into(), first(&other_controls)));
    expected.sort();
    assert_eq!(kept(&stage, "127.0.0.1"), expected);
    rejected["truncated"] = json!(1);
    let snapshot = stage.snapshot("hub");
    assert_eq!(snapshot["parse_errors"][0]["reasons"], rejected);
    let lines = snapshot["lines"].as_array().unwrap();
    for text in ["no octets", "a count of more than 32 bits", "1234567890", "octets that never come", "and the next"] {
        let count = lines.iter().filter(|line| line["message"].as_str().unwrap().contains(text)).count();
        assert_eq!(count, 1, "{text} in {lines:?}");
    }
    assert_eq!(stage.ended(), []);
}

#[test]
fn garbage_at_the_ports_of_agents_and_hubs_is_refused_by_name() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let deep = [b"{\"type\":".repeat(40), b"1".to_vec(), b"}".repeat(40)].concat();
    let cases: [(&str, Vec<u8>); 7] = [
        ("frame of length 0", vec![0; 4]),
        ("frame of 2147483648 bytes", (1_u32 << 31).to_be_bytes().to_vec()),
        ("frame of 4294967295 bytes", u32::MAX.to_be_bytes().to_vec()),
        ("frame of 1195725856 bytes", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("JSON nested deeper than 32 levels", frame(&deep)),
        ("field type", frame(br#"{"type":7,"timestamp":"2026-01-05T14:30:00Z","payload":{}}"#)),
        ("field .: invalid utf-8", frame(&[0xff; 64])),
    ];
    for (problem, bytes) in cases {
        let answer = say(hub.agents, &bytes);
        let said: Value = serde_json::from_slice(answer.get(4..).unwrap_or_default()).expect(problem);
        assert_eq!((&said["type"], &said["payload"]["status"]), (&json!("ACK"), &json!("error")), "{said}");
        assert!(said["payload"]["message"].as_str().unwrap().starts_with(problem), "{said}");
    }
    // At the server: no TLS at all, the beginning of a handshake with nonsense in it, and nonsense.
    let hello = [&[0x16, 3, 1, 0, 64], [0xa5; 64].as_slice()].concat();
    let garbage = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), hello, vec![0x80; 4_096]];
    for bytes in &garbage {
        say(stage.server_port(), bytes);
        // An agent's TLS, which this version refuses, and the same nonsense.
        say(hub.agents, bytes);
    }
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("an honest sender's run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    stage.until("all of it is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"] == 10);
    let status: Value = serde_json::from_str(stage.verb(&["status"]).lines().next().unwrap()).unwrap();
    assert_eq!(status["handshakes_failed"], garbage.len(), "{status}");
    let account = stage.account("hub", "127.0.0.1");
    assert_eq!((&account["received"], &account["rejected"]), (&json!(10), &json!({})), "{account}");
    assert_eq!(stage.ended(), []);
}
