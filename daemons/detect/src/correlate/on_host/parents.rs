//! Who starts processes: network services, package managers, builds; and which shells a service has a reason to start.
//!
//! A parent is known by its executable, so that a script is whatever interprets it: only programs of their own are named.

use nms_proto::severity::Severity;

use super::script::{base, call, commands, words};
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
    /// What starts the first process of a container.
    Containers,
    /// Anything else.
    Other,
}

const NEVER: [&str; 14] = [
    "nginx",
    "redis-server",
    "valkey-server",
    "mongod",
    "named",
    "memcached",
    "unbound",
    "varnishd",
    "vsftpd",
    "proftpd",
    "slapd",
    "rpcbind",
    "ntpd",
    "chronyd",
];
const SELDOM: [&str; 22] = [
    "mysqld",
    "mariadbd",
    "haproxy",
    "dnsmasq",
    "squid",
    "smbd",
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
const PACKAGES: [&str; 10] = ["dpkg", "apt", "apt-get", "aptitude", "rpm", "dnf", "zypper", "pacman", "apk", "snapd"];
const BUILDS: [&str; 15] = [
    "make", "gmake", "ninja", "cmake", "ctest", "cargo", "rustc", "go", "gcc", "cc", "g++", "clang", "bazel", "node",
    "nix",
];
const CONTAINERS: [&str; 6] = ["runc", "crun", "containerd-shim", "containerd-shim-runc-v2", "conmon", "buildkitd"];
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
const MANAGERS: [&str; 6] = ["systemd", "dockerd", "containerd", "kube-proxy", "libvirtd", "tailscaled"];
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

/// Java, whose applications (Hadoop, build servers) ask the system by these alone.
const JAVA: &str = "java";
const ASKED: [&str; 3] = ["id", "uname", "whoami"];

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
    } else if CONTAINERS.contains(&name) {
        Parent::Containers
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
    // Ansible's may be anywhere, by its settings.
    path.contains("/ansible-tmp-") || TOOLS.iter().any(|start| path.starts_with(start))
}

/// How bad a shell of that parent is, and why; nothing where it has a reason.
pub(super) fn shell((parent, name): (Parent, &str), cmdline: &str) -> Option<(Severity, &'static str)> {
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
            let script = words.rest.trim_ascii().trim_matches(['"', '\'']);
            if name == JAVA
                && commands(script).all(|command| call(command.text).is_none_or(|call| ASKED.contains(&call.name)))
            {
                return Some((Severity::Low, "it asks who and where it is, as applications in Java do"));
            }
            commands(script).next().and_then(|command| call(command.text))
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
