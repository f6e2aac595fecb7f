//! Cisco IOS, IOS XE and NX-OS, by mnemonic.
//!
//! `%SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: bob] [Source: 192.0.2.7] ...`: what stands behind the name is
//! looked for from the right.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::{
    asa::bracketed,
    build::{Build as _, of},
    sshd, wireless,
};
use crate::text::{address, after, between, caller, holds_any, name, quoted, word};

const FAMILY: AppFamily = AppFamily::Ios;

/// The message whose code is `FACILITY-SEVERITY-MNEMONIC`.
pub(super) fn ios<'a>(code: &str, text: &'a str) -> Option<Extraction<'a>> {
    let mnemonic = code.rsplit('-').next().unwrap_or_default();
    if mnemonic.starts_with("IPACCESSLOG") || mnemonic.starts_with("DROP_PKT") || mnemonic == "ACCESSLOGP" {
        return packet(text);
    }
    match mnemonic {
        "SYSTEM_MSG" => Some(system_message(text)),
        "SIGNATURE" => {
            let (from, to) = between(text, "[", "]")?.split_once(" -> ")?;
            let found = of(FAMILY, Action::Ids, Outcome::Failed).maybe_by(caller(from));
            Some(crate::text::endpoint(to).map_or(found, |(to, port)| found.towards(to, port)))
        }
        "UPDOWN"
        | "ADJCHANGE"
        | "NBRCHANGE"
        | "IF_UP"
        | "IF_DOWN_LINK_FAILURE"
        | "ERR_DISABLE"
        | "RESTART"
        | "RELOAD"
        | "CHANGED" => {
            let down = holds_any(text, &["down", "Down", "err-disable", "DOWN"]);
            let found = of(FAMILY, Action::Service, if down { Outcome::Failed } else { Outcome::Ok });
            let interface = after(text, "nterface ").map(|tail| word(tail).0.trim_end_matches(','));
            Some(interface.map_or(found, |interface| found.object(Object::Service(interface))))
        }
        _ => session(code, mnemonic, text).or_else(|| layer_two(mnemonic, text)),
    }
}

fn packet(text: &str) -> Option<Extraction<'_>> {
    let found = if holds_any(text, &[" denied ", "ropping ", "Dropped"]) {
        of(FAMILY, Action::Block, Outcome::Failed)
    } else {
        of(FAMILY, Action::Connection, Outcome::Ok)
    };
    let Some((from, to)) = text.split_once(" -> ").or_else(|| text.split_once(" => ")) else {
        // A standard list names the source alone: `list 10 denied 192.0.2.7 1 packet`.
        let from = after(text, " denied ").or_else(|| after(text, " permitted "))?;
        return Some(found.by(Actor::Address(address(word(from).0)?)));
    };
    let from = from
        .split_ascii_whitespace()
        .rev()
        .find_map(|token| bracketed(token).or_else(|| crate::text::endpoint(token)))?
        .0;
    let to = to.split([',', ' ']).next()?;
    let (to, port) = bracketed(to).or_else(|| crate::text::endpoint(to))?;
    Some(found.by(Actor::Address(from)).towards(to, port))
}

