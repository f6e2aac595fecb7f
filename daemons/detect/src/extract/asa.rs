//! Cisco ASA, FTD and PIX, by message number.
//!
//! The texts are the vendor's fixed forms; a user's name stands in quotes or angle brackets, or last, and addresses
//! are cut before it where they come first and from the right where they come after.

use std::net::IpAddr;

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, after, between, holds_any, name, quoted, word};

const FAMILY: AppFamily = AppFamily::Asa;

/// The message `number`.
pub(super) fn asa<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    match number.as_bytes() {
        [b'1', b'0', b'6', ..]
        | [b'7', b'1', b'0', ..]
        | b"313001"
        | b"313004"
        | b"313005"
        | b"401004"
        | b"338006"
        | b"338008" => packet(number, text),
        [b'1', b'1', b'1', ..] | [b'5', b'0', b'2', ..] => administration(number, text),
        [b'3', b'0', b'2' | b'5', ..] => connection(number, text),
        [b'4', b'0', b'0', ..] | b"733100" | b"733101" | b"733102" | b"430001" => {
            let from = between(text, " from ", " ")
                .or_else(|| between(text, "Host ", " "))
                .or_else(|| between(text, "Object ", " "));
            let actor = from.and_then(slashed).map(|(from, _port)| Actor::Address(from));
            Some(of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(actor))
        }
        b"411001" | b"411002" | b"411003" | b"411004" => {
            let found = of(FAMILY, Action::Service, if text.contains(" up") { Outcome::Ok } else { Outcome::Failed });
            Some(between(text, "nterface ", ",").map_or(found, |interface| found.object(Object::Service(interface))))
        }
        _ => session(number, text),
    }
}

/// Packets that were let through or not.
fn packet<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    let allowed = matches!(number, "710001" | "710002") || number == "106100" && text.contains(" permitted ");
    let found = if allowed || number == "106102" && text.contains(" permitted ") {
        of(FAMILY, Action::Connection, Outcome::Ok)
    } else {
        of(FAMILY, Action::Block, Outcome::Failed)
    };
    if let Some((from, to)) = text.split_once(" -> ") {
        let (from, _port) = bracketed(from.rsplit_once(' ')?.1)?;
        let (to, port) = bracketed(word(to).0)?;
        return Some(found.by(Actor::Address(from)).towards(to, port));
    }
    // `src outside:192.0.2.7/4711 dst inside:10.0.0.5/22`, `from 192.0.2.7/4711 to 10.0.0.5/22`, `192.0.2.7 ==> 10.0.0.5`.
    let spaced = |start: &str| after(text, start).and_then(|tail| tail.split(' ').take(2).find_map(plain));
    let from =
        spaced("src ").or_else(|| spaced("from laddr ")).or_else(|| spaced(" from ")).or_else(|| spaced("packet: "));
    let to = spaced("dst ").or_else(|| spaced(" ==> ")).or_else(|| spaced(" to "));
    let (from, _port) = from?;
    let found = found.by(Actor::Address(from));
    Some(to.map_or(found, |(to, port)| found.towards(to, port)))
}

/// Connections built and torn down.
fn connection<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    let outcome = if matches!(number, "302014" | "302016" | "302018" | "302021" | "305012" | "305010") {
        Outcome::None
    } else {
        Outcome::Ok
    };
    if number == "305006" || number == "305005" {
        return Some(of(FAMILY, Action::Connection, Outcome::Failed));
    }
    if let Some((from, _port)) = between(text, "faddr ", " ").and_then(slashed) {
        let made = of(FAMILY, Action::Connection, outcome).by(Actor::Address(from));
        return Some(between(text, "laddr ", " ").and_then(slashed).map_or(made, |(to, port)| made.towards(to, port)));
    }
    // Built outbound TCP connection 1 for outside:203.0.113.9/443 (...) to inside:10.0.0.5/51000 (...)
    let (outside, _port) = slashed(between(text, " for ", " ").or_else(|| between(text, " from ", " "))?)?;
    let made = of(FAMILY, Action::Connection, outcome).by(Actor::Address(outside));
    Some(slashed(between(text, " to ", " ")?).map_or(made, |(to, port)| made.towards(to, port)))
}

/// Commands and accounts of administrators.
fn administration<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    match number {
        "111008" | "111009" | "111010" => {
            Some(of(FAMILY, Action::Command, Outcome::Ok).maybe_by(quoted(text, '\'').and_then(name)))
        }
        "111001" | "111003" | "111004" | "111005" | "111007" => Some(of(FAMILY, Action::Command, Outcome::Ok)),
        "502101" | "502102" | "502103" => {
            let found = of(FAMILY, Action::Account, Outcome::Ok);
            Some(between(text, "Uname: ", " ").map_or(found, |account| found.account(account)))
        }
        _ => None,
    }
}

