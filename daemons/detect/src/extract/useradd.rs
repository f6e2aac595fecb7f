//! shadow-utils: accounts and groups made, changed, removed; passwords set.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{between, quoted, starts};

const FAMILY: AppFamily = AppFamily::Useradd;

/// How lines begin that tell of a change.
const DONE: [&str; 13] = [
    "add '",
    "delete ",
    "deleted ",
    "removed ",
    "change ",
    "changed ",
    "lock ",
    "unlock ",
    "password for ",
    "group ",
    "set ",
    "user '",
    "added ",
];

/// A line of useradd, usermod, userdel, their group kin, passwd or chage.
pub(super) fn useradd(text: &str) -> Extraction<'_> {
    let done = of(FAMILY, Action::Account, Outcome::Ok);
    if starts(text, "new user: ") || starts(text, "new group: ") || starts(text, "group added to ") {
        return with_account(done, between(text, "name=", ","));
    }
    if starts(text, "failed ") || starts(text, "cannot ") {
        return with_account(of(FAMILY, Action::Account, Outcome::Failed), quoted(text, '\''));
    }
    if let Some(group) = text.split_once(" to group '").or_else(|| text.split_once(" to shadow group '")) {
        let group = group.1.split('\'').next().unwrap_or_default();
        return with_account(done, quoted(text, '\'')).object(Object::Service(group));
    }
    if DONE.iter().any(|start| starts(text, start)) {
        let named = quoted(text, '\'').or_else(|| text.rsplit_once(" for ").map(|(_head, account)| account));
        return with_account(done, named);
    }
    Extraction::unknown(FAMILY)
}

fn with_account<'a>(found: Extraction<'a>, account: Option<&'a str>) -> Extraction<'a> {
    account.map_or(found, |account| found.account(account))
}
