//! systemd and logind: units started, stopped and failed; sessions.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{after, word};

const FAMILY: AppFamily = AppFamily::Systemd;

/// A line of systemd or systemd-logind.
pub(super) fn systemd(text: &str) -> Extraction<'_> {
    let (first, rest) = word(text);
    match first {
        "Started" | "Starting" | "Stopped" | "Stopping" | "Reloaded" | "Reloading" | "Finished" | "Reached"
        | "Mounted" | "Mounting" | "Unmounted" | "Unmounting" | "Created" | "Removed" | "Listening" | "Closed"
        | "Deactivated"
            if !rest.starts_with("session ") =>
        {
            of(FAMILY, Action::Service, Outcome::Ok).object(Object::Service(rest.trim_end_matches('.')))
        }
        "Failed" | "Dependency" => {
            let unit = ["to start ", "to stop ", "failed for "].iter().find_map(|verb| rest.strip_prefix(verb));
            of(FAMILY, Action::Service, Outcome::Failed)
                .object(Object::Service(unit.unwrap_or(rest).trim_end_matches('.')))
        }
        "New" if rest.starts_with("session ") => {
            let account = after(rest, " of user ").unwrap_or_default().trim_end_matches('.');
            let account = account.split_once("' ").map_or(account, |(account, _class)| account).trim_matches('\'');
            let login = of(FAMILY, Action::Login, Outcome::None);
            if account.is_empty() { login } else { login.account(account) }
        }
        "Removed" | "Session" => of(FAMILY, Action::Logout, Outcome::Ok),
        _ => unit(first, rest),
    }
}

/// `nginx.service: Main process exited, code=exited, status=1/FAILURE`.
fn unit<'a>(first: &'a str, rest: &str) -> Extraction<'a> {
    let Some(unit) = first.strip_suffix(':').filter(|unit| unit.contains('.')) else {
        return Extraction::unknown(FAMILY);
    };
    let failed = rest.contains("/FAILURE") || rest.starts_with("Failed with result") || rest.contains("code=killed");
    let outcome = if failed {
        Outcome::Failed
    } else if rest.starts_with("Succeeded") || rest.starts_with("Deactivated successfully") {
        Outcome::Ok
    } else {
        Outcome::None
    };
    of(FAMILY, Action::Service, outcome).object(Object::Service(unit))
}
