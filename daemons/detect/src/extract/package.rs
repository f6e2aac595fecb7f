//! Package managers: dpkg, apt, yum, dnf, rpm, pacman, apk, zypper, opkg and snap.
//!
//! What changes files of packages is `file`; the package is the object.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{starts, strip_any, word};

const FAMILY: AppFamily = AppFamily::Package;

/// Whether a text without an application is a line of dpkg's or pacman's own log.
pub(super) fn recognises(text: &str) -> bool {
    text.starts_with("status ") && text.contains(':') && dpkg(text).is_some()
        || text.starts_with("startup archives ")
        || text.starts_with("startup packages ")
        || text.starts_with('[') && (text.contains("[ALPM] ") || text.contains("[PACMAN] "))
}

/// A line of a package manager.
pub(super) fn package(text: &str) -> Extraction<'_> {
    let text =
        text.split_once("] [ALPM] ").or_else(|| text.split_once("] [PACMAN] ")).map_or(text, |(_stamp, tail)| tail);
    let text = strip_any(text, &["[ALPM] ", "[PACMAN] ", "SUBDEBUG ", "INFO ", "INFO: ", "DEBUG "]).unwrap_or(text);
    dpkg(text).or_else(|| others(text)).unwrap_or(Extraction::unknown(FAMILY))
}

fn changed(outcome: Outcome, package: &str) -> Extraction<'_> {
    let found = of(FAMILY, Action::File, outcome);
    if package.is_empty() { found } else { found.object(Object::Program(package)) }
}

fn dpkg(text: &str) -> Option<Extraction<'_>> {
    let (verb, rest) = word(text);
    match verb {
        "status" => {
            let (state, rest) = word(rest);
            let known =
                strip_any(state, &["installed", "unpacked", "half-", "config-files", "not-installed", "triggers-"]);
            known.map(|_state| changed(Outcome::Ok, word(rest).0))
        }
        "install" | "upgrade" | "configure" | "remove" | "purge" | "trigproc" | "disappear" | "conffile" => {
            Some(changed(Outcome::Ok, word(rest).0))
        }
        "startup" => Some(of(FAMILY, Action::Service, Outcome::Ok)),
        _ => None,
    }
}

fn others(text: &str) -> Option<Extraction<'_>> {
    const DONE: [&str; 20] = [
        "Installed: ",
        "Updated: ",
        "Upgraded: ",
        "Upgrade: ",
        "Erased: ",
        "Removed: ",
        "Reinstalled: ",
        "Downgraded: ",
        "Install: ",
        "Remove: ",
        "Purge: ",
        "Erase: ",
        "Installed ",
        "installed ",
        "upgraded ",
        "removed ",
        "reinstalled ",
        "Upgrading ",
        "Removing ",
        "downgraded ",
    ];
    if let Some(tail) = strip_any(text, &DONE) {
        return Some(changed(Outcome::Ok, word(tail).0.trim_end_matches([',', '.'])));
    }
    if let Some(tail) = strip_any(text, &["Installing ", "Configuring ", "Unpacking ", "Setting up "]) {
        return Some(changed(Outcome::None, word(tail).0.trim_end_matches(['.', ','])));
    }
    if let Some(command) =
        strip_any(text, &["Commandline: ", "Running '", "Command line: ", "DNF command: ", "Command: "])
    {
        let command = command.trim_end_matches('\'');
        return Some(of(FAMILY, Action::Command, Outcome::Ok).object(Object::Program(command)));
    }
    if starts(text, "all upgrades installed") || starts(text, "transaction completed") {
        return Some(of(FAMILY, Action::File, Outcome::Ok));
    }
    if starts(text, "transaction started") || starts(text, "packages that will be upgraded") {
        return Some(of(FAMILY, Action::File, Outcome::None));
    }
    let failed = ["error", "dpkg: error", "failed", "cannot "].iter().any(|start| starts(text, start));
    failed.then(|| of(FAMILY, Action::File, Outcome::Failed))
}
