//! OpenSSH's server, `sshd` and since 9.8 `sshd-session`, from 3.x to now.
//!
//! One guess leaves several lines: `Invalid user`, then `Failed password`, then `Connection closed by
//! invalid user`, and on a host that takes keys only just the first and the last. The lines that go
//! with an attempt carry `times: 0`: a counter takes them once per connection, where nothing else was
//! said of it. A key that was not accepted is no failure either: clients offer several.
//!
//! The user name is the guesser's to choose. sshd writes the address after it, so each cut is made
//! from the right, and a form is only taken where it ends exactly as sshd ends it.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, ends_with_peer, peer, word};

const FAMILY: AppFamily = AppFamily::Sshd;

/// Whether a line of no known application begins as only sshd's do.
pub(super) fn recognises(text: &str) -> bool {
    const STARTS: [&str; 7] = [
        "Failed password for ",
        "Failed publickey for ",
        "Failed keyboard-interactive",
        "Accepted password for ",
        "Accepted publickey for ",
        "Accepted keyboard-interactive",
        "Invalid user ",
    ];
    matches!(text.as_bytes().first(), Some(b'F' | b'A' | b'I')) && STARTS.iter().any(|start| text.starts_with(start))
}

/// A line of sshd.
pub(super) fn sshd(text: &str) -> Extraction<'_> {
    let text = without_level(text);
    let (text, preauth) = text.strip_suffix("[preauth]").map_or((text, false), |head| (head.trim_ascii_end(), true));
    let (first, rest) = word(text);
    let found = match first {
        "Accepted" => accepted(rest),
        "Failed" => failed(rest),
        "Invalid" | "Illegal" => rest.strip_prefix("user ").map(invalid_user),
        "User" => not_allowed(rest),
        "PAM:" => rest.split_once(" for ").and_then(|(_what, tail)| refused_by_pam(tail)),
        "maximum" => after(text, "attempts exceeded for ").and_then(too_many),
        "Connection" => connection(rest, preauth),
        "Received" => received(rest, preauth),
        "Disconnected" => rest.strip_prefix("from ").and_then(|tail| parted(tail, preauth)),
        "Disconnecting" | "Disconnecting:" => disconnecting(rest),
        "Starting" => starting(rest),
        "Close" => rest.strip_prefix("session: user ").and_then(|tail| session(tail, Action::Logout)),
        "Server" => rest.starts_with("listening on ").then(|| of(FAMILY, Action::Service, Outcome::Ok)),
        "ROOT" => rest.strip_prefix("LOGIN REFUSED FROM ").and_then(root_refused),
        "Authentication" => tried(rest),
        "input_userauth_request:" => rest.strip_prefix("invalid user ").map(unknown_user),
        _ => trouble(text, first),
    };
    found.unwrap_or(Extraction::unknown(FAMILY))
}

/// Takes off `error: `, `fatal: ` and Solaris' `[ID 800047 auth.info] `.
fn without_level(text: &str) -> &str {
    let text = match text.strip_prefix("[ID ").and_then(|tail| tail.split_once("] ")) {
        Some((_id, tail)) => tail,
        None => text,
    };
    // Some systems hand sshd's lines on through the kernel's log.
    let text = text.strip_prefix("kernel:").map_or(text, |tail| {
        tail.split_once("] ").or_else(|| tail.split_once("]: ")).map_or(tail, |(_clock, tail)| tail)
    });
    ["error: ", "fatal: ", "info: "].iter().find_map(|level| text.strip_prefix(level)).unwrap_or(text)
}

fn login<'a>(outcome: Outcome) -> Extraction<'a> {
    of(FAMILY, Action::Login, outcome)
}

/// A connection that came to nothing; where no peer is named another line tells of it.
fn refused_connection(actor: Option<Actor<'_>>) -> Extraction<'_> {
    let outcome = if actor.is_some() { Outcome::Failed } else { Outcome::None };
    of(FAMILY, Action::Connection, outcome).maybe_by(actor)
}

/// `password for alice from 10.0.0.5 port 50022 ssh2: RSA SHA256:...`.
fn accepted(rest: &str) -> Option<Extraction<'_>> {
    let (_method, tail) = method(rest)?;
    let (account, actor) = origin(tail)?;
    Some(login(Outcome::Ok).by(actor).account(account).exists(true))
}

