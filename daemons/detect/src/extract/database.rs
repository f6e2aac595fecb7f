//! Databases: PostgreSQL, `MySQL` and `MariaDB`, `MongoDB`, Redis, SQL Server.
//!
//! A user name is the client's; the client's address stands behind it in `MySQL`, SQL Server and `MongoDB`, before it
//! in PostgreSQL's `no pg_hba.conf entry for host`. PostgreSQL's other lines name the client only in the prefix the
//! administrator chose; where that names two, neither is believed.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{address, after, between, caller, holds_any, is_number, peer, quoted, strip_any, word};

const FAMILY: AppFamily = AppFamily::Database;

/// Whether a text without an application is a database's word on a client.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("Access denied for user '")
        || text.contains("[CLIENT: ")
        || text.contains("FATAL:  ")
        || text.contains("\"c\":\"ACCESS\"")
        || text.contains("\"c\":\"NETWORK\"")
        || text.contains(" ACCESS   [")
        || text.contains(" NETWORK  [")
}

/// A line of a database.
pub(super) fn database(text: &str) -> Extraction<'_> {
    mysql(text)
        .or_else(|| sql_server(text))
        .or_else(|| postgres(text))
        .or_else(|| mongo(text))
        .or_else(|| redis(text))
        .unwrap_or(Extraction::unknown(FAMILY))
}

fn login<'a>(outcome: Outcome) -> Extraction<'a> {
    of(FAMILY, Action::Login, outcome)
}

/// `Access denied for user 'bob'@'192.0.2.7' (using password: YES)`.
fn mysql(text: &str) -> Option<Extraction<'_>> {
    if let Some(tail) = after(text, "Access denied for user '") {
        // A line that ends with a quote ends with the database's name, which is the client's to choose.
        let to_database = tail.ends_with('\'').then(|| tail.split_once("' to database '")).flatten();
        let (who, rest) = to_database.or_else(|| tail.rsplit_once("' (using ")).or_else(|| tail.rsplit_once('\''))?;
        // The server's line ends there; words behind it are somebody else's quotation.
        if !rest.is_empty() && !rest.ends_with([')', '\'']) {
            return None;
        }
        let (account, host) = who.rsplit_once("'@'")?;
        return Some(login(Outcome::Failed).maybe_by(peer(host)).account(account));
    }
    if text.contains("Aborted connection ") {
        let (_head, tail) = text.rsplit_once(" host: '")?;
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(peer(tail.split('\'').next()?)));
    }
    if holds_any(text, &["is not allowed to connect", "is blocked because of many connection errors"]) {
        let host = between(text, "Host '", "'");
        return Some(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(host.and_then(peer)));
    }
    let ready = holds_any(text, &["ready for connections", "Normal shutdown", "Shutdown complete", "mysqld: Shutdown"]);
    ready.then(|| of(FAMILY, Action::Service, Outcome::Ok))
}

/// `Login failed for user 'sa'. Reason: ... [CLIENT: 192.0.2.7]`.
fn sql_server(text: &str) -> Option<Extraction<'_>> {
    let (head, tail) = text.rsplit_once("[CLIENT: ")?;
    // Its own column stands before what it says; a quotation has words there.
    if head.split_once(" failed for user").is_some_and(|(before, _tail)| before.contains(": ")) {
        return None;
    }
    let actor = peer(tail.split(']').next()?.trim_ascii());
    let (outcome, tail) = if let Some(tail) = after(head, "Login failed for user") {
        (Outcome::Failed, tail)
    } else if let Some(tail) = after(head, "Login succeeded for user") {
        (Outcome::Ok, tail)
    } else {
        let failed = holds_any(head, &["Login failed", "failed", "error"]);
        return Some(
            of(FAMILY, Action::Connection, if failed { Outcome::Failed } else { Outcome::None }).maybe_by(actor),
        );
    };
    let found = login(outcome).maybe_by(actor);
    let account = tail
        .trim_ascii_start()
        .strip_prefix('\'')
        .and_then(|tail| tail.rsplit_once("'. "))
        .map(|(account, _why)| account);
    let found = account.filter(|account| !account.is_empty()).map_or(found, |account| found.account(account));
    Some(if head.contains("Could not find a login matching") { found.exists(false) } else { found })
}

fn postgres(text: &str) -> Option<Extraction<'_>> {
    if let Some((head, said)) = text.split_once("FATAL:") {
        // A name in the prefix or in the message says the second: which is the server's own cannot be told.
        if said.contains("FATAL:") {
            return Some(login(Outcome::Failed));
        }
        let said = said.trim_ascii_start();
        return Some(fatal(said).map_or(of(FAMILY, Action::Connection, Outcome::Failed), |found| Extraction {
            actor: found.actor.or_else(|| prefix(head)),
            ..found
        }));
    }
    let (head, said) = text.split_once("LOG:")?;
    let said = said.trim_ascii_start();
    let host = || said.rsplit_once("host=").and_then(|(_head, tail)| peer(word(tail).0));
    let user = |found: Extraction<'static>, key| match between(said, key, " ") {
        Some(account) => Extraction { account: Some(account), ..found },
        None => found,
    };
    let found = if said.starts_with("connection received: ") {
        of(FAMILY, Action::Connection, Outcome::None).maybe_by(host())
    } else if said.starts_with("connection authorized: ") {
        user(login(Outcome::Ok), "user=")
    } else if said.starts_with("connection authenticated: ") {
        quoted(said, '"').map_or(login(Outcome::None), |account| login(Outcome::None).account(account))
    } else if said.starts_with("disconnection: ") {
        user(of(FAMILY, Action::Logout, Outcome::Ok), "user=").maybe_by(host())
    } else if said.starts_with("invalid length of startup packet") || said.starts_with("could not accept SSL") {
        of(FAMILY, Action::Connection, Outcome::Failed)
    } else if said.starts_with("provided user name (") {
        login(Outcome::Failed).companion()
    } else if said.starts_with("database system is ")
        || said.contains("shutdown request")
        || said.contains("shutting down")
    {
        of(FAMILY, Action::Service, Outcome::Ok)
    } else {
        return None;
    };
    Some(Extraction { actor: found.actor.or_else(|| prefix(head)), ..found })
}

