//! pf, the packet filter of the BSDs: the `filterlog` of firewalls made of it, and tcpdump's text of pflog.
//!
//! filterlog: `rule,sub,anchor,tracker,interface,reason,action,direction,ip version,...`, then for IPv4
//! `tos,ecn,ttl,id,offset,flags,protocol id,protocol,length,source,destination,source port,port`, and for
//! IPv6 `class,flow,hop limit,protocol,protocol id,length,source,destination,source port,port`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, word};

const FAMILY: AppFamily = AppFamily::Pf;

/// A packet that pf logged.
pub(super) fn pf(text: &str) -> Extraction<'_> {
    filterlog(text).or_else(|| pflog(text)).unwrap_or(Extraction::unknown(FAMILY))
}

fn verdict<'a>(word: &str) -> Extraction<'a> {
    match word {
        "block" | "reject" => of(FAMILY, Action::Block, Outcome::Failed),
        _ => of(FAMILY, Action::Connection, Outcome::Ok),
    }
}

fn filterlog(text: &str) -> Option<Extraction<'_>> {
    let mut fields = text.split(',').skip(6);
    let found = verdict(fields.next()?);
    let version = fields.nth(1)?;
    let skip = match version {
        "4" => 9,
        "6" => 6,
        _ => return None,
    };
    let from = address(fields.nth(skip)?)?;
    let to = address(fields.next()?)?;
    let port = fields.nth(1).and_then(|port| port.parse().ok());
    Some(found.by(Actor::Address(from)).towards(to, port))
}

/// `rule 4/0(match): block in on em0: 10.0.0.5.1234 > 203.0.113.9.4444: Flags [S] ...`.
fn pflog(text: &str) -> Option<Extraction<'_>> {
    let (_rule, tail) = text.split_once("): ")?;
    let (action, tail) = word(tail);
    let (_where, packet) = tail.split_once(": ")?;
    let (from, tail) = packet.split_once(" > ")?;
    let (to, _rest) = tail.split_once(": ").unwrap_or((tail, ""));
    let (from, _port) = dotted(from)?;
    let (to, port) = dotted(to)?;
    Some(verdict(action).by(Actor::Address(from)).towards(to, port))
}

/// `10.0.0.5.1234`: the port after a fifth dot, as tcpdump writes it.
pub(super) fn dotted(text: &str) -> Option<(std::net::IpAddr, Option<u16>)> {
    if let Some(address) = address(text) {
        return Some((address, None));
    }
    let (head, port) = text.rsplit_once('.')?;
    Some((address(head)?, port.parse().ok()))
}
