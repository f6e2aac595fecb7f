//! Mail servers without a family of their own: Exim, sendmail, Courier, Cyrus, qmail's kin and others.
//!
//! Exim: `login authenticator failed for host (helo) [192.0.2.7]: 535 ...`, `H=host (helo) [192.0.2.7] F=<x>
//! rejected RCPT <y>: ...`; sendmail: `..., relay=host [192.0.2.7], reject=550 ...`. What a client calls itself stands
//! in parentheses and may look like an address; the server's own is the one in brackets outside them.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{after, between, bracketed_word, caller, holds_any, in_brackets, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// Whether a text without an application is a line of Exim's log.
pub(super) fn recognises(text: &str) -> bool {
    text.contains(" authenticator failed for ")
        || text.contains(" SA: Action: ")
        || text.contains("rblsmtpd: ")
        || text.contains(" H=") && text.contains('[') && text.contains(" rejected ")
}

/// A line of a mail server.
pub(super) fn mail(text: &str) -> Extraction<'_> {
    exim(text).or_else(|| sendmail(text)).or_else(|| rblsmtpd(text)).unwrap_or_else(|| generic(text))
}

fn exim(text: &str) -> Option<Extraction<'_>> {
    if let Some((_method, tail)) = text.split_once(" authenticator failed for ") {
        let found = of(FAMILY, Action::Login, Outcome::Failed).maybe_by(bracketed_word(tail));
        let account = tail.rsplit_once("(set_id=").map(|(_head, account)| account.trim_end_matches(')'));
        return Some(account.map_or(found, |account| found.account(account)));
    }
    let client = || text.split_once("H=").and_then(|(_head, tail)| bracketed_word(tail));
    if let Some((_queue, verdict)) = text.split_once("SA: Action: ") {
        let kept = verdict.contains("flagged") || verdict.contains("tossed") || verdict.contains("rejected");
        let actor = verdict.rsplit_once("(host=").and_then(|(_head, tail)| bracketed_word(tail));
        return Some(of(FAMILY, Action::Request, if kept { Outcome::Failed } else { Outcome::None }).maybe_by(actor));
    }
    if text.contains(" <= ") {
        let found = of(FAMILY, Action::Request, Outcome::Ok).maybe_by(client());
        let account = between(text, " A=", " ").and_then(|who| after(who, ":"));
        return Some(account.map_or(found, |account| Extraction { action: Action::Login, ..found.account(account) }));
    }
    if text.starts_with("SMTP call from ") || text.starts_with("SMTP connection from ") {
        let refused = holds_any(text, &[" dropped: ", " refused", "closed by DROP", "lost"]);
        let actor = after(text, " from ").and_then(bracketed_word);
        return Some(
            of(FAMILY, Action::Connection, if refused { Outcome::Failed } else { Outcome::None }).maybe_by(actor),
        );
    }
    let refused = [
        " rejected ",
        "SMTP protocol error",
        "SMTP protocol synchronization error",
        "SMTP syntax error",
        " temporarily rejected ",
        "SMTP command timeout",
        "unexpected disconnection",
    ];
    if text.contains("H=") && holds_any(text, &refused) {
        return client().map(|actor| of(FAMILY, Action::Request, Outcome::Failed).by(actor));
    }
    None
}

fn sendmail(text: &str) -> Option<Extraction<'_>> {
    // A queue number stands before what concerns one message.
    let said =
        text.split_once(": ").filter(|(queue, _tail)| !queue.contains([' ', '['])).map_or(text, |(_queue, tail)| tail);
    if let Some(tail) = after(said, "AUTH failure (") {
        let (_head, relay) = tail.rsplit_once("relay=")?;
        let found =
            of(FAMILY, Action::Login, Outcome::Failed).maybe_by(bracketed_word(relay).or_else(|| in_brackets(relay)));
        return Some(if tail.contains("user not found") { found.exists(false) } else { found });
    }
    if said.starts_with("AUTH=server, relay=") {
        let found = of(FAMILY, Action::Login, Outcome::Ok).maybe_by(after(said, "relay=").and_then(bracketed_word));
        return Some(between(said, "authid=", ",").map_or(found, |account| found.account(account)));
    }
    if said.starts_with("ruleset=") && said.contains("relay=") {
        // The answer repeats what the client sent; where that reads like an answer, nobody is named.
        let (head, answer) = said.split_once(", reject=").unwrap_or((said, ""));
        let relay = head.rsplit_once("relay=").filter(|_parts| !answer.contains(", reject="));
        let actor = relay.and_then(|(_head, relay)| bracketed_word(relay));
        return Some(of(FAMILY, Action::Request, Outcome::Failed).maybe_by(actor));
    }
    if let Some((_head, tail)) = said.split_once("rejecting commands from ") {
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(bracketed_word(tail)));
    }
    let odd = [
        "possible SMTP attack: ",
        "did not issue MAIL/EXPN/VRFY/ETRN",
        "[may be forged]... rejected",
        "User unknown",
        "ETRN",
    ];
    if holds_any(said, &odd) && said.contains('[') {
        let relay = said.rsplit_once("relay=").map_or(said, |(_head, relay)| relay);
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(bracketed_word(relay)));
    }
    let outcome = match between(said, "stat=", " ")?.trim_end_matches([',', ':']) {
        "Sent" => Outcome::Ok,
        "User" | "Service" | "Host" => Outcome::Failed,
        _ => Outcome::None,
    };
    Some(of(FAMILY, Action::Request, outcome))
}

/// `rblsmtpd: 192.0.2.7 pid 7 ...: 451 ...`: a client that a list names.
fn rblsmtpd(text: &str) -> Option<Extraction<'_>> {
    let tail = text.split_once("rblsmtpd: ").map_or(text, |(_stamp, tail)| tail);
    let (first, rest) = word(tail);
    let (client, _rest) = if rest.starts_with("pid ") { (first, rest) } else { word(rest.strip_prefix("blocked ")?) };
    Some(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(caller(client)))
}
