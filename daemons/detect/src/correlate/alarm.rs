//! The alarms of sensors, read from their own words: name, class, priority, and whether it was stopped.

use std::net::IpAddr;

use nms_proto::{extraction::AppFamily, severity::Severity};

use crate::{
    extract::{cisco, json::members, suricata},
    text::{address, after, between, cut, holds_any, pairs, word},
};

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Malware,
    Control,
    Web,
    Scan,
    Flood,
    Guess,
    Ban,
    Policy,
    Other,
}

/// One alarm. The addresses stand here only where the extractor does not know them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    pub(super) severity: Severity,
    pub(super) kind: Kind,
    /// The sensor did not let it through.
    pub(super) stopped: bool,
    /// It only informs.
    pub(super) informs: bool,
    /// The address stands on a list, whatever it does.
    pub(super) is_listed: bool,
    pub(super) from: Option<IpAddr>,
    pub(super) to: Option<IpAddr>,
}

impl<'a> Alarm<'a> {
    fn new(name: &'a str, class: &'a str, severity: Severity) -> Self {
        let kind = kind_of(name, class);
        Self {
            name,
            class,
            severity,
            kind,
            stopped: false,
            informs: kind == Kind::Policy || informs(name, class),
            is_listed: class == "Misc Attack" || LISTS.iter().any(|list| name.starts_with(list)),
            from: None,
            to: None,
        }
    }
}

/// Beginnings of names that tell of lists of addresses.
const LISTS: [&str; 5] = ["ET DROP", "ET CINS", "ET TOR", "ET COMPROMISED", "ET 3CORESec"];
/// Beginnings of names that only inform.
const INFORMING: [&str; 10] = [
    "ET POLICY",
    "ET INFO",
    "ET GAMES",
    "ET CHAT",
    "ET P2P",
    "ET HUNTING",
    "GPL INFO",
    "SURICATA ",
    "GPL ICMP",
    // The community strings that every monitoring server uses.
    "GPL SNMP",
];
/// Bytes of a name and of a class that are searched.
const SEARCHED_BYTES: usize = 160;

fn informs(name: &str, class: &str) -> bool {
    INFORMING.iter().any(|start| name.starts_with(start))
        || matches!(
            class,
            "Not Suspicious Traffic"
                | "Potentially Bad Traffic"
                | "Unknown Traffic"
                | "Generic Protocol Command Decode"
                | "Misc activity"
                | "Generic ICMP event"
        )
}

/// Words of a class or of a name, in lower case, with what they tell of; the first that is found decides.
const WORDS: [(&str, Kind); 31] = [
    ("command and control", Kind::Control),
    ("command-and-control", Kind::Control),
    (" cnc ", Kind::Control),
    (" c2 ", Kind::Control),
    ("botnet", Kind::Control),
    ("checkin", Kind::Control),
    ("denial of service", Kind::Flood),
    ("denial-of-service", Kind::Flood),
    ("flood", Kind::Flood),
    ("trojan", Kind::Malware),
    ("malware", Kind::Malware),
    ("ransom", Kind::Malware),
    ("backdoor", Kind::Malware),
    ("worm", Kind::Malware),
    ("virus", Kind::Malware),
    ("coin mining", Kind::Malware),
    ("coinminer", Kind::Malware),
    ("crypto currency mining", Kind::Malware),
    ("privacy violation", Kind::Policy),
    ("policy-violation", Kind::Policy),
    ("web application", Kind::Web),
    ("web-application", Kind::Web),
    ("sql injection", Kind::Web),
    ("sql.injection", Kind::Web),
    ("cross site", Kind::Web),
    ("information leak", Kind::Scan),
    ("attempted-recon", Kind::Scan),
    ("scan", Kind::Scan),
    ("brute", Kind::Guess),
    ("login attempt", Kind::Guess),
    ("password_guessing", Kind::Guess),
];

/// The beginning of a text in lower case.
fn lower<'buffer>(text: &str, buffer: &'buffer mut [u8; SEARCHED_BYTES]) -> &'buffer str {
    let text = cut(text, SEARCHED_BYTES);
    let Some(place) = buffer.get_mut(..text.len()) else { return "" };
    place.copy_from_slice(text.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).unwrap_or_default()
}

fn kind_of(name: &str, class: &str) -> Kind {
    let told = |text: &str| {
        let mut buffer = [0; SEARCHED_BYTES];
        let text = lower(text, &mut buffer);
        WORDS.iter().find(|(word, _kind)| text.contains(word)).map(|(_word, kind)| *kind)
    };
    if INFORMING.iter().any(|start| name.starts_with(start)) {
        return if name.starts_with("ET POLICY") || name.starts_with("ET P2P") { Kind::Policy } else { Kind::Other };
    }
    match (told(class), told(name)) {
        // The class of a controller is often that of malware, and the name knows more.
        (Some(Kind::Malware), Some(Kind::Control)) => Kind::Control,
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) => Kind::Other,
    }
}