fn session<'a>(code: &str, mnemonic: &str, text: &'a str) -> Option<Extraction<'a>> {
    let source = || {
        let (_head, tail) = text.rsplit_once("[Source: ")?;
        address(tail.split(']').next()?).map(Actor::Address)
    };
    let user = |found: Extraction<'a>| {
        let named = after(text, "[user: ").and_then(|tail| tail.rsplit_once("] [Source: ")).map(|(named, _rest)| named);
        named.map_or(found, |named| found.account(named))
    };
    Some(match mnemonic {
        "LOGIN_FAILED" | "LOGIN_SUCCESS" => {
            let outcome = if mnemonic == "LOGIN_FAILED" { Outcome::Failed } else { Outcome::Ok };
            user(of(FAMILY, Action::Login, outcome).maybe_by(source()))
        }
        "QUIET_MODE_ON" => user(of(FAMILY, Action::Block, Outcome::Failed).maybe_by(source())),
        "AUTHFAIL" => {
            let from = text.rsplit_once(" from host ").or_else(|| text.rsplit_once(" from "));
            of(FAMILY, Action::Login, Outcome::Failed).maybe_by(from.and_then(|(_head, tail)| caller(word(tail).0)))
        }
        "SSH2_USERAUTH" => {
            let outcome = if text.ends_with("Succeeded") { Outcome::Ok } else { Outcome::Failed };
            let from = text.rsplit_once("Session from ").and_then(|(_head, tail)| caller(word(tail).0));
            let found = of(FAMILY, Action::Login, outcome).maybe_by(from);
            quoted(text, '\'').map_or(found, |account| found.account(account))
        }
        "SSH2_SESSION" | "SSH2_CLOSE" | "SSH_SESSION" => {
            let from = after(text, " from ").and_then(|tail| caller(word(tail).0));
            of(FAMILY, Action::Connection, Outcome::None).maybe_by(from)
        }
        "LOGOUT" | "TTY_EXPIRE_TIMER" => {
            let from = text.rsplit_once('(').and_then(|(_head, tail)| caller(tail.trim_end_matches(')')));
            let found = of(FAMILY, Action::Logout, Outcome::Ok).maybe_by(from);
            after(text, "User ").map_or(found, |tail| found.account(word(tail).0))
        }
        "CONFIG_I" | "VSHD_SYSLOG_CONFIG_I" => {
            let found = of(FAMILY, Action::Command, Outcome::Ok);
            found.maybe_by(between(text, " by ", " ").and_then(name))
        }
        "CFGLOG_LOGGEDCMD" => {
            let found = of(FAMILY, Action::Command, Outcome::Ok).maybe_by(between(text, "User:", " ").and_then(name));
            after(text, "logged command:").map_or(found, |command| found.object(Object::Program(command)))
        }
        "ENABLE_FAIL" | "PRIV_AUTH_FAIL" => of(FAMILY, Action::Login, Outcome::Failed),
        "PRIV_AUTH_PASS" => of(FAMILY, Action::Login, Outcome::Ok),
        _ if code.starts_with("LOGIN-") && text.contains("failed") => of(FAMILY, Action::Login, Outcome::Failed),
        _ => return None,
    })
}

/// Stations, ports and leases.
fn layer_two<'a>(mnemonic: &str, text: &'a str) -> Option<Extraction<'a>> {
    let by = |action, outcome| of(FAMILY, action, outcome).maybe_by(wireless::station(text));
    Some(match mnemonic {
        "PSECURE_VIOLATION"
        | "DHCP_SNOOPING_UNTRUSTED_PORT"
        | "DHCP_SNOOPING_MATCH_MAC_FAIL"
        | "DHCP_SNOOPING_DENY"
        | "DHCP_SNOOPING_FAKE_INTERFACE"
        | "DHCP_SNOOPING_ERRDISABLE_WARNING"
        | "INVALID_ARP"
        | "ACL_DENY"
        | "MACFLAP_NOTIF"
        | "PACKET_RATE_EXCEEDED"
        | "DUPADDR"
        | "SECURITY_VIOLATION" => by(Action::Ids, Outcome::Failed),
        "ASSOC" | "SUCCESS" | "REASSOC" => {
            Extraction { actor: wireless::dot11(text), ..by(Action::Login, Outcome::Ok) }
        }
        "DISASSOC" | "DISCONNECT" => by(Action::Logout, Outcome::None),
        "FAIL" | "MAXRETRIES" | "MIC_FAILURE" => by(Action::Login, Outcome::Failed),
        "ASSIGN" | "ADDRESS_ASSIGN" => by(Action::Lease, Outcome::Ok),
        "ADDRESS_CONFLICT" | "PING_CONFLICT" => by(Action::Lease, Outcome::Failed),
        _ => return None,
    })
}

/// NX-OS hands on what its programs say: `Authentication failed for user bob from 192.0.2.7 - sshd[7]`.
fn system_message(text: &str) -> Extraction<'_> {
    let text = text.strip_prefix("pam_aaa:").unwrap_or(text);
    if let Some(tail) = text.strip_prefix("Authentication failed for user ") {
        let tail = tail.rsplit_once(" - ").map_or(tail, |(head, _program)| head);
        let (account, from) = tail.rsplit_once(" from ").unwrap_or((tail, ""));
        return of(FAMILY, Action::Login, Outcome::Failed).maybe_by(caller(word(from).0)).account(account);
    }
    Extraction { family: FAMILY, ..sshd::sshd(text) }
}
