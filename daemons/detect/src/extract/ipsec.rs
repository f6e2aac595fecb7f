//! `IPsec`'s key exchange: strongSwan, libreswan, and racoon with its kin.
//!
//! strongSwan: `05[IKE] <road|7> authentication of 'bob' with EAP successful`; libreswan: `"road"[1] 192.0.2.7 #7:
//! ...`; racoon: `ERROR: phase1 negotiation failed due to time up. ...`. A peer's identity is its own text and
//! stands in quotes or brackets; addresses are taken where the daemon writes the peer.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, after, caller, holds_any, quoted, strip_any, word};

const FAMILY: AppFamily = AppFamily::Ipsec;

/// A line of an `IPsec` daemon.
pub(super) fn ipsec(text: &str) -> Extraction<'_> {
    let text = without_thread(text);
    let (peer, said) = peer(text);
    strongswan(said)
        .or_else(|| libreswan(said))
        .or_else(|| racoon(said))
        .map_or(Extraction::unknown(FAMILY), |found| Extraction { actor: found.actor.or(peer), ..found })
}

/// Takes off `05[IKE] ` and `<road|7> `.
fn without_thread(text: &str) -> &str {
    let text = match text.split_once("] ") {
        Some((head, tail))
            if head.len() <= 8 && head.contains('[') && head.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            tail
        }
        _ => text,
    };
    match text.strip_prefix('<').and_then(|tail| tail.split_once("> ")) {
        Some((_connection, tail)) => tail,
        None => text,
    }
}

/// The peer of libreswan's `"road"[1] 192.0.2.7 #7: ` or `packet from 192.0.2.7:500: `, and what is said.
fn peer(text: &str) -> (Option<Actor<'_>>, &str) {
    if let Some(tail) = text.strip_prefix("packet from ") {
        let (endpoint, said) = tail.split_once(": ").unwrap_or((tail, ""));
        return (caller(endpoint), said);
    }
    let Some((_name, tail)) = text.strip_prefix('"').and_then(|tail| tail.split_once('"')) else { return (None, text) };
    let (head, said) = tail.split_once(": ").unwrap_or((tail, ""));
    (head.split(' ').find_map(caller), said)
}

fn login<'a>(outcome: Outcome) -> Extraction<'a> {
    of(FAMILY, Action::Login, outcome)
}

fn with_account<'a>(found: Extraction<'a>, account: Option<&'a str>) -> Extraction<'a> {
    account.map_or(found, |account| found.account(account))
}

fn strongswan(said: &str) -> Option<Extraction<'_>> {
    if let Some(tail) = strip_any(said, &["authentication of '", "XAuth authentication of '"]) {
        let (account, tail) = tail.rsplit_once('\'')?;
        let outcome = if tail.contains("failed") {
            Outcome::Failed
        } else if tail.contains("successful") {
            Outcome::Ok
        } else {
            Outcome::None
        };
        return Some(if tail.contains("(myself)") { login(Outcome::None) } else { login(outcome).account(account) });
    }
    if let Some((_method, tail)) =
        said.strip_prefix("EAP method ").and_then(|tail| tail.split_once(" failed for peer "))
    {
        return Some(login(Outcome::Failed).account(tail));
    }
    if holds_any(
        said,
        &[
            "MAC mismatched",
            "EAP-MS-CHAPv2 verification failed",
            "no trusted ",
            "constraint check failed",
            "AUTHENTICATION_FAILED",
            "no EAP key found",
            "no shared key found",
            "loading EAP_",
        ],
    ) {
        return Some(with_account(login(Outcome::Failed).companion(), quoted(said, '\'')));
    }
    if let Some((who, _rest)) = said.split_once(" is initiating ") {
        return Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(address(who).map(Actor::Address)));
    }
    let pair = || said.split_once(" between ").and_then(|(_head, tail)| far_end(tail));
    if said.starts_with("IKE_SA ") && said.contains(" established between ") {
        return Some(login(Outcome::Ok).maybe_by(pair()));
    }
    if said.starts_with("deleting IKE_SA ") {
        return Some(of(FAMILY, Action::Logout, Outcome::Ok).maybe_by(pair()));
    }
    if holds_any(said, &["no IKE config found for ", "no matching peer config found", "no matching proposal found"]) {
        let pair = after(said, "found for ").and_then(|tail| far_end(tail.split(',').next()?));
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(pair));
    }
    if let Some(tail) = said.strip_prefix("received packet: from ") {
        let actor = address(tail.split(['[', ' ']).next()?).map(Actor::Address);
        return Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(actor));
    }
    said.starts_with("CHILD_SA ").then(|| of(FAMILY, Action::Connection, Outcome::Ok))
}

fn libreswan(said: &str) -> Option<Extraction<'_>> {
    if let Some(tail) = said.strip_prefix("XAUTH: User ") {
        let (account, tail) = tail.rsplit_once(": Authentication ")?;
        let outcome = if tail.starts_with("Successful") { Outcome::Ok } else { Outcome::Failed };
        return Some(login(outcome).account(account));
    }
    if holds_any(said, &["authentication failure", "authentication failed", "mismatch of preshared secrets"]) {
        return Some(login(Outcome::Failed));
    }
    if said.contains("no connection has been authorized") || said.contains("no suitable connection") {
        return Some(of(FAMILY, Action::Connection, Outcome::Failed));
    }
    if holds_any(said, &["ISAKMP SA established", "IKE SA established", "established IKE SA", "initiator established"])
    {
        return Some(login(Outcome::Ok));
    }
    said.starts_with("deleting state").then(|| of(FAMILY, Action::Logout, Outcome::Ok))
}

fn racoon(said: &str) -> Option<Extraction<'_>> {
    let said = strip_any(said, &["INFO: ", "ERROR: ", "WARNING: ", "NOTIFY: "]).unwrap_or(said);
    if let Some(tail) = said.strip_prefix("ISAKMP-SA ") {
        let (verb, tail) = word(tail);
        let found = match verb {
            "established" => login(Outcome::Ok),
            "deleted" | "expired" => of(FAMILY, Action::Logout, Outcome::Ok),
            _ => return None,
        };
        return Some(found.maybe_by(far_end(tail)));
    }
    if said.starts_with("login succeeded for user ") {
        return Some(with_account(login(Outcome::Ok), quoted(said, '"')));
    }
    if said.starts_with("login failed for user ") {
        return Some(with_account(login(Outcome::Failed), quoted(said, '"')));
    }
    if said.contains("negotiation failed") || said.starts_with("no configuration found for ") {
        let actor = after(said, "found for ").and_then(|tail| caller(word(tail).0.trim_end_matches('.')));
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(actor.or_else(|| far_end(said))));
    }
    said.contains("failed to pre-process ph1 packet").then(|| of(FAMILY, Action::Connection, Outcome::Failed))
}

/// The last address of `A[500]...B[500]`, `A[id]...B[id]`, as the daemons of `IPsec` write pairs of peers.
fn far_end(text: &str) -> Option<Actor<'_>> {
    let (_near, far) =
        text.rsplit_once("...").or_else(|| text.rsplit_once("<=>")).or_else(|| text.rsplit_once("]-"))?;
    address(far.split(['[', ' ', ',']).next()?).map(Actor::Address)
}
