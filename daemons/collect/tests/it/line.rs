//! A line of a file: its time, its parts, its refusal.

use nms_collect::line::{self, Before, Seen};
use nms_proto::{event::Body, time::Stamp};

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text).unwrap()
}

fn show(bytes: &[u8], previous: Option<&str>) -> String {
    // What stood before was read at 15:30:08.
    let before = |at| Before {
        at_ms: stamp(at).unix_ms,
        behind_ms: stamp("2026-01-05T15:30:08+01:00").unix_ms - stamp(at).unix_ms,
    };
    let seen = Seen { now: stamp("2026-01-05T15:30:10+01:00"), before: previous.map(before) };
    match line::read(bytes, seen) {
        Err(refused) => format!("refused {} {}", refused.reason, refused.bytes),
        Ok(draft) => {
            let Body::Syslog(body) = &draft.body else { panic!("a log line") };
            let raw = draft.raw.map(|raw| format!(" raw={}", raw.len())).unwrap_or_default();
            let app = body.app.as_deref().unwrap_or("-");
            format!("{} {app}[{}] {}{raw}", draft.at.unwrap(), body.pid.as_deref().unwrap_or("-"), body.message)
        }
    }
}

#[test]
fn the_stamp_is_believed_between_the_line_before_and_now() {
    let line = b"2026-01-05T15:30:04.812+01:00 pi sshd[12]: hello";
    let own = "2026-01-05T15:30:04.812+01:00 sshd[12] hello";
    let seen = "2026-01-05T15:30:10.000+01:00 sshd[12] hello";
    assert_eq!(show(line, None), own);
    assert_eq!(show(line, Some("2026-01-05T15:30:04.812+01:00")), own);
    assert_eq!(show(line, Some("2026-01-05T15:30:05+01:00")), seen, "before the line before it");
    let future = b"2026-01-05T15:30:10.001+01:00 pi sshd[12]: hello";
    assert_eq!(show(future, None), seen, "in the future");
    assert_eq!(show(b"Jan  5 15:30:04 pi sshd[12]: hello", None), "2026-01-05T15:30:04.000+01:00 sshd[12] hello");
}

#[test]
fn a_line_without_a_stamp_is_as_old_as_the_line_before_it() {
    let bare = b"Traceback (most recent call last):";
    let text = "-[-] Traceback (most recent call last):";
    assert_eq!(show(bare, None), format!("2026-01-05T15:30:10.000+01:00 {text}"), "nothing before it: now");
    // Read 2 s after the line before, so taken for 2 s younger: never older than it, and never in the future.
    assert_eq!(show(bare, Some("2026-01-05T13:00:00+01:00")), format!("2026-01-05T13:00:02.000+01:00 {text}"));
    assert_eq!(show(bare, Some("2026-01-05T15:30:08+01:00")), format!("2026-01-05T15:30:10.000+01:00 {text}"));
}

#[test]
fn what_is_not_text_is_kept_raw_or_refused() {
    assert_eq!(
        show(b"plain words \xff here", None),
        "2026-01-05T15:30:10.000+01:00 -[-] plain words \u{fffd} here raw=18"
    );
    assert_eq!(show(b"", None), "refused empty 0");
    assert!(show(b"a\0b", None).starts_with("refused nul "));
}

#[test]
fn lines_are_cut_at_their_end_or_at_the_limit() {
    let max = nms_proto::limits::LINE_BYTES_MAX;
    assert_eq!(line::cut(b"no end"), None);
    assert_eq!(line::cut(&vec![b'a'; max]), None, "it may still end here");
    let cut = line::cut(b"one\ntwo").unwrap();
    assert_eq!((cut.text, cut.taken, cut.truncated, cut.skipping), (&b"one"[..], 4, false, false));
    let long = vec![b'a'; max + 1];
    let cut = line::cut(&long).unwrap();
    assert_eq!((cut.text.len(), cut.taken, cut.truncated, cut.skipping), (max, max + 1, true, true));
    let ended = [&long[..], b"\nnext"].concat();
    let cut = line::cut(&ended).unwrap();
    assert_eq!((cut.text.len(), cut.taken, cut.truncated, cut.skipping), (max, max + 2, true, false));
}

/// Stamps that were believed while the clock was ahead hold nobody back when it is right again.
#[test]
fn a_stamp_of_the_future_is_forgotten() {
    let line = b"2026-01-05T15:30:04.812+01:00 pi sshd[12]: hello";
    assert_eq!(show(line, Some("2027-01-05T15:30:05+01:00")), "2026-01-05T15:30:04.812+01:00 sshd[12] hello");
}
