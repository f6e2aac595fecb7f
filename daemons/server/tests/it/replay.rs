//! A log file looked at in its own time.

use nms_proto::{id::EndpointId, time::Stamp};
use nmsd_server::replay::{Counts, FirstYear, Reading, Replay, Style};
use serde_json::Value;

use crate::world::model;

fn reading(modified: &str) -> Reading {
    let modified_ms = Stamp::parse(modified).unwrap().unix_ms;
    Reading { source: None, utc_offset_s: 0, year: None, modified_ms, admins: Vec::new() }
}

fn look(reading: Reading, style: Style, text: &str) -> (Vec<String>, Counts) {
    let mut printed = Vec::new();
    let mut replay = Replay::new(reading, model(), style);
    for line in text.lines() {
        replay.line(line.as_bytes(), &mut |line| printed.push(line));
    }
    let counts = replay.finish(&mut |line| printed.push(line));
    (printed, counts)
}

const JSON: Style = Style { json: true, lines: false };

fn failures(from_s: u32, count: u32) -> String {
    let line = |at: u32| {
        let (minute, second) = (at / 60, at % 60);
        format!(
            "Mar  3 04:{minute:02}:{second:02} web sshd[{at}]: Failed password for root from 203.0.113.9 port 4022 ssh2\n"
        )
    };
    (from_s..from_s + count).map(line).collect()
}

#[test]
fn a_guessing_run_in_an_old_file_is_an_alert_with_its_own_times() {
    let (printed, counts) = look(reading("2026-01-05T00:00:00Z"), JSON, &failures(0, 20));
    let alerts: Vec<Value> = printed.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = alerts.last().unwrap();
    assert_eq!(last["category"], "brute_force");
    assert_eq!(last["source"], "web");
    assert_eq!(last["actor"], "203.0.113.9");
    assert_eq!(last["count"], 20, "the last word has the true count");
    assert_eq!(last["status"], "resolved");
    assert_eq!(last["first_seen"], "2025-03-03T04:00:00.000Z", "the latest March before the file was written");
    assert!(last["model"]["score"].is_number());
    let ids: Vec<&Value> = alerts.iter().map(|alert| &alert["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one alert");
    assert_eq!((counts.lines, counts.refused, counts.alerts), (20, 0, 1));
    assert_eq!(counts.revisions as usize, alerts.len());
}

#[test]
fn year_offset_and_source_are_the_callers_to_say() {
    let said = Reading {
        source: Some(EndpointId::new("router")),
        utc_offset_s: 3_600,
        year: Some(2019),
        ..reading("2026-01-05T00:00:00Z")
    };
    let (printed, _) = look(said, JSON, &failures(0, 9));
    let alert: Value = serde_json::from_str(&printed[0]).unwrap();
    assert_eq!(alert["source"], "router");
    assert_eq!(alert["first_seen"], "2019-03-03T04:00:00.000+01:00");
}

/// The times of lines with these stamps, in a file that was written last at `modified`.
fn times(modified: &str, year: Option<i16>, stamps: &[&str]) -> String {
    let lines: Vec<String> = stamps.iter().map(|stamp| format!("{stamp} web sshd[1]: x")).collect();
    let known = reading(modified);
    let mut first = FirstYear::new(known.modified_ms, 0);
    for line in &lines {
        first.line(line.as_bytes());
    }
    let known = Reading { year: year.or(Some(first.year())), ..known };
    let (printed, _) = look(known, Style { json: true, lines: true }, &lines.join("\n"));
    let at = printed
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["at"].as_str().map(str::to_owned));
    at.map(|at| at.split('T').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_has_one_year_that_goes_on_over_new_year() {
    let life = ["Nov 30 23:59:59", "Dec 31 23:59:59", "Jan  1 00:00:01", "Dec 31 23:59:58", "Mar  1 04:00:00"];
    let expected = "2024-11-30 2024-12-31 2025-01-01 2024-12-31 2025-03-01";
    assert_eq!(times("2026-01-05T00:00:00Z", None, &life), expected, "the last line in the 12 months before");
    assert_eq!(times("2025-03-01T05:00:00Z", None, &life), expected);
    assert_eq!(times("2026-01-05T00:00:00Z", Some(2019), &life[..3]), "2019-11-30 2019-12-31 2020-01-01");
    let two = ["Jun  1 00:00:00", "Feb  2 00:00:00", "Feb  1 23:00:00", "Jan  9 00:00:00"];
    assert_eq!(times("2026-01-20T00:00:00Z", None, &two), "2024-06-01 2025-02-02 2025-02-01 2026-01-09");
    // Of a file written on January 5, December is not of the year that began: alone it would be right, after March not.
    let long = ["Mar  3 00:00:00", "Dec 30 00:00:00", "Jan  4 00:00:00"];
    assert_eq!(times("2026-01-05T00:00:00Z", None, &long), "2025-03-03 2025-12-30 2026-01-04");
    let named = ["Dec 31 23:00:00", "2001-02-03T04:05:06Z", "Jan  1 01:00:00"];
    assert_eq!(times("2026-01-05T00:00:00Z", None, &named), "2025-12-31 2001-02-03 2026-01-01");
}

#[test]
fn an_impossible_year_is_refused_by_name() {
    for year in ["0", "-5", "1969", "2100", "99999", "x"] {
        let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_nmsd-server"));
        let said = server.args(["analyse", "-", &format!("--year={year}")]).output().unwrap();
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && words.contains("--year") && words.contains("from 1970 to 2099"), "{words}");
    }
}

#[test]
fn ordinary_lines_raise_nothing_and_each_can_be_looked_at() {
    let text = "Mar  3 04:00:00 web sshd[1]: Accepted publickey for admin from 192.0.2.4 port 1 ssh2\n\
                Mar  3 04:00:09 web CRON[2]: pam_unix(cron:session): session opened for user root by (uid=0)\n";
    let (printed, _) = look(reading("2026-01-05T00:00:00Z"), Style { json: true, lines: true }, text);
    let lines: Vec<Value> = printed.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["line"], 1);
    assert_eq!(
        (&lines[0]["family"], &lines[0]["action"], &lines[0]["outcome"]),
        (&"sshd".into(), &"login".into(), &"ok".into())
    );
    assert_eq!(lines[0]["actor"], "192.0.2.4");
    assert_eq!(lines[0]["at"], "2025-03-03T04:00:00.000Z");
    assert_eq!(lines[1]["line"], 2);
}

#[test]
fn failures_far_apart_raise_nothing_however_fast_they_are_read() {
    let hour = |at: u32| {
        format!(
            "Mar  {} {:02}:00:00 web sshd[1]: Failed password for root from 203.0.113.9 port 1 ssh2\n",
            at / 24 + 1,
            at % 24
        )
    };
    let text: String = (0..48).map(|at| hour(at * 4 % 192)).collect();
    let (printed, _) = look(reading("2026-01-05T00:00:00Z"), JSON, &text);
    let high = printed.iter().filter(|line| line.contains("\"HIGH\"") || line.contains("\"CRITICAL\"")).count();
    assert_eq!(high, 0, "{printed:?}");
}

#[test]
fn binary_lines_are_counted_and_the_rest_is_read() {
    let mut text = failures(0, 8);
    text.push_str("\0\0\0\n\n");
    text.push_str(&failures(8, 4));
    let (printed, counts) = look(reading("2026-01-05T00:00:00Z"), Style::default(), &text);
    assert_eq!((counts.lines, counts.refused), (14, 2));
    assert!(printed[0].contains("brute_force"), "{printed:?}");
}
