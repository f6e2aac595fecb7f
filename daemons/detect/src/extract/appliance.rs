//! Appliances without a family of their own: Juniper, Palo Alto, Sophos, Synology, QNAP.
//!
//! Juniper: `SSHD_LOGIN_FAILED: Login failed for user 'bob' from host '192.0.2.7'`; Synology: `User [bob] from
//! [192.0.2.7] failed to log in via [DSM] due to authorization failure.`; QNAP: `conn log: Users: bob, Source IP:
//! 192.0.2.7, ..., Action: Login Fail`; Palo Alto: values between commas at fixed places.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, after, between, caller, endpoint, holds_any, pairs, peer, quoted, word};

const FAMILY: AppFamily = AppFamily::Generic;

/// A line of one of them; none where it has another form.
pub(super) fn appliance(text: &str) -> Option<Extraction<'_>> {
    match text.as_bytes().first()? {
        b'A'..=b'Z' => juniper(text).or_else(|| storage(text)),
        b'0'..=b'9' if text.contains(",TRAFFIC,") || text.contains(",THREAT,") || text.contains(",SYSTEM,") => {
            paloalto(text)
        }
        b'c' | b'e' => qnap(text),
        b'd' if text.contains("log_component=") => sophos(text),
        _ => None,
    }
}

/// `TAG: text`, where the tag is in capitals.
fn juniper(text: &str) -> Option<Extraction<'_>> {
    let (tag, said) = text.split_once(": ")?;
    if tag.len() > 48 || !tag.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return None;
    }
    let user = |action, outcome| {
        let found = of(FAMILY, action, outcome);
        quoted(said, '\'').map_or(found, |account| found.account(account))
    };
    match tag {
        "SSHD_LOGIN_FAILED" | "LOGIN_FAILED" | "WEB_AUTH_FAIL" => {
            let from = said.rsplit_once(" from host ").and_then(|(_head, host)| peer(host.trim_matches(['\'', '"'])));
            Some(user(Action::Login, Outcome::Failed).maybe_by(from))
        }
        "UI_LOGIN_EVENT" | "LOGIN_INFORMATION" | "WEB_AUTH_SUCCESS" => {
            let from = said.rsplit_once("ssh-connection '").and_then(|(_head, tail)| caller(word(tail).0));
            Some(user(Action::Login, Outcome::Ok).maybe_by(from))
        }
        "UI_LOGOUT_EVENT" => Some(user(Action::Logout, Outcome::Ok)),
        "UI_CMDLINE_READ_LINE" | "UI_COMMIT" | "UI_CFG_AUDIT_SET" | "UI_CFG_AUDIT_OTHER" => {
            Some(of(FAMILY, Action::Command, Outcome::Ok).maybe_by(quoted(said, '\'').and_then(crate::text::name)))
        }
        "RT_FLOW_SESSION_DENY" | "RT_FLOW_SESSION_CREATE" | "RT_FLOW_SESSION_CLOSE" => {
            let found = if tag.ends_with("DENY") {
                of(FAMILY, Action::Block, Outcome::Failed)
            } else {
                of(FAMILY, Action::Connection, Outcome::Ok)
            };
            let (from, to) = said.split_once("->")?;
            let (from, _port) = super::asa::slashed(from.rsplit_once(' ').map_or(from, |(_head, from)| from))?;
            let (to, port) = super::asa::slashed(word(to).0)?;
            Some(found.by(Actor::Address(from)).towards(to, port))
        }
        _ => None,
    }
}

/// Synology's DSM.
fn storage(text: &str) -> Option<Extraction<'_>> {
    let (account, tail) = text.strip_prefix("User [")?.rsplit_once("] from [")?;
    let (from, said) = tail.split_once("] ")?;
    let (action, outcome) = if said.starts_with("failed to ") {
        (Action::Login, Outcome::Failed)
    } else if holds_any(said, &["logged in successfully", "signed in to "]) {
        (Action::Login, Outcome::Ok)
    } else if said.starts_with("logged out") {
        (Action::Logout, Outcome::Ok)
    } else {
        return None;
    };
    Some(of(FAMILY, action, outcome).maybe_by(peer(from)).account(account))
}

