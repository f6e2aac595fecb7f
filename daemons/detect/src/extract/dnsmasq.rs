//! dnsmasq: names asked for, leases given.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, name, word};

const FAMILY: AppFamily = AppFamily::Dnsmasq;

/// A line of dnsmasq, as resolver or as DHCP server.
pub(super) fn dnsmasq(text: &str) -> Extraction<'_> {
    said(text).unwrap_or(Extraction::unknown(FAMILY))
}

fn said(text: &str) -> Option<Extraction<'_>> {
    if text.starts_with("query[") {
        let (_kind, tail) = text.split_once("] ")?;
        let (asked, from) = tail.rsplit_once(" from ")?;
        let actor = address(from).map(Actor::Address);
        return Some(of(FAMILY, Action::Request, Outcome::None).maybe_by(actor).object(Object::Service(asked)));
    }
    let text = match text.strip_prefix("DHCP") {
        Some(_) => text,
        // With log-dhcp a transaction number stands before it.
        None => text.split_once(' ').map(|(_number, tail)| tail).filter(|tail| tail.starts_with("DHCP"))?,
    };
    let (verb, tail) = word(text);
    let kind = verb.split('(').next().unwrap_or_default();
    let outcome = match kind {
        "DHCPACK" | "DHCPOFFER" => Outcome::Ok,
        "DHCPNAK" | "DHCPDECLINE" => Outcome::Failed,
        _ => Outcome::None,
    };
    let found = of(FAMILY, Action::Lease, outcome);
    let (first, rest) = word(tail);
    Some(match address(first) {
        Some(given) => found.maybe_by(name(word(rest).0)).towards(given, None),
        None => found.maybe_by(name(first)),
    })
}
