//! MikroTik's routers: firewall lines with their prefix, and logins.
//!
//! `drop forward: in:bridge out:ether1, connection-state:new src-mac aa:..., proto TCP (SYN),
//! 192.168.88.10:4242->203.0.113.5:4444, len 52`. Topics such as `firewall,info` stand where others have the
//! application.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, caller, endpoint, holds_any, name, peer, word};

const FAMILY: AppFamily = AppFamily::Mikrotik;

/// Topics that only a MikroTik puts first.
const TOPICS: [&str; 18] = [
    "firewall",
    "system",
    "dhcp",
    "wireless",
    "interface",
    "ppp",
    "l2tp",
    "pptp",
    "sstp",
    "ovpn",
    "ipsec",
    "hotspot",
    "account",
    "script",
    "caps",
    "radius",
    "pppoe",
    "wireguard",
];

/// Whether the topics or the text are a MikroTik's.
pub(super) fn recognises(app: &str, text: &str) -> bool {
    let (first, rest) = app.split_once(',').unwrap_or((app, ""));
    matches!(first, "firewall" | "system")
        || (!rest.is_empty() && TOPICS.contains(&first))
        || text.starts_with("login failure for user ")
        || text.starts_with("firewall,info ")
        || text.starts_with("system,")
}

/// Whether a text is a packet that a MikroTik's firewall logged.
pub(super) fn is_packet(text: &str) -> bool {
    text.contains("->") && text.contains(" in:") && text.contains(" out:")
}

/// A line of a MikroTik.
pub(super) fn mikrotik(text: &str) -> Extraction<'_> {
    let text = text.split_once(' ').filter(|(topics, _rest)| topics.contains(',')).map_or(text, |(_topics, rest)| rest);
    // A name may read like a packet.
    login(text)
        .or_else(|| tunnel(text))
        .or_else(|| packet(text))
        .or_else(|| note(text))
        .unwrap_or(Extraction::unknown(FAMILY))
}

fn packet(text: &str) -> Option<Extraction<'_>> {
    let (head, tail) = text.split_once("->")?;
    let (prefix, _rest) = head.split_once(" in:").or_else(|| head.split_once("in:"))?;
    let (from, _port) = endpoint(head.rsplit([' ', ',']).next()?)?;
    let (to, port) = endpoint(tail.split([',', ' ']).next()?)?;
    let blocked = ["drop", "reject", "block", "deny", "DROP", "REJECT", "BLOCK", "DENY"];
    let found = if blocked.iter().any(|word| prefix.contains(word)) {
        of(FAMILY, Action::Block, Outcome::Failed)
    } else {
        of(FAMILY, Action::Connection, Outcome::None)
    };
    Some(found.by(Actor::Address(from)).towards(to, port))
}

/// `login failure for user admin from 10.0.0.50 via ssh`, `user admin logged in from 10.0.0.5 via winbox`.
fn login(text: &str) -> Option<Extraction<'_>> {
    if let Some(tail) = text.strip_prefix("login failure for user ") {
        let (account, tail) = tail.rsplit_once(" from ").unwrap_or((tail, ""));
        return Some(of(FAMILY, Action::Login, Outcome::Failed).maybe_by(peer(word(tail).0)).account(account));
    }
    let tail = text.strip_prefix("user ")?;
    let (who, tail) = tail.rsplit_once(" from ")?;
    let actor = peer(word(tail).0);
    if let Some(account) = who.strip_suffix(" logged in") {
        return Some(of(FAMILY, Action::Login, Outcome::Ok).maybe_by(actor).account(account));
    }
    let account = who.strip_suffix(" logged out")?;
    Some(of(FAMILY, Action::Logout, Outcome::Ok).maybe_by(actor).account(account))
}

/// What tunnels say: `bob logged in, 10.0.0.9 from 192.0.2.7`, `user bob authentication failed`.
fn tunnel(text: &str) -> Option<Extraction<'_>> {
    // A tunnel's name in angle brackets, or the peer, may stand in front.
    let said = text.split_once(">: ").filter(|(head, _said)| head.starts_with('<')).map_or(text, |(_head, said)| said);
    if let Some(account) = said.strip_prefix("user ").and_then(|tail| tail.strip_suffix(" authentication failed")) {
        return Some(of(FAMILY, Action::Login, Outcome::Failed).account(account.trim_matches(['<', '>'])));
    }
    if let Some((account, tail)) = said.split_once(" logged in, ") {
        let from = tail.rsplit_once(" from ").and_then(|(_given, from)| caller(from));
        return Some(of(FAMILY, Action::Login, Outcome::Ok).maybe_by(from).account(account));
    }
    if let Some((account, _counts)) = said.split_once(" logged out, ") {
        return Some(of(FAMILY, Action::Logout, Outcome::Ok).account(account));
    }
    if holds_any(
        said,
        &["phase1 negotiation failed", "failed to pre-process ph1", "no suitable proposal", "parsing packet failed"],
    ) {
        let peer = said.split([' ', '[', '<', '>', ',', '=']).find_map(address).map(Actor::Address);
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(peer));
    }
    let (_head, from) =
        said.split_once("connection established from ").or_else(|| said.split_once("new connection from "))?;
    Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(caller(word(from).0)))
}

/// Leases, stations, links, and what administrators changed.
fn note(text: &str) -> Option<Extraction<'_>> {
    if let Some((_server, tail)) = text.split_once(" assigned ").or_else(|| text.split_once(" deassigned ")) {
        let (given, tail) = word(tail);
        let to = tail.split(' ').nth(1).and_then(name);
        return Some(of(FAMILY, Action::Lease, Outcome::Ok).maybe_by(to).towards(address(given)?, None));
    }
    let (first, rest) = word(text);
    if let Some((station, _interface)) = first.split_once('@') {
        let (action, outcome) = if rest.contains("rejected") || rest.contains("failure") {
            (Action::Login, Outcome::Failed)
        } else if rest.contains("disconnected") {
            (Action::Logout, Outcome::None)
        } else if rest.contains("connected") {
            (Action::Login, Outcome::Ok)
        } else {
            return None;
        };
        return Some(of(FAMILY, action, outcome).maybe_by(name(station)));
    }
    if rest.starts_with("link up") || rest.starts_with("link down") {
        let outcome = if rest.starts_with("link up") { Outcome::Ok } else { Outcome::Failed };
        return Some(of(FAMILY, Action::Service, outcome).object(Object::Service(first)));
    }
    if text.starts_with("router rebooted") || text.starts_with("router was rebooted") {
        return Some(of(FAMILY, Action::Service, Outcome::Ok));
    }
    let (_what, who) = change(text)?;
    Some(of(FAMILY, Action::Command, Outcome::Ok).maybe_by(name(word(who).0)))
}

/// What an administrator did, verb and all, and who: of `user bob added by admin (/user add comment="by bob" ...)`, whose
/// last part is what was typed and may hold anything.
pub(crate) fn change(text: &str) -> Option<(&str, &str)> {
    const VERBS: [&str; 4] = [" added by ", " changed by ", " removed by ", " moved by "];
    const BY: &str = " by ";
    let (start, verb) = VERBS.iter().filter_map(|verb| Some((text.find(verb)?, verb))).min()?;
    let (what, who) = text.split_at_checked(start + verb.len() - BY.len())?;
    Some((what, who.strip_prefix(BY)?.split(" (").next()?))
}
