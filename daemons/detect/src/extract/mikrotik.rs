//! MikroTik's routers: firewall lines with their prefix, and logins.
//!
//! `drop forward: in:bridge out:ether1, connection-state:new src-mac aa:..., proto TCP (SYN),
//! 192.168.88.10:4242->203.0.113.5:4444, len 52`. Topics such as `firewall,info` stand where others have the
//! application.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{endpoint, peer, word};

const FAMILY: AppFamily = AppFamily::Mikrotik;

/// Whether the topics or the text are a MikroTik's.
pub(super) fn recognises(app: &str, text: &str) -> bool {
    app.split(',').next().is_some_and(|topic| matches!(topic, "firewall" | "system"))
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
    packet(text).or_else(|| login(text)).unwrap_or(Extraction::unknown(FAMILY))
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
        let (account, tail) = tail.rsplit_once(" from ")?;
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
