//! Syslog: one message, a stream of them, and the scanner that looks at their text.

use nms_proto::{
    limits::{LINE_BYTES_MAX, SCAN_BYTES_MAX, SCAN_PARAMS_MAX, SCAN_WORD_BYTES_MAX, SCAN_WORDS_MAX},
    scan::Scanner,
    syslog::{self, Counts, Received, Splitter},
};

use crate::{
    input::{Cuts, swollen},
    travel::{self, NOW},
};

/// A datagram, a frame of a stream, a line of a file.
pub(crate) fn syslog(bytes: &[u8]) {
    let bytes = &swollen(bytes);
    for utc_offset_s in [0, 3_600, -34_200] {
        let now = Received { unix_ms: NOW.unix_ms, utc_offset_s };
        let parsed = syslog::parse(bytes, &now);
        let ended = [bytes, &b"\r\n"[..]].concat();
        assert_eq!(syslog::parse(&ended, &now), parsed, "a line end more is none");
        let message = match parsed {
            Ok(message) => message,
            Err(reject) => {
                assert!(!reject.name().is_empty() && !reject.to_string().is_empty());
                assert_eq!(syslog::draft(bytes, &now), Err(reject));
                continue;
            }
        };
        assert!(message.facility <= 23 && message.severity <= 7);
        assert!(message.message.len() <= 3 * LINE_BYTES_MAX && !message.message.contains('\0'));
        assert_eq!(
            message.lossy,
            message.message.contains('\u{fffd}') && matches!(message.message, std::borrow::Cow::Owned(_))
        );
        if let Some(data) = message.structured_data {
            for element in data.elements() {
                let params: Vec<_> = element.params().collect();
                for (name, _) in &params {
                    assert!(data.find(element.id, name).is_some());
                }
            }
        }
        let (draft, cut) = syslog::draft(bytes, &now).unwrap();
        assert_eq!(cut, message.truncated);
        assert_eq!(cut, bytes.len() > LINE_BYTES_MAX && cut);
        if !cut {
            travel::line(draft);
        }
    }
}

type Split = (Vec<(Vec<u8>, bool)>, Counts);

/// A stream of messages is the same however it is cut, and no message is longer than a line.
pub(crate) fn stream(bytes: &[u8]) {
    let bytes = &swollen(bytes);
    let whole = split([&bytes[..]]);
    for (text, _) in &whole.0 {
        assert!(text.len() <= LINE_BYTES_MAX);
    }
    let text: u64 = whole.0.iter().map(|(text, _)| text.len() as u64).sum();
    assert!(text + whole.1.skipped_bytes <= bytes.len() as u64, "no byte counts twice");
    assert_eq!(split(Cuts::of(bytes).pieces(bytes)), whole);
    assert_eq!(split(bytes.chunks(4_096)), whole);
    if bytes.len() <= 4_096 {
        assert_eq!(split(bytes.chunks(1)), whole);
    }
}

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Split {
    let mut splitter = Splitter::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut chunk = piece;
        while let Some(frame) = splitter.next_frame(&mut chunk) {
            found.push((frame.bytes.to_vec(), frame.truncated));
        }
        assert!(chunk.is_empty(), "a chunk is taken whole");
    }
    found.extend(splitter.finish().map(|frame| (frame.bytes.to_vec(), frame.truncated)));
    let counts = splitter.counts();
    assert_eq!(counts.frames as usize, found.len());
    assert_eq!(counts.truncated as usize, found.iter().filter(|(_, truncated)| *truncated).count());
    (found, counts)
}

/// The scanner's masks, classes and words.
pub(crate) fn scan(bytes: &[u8]) {
    let text = String::from_utf8_lossy(&swollen(bytes)).into_owned();
    let mut scanner = Scanner::new();
    scanner.scan("10.0.0.1 before");
    scanner.scan(&text);
    let head = &text[..text.floor_char_boundary(SCAN_BYTES_MAX)];
    assert!(scanner.params().len() <= SCAN_PARAMS_MAX);
    let mut end = 0;
    for param in scanner.params() {
        assert!(param.start >= end && param.end > param.start, "parameters stand one behind the other");
        assert!(head.get(param.start as usize..param.end as usize).is_some(), "and on characters");
        assert!(scanner.masked().contains(param.class.placeholder()));
        end = param.end;
    }
    let mut words = 0;
    scanner.for_each_word(|word| {
        words += 1;
        assert!((1..=SCAN_WORD_BYTES_MAX).contains(&word.len()));
        assert!(!word.iter().any(u8::is_ascii_uppercase));
    });
    assert!(words <= SCAN_WORDS_MAX);
    // A placeholder is at most six bytes and stands for one at least.
    assert!(scanner.masked().len() <= 6 * head.len());
    let mut fresh = Scanner::new();
    fresh.scan(head);
    assert_eq!((fresh.masked(), fresh.params()), (scanner.masked(), scanner.params()));
}
