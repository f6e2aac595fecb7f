//! Apache httpd, and the common log format that most web servers write.
//!
//! `10.0.0.5 - alice [05/Jan/2026:14:30:00 +0000] "GET /x HTTP/1.1" 200 512 ...`, perhaps with a virtual
//! host in front: the address is the server's word and stands first. In the error log it stands in the
//! first `[client A:P]`; what the client sent comes after it.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, endpoint, quoted, word};

const FAMILY: AppFamily = AppFamily::Apache;

/// Whether a text is a line of Apache's error log.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("] [client ") || text.contains("] [remote ")
}

/// A line of Apache's access or error log.
pub(super) fn apache(text: &str) -> Extraction<'_> {
    if let Some(found) = access(FAMILY, text) {
        return found;
    }
    error(text).unwrap_or(Extraction::unknown(FAMILY))
}

/// A request in the common or combined log format; none where the line has another shape.
pub(super) fn access(family: AppFamily, text: &str) -> Option<Extraction<'_>> {
    let (first, rest) = word(text);
    let (from, rest) = if let Some(from) = address(first) {
        (from, rest)
    } else {
        let (second, rest) = word(rest);
        (address(second)?, rest)
    };
    let (who, rest) = rest.split_once(" [")?;
    let (_when, rest) = rest.split_once("] ")?;
    let request = rest.strip_prefix('"').or_else(|| rest.split_once(" \"").map(|(_host, request)| request))?;
    let (line, status) = split_status(request)?;
    let user = who.split_once(' ').map_or("-", |(_ident, user)| user);
    let known = user != "-" && user != "\"\"";
    let path = word(line).1;
    let path = path.rsplit_once(' ').map_or(path, |(path, _version)| path);
    let outcome = if status < 400 { Outcome::Ok } else { Outcome::Failed };
    // A browser asks without a name first; only a name that was sent is an attempt.
    let action = if status == 401 && known { Action::Login } else { Action::Request };
    let outcome = if status == 401 && !known { Outcome::None } else { outcome };
    let found = of(family, action, outcome).by(Actor::Address(from)).object(Object::Path(path));
    Some(if known { found.account(user) } else { found })
}

/// `REQUEST" 200 ...`: the request and its status. Servers escape quotes inside it.
fn split_status(text: &str) -> Option<(&str, u16)> {
    text.match_indices("\" ").find_map(|(at, _end)| {
        let request = text.get(..at)?;
        let backslashes = request.bytes().rev().take_while(|&byte| byte == b'\\').count();
        let status = text.get(at + 2..at + 5)?.parse().ok().filter(|status| (100..600).contains(status))?;
        (backslashes % 2 == 0).then_some((request, status))
    })
}

/// `[time] [auth_basic:error] [pid 1] [client 10.0.0.50:40022] AH01617: user alice: authentication failure for "/": ...`.
fn error(text: &str) -> Option<Extraction<'_>> {
    let (_head, tail) = text.split_once("[client ").or_else(|| text.split_once("[remote "))?;
    let (client, said) = tail.split_once("] ")?;
    // ModSecurity says the client once more.
    let said = said.strip_prefix("[client ").and_then(|tail| tail.split_once("] ")).map_or(said, |(_again, said)| said);
    let actor = endpoint(client).map(|(address, _port)| Actor::Address(address));
    let said = said.split_once(": ").filter(|(code, _rest)| is_code(code)).map_or(said, |(_code, rest)| rest);
    let login = of(FAMILY, Action::Login, Outcome::Failed).maybe_by(actor);
    if let Some(tail) = said.strip_prefix("user ") {
        let (account, unknown) = account(tail)?;
        let found = login.account(account);
        return Some(if unknown { found.exists(false) } else { found });
    }
    let failed = [
        "failed",
        "denied",
        "not found",
        "does not exist",
        "invalid",
        "mismatch",
        "attack",
        "wrong ",
        "unknown ",
        "via SNI",
    ];
    let found = of(FAMILY, Action::Request, Outcome::Failed).maybe_by(actor);
    if said.starts_with("ModSecurity") {
        return Some(of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(actor));
    }
    let failed = failed.iter().any(|word| said.contains(word)) && !ordinary(text, said);
    let found = if failed { found } else { Extraction { outcome: Outcome::None, ..found } };
    Some(quoted(said, '"').map_or(found, |path| found.object(Object::Path(path))))
}

/// What happens to anybody: a file that is not there, unless it is one that is only asked for to find a way in; a nonce
/// from before a restart; Apache's own files, which it gives to nobody; what `mod_evasive` tells in a line of its own.
fn ordinary(text: &str, said: &str) -> bool {
    const ROOTS: [&str; 6] = ["/var/www/html/", "/var/www/", "/htdocs/", "/html/", "/http/", "/public_html/"];
    let missing = said.contains("does not exist: ") || said.contains("not found or unable to stat");
    if missing {
        let path = said.split_once('/').map_or("", |(_head, path)| path);
        let path = ROOTS.iter().find_map(|root| path.split_once(root.get(1..)?)).map_or(path, |(_root, path)| path);
        let first = path.split(['/', ' ', ',']).next().unwrap_or_default();
        return !is_probed(first) && !path.split(',').next().is_some_and(|path| path.ends_with('~'));
    }
    said.contains("hash is not") || said.contains("/.ht") || text.contains("[evasive")
}

/// Whether a first part of a path is asked for by whoever looks for something to break into.
fn is_probed(part: &str) -> bool {
    const PROBED: [&str; 22] = [
        "admin",
        "mail",
        "sql",
        "pma",
        "phpmy",
        "wp-",
        "xmlrpc",
        "cgi-bin",
        "w00tw00t",
        "roundcube",
        "webdav",
        "setup",
        "install",
        "shell",
        "manager",
        "jmx-",
        "solr",
        ".env",
        ".git",
        "vtiger",
        "horde",
        "phpunit",
    ];
    PROBED.iter().any(|word| part.contains(word))
}

/// Apache's message number, `AH01617`.
fn is_code(text: &str) -> bool {
    text.len() == 7 && text.starts_with("AH")
}

/// The name in `NAME: authentication failure for "/"...` or `NAME not found: /`, and whether it is unknown.
fn account(tail: &str) -> Option<(&str, bool)> {
    if let Some((account, _path)) = tail.rsplit_once(": authentication failure for \"") {
        return Some((account.trim_end_matches(':'), false));
    }
    if let Some((account, _path)) = tail.rsplit_once(" not found: ") {
        return Some((account.trim_ascii(), true));
    }
    let (account, _rest) = tail.split_once(": ").or_else(|| tail.split_once(' '))?;
    Some((account, false))
}
