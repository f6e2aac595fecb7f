//! Stamps are RFC 3339 and come back as they went.

use nms_proto::time::Stamp;
use proptest::prelude::*;

fn check(text: &str, expected: &str) {
    let shown = Stamp::parse(text).map_or_else(|error| error.to_string(), |stamp| format!("{stamp} {}", stamp.unix_ms));
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn reads_what_rfc_3339_allows() {
    check("2026-01-05T14:30:00Z", "2026-01-05T14:30:00.000Z 1767623400000");
    check("2026-01-05T15:30:04.812+01:00", "2026-01-05T15:30:04.812+01:00 1767623404812");
    check("2026-01-05 15:30:04.8129999-05:30", "2026-01-05T15:30:04.812-05:30 1767646804812");
    check("1969-12-31T23:59:59.999z", "1969-12-31T23:59:59.999Z -1");
    check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z 1483228799000");
}

#[test]
fn refuses_the_rest() {
    for text in
        ["", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-05T24:00:00Z", "2026-01-05T14:30:00"]
    {
        check(text, "not an RFC 3339 time such as 2026-01-05T14:30:00Z");
    }
    check("2026-01-05T14:30:00.Z", "not an RFC 3339 time such as 2026-01-05T14:30:00Z");
    check("2026-01-05T14:30:00+19:00", "not an RFC 3339 time such as 2026-01-05T14:30:00Z");
    check("2026-01-05T14:30:00Zjunk", "not an RFC 3339 time such as 2026-01-05T14:30:00Z");
    check("+026-01-05T14:30:00Z", "not an RFC 3339 time such as 2026-01-05T14:30:00Z");
}

#[test]
fn knows_the_hour_where_it_was_seen() {
    let at = |text: &str| Stamp::parse(text).unwrap().local_hour_and_weekday();
    assert_eq!(at("2026-01-05T03:30:00+01:00"), (3, 0), "a Monday");
    assert_eq!(at("2026-01-04T23:30:00-05:00"), (23, 6), "a Sunday");
}

proptest! {
    #[test]
    fn comes_back_as_it_went(unix_ms in -62_000_000_000_000i64..253_000_000_000_000, offset_min in -1080i16..=1080) {
        let stamp = Stamp { unix_ms, offset_min };
        prop_assert_eq!(Stamp::parse(&stamp.to_string()), Ok(stamp));
    }

    #[test]
    fn a_time_that_somebody_else_named_comes_back_once_bounded(
        unix_ms in prop_oneof![
            any::<i64>(),
            -62_167_300_000_000i64..-62_167_100_000_000,
            253_402_100_000_000i64..253_402_400_000_000,
        ],
        offset_s: i32,
    ) {
        let stamp = Stamp::bounded(unix_ms, offset_s);
        prop_assert_eq!(Stamp::parse(&stamp.to_string()), Ok(stamp));
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = Stamp::parse(&text);
    }

    #[test]
    fn extreme_stamps_are_shown(unix_ms: i64, offset_min: i16) {
        let shown = Stamp { unix_ms, offset_min }.to_string();
        prop_assert!(shown.len() >= 24);
    }
}
