//! Watched files that change: the file pair, and what turns each of its members round.

use nms_proto::{
    event::{Body, FileChange},
    finding::Finding,
    severity::Severity,
};

use crate::host::{Hub, line};

/// A change of `path`, in the fields of the wire.
fn change(path: &str, fields: &str) -> Body {
    let text = format!(r#"{{"path":"{path}","change":"modified"{fields}}}"#);
    let change: FileChange = serde_json::from_str(&text).unwrap();
    Body::File(Box::new(change))
}

/// What is said of one change, so many hours after ten of a Tuesday.
fn judge(after_h: f64, path: &str, fields: &str) -> Finding {
    let mut hub = Hub::new();
    hub.feed(after_h * 3_600.0, "web", change(path, fields));
    hub.wait(after_h * 3_600.0 + 5.0);
    assert_eq!(hub.said.len(), 1);
    hub.said.remove(0)
}

/// Whether a finding is about a file; the account tool's line has one of its own.
fn is_of_file(finding: &Finding) -> bool {
    finding.category.as_str() == "file_integrity"
}

const AT_NIGHT: f64 = 17.0;
const BY_DAY: f64 = 0.667;

#[test]
fn the_file_pair() {
    let harmless = judge(BY_DAY, "/etc/nginx/nginx.conf", r#","sessions":["root"]"#);
    assert!((0.05..=0.30).contains(&harmless.confidence.value()), "{}", harmless.confidence);
    assert_eq!(harmless.floor, Severity::Info);
    let attack = judge(AT_NIGHT, "/etc/passwd", "");
    assert!(attack.confidence.value() >= 0.95, "{}", attack.confidence);
    assert_eq!(attack.floor, Severity::Critical);
    assert_eq!(&*attack.reasons[0], "/etc/passwd was modified at 03:00 on a Wednesday");
    assert_eq!(&*attack.reasons[1], "nobody was logged in");
}

#[test]
fn each_member_turns_round_with_its_context() {
    let by_packages = judge(AT_NIGHT, "/etc/passwd", r#","package_manager":true"#);
    assert!(by_packages.floor <= Severity::Medium, "{}", by_packages.floor);
    let settings = judge(AT_NIGHT, "/etc/nginx/nginx.conf", "");
    let before = judge(BY_DAY, "/etc/nginx/nginx.conf", r#","sessions":["root"]"#);
    assert!(settings.floor >= Severity::Medium && settings.confidence.value() > before.confidence.value() + 0.4);
    let by_day = judge(BY_DAY, "/etc/passwd", r#","sessions":["carol"]"#);
    assert!(by_day.floor <= Severity::Low, "an administrator of the settings is one: {}", by_day.floor);
    let upgrade = judge(AT_NIGHT, "/usr/bin/ls", r#","package_manager":true"#);
    assert_eq!(upgrade.floor, Severity::Info);
}

/// `useradd` writes the file first and its line comes after; the change waits two seconds for it.
#[test]
fn an_account_tool_explains_an_account_file() {
    for line_first in [true, false] {
        let mut hub = Hub::new();
        let night = AT_NIGHT * 3_600.0;
        let tool = line("useradd", 9, "new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash");
        if line_first {
            hub.feed(night, "web", tool);
            hub.feed(night + 0.5, "web", change("/etc/passwd", ""));
        } else {
            hub.feed(night, "web", change("/etc/passwd", ""));
            hub.feed(night + 0.5, "web", tool);
        }
        hub.wait(night + 5.0);
        hub.said.retain(is_of_file);
        assert_eq!(hub.said.len(), 1);
        assert!(hub.said[0].floor <= Severity::Medium, "{}", hub.said[0].floor);
    }
    let mut hub = Hub::new();
    hub.feed(AT_NIGHT * 3_600.0, "other", line("useradd", 9, "new user: name=bob, UID=1001"));
    hub.feed(AT_NIGHT * 3_600.0, "web", change("/etc/passwd", ""));
    hub.wait(AT_NIGHT * 3_600.0 + 5.0);
    hub.said.retain(is_of_file);
    assert_eq!(hub.said[0].floor, Severity::Critical, "another host's line explains nothing");
}

#[test]
fn a_sudoer_becomes_known_as_an_administrator() {
    let mut hub = Hub::new();
    hub.feed(
        0.0,
        "web",
        line("sudo", 9, "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/systemctl reload nginx"),
    );
    hub.feed(60.0, "web", change("/etc/nginx/nginx.conf", r#","sessions":["alice"]"#));
    hub.feed(60.0, "db", change("/etc/nginx/nginx.conf", r#","sessions":["alice"]"#));
    assert!(hub.said[0].confidence < hub.said[1].confidence);
    assert_eq!(&*hub.said[0].reasons[1], "alice was logged in, an administrator");
}

#[test]
fn an_upgrade_of_many_files_is_one_incident_and_report_rows_none() {
    let mut hub = Hub::new();
    for file in 0..500 {
        hub.feed(f64::from(file) * 0.05, "web", change(&format!("/usr/bin/tool{file}"), r#","package_manager":true"#));
    }
    hub.feed(60.0, "web", change("/etc/shadow", r#","command_id":"cmd-1""#));
    hub.wait(100.0);
    assert_eq!(hub.alerts(), 1);
    assert!(hub.said.iter().all(|finding| finding.floor == Severity::Info));
}
