//! Administration of routers and firewalls, in the words of each vendor: from outside, at night, and as every day.

use nms_proto::event::Body;

use crate::{
    host::{Hub, check, line},
    many::worst,
};

const HOUR: f64 = 3_600.0;

fn fortigate(rest: &str) -> Body {
    let head = r#"date=2026-03-10 time=10:00:00 devname="fw" devid="FGT1" logid="0100044547" type="event" subtype="system" level="information" vd="root""#;
    line("", 0, &format!("{head} {rest}"))
}

fn logged_in(words: usize, from: &str) -> Body {
    match words {
        0 => line(
            "",
            0,
            &format!(
                "%SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: admin] [Source: {from}] [localport: 22] at 10:00:00 UTC Tue Mar 10 2026"
            ),
        ),
        1 => line(
            "%ASA-6-605005",
            0,
            &format!("Login permitted from {from}/4711 to outside:192.0.2.1/ssh for user \"admin\""),
        ),
        2 => fortigate(&format!(
            r#"logdesc="Admin login successful" sn="1" user="admin" ui="https({from})" method="https" srcip={from} dstip=192.0.2.1 action="login" status="success" reason="none" msg="x""#
        )),
        3 => line("system,info,account", 0, &format!("user admin logged in from {from} via winbox")),
        4 => line("luci", 0, &format!("accepted login on / for root from {from}")),
        _ => line(
            "php-fpm",
            338,
            &format!("/index.php: Successful login for user 'admin' from: {from} (Local Database)"),
        ),
    }
}

fn changed(words: usize, from: &str) -> Body {
    match words {
        0 => line("", 0, &format!("%SYS-5-CONFIG_I: Configured from console by admin on vty0 ({from})")),
        1 => line(
            "%ASA-5-111010",
            0,
            &format!("User 'admin', running 'CLI' from IP {from}, executed 'mtu outside 1400'"),
        ),
        2 => fortigate(&format!(
            r#"logdesc="Attribute configured" user="admin" ui="GUI({from})" action="Edit" cfgtid=1 cfgpath="system.interface" cfgobj="wan1" cfgattr="mtu[1500->1400]" msg="x""#
        )),
        3 => line("system,info", 0, &format!("interface changed by winbox-3.40/tcp-msg(winbox):admin@{from}")),
        4 => line("", 0, &format!("%VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by admin on {from}@pts/0")),
        _ => line(
            "php-fpm",
            338,
            &format!("/interfaces.php: Configuration Change: admin@{from} (Local Database): Interfaces changed"),
        ),
    }
}

#[test]
fn a_login_from_outside_is_high_and_from_inside_nothing() {
    for words in 0..6 {
        let mut hub = Hub::new();
        hub.feed(0.0, "router", logged_in(words, "192.168.1.5"));
        check(&hub.text(), "");
        hub.feed(10.0, "router", logged_in(words, "203.0.113.9"));
        let by = if words == 4 { "root" } else { "admin" };
        check(&hub.text(), &format!("1 HIGH account_compromise x1 open: {by} logged in to router from 203.0.113.9"));
        assert_eq!(hub.said[0].actor.as_deref(), Some("203.0.113.9"));
    }
}

#[test]
fn settings_are_judged_by_place_and_hour() {
    for words in 0..6 {
        for (after_h, from, severity) in [
            (0.0, "192.168.1.5", "INFO"),
            (9.0, "192.168.1.5", "LOW"),
            (16.0, "192.168.1.5", "MEDIUM"),
            (0.0, "203.0.113.9", "HIGH"),
        ] {
            let mut hub = Hub::new();
            hub.feed(after_h * HOUR, "router", changed(words, from));
            let text = format!("1 {severity} policy_violation x1 open: admin changed settings of router from {from}");
            check(&hub.text(), &text);
        }
    }
}

