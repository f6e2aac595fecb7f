//! What administrators do on routers and firewalls, in the words of each: who, from where, and what it concerns.

use std::net::IpAddr;

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use crate::{
    extract::{cisco, mikrotik},
    text::{address, after, between, holds_any, pairs, quoted, strip_any, word},
};

/// What a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A login to the device itself; no change yet.
    Login,
    /// As `Login`, where the program also serves hosts that are no routers; true where it was by a key.
    Shell(bool),
    /// Any setting.
    Settings,
    /// What the firewall lets through.
    Rules,
    /// Who may administer.
    Accounts,
    /// Where logs go.
    LogTarget,
    /// Whether there are logs.
    LogOff,
    /// The software itself.
    Firmware,
}

/// What a line tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) change: Change,
    pub(super) by: &'a str,
    pub(super) from: Option<IpAddr>,
}

/// Reads a line of a router.
pub(super) fn told<'a>(found: &Extraction<'a>, app: &'a str, text: &'a str) -> Option<Told<'a>> {
    match found.family {
        AppFamily::Ios => ios(found, app, text),
        AppFamily::Asa => asa(found, app, text),
        AppFamily::Fortigate => fortigate(found, text),
        AppFamily::Mikrotik => routeros(found, text),
        AppFamily::Openwrt => login(found, Change::Login),
        AppFamily::Dropbear => login(found, Change::Shell(text.starts_with("Pubkey "))),
        _ => php(text),
    }
}

/// A login that the extractor understood, from an address.
fn login<'a>(found: &Extraction<'a>, change: Change) -> Option<Told<'a>> {
    let Some(Actor::Address(from)) = found.actor else { return None };
    let is_login = (found.action, found.outcome) == (Action::Login, Outcome::Ok);
    is_login.then(|| Told { change, by: found.account.unwrap_or_default(), from: Some(from) })
}

/// What a command of Cisco's concerns.
fn command(command: &str) -> Change {
    let command = command.trim_ascii();
    let starts = |words: &[&str]| words.iter().any(|start| command.starts_with(start));
    if starts(&["no logging host", "no logging server", "no logging trap"]) {
        Change::LogTarget
    } else if starts(&["no logging", "clear logging", "no archive", "clear configure logging"]) {
        Change::LogOff
    } else if starts(&["username ", "no username ", "enable secret", "enable password", "aaa ", "no aaa "]) {
        Change::Accounts
    } else if starts(&[
        "access-list ",
        "no access-list",
        "ip access-list",
        "no ip access-",
        "access-group",
        "no access-group",
        "ip access-group",
        "clear configure access-",
        "same-security",
        "zone-pair",
        "no zone-pair",
    ]) {
        Change::Rules
    } else if starts(&["boot system", "no boot system", "install ", "copy tftp", "software "]) {
        Change::Firmware
    } else {
        Change::Settings
    }
}

fn ios<'a>(found: &Extraction<'a>, app: &'a str, text: &'a str) -> Option<Told<'a>> {
    let (code, text) = cisco::message(app, text)?;
    match code.rsplit('-').next()? {
        // Configured from console by admin on vty0 (192.0.2.7); NX-OS: from vty by admin on 192.0.2.7@pts/0
        "CONFIG_I" | "VSHD_SYSLOG_CONFIG_I" => {
            let (by, place) = after(text, " by ")?.split_once(" on ").unwrap_or((after(text, " by ")?, ""));
            let from = match place.rsplit_once('(') {
                Some((_line, from)) => address(from.trim_end_matches([')', '.'])),
                None => place.split('@').next().and_then(address),
            };
            Some(Told { change: Change::Settings, by: word(by).0, from })
        }
        "CFGLOG_LOGGEDCMD" => {
            let by = between(text, "User:", " ").unwrap_or_default();
            let change = command(after(text, "logged command:")?.trim_start_matches('!'));
            Some(Told { change, by, from: None })
        }
        // Logging to host 192.0.2.9 port 514 stopped - CLI initiated
        "LOGGINGHOST_STARTSTOP" => {
            text.ends_with(" stopped - CLI initiated").then_some(Told { change: Change::LogTarget, by: "", from: None })
        }
        _ => login(found, Change::Login),
    }
}

fn asa<'a>(found: &Extraction<'a>, app: &'a str, text: &'a str) -> Option<Told<'a>> {
    let (code, text) = cisco::message(app, text)?;
    match code.rsplit('-').next()? {
        // User 'admin', running 'CLI' from IP 192.0.2.7, executed 'no logging enable'
        "111010" => {
            let tail = after(after(text, "', running '")?, "' from IP ")?;
            let (from, executed) = tail.split_once(", executed '")?;
            Some(Told { change: command(executed), by: quoted(text, '\'')?, from: address(from) })
        }
        // User 'enable_15' executed the 'no logging enable' command.
        "111008" => {
            let change = command(after(text, "' executed the '")?);
            let by = quoted(text, '\'')?;
            (change != Change::Settings).then_some(Told { change, by, from: None })
        }
        "502101" | "502103" => Some(Told { change: Change::Accounts, by: "", from: None }),
        // Login permitted from 192.0.2.7/4711 to inside:192.0.2.1/ssh: who comes by an inner interface is inside.
        "605005" if strip_any(after(text, " to ")?, &["inside", "mgmt", "management", "lan"]).is_some() => None,
        // VPN users log in with other numbers.
        "605005" | "611101" => login(found, Change::Login),
        _ => None,
    }
}

