//! Logins at a console or over telnet, and who is asked for his word: `login`, polkit, tcpd, xinetd, portscan watchers.
//!
//! `FAILED LOGIN (2) on '/dev/tty1' FROM '192.0.2.7' FOR 'bob', Authentication failure`.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    generic::generic,
};
use crate::text::{after, between, caller, holds_any, name, peer, starts, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// A line of `login` or of what listens for it.
pub(super) fn console(text: &str) -> Extraction<'_> {
    login(text).or_else(|| asked(text)).or_else(|| knocked(text)).unwrap_or_else(|| generic(text))
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['\'', '"', '\u{2018}', '\u{2019}'])
}

fn login(text: &str) -> Option<Extraction<'_>> {
    let failed =
        starts(text, "failed login") || starts(text, "too many login tries") || starts(text, "invalid password");
    let passed = starts(text, "login on ") || starts(text, "root login ") || starts(text, "dialup at ");
    if !failed && !passed {
        return None;
    }
    let found = of(FAMILY, Action::Login, if failed { Outcome::Failed } else { Outcome::Ok });
    // The name is typed by whoever sits there and stands last.
    let head = text.split_once(" FOR ").or_else(|| text.split_once(" for ")).map_or(text, |(head, _name)| head);
    let from = head
        .rsplit_once(" FROM ")
        .or_else(|| head.rsplit_once(" from "))
        .map(|(_head, tail)| word(tail).0.trim_end_matches(','));
    let found = found.maybe_by(from.and_then(|from| peer(unquoted(from))));
    let account = after(text, " FOR ")
        .or_else(|| after(text, " for "))
        .and_then(|tail| tail.rsplit_once(','))
        .map(|(name, _why)| name);
    let account = account.or_else(|| after(text, " BY ").map(|tail| word(tail).0)).map(unquoted);
    let account =
        account.or_else(|| text.starts_with("ROOT LOGIN").then(|| text.get(..4)).flatten().filter(|_root| false));
    Some(account.map_or(found, |account| found.account(account)))
}

/// polkit: `Operator of unix-session:2 successfully authenticated as unix-user:root to gain ...`.
fn asked(text: &str) -> Option<Extraction<'_>> {
    let outcome = if text.contains(" successfully authenticated as ") {
        Outcome::Ok
    } else if text.contains("FAILED to authenticate") {
        Outcome::Failed
    } else if starts(text, "registered authentication agent") || starts(text, "unregistered authentication agent") {
        return Some(of(FAMILY, Action::Service, Outcome::None));
    } else {
        return None;
    };
    let owner = between(text, "(owned by unix-user:", ")").and_then(name);
    let found = of(FAMILY, Action::Login, outcome).maybe_by(owner);
    Some(between(text, "as unix-user:", " ").map_or(found, |account| found.account(account)))
}

/// tcpd, xinetd, portsentry, scanlogd, telnetd.
fn knocked(text: &str) -> Option<Extraction<'_>> {
    let first = |tail| caller(word(tail).0.trim_end_matches([',', ':', '.']));
    if let Some(tail) = text.strip_prefix("connect from ") {
        let actor =
            tail.rsplit_once('(').and_then(|(_host, ip)| caller(ip.trim_end_matches(')'))).or_else(|| first(tail));
        return Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(actor));
    }
    if starts(text, "attackalert: ") {
        // The host's name may be in front of its address: `Connect from host: h.example/192.0.2.7 to TCP port: 143`.
        let host = after(text, "from host: ").map(|tail| word(tail).0);
        let actor = host.and_then(|host| caller(host.rsplit('/').next()?));
        return Some(of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(actor));
    }
    if text.starts_with("FAIL: ") {
        let actor = text.rsplit_once("from=").and_then(|(_head, tail)| peer(word(tail).0));
        return Some(of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(actor));
    }
    // `192.0.2.7:4711 to 10.0.0.1 ports 80, 81, 83 ...`.
    let (from, tail) = word(text);
    let scan = tail.starts_with("to ") && holds_any(tail, &[" ports ", " port "]);
    let actor: Actor<'_> = caller(from).filter(|_actor| scan)?;
    Some(of(FAMILY, Action::Ids, Outcome::Failed).by(actor))
}
