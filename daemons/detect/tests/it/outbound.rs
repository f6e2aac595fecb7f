//! A device inside that is blocked on its way out.

use nms_proto::event::Body;

use crate::host::{Hub, check, line};

fn blocked(from: &str, to: &str, port: u16) -> Body {
    let packet = format!("[UFW BLOCK] IN=br0 OUT=eth0 SRC={from} DST={to} LEN=60 PROTO=TCP SPT=50000 DPT={port} SYN");
    line("kernel", 0, &packet)
}

#[test]
fn calling_home_by_the_clock_is_high() {
    let mut hub = Hub::new();
    for minute in 0..10 {
        let at = f64::from(minute) * 60.0 + f64::from(minute % 3);
        hub.feed(at, "router", blocked("192.168.1.50", "203.0.113.66", 4444));
    }
    check(
        &hub.text(),
        "1 MEDIUM c2_communication x6 open: 192.168.1.50 is blocked again and again towards 203.0.113.66:4444
         2 HIGH c2_communication x8 open: 192.168.1.50 is blocked again and again towards 203.0.113.66:4444
         3 HIGH c2_communication x10 open: 192.168.1.50 is blocked again and again towards 203.0.113.66:4444",
    );
    let last = hub.said.last().unwrap();
    assert_eq!(
        &*last.reasons[1],
        "192.168.1.50 was blocked 8 times towards 203.0.113.66:4444 within 7 min, every 60 s (spread 2 %)"
    );
    assert_eq!(last.source.as_str(), "router");
}

#[test]
fn servers_in_turn_are_one_incident() {
    let mut hub = Hub::new();
    for turn in 0..12 {
        let to = ["203.0.113.66", "198.51.100.7", "203.0.113.99"][turn % 3];
        hub.feed(turn as f64 * 30.0, "router", blocked("192.168.1.50", to, 8443));
    }
    assert_eq!(hub.alerts(), 1);
    assert_eq!(hub.said.last().unwrap().floor.as_str(), "HIGH", "{}", hub.text());
    let reasons = hub.said.last().unwrap().reasons.join("\n");
    assert!(reasons.contains("towards 3 endpoints outside") && reasons.contains("every 30 s"), "{reasons}");
}

/// A blocked connection sends its SYN seven times; a person tries twice.
#[test]
fn one_connection_sent_again_is_one_attempt() {
    let mut hub = Hub::new();
    for attempt in 0..2 {
        for wait in [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0] {
            hub.feed(f64::from(attempt) * 300.0 + wait, "router", blocked("192.168.1.50", "203.0.113.66", 443));
        }
    }
    check(&hub.text(), "");
}

#[test]
fn names_and_time_stay_low_and_other_directions_silent() {
    let mut hub = Hub::new();
    for minute in 0..60 {
        let at = f64::from(minute) * 60.0;
        hub.feed(at, "router", blocked("192.168.1.50", "203.0.113.53", 53));
        hub.feed(at, "router", blocked("203.0.113.66", "192.168.1.50", 23));
        hub.feed(at, "router", blocked("192.168.1.50", "192.168.2.1", 445));
        hub.feed(at, "router", blocked("192.168.1.50", "239.255.255.250", 9999));
    }
    assert!(hub.said.iter().all(|finding| finding.floor.as_str() == "LOW"), "{}", hub.text());
    assert_eq!(hub.alerts(), 1);
}