fn fortigate<'a>(found: &Extraction<'a>, text: &'a str) -> Option<Told<'a>> {
    let (mut kind, mut part, mut action, mut path, mut attributes, mut by) = ("", "", "", "", "", "");
    for (key, value) in pairs(text) {
        match key {
            "type" => kind = value,
            "subtype" => part = value,
            "action" => action = value,
            "cfgpath" => path = value,
            "cfgattr" => attributes = value,
            "user" => by = value,
            _ => {}
        }
    }
    if (kind, part) != ("event", "system") {
        return None;
    }
    let from = if let Some(Actor::Address(from)) = found.actor { Some(from) } else { None };
    let change = match action {
        "login" => return login(found, Change::Login),
        "restore-image" | "upgrade-image" => Change::Firmware,
        "Add" | "Edit" | "Delete" if path.starts_with("log.") => {
            if attributes.contains("status[enable->disable]") {
                Change::LogOff
            } else {
                Change::LogTarget
            }
        }
        "Add" if matches!(path, "system.admin" | "system.api-user") => Change::Accounts,
        "Edit" if path == "system.admin" && holds_any(attributes, &["accprofile[", "password["]) => Change::Accounts,
        "Add" | "Edit" | "Delete" if path.starts_with("firewall") => Change::Rules,
        "Add" | "Edit" | "Delete" => Change::Settings,
        _ => return None,
    };
    Some(Told { change, by, from })
}

/// `user bob added by admin`, `filter rule changed by winbox-3.40/tcp-msg(winbox):admin@192.0.2.7`.
fn routeros<'a>(found: &Extraction<'a>, text: &'a str) -> Option<Told<'a>> {
    let text = text.split_once(' ').filter(|(topics, _rest)| topics.contains(',')).map_or(text, |(_topics, rest)| rest);
    if found.action == Action::Login {
        return text.starts_with("user ").then(|| login(found, Change::Login)).flatten();
    }
    let (what, who) = mikrotik::change(text)?;
    let (by, from) = match who.rsplit_once('@') {
        Some((by, from)) => {
            let by = by.rsplit_once(':').map_or(by, |(_program, by)| by);
            (by, from.split([' ', '/', '(']).next().and_then(address))
        }
        None => (word(who).0, None),
    };
    let starts = |words: &[&str]| words.iter().any(|start| what.starts_with(start));
    let change = if what.starts_with("user ") && what.ends_with(" added") {
        Change::Accounts
    } else if starts(&["log rule", "log action", "logging"]) {
        Change::LogTarget
    } else if starts(&["filter rule", "nat rule", "mangle rule", "raw rule", "address list", "ip service"]) {
        Change::Rules
    } else {
        Change::Settings
    };
    Some(Told { change, by, from })
}

/// pfSense and `OPNsense`: `/index.php: Successful login for user 'admin' from: 192.0.2.7 (Local Database)`,
/// `/firewall_rules.php: Configuration Change: admin@192.0.2.7 (Local Database): ...`, `user root@192.0.2.7 changed
/// configuration to ...`.
fn php(text: &str) -> Option<Told<'_>> {
    if let Some(tail) = text.strip_prefix("user ") {
        let (who, tail) = tail.split_once(" changed configuration to ")?;
        let (by, from) = who.rsplit_once('@')?;
        return Some(Told { change: page(tail), by, from: address(from) });
    }
    let (path, said) =
        text.split_once(": ").filter(|(path, _said)| path.starts_with('/') && path.strip_suffix(".php").is_some())?;
    if let Some(tail) = said.strip_prefix("Successful login for user '") {
        let (by, from) = tail.rsplit_once("' from: ")?;
        return Some(Told { change: Change::Login, by, from: address(word(from).0) });
    }
    let tail = said.strip_prefix("Configuration Change: ")?;
    let (by, from) = word(tail).0.rsplit_once('@')?;
    Some(Told { change: page(path), by, from: address(from.trim_end_matches(':')) })
}

fn page(path: &str) -> Change {
    if holds_any(path, &["/firewall_", "/api/firewall"]) {
        Change::Rules
    } else if holds_any(path, &["/system_usermanager", "/system_groupmanager", "/api/auth"]) {
        Change::Accounts
    } else if holds_any(path, &["/status_logs_settings", "/api/syslog"]) {
        Change::LogTarget
    } else {
        Change::Settings
    }
}

/// Whether a line under a web program's name may be of pfSense or `OPNsense`.
pub(super) fn is_suspect(text: &str) -> bool {
    text.starts_with('/') && text.contains(".php: ")
        || text.starts_with("user ") && text.contains(" changed configuration")
}
