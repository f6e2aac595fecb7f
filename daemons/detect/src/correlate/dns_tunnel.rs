//! Data carried in names that are asked for (ATT&CK T1071.004, T1048.003), and names made by a machine that do not exist
//! (T1568.002), from the query logs of dnsmasq, BIND and Unbound.
//!
//! A client that asks within 5 min for 40 different names under one registered domain, each with 24 bytes and more that
//! look encoded in front of it, is MEDIUM; 120 are HIGH, and so are 40 where half of them ask for TXT or NULL, in which
//! answers carry most. iodine and dnscat2 ask for hundreds a minute. What people call their hosts does not look encoded,
//! however many there are. A tunnel never asks twice, so a name that was asked for before that time does not count. A
//! tunnel needs a domain of its own, so names below content networks and clouds, where nobody can have one, do not count;
//! nor do reverse lookups, names of the local network, service discovery, and lookups by hash of virus scanners and block
//! lists, which are listed here.
//!
//! 50 different domains within 5 min that do not exist are MEDIUM, where the log names the client: software that looks
//! for its controller. A mistyped name is asked for with several suffixes, all of one domain.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::{Body, Event},
    extraction::{AppFamily, Extraction},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{encoded::is_encoded, guessing::victim, unsaid::Unsaid};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::{address, cut, word},
};

/// Time in which names are taken together, in milliseconds.
const TOGETHER_MS: i64 = 5 * 60_000;
/// Different long names of a domain that are a tunnel, and a busy one.
const MANY: usize = 40;
const LOUD: usize = 120;
/// Different domains that do not exist.
const MISSING: usize = 50;
/// Bytes in front of the domain that look encoded, from which on a name may carry data.
const LONG_BYTES: usize = 24;
/// Names that are remembered.
const KNOWN_MAX: usize = 8_192;
/// The shortest label of a domain that a machine makes.
const LABEL_BYTES: usize = 7;
/// Names of a domain that are kept, and clients with a domain that are told apart.
const KEPT: usize = 128;
const TUNNELS_MAX: usize = 2_048;
/// Lines kept as evidence, and bytes of a name that are shown.
const EVIDENCE_KEPT: usize = 4;
const SHOWN_BYTES: usize = 80;

/// Domains whose long names carry nothing: content networks and clouds, then scanners and block lists that ask by hash.
const ORDINARY: [&str; 62] = [
    "akadns.net",
    "akamai.net",
    "akamaiedge.net",
    "akamaihd.net",
    "akamaized.net",
    "amazonaws.com",
    "apple.com",
    "azure.com",
    "azure.net",
    "azureedge.net",
    "azurefd.net",
    "cdn77.org",
    "cedexis-radar.net",
    "cloudapp.net",
    "cloudflare.net",
    "cloudfront.net",
    "edgekey.net",
    "edgesuite.net",
    "fastly.net",
    "fastlylb.net",
    "fbcdn.net",
    "footprint.net",
    "google.com",
    "googleapis.com",
    "googleusercontent.com",
    "googlevideo.com",
    "gstatic.com",
    "gvt1.com",
    "icloud.com",
    "llnwd.net",
    "microsoft.com",
    "nflxvideo.net",
    "office.com",
    "sharepoint.com",
    "trafficmanager.net",
    "windows.net",
    "windowsupdate.com",
    "yahoodns.net",
    "abuse.ch",
    "abusix.zone",
    "avast.com",
    "avcdn.net",
    "barracudabrts.com",
    "barracudacentral.org",
    "bitdefender.net",
    "dnswl.org",
    "e5.sk",
    "eset.com",
    "fortiguard.net",
    "kaspersky.com",
    "mailspike.net",
    "mcafee.com",
    "msbl.org",
    "nordspam.com",
    "rspamd.com",
    "senderbase.org",
    "sophosxl.net",
    "spamhaus.org",
    "spamhaus.net",
    "surbl.org",
    "trendmicro.com",
    "uribl.com",
];
/// Top-level names that are not of the internet.
const LOCAL: [&str; 8] = ["arpa", "local", "lan", "internal", "localdomain", "home", "corp", "test"];

