//! Units of systemd that write or watch logs, or keep others out: which daemon a line starts or stops. And those that
//! explain much: upgrades that no line of a package manager tells of, since it writes to files of its own.

use crate::text::strip_any;

/// Units by their name or by the beginning of their description, and the daemon of each.
const UNITS: [(&str, &str); 20] = [
    ("rsyslog.service", "rsyslogd"),
    ("System Logging Service", "rsyslogd"),
    ("syslog-ng.service", "syslog-ng"),
    ("System Logger Daemon", "syslog-ng"),
    ("auditd.service", "auditd"),
    ("Security Auditing Service", "auditd"),
    ("systemd-journald.service", "systemd-journald"),
    ("Journal Service", "systemd-journald"),
    ("nmsd-agent.service", "nmsd-agent"),
    ("nmsd-hub.service", "nmsd-hub"),
    ("ufw.service", "ufw"),
    ("Uncomplicated firewall", "ufw"),
    ("firewalld.service", "firewalld"),
    ("firewalld - dynamic firewall", "firewalld"),
    ("nftables.service", "nftables"),
    ("fail2ban.service", "fail2ban"),
    ("Fail2Ban Service", "fail2ban"),
    ("crowdsec.service", "crowdsec"),
    ("wazuh-agent.service", "wazuh-agent"),
    ("falco.service", "falco"),
];

/// Whether a daemon keeps others out rather than watching.
pub(super) fn protects(daemon: &str) -> bool {
    matches!(daemon, "ufw" | "firewalld" | "nftables" | "fail2ban" | "crowdsec")
}

/// Units that change packages or set a host up.
const TOOLS: [&str; 4] = ["apt-daily-upgrade.service", "Daily apt upgrade", "dnf-automatic", "unattended-upgrades"];
const SETUPS: [&str; 2] = ["cloud-init", "cloud-final"];

/// Whether a line of systemd tells of a unit that changes packages or sets the host up.
pub(super) fn is_tool(text: &str) -> bool {
    is_one_of(text, &TOOLS) || sets_up(text)
}

/// Whether a line of systemd tells of a unit that sets the host up, accounts and all.
pub(super) fn sets_up(text: &str) -> bool {
    is_one_of(text, &SETUPS)
}

fn is_one_of(text: &str, units: &[&str]) -> bool {
    let unit = strip_any(text, &["Starting ", "Started ", "Finished "]);
    unit.is_some_and(|unit| units.iter().any(|known| unit.starts_with(known)))
}

/// The daemon that a line of systemd is about, and whether it runs then.
pub(super) fn of(text: &str) -> Option<(&'static str, bool)> {
    let (unit, runs) = match text.split_once(' ')? {
        ("Started" | "Starting" | "Finished" | "Restarted", unit) => (unit, true),
        ("Stopped" | "Stopping", unit) | (unit, "Deactivated successfully." | "Succeeded.") => (unit, false),
        _ => return None,
    };
    let (_unit, daemon) = UNITS.iter().find(|(known, _daemon)| unit.starts_with(known))?;
    Some((daemon, runs))
}
