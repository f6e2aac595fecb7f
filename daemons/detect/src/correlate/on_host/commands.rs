//! Commands that few ordinary people run, and where they were run from (ATT&CK T1059).
//!
//! What a command line does is told by `deeds`; how bad that is depends on who ran it. A line is read from sudo, cron, the
//! audit log (EXECVE), process starts and Windows' process events.
//!
//! ```text
//! a shell for somebody far away    CRITICAL             runs what was encoded, fetched   HIGH; by name over TLS MEDIUM, a
//! a miner of coins                 HIGH                                                  well-known installer LOW
//! a log of logins removed          HIGH                 the system's log removed         MEDIUM, old ones LOW
//! what watches the host stopped    MEDIUM, night HIGH   what protects it stopped         MEDIUM, night HIGH
//! root's rights for whoever runs   HIGH                 hashes read, history removed     MEDIUM
//! a program in /tmp                MEDIUM; by sudo or a build LOW; hidden one step more; by a package manager nothing
//! ```
//!
//! By the account of a service, or from a network service, everything is one step more and at least HIGH; from cron a program
//! in /tmp and what is fetched and run are HIGH and persistence (T1053.003). A shell that a network service starts
//! (T1505.003) is HIGH where the service never has one, where nobody gave it a command, or where it runs what intruders run first;
//! what looks around and may belong to an application is MEDIUM, what mail, picture and archive programs need is passed
//! over, any other command LOW.

use nms_proto::{
    event::{Body, ProcessStart},
    extraction::{AppFamily, Object},
    finding::Category,
    severity::Severity,
};

use super::{
    Case, Desk,
    account_lines::is_service,
    at_work::{AtWork, Work, is_night},
    audit_lines,
    deeds::{self, Deed},
    log_tampering::{DEFENCES, LOGS},
    logs::Worth,
    parents::{self, Parent},
    script::{self, base, words},
    windows_commands,
};
use crate::{
    extract::{SUDO_COMMAND, windows_record},
    incident::Sign,
    subject::Story,
    text::cut,
};

/// Commands of one line of sudo that are looked at, beside the first.
const COMMANDS_MAX: usize = 4;
/// Bytes of a command in a sentence.
const SHOWN_BYTES: usize = 120;
/// Bytes of a name.
const NAME_BYTES: usize = 64;

/// Where a command was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Sudo,
    Cron,
    Process,
    Audit,
}

/// A command as it was run.
struct Run<'a> {
    text: &'a str,
    user: &'a str,
    origin: Origin,
    parent: Parent,
    parent_name: &'a str,
}

/// What is said of a deed.
struct Told {
    story: Story,
    category: Category,
    severity: Severity,
    confidence: f32,
    what: String,
    techniques: &'static [&'static str],
}

