//! Attacks on web servers: known patterns in what is asked for, and looking for what should not be there (ATT&CK T1190,
//! T1595.003).
//!
//! A request with an exploit's pattern is LOW: every server that the internet reaches gets them all day. Three within
//! five minutes from one address are MEDIUM, and so are five different doors that scanners try (`/.env`,
//! `/wp-login.php`), or thirty different pages within a minute that are not there; within five minutes they are LOW, as
//! search engines follow old links. Fifteen exploits are HIGH. That a server answered one with success is said; it is not
//! known what it answered.
//!
//! Patterns are looked for in the first 512 bytes of the path, in lower case, percent escapes undone once.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::Event,
    extraction::{Actor, Extraction, Object, Outcome},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::unsaid::Unsaid;
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::cut,
};

/// Bytes of a path that are looked at.
const PATH_BYTES: usize = 512;
/// Bytes of a path in a reason.
const SHOWN_BYTES: usize = 80;
/// Time in which requests are taken together, in milliseconds.
const TOGETHER_MS: i64 = 5 * 60_000;
/// Exploits of one address that are worth a look, and worth one now.
const EXPLOITS: [usize; 2] = [3, 15];
/// Different doors, and different pages that are not there.
const DOORS: usize = 5;
const MISSING: usize = 30;
/// Time within which so many missing pages are no search engine's, in milliseconds.
const HASTE_MS: i64 = 60_000;
/// Requests of one address that are kept.
const KEPT: usize = 48;
/// Lines kept as evidence.
const EVIDENCE_KEPT: usize = 4;

/// Exploits' patterns, with what each tries.
const PATTERNS: [(&str, &str); 36] = [
    ("../..", "path traversal"),
    ("..\\..", "path traversal"),
    ("/etc/passwd", "path traversal"),
    ("/etc/shadow", "path traversal"),
    ("/proc/self/", "path traversal"),
    ("win.ini", "path traversal"),
    ("php://", "file inclusion"),
    ("=http://", "file inclusion"),
    ("=https://", "file inclusion"),
    ("data://text", "file inclusion"),
    ("union select", "SQL injection"),
    ("union all select", "SQL injection"),
    ("' or '", "SQL injection"),
    ("' or 1=1", "SQL injection"),
    (" or 1=1", "SQL injection"),
    ("sleep(", "SQL injection"),
    ("benchmark(", "SQL injection"),
    ("waitfor delay", "SQL injection"),
    ("information_schema", "SQL injection"),
    ("<script", "cross-site scripting"),
    ("javascript:", "cross-site scripting"),
    ("onerror=", "cross-site scripting"),
    ("${jndi:", "Log4Shell (CVE-2021-44228)"),
    ("() {", "Shellshock (CVE-2014-6271)"),
    ("/bin/sh", "command injection"),
    ("/bin/bash", "command injection"),
    (";wget ", "command injection"),
    (";curl ", "command injection"),
    ("|wget ", "command injection"),
    ("`wget ", "command injection"),
    ("cmd.exe", "command injection"),
    ("allow_url_include", "command injection"),
    ("invokefunction", "command injection"),
    ("/vendor/phpunit/", "command injection"),
    ("class.module.classloader", "Spring4Shell (CVE-2022-22965)"),
    ("/shell?", "command injection"),
];

/// Doors that scanners try, and visitors of most sites never do.
const SCANNED: [&str; 34] = [
    "/.env",
    "/.git/",
    "/.aws/",
    "/.ssh/",
    "/.svn/",
    "/.ds_store",
    "/.htpasswd",
    "/wp-login.php",
    "/wp-admin",
    "/xmlrpc.php",
    "/wp-config",
    "/phpmyadmin",
    "/pma/",
    "/adminer",
    "/admin.php",
    "/administrator",
    "/manager/html",
    "/cgi-bin/",
    "/boaform/",
    "/hnap1",
    "/setup.cgi",
    "/solr/admin",
    "/actuator",
    "/server-status",
    "/phpinfo",
    "/info.php",
    "/config.json",
    "/backup.",
    "/dump.sql",
    "/id_rsa",
    "/owa/auth",
    "/autodiscover",
    "/telescope",
    "/_ignition",
];

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An exploit, and what it tries.
    Exploit(&'static str),
    /// A door.
    Door,
    /// A page that is not there.
    Missing,
}

/// What an address asked for lately.
#[derive(Debug, Default)]
struct Visits {
    /// When, which path, and what kind.
    seen: VecDeque<(i64, u64, Kind)>,
    unsaid: Unsaid,
}

impl Kind {
    /// Whether both are of one sort, whatever an exploit tries.
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl Suspicion for Visits {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, ..)| *at))
    }
}

