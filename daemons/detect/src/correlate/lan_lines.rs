//! What devices write of the local network, in the words of each: an address that moved, an unknown DHCP server, a port
//! where the wrong device speaks.

use std::net::IpAddr;

use crate::{
    extract::cisco,
    text::{address, after, between, word},
};

/// One such line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note<'a> {
    /// An address is now at the hardware address `to`; `own` where it is the writer's.
    Moved { address: IpAddr, to: &'a str, own: bool },
    /// A DHCP server that the writer does not know, as it names it.
    Server { by: &'a str },
    /// A port where a device spoke that does not belong there.
    Violation { at: &'a str, by: &'a str },
}

/// Reads a line.
pub(super) fn note<'a>(app: &'a str, text: &'a str) -> Option<Note<'a>> {
    match app {
        "arpwatch" => arpwatch(text),
        "kernel" => kernel(text),
        _ => {
            let Some((code, rest)) = cisco::message(app, text) else { return mikrotik(text) };
            switch(code.rsplit('-').next()?, rest)
        }
    }
}

/// `flip flop 192.0.2.1 NEW (OLD)`, `changed ethernet address 192.0.2.1 NEW (OLD)`, `bogon`, `ethernet mismatch`.
fn arpwatch(text: &str) -> Option<Note<'_>> {
    const MOVES: [&str; 4] =
        ["flip flop ", "changed ethernet address ", "reused old ethernet address ", "ethernet mismatch "];
    let tail = MOVES.iter().find_map(|start| text.strip_prefix(start))?;
    let (moved, tail) = word(tail);
    let (to, tail) = word(tail);
    let from = between(tail, "(", ")").unwrap_or_default();
    moves(moved, from, to, false)
}

fn moves<'a>(moved: &str, from: &str, to: &'a str, own: bool) -> Option<Note<'a>> {
    let by_design = is_shared(from) || is_shared(to);
    address(moved).filter(|_address| !by_design).map(|address| Note::Moved { address, to, own })
}

/// The beginnings of hardware addresses that routers share: VRRP and CARP (RFC 9568 section 7.3), HSRP, GLBP.
fn is_shared(hardware: &str) -> bool {
    const SHARED: [[u8; 3]; 4] = [[0, 0, 0x5e], [0, 0, 0x0c], [0, 0x05, 0x73], [0, 0x07, 0xb4]];
    let mut octets = hardware.split([':', '-']).map(|octet| u8::from_str_radix(octet, 16).ok());
    let start = [octets.next().flatten(), octets.next().flatten(), octets.next().flatten()];
    let dotted = ["0000.5e00.", "0000.0c07.", "0005.73a0.", "0007.b400."];
    SHARED.iter().any(|shared| shared.map(Some) == start) || dotted.iter().any(|start| hardware.starts_with(start))
}

/// BSD: `arp: 192.0.2.1 moved from OLD to NEW on em0`, `arp: NEW is using my IP address 192.0.2.1 on em0!`.
fn kernel(text: &str) -> Option<Note<'_>> {
    let tail = text.strip_prefix("arp: ")?;
    if let Some((moved, tail)) = tail.split_once(" moved from ") {
        let (from, tail) = tail.split_once(" to ")?;
        return moves(moved, from, word(tail).0, false);
    }
    if let Some((to, tail)) = tail.split_once(" is using my IP address ") {
        return moves(word(tail).0, "", to, true);
    }
    let (to, tail) = tail.split_once(" attempts to modify permanent entry for ")?;
    moves(word(tail).0, "", to, true)
}

/// Cisco's switches, by mnemonic.
fn switch<'a>(mnemonic: &str, text: &'a str) -> Option<Note<'a>> {
    match mnemonic {
        // Duplicate address 192.0.2.1 on Vlan1, sourced by aabb.ccdd.eeff
        "DUPADDR" => {
            let moved = between(text, "Duplicate address ", " ")?;
            moves(moved, "", after(text, "sourced by ")?, true)
        }
        // 1 Invalid ARPs (Res) on Gi1/0/1, vlan 10.([aabb.ccdd.eeff/192.0.2.1/0000.0000.0000/192.0.2.9/10:00:00 UTC])
        "DHCP_SNOOPING_DENY" | "INVALID_ARP" | "ACL_DENY" => {
            let port = between(text, " on ", ",")?;
            let mut fields = between(text, "([", "]")?.split('/');
            let (by, claimed) = (fields.next()?, address(fields.next()?)?);
            let gateway = matches!(claimed, IpAddr::V4(v4) if matches!(v4.octets(), [.., 1 | 254]));
            Some(if gateway {
                Note::Moved { address: claimed, to: by, own: true }
            } else {
                Note::Violation { at: port, by }
            })
        }
        // DHCP_SNOOPING drop message on untrusted port, message type: DHCPOFFER, MAC sa: aabb.ccdd.eeff
        "DHCP_SNOOPING_UNTRUSTED_PORT" => {
            let by = after(text, "MAC sa: ").map_or("", |tail| word(tail).0).trim_end_matches(',');
            let answers = ["DHCPOFFER", "DHCPACK", "DHCPNAK"];
            let kind = between(text, "message type: ", ",")?;
            Some(if answers.contains(&kind) {
                Note::Server { by }
            } else {
                Note::Violation { at: "an untrusted port", by }
            })
        }
        // Security violation occurred, caused by MAC address aabb.ccdd.eeff on port GigabitEthernet1/0/1.
        "PSECURE_VIOLATION" => {
            let by = between(text, "MAC address ", " ")?;
            Some(Note::Violation { at: after(text, " on port ")?.trim_end_matches('.'), by })
        }
        "SECURITY_VIOLATION" => {
            let by = between(text, "(", ")").unwrap_or_default();
            Some(Note::Violation { at: after(text, "Interface ").map_or("a port", |tail| word(tail).0), by })
        }
        _ => None,
    }
}

/// `dhcp alert on bridge: discovered unknown dhcp server, mac 00:..., ip 192.0.2.66`.
fn mikrotik(text: &str) -> Option<Note<'_>> {
    let text = text.split_once(' ').filter(|(topics, _rest)| topics.contains(',')).map_or(text, |(_topics, rest)| rest);
    let tail =
        text.strip_prefix("dhcp alert on ").map(|tail| tail.split_once(": ").map_or(tail, |(_on, tail)| tail))?;
    tail.strip_prefix("discovered unknown dhcp server, ").map(|by| Note::Server { by })
}

/// Whether a line of the kernel or of a `MikroTik` may tell of the local network.
pub(super) fn is_suspect(text: &str) -> bool {
    text.starts_with("arp: ") || text.contains("dhcp alert on ")
}
