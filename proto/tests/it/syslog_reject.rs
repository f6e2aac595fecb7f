//! What is turned away, by which name, and what stands just inside the border.

use nms_proto::limits::LINE_BYTES_MAX;
use nms_proto::syslog::{Reject, parse};
use proptest::prelude::*;

use crate::syslog_show::{NOW, check, show};

#[test]
fn empty() {
    for nothing in ["", "\n", "\r\n", "\0", "  ", " \t\r\n\0"] {
        check(&[(nothing, "reject: empty")]);
    }
}

#[test]
fn nul_and_control_bytes() {
    check(&[
        ("<13>a\0b", "reject: nul"),
        ("plain\0text", "reject: nul"),
        ("<13>pi: text\0", "Bare 1.5 app=pi | text"),
        ("<13>pi: text\r\n\0", "Bare 1.5 app=pi | text"),
        // 2 of 20 is 1 in 10; 2 of 19 is more.
        ("<13>\x01\x02bcdefghijklmn", "reject: control_bytes"),
        ("<13>\x01\x02bcdefghijklmno", "Bare 1.5 | \u{1}\u{2}bcdefghijklmno"),
        ("<13>\x7fbc", "reject: control_bytes"),
        ("<13>\ta\tb\tc\td\t", "Bare 1.5 | a\tb\tc\td\t"),
        ("<13>a\nb\nc\nd\ne", "Bare 1.5 | a\nb\nc\nd\ne"),
    ]);
}

#[test]
fn pri() {
    check(&[
        ("<>text", "reject: pri_empty"),
        ("<", "reject: pri_empty"),
        ("<-1>text", "reject: pri_empty"),
        ("< 13>text", "reject: pri_empty"),
        ("<191>text", "Bare 23.7 | text"),
        ("<192>text", "reject: pri_out_of_range"),
        ("<999>text", "reject: pri_out_of_range"),
        ("<1234>text", "reject: pri_too_long"),
        ("<0013>text", "reject: pri_too_long"),
        ("<000>text", "Bare 0.0 | text"),
        ("<13", "reject: pri_unclosed"),
        ("<13 text", "reject: pri_unclosed"),
        ("<13a>text", "reject: pri_unclosed"),
        ("<99999999999999999999>text", "reject: pri_too_long"),
    ]);
}

#[test]
fn declared_rfc5424_is_held_to_it() {
    check(&[
        ("<13>1", "reject: rfc5424_header"),
        ("<13>1 ", "Bare 1.5 | 1 "),
        ("<13>12", "reject: rfc5424_version"),
        ("<13>0 - h a p m -", "reject: rfc5424_version"),
        ("<13>01 - h a p m -", "reject: rfc5424_version"),
        ("<13>2 2026-03-01T12:00:00Z h a p m -", "reject: rfc5424_version"),
        ("<13>99 2026-03-01T12:00:00Z h a p m -", "reject: rfc5424_version"),
        ("<13>1 Mar  1 12:00:00 pi app: text", "reject: rfc5424_time"),
        ("<13>1 2026-03-01", "reject: rfc5424_time"),
        ("<13>1 2026-03-01t12:00:00Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:00z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:00 h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:60Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-02-29T12:00:00Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:00.1234567Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:00.Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 2026-03-01T12:00:00+0100 h a p m -", "reject: rfc5424_time"),
        ("<13>1 20260301T120000Z h a p m -", "reject: rfc5424_time"),
        ("<13>1 -", "reject: rfc5424_header"),
        ("<13>1 - h a p m", "reject: rfc5424_header"),
        ("<13>1 -  h a p m -", "reject: rfc5424_header"),
        ("<13>1 - h a p m text", "reject: rfc5424_structured_data"),
        ("<13>1 - h a p m -text", "reject: rfc5424_structured_data"),
    ]);
}

