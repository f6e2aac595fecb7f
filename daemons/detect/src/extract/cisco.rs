//! Cisco ASA and IOS: `%ASA-4-106023: Deny tcp src inside:10.1.1.5/1234 dst outside:203.0.113.9/4444 by ...`.
//!
//! The code says which message it is; the texts are the vendor's fixed forms with the peer's name last
//! or in quotes.

use std::net::IpAddr;

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, after, between, name, quoted, word};

/// Whether `code` has the form `%FACILITY-SEVERITY-MNEMONIC`.
fn is_code(code: &str) -> bool {
    let mut parts = code.trim_start_matches('%').rsplitn(3, '-');
    let (mnemonic, severity, facility) = (parts.next(), parts.next(), parts.next());
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    code.len() < 64
        && mnemonic.is_some_and(|text| !text.is_empty())
        && severity.is_some_and(|text| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_digit()))
        && facility.is_some_and(|text| !text.is_empty() && text.bytes().all(fits))
}

/// The code in `... %FACILITY-SEVERITY-MNEMONIC: TEXT`, and the text.
pub(super) fn code(text: &str) -> Option<(&str, &str)> {
    let (code, rest) = text.get(text.find('%')?..)?.split_once(": ")?;
    is_code(code).then_some((code, rest))
}

/// A message of an ASA or of IOS.
pub(super) fn cisco<'a>(code: &str, text: &'a str) -> Extraction<'a> {
    let code = code.trim_start_matches('%');
    if code.starts_with("ASA-") || code.starts_with("FTD-") || code.starts_with("PIX-") {
        let number = code.rsplit('-').next().unwrap_or_default();
        return asa(number, text).unwrap_or(Extraction::unknown(AppFamily::Asa));
    }
    ios(code, text).unwrap_or(Extraction::unknown(AppFamily::Ios))
}

fn asa<'a>(number: &str, text: &'a str) -> Option<Extraction<'a>> {
    const FAMILY: AppFamily = AppFamily::Asa;
    let block = of(FAMILY, Action::Block, Outcome::Failed);
    match number {
        "106023" => {
            let (from, _port) = slashed(between(text, "src ", " ")?)?;
            let (to, port) = slashed(between(text, "dst ", " ")?)?;
            Some(block.by(Actor::Address(from)).towards(to, port))
        }
        "106001" | "106006" | "106007" | "106015" | "710003" => {
            let (from, _port) = slashed(between(text, "from ", " ")?)?;
            let (to, port) = slashed(between(text, " to ", " ")?)?;
            Some(block.by(Actor::Address(from)).towards(to, port))
        }
        "106100" => {
            let found = if text.contains(" denied ") { block } else { of(FAMILY, Action::Connection, Outcome::Ok) };
            let (from, to) = text.split_once(" -> ")?;
            let (from, _port) = bracketed(from.rsplit_once(' ')?.1)?;
            let (to, port) = bracketed(word(to).0)?;
            Some(found.by(Actor::Address(from)).towards(to, port))
        }
        "605004" | "605005" | "611101" | "611102" => {
            let outcome = if matches!(number, "605004" | "611102") { Outcome::Failed } else { Outcome::Ok };
            let found = of(FAMILY, Action::Login, outcome);
            let from = between(text, "from ", " ").or_else(|| between(text, "IP address: ", ","));
            let found = found.maybe_by(from.and_then(slashed).map(|(from, _port)| Actor::Address(from)));
            let account = quoted(text, '"').or_else(|| after(text, "Uname: "));
            Some(account.map_or(found, |account| found.account(account)))
        }
        "113015" | "113005" | "113012" => {
            let outcome = if number == "113012" { Outcome::Ok } else { Outcome::Failed };
            let from = text.rsplit_once("user IP = ").and_then(|(_head, from)| address(from.trim_ascii()));
            let found = of(FAMILY, Action::Login, outcome).maybe_by(from.map(Actor::Address));
            let account = between(text, "user = ", " :");
            Some(account.map_or(found, |account| found.account(account.trim_ascii())))
        }
        "302013" | "302015" => {
            // Built outbound TCP connection 1 for outside:203.0.113.9/443 (...) to inside:10.0.0.5/51000 (...)
            let (outside, _port) = slashed(between(text, " for ", " ")?)?;
            let made = of(FAMILY, Action::Connection, Outcome::Ok).by(Actor::Address(outside));
            Some(slashed(between(text, " to ", " ")?).map_or(made, |(to, port)| made.towards(to, port)))
        }
        "111008" | "111010" => {
            Some(of(FAMILY, Action::Command, Outcome::Ok).maybe_by(quoted(text, '\'').and_then(name)))
        }
        _ => None,
    }
}

fn ios<'a>(code: &str, text: &'a str) -> Option<Extraction<'a>> {
    const FAMILY: AppFamily = AppFamily::Ios;
    let mnemonic = code.rsplit('-').next().unwrap_or_default();
    match mnemonic {
        "LOGIN_FAILED" | "LOGIN_SUCCESS" => {
            let outcome = if mnemonic == "LOGIN_FAILED" { Outcome::Failed } else { Outcome::Ok };
            let from = between(text, "[Source: ", "]").and_then(address);
            let found = of(FAMILY, Action::Login, outcome).maybe_by(from.map(Actor::Address));
            Some(between(text, "[user: ", "]").map_or(found, |account| found.account(account)))
        }
        "CONFIG_I" => {
            let found = of(FAMILY, Action::Command, Outcome::Ok);
            Some(found.maybe_by(between(text, " by ", " ").and_then(name)))
        }
        _ if mnemonic.starts_with("IPACCESSLOG") => {
            let found = if text.contains(" denied ") {
                of(FAMILY, Action::Block, Outcome::Failed)
            } else {
                of(FAMILY, Action::Connection, Outcome::Ok)
            };
            let (from, to) = text.split_once(" -> ")?;
            let from = from.split_ascii_whitespace().rev().find_map(bracketed)?.0;
            let (to, port) = bracketed(to.split([',', ' ']).next()?)?;
            Some(found.by(Actor::Address(from)).towards(to, port))
        }
        _ => None,
    }
}

/// `inside:10.1.1.5/1234`, `10.1.1.5/1234`, `10.1.1.5`.
fn slashed(token: &str) -> Option<(IpAddr, Option<u16>)> {
    let (head, port) = token.split_once('/').map_or((token, None), |(head, port)| (head, port.parse().ok()));
    let plain = address(head).or_else(|| address(head.split_once(':')?.1))?;
    Some((plain, port))
}

/// `inside/10.1.1.5(1234)`, `10.1.1.5(1234)`, `10.1.1.5`.
fn bracketed(token: &str) -> Option<(IpAddr, Option<u16>)> {
    let token = token.rsplit_once('/').map_or(token, |(_interface, token)| token);
    let (head, port) = token.split_once('(').unwrap_or((token, ""));
    Some((address(head)?, port.trim_end_matches(')').parse().ok()))
}
