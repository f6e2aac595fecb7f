//! What happens on a host itself: accounts and rights, what is started, logs that go, files in heaps, service that ends.
//!
//! Each of these reads lines that few others need, so `is_of_interest` asks the family first and the text only where the
//! family is not enough; nothing is kept and nothing allocated for a line that passes by.

mod at_work;
mod accounts;
mod account_lines;
mod rights;
mod denial;
mod script;
mod deeds;
mod logs;
mod parents;
mod audit_lines;
mod windows_commands;
mod commands;
mod units;
mod log_tampering;
mod mass_change;

use nms_proto::{
    event::{Body, Event},
    extraction::{Action, Actor, AppFamily, Extraction, Outcome},
    finding::{Category, Finding},
    limits::NAME_BYTES_MAX,
    severity::Severity,
};

use self::{at_work::AtWork, denial::Denial, log_tampering::LogTampering, mass_change::MassChange, rights::Rights};
pub(super) use self::{deeds::is_temporary, parents::is_tools};
use super::success::Success;
use crate::{
    bounded::total,
    extract::routed,
    incident::{Sign, When, evidence},
    incidents::Incidents,
    subject::{Key, Story, Subject},
    text::cut,
};

/// One event, taken apart.
#[derive(Clone, Copy)]
struct Case<'a> {
    event: &'a Event,
    found: &'a Extraction<'a>,
    when: When,
    /// The application, without its folder.
    app: &'a str,
    /// What it says.
    text: &'a str,
}

impl<'a> Case<'a> {
    fn of((event, found): (&'a Event, &'a Extraction<'a>), when: When) -> Self {
        let (app, text) = if let Body::Syslog(line) = &event.body { routed(line) } else { ("", "") };
        Self { event, found, when, app, text }
    }

    /// The event's time, Unix milliseconds.
    fn at(&self) -> i64 {
        self.when.at.unix_ms
    }

    /// The host, for people.
    fn host(&self) -> Box<str> {
        super::guessing::victim(self.event)
    }

    /// The key of what is done to or by `name` on this source.
    fn key(&self, story: Story, name: &str) -> Key {
        Key { story, subject: Subject::Name(self.event.source.clone(), cut(name, NAME_BYTES_MAX).into()) }
    }

    /// The user who acts, where the line names one; no longer than a name is kept.
    fn user(&self) -> Option<&'a str> {
        let Some(Actor::Name(name)) = self.found.actor else { return None };
        Some(cut(name, NAME_BYTES_MAX))
    }

    /// A sign of this event with nothing said yet.
    fn sign(&self, key: Key, rule: &'static str, category: Category) -> Sign {
        Sign {
            key,
            rule,
            category,
            severity: Severity::Info,
            confidence: 0.0,
            message: String::new(),
            reasons: Vec::new(),
            techniques: &[],
            actor: None,
            victim: Some(self.host()),
            evidence: vec![evidence(self.event, self.when.at)],
            count: u64::from(self.found.times.max(1)),
            news: false,
        }
    }
}

/// Where signs go.
struct Desk<'a> {
    incidents: &'a mut Incidents,
    out: &'a mut Vec<Finding>,
}

impl Desk<'_> {
    fn raise(&mut self, case: &Case<'_>, sign: Sign) {
        let actor = sign.actor.map(|actor| cut(&actor, NAME_BYTES_MAX).into());
        let sign = Sign { actor, ..sign };
        self.incidents.raise(sign, &case.event.source, case.when, self.out);
    }

    /// Counts a case into the incident of `key`; false where that is not open.
    fn count(&mut self, case: &Case<'_>, key: &Key) -> bool {
        self.incidents.count(key, case.event, u64::from(case.found.times.max(1)), case.when, self.out)
    }
}

/// The correlators of what happens on hosts.
#[derive(Debug)]
pub(super) struct OnHost {
    at_work: AtWork,
    /// Users whose changes are an administrator's, on Windows.
    admins: Vec<Box<str>>,
    rights: Rights,
    denial: Denial,
    log_tampering: LogTampering,
    mass_change: MassChange,
}

impl OnHost {
    pub(super) fn new(admins: &[Box<str>]) -> Self {
        Self {
            at_work: AtWork::new(admins),
            admins: admins.to_vec(),
            rights: Rights::new(),
            denial: Denial::new(),
            log_tampering: LogTampering::new(),
            mass_change: MassChange::new(),
        }
    }

