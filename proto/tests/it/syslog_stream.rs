//! RFC 6587: messages out of a stream, however it is cut up on the way.

use nms_proto::limits::LINE_BYTES_MAX;
use nms_proto::syslog::{Counts, Splitter};
use proptest::prelude::*;

/// Every message of `stream` when it comes in pieces that end at `cuts`, and the counts.
fn split(stream: &[u8], cuts: &[usize]) -> (Vec<(Vec<u8>, bool)>, Counts) {
    let mut splitter = Splitter::default();
    let mut frames = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&stream.len()]) {
        let to = to.clamp(from, stream.len());
        let mut chunk = &stream[from..to];
        while let Some(frame) = splitter.next_frame(&mut chunk) {
            frames.push((frame.bytes.to_vec(), frame.truncated));
        }
        assert!(chunk.is_empty(), "all of a chunk is taken");
        from = to;
    }
    frames.extend(splitter.finish().map(|frame| (frame.bytes.to_vec(), frame.truncated)));
    assert!(splitter.finish().is_none(), "a stream ends once");
    (frames, splitter.counts())
}

/// Checks `stream`, whole and byte by byte, against its messages, `~` after those that were cut.
#[track_caller]
fn check(stream: &str, expected: &[&str]) {
    let whole = split(stream.as_bytes(), &[]);
    let cuts: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(whole, split(stream.as_bytes(), &cuts), "{stream:?} byte by byte");
    let mark = |cut: &bool| if *cut { "~" } else { "" };
    let seen: Vec<String> =
        whole.0.iter().map(|(bytes, cut)| format!("{}{}", String::from_utf8_lossy(bytes), mark(cut))).collect();
    assert_eq!(seen, expected, "{stream:?}");
    assert_eq!(whole.1.frames, expected.len() as u64);
}

#[test]
fn lines() {
    check("<13>a\n<13>b\r\n<13>c", &["<13>a", "<13>b", "<13>c"]);
    check("\n\n<13>a\n\r\n\0\n<13>b\n", &["<13>a", "<13>b"]);
    check("plain\ntext", &["plain", "text"]);
    check("", &[]);
    check("\r\n\0", &[]);
}

#[test]
fn nul_closes_a_message() {
    check("<13>a\0<13>b\0", &["<13>a", "<13>b"]);
    check("<13>a\n\0<13>b\n\0", &["<13>a", "<13>b"]);
    check("<13>a\0\n<13>b\r\n\0", &["<13>a", "<13>b"]);
    check("<13>a\0b\n<13>c\n", &["<13>a\0b", "<13>c"]);
    check("<13>a\0\0<13>b\n", &["<13>a", "<13>b"]);
}

#[test]
fn octet_counts() {
    check("5 <13>a6 <13>\nb", &["<13>a", "<13>\nb"]);
    check("5 <13>a\n5 <13>b\n", &["<13>a", "<13>b"]);
    check("5 <13>a<13>line\n5 <13>b", &["<13>a", "<13>line", "<13>b"]);
    check("1 <1 <", &["<", "<"]);
    check("9 <13>a", &["<13>a~"]);
}

#[test]
fn what_is_no_octet_count_is_a_line() {
    check("0 <13>a\n", &["0 <13>a"]);
    check("05 <13>a\n", &["05 <13>a"]);
    check("5  <13>a\n", &["5  <13>a"]);
    check("5 pigs\n5\n5 \n", &["5 pigs", "5", "5 "]);
    check("12345678901 <13>a\n", &["12345678901 <13>a"]);
    check("5", &["5"]);
    check("5 ", &["5 "]);
    check("-5 <13>a\n", &["-5 <13>a"]);
}

#[test]
fn a_count_above_the_limit_skips_what_it_announced() {
    let body = "x".repeat(LINE_BYTES_MAX + 6);
    let stream = format!("{} <13>{body}5 <13>a", body.len() + 4);
    for cuts in [vec![], vec![3, 9, 70, 65_000, 65_547, 65_549, 65_552]] {
        let (frames, counts) = split(stream.as_bytes(), &cuts);
        assert_eq!(
            frames.iter().map(|(bytes, cut)| (bytes.len(), *cut)).collect::<Vec<_>>(),
            [(LINE_BYTES_MAX, true), (5, false)]
        );
        assert_eq!(counts, Counts { frames: 2, truncated: 1, skipped_bytes: 10 });
    }
    let exact = format!("{LINE_BYTES_MAX} <13>{}<13>a\n", "x".repeat(LINE_BYTES_MAX - 4));
    let (frames, counts) = split(exact.as_bytes(), &[7, 1000]);
    assert_eq!((frames.len(), counts.truncated), (2, 0));
}

#[test]
fn huge_counts_hold_no_memory_and_end_no_stream() {
    for count in ["2147483648", "4294967295", "9999999999"] {
        let (frames, counts) = split(format!("{count} <13>a\n<13>b\n").as_bytes(), &[4]);
        assert_eq!(frames, [(b"<13>a\n<13>b".to_vec(), true)]);
        assert_eq!(counts.truncated, 1);
    }
}