fn qnap(text: &str) -> Option<Extraction<'_>> {
    let tail = after(text, "conn log: Users: ").or_else(|| after(text, "event log: Users: "))?;
    let (_rest, verb) = tail.rsplit_once(", Action: ").unwrap_or((tail, ""));
    let (action, outcome) = match word(verb).0 {
        "Login" if verb.contains("Fail") => (Action::Login, Outcome::Failed),
        "Login" => (Action::Login, Outcome::Ok),
        "Logout" => (Action::Logout, Outcome::Ok),
        "" => return None,
        _ => (Action::File, Outcome::Ok),
    };
    // A name stands before the address, a path behind it.
    let mark = ", Source IP: ";
    let (account, tail) = if action == Action::File { tail.split_once(mark) } else { tail.rsplit_once(mark) }?;
    Some(of(FAMILY, action, outcome).maybe_by(tail.split(',').next().and_then(peer)).account(account))
}

fn sophos(text: &str) -> Option<Extraction<'_>> {
    let (mut kind, mut status, mut from, mut to, mut port, mut user) = ("", "", None, None, None, None);
    for (key, value) in pairs(text) {
        match key {
            "log_type" => kind = value,
            "status" | "log_subtype" | "auth_status" if status.is_empty() || key == "status" => status = value,
            "src_ip" => from = address(value).map(Actor::Address),
            "dst_ip" => to = address(value),
            "dst_port" => port = value.parse().ok(),
            "user_name" | "user" if !value.is_empty() => user = Some(value),
            _ => {}
        }
    }
    let failed = holds_any(status, &["Fail", "fail", "Denied", "Drop", "deny"]);
    let (action, outcome) = match (kind, failed) {
        ("Firewall", true) => (Action::Block, Outcome::Failed),
        ("Firewall", false) => (Action::Connection, Outcome::Ok),
        ("Event", true) => (Action::Login, Outcome::Failed),
        ("Event", false) if status.contains("Success") => (Action::Login, Outcome::Ok),
        ("IDP" | "ATP" | "Anti-Virus" | "WAF", _) => (Action::Ids, Outcome::Failed),
        ("Content Filtering", _) => (Action::Request, if failed { Outcome::Failed } else { Outcome::Ok }),
        _ => return None,
    };
    let found = of(FAMILY, action, outcome).maybe_by(from);
    let found = user.map_or(found, |user| found.account(user));
    Some(to.map_or(found, |to| found.towards(to, port)))
}

/// `1,2026/03/10 10:11:12,serial,TRAFFIC,drop,...`: the source is the eighth value, the destination the ninth.
fn paloalto(text: &str) -> Option<Extraction<'_>> {
    let mut values = text.split(',');
    let (kind, part) = (values.nth(3)?, values.next()?);
    if kind == "SYSTEM" {
        let said = between(text, "\"", "\"").unwrap_or(text);
        let failed = said.contains("failed authentication");
        if !failed && !said.contains("authenticated for user") && !said.contains("logged in via") {
            return None;
        }
        let from = said
            .rsplit_once("From: ")
            .and_then(|(_head, tail)| endpoint(tail.trim_end_matches('.')))
            .map(|(from, _port)| Actor::Address(from));
        let found = of(FAMILY, Action::Login, if failed { Outcome::Failed } else { Outcome::Ok }).maybe_by(from);
        return Some(quoted(said, '\'').map_or(found, |account| found.account(account)));
    }
    let (from, to) = (address(values.nth(2)?)?, address(values.next()?)?);
    let port = values.nth(16).and_then(|port| port.parse().ok());
    let action = values.nth(4).unwrap_or_default();
    let found = match (kind, part) {
        ("THREAT", "url") => of(FAMILY, Action::Request, if action == "alert" { Outcome::Ok } else { Outcome::Failed }),
        ("THREAT", _) => of(FAMILY, Action::Ids, Outcome::Failed),
        (_, "drop" | "deny") => of(FAMILY, Action::Block, Outcome::Failed),
        _ => of(FAMILY, Action::Connection, Outcome::Ok),
    };
    Some(found.by(Actor::Address(from)).towards(to, port))
}
