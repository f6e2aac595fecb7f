//! The suite of scenarios passes, and the runner can fail.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nms_lab::eval::{Layer, Mode, ScenarioOptions, scenarios};
use serde_json::{Value, json};

fn suite() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../detect/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_dashboard_shows_what_it_must_in_every_scenario() {
    let options = ScenarioOptions { files: suite(), warmup: None, seed: 7, only: None };
    let suite = scenarios(&options).unwrap();
    let failed: Vec<String> =
        suite.outcomes.iter().filter(|it| it.layer == Layer::Fused && !it.passed).map(ToString::to_string).collect();
    assert!(suite.passed() && failed.is_empty(), "{}\n{suite}", failed.join("\n"));
    let judged = suite.outcomes.iter().filter(|it| it.layer == Layer::Fused && it.mode == Mode::Mixed).count();
    assert!(judged >= 60, "{judged} scenarios");
}

/// Thirty failures of one address, and what is expected of them.
fn guessing(kind: &str, expected: &Value) -> Value {
    let line = |at: u32| {
        json!({ "t": at, "src": "192.0.2.10", "raw": format!(
            "<38>Mar 10 13:00:{at:02} web sshd[{}]: Failed password for root from 198.51.100.77 port 4000 ssh2", 400 + at) })
    };
    json!({ "id": "x", "kind": kind, "start": "2026-03-10T13:00:00Z", "lines": (0..30).map(line).collect::<Vec<_>>(),
            "expected": expected })
}

fn run(text: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.jsonl");
    fs::write(&file, text).unwrap();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_nms-lab"));
    let output = lab.args(["eval", "scenarios"]).arg(&file).args(more).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn what_is_not_as_it_must_be_fails_and_says_why() {
    let attack = json!({ "category": "brute_force", "min_severity": "HIGH", "max_alerts": 1,
                         "must_mention": ["198.51.100.77"], "max_time_to_alert_s": 10 });
    let (code, said) = run(&guessing("attack", &attack).to_string(), &["--json"]);
    assert_eq!(code, Some(0), "{said}");
    let first: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(first["alerts"][0]["first_alert_s"], 4.0, "the fifth failure");
    assert_eq!(first["mode"], "cold");
    for (key, value, why) in [
        ("min_severity", json!("CRITICAL"), "must be; shown was 1 HIGH brute_force"),
        ("category", json!(["malware"]), "must be; shown was 1 HIGH brute_force"),
        ("max_alerts", json!(0), "1 alerts of MEDIUM or more, at most 0 may be"),
        ("must_mention", json!(["203.0.113.5"]), "no alert mentions 203.0.113.5"),
        ("max_time_to_alert_s", json!(1), "after 7.0 s, at most 1 s may be"),
        ("min_confidence", json!(0.999), "at least 1.00 must be"),
        ("min_alerts", json!(2), "2 must be"),
    ] {
        let mut expected = attack.clone();
        expected[key] = value;
        let (code, said) = run(&guessing("attack", &expected).to_string(), &[]);
        assert_eq!(code, Some(1), "{key}");
        assert!(said.contains(why), "{key}: {said}");
    }
    for (expected, why) in [
        (json!({ "max_severity": "LOW", "max_alerts": 1 }), "at most LOW may be"),
        (json!({ "max_severity": "HIGH", "max_alerts": 1, "max_confidence": 0.5 }), "at most 0.50 may be"),
        (json!({ "max_severity": "HIGH", "max_alerts": 1, "parse_errors_min": 1 }), "0 parse errors"),
    ] {
        let (code, said) = run(&guessing("benign", &expected).to_string(), &[]);
        assert_eq!(code, Some(1), "{why}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_line_and_field() {
    let benign = json!({ "max_severity": "LOW", "max_alerts": 0 });
    let good = guessing("benign", &benign);
    let with = |key: &str, value: Value| {
        let mut case = good.clone();
        case[key] = value;
        format!("{good}\n{case}\n")
    };
    for (text, why) in [
        (String::from("{"), "line 1"),
        (with("kind", json!("other")), "unknown variant"),
        (with("start", json!("yesterday")), "start:"),
        (
            with("expected", json!({ "max_severity": "BAD", "max_alerts": 0 })),
            "case x, field expected: BAD is no severity",
        ),
        (
            with("lines", json!([{ "t": 0, "src": "192.0.2.1" }])),
            "field lines[0]: one of raw, file, process and connection",
        ),
        (String::new(), "no scenario"),
    ] {
        let (code, said) = run(&text, &[]);
        assert_eq!(code, Some(2), "{why}: {said}");
        assert!(said.contains(why), "{said}");
    }
    let (code, said) = run(&good.to_string(), &["--warmup", "/nowhere"]);
    assert!(code == Some(2) && said.contains("cannot read /nowhere"), "{said}");
}