#[test]
fn digits_without_end_are_a_line_that_is_cut() {
    let digits = "7".repeat(3 * LINE_BYTES_MAX) + "\n<13>a\n";
    let (frames, counts) = split(digits.as_bytes(), &[5, 11, 100, LINE_BYTES_MAX, LINE_BYTES_MAX + 2]);
    assert_eq!(
        frames.iter().map(|(bytes, cut)| (bytes.len(), *cut)).collect::<Vec<_>>(),
        [(LINE_BYTES_MAX, true), (5, false)]
    );
    assert_eq!(counts.skipped_bytes, 2 * LINE_BYTES_MAX as u64);
}

#[test]
fn a_line_of_the_greatest_length_is_whole() {
    for (end, extra, cut) in
        [("\n", 0, false), ("\r\n", 0, false), ("\0\n", 0, false), ("\n", 1, true), ("\r\n", 1, true)]
    {
        let stream = "x".repeat(LINE_BYTES_MAX + extra) + end + "<13>a\n";
        let every = stream.len();
        for cuts in
            [vec![], vec![LINE_BYTES_MAX], vec![LINE_BYTES_MAX + 1], vec![LINE_BYTES_MAX + 2], vec![1, every - 2]]
        {
            let (frames, counts) = split(stream.as_bytes(), &cuts);
            assert_eq!(frames[0], ("x".repeat(LINE_BYTES_MAX).into_bytes(), cut), "{end:?} {extra} {cuts:?}");
            assert_eq!(frames[1], (b"<13>a".to_vec(), false), "{end:?} {extra} {cuts:?}");
            assert_eq!(counts.truncated, u64::from(cut));
        }
    }
}

#[test]
fn complete_messages_are_borrowed() {
    let stream = b"<13>a\n5 <13>b<13>c\n".to_vec();
    let range = stream.as_ptr_range();
    let (mut splitter, mut chunk, mut frames) = (Splitter::default(), stream.as_slice(), 0);
    while let Some(frame) = splitter.next_frame(&mut chunk) {
        assert!(range.contains(&frame.bytes.as_ptr()));
        frames += 1;
    }
    assert_eq!(frames, 3);
}

#[test]
fn leaving_off_in_a_chunk_loses_nothing() {
    let (mut splitter, mut chunk) = (Splitter::default(), &b"<13>a\n<13>b\n"[..]);
    assert_eq!(splitter.next_frame(&mut chunk).map(|frame| frame.bytes), Some(&b"<13>a"[..]));
    assert_eq!(chunk, b"<13>b\n");
    assert_eq!(splitter.next_frame(&mut chunk).map(|frame| frame.bytes), Some(&b"<13>b"[..]));
    assert_eq!(splitter.next_frame(&mut chunk), None);
}

/// A stream of pieces that meet at every border: counts right and wrong, lines around the limit.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let long = (LINE_BYTES_MAX - 8..LINE_BYTES_MAX + 8, prop::sample::select(vec!["x", "é", "\0", "\0<", "7"]))
        .prop_map(|(bytes, text): (usize, &str)| text.repeat(bytes / text.len() + 1).as_bytes()[..bytes].to_vec());
    let short = prop::sample::select(vec![
        "<13>a",
        "\n",
        "\r\n",
        "\0",
        "5 <13>a",
        "7 <13>a",
        "<",
        ">",
        "3",
        " ",
        "65536 <",
        "65540 <",
        "é",
        "text",
        "\0<",
        "99999999999",
        "4294967295 ",
        "70000 <13>",
    ])
    .prop_map(|text: &str| text.as_bytes().to_vec());
    let piece = prop_oneof![1 => long, 12 => short, 2 => prop::collection::vec(any::<u8>(), 0..20)];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = split(&stream, &[]);
        prop_assert!(whole.0.iter().all(|(bytes, _)| bytes.len() <= LINE_BYTES_MAX && !bytes.is_empty()));
        prop_assert_eq!(whole, split(&stream, &cuts));
    }

    #[test]
    fn byte_by_byte_too(stream in prop::collection::vec(prop::sample::select(b"<>13 05\n\r\0a".to_vec()), 0..60)) {
        let cuts: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(split(&stream, &[]), split(&stream, &cuts));
    }

    #[test]
    fn framed_messages_come_back(messages in prop::collection::vec("<13>[a-z0-9 ]{0,40}", 0..20), counted in prop::collection::vec(any::<bool>(), 20)) {
        let stream: String = messages.iter().zip(counted).map(|(message, counted)| {
            if counted { format!("{} {message}", message.len()) } else { format!("{message}\n") }
        }).collect();
        let seen: Vec<String> = split(stream.as_bytes(), &[]).0.into_iter().map(|(bytes, _)| String::from_utf8(bytes).expect("text")).collect();
        prop_assert_eq!(seen, messages);
    }
}