/// The alarm that a line of `family` by `app` tells of.
pub(super) fn alarm<'a>(family: AppFamily, app: &'a str, text: &'a str) -> Option<Alarm<'a>> {
    match (family, app) {
        (_, "clamd" | "clamav" | "clamscan" | "clamav-milter" | "freshclam") => scanned(text),
        (_, "fail2ban" | "fail2ban-server" | "fail2ban.actions") => banned(text),
        (_, "rkhunter" | "chkrootkit") => rooted(text),
        (_, "zeek" | "bro") => noticed(text),
        (AppFamily::Suricata, _) => suricata::json(text).map_or_else(|| fast(text), record),
        (AppFamily::Fortigate, _) => inspected(text),
        (AppFamily::Asa, _) => firepower(app, text),
        (AppFamily::Ios, _) => signature(app, text),
        _ => None,
    }
}

fn by_priority(priority: &str) -> Severity {
    match priority {
        "1" => Severity::High,
        "2" => Severity::Medium,
        _ => Severity::Low,
    }
}

/// `[1:2019284:3] NAME [Classification: CLASS] [Priority: 1] {TCP} ...`, perhaps behind a stamp and `[Drop] [**]`.
fn fast(text: &str) -> Option<Alarm<'_>> {
    let (rest, stopped) = suricata::alert(text)?;
    let name = rest.split(" [").next().unwrap_or_default().trim_ascii().trim_matches('"');
    let tail = rest.get(name.len()..).unwrap_or_default();
    let class = between(tail, "[Classification: ", "]").unwrap_or_default();
    let priority = between(tail, "[Priority: ", "]").unwrap_or_default();
    Some(Alarm { stopped, ..Alarm::new(name, class, by_priority(priority)) })
}

/// Suricata's alert as a JSON record.
fn record(text: &str) -> Option<Alarm<'_>> {
    let (mut name, mut class, mut priority, mut stopped) = ("", "", "", false);
    for member in members(text).filter(|member| member.parent == "alert") {
        match member.name {
            "signature" => name = member.value,
            "category" => class = member.value,
            "severity" => priority = member.value,
            "action" => stopped = member.value == "blocked",
            _ => {}
        }
    }
    (!name.is_empty()).then(|| Alarm { stopped, ..Alarm::new(name, class, by_priority(priority)) })
}

/// Zeek's notice as a JSON record: `{"note":"Scan::Port_Scan","msg":"...","src":"192.0.2.7","dst":"10.0.0.5"}`.
fn noticed(text: &str) -> Option<Alarm<'_>> {
    let (mut note, mut from, mut to) = ("", None, None);
    for member in members(text).filter(|member| member.parent.is_empty()) {
        match member.name {
            "note" => note = member.value,
            "src" | "id.orig_h" => from = from.or_else(|| address(member.value)),
            "dst" | "id.resp_h" => to = to.or_else(|| address(member.value)),
            _ => {}
        }
    }
    let (kind, severity) = match note {
        "" => return None,
        "Scan::Port_Scan" | "Scan::Address_Scan" => (Kind::Scan, Severity::Medium),
        "SSH::Password_Guessing" | "FTP::Bruteforcing" => (Kind::Guess, Severity::Medium),
        "HTTP::SQL_Injection_Attacker" | "HTTP::SQL_Injection_Victim" => (Kind::Web, Severity::Medium),
        "TeamCymruMalwareHashRegistry::Match" => (Kind::Malware, Severity::High),
        "Intel::Notice" => (Kind::Other, Severity::Medium),
        _ => (Kind::Other, Severity::Low),
    };
    Some(Alarm { kind, from, to, ..Alarm::new(note, "", severity) })
}

/// `subtype="ips" severity="high" attack="..." action="dropped"`, `subtype="virus" virus="..." action="blocked"`.
fn inspected(text: &str) -> Option<Alarm<'_>> {
    let (mut part, mut name, mut severity, mut action) = ("", "", "", "");
    for (key, value) in pairs(text) {
        match key {
            "subtype" => part = value,
            "attack" | "attackname" if name.is_empty() => name = value,
            "virus" if !value.is_empty() => name = value,
            "severity" | "crlevel" if severity.is_empty() => severity = value,
            "action" => action = value,
            _ => {}
        }
    }
    // What floods, and too many sessions, are told by the correlator of service denied.
    let is_flood = part == "anomaly" && (name.ends_with("_flood") || name.ends_with("_session"));
    if !matches!(part, "ips" | "virus" | "anomaly" | "waf") || is_flood {
        return None;
    }
    let stopped = holds_any(action, &["block", "drop", "reset", "clear", "deny"]);
    let severity = match (part, severity) {
        ("virus", _) if !stopped => Severity::High,
        // A virus that was caught; and thresholds of floods say critical by default.
        ("virus" | "anomaly", _) | (_, "medium") => Severity::Medium,
        (_, "critical" | "high") => Severity::High,
        _ => Severity::Low,
    };
    let name = if name.is_empty() { part } else { name };
    let told = Alarm::new(name, "", severity);
    let kind = match part {
        "virus" => Kind::Malware,
        "anomaly" if told.kind == Kind::Other => Kind::Flood,
        "waf" => Kind::Web,
        _ => told.kind,
    };
    Some(Alarm { kind, stopped, informs: false, ..told })
}

