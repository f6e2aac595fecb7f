//! Proxies: HAProxy, Squid, Dante.
//!
//! HAProxy: `192.0.2.7:4711 [10/Mar/2026:10:11:12.123] front back/web1 0/0/0/1/1 401 123 - - ---- ... "GET / HTTP/1.1"`;
//! Squid: `1773137472.123 45 192.0.2.7 TCP_DENIED/403 3900 GET http://x bob HIER_NONE/- text/html`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{address, caller, holds_any, is_number, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// Whether a text without an application begins as Squid's log does.
pub(super) fn recognises(text: &str) -> bool {
    let (first, _rest) = word(text);
    first
        .split_once('.')
        .is_some_and(|(seconds, part)| seconds.len() == 10 && is_number(seconds) && part.len() == 3 && is_number(part))
}

/// A line of a proxy.
pub(super) fn proxy(text: &str) -> Extraction<'_> {
    haproxy(text).or_else(|| squid(text)).or_else(|| dante(text)).unwrap_or_else(|| generic(text))
}

fn haproxy(text: &str) -> Option<Extraction<'_>> {
    let (client, tail) = word(text);
    let actor = caller(client)?;
    let (_when, tail) = tail.strip_prefix('[')?.split_once("] ")?;
    let mut fields = tail.split(' ');
    let status = fields.nth(3)?;
    // A raw TCP line has bytes there, and no request.
    let Some((_head, request)) = tail.split_once('"') else {
        return Some(
            of(
                FAMILY,
                Action::Connection,
                if tail.contains("SSL handshake failure") { Outcome::Failed } else { Outcome::None },
            )
            .by(actor),
        );
    };
    let status: u16 = status.parse().unwrap_or(0);
    let path = word(word(request).1).0;
    // What the server behind it refused, that server tells; the first letter of the state is `P` where the proxy refused.
    let own = fields.nth(3).is_some_and(|state| state.starts_with('P'));
    let outcome = match status {
        200..=399 => Outcome::Ok,
        401 | 407 => Outcome::Failed,
        _ if own => Outcome::Failed,
        _ => Outcome::None,
    };
    let action = if status == 401 || status == 407 { Action::Login } else { Action::Request };
    let found = of(FAMILY, action, outcome).by(actor);
    Some(if path.is_empty() { found } else { found.object(Object::Path(path)) })
}

fn squid(text: &str) -> Option<Extraction<'_>> {
    let mut fields = text.split_ascii_whitespace();
    let first = fields.next()?;
    if !first.contains('.') {
        return None;
    }
    let (_took, client, result) = (fields.next()?, fields.next()?, fields.next()?);
    let actor = Actor::Address(address(client)?);
    let (code, status) = result.split_once('/')?;
    let (_bytes, _method, url, user) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let failed = holds_any(code, &["DENIED"]) || status.parse::<u16>().is_ok_and(|status| status >= 400);
    // A client first asks without a name, and is told to send one.
    let login = status == "407" && user != "-";
    let outcome = match (status, login) {
        ("407", false) => Outcome::None,
        _ if failed => Outcome::Failed,
        _ => Outcome::Ok,
    };
    let found =
        of(FAMILY, if login { Action::Login } else { Action::Request }, outcome).by(actor).object(Object::Path(url));
    Some(if user == "-" { found } else { found.account(user) })
}

/// Dante: `info: block(1): tcp/accept ]: 192.0.2.7.50550 10.0.0.1.1080: error after reading 35 bytes ...`.
fn dante(text: &str) -> Option<Extraction<'_>> {
    let text = text.strip_prefix("info: ").unwrap_or(text);
    let (verdict, tail) = text.split_once("): ")?;
    let (_what, tail) = tail.split_once("]: ").or_else(|| tail.split_once("[: "))?;
    let (from, tail) = word(tail);
    let actor = Actor::Address(super::pf::dotted(from)?.0);
    let blocked = verdict.starts_with("block");
    let (action, outcome) = match blocked {
        true if tail.contains("authentication") || tail.contains("could not access user") => {
            (Action::Login, Outcome::Failed)
        }
        true => (Action::Block, Outcome::Failed),
        false => (Action::Connection, Outcome::Ok),
    };
    let found = of(FAMILY, action, outcome).by(actor);
    Some(crate::text::quoted(tail, '"').filter(|_name| blocked).map_or(found, |account| found.account(account)))
}
