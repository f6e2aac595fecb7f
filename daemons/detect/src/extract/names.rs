//! Name servers: BIND's `named`, NSD, Unbound.
//!
//! `client @0x7f 192.0.2.7#5353 (example.org): query (cache) 'example.org/A/IN' denied`: the client stands first, the
//! name that was asked for is its own.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{after, caller, holds_any, starts, strip_any, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// Whether a text without an application is named's word on a client.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("client ") && text.contains('#') && text.contains("): ")
}

/// A line of a name server.
pub(super) fn names(text: &str) -> Extraction<'_> {
    named(text).or_else(|| nsd(text)).unwrap_or_else(|| generic(text))
}

fn named(text: &str) -> Option<Extraction<'_>> {
    let tail = text.strip_prefix("client ").or_else(|| after(text, ": client ")).or_else(|| after(text, " client "))?;
    let tail = tail.strip_prefix('@').map_or(tail, |tail| word(tail).1);
    let (address, said) = tail.split_once('#')?;
    let (_name, said) = said.split_once(": ")?;
    // That a name does not exist, or that another server fails, is an answer and no refusal.
    let answered = strip_any(said, &["query failed (NXDOMAIN)", "query failed (SERVFAIL)"]).is_some();
    let refused = !answered
        && (said.ends_with(" denied")
            || holds_any(
                said,
                &[" denied (", "rate limit", " failed", "REFUSED", "bad zone transfer request", "drop ", "expected a"],
            ));
    let outcome = if refused { Outcome::Failed } else { Outcome::None };
    Some(of(FAMILY, Action::Request, outcome).maybe_by(caller(address)))
}

/// `info: axfr for example.org. from client 192.0.2.7 refused, no acl matches`.
fn nsd(text: &str) -> Option<Extraction<'_>> {
    if text.contains(" refused") {
        let tail = after(text, " from client ").or_else(|| after(text, " from "))?;
        return Some(
            of(FAMILY, Action::Request, Outcome::Failed).maybe_by(caller(word(tail).0.trim_end_matches([',', '.']))),
        );
    }
    if let Some(tail) = after(text, "ratelimit block ") {
        // `target` is the network that is held back, `query` the client.
        let client = after(tail, " query ").and_then(|query| caller(word(query).0));
        return Some(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(client));
    }
    let done = ["zone ", "running", "exiting", "starting BIND", "shutting down", "reloading", "nsd started"];
    done.iter()
        .any(|start| starts(text, start))
        .then(|| of(FAMILY, Action::Service, if text.contains("fail") { Outcome::Failed } else { Outcome::Ok }))
}
