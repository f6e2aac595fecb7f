//! Which lines stand in two places: the units of the journal against the files a syslog daemon writes.
//!
//! On a host with both, rsyslog copies what the journal holds into files by facility. The names of
//! those files are the same on all distributions of a family, so that from a file's name follows what
//! it may hold. A file of another name is an application's own, and holds nothing of the journal.

use std::path::Path;

use crate::pattern::Pattern;

/// What a syslog file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Logins,
    Kernel,
    Mail,
    Cron,
    /// Everything but logins.
    Rest,
}

/// The files that syslog daemons write in `/var/log`, by the rules of Debian, Red Hat and SUSE.
const FILES: [(&str, Holds); 15] = [
    ("auth.log", Holds::Logins),
    ("secure", Holds::Logins),
    ("kern.log", Holds::Kernel),
    ("mail.log", Holds::Mail),
    ("mail.info", Holds::Mail),
    ("mail.warn", Holds::Mail),
    ("mail.err", Holds::Mail),
    ("maillog", Holds::Mail),
    ("cron.log", Holds::Cron),
    ("cron", Holds::Cron),
    ("syslog", Holds::Rest),
    ("messages", Holds::Rest),
    ("daemon.log", Holds::Rest),
    ("user.log", Holds::Rest),
    ("debug", Holds::Rest),
];

/// The units that log under the facilities of logins, mail and cron, without `.service`.
const LOGIN_UNITS: [&str; 8] = ["ssh", "sshd", "systemd-logind", "sudo", "su", "polkit", "login", "getty"];
const MAIL_UNITS: [&str; 6] = ["postfix", "exim4", "exim", "sendmail", "dovecot", "opensmtpd"];
const CRON_UNITS: [&str; 5] = ["cron", "crond", "cronie", "anacron", "atd"];

/// The file among those that `pattern` stands for that holds lines of the journal too: of `units`, or of any unit
/// where that is empty.
pub(super) fn overlap(pattern: &Pattern, units: &[String]) -> Option<(String, Option<String>)> {
    FILES.iter().find_map(|(name, holds)| {
        let path = Path::new("/var/log").join(name);
        if !pattern.matches(&path) {
            return None;
        }
        let file = path.display().to_string();
        if units.is_empty() {
            return Some((file, None));
        }
        let unit = units.iter().find(|unit| logs_to(unit, *holds))?;
        Some((file, Some(unit.clone())))
    })
}

/// Whether lines of `unit` come to a file that holds `holds`.
fn logs_to(unit: &str, holds: Holds) -> bool {
    let (name, _) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let name = name.split('@').next().unwrap_or(name);
    // What a star may stand for is not known.
    let any = name.contains(['*', '?', '[']);
    let is = |units: &[&str]| any || units.contains(&name);
    match holds {
        Holds::Logins => is(&LOGIN_UNITS),
        Holds::Mail => is(&MAIL_UNITS),
        Holds::Cron => is(&CRON_UNITS),
        Holds::Kernel => any,
        Holds::Rest => any || !is(&LOGIN_UNITS),
    }
}
