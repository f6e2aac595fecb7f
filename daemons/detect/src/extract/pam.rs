//! PAM modules, whichever service calls them: `pam_unix(SERVICE:TYPE): TEXT`, older `SERVICE(pam_unix)`.
//!
//! sshd, su, sudo, login and dropbear report each attempt in a line of their own, so what PAM says of
//! their attempts is not another failure: its outcome stays open. Of other services it is the only word.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, name, peer, quoted, word};

const FAMILY: AppFamily = AppFamily::Pam;
/// Services that report their attempts themselves.
const REPORTING: [&str; 8] = ["sshd", "ssh", "su", "su-l", "sudo", "sudo-i", "dropbear", "proftpd"];

/// A line that a PAM module wrote in the name of `app`.
pub(super) fn pam<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    let (head, said) = match text.split_once(": ") {
        Some((head, said)) if head.starts_with("pam_") => (head, said),
        _ => (app, text.split_once(") ").map_or(text, |(_head, said)| said)),
    };
    let (service, kind) = match head.split_once('(') {
        Some((_module, inside)) => inside.trim_end_matches(')').split_once(':').unwrap_or((inside, "")),
        None => (app, ""),
    };
    // `vsftpd(pam_unix)`: the service stands before the bracket.
    let service = if service.starts_with("pam_") { app } else { service };
    said_by(service, kind, said).unwrap_or(Extraction::unknown(FAMILY))
}

fn said_by<'a>(service: &'a str, kind: &str, said: &'a str) -> Option<Extraction<'a>> {
    if let Some(fields) = said.strip_prefix("authentication failure;") {
        return Some(failure(service, fields));
    }
    if let Some(tail) = said.strip_prefix("session opened for user ") {
        let account = tail.split(['(', ' ']).next().unwrap_or_default();
        let caller = after(tail, " by ").map(|by| by.split('(').next().unwrap_or_default());
        return Some(of(FAMILY, Action::Login, Outcome::None).maybe_by(caller.and_then(name)).account(account));
    }
    if let Some(account) = said.strip_prefix("session closed for user ") {
        return Some(of(FAMILY, Action::Logout, Outcome::Ok).account(account));
    }
    if let Some(account) = said.strip_prefix("password changed for ") {
        return Some(of(FAMILY, Action::Account, Outcome::Ok).account(account));
    }
    if said.starts_with("check pass; user unknown") {
        return Some(of(FAMILY, Action::Login, Outcome::None));
    }
    if kind == "chauthtok" && said.ends_with("does not exist in /etc/passwd") {
        let found = of(FAMILY, Action::Account, Outcome::Failed).exists(false);
        return Some(quoted(said, '"').map_or(found, |account| found.account(account)));
    }
    if said.starts_with("Consecutive login failures for user ") || said.contains("account temporarily locked") {
        let account = after(said, "for user ").map(|tail| word(tail).0).unwrap_or_default();
        return Some(of(FAMILY, Action::Block, Outcome::Failed).account(account));
    }
    if said.starts_with("account ") && said.contains("expired") {
        return Some(
            of(FAMILY, Action::Login, Outcome::Failed).account(word(said.strip_prefix("account ")?).0).companion(),
        );
    }
    None
}

/// `logname= uid=0 euid=0 tty=ssh ruser=x rhost=10.0.0.50  user=root`: the last `rhost=` is PAM's, since `ruser` is the peer's.
fn failure<'a>(service: &str, fields: &'a str) -> Extraction<'a> {
    let outcome = if REPORTING.contains(&service) { Outcome::None } else { Outcome::Failed };
    let found = of(FAMILY, Action::Login, outcome);
    let (before, host, tail) = match fields.rsplit_once("rhost=") {
        Some((before, tail)) => {
            let (host, rest) = word(tail);
            (before, host, rest)
        }
        None => (fields, "", fields),
    };
    let caller = before.rsplit_once("ruser=").map(|(_head, caller)| caller.trim_ascii());
    let actor: Option<Actor<'a>> = peer(host).or_else(|| caller.and_then(name));
    let account = after(tail, "user=").map(str::trim_ascii).or(caller.filter(|caller| !caller.is_empty()));
    let found = found.maybe_by(actor);
    account.map_or(found, |account| found.account(account))
}
