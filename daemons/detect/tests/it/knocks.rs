//! Who is turned away again and again, and who only now and then.

use crate::host::{Hub, check, line};

#[test]
fn five_refusals_within_ten_minutes_are_low() {
    for (app, text) in [
        ("sshd", "banner exchange: Connection from 203.0.113.9 port 34388: invalid format"),
        (
            "sshd",
            "Unable to negotiate with 203.0.113.9 port 45626: no matching key exchange method found. Their offer: x",
        ),
        ("kernel", "wireguard: wg1: Invalid handshake initiation from 203.0.113.9:51820"),
    ] {
        let mut hub = Hub::new();
        for at in 0..9_u32 {
            hub.feed(f64::from(at) * 60.0, "gate", line(app, 100 + at, text));
        }
        check(&hub.text(), "1 LOW network_anomaly x5 open: 203.0.113.9 is turned away by gate again and again");
        assert_eq!(
            &*hub.said[0].reasons[0],
            "5 connections or requests of 203.0.113.9 were refused within 4 min (limit 5 in 10 min)",
            "{app}"
        );
    }
}

#[test]
fn many_addresses_and_slow_ones_are_silent() {
    let mut hub = Hub::new();
    for at in 0..40_u32 {
        let text = format!("banner exchange: Connection from 203.0.113.{at} port 34388: invalid format");
        hub.feed(f64::from(at), "gate", line("sshd", 100 + at, &text));
        let text = "banner exchange: Connection from 198.51.100.7 port 34388: invalid format";
        hub.feed(f64::from(at) * 300.0, "gate", line("sshd", 900 + at, text));
    }
    check(&hub.text(), "");
}
