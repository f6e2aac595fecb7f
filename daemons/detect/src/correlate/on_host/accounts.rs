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
//! passed over, and so are other groups and the passwords of other accounts. A table of cron that an account changes
//! within an hour after it was guessed is HIGH (T1053.003).

use nms_proto::{event::Body, extraction::Outcome, finding::Category, severity::Severity};

use super::{
    Case, Desk,
    account_lines::{self, Change, Told, is_admins},
    at_work::{AtWork, Work, is_night},
};
use crate::{correlate::success::Success, extract::windows_record, incident::Sign, subject::Story, text::cut};

/// Bytes of a name in a sentence.
const NAME_BYTES: usize = 64;

/// What surrounds a change, from bad to harmless: a column of the table above.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Around {
    Guessed,
    Nobody { night: bool },
    Person { night: bool, name: Box<str>, known: bool },
    Tool,
}

impl Around {
    fn column(&self) -> usize {
        match self {
            Self::Guessed => 0,
            Self::Nobody { night: true } => 1,
            Self::Nobody { night: false } => 2,
            Self::Person { night: true, known: false, .. } => 3,
            Self::Person { .. } | Self::Tool => 4,
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
            Self::Tool => String::from("a package manager or a provisioning tool was at work within 10 min"),
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
        match work.now(case) {
            Work::Tool => Around::Tool,
            Work::Person { name, known } => Around::Person { night, name, known },
            Work::Unknown => Around::Nobody { night },
        }
    };
    say(desk, case, told, &around);
}

/// A Windows event.
pub(super) fn windows(desk: &mut Desk<'_>, (success, admins): (&Success, &[Box<str>]), case: &Case<'_>) {
    let Body::Syslog(line) = &case.event.body else { return };
    let Some(told) = account_lines::windows(&windows_record(line)) else { return };
    let night = is_night(case.when.at);
    let known = told.by.filter(|by| admins.iter().any(|admin| admin.eq_ignore_ascii_case(by)));
    let around = match known {
        _ if success.was_taken(&case.event.source, None, case.at()) => Around::Guessed,
        Some(name) => Around::Person { night, name: name.into(), known: true },
        None => Around::Nobody { night },
    };
    say(desk, case, told, &around);
}

/// A user's table of jobs was changed: worth a word where the user was guessed.
pub(super) fn scheduled(desk: &mut Desk<'_>, success: &Success, case: &Case<'_>) {
    let Some(user) = case.user().filter(|_user| case.found.outcome == Outcome::Ok) else { return };
    if !success.was_taken(&case.event.source, Some(user), case.at()) {
        return;
    }
    let sign = case.sign(case.key(Story::Account, user), "accounts", Category::Persistence);
    let user = cut(user, NAME_BYTES);
    desk.raise(
        case,
        Sign {
            severity: Severity::High,
            confidence: 0.9,
            message: format!("{user} on {} was guessed and changed what cron runs", case.host()),
            reasons: vec![
                format!("{}: {}", case.app, cut(case.text, 120)),
                format!("{user} was guessed on this host within the last 60 min"),
            ],
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
