//! A watched file changed: harmless or an attack, by what else was going on.
//!
//! One function weighs the path, the hour, who was logged in, whether the package manager or an account
//! tool was at work, as log odds that add up; see [`weigh`]. The settings of a web server changed at
//! 10:40 by an administrator come out near 0.1 (INFO), the account file changed at 03:00 with nobody
//! logged in near 0.97 (CRITICAL); the same during `useradd` or an upgrade is MEDIUM at most.
//!
//! `useradd` writes the file before its line arrives, so a change of an account file waits two seconds
//! for an explanation, by the hub's clock.

use std::collections::VecDeque;

use nms_proto::{
    event::{Body, Change, Event, FileChange},
    finding::{Category, Finding},
    id::EndpointId,
    limits::{CHANGES_HELD_MAX, SOURCES_MAX},
    severity::Severity,
    time::Stamp,
};

use super::paths::{PathClass, class};
use crate::{
    bounded::{Bounded, Suspicion},
    incident::{Sign, When, evidence},
    incidents::Incidents,
    subject::{Key, Story, Subject},
};

/// Time for which a change of an account file waits for its explanation, in milliseconds of the hub's clock.
const WAIT_MS: i64 = 2_000;
/// Distance at which an account tool explains a change, in milliseconds.
const EXPLAINS_MS: i64 = 60_000;
/// Time for which a user who ran a command by sudo is known as an administrator, in milliseconds.
const ADMIN_MS: i64 = 30 * 24 * 60 * 60_000;

/// Something done on a source, and when.
#[derive(Debug)]
struct Done(i64);

impl Suspicion for Done {}

/// A change that waits.
#[derive(Debug)]
struct Held {
    event: Event,
    at: Stamp,
    due: i64,
}

/// What is known of the sources' administration, and the changes that wait.
#[derive(Debug)]
pub(super) struct FileContext {
    admins: Vec<Box<str>>,
    seen_admins: Bounded<(EndpointId, Box<str>), Done>,
    tools: Bounded<EndpointId, Done>,
    held: VecDeque<Held>,
}

/// Who was logged in when a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    Nobody,
    Somebody,
    Administrator,
}

impl FileContext {
    pub(super) fn new(admins: Vec<Box<str>>) -> Self {
        let (seen_admins, tools) = (Bounded::new(SOURCES_MAX), Bounded::new(SOURCES_MAX));
        Self { admins, seen_admins, tools, held: VecDeque::new() }
    }

    /// An account tool was at work on `source`.
    pub(super) fn account_tool(&mut self, source: &EndpointId, at: Stamp) {
        self.tools.entry(source.clone(), || Done(at.unix_ms)).0 = at.unix_ms;
    }

    /// `user` ran a command by sudo on `source`, and so is an administrator there.
    pub(super) fn administrator(&mut self, source: &EndpointId, user: &str, at: Stamp) {
        self.seen_admins.entry((source.clone(), user.into()), || Done(at.unix_ms)).0 = at.unix_ms;
    }

    /// A file that changed.
    pub(super) fn changed(&mut self, incidents: &mut Incidents, event: &Event, when: When, out: &mut Vec<Finding>) {
        let Body::File(change) = &event.body else { return };
        let reported = matches!(change.change, Change::Unchanged | Change::Report | Change::Other(_));
        if reported || change.command_id.is_some() {
            return;
        }
        let waits = class(&change.path) == PathClass::Account && !change.package_manager;
        if waits && self.held.len() < CHANGES_HELD_MAX {
            self.held.push_back(Held { event: event.clone(), at: when.at, due: when.now + WAIT_MS });
            return;
        }
        self.judge(incidents, event, when, out);
    }

    /// Judges the changes that waited long enough.
    pub(super) fn tick(&mut self, incidents: &mut Incidents, now: i64, out: &mut Vec<Finding>) {
        while self.held.front().is_some_and(|held| held.due <= now) {
            let Some(held) = self.held.pop_front() else { return };
            self.judge(incidents, &held.event, When { at: held.at, now }, out);
        }
    }

    /// The hub's clock at which the next change has waited long enough, Unix milliseconds.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.held.front().map(|held| held.due)
    }

    fn judge(&mut self, incidents: &mut Incidents, event: &Event, when: When, out: &mut Vec<Finding>) {
        let Body::File(change) = &event.body else { return };
        let class = class(&change.path);
        let context = Context {
            class,
            sessions: self.sessions(event, change, when.at),
            package_manager: change.package_manager,
            account_tool: class == PathClass::Account && self.tool_was_at_work(&event.source, when.at),
            at: when.at,
        };
        incidents.raise(sign(event, change, &context), &event.source, when, out);
    }

    fn tool_was_at_work(&mut self, source: &EndpointId, at: Stamp) -> bool {
        self.tools.get_mut(source).is_some_and(|done| (at.unix_ms - done.0).abs() <= EXPLAINS_MS)
    }

    fn sessions(&mut self, event: &Event, change: &FileChange, at: Stamp) -> Sessions {
        let is_admin = |user: &str| user == "root" || self.admins.iter().any(|admin| &**admin == user);
        if change.sessions.is_empty() {
            return Sessions::Nobody;
        }
        if change.sessions.iter().any(|user| is_admin(user)) {
            return Sessions::Administrator;
        }
        let known = change.sessions.iter().any(|user| {
            let seen = self.seen_admins.get_mut(&(event.source.clone(), user.clone()));
            seen.is_some_and(|done| (at.unix_ms - done.0).abs() <= ADMIN_MS)
        });
        if known { Sessions::Administrator } else { Sessions::Somebody }
    }
}