#[test]
fn what_only_looks_like_a_version_is_text() {
    check(&[
        ("<13>123", "Bare 1.5 | 123"),
        ("<13>1 hello", "Bare 1.5 | 1 hello"),
        ("<13>12 2048 bytes", "Bare 1.5 | 12 2048 bytes"),
        ("<13>5 -3 degrees", "Bare 1.5 | 5 -3 degrees"),
        ("<13>1: hello", "Bare 1.5 | 1: hello"),
        ("<13>123 2026-03-01T12:00:00Z h", "Bare 1.5 | 123 2026-03-01T12:00:00Z h"),
    ]);
}

#[test]
fn without_pri_it_must_be_text() {
    assert_eq!(show(b"\x16\x03\x01\x02\x05\x01\x01\xfc\x03\x03abcdefg"), "reject: control_bytes");
    assert_eq!(show(b"\x01 a line that begins with a control byte"), "reject: not_text");
    assert_eq!(show(b"\xff\xfe a line that is otherwise of plain letters"), "reject: not_text");
    assert_eq!(show(b"a\xff\xfe\xfd\xfcbcdefgh"), "reject: not_text");
    assert_eq!(show(b"<13>a\xff\xfe\xfd\xfcbcdefgh"), "Bare 1.5 lossy | a\u{fffd}\u{fffd}\u{fffd}\u{fffd}bcdefgh");
    // A stamp vouches for the rest: an old code page in a line of a file.
    assert_eq!(
        show(b"Mar  1 12:00:00 pi su: \xcf\xf0\xe8\xe2\xe5\xf2"),
        "Rfc3164 1.5 at=2026-03-01T11:00:00Z host=pi app=su lossy | \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
    );
}

#[test]
fn too_long_is_cut_between_characters() {
    let cut = |line: String| {
        let message = parse(line.as_bytes(), &NOW).expect("a message");
        (message.message.len(), message.truncated, message.lossy)
    };
    assert_eq!(cut("x".repeat(LINE_BYTES_MAX)), (LINE_BYTES_MAX, false, false));
    assert_eq!(cut("x".repeat(LINE_BYTES_MAX) + "\r\n"), (LINE_BYTES_MAX, false, false));
    assert_eq!(cut("x".repeat(LINE_BYTES_MAX + 1)), (LINE_BYTES_MAX, true, false));
    assert_eq!(cut("x".repeat(LINE_BYTES_MAX - 1) + "é"), (LINE_BYTES_MAX - 1, true, false));
    assert_eq!(cut("x".repeat(LINE_BYTES_MAX - 2) + "é"), (LINE_BYTES_MAX, false, false));
}

#[test]
fn names_are_distinct_and_plain() {
    let mut names: Vec<&str> = Reject::ALL.iter().map(|reject| reject.name()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reject::ALL.len());
    assert_eq!(Reject::PriOutOfRange.to_string(), "the PRI is above 191");
}

/// Bytes that reach deep: pieces of every dialect in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "<13>",
            "1 ",
            "2026-03-01T12:00:00Z ",
            "- ",
            "[a b=\"c\"]",
            "Mar  1 12:00:00",
            " ",
            "pi",
            ": ",
            "sshd[1]: ",
            "*",
            "45: ",
            "%ASA-4-106023: ",
            "UTC: ",
            "date=2026-03-01 time=12:00:00 ",
            "tz=\"+0100\"",
            "a,info ",
            "\\",
            "\"",
            "]",
            "[",
            "daemon.info ",
            "U7,788a20abcdef,v4: ",
            "9999",
            "Feb 29 1:00:00",
            "é",
            "\u{feff}",
            "[01/Mar/2026:12:00:00]",
        ])
        .prop_map(|text: &str| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_a_message_or_a_reason(bytes in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..200)], at in any::<i64>()) {
        let now = nms_proto::syslog::Received { unix_ms: at, utc_offset_s: 3600 };
        if let Ok(message) = parse(&bytes, &now) {
            prop_assert!(message.facility <= 23 && message.severity <= 7);
            prop_assert_eq!(message.lossy, std::str::from_utf8(&bytes).is_err() && message.message.contains('\u{fffd}'));
            let text_is_the_end = message.lossy || bytes.windows(message.message.len().max(1)).any(|part| part == message.message.as_bytes());
            prop_assert!(text_is_the_end || message.message.is_empty());
        }
    }
}