/// A command by sudo or cron, a process start, an audit record or a Windows event.
pub(super) fn ran(desk: &mut Desk<'_>, work: &mut AtWork, case: &Case<'_>) {
    let user = case.user().unwrap_or_default();
    let run = |text, origin| Run { text, user, origin, parent: Parent::Other, parent_name: "" };
    match (&case.event.body, case.found.family) {
        (Body::Process(start), _) => process(desk, work, case, start),
        (_, AppFamily::Sudo | AppFamily::Cron) => {
            let Some(Object::Program(command)) = case.found.object else { return };
            let origin = if case.found.family == AppFamily::Cron { Origin::Cron } else { Origin::Sudo };
            if origin == Origin::Cron {
                if let Some(deed) = deeds::of_script(command, 0) {
                    say(desk, work, case, &run(command, origin), deed);
                }
                return;
            }
            // A folder may be called like a command: each may be the true one, and the worst is told.
            let tails = command.match_indices(SUDO_COMMAND).take(COMMANDS_MAX);
            let tails = tails.filter_map(|(at, mark)| command.get(at + mark.len()..));
            let runs = std::iter::once(command).chain(tails).map(|command| run(command, origin));
            let judged = runs.filter_map(|run| Some((judged(work, case, &run, deeds::of_arguments(run.text)?)?, run)));
            let worst = judged.max_by_key(|((told, _why), _run)| told.severity);
            if let Some(((told, why), run)) = worst {
                raise(desk, case, &run, told, why);
            }
        }
        (Body::Syslog(line), AppFamily::Winlogon) => {
            let record = windows_record(line);
            if let Some((told, user)) = windows_commands::told(&record) {
                let story = match told.category {
                    Category::Malware | Category::Ransomware => Story::Malware,
                    Category::LogTampering => Story::Logs,
                    _ => Story::Process,
                };
                let subject = if story == Story::Logs { LOGS } else { user };
                let sign = case.sign(case.key(story, subject), "commands", told.category);
                let (reason, user) = (told.reason, cut(user, NAME_BYTES));
                desk.raise(
                    case,
                    Sign {
                        severity: told.severity,
                        confidence: told.confidence,
                        message: format!("{user} on {} {}", case.host(), told.what),
                        reasons: vec![reason],
                        techniques: told.techniques,
                        actor: Some(user.into()),
                        ..sign
                    },
                );
            }
        }
        _ => {
            let Some(command) = audit_lines::command(case.text) else { return };
            if let Some(deed) = deeds::of_arguments(&command) {
                say(desk, work, case, &run(&command, Origin::Audit), deed);
            }
        }
    }
}

fn process(desk: &mut Desk<'_>, work: &mut AtWork, case: &Case<'_>, start: &ProcessStart) {
    let parent = parents::of(&start.parent);
    if parent == Parent::Packages {
        return;
    }
    let text = if start.cmdline.trim_ascii().is_empty() { &start.exe } else { &start.cmdline };
    let run = Run { text, user: &start.user, origin: Origin::Process, parent, parent_name: base(&start.parent) };
    let temporary = deeds::is_temporary(&start.exe).then_some(Deed::Temporary(&start.exe));
    if let Some(deed) = deeds::of_arguments(text).or(temporary) {
        say(desk, work, case, &run, deed);
    }
    if !deeds::is_shell(base(&start.exe)) {
        return;
    }
    let Some((severity, why)) = parents::shell((parent, run.parent_name), text) else { return };
    let told = Told {
        story: Story::Process,
        category: Category::SuspiciousProcess,
        severity,
        confidence: match severity {
            Severity::High => 0.85,
            Severity::Medium => 0.5,
            _ => 0.2,
        },
        what: format!("the service {} started a shell", cut(run.parent_name, NAME_BYTES)),
        techniques: &["T1505.003", "T1059.004"],
    };
    raise(desk, case, &run, told, why.into());
}

fn say(desk: &mut Desk<'_>, work: &mut AtWork, case: &Case<'_>, run: &Run<'_>, deed: Deed<'_>) {
    if let Some((told, why)) = judged(work, case, run, deed) {
        raise(desk, case, run, told, why);
    }
}

/// What is said of a deed, and what made it worse.
fn judged(work: &mut AtWork, case: &Case<'_>, run: &Run<'_>, deed: Deed<'_>) -> Option<(Told, String)> {
    let by_service = is_service(run.user) || matches!(run.parent, Parent::Never | Parent::Seldom);
    let mut told = told(work, case, run, deed)?;
    let mut why = String::new();
    if by_service && told.severity > Severity::Low {
        told.severity = one_more(told.severity).max(Severity::High);
        told.confidence = told.confidence.max(0.85);
        why = if is_service(run.user) {
            format!("{} is the account of a service", cut(run.user, NAME_BYTES))
        } else {
            format!("{} is a network service", cut(run.parent_name, NAME_BYTES))
        };
    }
    if run.origin == Origin::Cron && matches!(deed, Deed::Temporary(_) | Deed::Fetch { named: false } | Deed::Decode) {
        (told.story, told.category) = (Story::Account, Category::Persistence);
        told.severity = told.severity.max(Severity::High);
        (told.techniques, told.confidence) = (&["T1053.003", "T1059.004"], told.confidence.max(0.75));
        why = String::from("cron runs it again and again");
    }
    Some((told, why))
}