/// Logins and sessions.
fn session<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    let (action, outcome) = match number {
        "605004" | "611102" | "113005" | "113015" | "113021" | "109006" | "308001" | "307001" | "716039" | "713166"
        | "713167" | "713198" | "315004" | "719023" | "109031" => (Action::Login, Outcome::Failed),
        "605005" | "611101" | "113004" | "113012" | "109005" | "307002" | "716001" | "716038" | "113039" | "722022"
        | "722051" | "719022" | "315005" | "713228" => (Action::Login, Outcome::Ok),
        "611103" | "113019" | "716002" | "722023" | "722012" => (Action::Logout, Outcome::Ok),
        "315011" if text.contains("terminated normally") => (Action::Logout, Outcome::Ok),
        "315011" => (Action::Connection, Outcome::Failed),
        "113006" => (Action::Block, Outcome::Failed),
        "304001" => (Action::Request, Outcome::Ok),
        "304002" => (Action::Request, Outcome::Failed),
        "713119" | "713120" | "602303" | "750006" => (Action::Connection, Outcome::Ok),
        "713048" | "713903" | "713902" | "750003" | "402117" | "402119" | "713123" => {
            (Action::Connection, Outcome::Failed)
        }
        _ => return None,
    };
    let found = of(FAMILY, action, outcome);
    // A name may hold words of the form, so those behind it are looked for from the right.
    let token = |tail: &'a str| tail.split([' ', '(', ')']).find(|token| !token.is_empty());
    let first_from = || after(text, "from ").and_then(token);
    let from = match number.as_bytes() {
        // The name comes last.
        [b'6', b'0', b'5', ..] | [b'3', b'1', b'5', ..] => first_from(),
        [b'6', b'1', b'1', ..] => between(text, "IP address: ", ","),
        // The name comes first.
        [b'1', b'0', b'9', ..] => text.rsplit_once(" from ").and_then(|(_head, tail)| token(tail)),
        [b'7', b'1', b'6', ..] | [b'7', b'2', b'2', ..] | b"113039" => {
            text.rsplit_once("> IP <").and_then(|(_head, tail)| tail.split('>').next())
        }
        _ => text
            .rsplit_once("user IP = ")
            .map(|(_head, ip)| ip)
            .or_else(|| text.rsplit_once(", IP = ").map(|(_head, ip)| ip.split(',').next().unwrap_or(ip)))
            .or_else(|| between(text, "IP address: ", ","))
            .or_else(|| between(text, "SRC ", " "))
            .or_else(first_from),
    };
    let found =
        found.maybe_by(from.and_then(|from| slashed(from.trim_ascii())).map(|(from, _port)| Actor::Address(from)));
    let account = between(text, "User <", ">")
        .or_else(|| between(text, "Username = ", ","))
        .or_else(|| {
            text.rsplit_once(" : user = ").map(|(_head, account)| account.split(" :").next().unwrap_or(account))
        })
        .or_else(|| after(text, "Uname: "))
        .or_else(|| quoted(text, '"'))
        .or_else(|| quoted(text, '\''))
        .or_else(|| {
            text.strip_prefix("User ").filter(|_tail| holds_any(text, &[" locked out"])).map(|tail| word(tail).0)
        });
    Some(account.map_or(found, |account| found.account(account.trim_ascii())))
}

/// A token that is an address with what stands around it: `outside:192.0.2.7/4711`, `(192.0.2.7)`, `192.0.2.7,`.
fn plain(token: &str) -> Option<(IpAddr, Option<u16>)> {
    slashed(token.trim_matches(['(', ')', ',', '.']))
}

/// `inside:10.1.1.5/1234`, `10.1.1.5/1234`, `10.1.1.5`.
pub(super) fn slashed(token: &str) -> Option<(IpAddr, Option<u16>)> {
    let (head, port) = token.split_once('/').map_or((token, None), |(head, port)| (head, port.parse().ok()));
    let plain = address(head).or_else(|| address(head.split_once(':')?.1))?;
    Some((plain, port))
}

/// `inside/10.1.1.5(1234)`, `10.1.1.5(1234)`, `10.1.1.5`.
pub(super) fn bracketed(token: &str) -> Option<(IpAddr, Option<u16>)> {
    let token = token.rsplit_once('/').map_or(token, |(_interface, token)| token);
    let (head, port) = token.split_once('(').unwrap_or((token, ""));
    Some((address(head)?, port.trim_end_matches(')').parse().ok()))
}