/// What a client asked for.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    client: IpAddr,
    name: &'a str,
    kind: &'a str,
    /// The answer was that there is no such name.
    is_missing: bool,
}

/// Reads the question of a line of dnsmasq, BIND or Unbound; the client stands where the program writes it.
fn question<'a>(family: AppFamily, app: &str, text: &'a str) -> Option<Question<'a>> {
    match (family, app) {
        (AppFamily::Dnsmasq, _) => dnsmasq(text),
        (_, "unbound") => unbound(text),
        _ => bind(text),
    }
}

/// `query[A] NAME from CLIENT`, and with `log-queries=extra` `7 CLIENT/4711 query[A] ...`, `7 CLIENT/4711 reply NAME is NXDOMAIN`.
fn dnsmasq(text: &str) -> Option<Question<'_>> {
    let (asked_by, said) = match text.as_bytes().first()? {
        b'0'..=b'9' => {
            let (_number, tail) = word(text);
            let (peer, said) = word(tail);
            (address(peer.split('/').next()?), said)
        }
        _ => (None, text),
    };
    if let Some((kind, tail)) = said.strip_prefix("query[").and_then(|tail| tail.split_once("] ")) {
        let (name, from) = tail.rsplit_once(" from ")?;
        return Some(Question { client: address(from)?, name, kind, is_missing: false });
    }
    let tail = said.strip_prefix("reply ").or_else(|| said.strip_prefix("cached "))?;
    let name = tail.strip_suffix(" is NXDOMAIN").or_else(|| tail.strip_suffix(" is NXDOMAIN-IPv4"))?;
    Some(Question { client: asked_by?, name, kind: "", is_missing: true })
}

/// `client @0x7f 192.0.2.7#5353 (NAME): query: NAME IN TXT +E(0)K (192.0.2.1)`, the category perhaps in front.
fn bind(text: &str) -> Option<Question<'_>> {
    let text = text.strip_prefix("queries: ").unwrap_or(text);
    let text = text.strip_prefix("info: ").unwrap_or(text).strip_prefix("client ")?;
    let text = text.strip_prefix('@').map_or(text, |tail| word(tail).1);
    let (client, tail) = text.split_once('#')?;
    let (_port, tail) = tail.split_once(": ")?;
    let tail = tail.strip_prefix("view ").map_or(tail, |tail| tail.split_once(": ").map_or("", |(_view, tail)| tail));
    let client = address(client)?;
    if let Some(tail) = tail.strip_prefix("query: ") {
        let (name, tail) = word(tail);
        return Some(Question { client, name, kind: word(word(tail).1).0, is_missing: false });
    }
    let tail = tail.strip_prefix("query failed (NXDOMAIN) for ")?;
    Some(Question { client, name: tail.split('/').next()?, kind: "", is_missing: true })
}

/// `[7:0] info: 192.0.2.7 NAME. TXT IN`, and with `log-replies` the outcome behind it.
fn unbound(text: &str) -> Option<Question<'_>> {
    let (_thread, tail) = text.split_once("info: ").filter(|(head, _tail)| head.len() <= 24)?;
    let mut words = tail.split(' ');
    let client = address(words.next()?)?;
    let (name, kind) = (words.next()?.trim_end_matches('.'), words.next()?);
    let is_missing = words.nth(1) == Some("NXDOMAIN");
    (!name.is_empty()).then_some(Question { client, name, kind, is_missing })
}

