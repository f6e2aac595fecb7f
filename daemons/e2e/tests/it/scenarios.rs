//! The way of a line: what users see when something happens.

use std::{fs, net::IpAddr, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    senders::{failure, logger, rsyslog, sshd, tcp, udp},
    stage::Stage,
};

/// Whether a test that lacks something must fail rather than skip.
pub(crate) fn is_all_required() -> bool {
    std::env::var("NMS_REQUIRE").is_ok_and(|what| what == "all")
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|out| out.status.success());
    assert!(found || !is_all_required(), "{program} is not installed");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn actors(alerts: &[Value]) -> Vec<&str> {
    let mut actors: Vec<_> = alerts.iter().filter_map(|alert| alert["actor"].as_str()).collect();
    actors.sort_unstable();
    actors
}

#[test]
fn guessing_over_udp_tcp_and_a_file_comes_back_judged() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let log = stage.path("auth.log");
    fs::write(&log, "").unwrap();
    stage.start_agent("agent", &hub, &[&log]);
    stage.until("the agent is there", |stage| stage.once("hub", "endpoints").iter().any(|row| row["kind"] == "agent"));
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    tcp(&hub, (0..10).map(|port| sshd(&failure("198.51.100.23", 40_000 + port))));
    let lines: Vec<String> = (0..10).map(|port| sshd(&failure("192.0.2.99", 40_000 + port))).collect();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    stage.until("three judged alerts", |stage| stage.judged("hub", "brute_force").len() == 3);
    let alerts = stage.judged("hub", "brute_force");
    assert_eq!(actors(&alerts), ["192.0.2.99", "198.51.100.23", "203.0.113.50"]);
    for alert in &alerts {
        assert_eq!(alert["severity"], "HIGH", "{alert}");
        assert!(alert["reasons"][0].as_str().is_some_and(|reason| reason.contains("failed logins")), "{alert}");
        assert!(alert["evidence"].as_array().is_some_and(|lines| lines.len() >= 5), "{alert}");
    }
}

/// The agent reads what the host's syslog daemon forwards too.
#[test]
fn a_host_that_is_seen_twice_is_named_and_its_lines_count_once() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let log = stage.path("auth.log");
    fs::write(&log, "").unwrap();
    stage.start_agent("agent", &hub, &[&log]);
    stage.until("the agent is there", |stage| stage.once("hub", "endpoints").iter().any(|row| row["kind"] == "agent"));
    // A file's stamps are believed and a datagram's are not, so both say now.
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S+00:00"]).output().expect("date of coreutils").stdout;
    let now = String::from_utf8(now).unwrap();
    let line = |port: u32| format!("{} gate sshd[811]: {}", now.trim(), failure("203.0.113.50", 40_000 + port));
    udp(&hub, (0..10).map(|port| format!("<38>{}", line(port))));
    stage.until("the datagrams are taken", |stage| stage.account("hub", "127.0.0.1")["received"] == 10);
    fs::write(&log, (0..10).map(|port| line(port) + "\n").collect::<String>()).unwrap();
    stage.until("the file is delivered too", |stage| stage.account("hub", "127.0.0.1/agent")["delivered"] == 10);
    // What is said after one more counts everything that came before it.
    udp(&hub, [format!("<38>{}", line(99))]);
    let counts = |stage: &Stage| stage.alerts("hub").iter().map(|alert| alert["count"].clone()).collect::<Vec<_>>();
    stage.until("one alert about each failure once", |stage| counts(stage) == [json!(11)]);
    let also = |name: &str| {
        let endpoints = stage.once("hub", "endpoints");
        endpoints.iter().find(|row| row["name"] == name).map(|row| row["also"].clone())
    };
    assert_eq!(also("127.0.0.1"), Some(json!(["127.0.0.1/agent"])));
    assert_eq!(also("127.0.0.1/agent"), Some(json!(["127.0.0.1"])));
}

#[test]
fn ten_thousand_failures_are_one_alert() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    tcp(&hub, (0..10_000).map(|port| sshd(&failure("203.0.113.50", port))));
    stage.until("everything is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"] == 10_000);
    stage.until("one judged alert", |stage| stage.judged("hub", "brute_force").len() == 1);
    assert_eq!(stage.alerts("hub").iter().filter(|alert| alert["category"] == "brute_force").count(), 1);
}

#[test]
fn logger_and_rsyslog_in_all_their_forms() {
    if !is_installed("logger") || !is_installed("rsyslogd") {
        return;
    }
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let forms: [(&[&str], &str); 4] = [
        (&["--udp", "--rfc3164"], "203.0.113.1"),
        (&["--udp", "--rfc5424"], "203.0.113.2"),
        (&["--tcp", "--rfc3164"], "203.0.113.3"),
        (&["--tcp", "--rfc5424"], "203.0.113.4"),
    ];
    for (form, actor) in forms {
        for port in 0..8 {
            logger(&hub, form, &failure(actor, 40_000 + port));
        }
    }
    let (file, folder) = (stage.path("relay.log"), stage.path("rsyslog"));
    fs::create_dir(&folder).unwrap();
    let relayed: Vec<String> =
        (0..8).flat_map(|port| [failure("203.0.113.5", 41_000 + port), format!("odd {port}")]).collect();
    fs::write(&file, relayed.join("\n") + "\n").unwrap();
    stage.start_other("rsyslogd", &mut rsyslog(&folder, &hub, &file));
    stage.until("an alert for each form", |stage| stage.judged("hub", "brute_force").len() == 5);
    let alerts = stage.judged("hub", "brute_force");
    assert_eq!(actors(&alerts), ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"]);
    stage.until("every line is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"] == 48);
    let account = stage.account("hub", "127.0.0.1");
    assert_eq!((&account["received"], &account["rejected"]), (&json!(48), &json!({})));
}

