//! sudo: commands run with another's rights, and refusals.
//!
//! `alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update`. A refusal stands as
//! a further field before `TTY=` or, where there is no terminal, `PWD=`. The command is the caller's own text and stands last.
//! A folder may be called like fields: whose rights are used stands last before the command, and all behind the first
//! ` ; COMMAND=` is taken as the command, as nobody can tell which of several is the true one.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, between, name};

const FAMILY: AppFamily = AppFamily::Sudo;

/// What stands before the command.
pub(crate) const COMMAND: &str = " ; COMMAND=";

/// A line of sudo.
pub(super) fn sudo(text: &str) -> Extraction<'_> {
    let Some((caller, rest)) = text.split_once(" : ") else { return Extraction::unknown(FAMILY) };
    // Without a terminal (cron, ssh with a command) there is no TTY field.
    let (why, fields) = match rest.find("TTY=").or_else(|| rest.find("PWD=")) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let why = why.trim_end_matches([' ', ';']);
    let found = if why.is_empty() { of(FAMILY, Action::Command, Outcome::Ok) } else { refusal(why) };
    let found = found.maybe_by(name(caller.trim_ascii()));
    let (before, command) = match fields.split_once(COMMAND) {
        Some((before, command)) => (before, Some(command)),
        None => (fields, after(fields, "COMMAND=")),
    };
    let user = before.rsplit_once(" ; USER=").map(|(_head, tail)| tail);
    let user = user.map(|tail| tail.split_once(" ; ").map_or(tail, |(user, _fields)| user));
    let found = match user.or_else(|| between(before, "USER=", " ; ")) {
        Some(user) => found.account(user),
        None => found,
    };
    match command {
        Some(command) => found.object(Object::Program(command)),
        None => found,
    }
}

/// `3 incorrect password attempts`, `user NOT in sudoers`, `command not allowed`, `a password is required` ...
fn refusal<'a>(why: &str) -> Extraction<'a> {
    let attempts = why.split_once(" incorrect password attempt").and_then(|(count, _rest)| count.parse::<u32>().ok());
    match attempts {
        Some(attempts) => Extraction { times: attempts, ..of(FAMILY, Action::Login, Outcome::Failed) },
        None if why.starts_with("unable to ") => Extraction::unknown(FAMILY),
        None => of(FAMILY, Action::Command, Outcome::Failed),
    }
}