impl<'a> Question<'a> {
    /// What stands in front of the registered domain, and that domain: two labels, three where the second is a country's.
    fn parts(&self) -> Option<(&'a str, &'a str)> {
        const SECOND: [&str; 10] = ["co", "com", "net", "org", "ac", "gov", "edu", "ne", "or", "go"];
        let mut labels = self.name.rsplit('.');
        let (top, second) = (labels.next()?, labels.next()?);
        if LOCAL.iter().any(|local| top.eq_ignore_ascii_case(local)) {
            return None;
        }
        let mut length = top.len() + 1 + second.len();
        if top.len() == 2 && SECOND.iter().any(|known| second.eq_ignore_ascii_case(known)) {
            length += 1 + labels.next()?.len();
        }
        let (front, domain) = self.name.split_at_checked(self.name.len().checked_sub(length)?)?;
        Some((front.trim_end_matches('.'), domain))
    }

    /// The domain, where the name may carry data.
    fn carries(&self) -> Option<&'a str> {
        let (front, domain) = self.parts()?;
        let plain = front.len() < LONG_BYTES
            || front.contains("._")
            || front.starts_with('_')
            || ORDINARY.iter().any(|ordinary| domain.eq_ignore_ascii_case(ordinary));
        let encoded = || front.split('.').filter(|label| is_encoded(label)).map(str::len).sum::<usize>();
        (!plain && encoded() >= LONG_BYTES).then_some(domain)
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, "TXT" | "NULL" | "PRIVATE" | "KEY" | "type=10")
    }
}

/// Whether a line asks for a name that these look at; most names are short and exist.
pub(super) fn is_suspect(family: AppFamily, app: &str, text: &str) -> bool {
    question(family, app, text).is_some_and(|asked| asked.is_missing || asked.name.len() > LONG_BYTES)
}

/// Different names lately, each once with the last time and whether it asked for text.
#[derive(Debug, Default)]
struct Names {
    seen: VecDeque<(i64, u64, bool)>,
    unsaid: Unsaid,
}

impl Suspicion for Names {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, ..)| *at))
    }
}

impl Names {
    fn add(&mut self, at: i64, name: &str, is_text: bool) {
        let hash = xxh3_64(name.as_bytes());
        self.seen.retain(|(seen, other, _text)| (at - seen).abs() <= TOGETHER_MS && *other != hash);
        if self.seen.is_empty() {
            self.unsaid.clear();
        }
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, hash, is_text));
        self.unsaid.saw();
    }

    fn took_ms(&self) -> i64 {
        self.seen.back().map_or(0, |(at, ..)| *at) - self.seen.front().map_or(0, |(at, ..)| *at)
    }
}

/// When a name was first and last asked for.
#[derive(Debug)]
struct Asked {
    first: i64,
    last: i64,
}

impl Suspicion for Asked {
    fn suspicion(&self) -> (u32, i64) {
        // What was asked for again is worth keeping.
        (u32::from(self.last - self.first > TOGETHER_MS), self.last)
    }
}

/// What clients ask for.
#[derive(Debug)]
pub(super) struct DnsTunnel {
    known: Bounded<u64, Asked>,
    tunnels: Bounded<(IpAddr, u64), Names>,
    missing: Bounded<IpAddr, Names>,
}

impl DnsTunnel {
    pub(super) fn new() -> Self {
        Self {
            known: Bounded::new(KNOWN_MAX),
            tunnels: Bounded::new(TUNNELS_MAX),
            missing: Bounded::new(ACTORS_MAX / 4),
        }
    }

    /// A name that was asked for.
    pub(super) fn asked(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Body::Syslog(line) = &event.body else { return };
        let app = line.app.as_deref().unwrap_or_default();
        let Some(asked) = question(found.family, app, line.message.trim_ascii()) else { return };
        if let Some(domain) = asked.carries() {
            if !self.is_known(asked.name, when.at.unix_ms) {
                self.carried(incidents, event, (asked, domain), when, out);
            }
        } else if asked.is_missing {
            self.was_missing(incidents, event, asked, when, out);
        }
    }

