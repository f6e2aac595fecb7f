//! File servers: vsftpd, `ProFTPD`, Pure-FTPd, Samba.
//!
//! vsftpd: `[bob] FAIL LOGIN: Client "192.0.2.7"`; `ProFTPD`: `ftp.example (client.example[192.0.2.7]) - USER bob
//! (Login failed): Incorrect password`; Pure-FTPd: `(?@192.0.2.7) [WARNING] Authentication failed for user [bob]`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{after, between, endpoint, holds_any, in_brackets, peer, starts};

const FAMILY: AppFamily = AppFamily::Generic;

/// Whether a text without an application is a line of vsftpd's own log.
pub(super) fn recognises(text: &str) -> bool {
    text.contains(" LOGIN: Client \"")
}

/// Samba's audit of logins: `Auth: [SMB2,(null)] user [CORP]\[bob] at [...] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD]
/// workstation [PC] remote host [ipv4:192.0.2.7:49152] ...`. Names may hold anything, so the address counts only where the
/// line names one remote host.
pub(super) fn samba(text: &str) -> Extraction<'_> {
    let Some(tail) = text.strip_prefix("Auth: [") else { return generic(text) };
    let Some((head, _rest)) = tail.split_once(" remote host [") else { return generic(text) };
    let status = between(head, " status [", "]").unwrap_or_default();
    let mut hosts = text.split(" remote host [").skip(1);
    let host = hosts.next().filter(|_host| hosts.next().is_none()).and_then(|tail| tail.split(']').next());
    let host = host.map(|host| host.strip_prefix("ipv4:").or_else(|| host.strip_prefix("ipv6:")).unwrap_or(host));
    let actor = host.and_then(endpoint).map(|(address, _port)| Actor::Address(address));
    let account = between(head, "]\\[", "]").filter(|account| !account.is_empty());
    let outcome = if status == "NT_STATUS_OK" { Outcome::Ok } else { Outcome::Failed };
    let found = of(FAMILY, Action::Login, outcome).maybe_by(actor);
    let found = account.map_or(found, |account| found.account(account));
    match status {
        "NT_STATUS_NO_SUCH_USER" => found.exists(false),
        "NT_STATUS_WRONG_PASSWORD" | "NT_STATUS_ACCOUNT_LOCKED_OUT" => found.exists(true),
        _ => found,
    }
}

/// A line of a file server.
pub(super) fn ftp(text: &str) -> Extraction<'_> {
    vsftpd(text).or_else(|| proftpd(text)).or_else(|| pureftpd(text)).unwrap_or_else(|| generic(text))
}

fn vsftpd(text: &str) -> Option<Extraction<'_>> {
    let refused = text
        .rsplit_once("] FAIL LOGIN: Client \"")
        .and_then(|(head, tail)| Some((head, peer(tail.strip_suffix('"')?)?)));
    if let Some((head, actor)) = refused {
        // Behind a client's address an anonymous password or a path may read so: then nobody is named.
        let sure = !after(head, ": Client \"").is_some_and(|tail| tail.contains("\", "));
        let found = of(FAMILY, Action::Login, Outcome::Failed).maybe_by(sure.then_some(actor));
        let account = after(head, "] [").or_else(|| after(head, "["));
        return Some(account.map_or(found, |account| found.account(account)));
    }
    // What the client sent stands behind its address.
    let text = text.split_once("\", ").map_or(text, |(said, _sent)| said);
    let failed = text.split_once("] FAIL LOGIN: Client \"");
    let (action, outcome) = if failed.is_some() {
        (Action::Login, Outcome::Failed)
    } else if text.contains("] OK LOGIN: Client \"") {
        (Action::Login, Outcome::Ok)
    } else if text.contains("CONNECT: Client \"") {
        (Action::Connection, Outcome::None)
    } else if holds_any(text, &["] OK UPLOAD: ", "] OK DOWNLOAD: ", "] OK DELETE: ", "] OK MKDIR: ", "] OK RENAME: "]) {
        (Action::File, Outcome::Ok)
    } else if text.contains("] FAIL ") && text.contains(": Client \"") {
        (Action::File, Outcome::Failed)
    } else {
        return None;
    };
    // A name stands before the address.
    let tail = match failed {
        Some(_parts) => text.rsplit_once("Client \"")?.1,
        None => after(text, "Client \"")?,
    };
    let actor = peer(tail.split('"').next()?);
    let account = text.split_once("] OK ").or_else(|| text.split_once("] FAIL ")).and_then(|(head, _tail)| {
        let head = after(head, "] [").or_else(|| after(head, "["))?;
        Some(head)
    });
    let found = of(FAMILY, action, outcome).maybe_by(actor);
    Some(account.map_or(found, |account| found.account(account)))
}

fn proftpd(text: &str) -> Option<Extraction<'_>> {
    let (head, said) = text.split_once("]) - ").or_else(|| text.split_once("]): "))?;
    let (_server, client) = head.split_once('(')?;
    let actor = client.rsplit_once('[').and_then(|(_host, ip)| peer(ip));
    let found = |action, outcome| of(FAMILY, action, outcome).maybe_by(actor);
    if let Some(tail) = said.strip_prefix("USER ") {
        if let Some((account, _why)) = tail.rsplit_once(": no such user found from ") {
            return Some(found(Action::Login, Outcome::Failed).account(account).exists(false));
        }
        if let Some((account, rest)) = tail.rsplit_once(" (Login failed)") {
            let login = found(Action::Login, Outcome::Failed).account(account);
            return Some(if rest.contains("No such user") { login.exists(false) } else { login });
        }
        let (account, rest) = tail.rsplit_once(": ")?;
        let outcome = if starts(rest, "Login successful") { Outcome::Ok } else { Outcome::Failed };
        return Some(found(Action::Login, outcome).account(account));
    }
    if starts(said, "security violation") {
        return Some(found(Action::Login, Outcome::Failed));
    }
    if starts(said, "maximum login attempts") {
        return Some(found(Action::Login, Outcome::Failed).companion());
    }
    if starts(said, "ANONYMOUS ") || starts(said, "ANON ") {
        let outcome = if said.contains("successful") { Outcome::Ok } else { Outcome::Failed };
        return Some(found(Action::Login, outcome));
    }
    let opened =
        holds_any(said, &["session opened", "session closed", "Preparing to chroot", "FTP no transfer timeout"]);
    opened.then(|| found(Action::Connection, Outcome::None))
}

fn pureftpd(text: &str) -> Option<Extraction<'_>> {
    let (who, said) = text.strip_prefix('(')?.split_once(") [")?;
    let (_level, said) = said.split_once("] ")?;
    let actor: Option<Actor<'_>> = who.rsplit_once('@').and_then(|(_user, host)| peer(host));
    let found = |action, outcome| of(FAMILY, action, outcome).maybe_by(actor);
    // Other languages have other words; the name stands in brackets in all of them, and only behind a refusal.
    if text.contains("[WARNING] ") && said.ends_with(']') && said.contains('[') {
        let account = said.split_once('[').map(|(_head, tail)| tail.trim_end_matches(']'))?;
        return Some(found(Action::Login, Outcome::Failed).account(account));
    }
    if let Some(account) = said.strip_suffix(" is now logged in") {
        return Some(found(Action::Login, Outcome::Ok).account(account));
    }
    if said.starts_with("Logout") {
        return Some(found(Action::Logout, Outcome::Ok));
    }
    let _host = between(said, "New connection from ", " ").or_else(|| in_brackets(said).map(|_actor| ""))?;
    Some(found(Action::Connection, Outcome::None))
}
