//! The real program against a hub on a Unix socket: what it prints, and what it ends with.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::net::UnixListener,
    process::{Command, Stdio},
    thread,
};

use nms_proto::{
    alert::{Alert, Status},
    dash::{DASH_PROTOCOL, FromHub, Gap, Hello, Link, ServerState, Snapshot, Subscribe, ToHub},
    severity::Severity,
};
use serde_json::Value;

use crate::{
    fake_hub::{Client, listen},
    scene,
    screens::overlapping,
};

/// The program with these arguments, at a socket in a folder of its own.
fn program(folder: &tempfile::TempDir, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nms-tui"));
    command.arg("--socket").arg(folder.path().join("dash.sock")).args(args.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn socket(folder: &tempfile::TempDir) -> UnixListener {
    listen(&folder.path().join("dash.sock"))
}

/// As the hub greets: alerts beyond the newest three come behind the snapshot.
fn greet(client: &mut Client, mut snapshot: Snapshot) {
    let spare = snapshot.alerts.len().saturating_sub(3);
    let older: Vec<Alert> = snapshot.alerts.drain(..spare).collect();
    snapshot.alerts_follow = older.len() as u64;
    client.say(&FromHub::Hello(scene::hello()));
    client.say(&FromHub::Snapshot(Box::new(snapshot)));
    for alert in older {
        client.say(&FromHub::Alert(Box::new(alert)));
    }
}

/// What the program prints about `snapshot`, and its exit code.
fn once(args: &str, snapshot: Snapshot) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    let listener = socket(&folder);
    let hub = thread::spawn(move || greet(&mut Client::accept(&listener), snapshot));
    let output = program(&folder, args).output().unwrap();
    hub.join().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn calm() -> Snapshot {
    Snapshot { alerts: vec![], ..scene::snapshot() }
}

#[test]
fn alerts_are_one_json_object_a_line() {
    let (text, code) = once("--once --json", scene::snapshot());
    let alerts = objects(&text);
    assert_eq!(alerts.len(), 4);
    assert_eq!(alerts[3]["category"], "brute_force");
    assert_eq!(alerts[3]["model"]["id"], "logbert-base-3");
    assert_eq!(alerts[3]["confidence"].as_f64().map(|value| (value * 100.0).round()), Some(94.0));
    assert_eq!(serde_json::from_value::<Alert>(alerts[3].clone()).unwrap(), scene::guessing());
    assert_eq!(code, 1);
}

#[test]
fn an_old_open_alert_is_printed_and_told_by_the_exit_code() {
    let mut snapshot = scene::snapshot();
    let calm = Alert { severity: Severity::Low, ..scene::guessing() };
    snapshot.alerts = std::iter::once(scene::guessing()).chain(vec![calm; 6]).collect();
    let (text, code) = once("--once --json", snapshot);
    let severities: Vec<_> =
        objects(&text).iter().map(|alert| alert["severity"].as_str().unwrap().to_owned()).collect();
    assert_eq!(severities, ["HIGH", "LOW", "LOW", "LOW", "LOW", "LOW", "LOW"]);
    assert_eq!(code, 1);
}

#[test]
fn the_exit_code_says_how_it_is() {
    let check = |change: &dyn Fn(&mut Snapshot), code: i32| {
        let mut snapshot = calm();
        change(&mut snapshot);
        assert_eq!(once("--once alerts", snapshot).1, code);
    };
    let with = |severity, status| {
        move |snapshot: &mut Snapshot| {
            snapshot.alerts = vec![Alert { severity, status: Status::clone(&status), ..scene::guessing() }];
        }
    };
    check(&|_| {}, 0);
    check(&with(Severity::Medium, Status::Open), 0);
    check(&with(Severity::High, Status::Provisional), 1);
    check(&with(Severity::Critical, Status::Acknowledged), 1);
    check(&with(Severity::Critical, Status::Closed), 0);
    check(&with(Severity::Critical, Status::Suppressed), 0);
    check(&|snapshot| snapshot.link = scene::link_down(), 3);
    check(&|snapshot| snapshot.link.server = ServerState::None, 0);
    check(
        &|snapshot| {
            snapshot.link = scene::link_down();
            snapshot.alerts = scene::alerts();
        },
        1,
    );
}

#[test]
fn link_and_endpoints_have_the_fields_of_the_manual() {
    let link = objects(&once("--once link --json", calm()).0);
    assert_eq!(
        (&link[0]["server"], &link[0]["rtt_ms"], &link[0]["queue_max"]),
        (&"ok".into(), &12.into(), &1_000_000.into())
    );
    assert_eq!(link[0]["sources"][2]["rejected"]["invalid_pri"], 4);
    let endpoints = objects(&once("--once endpoints --json", calm()).0);
    assert_eq!(endpoints.len(), 5);
    assert_eq!((&endpoints[2]["name"], &endpoints[2]["status"]), (&"db02".into(), &"late".into()));
    assert!(endpoints.iter().all(|endpoint| endpoint.get("also").is_none()), "{endpoints:?}");
    let doubled = || Snapshot { endpoints: overlapping(), ..calm() };
    let endpoints = objects(&once("--once endpoints --json", doubled()).0);
    assert_eq!(endpoints[1]["also"], serde_json::json!(["192.168.1.101"]));
    let (text, _) = once("--once endpoints", doubled());
    assert!(
        text.lines().any(|line| line.contains("endpoint web01 ") && line.ends_with(" also 192.168.1.101")),
        "{text}"
    );
}

#[test]
fn words_come_first_without_json() {
    let (text, _) = once("--once --filter sev>=high", scene::snapshot());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1],
        "alert HIGH brute_force 192.168.1.101 open x37 score 0.94 at 2026-01-05T10:41:55.000Z \
         a-00000000000000a1: 37 failed SSH logins for root from 10.0.0.50"
    );
    let (text, _) = once("--once link", Snapshot { link: scene::link_down(), ..calm() });
    assert!(text.starts_with("server down since ") && text.contains("  queue 3.1k/1M  tenant home"), "{text}");
    let (text, _) = once("--once endpoints", calm());
    assert!(text.contains("endpoint db02 agent late ev/s 0.4"), "{text}");
}