fn raise(desk: &mut Desk<'_>, case: &Case<'_>, run: &Run<'_>, told: Told, why: String) {
    let subject = match (run.user, run.parent_name) {
        _ if told.story == Story::Logs => LOGS,
        _ if told.techniques.contains(&"T1562.004") => DEFENCES,
        ("", "") => "host",
        ("", parent) => parent,
        (user, _) => user,
    };
    let key = case.key(told.story, subject);
    if desk.incidents.severity(&key, case.at()) >= Some(told.severity) && desk.count(case, &key) {
        return;
    }
    let from = match run.origin {
        Origin::Sudo => "by sudo",
        Origin::Cron => "by cron",
        Origin::Process => "as a process",
        Origin::Audit => "in the audit log",
    };
    let who = if run.user.is_empty() { "somebody" } else { cut(run.user, NAME_BYTES) };
    let mut reasons = vec![format!("{who} ran {from}: {}", cut(run.text, SHOWN_BYTES))];
    if !run.parent_name.is_empty() {
        reasons.push(format!("it was started by {}", cut(run.parent_name, NAME_BYTES)));
    }
    if !why.is_empty() {
        reasons.push(why);
    }
    let sign = case.sign(key, "commands", told.category);
    desk.raise(
        case,
        Sign {
            severity: told.severity,
            confidence: told.confidence,
            message: format!("{} on {}", told.what, case.host()),
            reasons,
            techniques: told.techniques,
            actor: (!run.user.is_empty()).then(|| run.user.into()),
            ..sign
        },
    );
}

fn one_more(severity: Severity) -> Severity {
    Severity::ALL.into_iter().find(|higher| *higher > severity).unwrap_or(Severity::Critical)
}

