//! Which files are logs, what each is worth to whoever hides, and which commands remove them (ATT&CK T1070.002).

use super::{
    deeds::Deed,
    script::{Call, base, words},
};

/// What a log tells of an intruder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// An application's log, or an old one.
    Little,
    /// The system's own; it also fills disks.
    Some,
    /// Who logged in and what he did.
    Much,
}

/// The logs of logins and audit, and of the system, below `/var/log/`.
const MUCH: [&str; 9] =
    ["auth.log", "secure", "wtmp", "btmp", "lastlog", "faillog", "audit/audit.log", "audit", "sudo.log"];
const SOME: [&str; 8] = ["syslog", "messages", "kern.log", "daemon.log", "user.log", "cron", "cron.log", "journal"];

/// What a path is worth, where it is a log's or its folder's.
pub(super) fn worth(path: &str) -> Option<Worth> {
    if matches!(path, "/var/run/utmp" | "/run/utmp") {
        return Some(Worth::Much);
    }
    let name = path.strip_prefix("/var/log")?;
    let name = match name.strip_prefix('/') {
        Some(name) => name.trim_end_matches('/'),
        None if name.is_empty() => "",
        None => return None,
    };
    let all = matches!(name, "" | "*" | "*.*" | "*log" | "*.log");
    Some(match name {
        _ if all || MUCH.contains(&name) || name.trim_end_matches("/*") == "audit" => Worth::Much,
        _ if SOME.contains(&name) || name.starts_with("journal/") => Worth::Some,
        _ => Worth::Little,
    })
}

/// Whether a path is where a rotated log goes: `auth.log.1`, `secure-20260310`, `syslog.2.gz`.
pub(super) fn is_rotated(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/var/log/") else { return false };
    let name = name.trim_end_matches(".gz").trim_end_matches(".xz").trim_end_matches(".zst").trim_end_matches(".bz2");
    let tail = name.rsplit(['.', '-']).next().unwrap_or_default();
    let digits = !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit());
    digits && tail.len() < name.len() || name.len() + "/var/log/".len() < path.len()
}

/// Whether a rotated file is called after a log, in whatever folder: `auth.log.1` after `auth.log`.
pub(super) fn is_rotated_from(path: &str, log: &str) -> bool {
    let tail = base(path).strip_prefix(base(log));
    tail.is_some_and(|tail| tail.starts_with(['.', '-']))
}

/// What a call removes.
pub(super) fn removed<'a>(call: &Call<'a>) -> Option<Deed<'a>> {
    let logs = || {
        let paths = words(call.rest).filter(|word| !word.starts_with('-'));
        paths.filter_map(|path| Some((worth(path)?, path))).max_by_key(|(worth, _path)| *worth)
    };
    let has = |flags: &[&str]| words(call.rest).any(|word| flags.contains(&word));
    let history = || words(call.rest).find(|word| is_history(word));
    match call.name {
        "rm" | "shred" | "unlink" | "truncate" | "wipe" | "srm" => {
            if history().is_some() {
                return Some(Deed::History);
            }
            // What was rotated is old, and goes some day.
            logs().map(|(worth, path)| Deed::Logs(path, if is_rotated(path) { Worth::Little } else { worth }))
        }
        "ln" if has(&["/dev/null"]) => {
            history().map(|_path| Deed::History).or_else(|| logs().map(|(worth, path)| Deed::Logs(path, worth)))
        }
        "cp" | "mv" | "cat" if has(&["/dev/null"]) => {
            let last = words(call.rest).last()?;
            worth(last).map(|worth| Deed::Logs(last, worth))
        }
        "find" => {
            let deletes = has(&["-delete"]) || has(&["-exec"]) && has(&["rm", "shred", "truncate"]);
            let picks = has(&["-mtime", "-mmin", "-ctime", "-name", "-iname", "-size", "-regex"]);
            let (worth, path) = logs().filter(|_log| deletes)?;
            Some(Deed::Logs(path, if picks { Worth::Little } else { worth }))
        }
        "journalctl" => words(call.rest).any(|word| word.starts_with("--vacuum")).then_some(Deed::Vacuum),
        _ => None,
    }
}

fn is_history(path: &str) -> bool {
    path.ends_with("/.bash_history")
        || path.ends_with("/.zsh_history")
        || matches!(path, "~/.bash_history" | ".bash_history")
}