/// The ASA's number for rates, which the correlator of service denied reads.
const RATE: &str = "733100";

/// Firepower's `430001: ... Message: NAME, Classification: CLASS, Priority: 1`, and the ASA's own `4000nn` and `73310n`, but for [`RATE`].
fn firepower<'a>(app: &'a str, text: &'a str) -> Option<Alarm<'a>> {
    let (code, text) = cisco::message(app, text)?;
    let number = code.rsplit('-').next().unwrap_or_default();
    if number == "430001" {
        let field = |start: &str| between(text, start, ", ");
        let name = field("Message: ").unwrap_or("an intrusion event").trim_matches('"');
        let severity = match field("Priority: ").or_else(|| field("EventPriority: ")) {
            Some("1" | "High") => Severity::High,
            Some("2" | "Medium") => Severity::Medium,
            _ => Severity::Low,
        };
        let stopped = holds_any(field("InlineResult: ").unwrap_or_default(), &["Dropped", "Blocked", "Would"]);
        let told = Alarm::new(name, field("Classification: ").unwrap_or_default(), severity);
        let (from, to) = (field("SrcIP: ").and_then(address), field("DstIP: ").and_then(address));
        return Some(Alarm { stopped, from, to, ..told });
    }
    let name = if number.starts_with("400") {
        text.split(" from ").next()?
    } else if number.starts_with("7331") && number != RATE {
        "a rate above its limit"
    } else {
        return None;
    };
    let to = after(text, " to ").and_then(|tail| address(word(tail).0));
    Some(Alarm { to, ..Alarm::new(name, "", Severity::Low) })
}

/// `Sig:5123 Subsig:0 Sev:5 NAME [192.0.2.7:4711 -> 10.0.0.5:80]`, of IOS' IPS.
fn signature<'a>(app: &'a str, text: &'a str) -> Option<Alarm<'a>> {
    let (_code, text) = cisco::message(app, text)?;
    let tail = after(text.strip_prefix("Sig:")?, "Sev:")?;
    let (level, tail) = word(tail);
    let severity = match level {
        "5" | "100" => Severity::High,
        "4" | "75" => Severity::Medium,
        _ => Severity::Low,
    };
    Some(Alarm::new(tail.split(" [").next()?, "", severity))
}

/// `/srv/share/x.exe: Win.Trojan.Agent-1 FOUND`: the path is somebody's, the name is the last word but one.
fn scanned(text: &str) -> Option<Alarm<'_>> {
    let text = text.split_once(" -> ").filter(|(stamp, _text)| is_stamp(stamp)).map_or(text, |(_stamp, text)| text);
    let (head, name) = text.strip_suffix(" FOUND")?.rsplit_once(": ")?;
    // What a mail server or a proxy hands over was caught at the door.
    let at_the_door = head.starts_with("instream(") || head.starts_with("fd[") || head.starts_with("stream(");
    let mild = ["Eicar", "EICAR", "PUA.", "Heuristics."].iter().any(|start| name.starts_with(start));
    let severity = match (at_the_door, mild || name.contains("EICAR") || name.contains("Eicar")) {
        (true, _) => Severity::Low,
        (false, true) => Severity::Medium,
        (false, false) => Severity::High,
    };
    Some(Alarm { kind: Kind::Malware, informs: at_the_door, ..Alarm::new(name, "", severity) })
}

/// `Tue Mar 10 10:00:00 2026`, as clamd begins a line of its own log. Paths, which may hold anything, begin with a slash.
fn is_stamp(text: &str) -> bool {
    const STAMP_BYTES: usize = 24;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b':';
    text.len() == STAMP_BYTES && text.bytes().all(fits) && text.ends_with(|last: char| last.is_ascii_digit())
}

/// `[sshd] Ban 192.0.2.7`, with a level in front in some releases.
fn banned(text: &str) -> Option<Alarm<'_>> {
    let jail = text.get(text.find('[')?..)?;
    let (jail, tail) = jail.split_once("] ")?;
    let from = address(tail.strip_prefix("Ban ")?.trim_ascii())?;
    let told = Alarm::new("a ban by fail2ban", "", Severity::Info);
    (jail.len() < 64).then_some(Alarm { kind: Kind::Ban, from: Some(from), ..told })
}

/// rkhunter's and chkrootkit's findings. Their warnings on packages are wrong more often than right.
fn rooted(text: &str) -> Option<Alarm<'_>> {
    let malware = |severity| Some(Alarm { kind: Kind::Malware, informs: false, ..Alarm::new(text, "", severity) });
    if let Some(count) = after(text, "Possible rootkits: ") {
        return if word(count).0 == "0" { None } else { malware(Severity::Medium) };
    }
    if text.contains("not infected") {
        return None;
    }
    if text.ends_with(" INFECTED") || text.starts_with("Rootkit found") {
        return malware(Severity::Medium);
    }
    if text.starts_with("Warning: ") || text.starts_with("Please inspect this machine") {
        return malware(Severity::Low);
    }
    None
}
