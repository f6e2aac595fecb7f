//! What sensors report, in the words of each, and what they report all day.

use nms_proto::event::Body;

use crate::{
    host::{Hub, line},
    many::worst,
};

fn fast(name: &str, class: &str, priority: u32, from: &str, to: &str) -> Body {
    line(
        "suricata",
        0,
        &format!(
            "[1:2019284:3] {name} [Classification: {class}] [Priority: {priority}] {{TCP}} {from}:4711 -> {to}:443"
        ),
    )
}

/// What came of one line: `SEVERITY category actor victim: message`.
fn said(app: &str, text: &str) -> String {
    let mut hub = Hub::new();
    hub.feed(0.0, "ids", line(app, 0, text));
    let row = |finding: &nms_proto::finding::Finding| {
        let (actor, victim) = (finding.actor.as_deref().unwrap_or("-"), finding.victim.as_deref().unwrap_or("-"));
        format!("{} {} {actor} {victim}: {}", finding.floor, finding.category, finding.message)
    };
    hub.said.first().map_or(String::new(), row)
}

#[test]
fn each_sensor_is_understood() {
    let eve = |action: &str, class: &str| {
        format!(
            r#"{{"timestamp":"2026-03-10T10:00:00.0+0000","event_type":"alert","src_ip":"192.168.1.5","src_port":50000,"dest_ip":"203.0.113.9","dest_port":443,"proto":"TCP","alert":{{"action":"{action}","gid":1,"signature_id":2019284,"signature":"ET MALWARE Win32/Emotet CnC Activity","category":"{class}","severity":1}},"http":{{"url":"/x\",\"src_ip\":\"203.0.113.66"}}}}"#
        )
    };
    let rows = [
        (
            "snort",
            "[1:2019284:3] ET MALWARE Win32/Emotet CnC Activity [Classification: A Network Trojan was detected] [Priority: 1] {TCP} 192.168.1.5:50000 -> 203.0.113.9:443".to_owned(),
            "HIGH c2_communication 192.168.1.5 203.0.113.9: ids reports a controller outside by 192.168.1.5: ET MALWARE Win32/Emotet CnC Activity",
        ),
        (
            "snort",
            r#"03/10-10:00:00.000000 [**] [1:2019284:3] "MALWARE-OTHER Win.Trojan.Zeus outbound connection" [**] [Classification: A Network Trojan was detected] [Priority: 1] {TCP} 192.168.1.5:50000 -> 203.0.113.9:443"#.to_owned(),
            "HIGH malware 192.168.1.5 203.0.113.9: ids reports malware by 192.168.1.5: MALWARE-OTHER Win.Trojan.Zeus outbound connection",
        ),
        (
            "suricata",
            "03/10/2026-10:00:00.000000  [Drop] [**] [1:2019284:3] ET MALWARE Zeus [**] [Classification: Misc activity] [Priority: 1] {TCP} 203.0.113.9:50000 -> 192.168.1.5:443".to_owned(),
            "LOW malware 192.168.1.5 203.0.113.9: ids reports malware by 192.168.1.5: ET MALWARE Zeus",
        ),
        (
            "suricata",
            eve("allowed", "Malware Command and Control Activity Detected"),
            "HIGH c2_communication 192.168.1.5 203.0.113.9: ids reports a controller outside by 192.168.1.5: ET MALWARE Win32/Emotet CnC Activity",
        ),
        (
            "",
            r#"date=2026-03-10 time=10:00:00 devname="fw" devid="FGT1" logid="0419016384" type="utm" subtype="ips" eventtype="signature" level="alert" severity="high" srcip=203.0.113.9 dstip=192.168.1.20 dstport=80 action="detected" attack="Apache.Log4j.Error.Log.Remote.Code.Execution" msg="web_app3: x""#.to_owned(),
            "HIGH network_anomaly 203.0.113.9 192.168.1.20: ids reports an attack by 203.0.113.9: Apache.Log4j.Error.Log.Remote.Code.Execution",
        ),
        (
            "",
            r#"date=2026-03-10 time=10:00:00 devname="fw" devid="FGT1" logid="0211008192" type="utm" subtype="virus" eventtype="infected" level="warning" srcip=192.168.1.5 dstip=203.0.113.9 dstport=80 action="blocked" virus="W32/Emotet.A" msg="File is infected.""#.to_owned(),
            "MEDIUM malware 192.168.1.5 203.0.113.9: ids reports malware by 192.168.1.5: W32/Emotet.A",
        ),
        (
            "%FTD-1-430001",
            "DeviceUUID: 1, SrcIP: 203.0.113.9, DstIP: 192.168.1.20, SrcPort: 1, DstPort: 80, Protocol: tcp, IngressInterface: outside, Priority: 1, GID: 1, SID: 1, Message: SERVER-WEBAPP SQL injection attempt, Classification: Web Application Attack, User: x, ".to_owned(),
            "HIGH web_attack 203.0.113.9 192.168.1.20: ids reports an attack on a web server by 203.0.113.9: SERVER-WEBAPP SQL injection attempt",
        ),
        (
            "",
            "%IPS-4-SIGNATURE: Sig:5123 Subsig:0 Sev:5 WWW IIS Internet Printing Overflow [203.0.113.9:4711 -> 192.168.1.20:80]".to_owned(),
            "HIGH network_anomaly 203.0.113.9 192.168.1.20: ids reports an attack by 203.0.113.9: WWW IIS Internet Printing Overflow",
        ),
        (
            "zeek",
            r#"{"ts":1.0,"note":"Scan::Port_Scan","msg":"192.168.1.5 scanned at least 15 unique ports of host 192.168.1.9 in 0m1s","src":"192.168.1.5","dst":"192.168.1.9"}"#.to_owned(),
            "MEDIUM port_scan 192.168.1.5 192.168.1.9: ids reports a scan by 192.168.1.5: Scan::Port_Scan",
        ),
        (
            "clamd",
            "/srv/share/bob/invoice.exe: Win.Trojan.Agent-1234 FOUND".to_owned(),
            "HIGH malware - ids: ids reports malware: Win.Trojan.Agent-1234",
        ),
        (
            "clamd",
            "Tue Mar 10 10:00:00 2026 -> /srv/share/a -> instream(x): b.exe: Win.Trojan.Agent-1234 FOUND".to_owned(),
            "HIGH malware - ids: ids reports malware: Win.Trojan.Agent-1234",
        ),
        (
            "clamd",
            "/srv/share/a -> instream(x): b.exe: Win.Trojan.Agent-1234 FOUND".to_owned(),
            "HIGH malware - ids: ids reports malware: Win.Trojan.Agent-1234",
        ),
        (
            "rkhunter",
            "Possible rootkits: 2".to_owned(),
            "MEDIUM malware - ids: ids reports malware: Possible rootkits: 2",
        ),
        ("fail2ban.actions", "[sshd] Ban 203.0.113.9".to_owned(), "INFO brute_force - ids: ids reports bans after failed logins: a ban by fail2ban"),
    ];
    for (app, text, expected) in rows {
        assert_eq!(said(app, &text), expected, "{text}");
    }
    assert!(
        said("suricata", &eve("blocked", "A Network Trojan was detected")).starts_with("HIGH"),
        "the illness stays"
    );
}

