//! Attacks on web servers: known patterns in what is asked for, and looking for what should not be there (ATT&CK T1190,
//! T1595.003).
//!
//! A request with an exploit's pattern, or of a tool that names itself (nikto, sqlmap), is LOW: every server that the
//! internet reaches gets them all day. Three within five minutes from one address are MEDIUM, and so are five different
//! doors that scanners try (`/.env`; `/wp-login.php` where it is shut; two are LOW), or thirty different pages within a minute that are not there; within five minutes they are LOW, as
//! search engines follow old links. Fifteen exploits are HIGH. That a server answered one with success is said; it is not
//! known what it answered.

use std::{collections::VecDeque, net::IpAddr};

use nms_proto::{
    event::{Body, Event},
    extraction::{Action, Actor, Extraction, Object, Outcome},
    finding::{Category, Finding},
    limits::ACTORS_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    unsaid::Unsaid,
    web_signs::{Kind, Signs},
};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence, span},
    incidents::Incidents,
    subject::{Key, Story, Subject, is_inside},
    text::cut,
};

/// Bytes of a path in a reason.
const SHOWN_BYTES: usize = 80;
/// Time in which requests are taken together, in milliseconds.
const TOGETHER_MS: i64 = 5 * 60_000;
/// Exploits of one address that are worth a look, and worth one now.
const EXPLOITS: [usize; 2] = [3, 15];
/// Different doors, and different pages that are not there.
const DOORS: [usize; 2] = [2, 5];
const MISSING: usize = 30;
/// Time within which so many missing pages are no search engine's, in milliseconds.
const HASTE_MS: i64 = 60_000;
/// Posts to a login page within that time that nobody makes by hand.
const LOGINS: usize = 12;
/// Answers within that time that a name is needed, and none was sent.
const UNNAMED: usize = 6;
/// Requests of one address that are kept.
const KEPT: usize = 48;
/// Lines kept as evidence.
const EVIDENCE_KEPT: usize = 4;

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
        if matches!(kind, Kind::Tool(_) | Kind::Door | Kind::Missing) {
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

    /// How long the last `count` of that kind took, in milliseconds; for ever where there are less.
    fn fastest_ms(&self, kind: Kind, count: usize) -> i64 {
        let newest = self.seen.iter().rev().filter(|(.., kept)| kept.is_like(kind)).take(count);
        let times = || newest.clone().map(|(at, ..)| *at);
        if times().count() < count {
            return i64::MAX;
        }
        times().max().unwrap_or_default() - times().min().unwrap_or_default()
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
        let odd = exploits + self.count(Kind::Tool(""));
        if odd >= some {
            let told = format!("{odd} exploits or requests of such tools within {took} (limit {some} in 5 min)");
            return Some((Severity::Medium, told));
        }
        let [few_doors, many_doors] = DOORS;
        if doors >= few_doors {
            let (severity, limit) =
                if doors >= many_doors { (Severity::Medium, many_doors) } else { (Severity::Low, few_doors) };
            let told = format!("{doors} doors that scanners try within {took} (limit {limit} in 5 min)");
            return Some((severity, told));
        }
        if missing >= MISSING {
            let took_ms = self.fastest_ms(Kind::Missing, MISSING);
            let (severity, limit) =
                if took_ms <= HASTE_MS { (Severity::Medium, "1 min") } else { (Severity::Low, "5 min") };
            let told =
                format!("{missing} different pages that are not there within {took} (limit {MISSING} in {limit})");
            return Some((severity, told));
        }
        if kind == Kind::Login && self.fastest_ms(Kind::Login, LOGINS) <= HASTE_MS {
            return Some((Severity::Medium, format!("{LOGINS} posts to a login page within 60 s (limit {LOGINS})")));
        }
        match kind {
            Kind::Exploit(tries) => Some((Severity::Low, tries.to_owned())),
            Kind::Tool(name) => Some((Severity::Low, format!("known by {name} as who looks for weak spots"))),
            Kind::Unnamed if self.fastest_ms(Kind::Unnamed, UNNAMED) <= HASTE_MS => {
                Some((Severity::Low, format!("{UNNAMED} answers within 60 s that a name is needed (limit {UNNAMED})")))
            }
            Kind::Login | Kind::Unnamed | Kind::Door | Kind::Missing => None,
        }
    }
}

