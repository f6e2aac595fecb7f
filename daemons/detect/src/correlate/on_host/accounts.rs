//! Accounts made, raised or opened (ATT&CK T1136, T1098).
//!
//! What bears on a change is who was at work and when: an administrator hardly counts, nobody by night does, and
//! an hour after somebody guessed an account there everything does. An account with root's number is CRITICAL whoever
//! made it; nothing ordinary does that.
//!
//! ```text
//!                          after guessing   nobody, night   nobody, day   stranger, night   an administrator, a tool
//! root's number            CRITICAL         CRITICAL        CRITICAL      CRITICAL          CRITICAL
//! an administrators' group CRITICAL         HIGH            MEDIUM        MEDIUM            LOW
//! the group adm            HIGH             MEDIUM          LOW           LOW               INFO
//! root's password          HIGH             HIGH            MEDIUM        LOW               LOW
//! shell for a service      HIGH             HIGH            MEDIUM        MEDIUM            LOW
//! made, unlocked           HIGH             MEDIUM          LOW           LOW               INFO
//! ```
//!
//! A stranger is somebody who used root's rights by sudo or su for the first time less than 12 h ago; by day he is taken
//! for an administrator. Night is from 22:00 to 06:00. Accounts of services without a shell come with packages and are
//! passed over, and so are other groups and the passwords of other accounts. A package manager sets no accounts of people:
//! by night what it is said to do counts as by nobody by day. That a Windows host changes the password of its own
//! administrator is INFO. A table of cron that an account changes within an hour after it was guessed is HIGH, and so is
//! one that the account of a service changes, LOW while a person with rights is at work (T1053.003).

use nms_proto::{event::Body, extraction::Outcome, finding::Category, limits::NAME_BYTES_MAX, severity::Severity};

use super::{
    Case, Desk,
    account_lines::{self, Change, Told, is_admins, is_service},
    at_work::{AtWork, Work, is_night},
};
use crate::{
    correlate::success::Success,
    extract::{WindowsRecord, windows_record},
    incident::Sign,
    subject::Story,
    text::cut,
};

/// The security identifier of Windows' own system account.
const LOCAL_SYSTEM: &str = "S-1-5-18";
/// Bytes of a name in a sentence.
const NAME_BYTES: usize = 64;

/// What surrounds a change, from bad to harmless: a column of the table above.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Around {
    Guessed,
    Nobody { night: bool },
    Person { night: bool, name: Box<str>, known: bool },
    Tool { night: bool, accounts: bool },
    Host,
}

impl Around {
    fn column(&self) -> usize {
        match self {
            Self::Guessed => 0,
            Self::Nobody { night: true } => 1,
            Self::Nobody { night: false } | Self::Tool { night: true, accounts: false } => 2,
            Self::Person { night: true, known: false, .. } => 3,
            Self::Person { .. } | Self::Tool { .. } | Self::Host => 4,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Guessed => String::from("an account of this host was guessed within the last 60 min"),
            Self::Nobody { night } => format!("nobody known used root's rights within 15 min{}", at_night(*night)),
            Self::Person { night, name, known } => {
                let known =
                    if *known { ", known as an administrator" } else { ", not known as an administrator before" };
                format!("{} used root's rights within 15 min{known}{}", cut(name, NAME_BYTES), at_night(*night))
            }
            Self::Tool { accounts: true, .. } => String::from("a provisioning tool was at work within 10 min"),
            Self::Tool { accounts: false, night } => {
                format!("a tool that sets no accounts of people was at work within 10 min{}", at_night(*night))
            }
            Self::Host => String::from("the host did so by itself"),
        }
    }
}

fn at_night(night: bool) -> &'static str {
    if night { ", between 22:00 and 06:00" } else { "" }
}