/// What a deed is worth before it is known that a service or cron did it.
fn told(work: &mut AtWork, case: &Case<'_>, run: &Run<'_>, deed: Deed<'_>) -> Option<Told> {
    use Severity::{Critical, High, Low, Medium};
    let who = if run.user.is_empty() { "somebody" } else { cut(run.user, NAME_BYTES) };
    let process = |severity, confidence, what: String, techniques| Told {
        story: Story::Process,
        category: Category::SuspiciousProcess,
        severity,
        confidence,
        what,
        techniques,
    };
    let logs = |severity, confidence, what: String, techniques| Told {
        story: Story::Logs,
        category: Category::LogTampering,
        ..process(severity, confidence, what, techniques)
    };
    // What manages a host stops and flushes for its own reasons.
    let guards = matches!(deed, Deed::Watchers(_) | Deed::Defences(_));
    if guards && run.origin == Origin::Process && parents::manages(run.parent_name) {
        return None;
    }
    let stopped = match work.now(case) {
        _ if !guards => Medium,
        Work::Tool { .. } => Low,
        _ if is_night(case.when.at) => High,
        _ => Medium,
    };
    Some(match deed {
        Deed::Vacuum => logs(Low, 0.1, format!("{who} removes old lines of the journal"), &["T1070.002"]),
        Deed::Rules => logs(Low, 0.2, format!("{who} removes the rules of what is audited"), &["T1562.012"]),
        Deed::Logs(path, worth) => {
            let (severity, confidence) = match worth {
                // Whoever builds an image starts without logs.
                _ if run.parent == Parent::Containers => (Low, 0.1),
                Worth::Much => (High, 0.8),
                Worth::Some => (Medium, 0.5),
                Worth::Little => (Low, 0.1),
            };
            logs(severity, confidence, format!("{who} removes the log {}", cut(path, NAME_BYTES)), &["T1070.002"])
        }
        Deed::History => logs(Medium, 0.5, format!("{who} hides what was typed"), &["T1070.003"]),
        Deed::Watchers(service) => {
            logs(stopped, 0.6, format!("{who} stops {service}, which watches"), &["T1562.001", "T1562.006"])
        }
        Deed::Defences(service) => {
            process(stopped, 0.55, format!("{who} stops {service}, which protects"), &["T1562.001", "T1562.004"])
        }
        Deed::Temporary(path) => {
            let (severity, confidence) = temporary(work, case, run, path)?;
            process(
                severity,
                confidence,
                format!("{who} runs a program from a folder for temporary files, {}", cut(path, NAME_BYTES)),
                &["T1059", "T1036.005"],
            )
        }
        Deed::Terminal => process(Medium, 0.5, format!("{who} makes a shell a full terminal"), &["T1059.006"]),
        Deed::Credentials(path) => {
            let copied = run.origin == Origin::Cron && run.user == "root" && is_copy_of_accounts(run.text);
            let (severity, confidence) = if copied { (Low, 0.1) } else { (Medium, 0.5) };
            process(severity, confidence, format!("{who} reads {}", cut(path, NAME_BYTES)), &["T1003.008", "T1552.004"])
        }
        Deed::Grants(path) => Told {
            story: Story::Account,
            category: Category::Persistence,
            ..process(Medium, 0.6, format!("{who} writes to {}", cut(path, NAME_BYTES)), &["T1098", "T1574.006"])
        },
        Deed::Setuid(path) => Told {
            story: Story::Rights,
            category: Category::PrivilegeEscalation,
            ..process(High, 0.85, format!("{who} lets everybody run {} as root", cut(path, NAME_BYTES)), &["T1548.001"])
        },
        Deed::Fetch { named } => {
            let (severity, confidence) = match named {
                true if deeds::is_installer(run.text) => (Low, 0.1),
                true => (Medium, 0.45),
                false => (High, 0.75),
            };
            process(severity, confidence, format!("{who} runs what was just fetched"), &["T1105", "T1059.004"])
        }
        Deed::Decode => process(High, 0.8, format!("{who} runs what was encoded"), &["T1027", "T1140"]),
        Deed::Miner => Told {
            story: Story::Malware,
            category: Category::Malware,
            ..process(High, 0.9, format!("{who} mines coins"), &["T1496"])
        },
        Deed::Remote => {
            process(Critical, 0.95, format!("{who} gives a shell to somebody far away"), &["T1059.004", "T1071"])
        }
    })
}

/// Whether a command copies the files of accounts together, as a backup of them does.
fn is_copy_of_accounts(command: &str) -> bool {
    const TOGETHER: [&str; 3] = ["/etc/passwd", "/etc/shadow", "/etc/group"];
    const COPYING: [&str; 5] = ["cp", "tar", "rsync", "install", "zip"];
    let copies = script::call(command).is_some_and(|call| COPYING.contains(&call.name));
    copies && TOGETHER.iter().all(|path| words(command).any(|word| word == *path))
}

/// How bad a program in a folder for temporary files is; nothing where tools are known to run some.
fn temporary(work: &mut AtWork, case: &Case<'_>, run: &Run<'_>, path: &str) -> Option<(Severity, f32)> {
    if parents::is_tools(path) {
        return None;
    }
    // A name in brackets is a kernel's thread, or wants to look like one.
    let hidden = path.contains("/.") || path.starts_with("/dev/shm/") || run.text.starts_with('[');
    let by_tool = matches!(work.now(case), Work::Tool { .. });
    let mild = by_tool || run.origin == Origin::Sudo || run.parent == Parent::Builds;
    let severity = match (hidden, mild) {
        (false, true) => Severity::Low,
        (true, false) => Severity::High,
        (true, true) | (false, false) => Severity::Medium,
    };
    let confidence = match severity {
        Severity::High => 0.75,
        Severity::Medium => 0.5,
        _ => 0.15,
    };
    Some((severity, confidence))
}