/// `password for invalid user bob from 10.0.0.50 port 40022 ssh2`.
fn failed(rest: &str) -> Option<Extraction<'_>> {
    let (method, tail) = method(rest)?;
    let (unknown, tail) = without_unknown(tail);
    let (account, actor) = origin(tail)?;
    let unknown = unknown || account == "<invalid username>";
    // A client offers `none` and each of its keys before it asks for a password.
    let attempt = unknown || !matches!(method, "publickey" | "none");
    let found = login(if attempt { Outcome::Failed } else { Outcome::None }).by(actor).account(account);
    Some(if unknown { found.exists(false) } else { found })
}

/// `METHOD for TAIL`, where the method is one word.
fn method(rest: &str) -> Option<(&str, &str)> {
    let (method, tail) = rest.split_once(" for ")?;
    (!method.contains(' ')).then_some((method, tail))
}

fn without_unknown(text: &str) -> (bool, &str) {
    let tail = text.strip_prefix("invalid user ").or_else(|| text.strip_prefix("illegal user "));
    let tail = tail.filter(|tail| tail.contains(" from "));
    // An empty name leaves the space of `from` alone.
    let tail = tail.or_else(|| text.strip_prefix("invalid user").filter(|tail| tail.starts_with(" from ")));
    (tail.is_some(), tail.unwrap_or(text))
}

/// `USER from A port N ssh2`, with more after a colon where a key was offered: the user and the peer.
///
/// The forms are tried from the most to the least certain, each from the right: sshd writes the last one.
fn origin(text: &str) -> Option<(&str, Actor<'_>)> {
    let whole = |tail: &str| matches!(tail, "ssh2" | "ssh1");
    let with_key = |tail: &str| tail.starts_with("ssh2: ") || tail.starts_with("ssh1: ");
    let froms = || text.rmatch_indices(" from ").take(6).map(|(at, from)| text.split_at(at).pair_after(from.len()));
    let with_port = |fits: &dyn Fn(&str) -> bool| {
        froms().find_map(|(user, tail)| {
            let (host, tail) = tail.split_once(" port ")?;
            let (port, tail) = word(tail);
            (is_number(port) && fits(tail)).then_some((user, peer(host)?))
        })
    };
    with_port(&whole).or_else(|| with_port(&with_key)).or_else(|| last_from(text))
}

/// `USER from A`, `USER from A port N`, `USER from A via B` to the end of the text.
fn last_from(text: &str) -> Option<(&str, Actor<'_>)> {
    let (user, tail) = text.rsplit_once(" from ").or_else(|| Some(("", text.strip_prefix("from ")?)))?;
    let (host, rest) = word(tail.trim_ascii_end());
    let ends = rest.is_empty() || rest.strip_prefix("port ").is_some_and(is_number) || rest.starts_with("via ");
    Some((user, peer(host).filter(|_actor| ends)?))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits as `split_at`, and drops the separator from the second half.
trait PairAfter<'a> {
    fn pair_after(self, separator: usize) -> (&'a str, &'a str);
}

impl<'a> PairAfter<'a> for (&'a str, &'a str) {
    fn pair_after(self, separator: usize) -> (&'a str, &'a str) {
        (self.0, self.1.get(separator..).unwrap_or_default())
    }
}

/// `bob from 10.0.0.50 port 40022`.
fn invalid_user(tail: &str) -> Extraction<'_> {
    let found = login(Outcome::Failed).exists(false).companion();
    match last_from(tail) {
        Some((account, actor)) => found.by(actor).account(account),
        None => found.account(tail),
    }
}

