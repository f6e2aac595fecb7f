//! Hostile text is shown as what it is, and takes the room that was counted for it.

use nms_tui::safe::{Safe, escape_json};
use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use regex::Regex;

use crate::driver;

#[test]
fn hostile_text_is_spelled_out() {
    let check = |text: &str, shown: &str| assert_eq!(Safe::of(text).as_str(), shown);
    check("plain ~ text", "plain ~ text");
    check("\u{1b}[31mred\u{7}", "␛[31mred␇");
    check("a\tb\r\nc\0\u{7f}", "a    b␍␊c␀␡");
    check("\u{9b}31m", "<U+009B>31m");
    check("user\u{202e}txt.exe", "user<U+202E>txt.exe");
    check("zero\u{200b}width\u{feff}", "zero<U+200B>width<U+FEFF>");
    check("soft\u{ad}hyphen\u{2028}line", "soft<U+00AD>hyphen<U+2028>line");
    check("tag\u{e0041}", "tag<U+E0041>");
    check("\u{e000}", "<U+E000>");
    check("cafe\u{301} 日本 äöü", "cafe\u{301} 日本 äöü");
    check("z\u{301}\u{301}\u{301}\u{301}\u{301}", "z\u{301}\u{301}\u{301}\u{301}<U+0301>");
    check("\u{301}alone", "<U+0301>alone");
    check("\u{1b}\u{301}", "␛<U+0301>");
}

#[test]
fn bytes_that_are_no_utf8_are_shown_as_hex() {
    assert_eq!(Safe::of_bytes(b"ok \xff\xfe\x1b caf\xc3\xa9 \xe2\x82").as_str(), "ok \\xFF\\xFE␛ café \\xE2\\x82");
}

#[test]
fn a_long_text_says_how_much_is_missing() {
    let shown = Safe::of(&"x".repeat(10_000));
    assert!(shown.as_str().ends_with("x +1808 bytes"), "{}", &shown.as_str()[8_100..]);
}

/// Any text, rich in what is hostile.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(
        "\u{1b}\0\t\n\r\u{7f}\u{85}\u{9b}\u{ad}\u{200b}\u{200d}\u{202e}\u{2066}\u{2028}\u{feff}\u{e0041}\u{301}\u{20e3}\
         \u{fe0f}\u{1f600}\u{1f1e6}\u{1f3fb}\u{1160}\u{11a8}\u{ac00}\u{627}\u{644}\u{915}\u{94d}\u{ff9e}\u{a0}日x\"\\"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![nasty, any::<char>()], 0..60).prop_map(|chars| chars.into_iter().collect())
}

/// What no safe text may hold: controls, format characters, private use, separators, the ignorable.
fn unseen() -> Regex {
    Regex::new(r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|\p{M}{5}").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_unseen_is_left(text in hostile()) {
        let safe = Safe::of(&text);
        prop_assert!(!unseen().is_match(safe.as_str()), "{safe:?}");
        prop_assert_eq!(&Safe::of(safe.as_str()), &safe, "safe text stays as it is");
    }

    #[test]
    fn it_is_drawn_whole_in_the_width_that_was_counted(text in hostile()) {
        let safe = Safe::of(&text);
        let width = u16::try_from(safe.width()).unwrap();
        let mut buffer = Buffer::empty(Rect::new(0, 0, width + 3, 1));
        let (end, _) = buffer.set_stringn(0, 0, safe.as_str(), usize::from(width), Style::default());
        prop_assert_eq!(end, width);
        let drawn = driver::text(&buffer);
        prop_assert_eq!(drawn.trim_end(), safe.as_str().trim_end());
    }

    #[test]
    fn escaped_json_means_the_same_and_holds_nothing_unseen(text in hostile()) {
        let escaped = escape_json(&serde_json::to_string(&text).unwrap());
        prop_assert!(!unseen().is_match(&escaped), "{escaped}");
        prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn bytes_of_any_kind_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let safe = Safe::of_bytes(&bytes);
        prop_assert!(!unseen().is_match(safe.as_str()), "{safe:?}");
    }
}