/// What matters more than a setting, by day and at night, from inside.
#[test]
fn accounts_logs_and_rules_weigh_more() {
    let rows = [
        (
            "",
            "%PARSER-5-CFGLOG_LOGGEDCMD: User:admin  logged command:username bob privilege 15 secret *",
            "persistence LOW HIGH",
        ),
        ("", "%PARSER-5-CFGLOG_LOGGEDCMD: User:admin  logged command:no logging on", "log_tampering MEDIUM HIGH"),
        (
            "",
            "%SYS-6-LOGGINGHOST_STARTSTOP: Logging to host 192.168.1.9 port 514 stopped - CLI initiated",
            "log_tampering LOW MEDIUM",
        ),
        ("%ASA-5-111008", "User 'enable_15' executed the 'no logging enable' command.", "log_tampering MEDIUM HIGH"),
        ("%ASA-5-502101", "New user added to local dbase: Uname: bob Priv: 15 Encpass: ****", "persistence LOW HIGH"),
        (
            "%ASA-5-111010",
            "User 'admin', running 'CLI' from IP 192.168.1.5, executed 'no access-group in interface outside'",
            "policy_violation LOW MEDIUM",
        ),
        (
            "",
            "%PARSER-5-CFGLOG_LOGGEDCMD: User:admin  logged command:boot system flash:evil.bin",
            "policy_violation LOW MEDIUM",
        ),
        ("system,info", "user bob added by admin", "persistence LOW HIGH"),
        (
            "system,info",
            "user evil added by admin (/user add comment=\"made by bob\" name=evil group=full)",
            "persistence LOW HIGH",
        ),
        (
            "system,info",
            "filter rule removed by winbox-3.40/tcp-msg(winbox):admin@192.168.1.5 (/ip firewall filter remove *7)",
            "policy_violation LOW MEDIUM",
        ),
        ("system,info", "filter rule removed by admin", "policy_violation LOW MEDIUM"),
        ("system,info", "log action changed by admin", "log_tampering LOW MEDIUM"),
        (
            "php-fpm",
            "/firewall_rules.php: Configuration Change: admin@192.168.1.5 (Local Database): Firewall: Rules - saved",
            "policy_violation LOW MEDIUM",
        ),
        (
            "config",
            "user root@192.168.1.5 changed configuration to /conf/backup/config-1.xml in /firewall_rules_edit.php made changes",
            "policy_violation LOW MEDIUM",
        ),
    ];
    let one = |body: Body, after_h: f64| {
        let mut hub = Hub::new();
        hub.feed(after_h * HOUR, "router", body);
        (hub.said[0].category.clone(), hub.said[0].floor)
    };
    for (app, text, expected) in rows {
        let ((category, day), (_, night)) = (one(line(app, 0, text), 1.0), one(line(app, 0, text), 16.0));
        assert_eq!(format!("{category} {day} {night}"), expected, "{text}");
    }
    let forti = [
        (
            r#"user="admin" ui="GUI(192.168.1.5)" action="Add" cfgpath="system.admin" cfgobj="bob" cfgattr="accprofile[super_admin]""#,
            "persistence LOW HIGH",
        ),
        (
            r#"user="admin" ui="GUI(192.168.1.5)" action="Edit" cfgpath="log.syslogd.setting" cfgattr="status[enable->disable]""#,
            "log_tampering MEDIUM HIGH",
        ),
        (
            r#"user="admin" ui="GUI(192.168.1.5)" action="Delete" cfgpath="firewall.policy" cfgobj="7""#,
            "policy_violation LOW MEDIUM",
        ),
    ];
    for (text, expected) in forti {
        let ((category, day), (_, night)) = (one(fortigate(text), 1.0), one(fortigate(text), 16.0));
        assert_eq!(format!("{category} {day} {night}"), expected, "{text}");
    }
}

#[test]
fn a_story_is_one_alert_with_each_kind_of_change_told() {
    let mut hub = Hub::new();
    hub.feed(0.0, "router", logged_in(3, "203.0.113.9"));
    hub.feed(60.0, "router", line("system,info", 0, "user bob added by winbox-3.40/tcp-msg(winbox):admin@203.0.113.9"));
    for at in 0..100 {
        hub.feed(70.0 + f64::from(at), "router", changed(3, "203.0.113.9"));
    }
    assert_eq!(hub.alerts(), 1);
    let reasons = hub.said.last().unwrap().reasons.join("\n");
    assert!(reasons.contains("admin changed who may administer router from 203.0.113.9"), "{reasons}");
    assert!(hub.said.len() <= 6, "{}", hub.text());
}

/// What was typed stands behind who did it: a comment neither hides the change nor moves it inside.
#[test]
fn a_comment_hides_no_change_from_outside() {
    for comment in ["made by bob", "added by bob", "x removed by z@192.168.1.5"] {
        let mut hub = Hub::new();
        let text = format!(
            "user evil added by winbox-3.40/tcp-msg(winbox):admin@203.0.113.9 (/user add comment=\"{comment}\" name=evil group=full)"
        );
        hub.feed(0.0, "router", line("system,info", 0, &text));
        check(&hub.text(), "1 HIGH persistence x1 open: admin changed who may administer router from 203.0.113.9");
    }
}

