//! Who starts processes: network services, package managers, builds; and which shells a service has a reason to start.

use nms_proto::severity::Severity;

use super::script::{base, call, words};
use crate::text::holds_any;

/// What started a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// A network service that never starts a shell.
    Never,
    /// A network service that seldom does.
    Seldom,
    /// A package manager.
    Packages,
    /// A tool that builds or tests.
    Builds,
    /// Anything else.
    Other,
}

const NEVER: [&str; 20] = [
    "nginx",
    "redis-server",
    "valkey-server",
    "mysqld",
    "mariadbd",
    "mongod",
    "named",
    "memcached",
    "haproxy",
    "unbound",
    "dnsmasq",
    "squid",
    "varnishd",
    "vsftpd",
    "proftpd",
    "smbd",
    "slapd",
    "rpcbind",
    "ntpd",
    "chronyd",
];
const SELDOM: [&str; 16] = [
    "apache2",
    "httpd",
    "lighttpd",
    "php-fpm",
    "php-cgi",
    "java",
    "postgres",
    "postmaster",
    "postfix",
    "master",
    "exim4",
    "exim",
    "dovecot",
    "uwsgi",
    "gunicorn",
    "caddy",
];
const PACKAGES: [&str; 16] = [
    "dpkg",
    "apt",
    "apt-get",
    "aptitude",
    "rpm",
    "dnf",
    "yum",
    "zypper",
    "pacman",
    "apk",
    "snapd",
    "dpkg-preconfigure",
    "unattended-upgr",
    "unattended-upgrade",
    "needrestart",
    "mkinitramfs",
];
const BUILDS: [&str; 22] = [
    "make",
    "gmake",
    "ninja",
    "cmake",
    "ctest",
    "cargo",
    "rustc",
    "go",
    "gcc",
    "cc",
    "g++",
    "clang",
    "bazel",
    "meson",
    "npm",
    "node",
    "pytest",
    "mvn",
    "gradle",
    "configure",
    "tox",
    "nix",
];
/// Folders in which tools are known to run what they made.
const TOOLS: [&str; 12] = [
    "/tmp/go-build",
    "/tmp/rustc",
    "/tmp/cargo",
    "/tmp/.mount_",
    "/tmp/ansible",
    "/tmp/pip-",
    "/tmp/npm-",
    "/var/tmp/mkinitramfs",
    "/var/tmp/dracut",
    "/var/tmp/rpm-tmp",
    "/tmp/jenkins",
    "/tmp/bazel",
];
/// Programs that stop services and change packet filters as their work.
const MANAGERS: [&str; 14] = [
    "systemd",
    "dockerd",
    "containerd",
    "ufw",
    "firewalld",
    "fail2ban-server",
    "kube-proxy",
    "libvirtd",
    "shorewall",
    "ufw-init",
    "netfilter-persistent",
    "puppet",
    "salt-minion",
    "tailscaled",
];
/// Programs that services run through a shell for their own work.
const NEEDED: [&str; 34] = [
    "sendmail",
    "postdrop",
    "mail",
    "msmtp",
    "rotatelogs",
    "cronolog",
    "convert",
    "magick",
    "mogrify",
    "identify",
    "gs",
    "ffmpeg",
    "ffprobe",
    "exiftool",
    "wkhtmltopdf",
    "pdftotext",
    "git",
    "test",
    "[",
    "cp",
    "rsync",
    "gzip",
    "lz4",
    "zstd",
    "pgbackrest",
    "wal-g",
    "barman-cloud-wal-archive",
    "barman-wal-archive",
    "envdir",
    "true",
    "procmail",
    "maildrop",
    "spamc",
    "logger",
];
/// Programs with which an intruder looks around and gets on, and those that some applications run too.
const INTRUDING: [&str; 14] =
    ["id", "whoami", "uname", "w", "who", "last", "wget", "curl", "nc", "ncat", "bash", "sh", "crontab", "base64"];
const LOOKING: [&str; 16] = [
    "cat", "hostname", "ifconfig", "ip", "netstat", "ss", "ps", "ls", "pwd", "python", "python3", "perl", "chmod",
    "find", "env", "sudo",
];

/// What a parent is, by its path.
pub(super) fn of(path: &str) -> Parent {
    let name = base(path);
    // `php-fpm8.2`, `python3.11`, `apache2`: a version behind the name.
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let is = |list: &[&str]| list.contains(&name) || list.contains(&bare);
    if is(&NEVER) {
        Parent::Never
    } else if is(&SELDOM) {
        Parent::Seldom
    } else if is(&PACKAGES) || path.starts_with("/usr/lib/apt/") || path.starts_with("/var/lib/dpkg/") {
        Parent::Packages
    } else if is(&BUILDS) {
        Parent::Builds
    } else {
        Parent::Other
    }
}

/// Whether a program stops services and flushes packet filters as its work.
pub(super) fn manages(name: &str) -> bool {
    MANAGERS.contains(&name)
}

/// Whether a path in a folder for temporary files is a tool's own.
pub(in crate::correlate) fn is_tools(path: &str) -> bool {
    TOOLS.iter().any(|start| path.starts_with(start))
}

/// How bad a shell of that parent is, and why; nothing where it has a reason.
pub(super) fn shell(parent: Parent, cmdline: &str) -> Option<(Severity, &'static str)> {
    if parent == Parent::Never {
        return Some((Severity::High, "this service never starts a shell"));
    }
    if parent != Parent::Seldom {
        return None;
    }
    let mut words = words(cmdline);
    let _shell = words.next();
    let flag = words.by_ref().find(|word| !word.starts_with("--"));
    let inner = match flag {
        None | Some("-i" | "-li" | "-l") => return Some((Severity::High, "nobody gave the shell a command")),
        Some(flag) if flag.starts_with('-') && flag.ends_with('c') => {
            call(words.rest.trim_start().trim_start_matches(['"', '\'']))
        }
        // A script of the service's own.
        Some(_) => return None,
    };
    let name = inner.map(|call| call.name).unwrap_or_default();
    let secret = inner.is_some_and(|call| holds_any(call.rest, &["/etc/passwd", "/etc/shadow", ".env", "id_rsa"]));
    if NEEDED.contains(&name) {
        None
    } else if INTRUDING.contains(&name) || name == "cat" && secret {
        Some((Severity::High, "it looks around or fetches, as an intruder does"))
    } else if LOOKING.contains(&name) {
        Some((Severity::Medium, "it looks around"))
    } else {
        Some((Severity::Low, "what it runs is not known"))
    }
}