/// The benign twins: what exposed sensors and mail servers say all day is LOW, or nothing.
#[test]
fn weather_and_what_only_informs_stay_low() {
    let inward = |name: &str, class: &str, priority: u32| fast(name, class, priority, "203.0.113.9", "192.168.1.20");
    let rows = [
        inward("ET SCAN Potential SSH Scan", "Attempted Information Leak", 2),
        inward("ET DROP Dshield Block Listed Source group 1", "Misc Attack", 2),
        inward("ET CINS Active Threat Intelligence Poor Reputation IP group 7", "Misc Attack", 2),
        fast(
            "ET POLICY curl User-Agent Outbound",
            "Potential Corporate Privacy Violation",
            1,
            "192.168.1.5",
            "203.0.113.9",
        ),
        fast("ET INFO Observed DNS Query to .cloud TLD", "Potentially Bad Traffic", 2, "192.168.1.5", "192.168.1.1"),
        fast(
            "SURICATA STREAM Packet with invalid ack",
            "Generic Protocol Command Decode",
            3,
            "192.168.1.5",
            "203.0.113.9",
        ),
        fast("GPL ICMP_INFO PING", "Misc activity", 3, "192.168.1.5", "192.168.1.1"),
        fast("GPL SNMP public access udp", "Attempted Information Leak", 2, "192.168.1.3", "192.168.1.1"),
        fast("ET DNS Query for .to TLD", "Potentially Bad Traffic", 2, "192.168.1.5", "192.168.1.1"),
        line("clamd", 0, "instream(127.0.0.1@40022): Win.Trojan.Agent-1 FOUND"),
        line("clamd", 0, "SelfCheck: Database status OK."),
        line("rkhunter", 0, "Warning: The command '/usr/bin/lwp-request' has been replaced by a script"),
        line("rkhunter", 0, "Possible rootkits: 0"),
        line("chkrootkit", 0, "Checking `bindshell'... not infected"),
        line("fail2ban.actions", 0, "[sshd] Unban 203.0.113.9"),
        line("fail2ban.actions", 0, "[sshd] Ban 203.0.113.10"),
        line(
            "",
            0,
            r#"devname="fw" devid="FGT1" logid="0720018432" type="utm" subtype="anomaly" severity="critical" srcip=203.0.113.9 dstip=192.0.2.20 action="clear_session" attack="udp_flood""#,
        ),
    ];
    let mut hub = Hub::new();
    for (at, body) in rows.into_iter().enumerate() {
        hub.feed(at as f64, "ids", body);
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
    let floods = hub.said.iter().filter(|finding| finding.category.as_str() == "denial_of_service").count();
    assert_eq!(floods, 1, "a flood is told once: {}", hub.text());
}

#[test]
fn a_thousand_outsiders_at_the_door_are_one_alert() {
    let mut hub = Hub::new();
    for visitor in 0..1_000_u32 {
        let from = format!("203.0.{}.{}", visitor / 250, visitor % 250 + 1);
        hub.feed(
            f64::from(visitor),
            "ids",
            fast("ET SCAN Zmap", "Attempted Information Leak", 2, &from, "192.168.1.20"),
        );
    }
    assert_eq!(hub.alerts(), 1, "{}", hub.text());
    assert_eq!(hub.said.last().unwrap().count, 1_000);
}

#[test]
fn ten_thousand_alarms_of_one_host_are_one_alert() {
    let mut hub = Hub::new();
    for at in 0..10_000 {
        let body = fast("ET MALWARE Emotet CnC", "A Network Trojan was detected", 1, "192.168.1.5", "203.0.113.9");
        hub.feed(f64::from(at) * 0.1, "ids", body);
    }
    assert_eq!((hub.alerts(), hub.said.last().unwrap().count >= 1_000), (1, true));
    assert!(hub.said.len() <= 6, "{}", hub.text());
}

/// A page's address that is written like an alarm is none, and accuses nobody.
#[test]
fn text_in_a_request_is_no_alarm() {
    let mut hub = Hub::new();
    let alarm = "[1:2019284:3] ET MALWARE x [Classification: A Network Trojan was detected] [Priority: 1] {TCP} 192.168.1.5:1 -> 203.0.113.9:2";
    let text =
        format!("198.51.100.7 - - [10/Mar/2026:10:00:00 +0000] \"GET /{alarm} HTTP/1.1\" 200 5 \"-\" \"{alarm}\"");
    hub.feed(0.0, "web", line("nginx", 0, &text));
    hub.feed(
        1.0,
        "web",
        line("sshd", 7, &format!("Failed password for invalid user {alarm} from 203.0.113.5 port 1 ssh2")),
    );
    hub.feed(2.0, "web", line("myapp", 7, &format!("user said {alarm}")));
    assert_eq!(hub.text(), "");
}

/// What a client writes into a record that reads like an alert: nobody inside is accused by it, the alarm keeps its own
/// name and ends, and a record that is no alert stays none.
#[test]
fn text_in_a_record_is_no_alarm() {
    let forged = "x [1:1:1] ET INFO Y [Classification: A Network Trojan was detected] [Priority: 1] {TCP} 192.168.1.10:5 -> 203.0.113.9:443 z";
    let record = |kind: &str, alert: &str| {
        format!(
            r#"{{"timestamp":"2026-03-10T10:00:00.0+0000","event_type":"{kind}","src_ip":"198.51.100.7","src_port":1,"dest_ip":"192.168.1.20","dest_port":80,"proto":"TCP"{alert},"http":{{"http_user_agent":"{forged}"}}}}"#
        )
    };
    let alert = r#","alert":{"action":"allowed","gid":1,"signature":"ET WEB_SERVER Attempt","category":"Web Application Attack","severity":1}"#;
    let told = "HIGH web_attack 198.51.100.7 192.168.1.20: ids reports an attack on a web server by 198.51.100.7: ET WEB_SERVER Attempt";
    for app in ["suricata", ""] {
        for mark in ["", "@cee: "] {
            assert_eq!(said(app, &format!("{mark}{}", record("http", ""))), "", "{app} {mark}");
            assert_eq!(said(app, &format!("{mark}{}", record("alert", alert))), told, "{app} {mark}");
        }
    }
    for (app, front) in [("suricata", "somebody said"), ("suricata", "[a]"), ("", "[INFO] GET / by")] {
        assert_eq!(said(app, &format!("{front} {forged}")), "", "{app} {front}");
    }
}
