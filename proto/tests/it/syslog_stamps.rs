//! Which moment a stamp names, seen from the time of receipt.

use nms_proto::syslog::{Received, parse};

/// The moment that `stamp` names when it is received at `now` by a hub `offset_s` east of UTC.
#[track_caller]
fn check(now: &str, offset_s: i32, stamp: &str, expected: &str) {
    let unix_ms = now.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let line = format!("<13>{stamp} pi app: text");
    let message = parse(line.as_bytes(), &Received { unix_ms, utc_offset_s: offset_s }).expect("a message");
    let seen = message.device_at.map(|at| jiff::Timestamp::from_millisecond(at.unix_ms).expect("a time").to_string());
    assert_eq!(seen.as_deref().unwrap_or("none"), expected, "{stamp} at {now}");
}

#[test]
fn year_is_the_nearest_that_is_not_a_day_ahead() {
    check("2026-03-01T12:00:00Z", 0, "Mar  1 11:59:59", "2026-03-01T11:59:59Z");
    check("2026-03-01T12:00:00Z", 0, "Mar  2 12:00:00", "2026-03-02T12:00:00Z");
    check("2026-03-01T12:00:00Z", 0, "Mar  2 12:00:01", "2025-03-02T12:00:01Z");
    check("2026-01-01T00:00:05Z", 0, "Dec 31 23:59:59", "2025-12-31T23:59:59Z");
    check("2025-12-31T23:59:59Z", 0, "Jan  1 00:00:05", "2026-01-01T00:00:05Z");
    check("2026-12-31T23:30:00Z", 3600, "Jan  1 00:30:00", "2026-12-31T23:30:00Z");
}

#[test]
fn february_29_goes_back_to_a_year_that_has_it() {
    check("2026-03-01T12:00:00Z", 0, "Feb 29 10:00:00", "2024-02-29T10:00:00Z");
    check("2104-02-01T12:00:00Z", 0, "Feb 29 10:00:00", "2096-02-29T10:00:00Z");
    check("2028-02-29T12:00:00Z", 0, "Feb 29 10:00:00", "2028-02-29T10:00:00Z");
}

#[test]
fn the_hubs_offset_serves_where_none_is_named() {
    check("2026-03-01T12:00:00Z", 7200, "Mar  1 14:00:00", "2026-03-01T12:00:00Z");
    check("2026-03-01T12:00:00Z", -18000, "2026-03-01 07:00:00", "2026-03-01T12:00:00Z");
    check("2026-03-01T12:00:00Z", 7200, "2026-03-01T11:00:00-01:00", "2026-03-01T12:00:00Z");
}

#[test]
fn what_is_no_time_is_no_stamp() {
    for stamp in ["Feb 30 10:00:00", "Mar  1 24:00:00", "Mar  1 12:60:00", "Mar 32 12:00:00", "Foo  1 12:00:00"] {
        check("2026-03-01T12:00:00Z", 0, stamp, "none");
    }
    for stamp in ["2026-13-01T12:00:00Z", "2026-02-29T12:00:00Z", "2026-03-01T12:00:00+24:00", "26-03-01 12:00:00"] {
        check("2026-03-01T12:00:00Z", 0, stamp, "none");
    }
    check("2026-03-01T12:00:00Z", 0, "Feb 28 23:59:60", "2026-02-28T23:59:59Z");
}