/// Addresses that asked for something odd lately.
#[derive(Debug)]
pub(super) struct Web {
    signs: Signs,
    visitors: Bounded<IpAddr, Visits>,
}

impl Web {
    pub(super) fn new() -> Self {
        Self { signs: Signs::new(), visitors: Bounded::new(ACTORS_MAX) }
    }

    /// A request.
    pub(super) fn requested(
        &mut self,
        incidents: &mut Incidents,
        (event, found): (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let Some(Actor::Address(actor)) = found.actor else { return };
        let path = match found.object {
            Some(Object::Path(path)) => path,
            // One request breaks several rules.
            _ => text(event).split_once("[unique_id \"").and_then(|(_head, tail)| tail.split('"').next()).unwrap_or(""),
        };
        let is_rule = found.action == Action::Ids;
        if path.is_empty() && !is_rule {
            return;
        }
        let asked = || self.signs.kind_of(path, agent(event), text(event), found.outcome);
        let kind = match if is_rule { Some(Kind::Tool("rules of ModSecurity")) } else { asked() } {
            None | Some(Kind::Door | Kind::Missing) if is_login(event, path) => Kind::Login,
            None if found.outcome == Outcome::None => Kind::Unnamed,
            Some(kind) => kind,
            None => return,
        };
        let at = when.at.unix_ms;
        let key = Key { story: Story::Web, subject: Subject::Address(actor) };
        let visits = self.visitors.entry(actor, Visits::default);
        visits.add(at, xxh3_64(path.as_bytes()), kind);
        // From inside it is a client that is set up oddly rather than somebody who looks for a way in.
        let milder = |severity: Severity| match kind {
            Kind::Door | Kind::Missing | Kind::Unnamed if is_inside(actor) => severity.min(Severity::Low),
            _ => severity,
        };
        let judged = visits.judge(kind).map(|(severity, why)| (milder(severity), why));
        let judged = judged.filter(|(severity, _why)| Some(*severity) > incidents.severity(&key, at));
        let Some((severity, why)) = judged else {
            visits.unsaid.count_or_keep(incidents, &key, (event, EVIDENCE_KEPT), when, out);
            return;
        };
        let (evidence, count) = visits.unsaid.take(evidence(event, when.at));
        let asked = if path.is_empty() { "something" } else { cut(path, SHOWN_BYTES) };
        let mut reasons = vec![format!("{actor} asked for {asked}: {why}")];
        if found.outcome == Outcome::Ok && matches!(kind, Kind::Exploit(_)) {
            reasons.push("the server answered with success; look at what it sent".to_owned());
        }
        let sign = Sign {
            rule: "web",
            category: if kind == Kind::Login { Category::BruteForce } else { Category::WebAttack },
            severity,
            confidence: match severity {
                Severity::High => 0.95,
                Severity::Medium => 0.8,
                _ => 0.4,
            },
            message: match kind {
                Kind::Exploit(tries) => format!("{actor} attacks a web server: {tries}"),
                Kind::Login => format!("{actor} guesses passwords at a login page"),
                Kind::Unnamed => format!("{actor} asks a web server again and again for what needs a login"),
                Kind::Tool(_) | Kind::Door | Kind::Missing => format!("{actor} looks for weak spots of a web server"),
            },
            reasons,
            techniques: match kind {
                Kind::Exploit(_) => &["T1190"],
                Kind::Login => &["T1110"],
                _ => &["T1595.003"],
            },
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

/// The user agent of a line in the combined format: the last text in quotes that is one.
fn agent(event: &Event) -> &str {
    let mut quoted = text(event).rsplit('"').skip(1).step_by(2).take(2);
    quoted.find(|text| text.len() > 1).unwrap_or_default()
}

/// Whether a request posts to a page where people log in.
fn is_login(event: &Event, path: &str) -> bool {
    const PAGES: [&str; 7] =
        ["/wp-login.php", "/login", "/login.php", "/signin", "/sign_in", "/user/login", "/api/login"];
    let page = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    PAGES.iter().any(|known| page.ends_with(known)) && text(event).contains("\"POST ")
}

fn text(event: &Event) -> &str {
    if let Body::Syslog(line) = &event.body { &line.message } else { "" }
}