    /// An event that [`is_of_interest`].
    pub(super) fn observe(
        &mut self,
        incidents: &mut Incidents,
        success: &Success,
        line: (&Event, &Extraction<'_>),
        when: When,
        out: &mut Vec<Finding>,
    ) {
        let case = Case::of(line, when);
        let desk = &mut Desk { incidents, out };
        let found = case.found;
        match found.family {
            AppFamily::Sudo if (found.action, found.outcome) == (Action::Command, Outcome::Ok) => {
                self.at_work.acted(&case, success);
                // What a guessed account does is told where it was guessed.
                if !success.was_taken(&case.event.source, case.user(), case.at()) {
                    commands::ran(desk, &mut self.at_work, &case);
                }
            }
            AppFamily::Cron if found.action == Action::File => {
                accounts::scheduled(desk, (success, &mut self.at_work), &case);
            }
            AppFamily::Cron | AppFamily::Process => commands::ran(desk, &mut self.at_work, &case),
            AppFamily::Sshd | AppFamily::Dropbear => self.at_work.logged_in(&case, success),
            AppFamily::Su if found.outcome == Outcome::Ok => self.at_work.acted(&case, success),
            AppFamily::Sudo | AppFamily::Su => self.rights.refused(desk, success, &case),
            AppFamily::Useradd | AppFamily::Pam => {
                accounts::changed(desk, (success, &mut self.at_work), &case);
            }
            AppFamily::Winlogon if found.action == Action::Process => commands::ran(desk, &mut self.at_work, &case),
            AppFamily::Winlogon if found.action == Action::File => LogTampering::cleared(desk, &case),
            AppFamily::Winlogon => {
                accounts::windows(desk, (success, &mut self.at_work, &self.admins), &case);
            }
            AppFamily::Package => self.at_work.tool(&case),
            AppFamily::FileIntegrity => {
                if let Body::File(change) = &case.event.body {
                    self.log_tampering.changed(desk, &case, change);
                    self.mass_change.changed(desk, &case, change, &self.admins);
                }
            }
            AppFamily::Generic if !log_tampering::ends_hosts(case.app) => self.generic(desk, &case),
            family if log_tampering::shuts_down(family, case.text) => self.log_tampering.shut(desk, &case),
            AppFamily::Systemd if units::is_tool(case.text) => self.at_work.tool(&case),
            AppFamily::Systemd => self.log_tampering.said(desk, &mut self.at_work, &case),
            AppFamily::Kernel if log_tampering::is_auditing(case.text) => {
                self.log_tampering.said(desk, &mut self.at_work, &case);
            }
            AppFamily::Kernel => self.denial.kernel(desk, &case),
            AppFamily::Nginx => self.denial.limited(desk, &case),
            AppFamily::Asa | AppFamily::Fortigate => self.denial.appliance(desk, &case),
            _ => {}
        }
    }

    fn generic(&mut self, desk: &mut Desk<'_>, case: &Case<'_>) {
        match case.app {
            "mod_evasive" => self.denial.evasive(desk, case),
            app if at_work::is_tool(app) => self.at_work.tool(case),
            _ if case.found.action == Action::Process => commands::ran(desk, &mut self.at_work, case),
            _ => self.log_tampering.said(desk, &mut self.at_work, case),
        }
    }

    /// Does what is due by the hub's clock.
    pub(super) fn tick(&mut self, incidents: &mut Incidents, now: i64, out: &mut Vec<Finding>) {
        self.log_tampering.tick(incidents, now, out);
    }

    /// The hub's clock at which [`OnHost::tick`] has something to do, Unix milliseconds.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.log_tampering.deadline()
    }

    /// Entries remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        total([
            self.at_work.sizes(),
            self.rights.sizes(),
            self.denial.sizes(),
            self.log_tampering.sizes(),
            self.mass_change.sizes(),
        ])
    }
}

/// Whether any of them looks at such an event.
pub(super) fn is_of_interest(event: &Event, found: &Extraction<'_>) -> bool {
    let Body::Syslog(line) = &event.body else { return matches!(event.body, Body::Process(_) | Body::File(_)) };
    let text = &line.message;
    match (found.family, found.action) {
        (AppFamily::Sudo | AppFamily::Su, Action::Command | Action::Login)
        | (AppFamily::Useradd | AppFamily::Package, _)
        | (AppFamily::Pam | AppFamily::Winlogon, Action::Account)
        | (AppFamily::Winlogon, Action::Process)
        | (AppFamily::Cron, Action::Command | Action::File)
        | (AppFamily::Asa | AppFamily::Fortigate, Action::Ids) => true,
        (AppFamily::Sshd | AppFamily::Dropbear, Action::Login) => {
            found.outcome == Outcome::Ok && found.account == Some("root")
        }
        (AppFamily::Winlogon, Action::File) => found.outcome == Outcome::Ok,
        (AppFamily::Systemd, _) => {
            log_tampering::shuts_down(found.family, text) || units::of(text).is_some() || units::is_tool(text)
        }
        (AppFamily::Kernel, action) => {
            denial::is_trouble(text, action)
                || action == Action::Other
                    && (log_tampering::is_auditing(text) || log_tampering::shuts_down(found.family, text))
        }
        (AppFamily::Nginx, Action::Request) => found.outcome == Outcome::Failed && denial::limited(text).is_some(),
        (AppFamily::Generic, action) => {
            let app = line.app.as_deref().unwrap_or_default();
            is_named(app)
                || action == Action::Process && audit_lines::recognises(routed(line).1)
                || (app == "audit" || matches!(action, Action::Command | Action::Service))
                    && log_tampering::is_auditing(text)
        }
        _ => false,
    }
}

/// Whether an application without a family of its own is one of those that are looked at.
fn is_named(app: &str) -> bool {
    let app = script::base(app);
    app == "mod_evasive" || at_work::is_tool(app) || log_tampering::is_daemon(app) || log_tampering::ends_hosts(app)
}

/// Whether an event says that its host shuts down, or that it has just started.
pub(super) fn shuts_down(event: &Event, found: &Extraction<'_>) -> bool {
    matches!(&event.body, Body::Syslog(line) if log_tampering::shuts_down(found.family, routed(line).1))
}
