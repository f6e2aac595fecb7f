//! Who or what is at work on a host: what an administrator, a package manager or a provisioning tool does has a reason.
//!
//! Somebody who used root's rights there half a day ago or earlier, or is named in the settings, is known as an administrator.
//! Somebody who ran a command by sudo, became root by su or logged in as root is at work for 15 minutes, unless it is a service or the account was
//! guessed within the last hour; a package manager or a provisioning tool is for 10 minutes after its last line.

use nms_proto::{id::EndpointId, limits::SOURCES_MAX, time::Stamp};

use super::{Case, account_lines::is_service};
use crate::{
    bounded::{Bounded, Suspicion},
    correlate::success::Success,
};

/// Time for which a person, and a tool, is taken to be at work, in milliseconds.
const PERSON_MS: i64 = 15 * 60_000;
const TOOL_MS: i64 = 10 * 60_000;
/// Time after which somebody with rights is no stranger any more, in milliseconds.
const KNOWN_MS: i64 = 12 * 60 * 60_000;
/// Tools that set a host up, by their application's name.
const TOOLS: [&str; 7] = ["cloud-init", "puppet-agent", "salt-minion", "chef-client", "ignition", "sssd", "realmd"];

/// Whether an application sets hosts up.
pub(super) fn is_tool(app: &str) -> bool {
    TOOLS.contains(&app) || app.starts_with("ansible-")
}

/// Whether `at` is between 22:00 and 06:00 where the host is.
pub(super) fn is_night(at: Stamp) -> bool {
    matches!(at.local_hour_and_weekday().0, 22.. | ..6)
}

#[derive(Debug, Default)]
struct Last {
    person: Option<(i64, Box<str>)>,
    tool: Option<i64>,
}

impl Suspicion for Last {}

/// When somebody first used root's rights.
#[derive(Debug)]
struct First(i64);

impl Suspicion for First {}

/// Whose work a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A tool's.
    Tool,
    /// That of a person with rights.
    Person {
        /// Who.
        name: Box<str>,
        /// Whether as an administrator.
        known: bool,
    },
    /// Nobody is known.
    Unknown,
}

/// The last work on each source.
#[derive(Debug)]
pub(super) struct AtWork {
    sources: Bounded<EndpointId, Last>,
    people: Bounded<(EndpointId, Box<str>), First>,
    admins: Vec<Box<str>>,
}

impl AtWork {
    /// Nobody was seen yet; `admins` are known by the settings.
    pub(super) fn new(admins: &[Box<str>]) -> Self {
        let (sources, people) = (Bounded::new(SOURCES_MAX), Bounded::new(SOURCES_MAX));
        Self { sources, people, admins: admins.to_vec() }
    }

    /// Somebody used another's rights.
    pub(super) fn acted(&mut self, case: &Case<'_>, success: &Success) {
        self.is_at_work(case, case.user(), success);
    }

    /// Root logged in.
    pub(super) fn logged_in(&mut self, case: &Case<'_>, success: &Success) {
        self.is_at_work(case, Some("root"), success);
    }

    fn is_at_work(&mut self, case: &Case<'_>, user: Option<&str>, success: &Success) {
        let Some(user) = user.filter(|user| !is_service(user)) else { return };
        let of_root = case.found.account.is_none_or(|account| account == "root");
        if of_root && !success.was_taken(&case.event.source, Some(user), case.at()) {
            let (source, at) = (case.event.source.clone(), case.at());
            self.people.entry((source.clone(), user.into()), || First(at));
            self.sources.entry(source, Last::default).person = Some((at, user.into()));
        }
    }

    /// A tool said something.
    pub(super) fn tool(&mut self, case: &Case<'_>) {
        self.sources.entry(case.event.source.clone(), Last::default).tool = Some(case.at());
    }

    /// Whose work is under way where a case comes from.
    pub(super) fn now(&mut self, case: &Case<'_>) -> Work {
        let Some(last) = self.sources.get_mut(&case.event.source) else { return Work::Unknown };
        let within = |at: i64, span: i64| (case.at() - at).abs() <= span;
        if last.tool.is_some_and(|at| within(at, TOOL_MS)) {
            return Work::Tool;
        }
        let Some((_at, name)) = last.person.clone().filter(|(at, _name)| within(*at, PERSON_MS)) else {
            return Work::Unknown;
        };
        let first = self.people.get_mut(&(case.event.source.clone(), name.clone()));
        let known = first.is_some_and(|first| case.at() - first.0 >= KNOWN_MS) || self.admins.contains(&name);
        Work::Person { name, known }
    }

    /// Entries remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.sources.len() + self.people.len(), self.sources.forgotten() + self.people.forgotten())
    }
}
