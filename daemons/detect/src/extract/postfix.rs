//! Postfix: who connects, logs in, and is turned away.
//!
//! `connect from unknown[192.0.2.7]`, `NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 ...`, `warning:
//! unknown[192.0.2.7]: SASL LOGIN authentication failed: ...`. The client stands where Postfix writes it, behind
//! its own first words; what it said comes after that. postscreen writes `[192.0.2.7]:4711`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, between, holds_any, in_brackets, is_number, strip_any, word};

const FAMILY: AppFamily = AppFamily::Postfix;

/// A line of one of Postfix's programs.
pub(super) fn postfix(text: &str) -> Extraction<'_> {
    let (first, rest) = word(text);
    let found = match first {
        "connect" => rest.strip_prefix("from ").map(|tail| plain(Outcome::None, in_brackets(tail))),
        "disconnect" => rest.strip_prefix("from ").map(disconnect),
        "lost" | "timeout" => ended(rest),
        "too" => rest.strip_prefix("many errors after ").and_then(|tail| Some(failed(from(tail)?))),
        "SSL_accept" => from(text).map(failed),
        // What follows a login that failed is told of with the login.
        "improper" => from(text).map(|actor| {
            plain(if rest.contains(" after AUTH ") { Outcome::None } else { Outcome::Failed }, Some(actor))
        }),
        "warning:" => warning(rest),
        "CONNECT" | "PASS" | "PREGREET" | "HANGUP" | "DNSBL" | "BLACKLISTED" | "DENYLISTED" | "COMMAND" | "BARE"
        | "NON-SMTP" => screened(first, rest),
        "Anonymous" | "Trusted" | "Untrusted" | "Verified" => {
            rest.strip_prefix("TLS connection established from ").map(|tail| plain(Outcome::None, in_brackets(tail)))
        }
        "daemon" | "starting" | "stopping" | "terminating" | "reload" | "refreshing" => {
            Some(of(FAMILY, Action::Service, Outcome::Ok))
        }
        "fatal:" | "panic:" => Some(of(FAMILY, Action::Service, Outcome::Failed)),
        _ => first.strip_suffix(':').and_then(|queue| queued(queue, rest)),
    };
    found.unwrap_or(Extraction::unknown(FAMILY))
}

fn plain(outcome: Outcome, actor: Option<Actor<'_>>) -> Extraction<'_> {
    of(FAMILY, Action::Connection, outcome).maybe_by(actor)
}

fn failed(actor: Actor<'_>) -> Extraction<'_> {
    of(FAMILY, Action::Connection, Outcome::Failed).by(actor)
}

/// The client behind the first `from`.
fn from(text: &str) -> Option<Actor<'_>> {
    let tail = text.strip_prefix("from ").or_else(|| after(text, " from "))?;
    in_brackets(tail)
}

/// `unknown[192.0.2.7] ehlo=1 auth=0/1 quit=1 commands=2/3`: logins that failed are told of by lines of their own.
fn disconnect(tail: &str) -> Extraction<'_> {
    let (_client, counts) = word(tail);
    let refused = |count: &str| count.strip_prefix("auth=0/").is_some_and(is_number);
    if counts.split(' ').any(refused) {
        return of(FAMILY, Action::Login, Outcome::Failed).maybe_by(in_brackets(tail)).companion();
    }
    plain(Outcome::None, in_brackets(tail))
}

/// `connection after AUTH from unknown[192.0.2.7]`: nobody who has mail to deliver leaves so early; a login that
/// failed is told of by a line of its own.
fn ended(rest: &str) -> Option<Extraction<'_>> {
    let tail = strip_any(rest, &["connection after ", "after "])?;
    let (during, _tail) = word(tail);
    let odd = rest.starts_with("connection")
        && !matches!(during, "DATA" | "END-OF-MESSAGE" | "QUIT" | "EHLO" | "HELO" | "AUTH");
    Some(plain(if odd { Outcome::Failed } else { Outcome::None }, from(tail)))
}

fn warning(text: &str) -> Option<Extraction<'_>> {
    let (first, rest) = word(text);
    if let Some(said) = rest.strip_prefix("SASL ").filter(|_said| first.ends_with([':', ']'])) {
        let found = of(FAMILY, Action::Login, Outcome::Failed).maybe_by(in_brackets(text));
        // The server's own trouble says nothing about the client, and no password was tried where the way was refused.
        if holds_any(
            said,
            &[
                "Connection lost to authentication server",
                "Temporary authentication failure",
                "Invalid authentication mechanism",
            ],
        ) {
            return Some(Extraction { outcome: Outcome::None, ..found });
        }
        let account = said.rsplit_once("sasl_username=").map(|(_head, account)| account);
        return Some(
            account.map_or(found, |account| found.account(account.split([',', ' ']).next().unwrap_or(account))),
        );
    }
    if text.contains(" limit exceeded: ") {
        return Some(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(from(text)));
    }
    if strip_any(text, &["non-SMTP command from ", "Illegal address syntax from "]).is_some() {
        return from(text).map(failed);
    }
    None
}

/// A line of postscreen: the client is `[192.0.2.7]:4711`, the first of its brackets.
fn screened<'a>(first: &str, rest: &'a str) -> Option<Extraction<'a>> {
    let (_head, inner) = rest.split_once('[')?;
    let actor = crate::text::address(inner.split(']').next()?).map(Actor::Address);
    let outcome = match first {
        "CONNECT" => Outcome::None,
        "PASS" => Outcome::Ok,
        _ => Outcome::Failed,
    };
    Some(plain(outcome, actor))
}

/// A line of one message, or `NOQUEUE` where there is none yet.
fn queued<'a>(queue: &str, rest: &'a str) -> Option<Extraction<'a>> {
    if !queue.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)) {
        return None;
    }
    if let Some(tail) = strip_any(rest, &["reject: ", "milter-reject: ", "discard: ", "reject_warning: "]) {
        let said = of(FAMILY, Action::Request, Outcome::Failed).maybe_by(from(tail));
        // 4xx with "try again later" because of the server's own state is no refusal of the client.
        let own = holds_any(tail, &[" 451 4.3.", "Server configuration", "System not ready", "Insufficient system"]);
        return Some(if own { Extraction { outcome: Outcome::None, ..said } } else { said });
    }
    if let Some(tail) = rest.strip_prefix("client=") {
        let actor = in_brackets(tail.split(',').next().unwrap_or(tail));
        return Some(match after(tail, ", sasl_username=") {
            Some(account) => of(FAMILY, Action::Login, Outcome::Ok).maybe_by(actor).account(account),
            None => of(FAMILY, Action::Request, Outcome::Ok).maybe_by(actor),
        });
    }
    if rest.starts_with("lost connection ") || rest.starts_with("timeout ") {
        return ended(word(rest).1);
    }
    let outcome = if rest == "removed" {
        Outcome::Ok
    } else {
        match between(rest, ", status=", " ")? {
            "sent" | "delivered" | "deliverable" => Outcome::Ok,
            "bounced" | "undeliverable" | "expired" => Outcome::Failed,
            _ => Outcome::None,
        }
    };
    // What happened to a message is no act of anybody on this host.
    Some(of(FAMILY, Action::Other, outcome))
}