/// An administrator who works from home, a program that changes rules each night, users of a VPN, and stations.
#[test]
fn what_happens_every_day_becomes_low() {
    let mut hub = Hub::new();
    hub.feed(0.0, "router", logged_in(3, "198.51.100.7"));
    hub.wait(30.0 * HOUR);
    let before = hub.said.len();
    for day in 2..20 {
        hub.feed(f64::from(day) * 24.0 * HOUR, "router", logged_in(3, "198.51.100.9"));
        hub.feed(f64::from(day) * 24.0 * HOUR + 60.0, "router", changed(3, "198.51.100.9"));
    }
    let later: Vec<_> = hub.said.iter().skip(before).map(|finding| finding.floor.as_str()).collect();
    assert!(!later.is_empty() && later.iter().all(|severity| *severity == "LOW"), "{}", hub.text());

    // Neighbours at the same provider are nobody's home.
    for (home, stranger) in [("198.51.100.7", "198.51.99.7"), ("2001:4860:1::7", "2001:4860:2::7")] {
        let mut hub = Hub::new();
        hub.feed(0.0, "router", logged_in(3, home));
        hub.wait(30.0 * HOUR);
        hub.feed(48.0 * HOUR, "router", logged_in(3, stranger));
        assert_eq!(hub.said.last().map(|finding| finding.floor.as_str()), Some("HIGH"), "{}", hub.text());
    }

    let mut hub = Hub::new();
    for day in 0..20 {
        hub.feed(
            (16.0 + f64::from(day) * 49.0) * HOUR,
            "router",
            line("system,info", 0, "address list entry added by sync"),
        );
    }
    let loud = hub.said.iter().filter(|finding| finding.floor.as_str() == "MEDIUM" && finding.revision == 1).count();
    assert!(loud <= 3, "{}", hub.text());

    let mut hub = Hub::new();
    for body in [
        line("%ASA-6-605005", 0, "Login permitted from 203.0.113.9/4711 to inside:192.0.2.1/ssh for user \"anna\""),
        line("%ASA-6-113039", 0, "Group <staff> User <bob> IP <203.0.113.9> AnyConnect parent session started."),
        line("%ASA-6-113004", 0, "AAA user authentication Successful : server = 192.168.1.2 : user = bob"),
        line("l2tp,ppp,info,account", 0, "bob logged in, 10.0.0.9 from 203.0.113.9"),
        line("%ASA-5-111008", 0, "User 'enable_15' executed the 'show running-config' command."),
        fortigate(r#"logdesc="FortiGate update succeeded" action="update" status="success" msg="x""#),
        line("", 0, "%SYS-6-LOGGINGHOST_STARTSTOP: Logging to host 192.168.1.9 port 514 started - reconnection"),
        line("php-fpm", 7, "/var/www/index.php: Configuration changed by admin@203.0.113.9"),
    ] {
        hub.feed(16.0 * HOUR, "router", body);
    }
    check(&hub.text(), "");
}

#[test]
fn a_shell_of_dropbear_is_judged_more_mildly() {
    for (text, severity) in [
        ("Password auth succeeded for 'root' from 203.0.113.9:4711", "MEDIUM"),
        ("Pubkey auth succeeded for 'root' with key sha1!! aa:bb from 203.0.113.9:4711", "LOW"),
        ("Password auth succeeded for 'root' from 192.168.1.5:4711", ""),
    ] {
        let mut hub = Hub::new();
        hub.feed(0.0, "router", line("dropbear", 7, text));
        assert_eq!(worst(&hub), severity, "{text}");
    }
}

/// Names that read like another place accuse nobody.
#[test]
fn a_name_cannot_move_an_administrator() {
    let mut hub = Hub::new();
    for body in [
        line(
            "system,info,account",
            0,
            "user x logged in from 203.0.113.66 via y logged in from 192.168.1.5 via winbox",
        ),
        line("system,info", 0, "user x by z@203.0.113.66 added by admin"),
        line(
            "php-fpm",
            7,
            "/index.php: Successful login for user 'x' from: 203.0.113.66 (' from: 192.168.1.5 (Local Database)",
        ),
        fortigate(
            r#"user="x\" srcip=203.0.113.66 y" ui="GUI(192.168.1.5)" action="Edit" cfgpath="system.interface" cfgattr="x""#,
        ),
    ] {
        hub.feed(0.0, "router", body);
    }
    assert!(hub.said.iter().all(|finding| finding.actor.as_deref() != Some("203.0.113.66")), "{}", hub.text());
    assert!(worst(&hub) != "HIGH", "{}", hub.text());
}
