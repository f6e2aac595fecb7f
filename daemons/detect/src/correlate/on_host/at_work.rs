//! Who or what is at work on a host: what an administrator, a package manager or a provisioning tool does has a reason.
//!
//! Somebody who used root's rights there half a day ago or earlier, or is named in the settings, is known as an administrator.
//! Somebody who ran a command by sudo, became root by su or logged in as root is at work for 15 minutes, unless it is a service or the account was
//! guessed within the last hour; a package manager or a provisioning tool is for 10 minutes after it last changed something.
//! That it only looks for news, or that nothing was to do, is no work. Few of them set accounts; an account is theirs only then.
//!
//! On Windows somebody is known who changed an account there half a day ago or earlier.

use nms_proto::{
    extraction::{Action, AppFamily, Outcome},
    id::EndpointId,
    limits::SOURCES_MAX,
    time::Stamp,
};

use super::{Case, account_lines::is_service, units};
use crate::{
    bounded::{Bounded, Suspicion},
    correlate::success::Success,
};

/// Time for which a person, and a tool, is taken to be at work, in milliseconds.
const PERSON_MS: i64 = 15 * 60_000;
const TOOL_MS: i64 = 10 * 60_000;
/// Time after which somebody with rights is no stranger any more, in milliseconds.
const KNOWN_MS: i64 = 12 * 60 * 60_000;
/// Tools that set a host up: the application's name, what a line holds that tells of a change, and of one of accounts.
const TOOLS: [(&str, &str, &[&str]); 5] = [
    ("cloud-init", "", &[""]),
    ("ignition", "", &[""]),
    ("puppet-agent", "/Stage[", &["/User[", "/Group["]),
    ("salt-minion", "Executing state ", &["Executing state user.", "Executing state group."]),
    ("chef-client", " action ", &["user[", "group["]),
];
/// Modules of Ansible that set accounts.
const MODULES: [&str; 3] = ["ansible-user", "ansible-group", "ansible-ansible.builtin.user"];

/// Whether an application sets hosts up.
pub(super) fn is_tool(app: &str) -> bool {
    app.starts_with("ansible-") || TOOLS.iter().any(|(known, ..)| *known == app)
}

/// Whether what a tool says that it does may change accounts; nothing where it does nothing.
fn may_change_accounts(case: &Case<'_>) -> Option<bool> {
    let (found, text) = (case.found, case.text);
    match found.family {
        AppFamily::Package => (found.action == Action::File && found.outcome != Outcome::Failed).then_some(false),
        AppFamily::Systemd => units::is_tool(text).then(|| units::sets_up(text)),
        _ if case.app.starts_with("ansible-") => Some(MODULES.contains(&case.app)),
        _ => {
            let (_app, change, accounts) = TOOLS.iter().find(|(app, ..)| *app == case.app)?;
            text.contains(change).then(|| accounts.iter().any(|word| text.contains(word)))
        }
    }
}

/// Whether `at` is between 22:00 and 06:00 where the host is.
pub(super) fn is_night(at: Stamp) -> bool {
    matches!(at.local_hour_and_weekday().0, 22.. | ..6)
}

#[derive(Debug, Default)]
struct Last {
    person: Option<(i64, Box<str>)>,
    tool: Option<i64>,
    /// A tool that sets accounts.
    accounts: Option<i64>,
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
    Tool {
        /// Whether it sets accounts.
        accounts: bool,
    },
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
            self.learn(case, user);
            self.sources.entry(source, Last::default).person = Some((at, user.into()));
        }
    }

    /// A tool said something.
    pub(super) fn tool(&mut self, case: &Case<'_>) {
        let Some(accounts) = may_change_accounts(case) else { return };
        let last = self.sources.entry(case.event.source.clone(), Last::default);
        last.tool = Some(case.at());
        if accounts {
            last.accounts = last.tool;
        }
    }

    /// Whose work is under way where a case comes from: a tool's before a person's, who may have started it.
    pub(super) fn now(&mut self, case: &Case<'_>) -> Work {
        self.tool_now(case).or_else(|| self.person_now(case)).unwrap_or(Work::Unknown)
    }

    /// Whose work a change of an account may be: a tool that sets none comes last.
    pub(super) fn of_account(&mut self, case: &Case<'_>) -> Work {
        let tool = self.tool_now(case);
        match tool {
            Some(Work::Tool { accounts: true }) => tool,
            _ => self.person_now(case).or(tool),
        }
        .unwrap_or(Work::Unknown)
    }

    fn tool_now(&mut self, case: &Case<'_>) -> Option<Work> {
        let last = self.sources.get_mut(&case.event.source)?;
        let within = |at: &i64| (case.at() - *at).abs() <= TOOL_MS;
        last.tool.filter(within).map(|_at| Work::Tool { accounts: last.accounts.as_ref().is_some_and(within) })
    }

    fn person_now(&mut self, case: &Case<'_>) -> Option<Work> {
        let last = self.sources.get_mut(&case.event.source)?;
        let (_at, name) = last.person.clone().filter(|(at, _name)| (case.at() - *at).abs() <= PERSON_MS)?;
        let known = self.knows(case, &name);
        Some(Work::Person { name, known })
    }

    /// Whether `name` used rights where a case comes from half a day ago or earlier, or is named in the settings.
    pub(super) fn knows(&mut self, case: &Case<'_>, name: &str) -> bool {
        let first = self.people.get_mut(&(case.event.source.clone(), name.into()));
        first.is_some_and(|first| case.at() - first.0 >= KNOWN_MS) || self.admins.iter().any(|admin| **admin == *name)
    }

    /// `name` used rights where a case comes from.
    pub(super) fn learn(&mut self, case: &Case<'_>, name: &str) {
        self.people.entry((case.event.source.clone(), name.into()), || First(case.at()));
    }

    /// Entries remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.sources.len() + self.people.len(), self.sources.forgotten() + self.people.forgotten())
    }
}