impl Visits {
    /// Takes a request; a door or a page that was asked for before is moved to the end.
    fn add(&mut self, at: i64, path: u64, kind: Kind) {
        self.seen.retain(|(seen, ..)| (at - seen).abs() <= TOGETHER_MS);
        if self.seen.is_empty() {
            self.unsaid.clear();
        }
        if !matches!(kind, Kind::Exploit(_)) {
            self.seen.retain(|(_at, other, kept)| (*other, *kept) != (path, kind));
        }
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, path, kind));
        self.unsaid.saw();
    }

    fn count(&self, kind: Kind) -> usize {
        self.seen.iter().filter(|(.., kept)| kept.is_like(kind)).count()
    }

    fn took(&self) -> String {
        let times = || self.seen.iter().map(|(at, ..)| *at);
        span(times().max().unwrap_or_default() - times().min().unwrap_or_default())
    }

    /// How bad it is, and why in a sentence behind the address.
    fn judge(&self, kind: Kind) -> Option<(Severity, String)> {
        let (exploits, doors, missing) =
            (self.count(Kind::Exploit("")), self.count(Kind::Door), self.count(Kind::Missing));
        let took = self.took();
        let [some, many] = EXPLOITS;
        if exploits >= many {
            return Some((Severity::High, format!("{exploits} exploits within {took} (limit {many} in 5 min)")));
        }
        if exploits >= some {
            return Some((Severity::Medium, format!("{exploits} exploits within {took} (limit {some} in 5 min)")));
        }
        if doors >= DOORS {
            let told = format!("{doors} doors that scanners try within {took} (limit {DOORS} in 5 min)");
            return Some((Severity::Medium, told));
        }
        if missing >= MISSING {
            let newest = self.seen.iter().rev().filter(|(.., kept)| kept.is_like(Kind::Missing)).take(MISSING);
            let times = || newest.clone().map(|(at, ..)| *at);
            let took_ms = times().max().unwrap_or_default() - times().min().unwrap_or_default();
            let (severity, limit) =
                if took_ms <= HASTE_MS { (Severity::Medium, "1 min") } else { (Severity::Low, "5 min") };
            let told =
                format!("{missing} different pages that are not there within {took} (limit {MISSING} in {limit})");
            return Some((severity, told));
        }
        match kind {
            Kind::Exploit(tries) => Some((Severity::Low, tries.to_owned())),
            Kind::Door | Kind::Missing => None,
        }
    }
}

/// Addresses that asked for something odd lately.
#[derive(Debug)]
pub(super) struct Web {
    visitors: Bounded<IpAddr, Visits>,
}

impl Web {
    pub(super) fn new() -> Self {
        Self { visitors: Bounded::new(ACTORS_MAX) }
    }

    /// A request.
    pub(super) fn requested(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let (Some(Actor::Address(actor)), Some(Object::Path(path))) = (found.actor, found.object) else { return };
        let Some(kind) = kind_of(path, found.outcome) else { return };
        let at = when.at.unix_ms;
        let key = Key { story: Story::Web, subject: Subject::Address(actor) };
        let visits = self.visitors.entry(actor, Visits::default);
        visits.add(at, xxh3_64(path.as_bytes()), kind);
        let judged = visits.judge(kind).filter(|(severity, _why)| Some(*severity) > incidents.severity(&key, at));
        let Some((severity, why)) = judged else {
            visits.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        };
        let (evidence, count) = visits.unsaid.take(evidence(event, when.at));
        let mut reasons = vec![format!("{actor} asked for {}: {why}", cut(path, SHOWN_BYTES))];
        if found.outcome == Outcome::Ok && matches!(kind, Kind::Exploit(_)) {
            reasons.push("the server answered with success; look at what it sent".to_owned());
        }
        let sign = Sign {
            rule: "web",
            category: Category::WebAttack,
            severity,
            confidence: match severity {
                Severity::High => 0.95,
                Severity::Medium => 0.8,
                _ => 0.4,
            },
            message: match kind {
                Kind::Exploit(tries) => format!("{actor} attacks a web server: {tries}"),
                Kind::Door | Kind::Missing => format!("{actor} looks for weak spots of a web server"),
            },
            reasons,
            techniques: if matches!(kind, Kind::Exploit(_)) { &["T1190"] } else { &["T1595.003"] },
            actor: Some(actor.to_string().into()),
            victim: Some(super::guessing::victim(event)),
            evidence,
            count,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Addresses remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.visitors.len(), self.visitors.forgotten())
    }
}

/// What a request is; nothing where it is as most are.
fn kind_of(path: &str, outcome: Outcome) -> Option<Kind> {
    let mut buffer = [0; PATH_BYTES];
    let plain = plain(path, &mut buffer);
    let exploit = PATTERNS.iter().find(|(pattern, _tries)| holds(plain, pattern));
    if let Some((_pattern, tries)) = exploit {
        return Some(Kind::Exploit(tries));
    }
    if SCANNED.iter().any(|door| holds(plain, door)) {
        return Some(Kind::Door);
    }
    (outcome == Outcome::Failed).then_some(Kind::Missing)
}

fn holds(text: &[u8], pattern: &str) -> bool {
    text.windows(pattern.len()).any(|window| window == pattern.as_bytes())
}

/// The beginning of a path in lower case, `+` as a blank and percent escapes undone once.
fn plain<'buffer>(path: &str, buffer: &'buffer mut [u8; PATH_BYTES]) -> &'buffer [u8] {
    let mut rest = path.as_bytes();
    let mut length = 0;
    while let (Some((&byte, behind)), Some(place)) = (rest.split_first(), buffer.get_mut(length)) {
        let escaped = match behind {
            [high, low, after @ ..] if byte == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        (*place, rest) = match escaped {
            Some((escaped, after)) => (escaped.to_ascii_lowercase(), after),
            None if byte == b'+' => (b' ', behind),
            None => (byte.to_ascii_lowercase(), behind),
        };
        length += 1;
    }
    buffer.get(..length).unwrap_or_default()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
