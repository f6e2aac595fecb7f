//! Floods and want of memory, and the weather that looks like them.

use nms_proto::event::Body;

use crate::host::{Hub, check, line};

/// All that is said of lines a second apart, `SEVERITY: message` each.
fn said(lines: &[(&str, &str)]) -> String {
    let mut hub = Hub::new();
    for (at, (app, text)) in lines.iter().enumerate() {
        hub.feed(at as f64, "web", line(app, 0, text));
    }
    let ours = hub.said.iter().filter(|finding| &*finding.rule == "denial");
    ours.map(|finding| format!("{}: {}", finding.floor, finding.message)).collect::<Vec<_>>().join("\n")
}

const SYN: (&str, &str) =
    ("kernel", "TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.  Check SNMP counters.");
const FULL: (&str, &str) = ("kernel", "nf_conntrack: nf_conntrack: table full, dropping packet");

#[test]
fn what_kernels_say_of_floods() {
    for text in [
        SYN.1,
        "[12345.678901] TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:443. Sending cookies.",
        "possible SYN flooding on port 80. Sending cookies.",
        "TCP: TCP: Possible SYN flooding on port 22. Dropping request.  Check SNMP counters.",
    ] {
        check(&said(&[("kernel", text)]), "MEDIUM: web tells of a flood of SYN packets");
    }
    for text in
        [FULL.1, "nf_conntrack: table full, dropping packet.", "[9.1] ip_conntrack: table full, dropping packet."]
    {
        check(
            &said(&[("kernel", text); 30]),
            "MEDIUM: web tells of a full table of connections\nMEDIUM: web tells of a full table of connections",
        );
    }
    check(
        &said(&[SYN, FULL]),
        "MEDIUM: web tells of a flood of SYN packets\nHIGH: web tells of a full table of connections",
    );
    check(
        &said(&[("kernel", "TCP: out of memory -- consider tuning tcp_mem")]),
        "MEDIUM: web tells of no memory left for TCP",
    );
    check(
        &said(&[("kernel", "neighbour: arp_cache: neighbor table overflow!")]),
        "LOW: web tells of a full table of neighbours",
    );
}

#[test]
fn a_process_that_dies_again_and_again() {
    let killed = ("kernel", "Out of memory: Killed process 4711 (java) total-vm:8000kB, anon-rss:7000kB");
    let of_group = ("kernel", "Memory cgroup out of memory: Killed process 4712 (java) total-vm:8000kB");
    check(&said(&[killed]), "LOW: web has no memory left for java");
    check(
        &said(&[killed, of_group, killed, killed]),
        "LOW: web has no memory left for java\nMEDIUM: web has no memory left for java",
    );
    let other = ("kernel", "Out of memory: Kill process 9 (mysqld) score 900 or sacrifice child");
    check(&said(&[killed, other]), "LOW: web has no memory left for java\nLOW: web has no memory left for mysqld");
}

fn limited(client: &str, number: u32) -> Body {
    let text = format!(
        "2026/03/10 10:00:00 [error] 12#12: *{number} limiting requests, excess: 20.340 by zone \"one\", client: {client}, server: x, request: \"GET / HTTP/1.1\", host: \"x\""
    );
    line("nginx", 0, &text)
}

#[test]
fn limits_of_a_web_server() {
    let mut hub = Hub::new();
    for number in 0..120 {
        hub.feed(f64::from(number) * 0.1, "web", limited("203.0.113.9", number));
    }
    check(&hub.text(), "1 MEDIUM denial_of_service x100 open: the web server web is flooded by 203.0.113.9");
    assert_eq!(hub.said[0].actor.as_deref(), Some("203.0.113.9"));
    for number in 0..2_000 {
        hub.feed(12.0 + f64::from(number) * 0.01, "web", limited(&format!("203.0.113.{}", number % 200), number));
    }
    assert_eq!(hub.alerts(), 1);
    assert_eq!(hub.said.iter().map(|finding| finding.floor).max(), Some(nms_proto::severity::Severity::High));
    // Somebody in a hurry, all day; and the words in a path.
    let mut hub = Hub::new();
    for number in 0..600 {
        hub.feed(f64::from(number), "web", limited("203.0.113.9", number));
    }
    for number in 0..300 {
        let text = "2026/03/10 10:00:00 [error] 12#12: *7 open() \"/x/limiting requests, excess: 1\" failed (2: No such file), client: 203.0.113.8, server: x, request: \"GET /x HTTP/1.1\", host: \"x\"";
        hub.feed(
            f64::from(number) * 0.1 + 2_000.0,
            "web2",
            line("nginx", 0, &text.replace("*7", &format!("*{number}"))),
        );
    }
    assert!(hub.said.iter().all(|finding| finding.category.as_str() != "denial_of_service"), "{}", hub.text());
}

#[test]
fn what_firewalls_say() {
    let rate = |what: &str| {
        format!(
            "%ASA-4-733100: [ {what}] drop rate-1 exceeded. Current burst rate is 900 per second, max configured rate is 200; Current average rate is 500 per second, max configured rate is 100; Cumulative total count is 300000"
        )
    };
    check(&said(&[("", &rate("SYN attack"))]), "MEDIUM: web tells of a flood: SYN attack");
    check(
        &said(&[("%ASA-4-733100", rate("DoS attack").strip_prefix("%ASA-4-733100: ").unwrap())]),
        "MEDIUM: web tells of a flood: DoS attack",
    );
    for weather in ["Scanning", "ACL drop", "Interface", "Firewall"] {
        check(&said(&[("", rate(weather).as_str()); 5]), "");
    }
    let anomaly = |attack: &str| {
        format!(
            "date=2026-03-10 time=10:00:00 devname=\"fw\" devid=\"FG1\" logid=\"0720018432\" type=\"utm\" subtype=\"anomaly\" level=\"alert\" severity=\"critical\" srcip=203.0.113.9 dstip=10.0.0.5 action=\"clear_session\" attack=\"{attack}\" count=1500 msg=\"anomaly: {attack}\""
        )
    };
    check(&said(&[("", &anomaly("tcp_syn_flood"))]), "MEDIUM: web tells of a flood: tcp_syn_flood");
    check(
        &said(&[("", anomaly("udp_flood").as_str()); 3]),
        "LOW: web tells of a flood: udp_flood\nMEDIUM: web tells of a flood: udp_flood",
    );
    let mut hub = Hub::new();
    hub.feed(0.0, "web", line("", 0, &anomaly("tcp_port_scan")));
    check(&hub.text(), "1 LOW port_scan x1 open: web reports a scan: tcp_port_scan");
    check(
        &said(&[("mod_evasive", "Blacklisting address 203.0.113.9: possible DoS attack.")]),
        "LOW: the web server web is flooded by 203.0.113.9",
    );
}

/// The kernel's other remarks, and its words in others' mouths.
#[test]
fn ordinary_lines_are_silent() {
    check(
        &said(&[
            ("kernel", "TCP: eth0: Driver has suspect GRO implementation, TCP performance may be compromised."),
            ("kernel", "UDP: bad checksum. From 192.0.2.7:53 to 10.0.0.5:4711 ulen 60"),
            ("kernel", "nf_conntrack version 0.5.0 (65536 buckets, 262144 max)"),
            ("kernel", "usb 1-1: Product: possible SYN flooding on port 80"),
            ("kernel", "EXT4-fs (sda1): re-mounted. Opts: (null)"),
            ("webapp", "possible SYN flooding on port 80. Sending cookies."),
            ("sshd", "Invalid user nf_conntrack: table full, dropping packet from 192.0.2.7 port 1"),
        ]),
        "",
    );
}