/// The row of a change: severities by column, category, techniques.
fn row(told: &Told<'_>) -> Option<([Severity; 5], Category, &'static [&'static str])> {
    use Severity::{Critical, High, Info, Low, Medium};
    Some(match told.change {
        Change::Root => ([Critical; 5], Category::PrivilegeEscalation, &["T1136.001", "T1098"]),
        // Its members read logs, no more.
        Change::Joined("adm") => ([High, Medium, Low, Low, Info], Category::PrivilegeEscalation, &["T1098.007"]),
        Change::Joined(_) => {
            ([Critical, High, Medium, Medium, Low], Category::PrivilegeEscalation, &["T1098.007", "T1098"])
        }
        Change::Password => ([High, High, Medium, Low, Low], Category::Persistence, &["T1098"]),
        Change::Shell(_) => ([High, High, Medium, Medium, Low], Category::Persistence, &["T1098"]),
        Change::Made { service: true } => return None,
        Change::Made { service: false } => ([High, Medium, Low, Low, Info], Category::Persistence, &["T1136.001"]),
        Change::Unlocked => ([High, Medium, Low, Low, Info], Category::Persistence, &["T1098"]),
    })
}

/// How sure each column is by itself.
const SURE: [f32; 5] = [0.97, 0.8, 0.55, 0.4, 0.15];

/// A line of an account tool, or of PAM.
pub(super) fn changed(desk: &mut Desk<'_>, (success, work): (&Success, &mut AtWork), case: &Case<'_>) {
    let Some(told) = account_lines::told(case.app, case.text) else { return };
    let passed = match told.change {
        Change::Joined(group) => !is_admins(group),
        Change::Password => told.account != "root",
        _ => false,
    };
    if passed {
        return;
    }
    let night = is_night(case.when.at);
    let around = if success.was_taken(&case.event.source, None, case.at()) {
        Around::Guessed
    } else {
        match work.of_account(case) {
            Work::Tool { accounts } => Around::Tool { night, accounts },
            Work::Person { name, known } => Around::Person { night, name, known },
            Work::Unknown => Around::Nobody { night },
        }
    };
    say(desk, case, told, &around);
}

/// A Windows event.
pub(super) fn windows(
    desk: &mut Desk<'_>,
    (success, work, admins): (&Success, &mut AtWork, &[Box<str>]),
    case: &Case<'_>,
) {
    let Body::Syslog(line) = &case.event.body else { return };
    let record = windows_record(line);
    let Some(told) = account_lines::windows(&record) else { return };
    let night = is_night(case.when.at);
    let by = told.by.map(|by| cut(by, NAME_BYTES_MAX));
    let known = by.filter(|by| admins.iter().any(|admin| admin.eq_ignore_ascii_case(by)) || work.knows(case, by));
    let around = match known {
        _ if success.was_taken(&case.event.source, None, case.at()) => Around::Guessed,
        _ if told.change == Change::Password && is_host(case, &record) => Around::Host,
        Some(name) => Around::Person { night, name: name.into(), known: true },
        None => Around::Nobody { night },
    };
    if let Some(by) = by.filter(|_by| around != Around::Guessed) {
        work.learn(case, by);
    }
    say(desk, case, told, &around);
}

/// Whether a Windows host did something itself: as its system, or by the account that is called like it.
fn is_host(case: &Case<'_>, record: &WindowsRecord<'_>) -> bool {
    let Some(machine) = record.subject.and_then(|subject| subject.strip_suffix('$')) else { return false };
    let host = case.host();
    record.subject_id == Some(LOCAL_SYSTEM)
        || host.split('.').next().is_some_and(|name| name.eq_ignore_ascii_case(machine))
}

/// A user's table of jobs was changed: worth a word where the user was guessed, or is a service.
pub(super) fn scheduled(desk: &mut Desk<'_>, (success, work): (&Success, &mut AtWork), case: &Case<'_>) {
    let Some(user) = case.user().filter(|_user| case.found.outcome == Outcome::Ok) else { return };
    let guessed = success.was_taken(&case.event.source, Some(user), case.at());
    if !guessed && !is_service(user) {
        return;
    }
    let (what, why, sure) = if guessed {
        ("was guessed and changed", "was guessed on this host within the last 60 min", 0.9)
    } else {
        ("is the account of a service and changed", "is the account of a service, which has no jobs of its own", 0.75)
    };
    let reasoned = !guessed && matches!(work.now(case), Work::Person { .. });
    let sign = case.sign(case.key(Story::Account, user), "accounts", Category::Persistence);
    let user = cut(user, NAME_BYTES);
    desk.raise(
        case,
        Sign {
            severity: if reasoned { Severity::Low } else { Severity::High },
            confidence: if reasoned { 0.2 } else { sure },
            message: format!("{user} on {} {what} what cron runs", case.host()),
            reasons: vec![format!("{}: {}", case.app, cut(case.text, 120)), format!("{user} {why}")],
            techniques: &["T1053.003"],
            actor: Some(user.into()),
            ..sign
        },
    );
}

fn say(desk: &mut Desk<'_>, case: &Case<'_>, told: Told<'_>, around: &Around) {
    let Some((severities, category, techniques)) = row(&told) else { return };
    let column = around.column();
    let (Some(&severity), Some(&sure)) = (severities.get(column), SURE.get(column)) else { return };
    let severity = if *around == Around::Host { Severity::Info } else { severity };
    let (account, host) = (cut(told.account, NAME_BYTES), case.host());
    let what = match told.change {
        Change::Made { .. } => format!("the account {account} was made"),
        Change::Root => format!("the account {account} was given the number 0, which is root's"),
        Change::Joined("adm") => format!("{account} joined the group adm, whose members read logs,"),
        Change::Joined(group) => format!("{account} joined the administrators' group {}", cut(group, NAME_BYTES)),
        Change::Password => format!("the password of {account} was set"),
        Change::Unlocked => format!("the account {account} was unlocked"),
        Change::Shell(shell) => {
            format!("the service account {account} was given the shell {}", cut(shell, NAME_BYTES))
        }
    };
    let actor: Option<Box<str>> = match around {
        Around::Person { name, .. } => Some(name.clone()),
        _ => told.by.map(Into::into),
    };
    let sure = if told.change == Change::Root { 0.95 } else { sure };
    let mut reasons = vec![format!("{}: {}", case.app, cut(case.text, 120))];
    reasons.push(around.reason());
    // What one person does in a session is one incident.
    let subject = match around {
        Around::Person { name, .. } if told.change != Change::Root => name,
        _ => told.account,
    };
    let sign = case.sign(case.key(Story::Account, subject), "accounts", category);
    let victim: Option<Box<str>> = Some(format!("{account}@{host}").into());
    let message = format!("{what} on {host}");
    desk.raise(case, Sign { severity, confidence: sure, message, reasons, techniques, actor, victim, ..sign });
}