#[test]
fn hostile_text_does_not_reach_the_output() {
    let mut snapshot = calm();
    let nasty = "evil\u{1b}[2J\u{202e}\u{200b}\u{7f}\u{9b}";
    snapshot.alerts = vec![Alert { message: nasty.into(), ..scene::guessing() }];
    for args in ["--once --json", "--once"] {
        let (text, _) = once(args, snapshot.clone());
        let is_hostile = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!text.contains(is_hostile), "{args}: {text:?}");
    }
    let (text, _) = once("--once --json", snapshot);
    assert_eq!(objects(&text)[0]["message"], nasty, "a program gets the text as it was");
}

#[test]
fn a_hub_that_cannot_be_reached_or_understood_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in ["--once --json", "tail --json", "--plain"] {
        let output = program(&folder, args).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert!(words.contains("cannot connect to") && words.contains("systemctl status nmsd-hub"), "{words}");
    }
    let listener = socket(&folder);
    let hub = thread::spawn(move || {
        Client::accept(&listener).say(&FromHub::Hello(Hello { protocol: DASH_PROTOCOL + 1, ..scene::hello() }))
    });
    let output = program(&folder, "--once").output().unwrap();
    hub.join().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("upgrade nms-tui"));
}

#[test]
fn wrong_usage_is_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    for args in ["--once everything", "--loud", "--once --filter sev>=x"] {
        assert_eq!(program(&folder, args).output().unwrap().status.code(), Some(64), "{args}");
    }
    assert_eq!(program(&folder, "--help").output().unwrap().status.code(), Some(0));
}

#[test]
fn tail_follows_lines_gaps_and_alerts_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let listener = socket(&folder);
    let mut child = program(&folder, "tail --json --lines 2").spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| -> Value { serde_json::from_str(&line.unwrap()).unwrap() });
    let line = |seq| scene::line(seq, "10:42:07", 6, "web01", "nginx", "GET / 200");

    let mut client = Client::accept(&listener);
    greet(&mut client, scene::snapshot());
    assert_eq!(client.hear(), Some(ToHub::Subscribe(Subscribe { after: Some(30), lines_per_s_max: None })));
    client.say(&FromHub::Lines(vec![line(31)]));
    client.say(&FromHub::Gap(Gap { lines: 7 }));
    client.say(&FromHub::Alert(Box::new(scene::guessing())));
    assert_eq!((&out.next().unwrap()["seq"], &out.next().unwrap()["seq"]), (&29.into(), &30.into()));
    let third = out.next().unwrap();
    assert_eq!((&third["seq"], &third["app"], &third["message"]), (&31.into(), &"nginx".into(), &"GET / 200".into()));
    assert_eq!(out.next().unwrap()["gap"], 7);
    assert_eq!(out.next().unwrap()["alert"]["severity"], "HIGH");

    // The hub restarts, and has two lines more than were sent.
    drop(client);
    let mut client = Client::accept(&listener);
    greet(&mut client, Snapshot { lines: vec![line(31), line(34)], ..scene::snapshot() });
    assert_eq!(out.next().unwrap()["gap"], 2);
    assert_eq!(out.next().unwrap()["seq"], 34);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn without_a_terminal_the_dashboard_is_a_plain_tail() {
    let folder = tempfile::tempdir().unwrap();
    let listener = socket(&folder);
    let mut child = program(&folder, "").env("TERM", "dumb").spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut client = Client::accept(&listener);
    greet(&mut client, Snapshot { lines: scene::lines()[3..4].to_vec(), ..scene::snapshot() });
    assert_eq!(out.next().unwrap(), "link SERVER OK 12ms");
    assert_eq!(
        out.next().unwrap(),
        "2026-01-05T10:41:41.000Z info rtr dhcpd: lease ␛[31m10.0.0.9 to <U+202E>pot<U+200B>pal"
    );
    client.say(&FromHub::Link(Box::new(Link { server: ServerState::Busy, busy_percent: Some(40), ..scene::link() })));
    assert_eq!(out.next().unwrap(), "link SERVER BUSY slowed to 40 %  queue 0/1M");
    client.say(&FromHub::Alert(Box::new(scene::guessing())));
    assert!(out.next().unwrap().starts_with("alert HIGH brute_force 192.168.1.101 open x37"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_ends_well_when_nobody_reads_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let listener = socket(&folder);
    let mut child = program(&folder, "tail --lines 1").spawn().unwrap();
    let mut client = Client::accept(&listener);
    greet(&mut client, scene::snapshot());
    let mut first = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"link");
    drop(stdout);
    client.hear();
    let lines = vec![scene::line(31, "10:42:07", 6, "web01", "nginx", "GET / 200")];
    client.say(&FromHub::Lines(lines));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
