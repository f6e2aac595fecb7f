//! FortiGate's `key=value` lines: traffic denied and allowed, administrators' logins.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::address;

const FAMILY: AppFamily = AppFamily::Fortigate;

/// Whether a text is such a line.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("devname=") && text.contains("logid=")
}

/// A line of a FortiGate.
pub(super) fn fortigate(text: &str) -> Extraction<'_> {
    let (mut from, mut to, mut port, mut user) = (None, None, None, None);
    let (mut action, mut status, mut kind) = ("", "", "");
    for (key, value) in fields(text) {
        match key {
            "srcip" => from = address(value),
            "dstip" => to = address(value),
            "dstport" => port = value.parse().ok(),
            "user" => user = Some(value),
            "action" => action = value,
            "status" => status = value,
            "type" => kind = value,
            _ => {}
        }
    }
    let found = match (kind, action) {
        (_, "login") => of(FAMILY, Action::Login, if status == "failed" { Outcome::Failed } else { Outcome::Ok }),
        ("traffic", "deny" | "blocked" | "dropped") => of(FAMILY, Action::Block, Outcome::Failed),
        ("traffic", _) => of(FAMILY, Action::Connection, Outcome::Ok),
        ("utm", _) => of(FAMILY, Action::Ids, Outcome::Failed),
        _ => Extraction::unknown(FAMILY),
    };
    let found = found.maybe_by(from.map(Actor::Address));
    let found = user.map_or(found, |user| found.account(user));
    to.map_or(found, |to| found.towards(to, port))
}

/// The pairs of `a=1 b="two words"`.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (key, tail) = rest.trim_ascii_start().split_once('=')?;
        let (value, tail) = match tail.strip_prefix('"') {
            Some(inner) => inner.split_once('"').unwrap_or((inner, "")),
            None => tail.split_once(' ').unwrap_or((tail, "")),
        };
        rest = tail;
        Some((key, value))
    })
}
