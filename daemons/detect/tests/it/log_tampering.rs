//! Logs that stop, go away or are cleared, and restarts, shutdowns and rotations that only look like it.

use nms_proto::event::{Body, FileChange};

use crate::host::{Hub, TEN, line};

const RSYSLOG: &str =
    "[origin software=\"rsyslogd\" swVersion=\"8.2112.0\" x-pid=\"774\" x-info=\"https://www.rsyslog.com\"]";
const NIGHT: f64 = 15.0 * 3_600.0;

fn change(path: &str, fields: &str) -> Body {
    let text = format!(r#"{{"path":"{path}"{fields}}}"#);
    let change: FileChange = serde_json::from_str(&text).unwrap();
    Body::File(Box::new(change))
}

/// What is said of tampering with logs, `SEVERITY: message`, after events with their seconds and two minutes of quiet.
fn said(start_s: f64, events: Vec<(f64, Body)>) -> String {
    let mut hub = Hub::new();
    let mut last = start_s;
    for (after_s, body) in events {
        last = start_s + after_s;
        hub.feed(last, "web", body);
    }
    hub.wait(last + 400.0);
    let ours = hub.said.iter().filter(|finding| finding.category.as_str() == "log_tampering");
    ours.map(|finding| format!("{}: {}", finding.floor, finding.message)).collect::<Vec<_>>().join("\n")
}

fn stopped(app: &str, text: &str) -> String {
    said(0.0, vec![(0.0, line(app, 0, text))])
}

#[test]
fn a_daemon_that_stops_and_does_not_start() {
    for (app, text, name) in [
        ("rsyslogd", format!("{RSYSLOG} exiting on signal 15."), "rsyslogd"),
        ("/usr/sbin/rsyslogd", format!("{RSYSLOG} exiting on signal 15."), "rsyslogd"),
        ("syslogd", "exiting on signal 15".into(), "syslogd"),
        ("syslog-ng", "syslog-ng shutting down; version='3.35.1'".into(), "syslog-ng"),
        ("auditd", "The audit daemon is exiting.".into(), "auditd"),
        (
            "audispd",
            "type=DAEMON_END msg=audit(1773137472.1:7): op=terminate auid=1000 pid=7 res=success".into(),
            "auditd",
        ),
    ] {
        assert_eq!(stopped(app, &text), format!("MEDIUM: {name} on web was stopped"), "{app} {text}");
        assert_eq!(said(NIGHT, vec![(0.0, line(app, 0, &text))]), format!("HIGH: {name} on web was stopped"));
    }
    for (app, text) in [
        ("kernel", "audit: type=1305 audit(1773137472.1:7): op=set audit_enabled=0 old=1 auid=1000 ses=3 res=1"),
        ("kernel", "[1234.5] audit: type=1305 audit(1773137472.1:7): audit_enabled=0 old=1 auid=1000 res=1"),
        ("audispd", "type=CONFIG_CHANGE msg=audit(1773137472.1:7): op=set audit_enabled=0 old=1 auid=1000 res=1"),
        ("audit", "CONFIG_CHANGE op=set audit_enabled=0 old=1 auid=1000 res=1"),
    ] {
        assert_eq!(stopped(app, text), "HIGH: auditing on web was switched off", "{app} {text}");
    }
}

#[test]
fn a_restart_is_silent() {
    for (app, stop, start) in [
        ("syslogd", "syslogd exiting".to_owned(), "syslogd started: BusyBox v1.36.1".to_owned()),
        ("rsyslogd", format!("{RSYSLOG} exiting on signal 15."), format!("{RSYSLOG} start")),
        ("syslogd", "exiting on signal 15".into(), "syslogd 1.5.0: restart.".into()),
        ("syslog-ng", "syslog-ng shutting down; version='3'".into(), "syslog-ng starting up; version='3'".into()),
        ("auditd", "The audit daemon is exiting.".into(), "Init complete, auditd 3.0.7 listening for events".into()),
        ("systemd-journald", "Journal stopped".into(), "Journal started".into()),
        (
            "audit",
            "CONFIG_CHANGE op=set audit_enabled=0 old=1".into(),
            "CONFIG_CHANGE op=set audit_enabled=1 old=0".into(),
        ),
    ] {
        let events = |wait: f64| vec![(0.0, line(app, 0, &stop)), (wait, line(app, 0, &start))];
        // Devices with a plain syslogd take minutes to start, and it alone tells of it.
        let late = if app == "syslogd" { 400.0 } else { 90.0 };
        assert_eq!(said(NIGHT, events(5.0)), "", "{app}");
        assert_ne!(said(NIGHT, events(late)), "", "{app}");
    }
    for text in [
        format!("{RSYSLOG} rsyslogd was HUPed"),
        format!("{RSYSLOG} start"),
        "imuxsock begins to drop messages from pid 7".into(),
    ] {
        assert_eq!(stopped("rsyslogd", &text), "");
    }
    assert_eq!(stopped("webapp", &format!("{RSYSLOG} exiting on signal 15.")), "");
    assert_eq!(stopped("kernel", "audit: type=1400 audit(1.1:7): apparmor=\"STATUS\" operation=\"profile_load\""), "");
}

#[test]
fn a_shutdown_is_silent() {
    let stop = || line("rsyslogd", 0, &format!("{RSYSLOG} exiting on signal 15."));
    for (app, text) in [
        ("systemd", "Stopped target Multi-User System."),
        ("systemd", "Reached target System Shutdown."),
        ("systemd", "Reached target System Reboot."),
        ("systemd", "Stopped target multi-user.target - Multi-User System."),
        ("systemd-logind", "System is rebooting."),
        ("systemd-logind", "System is powering down (hypervisor initiated shutdown)."),
        ("systemd-logind", "The system will power off now!"),
        ("kernel", "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)"),
    ] {
        assert_eq!(said(0.0, vec![(0.0, line(app, 0, text)), (3.0, stop())]), "", "{text}");
        assert_eq!(said(0.0, vec![(0.0, stop()), (20.0, line(app, 0, text))]), "", "{text}");
    }
    for text in ["Stopped target Sound Card.", "Reached target Network.", "Stopping System Logging Service..."] {
        assert_ne!(said(0.0, vec![(0.0, line("systemd", 0, text)), (3.0, stop())]), "", "{text}");
    }
    // Somebody else's shutdown explains nothing.
    let mut hub = Hub::new();
    hub.feed(0.0, "db", line("systemd", 0, "Reached target System Shutdown."));
    hub.feed(1.0, "web", stop());
    hub.wait(100.0);
    assert_eq!(hub.alerts(), 1);
}

/// Only systemd's word: of the daemons of logs, of a firewall, of others.
#[test]
fn units_that_stop() {
    for text in [
        "Stopped rsyslog.service - System Logging Service.",
        "Stopped System Logging Service.",
        "rsyslog.service: Deactivated successfully.",
    ] {
        assert_eq!(stopped("systemd", text), "MEDIUM: rsyslogd on web was stopped", "{text}");
        let started = line("systemd", 0, "Started System Logging Service.");
        assert_eq!(said(0.0, vec![(0.0, line("systemd", 0, text)), (1.0, started)]), "", "{text}");
    }
    let mut hub = Hub::new();
    hub.feed(0.0, "web", line("systemd", 1, "Stopped ufw.service - Uncomplicated firewall."));
    hub.feed(1.0, "web", line("systemd", 1, "Stopped nginx.service - A high performance web server."));
    hub.feed(2.0, "web", line("systemd", 1, "Stopped fail2ban.service - Fail2Ban Service."));
    hub.feed(3.0, "web", line("systemd", 1, "Started fail2ban.service - Fail2Ban Service."));
    hub.wait(100.0);
    assert_eq!(hub.text(), "1 MEDIUM suspicious_process x1 open: ufw on web was stopped");
}

#[test]
fn an_upgrade_is_low() {
    let events = vec![
        (0.0, line("dpkg", 0, "status half-configured rsyslog:amd64 8.2112.0")),
        (1.0, line("rsyslogd", 0, &format!("{RSYSLOG} exiting on signal 15."))),
    ];
    assert_eq!(said(0.0, events), "LOW: rsyslogd on web was stopped");
}

#[test]
fn a_backlog_is_judged_in_its_own_time() {
    let late = |hub: &mut Hub, after_s: i64, text: &str| {
        let body = line("rsyslogd", 0, &format!("{RSYSLOG} {text}"));
        hub.feed_late(TEN + after_s * 1_000, TEN + 7_200_000, "web", body);
    };
    let mut hub = Hub::new();
    for hour in 0..2 {
        late(&mut hub, hour * 3_600, "exiting on signal 15.");
        late(&mut hub, hour * 3_600 + 4, "start");
    }
    hub.wait(9_000.0);
    assert_eq!(hub.text(), "");
    late(&mut hub, 6_000, "exiting on signal 15.");
    late(&mut hub, 6_600, "start");
    assert_eq!(hub.alerts(), 1, "it was away for ten minutes");
}

#[test]
fn files_of_logs() {
    let deleted = |path: &str| change(path, r#","change":"deleted""#);
    let emptied = |path: &str| change(path, r#","change":"modified","size":0"#);
    let created = |path: &str| change(path, r#","change":"created","size":10"#);
    for path in [
        "/var/log/auth.log",
        "/var/log/secure",
        "/var/log/wtmp",
        "/var/log/btmp",
        "/var/log/lastlog",
        "/var/log/audit/audit.log",
    ] {
        assert_eq!(said(0.0, vec![(0.0, deleted(path))]), format!("HIGH: {path} on web was deleted"));
        assert_eq!(said(0.0, vec![(0.0, emptied(path))]), format!("HIGH: {path} on web was emptied"));
    }
    assert_eq!(said(0.0, vec![(0.0, emptied("/var/log/syslog"))]), "MEDIUM: /var/log/syslog on web was emptied");
    // Rotated: by another name, with a copy, with a date; whichever is told first.
    for rotated in ["/var/log/auth.log.1", "/var/log/auth.log-20260310", "/var/log/auth.log.1.gz"] {
        let log = "/var/log/auth.log";
        assert_eq!(said(0.0, vec![(0.0, deleted(log)), (0.5, created(log)), (1.0, created(rotated))]), "", "{rotated}");
        assert_eq!(said(0.0, vec![(0.0, created(rotated)), (1.0, emptied(log))]), "", "{rotated}");
    }
    for body in [
        change("/var/log/auth.log", r#","change":"modified","size":4711"#),
        change("/var/log/auth.log", r#","change":"deleted","package_manager":true"#),
        deleted("/var/log/app/debug.log"),
        deleted("/var/log/auth.log.4.gz"),
        deleted("/home/bob/auth.log"),
        deleted("/var/log/journal/0123/system@00-1.journal"),
    ] {
        assert_eq!(said(0.0, vec![(0.0, body)]), "");
    }
    // Another's rotated file explains nothing.
    assert_ne!(said(0.0, vec![(0.0, deleted("/var/log/wtmp")), (1.0, created("/var/log/auth.log.1"))]), "");
}

#[test]
fn logs_of_windows() {
    for (text, expected) in [
        (
            r#"{"EventID":1102,"Channel":"Security","SubjectUserName":"bob"}"#,
            "HIGH: the security log of web was cleared",
        ),
        (
            r#"{"EventID":517,"Channel":"Security","SubjectUserName":"bob"}"#,
            "HIGH: the security log of web was cleared",
        ),
        (r#"{"EventID":104,"Channel":"System","SubjectUserName":"bob"}"#, "MEDIUM: an event log of web was cleared"),
        (r#"{"EventID":1100,"Channel":"Security"}"#, ""),
        (r#"{"EventID":4663,"Channel":"Security","SubjectUserName":"bob","ObjectName":"1102"}"#, ""),
    ] {
        assert_eq!(stopped("", text), expected, "{text}");
    }
    let text =
        "1102: The audit log was cleared.  Subject:  Security ID:  S-1-5-21-1  Account Name:  bob  Domain Name:  X";
    assert_eq!(stopped("Microsoft-Windows-Eventlog", text), "HIGH: the security log of web was cleared");
    for text in ["104: The System log file was cleared.", "The Application log file was cleared."] {
        assert_eq!(stopped("Microsoft-Windows-Eventlog", text), "MEDIUM: an event log of web was cleared", "{text}");
    }
}

/// Logs of one host are one incident, whatever is done to them.
#[test]
fn one_host_one_incident() {
    let mut hub = Hub::new();
    let sudo = "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl stop rsyslog";
    hub.feed(0.0, "web", line("sudo", 0, sudo));
    hub.feed(0.1, "web", line("rsyslogd", 0, &format!("{RSYSLOG} exiting on signal 15.")));
    hub.feed(5.0, "web", line("sudo", 0, &sudo.replace("systemctl stop rsyslog", "shred -u /var/log/auth.log")));
    hub.wait(100.0);
    let ours: Vec<_> = hub.said.iter().filter(|finding| finding.category.as_str() == "log_tampering").collect();
    assert!(ours.iter().all(|finding| finding.alert == ours[0].alert), "{}", hub.text());
    assert_eq!(ours.last().unwrap().floor.as_str(), "HIGH");
}

/// One file that looks rotated excuses no other log, and that an old one goes excuses none.
#[test]
fn a_rotation_excuses_its_own_log() {
    let deleted = |path: &str| change(path, r#","change":"deleted""#);
    let created = |path: &str| change(path, r#","change":"created","size":10"#);
    for first in [
        created("/var/log/x.1"),
        created("/var/log/a.gz"),
        created("/var/log/auth.1"),
        created("/var/log/auth.log2.1"),
        deleted("/var/log/auth.log.1"),
        deleted("/var/log/wtmp.1"),
    ] {
        let gone = vec![(0.0, first), (1.0, deleted("/var/log/auth.log")), (2.0, deleted("/var/log/wtmp"))];
        assert_eq!(said(0.0, gone).lines().next(), Some("HIGH: /var/log/auth.log on web was deleted"));
    }
    for (log, rotated) in [
        ("/var/log/auth.log", "/var/log/old/auth.log-20260310.gz"),
        ("/var/log/audit/audit.log", "/var/log/audit/audit.log.1"),
        ("/var/log/wtmp", "/var/log/wtmp-20260310"),
    ] {
        assert_eq!(said(0.0, vec![(0.0, created(rotated)), (1.0, deleted(log))]), "", "{log}");
        assert_eq!(said(0.0, vec![(0.0, deleted(log)), (1.0, created(rotated))]), "", "{log}");
    }
}

/// What comes hours later explains nothing, though a backlog brings both at once.
#[test]
fn a_backlog_is_explained_by_its_own_time() {
    let created = || change("/var/log/auth.log.1", r#","change":"created","size":10"#);
    let stop = || line("auditd", 0, "The audit daemon is exiting.");
    let reboot = || line("systemd", 0, "Reached target System Reboot.");
    for (first, second, hours, expected) in [
        (change("/var/log/auth.log", r#","change":"deleted""#), created(), 21, "HIGH log_tampering"),
        (change("/var/log/auth.log", r#","change":"deleted""#), created(), 0, ""),
        (stop(), reboot(), 6, "MEDIUM log_tampering"),
        (stop(), reboot(), 0, ""),
    ] {
        let mut hub = Hub::new();
        let now = TEN + 100 * 3_600_000;
        hub.feed_late(TEN, now, "web", first);
        hub.feed_late(TEN + hours * 3_600_000 + 1_000, now, "web", second);
        hub.wait(101.0 * 3_600.0);
        let first = hub.said.iter().find(|finding| finding.category.as_str() == "log_tampering");
        let first = first.map_or(String::new(), |finding| format!("{} {}", finding.floor, finding.category));
        assert_eq!(first, expected, "{hours} h: {}", hub.text());
    }
}

/// Firewalls on `FreeBSD`, and itself, that restart or are updated.
#[test]
fn a_bsd_that_restarts_is_silent() {
    let stop = || line("syslogd", 0, "exiting on signal 15");
    for (after_s, app, text) in [
        (133.0, "syslogd", "kernel boot file is /boot/kernel/kernel"),
        (2.0, "syslogd", "kernel boot file is /boot/kernel/kernel"),
        (133.0, "kernel", "---<<BOOT>>---"),
        (133.0, "kernel", "Copyright (c) 1992-2023 The FreeBSD Project."),
        (1.0, "reboot", "rebooted by root"),
    ] {
        assert_eq!(said(NIGHT, vec![(0.0, stop()), (after_s, line(app, 0, text))]), "", "{text}");
    }
    for text in ["reboot by root: ", "power-down by admin: "] {
        assert_eq!(said(NIGHT, vec![(0.0, line("shutdown", 0, text)), (3.0, stop())]), "", "{text}");
    }
    assert_eq!(
        said(NIGHT, vec![(0.0, line("webapp", 0, "reboot by root: ")), (3.0, stop())]),
        "HIGH: syslogd on web was stopped"
    );
    assert_eq!(said(NIGHT, vec![(0.0, line("syslogd", 0, "syslogd exiting"))]), "HIGH: syslogd on web was stopped");
}

/// Nobody fills the hub with daemons that stop.
#[test]
fn ten_thousand_stops_are_bounded() {
    let mut hub = Hub::new();
    for at in 0..10_000 {
        let body = line("rsyslogd", 0, &format!("{RSYSLOG} exiting on signal 15."));
        hub.feed(f64::from(at) * 0.001, &format!("s{at}"), body);
    }
    assert!(hub.correlator.counters().actors < 2_000, "{:?}", hub.correlator.counters());
}
