//! The bytes that a terminal gets: no colour where none is wanted, no sequence that is not ours.

use nms_proto::dash::{FromHub, Line};
use nms_tui::{term::Canvas, theme::Theme};
use regex::bytes::Regex;

use crate::{driver::Driver, scene};

/// The bytes of the first frame of `driver`.
fn frame(driver: &Driver, theme: Theme) -> (Canvas, Vec<u8>) {
    // What `term` does before anything is drawn.
    crossterm::style::force_color_output(true);
    let mut canvas = Canvas::default();
    canvas.clear(driver.app.size.0, driver.app.size.1);
    let bytes = canvas.frame(&driver.app, theme).unwrap();
    (canvas, bytes)
}

fn count(pattern: &str, bytes: &[u8]) -> usize {
    Regex::new(pattern).unwrap().find_iter(bytes).count()
}

/// Parameters of an SGR sequence that set a colour; 39, 49 and 59 take it back and are harmless.
const COLOUR: &str = r"(?-u)\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|58|9[0-7]|10[0-7])[;m]";

#[test]
fn without_colour_no_colour_is_written_and_reverse_survives() {
    let (_, colour) = frame(&Driver::live(80, 24), Theme::COLOUR);
    assert!(count(COLOUR, &colour) > 0, "the pattern knows a colour when it sees one");
    let (_, mono) = frame(&Driver::live(80, 24), Theme::from_env(Some("1"), Some("xterm-256color"), Some("truecolor")));
    assert_eq!(count(COLOUR, &mono), 0);
    assert_eq!(count(r"\x1b\[;?m", &mono), 0, "crossterm's empty SGR would wipe reverse and bold");
    assert!(count(r"\x1b\[7m", &mono) > 0 && count(r"\x1b\[1m", &mono) > 0);
}

#[test]
fn an_empty_no_color_means_nothing() {
    let (_, bytes) = frame(&Driver::live(80, 24), Theme::from_env(Some(""), Some("xterm"), None));
    assert!(count(COLOUR, &bytes) > 0);
}

#[test]
fn a_frame_without_a_change_has_no_bytes() {
    let mut driver = Driver::live(80, 24);
    let (mut canvas, _) = frame(&driver, Theme::COLOUR);
    assert_eq!(canvas.frame(&driver.app, Theme::COLOUR).unwrap(), b"");
    driver.wait(1_000);
    let second = canvas.frame(&driver.app, Theme::COLOUR).unwrap();
    assert!(!second.is_empty() && second.len() < 100, "the clock and ages alone: {} bytes", second.len());
}

#[test]
fn hostile_lines_write_only_our_own_sequences() {
    let mut driver = Driver::live(80, 24);
    driver.keys("2");
    let hostile = [
        "\u{1b}]0;title\u{7}",
        "\u{1b}[2J\u{1b}[H",
        "\u{1b}P+q\u{1b}\\",
        "\u{9b}5n",
        "\u{1b}]52;c;aGk=\u{7}",
        "\u{1b}c",
        "a\u{8}b\u{d}c",
        "\u{202e}gnp",
        "\u{e007f}",
        "zalgo\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}",
    ];
    let lines = hostile.iter().zip(31..).map(|(text, seq)| {
        let name = Some((*text).into());
        Line { host: name.clone(), pid: name, ..scene::line(seq, "10:42:07", 4, "x", text, text) }
    });
    driver.hub(FromHub::Lines(lines.collect()));
    let (_, bytes) = frame(&driver, Theme::COLOUR);
    let ours = Regex::new(r"(?-u)\x1b\[(?:[0-9;]*[mH]|\?2026[hl])").unwrap();
    let rest = String::from_utf8(ours.replace_all(&bytes, &b""[..]).into_owned()).unwrap();
    assert!(!rest.contains(char::is_control), "{rest:?}");
    for shown in ["␛]0;title␇", "<U+009B>5n", "<U+202E>gnp", "<U+E007F>", "a␈b␍c"] {
        assert!(rest.contains(shown), "{shown} is missing in {rest}");
    }
    assert!(!rest.contains(['\u{202e}', '\u{e007f}', '\u{9b}']));
}

#[test]
fn a_frame_is_one_synchronized_update() {
    let (_, bytes) = frame(&Driver::live(160, 45), Theme::COLOUR);
    assert!(bytes.starts_with(b"\x1b[?2026h") && bytes.ends_with(b"\x1b[?2026l"));
    assert_eq!(count(r"\x1b\[\?2026h", &bytes), 1);
}
