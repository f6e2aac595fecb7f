//! Dropbear, the small SSH server of routers and boards.
//!
//! The account stands in quotes before the address, which is cut from the right.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, endpoint, quoted, starts, word};

const FAMILY: AppFamily = AppFamily::Dropbear;

/// A line of dropbear.
pub(super) fn dropbear(text: &str) -> Extraction<'_> {
    let text = without_own_stamp(text);
    let failed = of(FAMILY, Action::Login, Outcome::Failed);
    let found = if starts(text, "bad password attempt for ") || starts(text, "bad pam password attempt for ") {
        Some(failed.maybe_by(last_from(text)).maybe_account(text).exists(true))
    } else if starts(text, "login attempt for nonexistent user") {
        Some(failed.maybe_by(last_from(text)).maybe_account(text).exists(false))
    } else if text.contains("auth succeeded for ") {
        Some(of(FAMILY, Action::Login, Outcome::Ok).maybe_by(last_from(text)).maybe_account(text).exists(true))
    } else if starts(text, "exit before auth") {
        Some(exit_before_auth(text))
    } else if starts(text, "exit (") {
        Some(of(FAMILY, Action::Logout, Outcome::Ok).maybe_by(bracketed(text)).maybe_account_after(text, "Exit ("))
    } else if starts(text, "child connection from ") {
        Some(of(FAMILY, Action::Connection, Outcome::None).maybe_by(last_from(text)))
    } else {
        None
    };
    found.unwrap_or(Extraction::unknown(FAMILY))
}

/// Takes off `[825] Jul 10 23:53:52 `, which dropbear writes when it logs to standard error.
fn without_own_stamp(text: &str) -> &str {
    let Some((_pid, tail)) = text.strip_prefix('[').and_then(|tail| tail.split_once("] ")) else { return text };
    tail.splitn(4, ' ').nth(3).unwrap_or(tail)
}

fn last_from(text: &str) -> Option<Actor<'_>> {
    let (_head, token) = text.rsplit_once(" from ")?;
    endpoint(word(token).0).map(|(address, _port)| Actor::Address(address))
}

/// `from <192.0.2.3:52289>`.
fn bracketed(text: &str) -> Option<Actor<'_>> {
    let token = after(text, "from <")?.split('>').next()?;
    endpoint(token).map(|(address, _port)| Actor::Address(address))
}

/// Several wrong passwords of one connection end with this line; the attempts were said before.
fn exit_before_auth(text: &str) -> Extraction<'_> {
    let actor = bracketed(text).or_else(|| last_from(text));
    if text.contains("Max auth tries reached") {
        return of(FAMILY, Action::Login, Outcome::Failed).maybe_by(actor).maybe_account(text).companion();
    }
    of(FAMILY, Action::Connection, Outcome::Failed).maybe_by(actor)
}

trait MaybeAccount<'a>: Sized {
    fn maybe_account(self, text: &'a str) -> Self;
    fn maybe_account_after(self, text: &'a str, start: &str) -> Self;
}

impl<'a> MaybeAccount<'a> for Extraction<'a> {
    fn maybe_account(self, text: &'a str) -> Self {
        Self { account: quoted(text, '\''), ..self }
    }
    fn maybe_account_after(self, text: &'a str, start: &str) -> Self {
        let name = after(text, start).and_then(|tail| tail.split(')').next());
        Self { account: quoted(text, '\'').or(name), ..self }
    }
}
