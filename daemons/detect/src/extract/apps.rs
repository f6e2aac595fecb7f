//! Applications whose lines say more by their places than by their words: web servers and honeypots that write JSON,
//! Drupal, Roundcube, monit, fail2ban, what a packet dump prints.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{address, caller, endpoint, holds_any, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// A line of one of them; none where it has another form.
pub(super) fn apps(text: &str) -> Option<Extraction<'_>> {
    match text.as_bytes().first()? {
        b'{' => record(text),
        b'h' if text.starts_with("http") => drupal(text),
        b'I' | b'<' if text.contains("IMAP Error: ") => roundcube(text),
        b'H' if text.starts_with("HttpRequest: ") => monit(text),
        b'I' if text.starts_with("IP ") => dumped(text),
        b'N' | b'[' if text.contains("] Ban ") => banned(text),
        _ => None,
    }
}

/// A record in JSON: a request that a web server answered, or what a honeypot saw.
fn record(text: &str) -> Option<Extraction<'_>> {
    let (mut status, mut method, mut path, mut from, mut user, mut kind) = (0_u16, "", None, None, None, "");
    for member in members(text) {
        // What the client sent as headers is under these.
        if matches!(member.parent, "headers" | "resp_headers" | "params" | "cookies" | "query") {
            continue;
        }
        match member.name {
            "status" | "status_code" | "DownstreamStatus" | "response_code" | "code" if status == 0 => {
                status = member.value.parse().unwrap_or(0);
            }
            "method" | "request_method" | "RequestMethod" | "verb" => method = member.value,
            "uri" | "path" | "url" | "RequestPath" | "request_uri" if path.is_none() => path = Some(member.value),
            "client_ip" | "remote_ip" | "ClientHost" | "remote_addr" | "remoteAddr" | "src_ip" | "clientip" | "ip"
            | "remote_address" => {
                from = endpoint(member.value).map(|(from, _port)| from).or(from);
            }
            "user_id" | "ClientUsername" | "remote_user" | "username" if !matches!(member.value, "" | "-") => {
                user = Some(member.value);
            }
            "eventid" => kind = member.value,
            _ => {}
        }
    }
    let with = |action, outcome| {
        let found = of(FAMILY, action, outcome).maybe_by(from.map(Actor::Address));
        user.map_or(found, |user| found.account(user))
    };
    if let Some(event) = kind.strip_prefix("cowrie.") {
        // Whoever comes to a honeypot has no business there; what he then does goes with his coming.
        return Some(match event {
            "session.connect" => with(Action::Ids, Outcome::Failed),
            "login.failed" => with(Action::Login, Outcome::Failed),
            "login.success" => with(Action::Login, Outcome::Ok),
            "command.input" | "command.failed" => with(Action::Command, Outcome::None),
            "session.closed" => with(Action::Logout, Outcome::None),
            _ => with(Action::Connection, Outcome::None),
        });
    }
    if method.is_empty() || path.is_none() || !(100..600).contains(&status) {
        return None;
    }
    let found = match status {
        401 if user.is_some() => with(Action::Login, Outcome::Failed),
        401 => with(Action::Request, Outcome::None),
        100..=399 => with(Action::Request, Outcome::Ok),
        _ => with(Action::Request, Outcome::Failed),
    };
    Some(path.map_or(found, |path| found.object(Object::Path(path))))
}

/// `https://site|time|type|192.0.2.7|uri|referer|uid|link|message`: the message is the last, as addresses may hold bars.
fn drupal(text: &str) -> Option<Extraction<'_>> {
    let mut parts = text.split('|');
    let (kind, from) = (parts.nth(2)?, address(parts.next()?)?);
    let (_head, said) = text.rsplit_once('|')?;
    let by = |action, outcome| of(FAMILY, action, outcome).by(Actor::Address(from));
    if let Some(account) =
        said.strip_prefix("Login attempt failed for ").or_else(|| said.strip_prefix("Login attempt failed from "))
    {
        return Some(by(Action::Login, Outcome::Failed).account(account.trim_end_matches('.')));
    }
    if let Some(account) = said.strip_prefix("Session opened for ") {
        return Some(by(Action::Login, Outcome::Ok).account(account.trim_end_matches('.')));
    }
    if let Some(account) = said.strip_prefix("Session closed for ") {
        return Some(by(Action::Logout, Outcome::Ok).account(account.trim_end_matches('.')));
    }
    let outcome = if matches!(kind, "access denied" | "page not found") { Outcome::Failed } else { Outcome::None };
    Some(by(Action::Request, outcome))
}

/// `IMAP Error: Login failed for bob from 192.0.2.7. AUTHENTICATE PLAIN: ...`: what follows the sentence says the name again.
fn roundcube(text: &str) -> Option<Extraction<'_>> {
    let (_head, tail) = text.split_once("Login failed for ")?;
    let (account, from) = tail.rmatch_indices(" from ").take(6).find_map(|(at, mark)| {
        let token = word(tail.get(at + mark.len()..)?).0;
        let token = token.split("(X-").next().unwrap_or(token);
        Some((tail.get(..at)?, caller(token.trim_end_matches(['.', ',']))?))
    })?;
    // Behind the sentence the name, or what a header says, may name another address.
    let echoed = holds_any(account, &["user=", "(X-"]);
    Some(of(FAMILY, Action::Login, Outcome::Failed).maybe_by((!echoed).then_some(from)).account(account))
}

/// `HttpRequest: access denied -- client 192.0.2.7: wrong password for user 'bob'`: a browser first asks without a name.
fn monit(text: &str) -> Option<Extraction<'_>> {
    let (_head, tail) = text.split_once("access denied -- client ")?;
    let (from, why) = tail.split_once(": ")?;
    let untried = holds_any(why, &["Authorization header", "empty username", "user ''"]);
    let found = of(FAMILY, Action::Login, if untried { Outcome::None } else { Outcome::Failed }).maybe_by(caller(from));
    let account = crate::text::quoted(why, '\'').filter(|account| !account.is_empty());
    Some(account.map_or(found, |account| found.account(account)))
}

/// `IP 192.0.2.7.43436 > 10.0.0.5.22: Flags [S], ...`, as tcpdump prints a packet.
fn dumped(text: &str) -> Option<Extraction<'_>> {
    let (from, tail) = text.strip_prefix("IP ")?.split_once(" > ")?;
    let ((from, _port), (to, port)) = (super::pf::dotted(from)?, super::pf::dotted(tail.split(": ").next()?)?);
    Some(of(FAMILY, Action::Connection, Outcome::None).by(Actor::Address(from)).towards(to, port))
}

/// fail2ban: `NOTICE [sshd] Ban 192.0.2.7`.
fn banned(text: &str) -> Option<Extraction<'_>> {
    let (head, tail) = text.rsplit_once("] Ban ")?;
    // Whoever was banned again and again is so for longer: nothing new.
    if head.ends_with("[recidive") {
        return Some(Extraction::unknown(FAMILY));
    }
    Some(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(caller(word(tail).0)))
}

/// lfd, which counts for itself: `(sshd) Failed SSH login from 192.0.2.7 (PT/Portugal/host): 5 in the last 300 secs - ...`.
pub(super) fn lfd(text: &str) -> Extraction<'_> {
    let found = super::generic::generic(text);
    let times = text.rsplit_once(" in the last ").and_then(|(head, _tail)| head.rsplit_once(' ')?.1.parse().ok());
    times.map_or(found, |times| Extraction { times, ..found })
}