#[test]
fn a_real_hosts_log_is_read_whole() {
    let Some(data) = std::env::var_os("NMS_DATA").map(PathBuf::from) else {
        assert!(!is_all_required(), "NMS_DATA names no folder with public data");
        eprintln!("skipped: NMS_DATA names no folder with public data");
        return;
    };
    let text = fs::read(data.join("security/auth_real_host/auth.log")).expect("NMS_DATA holds the real host's log");
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let sent = lines.len() as u64;
    tcp(&hub, lines);
    stage.until("everything is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"] == sent);
    assert_eq!(stage.account("hub", "127.0.0.1")["rejected"], serde_json::json!({}));
    assert_eq!(stage.account("hub", "127.0.0.1")["dropped"], serde_json::json!({}));
    // It was attacked while it was logged; whoever is named stands in the file.
    stage.until("its guessing runs are judged", |stage| !stage.judged("hub", "brute_force").is_empty());
    let text = String::from_utf8_lossy(&text);
    for alert in stage.judged("hub", "brute_force") {
        let actor = alert["actor"].as_str().unwrap_or_default();
        assert!(actor.parse::<IpAddr>().is_ok() && text.contains(&format!(" {actor} ")), "{alert}");
    }
}

/// A changed file reaches the dashboard as an alert, and a report asked for at the server comes back through hub and
/// agent, a row for each file.
#[test]
fn a_changed_file_alerts_and_a_report_comes_back() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let watched = stage.path("etc");
    fs::create_dir(&watched).unwrap();
    fs::write(watched.join("passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs::write(watched.join("motd"), "welcome\n").unwrap();
    stage.start_watching("agent", &hub, &watched);
    let target = ["--tenant", "ip-127.0.0.1", "--target", "127.0.0.1/agent", "--json"];
    let report = |stage: &Stage| {
        let words = [["command", "request_fim_report"].as_slice(), &target].concat();
        let text = stage.verb(&words);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    stage.until("the agent is there", |stage| stage.once("hub", "endpoints").iter().any(|row| row["kind"] == "agent"));
    // Nothing is reported as changed before the baseline stands.
    stage.until("the baseline stands", |stage| {
        // The hub may know the agent before its control socket is there.
        let status = (**stage).admin("nmsd-agent", "agent", &["status"]);
        status.is_ok_and(|status| status[0]["collectors"]["fim_checks"].as_u64() > Some(0))
    });
    let rows = report(&stage);
    let digest = |rows: &[Value], name: &str| {
        let ends_so = |row: &&Value| row["file"]["path"].as_str().is_some_and(|path| path.ends_with(name));
        rows.iter().find(ends_so).map(|row| row["file"]["new_sha256"].clone())
    };
    let before = digest(&rows, "/passwd").expect("a row for passwd");
    assert!(digest(&rows, "/motd").is_some(), "{rows:?}");
    let end = &rows.last().unwrap()["report"];
    assert!(end["files"].as_u64() >= Some(2) && end["changed"] == 0, "{end}");

    fs::write(watched.join("passwd"), "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n").unwrap();
    let is_passwd = |alert: &Value| alert["message"].as_str().is_some_and(|text| text.contains("passwd"));
    stage.until("the change is a judged alert", |stage| stage.judged("hub", "file_integrity").iter().any(is_passwd));
    let after = digest(&report(&stage), "/passwd").unwrap();
    assert_ne!(before, after);
    let refused = stage
        .try_verb(&["command", "request_fim_report", "--tenant", "ip-127.0.0.1", "--target", "nobody"])
        .unwrap_err();
    assert!(refused.contains("no agent named nobody is connected"), "{refused}");
}

#[test]
fn a_program_that_starts_from_a_temporary_folder_alerts() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    (*stage).agent("agent", &hub, &[], &[]).unwrap();
    let settings = fs::read_to_string(stage.path("agent.toml")).unwrap();
    let is_off = "[processes]\nenabled = false\n";
    assert!(settings.contains(is_off));
    stage.write("agent.toml", &settings.replace(is_off, "[processes]\ninterval_ms = 100\n"));
    stage.start("nmsd-agent", "agent");
    // What runs at the first look is the baseline.
    stage.until("processes are looked at", |stage| {
        let status = (**stage).admin("nmsd-agent", "agent", &["status"]);
        status.is_ok_and(|status| status[0]["collectors"]["processes"].as_u64() > Some(0))
    });
    let folder = tempfile::Builder::new().prefix("nms-e2e-start-").tempdir_in("/tmp").unwrap();
    let program = folder.path().join("sleep");
    fs::copy("/bin/sleep", &program).unwrap();
    stage.start_other("sleep", Command::new(&program).arg("60"));
    let is_it = |alert: &Value| alert["message"].as_str().is_some_and(|text| text.contains("nms-e2e-start-"));
    stage.until("the start is told", |stage| stage.alerts("hub").iter().any(is_it));
    let alerts = stage.alerts("hub");
    let alert = alerts.iter().find(|alert| is_it(alert)).unwrap();
    assert_eq!((&alert["category"], &alert["source"]), (&json!("suspicious_process"), &json!("127.0.0.1/agent")));
}
