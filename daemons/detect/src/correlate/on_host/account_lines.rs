//! What shadow-utils, PAM and Windows say of accounts, as one list of changes.
//!
//! Names stand between the tool's own words and are cut at them; nothing is looked for inside a name.

use crate::{
    extract::WindowsRecord,
    text::{starts, strip_any},
};

/// A change of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// It was made: whether for a service, which nobody logs in as.
    Made { service: bool },
    /// It has root's number.
    Root,
    /// It joined a group.
    Joined(&'a str),
    /// Its password was set by somebody.
    Password,
    /// It may log in again.
    Unlocked,
    /// A service's account was given a shell.
    Shell(&'a str),
}

/// Whose account, what changed, and who did it where the line says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) account: &'a str,
    pub(super) change: Change<'a>,
    pub(super) by: Option<&'a str>,
}

/// Groups whose members can do what root can, or read what root can.
const GROUPS: [&str; 9] = ["sudo", "wheel", "adm", "admin", "docker", "root", "lxd", "disk", "shadow"];
/// The same on Windows, as its languages call them.
const WINDOWS_GROUPS: [&str; 14] = [
    "administrators",
    "domain admins",
    "enterprise admins",
    "schema admins",
    "account operators",
    "backup operators",
    "dnsadmins",
    "administratoren",
    "domänen-admins",
    "administrateurs",
    "admins du domaine",
    "administradores",
    "admins. del dominio",
    "amministratori",
];
/// The ends of their security identifiers: built-in administrators, domain, schema and enterprise administrators.
const WINDOWS_IDS: [&str; 4] = ["S-1-5-32-544", "-512", "-518", "-519"];
/// Windows' own accounts that matter most.
const WINDOWS_ACCOUNTS: [&str; 5] = ["Administrator", "krbtgt", "Guest", "Gast", "Administrateur"];
/// Accounts of services, which need no shell.
const SERVICES: [&str; 26] = [
    "www-data", "apache", "nginx", "nobody", "daemon", "bin", "sys", "mail", "news", "uucp", "proxy", "backup", "list",
    "games", "mysql", "postgres", "redis", "mongodb", "tomcat", "postfix", "dovecot", "named", "bind", "ftp", "sshd",
    "git",
];

/// Whether an account is one of a service.
pub(super) fn is_service(account: &str) -> bool {
    SERVICES.contains(&account)
}

/// Whether the members of a group are administrators.
pub(super) fn is_admins(group: &str) -> bool {
    GROUPS.contains(&group)
}

fn is_shell(path: &str) -> bool {
    path.ends_with("sh") && !path.contains("nologin")
}

/// `LEFT' MIDDLE 'RIGHT'`: what stands left and right of the words between.
fn around<'a>(text: &'a str, words: &str) -> Option<(&'a str, &'a str)> {
    let (left, right) = text.rsplit_once(words)?;
    Some((left, right.trim_end_matches(['\'', '.'])))
}

/// A line of shadow-utils, or what PAM says of a password in the name of `app`.
pub(super) fn told<'a>(app: &str, text: &'a str) -> Option<Told<'a>> {
    let of = |account, change| Some(Told { account, change, by: None });
    if let Some(tail) = text.strip_prefix("new user: name=") {
        let (account, fields) = tail.split_once(", UID=")?;
        let (uid, fields) = fields.split_once(',').unwrap_or((fields, ""));
        let number: u32 = uid.trim_ascii().parse().ok()?;
        let shell = fields.rsplit_once("shell=").map_or("", |(_head, tail)| tail.split(',').next().unwrap_or_default());
        let service = number < 1_000 && (is_service(account) || !is_shell(shell));
        return of(account, if number == 0 { Change::Root } else { Change::Made { service } });
    }
    if let Some(tail) = text.strip_prefix("add '") {
        let (account, group) = around(tail, "' to group '").or_else(|| around(tail, "' to shadow group '"))?;
        return of(account, Change::Joined(group));
    }
    if let Some(tail) = strip_any(text, &["change user '", "changed user '"]) {
        if let Some((account, uids)) = around(tail, "' UID from '") {
            return uids.ends_with(" to '0").then_some(()).and_then(|()| of(account, Change::Root));
        }
        if let Some((account, shells)) = around(tail, "' shell from '") {
            let (_old, shell) = shells.rsplit_once("' to '")?;
            return shelled(account, shell);
        }
        if let Some((account, shell)) = around(tail, "' shell to '") {
            return shelled(account, shell);
        }
        return around(tail, "' password").and_then(|(account, _rest)| of(account, Change::Password));
    }
    if let Some(tail) = text.strip_prefix("unlock user '") {
        return around(tail, "' password").and_then(|(account, _rest)| of(account, Change::Unlocked));
    }
    if let Some(tail) = text.strip_prefix("password for ") {
        let (account, change, by) = match tail.rsplit_once(" changed by ") {
            Some((account, by)) => (account, Change::Password, by),
            None => tail.rsplit_once(" unlocked by ").map(|(account, by)| (account, Change::Unlocked, by))?,
        };
        return Some(Told { account: account.trim_matches('\''), change, by: Some(by.trim_matches('\'')) });
    }
    if let Some(tail) = text.strip_prefix("user ") {
        let (head, group) = tail.rsplit_once(" to group ")?;
        let (account, by) = head.rsplit_once(" added by ")?;
        return Some(Told { account, change: Change::Joined(group), by: Some(by) });
    }
    if let Some(tail) = text.strip_prefix("members of group ") {
        let (head, members) = tail.rsplit_once(" to ")?;
        let (group, by) = head.split_once(" set by ")?;
        return (!members.is_empty()).then_some(Told { account: members, change: Change::Joined(group), by: Some(by) });
    }
    // Who speaks for PAM must be who it speaks of: other applications write others' words.
    let (service, account) = text.strip_prefix("pam_unix(")?.split_once(":chauthtok): password changed for ")?;
    app.starts_with(service).then_some(()).and_then(|()| of(account, Change::Password))
}

/// An account's new shell; only a service's is worth a word.
fn shelled<'a>(account: &'a str, shell: &'a str) -> Option<Told<'a>> {
    (is_service(account) && is_shell(shell)).then_some(Told { account, change: Change::Shell(shell), by: None })
}

/// A Windows event about an account.
pub(super) fn windows<'a>(record: &WindowsRecord<'a>) -> Option<Told<'a>> {
    let target = record.target?;
    let of = |account, change| Some(Told { account, change, by: record.subject });
    match record.id {
        // A computer's account ends in a dollar sign and comes with the computer.
        4720 | 624 => of(target, Change::Made { service: target.ends_with('$') }),
        4728 | 4732 | 4756 | 632 | 636 | 660 => {
            // The rendered text names the member where members name the group.
            let group = record.object.unwrap_or(target);
            let admins = WINDOWS_GROUPS.iter().any(|known| group.eq_ignore_ascii_case(known))
                || record
                    .group
                    .is_some_and(|id| id.starts_with("S-1-5-") && WINDOWS_IDS.iter().any(|known| id.ends_with(known)));
            admins.then_some(()).and_then(|()| of(record.member.unwrap_or("an account"), Change::Joined(group)))
        }
        4722 | 626 if is_own(target) => of(target, Change::Unlocked),
        4724 | 628 if is_own(target) => of(target, Change::Password),
        _ => None,
    }
}

/// Whether an account came with Windows.
fn is_own(account: &str) -> bool {
    WINDOWS_ACCOUNTS.iter().any(|known| account.len() == known.len() && starts(account, known))
}
