//! Packets that netfilter logs: iptables, nftables, UFW, firewalld, Shorewall, OpenWrt, Ubiquiti.
//!
//! `[UFW BLOCK] IN=br0 OUT=eth0 MAC=... SRC=192.168.1.50 DST=203.0.113.66 LEN=60 ... PROTO=TCP SPT=49152
//! DPT=4444 ...`. The rule's author writes the prefix, so the verdict is read from it: by word, or by
//! Ubiquiti's last letter. A prefix that says nothing leaves the outcome open. The fields are the kernel's own.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::address;

const FAMILY: AppFamily = AppFamily::Netfilter;

/// Whether a text holds a packet.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("SRC=") && text.contains("DST=")
}

/// A packet that netfilter logged.
pub(super) fn netfilter(text: &str) -> Extraction<'_> {
    let start = text.find("IN=").unwrap_or(0);
    let (prefix, fields) = text.split_at_checked(start).unwrap_or(("", text));
    let (action, outcome) = verdict(prefix);
    let found = of(FAMILY, action, outcome);
    let (mut from, mut to, mut port) = (None, None, None);
    for field in fields.split_ascii_whitespace() {
        // An ICMP error quotes the packet that caused it in brackets; it is not this packet.
        if field.starts_with('[') {
            break;
        }
        let Some((key, value)) = field.split_once('=') else { continue };
        match key {
            "SRC" => from = address(value),
            "DST" => to = address(value),
            "DPT" => port = value.parse().ok(),
            _ => {}
        }
    }
    let found = found.maybe_by(from.map(Actor::Address));
    to.map_or(found, |to| found.towards(to, port))
}

/// What the prefix says was done with the packet.
fn verdict(prefix: &str) -> (Action, Outcome) {
    const BLOCKED: [&str; 6] = ["BLOCK", "DROP", "REJECT", "DENY", "DENIED", "BLACKLIST"];
    const ALLOWED: [&str; 4] = ["ALLOW", "ACCEPT", "AUDIT", "PERMIT"];
    let said = |words: &[&str]| words.iter().any(|word| contains_any_case(prefix, word));
    let prefix_end = prefix.trim_ascii_end().trim_end_matches(']').trim_end_matches(':');
    if said(&BLOCKED) || prefix_end.ends_with("-D") || prefix_end.ends_with("-R") {
        (Action::Block, Outcome::Failed)
    } else if said(&ALLOWED) || prefix_end.ends_with("-A") {
        (Action::Connection, Outcome::Ok)
    } else {
        (Action::Connection, Outcome::None)
    }
}

/// Whether `text` holds the capital `word` in any case. A prefix is at most a few dozen bytes.
fn contains_any_case(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}
