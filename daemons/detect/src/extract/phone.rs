//! Telephone servers: Asterisk and `FreeSWITCH`.
//!
//! `Registration from '"x" <sip:100@10.0.0.1>' failed for '192.0.2.7:5060' - Wrong password`: what stands in the
//! first quotes is the caller's, and so are extensions and call ids. Security events name `RemoteAddress=`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{after, between, caller, holds_any, quoted, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// Whether a text without an application is a line of a telephone server.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("SecurityEvent=\"")
        || text.contains("' failed for '")
        || text.contains("] chan_")
        || text.contains("] sofia_reg.c:")
        || text.contains("] res_pjsip")
        || text.contains("] Ext. ")
}

/// A line of a telephone server.
pub(super) fn phone(text: &str) -> Extraction<'_> {
    event(text).or_else(|| said(text)).unwrap_or_else(|| generic(text))
}

fn login<'a>(outcome: Outcome) -> Extraction<'a> {
    of(FAMILY, Action::Login, outcome)
}

/// `SecurityEvent="InvalidPassword",...,AccountID="100",...,RemoteAddress="IPV4/UDP/192.0.2.7/5060",...`.
fn event(text: &str) -> Option<Extraction<'_>> {
    let tail = after(text, "SecurityEvent=\"")?;
    let (kind, tail) = tail.split_once('"')?;
    let found = match kind {
        "SuccessfulAuth" => login(Outcome::Ok),
        "ChallengeSent" => login(Outcome::None),
        "RequestBadFormat" | "RequestNotAllowed" | "RequestNotSupported" | "SessionLimit" | "LoadAverageLimit" => {
            of(FAMILY, Action::Request, Outcome::Failed)
        }
        _ => login(Outcome::Failed),
    };
    let (before, from) = tail.split_once("RemoteAddress=\"")?;
    // Names and session ids are the caller's and stand before the address.
    let from = from.rsplit_once("RemoteAddress=\"").map_or(from, |(_head, last)| last);
    let actor = from.split('"').next().and_then(transport);
    let found = found.maybe_by(actor);
    let account = between(before, "AccountID=\"", "\"").filter(|account| !account.is_empty());
    let found = account.map_or(found, |account| found.account(account));
    Some(if kind == "InvalidAccountID" { found.exists(false) } else { found })
}

/// `IPV4/UDP/192.0.2.7/5060`.
fn transport(text: &str) -> Option<Actor<'_>> {
    caller(text.split('/').nth(2)?)
}

fn said(text: &str) -> Option<Extraction<'_>> {
    if let Some((head, tail)) = text.rsplit_once("' failed for '") {
        // A call id stands behind the address and is the caller's too.
        let two = text.contains("(callid: ") && head.contains("' failed for '");
        let actor = tail.split(['\'', ' ']).next().and_then(caller).filter(|_actor| !two);
        let found = login(Outcome::Failed).maybe_by(actor);
        let unknown = holds_any(tail, &["No matching peer", "No matching endpoint"]);
        return Some(if unknown { found.exists(false) } else { found });
    }
    if let Some(tail) = after(text, "Call from '") {
        let (_name, tail) = tail.split_once("' (")?;
        let (from, tail) = tail.split_once(") to extension '")?;
        let refused = tail.contains("rejected because");
        let outcome = if refused { Outcome::Failed } else { Outcome::None };
        return Some(of(FAMILY, Action::Request, outcome).maybe_by(caller(from)));
    }
    if let Some((_head, tail)) = text.split_once("Call (").filter(|(_head, tail)| tail.contains(" rejected because ")) {
        let (from, _extension) = tail.split_once(") to extension '")?;
        let from = from.split_once(':').filter(|(how, _from)| how.bytes().all(|byte| byte.is_ascii_uppercase()));
        return Some(of(FAMILY, Action::Request, Outcome::Failed).maybe_by(from.and_then(|(_how, from)| caller(from))));
    }
    let host = |tail| caller(word(tail).0.trim_end_matches([':', '.', '"']));
    if let Some((_head, tail)) =
        text.split_once(": Host ").or_else(|| text.strip_prefix("Host ").map(|tail| ("", tail)))
    {
        let refused = holds_any(tail, &[" failed ", " denied access", "failed to authenticate"]);
        return refused.then(|| {
            let found = login(Outcome::Failed).maybe_by(host(tail));
            quoted(tail, '\'').map_or(found, |account| found.account(account))
        });
    }
    if text.contains("No registration for peer '") {
        let actor = text.rsplit_once("(from ").and_then(|(_head, tail)| caller(tail.trim_end_matches(')')));
        return Some(login(Outcome::Failed).maybe_by(actor).exists(false));
    }
    if let Some(tail) = after(text, "unknown SIP connection from ") {
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(host(tail)));
    }
    if let Some((_head, from)) = text.rsplit_once(" from ip ") {
        let outcome = if text.contains("auth failure") || text.contains("Can't find user") {
            Outcome::Failed
        } else {
            Outcome::None
        };
        let account = between(text, " for [", "@");
        let found = login(outcome).maybe_by(host(from));
        return Some(account.map_or(found, |account| found.account(account)));
    }
    None
}
