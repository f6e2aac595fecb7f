//! su of shadow-utils, util-linux and the BSDs: becoming another user.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{name, word};

const FAMILY: AppFamily = AppFamily::Su;

/// A line of su.
pub(super) fn su(text: &str) -> Extraction<'_> {
    said(text).unwrap_or(Extraction::unknown(FAMILY))
}

fn said(text: &str) -> Option<Extraction<'_>> {
    let (outcome, tail) =
        if let Some(tail) = text.strip_prefix("FAILED SU ").or_else(|| text.strip_prefix("FAILED su ")) {
            (Outcome::Failed, tail)
        } else if let Some(tail) = text.strip_prefix("Successful su ") {
            (Outcome::Ok, tail)
        } else if text.starts_with("(to ") {
            (Outcome::Ok, text)
        } else if let Some(tail) = text.strip_prefix("BAD SU ") {
            let (caller, tail) = tail.split_once(" to ")?;
            return Some(becoming(Outcome::Failed, caller, word(tail).0));
        } else if let Some(tail) = text.strip_prefix("+ ").or_else(|| text.strip_prefix("- ")) {
            let (caller, account) = word(tail).1.rsplit_once(':')?;
            let outcome = if text.starts_with('+') { Outcome::Ok } else { Outcome::Failed };
            return Some(becoming(outcome, caller, account));
        } else {
            let (caller, tail) = text.split_once(" to ")?;
            let (account, terminal) = tail.split_once(" on ")?;
            return terminal.starts_with('/').then(|| becoming(Outcome::Ok, caller, account));
        };
    if let Some(tail) = tail.strip_prefix("(to ") {
        let (account, tail) = tail.split_once(") ")?;
        return Some(becoming(outcome, word(tail).0, account));
    }
    let (account, caller) = tail.strip_prefix("for ")?.rsplit_once(" by ")?;
    Some(becoming(outcome, caller, account))
}

fn becoming<'a>(outcome: Outcome, caller: &'a str, account: &'a str) -> Extraction<'a> {
    of(FAMILY, Action::Login, outcome).maybe_by(name(caller)).account(account)
}
