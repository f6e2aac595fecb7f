//! Process starts on Windows (events 4688 and Sysmon's 1) that few ordinary people make.

use nms_proto::{finding::Category, severity::Severity};

use crate::{
    extract::WindowsRecord,
    text::{cut, starts},
};

/// Bytes of a command line that are looked at, and shown.
const COMMAND_BYTES: usize = 1_024;
const SHOWN_BYTES: usize = 120;

/// What is said of a process.
pub(super) struct Told {
    pub(super) category: Category,
    pub(super) severity: Severity,
    pub(super) confidence: f32,
    pub(super) what: &'static str,
    pub(super) reason: String,
    pub(super) techniques: &'static [&'static str],
}

/// A row: words that must all be there, the category, severity, confidence, what it does, techniques.
type Row = (&'static [&'static str], Category, Severity, f32, &'static str, &'static [&'static str]);

const ROWS: [Row; 25] = [
    (
        &["powershell", " -w", "hidden", " -e"],
        Category::SuspiciousProcess,
        Severity::High,
        0.8,
        "runs what was encoded, in a hidden window",
        &["T1059.001", "T1027"],
    ),
    (&["net", " user ", "/add"], Category::Persistence, Severity::Medium, 0.55, "makes an account", &["T1136.001"]),
    (
        &["net", " localgroup ", "admin", "/add"],
        Category::PrivilegeEscalation,
        Severity::Medium,
        0.6,
        "makes somebody an administrator",
        &["T1098.007"],
    ),
    (&["wevtutil", " clear-log "], Category::LogTampering, Severity::High, 0.85, "clears an event log", &["T1070.001"]),
    (&["auditpol", "/clear"], Category::LogTampering, Severity::High, 0.85, "removes what is audited", &["T1562.002"]),
    (
        &["wbadmin", "delete", "systemstatebackup"],
        Category::Ransomware,
        Severity::High,
        0.85,
        "removes backups of the system",
        &["T1490"],
    ),
    (
        &["win32_shadowcopy", "delete()"],
        Category::Ransomware,
        Severity::High,
        0.85,
        "removes the copies from which files could be restored",
        &["T1490"],
    ),
    (
        &["mshta", "http"],
        Category::SuspiciousProcess,
        Severity::High,
        0.8,
        "runs what was just fetched",
        &["T1218.005"],
    ),
    (
        &["regsvr32", "/i:http"],
        Category::SuspiciousProcess,
        Severity::High,
        0.85,
        "runs what was just fetched",
        &["T1218.010"],
    ),
    (
        &["vssadmin", "delete", "shadows"],
        Category::Ransomware,
        Severity::High,
        0.85,
        "removes the copies from which files could be restored",
        &["T1490"],
    ),
    (
        &["wmic", "shadowcopy", "delete"],
        Category::Ransomware,
        Severity::High,
        0.85,
        "removes the copies from which files could be restored",
        &["T1490"],
    ),
    (
        &["wbadmin", "delete", "catalog"],
        Category::Ransomware,
        Severity::High,
        0.85,
        "removes the catalogue of backups",
        &["T1490"],
    ),
    (
        &["bcdedit", "recoveryenabled", "no"],
        Category::Ransomware,
        Severity::High,
        0.8,
        "switches off recovery at the next start",
        &["T1490"],
    ),
    (&["mimikatz"], Category::Malware, Severity::High, 0.9, "runs mimikatz", &["T1003.001"]),
    (&["sekurlsa::"], Category::Malware, Severity::High, 0.95, "reads passwords from memory", &["T1003.001"]),
    (
        &["procdump", "lsass"],
        Category::SuspiciousProcess,
        Severity::High,
        0.9,
        "reads passwords from memory",
        &["T1003.001"],
    ),
    (
        &["comsvcs.dll", "minidump"],
        Category::SuspiciousProcess,
        Severity::High,
        0.9,
        "reads passwords from memory",
        &["T1003.001", "T1218.011"],
    ),
    (
        &["reg", " save ", "hklm\\sam"],
        Category::SuspiciousProcess,
        Severity::High,
        0.85,
        "copies the file of password hashes",
        &["T1003.002"],
    ),
    (
        &["ntdsutil", "ifm"],
        Category::SuspiciousProcess,
        Severity::High,
        0.8,
        "copies the directory with its password hashes",
        &["T1003.003"],
    ),
    (&["wevtutil", " cl "], Category::LogTampering, Severity::High, 0.85, "clears an event log", &["T1070.001"]),
    (&["clear-eventlog"], Category::LogTampering, Severity::High, 0.85, "clears an event log", &["T1070.001"]),
    (
        &["set-mppreference", "-disablerealtimemonitoring", "true"],
        Category::SuspiciousProcess,
        Severity::High,
        0.85,
        "switches off Windows Defender",
        &["T1562.001"],
    ),
    (
        &["netsh", "advfirewall", "state", "off"],
        Category::SuspiciousProcess,
        Severity::Medium,
        0.6,
        "switches off the firewall",
        &["T1562.004"],
    ),
    (
        &["certutil", "-urlcache", "http"],
        Category::SuspiciousProcess,
        Severity::High,
        0.8,
        "fetches a file with certutil",
        &["T1105"],
    ),
    (
        &["powershell", "downloadstring", "iex"],
        Category::SuspiciousProcess,
        Severity::High,
        0.8,
        "runs what was just fetched",
        &["T1059.001", "T1105"],
    ),
];
/// Programs that serve or show documents, and start no shell.
const PARENTS: [&str; 8] =
    ["w3wp.exe", "sqlservr.exe", "winword.exe", "excel.exe", "powerpnt.exe", "outlook.exe", "httpd.exe", "nginx.exe"];
const SHELLS: [&str; 6] = ["cmd.exe", "powershell.exe", "pwsh.exe", "wscript.exe", "cscript.exe", "mshta.exe"];
/// Programs that look for a text, and so may hold any.
const INERT: [&str; 3] = ["findstr", "notepad", "find.exe"];

/// What an event's process does, and who runs it.
pub(super) fn told<'a>(record: &WindowsRecord<'a>) -> Option<(Told, &'a str)> {
    if !matches!((record.sysmon, record.id), (true, 1) | (false, 4688 | 592)) {
        return None;
    }
    let user = record.subject.or(record.target).unwrap_or("somebody");
    let program = base(record.object.unwrap_or_default());
    let command = record.command.unwrap_or_default();
    let mut buffer = [0; COMMAND_BYTES];
    let lower = lowercase(command, &mut buffer);
    let inert = INERT.iter().any(|name| starts(program, name));
    let row = ROWS.iter().find(|(words, ..)| !inert && words.iter().all(|word| lower.contains(word)));
    if let Some((_words, category, severity, confidence, what, techniques)) = row {
        let reason = format!("{user} ran {}", cut(command, SHOWN_BYTES));
        let (category, severity, confidence) = (category.clone(), *severity, *confidence);
        return Some((Told { category, severity, confidence, what, reason, techniques }, user));
    }
    let parent = base(record.parent.unwrap_or_default());
    let is = |list: &[&str], name: &str| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    (is(&PARENTS, parent) && is(&SHELLS, program)).then(|| {
        let told = Told {
            category: Category::SuspiciousProcess,
            severity: Severity::High,
            confidence: 0.8,
            what: "started a shell from a program that has no use for one",
            reason: format!("{parent} started {program}: {}", cut(command, SHOWN_BYTES)),
            techniques: &["T1059.003", "T1203"],
        };
        (told, user)
    })
}

fn base(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or_default()
}

fn lowercase<'buffer>(text: &str, buffer: &'buffer mut [u8; COMMAND_BYTES]) -> &'buffer str {
    let text = cut(text, COMMAND_BYTES).as_bytes();
    let Some(place) = buffer.get_mut(..text.len()) else { return "" };
    place.copy_from_slice(text);
    place.make_ascii_lowercase();
    std::str::from_utf8(place).unwrap_or_default()
}
