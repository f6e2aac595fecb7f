//! Dovecot: logins, and what its password databases say of them.
//!
//! `imap-login: Disconnected (auth failed, 2 attempts in 4 secs): user=<bob>, method=PLAIN, rip=192.0.2.7, lip=...`
//! is the word of the login process when a client leaves; `auth: passwd-file(bob,192.0.2.7): unknown user` is
//! written for each attempt where that is switched on. The name is the client's, so `rip=` and the address in the
//! parentheses are cut from the right.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    pam,
};
use crate::text::{address, after, holds_any, is_number, name, starts, strip_any};

const FAMILY: AppFamily = AppFamily::Dovecot;
/// Ends of parentheses that are tried from the right.
const TRIES_MAX: usize = 6;

/// Whether a text is a line of one of Dovecot's login processes.
pub(super) fn recognises(text: &str) -> bool {
    text.contains(", rip=") && text.contains("user=<") || text.starts_with("auth-worker(") || text.starts_with("auth: ")
}

/// A line of Dovecot, as written in the name of `app`.
pub(super) fn dovecot<'a>(app: &'a str, text: &'a str) -> Extraction<'a> {
    // Some builds hand on what PAM says; behind a name it is the client's word.
    let handed = ["pam_unix(", "auth: pam_unix("].iter().any(|start| text.starts_with(start));
    if handed {
        return pam::pam(app, text.strip_prefix("auth: ").unwrap_or(text));
    }
    login_process(text).or_else(|| lookup(text)).or_else(|| process(text)).unwrap_or(Extraction::unknown(FAMILY))
}

/// A line that ends with `rip=192.0.2.7, lip=..., session=<...>`.
fn login_process(text: &str) -> Option<Extraction<'_>> {
    let (head, tail) = text.rsplit_once("rip=")?;
    let actor = address(tail.split([',', ' ']).next()?).map(Actor::Address);
    let (said, named) = head.split_once("user=<").unwrap_or((head, ""));
    let account = named.rsplit_once('>').map(|(account, _rest)| account).filter(|account| !account.is_empty());
    let (action, outcome, times) = if said.contains("Login: ") || said.contains("Logged in") {
        (Action::Login, Outcome::Ok, 1)
    } else if let Some(tail) = after(said, "auth failed, ") {
        let attempts = tail.split(' ').next().and_then(|count| count.parse().ok());
        (Action::Login, Outcome::Failed, attempts.unwrap_or(1))
    } else if holds_any(said, &["auth failed", "auth_failed", "tried to use dis", "Password mismatch", "unknown user"])
    {
        (Action::Login, Outcome::Failed, 1)
    } else if said.contains("before auth was ready") {
        (Action::Connection, Outcome::Failed, 1)
    } else {
        (Action::Connection, Outcome::None, 1)
    };
    let found = Extraction { times, ..of(FAMILY, action, outcome).maybe_by(actor) };
    let found = if (action, outcome) == (Action::Login, Outcome::Ok) { found.exists(true) } else { found };
    Some(account.map_or(found, |account| found.account(account)))
}

/// `auth-worker(7): sql(bob,192.0.2.7,<session>): Password mismatch`.
fn lookup(text: &str) -> Option<Extraction<'_>> {
    let (inside, said, actor) = text.rmatch_indices("): ").take(TRIES_MAX).find_map(|(at, end)| {
        let (inside, said) = (text.get(..at)?, text.get(at + end.len()..)?);
        let inside = match inside.rsplit_once(",<") {
            Some((before, session)) if session.ends_with('>') => before,
            _ => inside,
        };
        let (user, ip) = inside.rsplit_once(',')?;
        Some((user, said, Actor::Address(address(ip)?)))
    })?;
    let account = driver(inside)?;
    let unknown =
        holds_any(said, &["unknown user", "user not found", "User unknown", "User not known", "no such user"]);
    let refused = unknown
        || starts(said, "password mismatch")
        || starts(said, "invalid credentials")
        || starts(said, "login user")
        || holds_any(
            said,
            &[
                "assword mismatch",
                "uthentication failure",
                "uthentication failed",
                "invalid cred",
                "pam_authenticate() failed",
            ],
        );
    if !refused {
        return None;
    }
    let found = of(FAMILY, Action::Login, Outcome::Failed).by(actor).account(account).companion();
    Some(if unknown { found.exists(false) } else { found })
}

/// The name behind the driver's parenthesis in `auth-worker(7): sql(bob`, `conn unix:auth-worker (pid=1,uid=2): auth-worker<3>: pam(bob`.
fn driver(inside: &str) -> Option<&str> {
    let mut rest = inside;
    for _section in 0..TRIES_MAX {
        let (_driver, tail) = rest.split_once('(')?;
        let (argument, behind) = tail.split_once("): ").unwrap_or((tail, ""));
        if is_number(argument) || ["pid=", "uid=", "default"].iter().any(|start| argument.starts_with(start)) {
            rest = behind;
        } else {
            return Some(tail);
        }
    }
    None
}

/// `imap(bob)<7><session>: Logged out in=1 out=2`, `master: Dovecot v2.3 starting up`.
fn process(text: &str) -> Option<Extraction<'_>> {
    if let Some(tail) = strip_any(text, &["imap(", "pop3(", "managesieve(", "submission("]) {
        let (account, said) = tail.split_once(')')?;
        let left = holds_any(said, &["Logged out", "Disconnected", "Connection closed", "Server shutting down"]);
        return left.then(|| of(FAMILY, Action::Logout, Outcome::Ok).maybe_by(name("")).account(account));
    }
    let started = holds_any(text, &["starting up", "Warning: SIGHUP received", "Warning: Killed with signal"]);
    started.then(|| of(FAMILY, Action::Service, Outcome::Ok))
}