fn fatal(said: &str) -> Option<Extraction<'_>> {
    if let Some(tail) =
        strip_any(said, &["no pg_hba.conf entry for host \"", "pg_hba.conf rejects connection for host \""])
    {
        let (host, tail) = tail.split_once('"')?;
        let account = tail
            .strip_prefix(", user \"")
            .and_then(|tail| tail.split_once("\", database \""))
            .map(|(account, _rest)| account);
        let found = login(Outcome::Failed).maybe_by(peer(host));
        return Some(account.map_or(found, |account| found.account(account)));
    }
    if let Some((_method, tail)) = said.split_once("authentication failed for user \"") {
        let (account, _rest) = tail.rsplit_once('"')?;
        return Some(login(Outcome::Failed).account(account));
    }
    if let Some(tail) = said.strip_prefix("role \"") {
        let (account, rest) = tail.rsplit_once('"')?;
        let found = login(Outcome::Failed).account(account);
        return Some(if rest.contains("does not exist") { found.exists(false) } else { found });
    }
    if said.starts_with("terminating connection") || said.starts_with("the database system is ") {
        return Some(of(FAMILY, Action::Service, Outcome::None));
    }
    None
}

/// The one address of the prefix: `client=192.0.2.7`, `192.0.2.7(4711)`.
fn prefix(head: &str) -> Option<Actor<'_>> {
    let mut found = head.split([' ', ',', ';', '[', ']']).filter_map(|token| {
        let token = token.rsplit_once('=').map_or(token, |(_key, value)| value);
        let token = token.split('(').next().unwrap_or(token);
        address(token).or_else(|| address(token.rsplit_once('@')?.1))
    });
    let first = found.next()?;
    found.all(|other| other == first).then_some(Actor::Address(first))
}

fn mongo(text: &str) -> Option<Extraction<'_>> {
    if text.starts_with('{') {
        return mongo_record(text);
    }
    let last =
        |mark: &str| text.rsplit_once(mark).and_then(|(_head, tail)| caller(tail.split([' ', ';', ',']).next()?));
    // The name is said again behind `UserNotFound`; where it names a client too, none is believed.
    let client = || {
        let mark = " from client ";
        if text.matches(mark).nth(1).is_some() { None } else { last(mark).or_else(|| last(" from ")) }
    };
    let account = |mark: &str, end: &str| between(text, mark, end);
    if text.contains("uthentication failed for ") || text.contains("Failed to authenticate ") {
        let found = login(Outcome::Failed).maybe_by(client());
        let named = account("uthentication failed for ", " on ").or_else(|| account("Failed to authenticate ", "@"));
        let found = named.map_or(found, |named| found.account(named));
        return Some(if text.contains("UserNotFound") { found.exists(false) } else { found });
    }
    if text.contains("uccessfully authenticated as principal ") {
        let found = login(Outcome::Ok).maybe_by(client());
        return Some(account("as principal ", " on ").map_or(found, |named| found.account(named)));
    }
    if text.contains("connection accepted from ") {
        return Some(of(FAMILY, Action::Connection, Outcome::Ok).maybe_by(last("accepted from ")));
    }
    text.contains("end connection ")
        .then(|| of(FAMILY, Action::Connection, Outcome::None).maybe_by(last("end connection ")))
}

fn mongo_record(text: &str) -> Option<Extraction<'_>> {
    let (mut said, mut account, mut actor, mut unknown) = ("", None, None, false);
    for member in members(text) {
        match (member.parent, member.name) {
            ("", "msg") => said = member.value,
            ("attr", "principalName" | "user") => account = Some(member.value),
            ("attr", "remote" | "client") => actor = caller(member.value).or(actor),
            ("attr", "error" | "result") => unknown = member.value.contains("UserNotFound"),
            _ => {}
        }
    }
    let found = match said {
        "Authentication failed" | "Failed to authenticate" | "Checking authorization failed" => login(Outcome::Failed),
        "Authentication succeeded" | "Successfully authenticated" => login(Outcome::Ok),
        "Connection accepted" => of(FAMILY, Action::Connection, Outcome::Ok),
        "Connection ended" => of(FAMILY, Action::Connection, Outcome::None),
        "Waiting for connections" | "Now exiting" | "MongoDB starting" => of(FAMILY, Action::Service, Outcome::Ok),
        _ => return None,
    };
    let found = account.map_or(found, |account| found.account(account)).maybe_by(actor);
    Some(if unknown { found.exists(false) } else { found })
}

fn redis(text: &str) -> Option<Extraction<'_>> {
    if text.contains("Possible SECURITY ATTACK detected") {
        let from = after(text, "Connection from ").map(|tail| word(tail).0);
        return Some(of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(from.and_then(caller)));
    }
    if let Some((_head, tail)) = text.split_once(" Accepted ") {
        return caller(tail).map(|actor| of(FAMILY, Action::Connection, Outcome::Ok).by(actor));
    }
    let done =
        holds_any(text, &["Ready to accept connections", "bye bye", "Server initialized", "User requested shutdown"]);
    let numbered = || word(text).0.split(':').next().is_some_and(is_number);
    (done || (numbered() && text.contains("DB saved on disk"))).then(|| of(FAMILY, Action::Service, Outcome::Ok))
}
