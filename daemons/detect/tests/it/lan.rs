//! Oddities of the local network, in the words of each device, and its ordinary ones.

use nms_proto::event::Body;

use crate::{
    host::{Hub, check, line},
    many::worst,
};

const TRUE: &str = "00:11:22:33:44:55";
const OTHER: &str = "66:77:88:99:aa:bb";

/// An address moves, in the words of several devices.
fn moved(words: usize, address: &str, there: bool) -> Body {
    let (from, to) = if there { (TRUE, OTHER) } else { (OTHER, TRUE) };
    match words % 5 {
        0 => line("arpwatch", 7, &format!("flip flop {address} {to} ({from}) eth0")),
        1 => line("arpwatch", 7, &format!("changed ethernet address {address} {to} ({from}) eth0")),
        2 => line("kernel", 0, &format!("arp: {address} moved from {from} to {to} on em0")),
        3 => line(
            "%SW_DAI-4-DHCP_SNOOPING_DENY",
            0,
            &format!(
                "1 Invalid ARPs (Res) on Gi1/0/1, vlan 10.([6677.8899.aabb/{address}/0000.0000.0000/192.168.1.9/10:00:00 UTC])"
            ),
        ),
        _ => line("", 0, &format!("%IP-4-DUPADDR: Duplicate address {address} on Vlan1, sourced by 6677.8899.aabb")),
    }
}

#[test]
fn a_gateway_that_changes_hands_again_and_again_is_high() {
    for words in 0..5 {
        let mut hub = Hub::new();
        for at in 0..10 {
            hub.feed(f64::from(at) * 8.0, "switch", moved(words, "192.168.1.1", at % 2 == 0));
        }
        let text = "changes hands on the network of switch";
        check(
            &hub.text(),
            &format!(
                "1 LOW network_anomaly x1 open: the gateway's address 192.168.1.1 {text}
                 2 MEDIUM network_anomaly x3 open: the gateway's address 192.168.1.1 {text}
                 3 HIGH network_anomaly x8 open: the gateway's address 192.168.1.1 {text}
                 4 HIGH network_anomaly x10 open: the gateway's address 192.168.1.1 {text}"
            ),
        );
        assert!(hub.said[0].techniques.iter().any(|id| &**id == "T1557.002"));
    }
}