    fn carried(
        &mut self,
        incidents: &mut Incidents,
        event: &Event,
        (asked, domain): (Question<'_>, &str),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let at = when.at.unix_ms;
        let names = self.tunnels.entry((asked.client, xxh3_64(domain.as_bytes())), Names::default);
        names.add(at, asked.name, asked.is_text());
        let count = names.seen.len();
        let texts = names.seen.iter().filter(|(.., is_text)| *is_text).count();
        let severity = match count {
            LOUD.. => Some(Severity::High),
            MANY.. if texts * 2 >= count => Some(Severity::High),
            MANY.. => Some(Severity::Medium),
            _ => None,
        };
        let key = Key { story: Story::Tunnel, subject: Subject::Address(asked.client) };
        let said = incidents.severity(&key, at);
        let Some(severity) = severity.filter(|severity| Some(*severity) > said) else {
            // Another domain's names are not the open incident's.
            if count >= MANY || said.is_none() {
                names.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            }
            return;
        };
        let limit = if count >= LOUD { LOUD } else { MANY };
        let domain = cut(domain, SHOWN_BYTES);
        let mut reasons = vec![format!(
            "{} asked for {count} long random names below {domain} within {} (limit {limit} in 5 min), such as {}",
            asked.client,
            span(names.took_ms()),
            cut(asked.name, SHOWN_BYTES)
        )];
        if texts > 0 {
            reasons.push(format!("{texts} of them asked for TXT or NULL, whose answers carry most"));
        }
        let (evidence, events) = names.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "dns_tunnel",
            category: Category::Exfiltration,
            severity,
            confidence: if severity == Severity::High { 0.85 } else { 0.65 },
            message: format!("{} carries data in names below {domain}", asked.client),
            reasons,
            techniques: &["T1071.004", "T1048.003"],
            actor: Some(asked.client.to_string().into()),
            victim: Some(domain.into()),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Whether a name was asked for before the time in which names are taken together; it is remembered.
    fn is_known(&mut self, name: &str, at: i64) -> bool {
        let asked = self.known.entry(xxh3_64(name.as_bytes()), || Asked { first: at, last: at });
        asked.last = asked.last.max(at);
        at - asked.first > TOGETHER_MS
    }

    fn was_missing(
        &mut self,
        incidents: &mut Incidents,
        event: &Event,
        asked: Question<'_>,
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Some((_front, domain)) = asked.parts() else { return };
        let label = domain.split('.').next().unwrap_or_default();
        let ordinary = ORDINARY.iter().any(|ordinary| domain.eq_ignore_ascii_case(ordinary));
        if label.len() < LABEL_BYTES || ordinary {
            return;
        }
        let at = when.at.unix_ms;
        let names = self.missing.entry(asked.client, Names::default);
        names.add(at, domain, false);
        let count = names.seen.len();
        let key = Key { story: Story::Control, subject: Subject::Address(asked.client) };
        if count < MISSING {
            return;
        }
        if incidents.severity(&key, at) >= Some(Severity::Medium) {
            names.unsaid.count_or_keep(incidents, &key, (event, 0), when, out);
            return;
        }
        let (evidence, events) = names.unsaid.take(evidence(event, when.at));
        let sign = Sign {
            rule: "generated_names",
            category: Category::C2Communication,
            severity: Severity::Medium,
            confidence: 0.6,
            message: format!("{} asks for many domains that do not exist", asked.client),
            reasons: vec![format!(
                "{} asked for {count} different domains that do not exist within {} (limit {MISSING} in 5 min), such as {}",
                asked.client,
                span(names.took_ms()),
                cut(domain, SHOWN_BYTES)
            )],
            techniques: &["T1568.002"],
            actor: Some(asked.client.to_string().into()),
            victim: Some(victim(event)),
            evidence,
            count: events,
            news: false,
            key,
        };
        incidents.raise(sign, &event.source, when, out);
    }

    /// Names and clients remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let forgotten = self.known.forgotten() + self.tunnels.forgotten() + self.missing.forgotten();
        (self.known.len() + self.tunnels.len() + self.missing.len(), forgotten)
    }
}
