//! nginx: requests in the common log format, and its error log.
//!
//! `2026/01/05 14:30:00 [error] 12#12: *7 user "bob" was not found in "/etc/htpasswd", client: 10.0.0.50,
//! server: x, request: "GET / HTTP/1.1", host: "x"`: the client is cut after the last of nginx's own words,
//! since the name before it and the request after it are the client's.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::{
    apache,
    build::{Build as _, of},
};
use crate::text::{address, between, word};

const FAMILY: AppFamily = AppFamily::Nginx;

/// Whether a text is a line of nginx's error log.
pub(super) fn recognises(text: &str) -> bool {
    text.contains(", client: ") && text.contains(", server: ")
}

/// A line of nginx's access or error log.
pub(super) fn nginx(text: &str) -> Extraction<'_> {
    if let Some(found) = apache::access(FAMILY, text) {
        return found;
    }
    let Some((head, tail)) = text.split_once(", client: ") else { return Extraction::unknown(FAMILY) };
    if let Some((_before, said)) = head.split_once(" user \"") {
        return login(said, tail);
    }
    let actor = client(tail);
    if head.contains(" ModSecurity: ") {
        return of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(actor);
    }
    let path = between(tail, "request: \"", "\"").map(|request| word(word(request).1).0);
    let refused = ["forbidden", "failed", "limiting ", "delaying ", "invalid ", "denied", "rejected", "not found"];
    let outcome = if refused.iter().any(|word| head.contains(word)) { Outcome::Failed } else { Outcome::None };
    let found = of(FAMILY, Action::Request, outcome).maybe_by(actor);
    path.map_or(found, |path| found.object(Object::Path(path)))
}

fn client(tail: &str) -> Option<Actor<'_>> {
    address(tail.split([',', ' ']).next()?).map(Actor::Address)
}

/// `bob" was not found in "FILE"` or `bob": password mismatch`; where the name holds `, client: ` the next one is taken.
fn login<'a>(said: &'a str, tail: &'a str) -> Extraction<'a> {
    let failed = of(FAMILY, Action::Login, Outcome::Failed);
    if let Some((account, _why)) = said.rsplit_once("\": password mismatch") {
        return failed.maybe_by(client(tail)).account(account).exists(true);
    }
    if let Some((account, _why)) = said.rsplit_once("\" was not found in \"") {
        return failed.maybe_by(client(tail)).account(account).exists(false);
    }
    let last = tail.rsplit_once(", client: ").map_or(tail, |(_name, last)| last);
    failed.maybe_by(client(last))
}