/// `root from 10.0.0.50 not allowed because not listed in AllowUsers`.
fn not_allowed(rest: &str) -> Option<Extraction<'_>> {
    let (who, _why) = rest.rsplit_once(" not allowed because ")?;
    let found = login(Outcome::Failed).companion();
    Some(match who.rsplit_once(" from ") {
        Some((account, host)) => found.maybe_by(peer(host)).account(account),
        // The account's own state, as said beside the attempt.
        None => Extraction { outcome: Outcome::None, ..found.account(who) },
    })
}

/// `alice from host.example via 10.0.0.1`, after `PAM: Authentication failure for `; `Failed` follows for the same attempt.
fn refused_by_pam(tail: &str) -> Option<Extraction<'_>> {
    let (unknown, tail) = without_unknown(tail);
    let (account, actor) = last_from(tail)?;
    let found = login(Outcome::Failed).by(actor).account(account).companion();
    Some(if unknown { found.exists(false) } else { found })
}

/// `invalid user bob from 10.0.0.50 port 40022 ssh2`, after `maximum authentication attempts exceeded for `.
fn too_many(tail: &str) -> Option<Extraction<'_>> {
    let (unknown, tail) = without_unknown(tail);
    let (account, actor) = origin(tail)?;
    let found = login(Outcome::Failed).by(actor).account(account).companion();
    Some(if unknown { found.exists(false) } else { found })
}

/// `closed by`, `reset by`, `from`.
fn connection(rest: &str, preauth: bool) -> Option<Extraction<'_>> {
    if let Some(tail) = rest.strip_prefix("closed by ").or_else(|| rest.strip_prefix("reset by ")) {
        return left(tail, preauth);
    }
    let (host, _rest) = word(rest.strip_prefix("from ")?);
    Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(peer(host)))
}

/// `authenticating user root 10.0.0.50 port 40022`, `invalid user x 10.0.0.50 port 1`, `user alice ...`, or the address alone.
fn left(tail: &str, preauth: bool) -> Option<Extraction<'_>> {
    if let Some(tail) = tail.strip_prefix("authenticating user ") {
        let (account, actor) = ends_with_peer(tail)?;
        return Some(login(Outcome::Failed).by(actor).account(account).companion());
    }
    if let Some(tail) = tail.strip_prefix("invalid user ") {
        let (account, actor) = ends_with_peer(tail)?;
        return Some(login(Outcome::Failed).by(actor).account(account).exists(false).companion());
    }
    if let Some(tail) = tail.strip_prefix("user ") {
        let (account, actor) = ends_with_peer(tail)?;
        return Some(of(FAMILY, Action::Logout, Outcome::Ok).by(actor).account(account));
    }
    let (_head, actor) = ends_with_peer(tail)?;
    let outcome = if preauth { Outcome::Failed } else { Outcome::None };
    Some(of(FAMILY, Action::Connection, outcome).by(actor))
}

/// As `left`, where the client took its leave: what it tried for a user that exists is told of by other lines.
fn parted(tail: &str, preauth: bool) -> Option<Extraction<'_>> {
    let found = left(tail, preauth)?;
    Some(if tail.starts_with("authenticating user ") { Extraction { outcome: Outcome::None, ..found } } else { found })
}

/// `disconnect from 10.0.0.50 port 40022:11: Bye Bye`, `signal 15; terminating.`; what the peer says after the code is its own text.
fn received(rest: &str, preauth: bool) -> Option<Extraction<'_>> {
    if rest.starts_with("signal ") {
        return Some(of(FAMILY, Action::Service, Outcome::Ok));
    }
    let (host, tail) = word(rest.strip_prefix("disconnect from ")?);
    let tail = tail.strip_prefix("port ").and_then(|tail| after(tail, ":")).unwrap_or(tail);
    let (code, said) = tail.trim_ascii().split_once(':').unwrap_or((tail, ""));
    let actor = peer(host.strip_suffix(':').unwrap_or(host))?;
    // 14: no more authentication methods; some clients say 3 and `Auth fail` (RFC 4253 section 11.1).
    let gave_up = code == "14" || (code == "3" && said.ends_with("Auth fail"));
    let outcome = if preauth || gave_up { Outcome::Failed } else { Outcome::None };
    Some(of(FAMILY, Action::Connection, outcome).by(actor))
}

