//! OpenVPN's server, and `WireGuard` where its messages are switched on.
//!
//! `bob/192.0.2.7:4711 MULTI: Learn: ...`, `192.0.2.7:4711 TLS Auth Error: ...`: the client stands first, a name
//! only where its certificate or password was taken. Some lines have it last, behind `[AF_INET]`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{caller, holds_any, quoted, strip_any, word};

const FAMILY: AppFamily = AppFamily::Openvpn;

/// What a server says of a client whose name, password or key it did not take.
const REFUSED: [&str; 9] = [
    "TLS Auth Error",
    "AUTH_FAILED",
    "TLS Error: TLS handshake failed",
    "VERIFY ERROR",
    "AUTH_USER_PASS_VERIFY failed",
    "auth-user-pass-verify",
    "authentication failed",
    "Auth Username/Password was not provided",
    "peer certificate verification failed",
];
/// What it says of packets that are none of a client's.
const ODD: [&str; 8] = [
    "TLS Error",
    "TLS_ERROR",
    "cannot locate HMAC",
    "packet authentication failed",
    "tls-crypt unwrap",
    "Bad encapsulated packet length",
    "Authenticate/Decrypt packet error",
    "TLS object -> incoming plaintext read error",
];

/// A line of OpenVPN.
pub(super) fn openvpn(text: &str) -> Extraction<'_> {
    let (account, actor, said) = client(text);
    let actor = actor.or_else(|| family_endpoint(said));
    let found = |action, outcome| {
        let found = of(FAMILY, action, outcome).maybe_by(actor);
        account.map_or(found, |account| found.account(account))
    };
    if holds_any(said, &["client-instance exiting", "client-instance restarting", "Connection reset, restarting"]) {
        // A client that has no name yet never logged in.
        let left = account.is_some() || said.starts_with("SIGTERM");
        return if left { found(Action::Logout, Outcome::None) } else { found(Action::Connection, Outcome::Failed) };
    }
    if said.starts_with("MULTI: Learn: ") {
        return found(Action::Login, Outcome::Ok).exists(true);
    }
    if let Some((name, _rest)) = said.strip_prefix('[').and_then(|tail| tail.split_once("] Peer Connection Initiated"))
    {
        return found(Action::Login, Outcome::Ok).account(name).exists(true);
    }
    if let Some(tail) = said.strip_prefix("TLS: Username/Password authentication ") {
        let outcome = if tail.starts_with("succeeded") { Outcome::Ok } else { Outcome::Failed };
        let found = found(Action::Login, outcome);
        return quoted(tail, '\'').map_or(found, |account| found.account(account));
    }
    if holds_any(said, &REFUSED) {
        let found = found(Action::Login, Outcome::Failed);
        // The handshake that fails thereafter, and the plugin's own word, are the same attempt.
        return if said.starts_with("TLS Auth Error") { found } else { found.companion() };
    }
    if holds_any(said, &ODD) {
        return found(Action::Connection, Outcome::Failed);
    }
    if holds_any(said, &["TLS: Initial packet from", "Connection Initiated", "TCP connection established with"]) {
        return found(Action::Connection, Outcome::None);
    }
    if holds_any(said, &["Initialization Sequence Completed", "process exiting"]) {
        return found(Action::Service, Outcome::Ok);
    }
    Extraction::unknown(FAMILY)
}

/// The client at the front, and what is said of it.
fn client(text: &str) -> (Option<&str>, Option<Actor<'_>>, &str) {
    let (first, rest) = word(text);
    let (account, endpoint) = match first.rsplit_once('/') {
        Some((account, endpoint)) => (Some(account), endpoint),
        None => (None, first),
    };
    let endpoint =
        strip_any(endpoint, &["[AF_INET]", "[AF_INET6]", "udp4:", "udp6:", "tcp4-server:"]).unwrap_or(endpoint);
    match caller(endpoint) {
        Some(actor) => (account, Some(actor), rest),
        None => (None, None, text),
    }
}

/// `... from [AF_INET]192.0.2.7:4711`, the last one: what the peer sent does not stand in these lines.
fn family_endpoint(said: &str) -> Option<Actor<'_>> {
    let (_head, tail) = said.rsplit_once("[AF_INET]").or_else(|| said.rsplit_once("[AF_INET6]"))?;
    caller(tail.split([' ', ',', ')']).next()?.trim_end_matches('.'))
}

/// Whether a line of the kernel is one of `WireGuard`.
pub(super) fn is_wireguard(text: &str) -> bool {
    text.starts_with("wireguard: ")
}

/// `wireguard: wg0: Handshake for peer 3 (192.0.2.7:51820) did not complete after 5 seconds, retrying (try 2)`.
pub(super) fn wireguard(text: &str) -> Extraction<'_> {
    let inside = text.split_once('(').and_then(|(_head, tail)| caller(tail.split(')').next()?));
    let last = || text.rsplit_once(" from ").and_then(|(_head, tail)| caller(tail.trim_end_matches(['.', ','])));
    let outcome = if holds_any(text, &["did not complete", "Invalid ", "dropping packet", "No valid "]) {
        Outcome::Failed
    } else if text.contains("Keypair ") && text.contains(" created for ") {
        Outcome::Ok
    } else if holds_any(text, &["handshake", "Handshake", "keepalive"]) {
        Outcome::None
    } else {
        return Extraction::unknown(FAMILY);
    };
    of(FAMILY, Action::Connection, outcome).maybe_by(inside.or_else(last))
}
