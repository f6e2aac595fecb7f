//! What a file is for, by its path: whether a change of it gives access, a foothold, or nothing.

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathClass {
    /// Users and groups.
    Account,
    /// Who may log in, and with what rights.
    Credential,
    /// What runs by itself.
    Persistence,
    /// Programs and libraries.
    Binary,
    /// Settings.
    Config,
    /// What changes by itself all day.
    Churn,
    /// Anything else.
    Other,
}

const ACCOUNTS: [&str; 8] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/group-",
    "/etc/gshadow-",
];
const CREDENTIALS: [&str; 8] = [
    "/etc/sudoers",
    "/etc/sudoers.d/",
    "/etc/pam.d/",
    "/etc/ssh/sshd_config",
    "/etc/ld.so.preload",
    "/etc/security/",
    "/etc/doas.conf",
    "/etc/polkit-1/",
];
const PERSISTENT: [&str; 12] = [
    "/etc/cron",
    "/var/spool/cron",
    "/etc/anacrontab",
    "/etc/systemd/",
    "/etc/init.d/",
    "/etc/rc.local",
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/init/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
    "/etc/ld.so.conf",
];
const PROGRAMS: [&str; 10] = [
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/lib/",
    "/lib64/",
    "/usr/lib/",
    "/boot/",
];
const CHURNING: [&str; 10] = [
    "/etc/resolv.conf",
    "/etc/mtab",
    "/etc/adjtime",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/cups/",
    "/etc/printcap",
    "/etc/machine-id",
    "/etc/fake-hwclock.data",
    "/etc/alternatives/",
];
/// Where web servers keep what they show.
const SITES: [&str; 4] = ["/var/www/", "/srv/www/", "/usr/share/nginx/html/", "/srv/http/"];
/// Names under which editors and package tools write before they rename.
const EDITING: [&str; 5] = ["~", ".swp", ".tmp", ".lock", ".dpkg-new"];

/// The class of an absolute path.
pub(super) fn class(path: &str) -> PathClass {
    let starts = |list: &[&str]| list.iter().any(|start| path.starts_with(start));
    let passing = EDITING.iter().any(|end| path.ends_with(end));
    if ACCOUNTS.contains(&path) {
        PathClass::Account
    } else if passing || starts(&CHURNING) {
        PathClass::Churn
    } else if starts(&CREDENTIALS)
        || path.ends_with("/.ssh/authorized_keys")
        || path.ends_with("/.ssh/authorized_keys2")
    {
        PathClass::Credential
    } else if starts(&PERSISTENT) {
        PathClass::Persistence
    } else if starts(&PROGRAMS) {
        PathClass::Binary
    } else if path.starts_with("/etc/") || starts(&SITES) {
        PathClass::Config
    } else {
        PathClass::Other
    }
}