/// `authenticating user root 10.0.0.50 port 1: Too many authentication failures`, `Too many authentication failures for root`.
fn disconnecting(rest: &str) -> Option<Extraction<'_>> {
    if let Some((who, _what)) = rest.rsplit_once(": Change of username or service not allowed") {
        return left(who, true);
    }
    let summary = of(FAMILY, Action::Connection, Outcome::None);
    match rest.rsplit_once(": ") {
        Some((who, _why)) => Some(summary.maybe_by(ends_with_peer(who).map(|(_user, actor)| actor))),
        None => rest.starts_with("Too many authentication failures").then_some(summary),
    }
}

/// `session: shell on pts/0 for alice from 10.0.0.5 port 50022 id 0`.
fn starting(rest: &str) -> Option<Extraction<'_>> {
    let (what, tail) = rest.strip_prefix("session: ")?.split_once(" for ")?;
    let kind = what.split_once(" on ").map_or(what, |(kind, _terminal)| kind);
    Some(session(tail, Action::Command)?.object(Object::Program(kind)))
}

/// `alice from 10.0.0.5 port 50022 id 0`.
fn session(tail: &str, action: Action) -> Option<Extraction<'_>> {
    let (account, tail) = tail.rsplit_once(" from ")?;
    Some(of(FAMILY, action, Outcome::Ok).by(peer(word(tail).0)?).account(account))
}

/// `10.0.0.50 port 40022`, after `ROOT LOGIN REFUSED FROM `.
fn root_refused(tail: &str) -> Option<Extraction<'_>> {
    Some(login(Outcome::Failed).by(peer(word(tail).0)?).account("root").exists(true))
}

/// `tried for root with correct key but not from a permitted host (host=h, ip=10.0.0.50, required=...).`
fn tried(rest: &str) -> Option<Extraction<'_>> {
    let (account, tail) = rest.strip_prefix("tried for ")?.split_once(" with ")?;
    let (_host, ip) = tail.split_once(", ip=")?;
    let ip = ip.split([',', ')']).next().unwrap_or_default();
    Some(login(Outcome::Failed).maybe_by(peer(ip)).account(account).exists(true))
}

/// `bob`, after `input_userauth_request: invalid user `: no address, so it only tells what the account is.
fn unknown_user(account: &str) -> Extraction<'_> {
    login(Outcome::None).account(account).exists(false).companion()
}

/// Connections that never got as far as a user.
fn trouble<'a>(text: &'a str, first: &'a str) -> Option<Extraction<'a>> {
    let last_peer = |text: &'a str| refused_connection(last_from(text).map(|(_head, actor)| actor));
    match first {
        "Did" => text.starts_with("Did not receive identification").then(|| last_peer(text)),
        "Bad" => text.starts_with("Bad protocol version").then(|| last_peer(text)),
        "Unable" => {
            let tail = text.strip_prefix("Unable to negotiate ")?;
            Some(refused_connection(tail.strip_prefix("with ").and_then(|tail| peer(word(tail).0))))
        }
        "Timeout" => {
            let tail = text.strip_prefix("Timeout before authentication for ")?;
            let tail = tail.strip_prefix("connection from ").unwrap_or(tail);
            Some(refused_connection(peer(word(tail).0)))
        }
        "banner" | "ssh_dispatch_run_fatal:" => {
            let (_head, tail) = text.split_once("Connection from ")?;
            Some(refused_connection(peer(word(tail).0)))
        }
        "kex_exchange_identification:" | "kex_protocol_error:" | "no" | "Read" => Some(refused_connection(None)),
        "refused" => {
            let (_host, tail) = text.strip_prefix("refused connect from ")?.rsplit_once('(')?;
            Some(refused_connection(peer(tail.trim_end_matches(')'))))
        }
        "drop" => {
            let (_number, tail) = text.strip_prefix("drop connection ")?.split_once("from ")?;
            Some(refused_connection(
                crate::text::endpoint(word(tail).0).map(|(address, _port)| Actor::Address(address)),
            ))
        }
        _ => None,
    }
}
