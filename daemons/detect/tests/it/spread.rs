//! Looking around: many ports of one host, one port of many hosts, and what only seems so.

use nms_proto::event::Body;

use crate::host::{Hub, check, line};

fn blocked(from: &str, to: &str, port: u32) -> Body {
    let packet = format!("[UFW BLOCK] IN=br0 OUT=eth0 SRC={from} DST={to} LEN=60 PROTO=TCP SPT=50000 DPT={port} SYN");
    line("kernel", 0, &packet)
}

#[test]
fn the_ports_of_a_host_from_inside_are_medium_and_loud_ones_high() {
    let mut hub = Hub::new();
    for port in 0..60 {
        hub.feed(f64::from(port) * 0.5, "router", blocked("192.168.1.50", "192.168.1.9", 1 + port));
    }
    let rows: Vec<String> = hub.text().lines().map(str::to_owned).collect();
    assert_eq!(rows[0], "1 MEDIUM port_scan x15 open: 192.168.1.50 looks through the ports of 192.168.1.9");
    assert!(rows.iter().any(|row| row.contains("HIGH port_scan x50 open")), "{}", hub.text());
    assert_eq!(hub.alerts(), 1);
    let first = &hub.said[0];
    assert_eq!(
        &*first.reasons[0],
        "192.168.1.50 was blocked towards 15 ports of 192.168.1.9 within 7 s (limit 15 in 60 s)"
    );
    assert_eq!((first.actor.as_deref(), first.victim.as_deref()), (Some("192.168.1.50"), Some("192.168.1.9")));
}

#[test]
fn one_port_of_many_hosts_is_a_sweep() {
    let mut hub = Hub::new();
    for host in 0..16 {
        hub.feed(f64::from(host), "router", blocked("192.168.1.50", &format!("192.168.2.{host}"), 445));
    }
    check(&hub.text(), "1 MEDIUM port_scan x15 open: 192.168.1.50 looks through hosts at port 445");
}

/// From outside it is weather: seen, and never more than it is.
#[test]
fn from_outside_a_scan_is_low_and_only_a_loud_one_medium() {
    let mut hub = Hub::new();
    for port in 0..20 {
        hub.feed(f64::from(port), "router", blocked("203.0.113.7", "198.51.100.4", 1 + port));
    }
    check(&hub.text(), "1 LOW port_scan x15 open: 203.0.113.7 looks through the ports of 198.51.100.4");
    let mut hub = Hub::new();
    for port in 0..55 {
        hub.feed(f64::from(port), "router", blocked("203.0.113.7", "198.51.100.4", 1 + port));
    }
    assert_eq!(hub.said.last().unwrap().floor.as_str(), "MEDIUM", "{}", hub.text());
}

/// File sharing asks many hosts at many ports; a busy service is asked again and again; a slow hand is not a scan.
#[test]
fn many_hosts_at_many_ports_and_repeats_are_no_scan() {
    let mut hub = Hub::new();
    for peer in 0..60 {
        let to = format!("203.0.113.{peer}");
        hub.feed(f64::from(peer) * 0.4, "router", blocked("192.168.1.50", &to, 20_000 + peer * 7));
    }
    for again in 0..200 {
        hub.feed(100.0 + f64::from(again) * 0.1, "router", blocked("192.168.1.51", "192.168.1.9", 80));
    }
    for port in 0..30 {
        hub.feed(200.0 + f64::from(port) * 30.0, "router", blocked("192.168.1.52", "192.168.1.9", 1 + port));
    }
    check(&hub.text(), "");
}

#[test]
fn late_packets_are_judged_in_their_own_time() {
    let mut hub = Hub::new();
    // An hour of single attempts, told within a second.
    for port in 0..40 {
        let at = crate::host::TEN + i64::from(port) * 90_000;
        hub.feed_late(at, crate::host::TEN + 3_600_000, "router", blocked("192.168.1.50", "192.168.1.9", 1 + port));
    }
    check(&hub.text(), "");
}