/// All that bears on a change.
#[derive(Clone, Copy, Debug)]
struct Context {
    class: PathClass,
    sessions: Sessions,
    package_manager: bool,
    account_tool: bool,
    at: Stamp,
}

/// The probability that a change is malicious: a logistic sum of what bears on it.
///
/// ```text
/// path     account, credential +1.6 · binary +1.0 · persistence +0.9 · settings, web pages -0.6 · other -2.3 · churn -2.5
/// session  nobody +1.2 · somebody -0.4 · an administrator -1.3
/// hour     22:00 to 06:00 +0.9 · 08:00 to 18:00 on a working day -0.4 · weekend +0.2
/// at work  package manager -4.0 · account tool (account files) -3.2
/// ```
fn weigh(context: &Context) -> f32 {
    let path = match context.class {
        PathClass::Account | PathClass::Credential => 1.6,
        PathClass::Binary => 1.0,
        PathClass::Persistence => 0.9,
        PathClass::Config => -0.6,
        PathClass::Other => -2.3,
        PathClass::Churn => -2.5,
    };
    let session = match context.sessions {
        Sessions::Nobody => 1.2,
        Sessions::Somebody => -0.4,
        Sessions::Administrator => -1.3,
    };
    let hour = match context.at.local_hour_and_weekday() {
        (22.. | ..6, _day) => 0.9,
        (_hour, 5..) => 0.2,
        (8..18, _day) => -0.4,
        _ => 0.1,
    };
    let packages = if context.package_manager { -4.0 } else { 0.0 };
    let tool = if context.account_tool { -3.2 } else { 0.0 };
    let odds: f32 = path + session + hour + packages + tool;
    1.0 / (1.0 + (-odds).exp())
}

/// The severity of a change of that probability: what is explained stays MEDIUM at most, CRITICAL is for what gives access.
fn band(probability: f32, context: &Context) -> Severity {
    let gives_access = matches!(context.class, PathClass::Account | PathClass::Credential);
    let explained = context.package_manager || context.account_tool;
    let severity = match probability {
        0.95.. if gives_access => Severity::Critical,
        0.85.. => Severity::High,
        0.5.. => Severity::Medium,
        0.3.. => Severity::Low,
        _ => Severity::Info,
    };
    if explained { severity.min(Severity::Medium) } else { severity }
}

fn sign(event: &Event, change: &FileChange, context: &Context) -> Sign {
    let probability = weigh(context);
    let path = &change.path;
    let packages = context.package_manager && !matches!(context.class, PathClass::Account | PathClass::Credential);
    let about: &str = match context.class {
        PathClass::Account => "accounts",
        _ if packages => "packages",
        // Of data a folder is one thing: whoever changes many of its files is told once.
        PathClass::Other => path.rsplit_once('/').map_or(path, |(folder, _name)| folder),
        _ => path,
    };
    let techniques: &[&str] = match context.class {
        PathClass::Account => &["T1136.001", "T1098"],
        PathClass::Credential => &["T1098", "T1556"],
        PathClass::Persistence => &["T1053.003", "T1543.002"],
        PathClass::Binary => &["T1554"],
        _ => &["T1565.001"],
    };
    let host = event.host.as_deref().unwrap_or(event.source.as_str());
    let what = &change.change;
    Sign {
        key: Key { story: Story::File, subject: Subject::Name(event.source.clone(), about.into()) },
        rule: "file_context",
        category: Category::FileIntegrity,
        severity: band(probability, context),
        confidence: probability,
        message: format!("{path} on {host} was {}", said(what)),
        reasons: reasons(change, context),
        techniques,
        actor: change.sessions.first().cloned(),
        victim: Some(format!("{host}:{path}").into()),
        evidence: vec![evidence(event, context.at)],
        count: 1,
        news: false,
    }
}

fn said(change: &Change) -> &str {
    match change {
        Change::Attributes => "given other rights",
        other => other.as_str(),
    }
}

fn reasons(change: &FileChange, context: &Context) -> Vec<String> {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let (hour, day) = context.at.local_hour_and_weekday();
    let minute = (context.at.unix_ms.div_euclid(60_000) + i64::from(context.at.offset_min)).rem_euclid(60);
    let day = DAYS.get(usize::from(day)).copied().unwrap_or_default();
    let path = &change.path;
    let mut reasons = vec![format!("{path} was {} at {hour:02}:{minute:02} on a {day}", said(&change.change))];
    reasons.push(match context.sessions {
        Sessions::Nobody => String::from("nobody was logged in"),
        Sessions::Somebody => format!("{} was logged in, not known as an administrator", change.sessions.join(", ")),
        Sessions::Administrator => format!("{} was logged in, an administrator", change.sessions.join(", ")),
    });
    if context.package_manager {
        reasons.push(String::from("the package manager was running"));
    }
    if context.account_tool {
        reasons.push(format!("an account tool reported a change within {} s", EXPLAINS_MS / 1_000));
    }
    reasons
}