/// A router that is replaced, a laptop at its dock, routers that share an address, a host that is new.
#[test]
fn addresses_that_move_by_design_are_low_or_silent() {
    let mut hub = Hub::new();
    hub.feed(0.0, "switch", moved(0, "192.168.1.1", true));
    for at in 0..40 {
        hub.feed(f64::from(at) * 5.0, "switch", moved(at as usize % 3, "192.168.1.77", at % 2 == 0));
        hub.feed(f64::from(at) * 400.0 + 9.0, "switch", moved(0, "192.168.1.78", at % 2 == 0));
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
    assert_eq!(hub.alerts(), 2, "{}", hub.text());
    let mut hub = Hub::new();
    for at in 0..40 {
        let text = "arp: 192.168.1.1 moved from 00:00:5e:00:01:0a to 00:11:22:33:44:55 on em0";
        hub.feed(f64::from(at) * 5.0, "firewall", line("kernel", 0, text));
        hub.feed(f64::from(at) * 5.0, "firewall", line("arpwatch", 7, "new station 192.168.1.9 0:11:22:33:44:55 eth0"));
    }
    check(&hub.text(), "");
}

#[test]
fn a_second_dhcp_server_is_medium() {
    for body in [
        line(
            "dhcp,warning",
            0,
            "dhcp alert on bridge: discovered unknown dhcp server, mac 66:77:88:99:AA:BB, ip 192.168.1.66",
        ),
        line(
            "dhcp,critical,error",
            0,
            "dhcp alert on bridge: discovered unknown dhcp server, mac 66:77:88:99:AA:BB, ip 192.168.1.66",
        ),
        line(
            "",
            0,
            "%DHCP_SNOOPING-5-DHCP_SNOOPING_UNTRUSTED_PORT: DHCP_SNOOPING drop message on untrusted port, message type: DHCPOFFER, MAC sa: 6677.8899.aabb",
        ),
    ] {
        let mut hub = Hub::new();
        hub.feed(0.0, "switch", body);
        check(
            &hub.text(),
            "1 MEDIUM network_anomaly x1 open: a DHCP server that nobody knows answers on the network of switch",
        );
    }
    let mut hub = Hub::new();
    for (at, text) in [
        "%DHCP_SNOOPING-5-DHCP_SNOOPING_UNTRUSTED_PORT: DHCP_SNOOPING drop message on untrusted port, message type: DHCPRELEASE, MAC sa: 6677.8899.aabb",
        "%PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 6677.8899.aabb on port GigabitEthernet1/0/1.",
        "%SW_DAI-4-DHCP_SNOOPING_DENY: 1 Invalid ARPs (Req) on Gi1/0/2, vlan 10.([6677.8899.aabb/192.168.1.66/0000.0000.0000/192.168.1.1/10:00:00 UTC])",
    ]
    .iter()
    .enumerate()
    {
        hub.feed(at as f64, "switch", line("", 0, text));
    }
    assert_eq!(worst(&hub), "LOW", "{}", hub.text());
    assert_eq!(hub.alerts(), 3);
}

fn hardware(number: u32, spread: u32) -> String {
    let maker = number.wrapping_mul(spread).to_be_bytes();
    let octets = maker.into_iter().chain(number.to_be_bytes().into_iter().skip(2)).map(|octet| format!("{octet:02x}"));
    octets.collect::<Vec<_>>().join(":")
}

fn wanted(words: usize, hardware: &str, left: bool) -> Body {
    match (words % 2, left) {
        (0, true) => line("dhcpd", 7, &format!("DHCPDISCOVER from {hardware} via eth0")),
        (0, false) => {
            line("dhcpd", 7, &format!("DHCPDISCOVER from {hardware} via eth0: network 192.168.1.0/24: no free leases"))
        }
        (_, true) => line("dnsmasq-dhcp", 7, &format!("DHCPDISCOVER(eth0) {hardware}")),
        (_, false) => line("dnsmasq-dhcp", 7, &format!("DHCPDISCOVER(eth0) {hardware} no address available")),
    }
}

#[test]
fn leases_taken_by_the_hundred_are_medium_and_high_when_none_is_left() {
    for words in 0..2 {
        let mut hub = Hub::new();
        for at in 0..200_u32 {
            hub.feed(f64::from(at) * 0.1, "dhcp", wanted(words, &hardware(at, 2_654_435_769), at < 150));
        }
        let rows: Vec<String> = hub.text().lines().map(str::to_owned).collect();
        assert_eq!(rows[0], "1 MEDIUM denial_of_service x100 open: somebody takes the leases of dhcp");
        assert!(rows[1].starts_with("2 HIGH denial_of_service x151 open"), "{}", hub.text());
        assert_eq!(hub.alerts(), 1);
    }
}

/// After an outage all devices of few makers come back at once; a full guest network asks all day.
#[test]
fn a_busy_dhcp_server_is_silent() {
    let mut hub = Hub::new();
    for at in 0..200_u32 {
        hub.feed(f64::from(at) * 0.1, "dhcp", wanted(0, &hardware(at, 1), true));
    }
    for at in 0..500_u32 {
        hub.feed(600.0 + f64::from(at) * 2.0, "dhcp", wanted(1, &hardware(at, 2_654_435_769), at % 2 == 0));
    }
    check(&hub.text(), "");
}

/// A host's name that reads like a warning is a name.
#[test]
fn a_name_is_no_warning() {
    let mut hub = Hub::new();
    for at in 0..20 {
        let name = "arp: 192.168.1.1 moved from 00:11:22:33:44:55 to 66:77:88:99:aa:bb";
        hub.feed(f64::from(at), "dhcp", line("dnsmasq-dhcp", 7, &format!("DHCPACK(eth0) 192.168.1.9 {TRUE} {name}")));
        hub.feed(f64::from(at), "web", line("nginx", 7, name));
    }
    check(&hub.text(), "");
}
