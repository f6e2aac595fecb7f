//! The Linux audit log: `type=USER_LOGIN msg=audit(1773137472.123:7): pid=7 uid=0 ... msg='op=login acct="bob"
//! exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=ssh res=failed'`.
//!
//! Fields that hold what an outsider chose are in quotes or, where it holds odd characters, in hexadecimal. What
//! `sshd`, `sudo` and their like do they report themselves as well: their lines go with the attempt.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, name, pairs, word};

const FAMILY: AppFamily = AppFamily::Generic;
/// Programs that tell of each attempt in a line of their own.
const REPORTING: [&str; 6] = ["sshd", "sshd-session", "sudo", "su", "login", "dropbear"];

/// Whether a text is a record of the audit log: only by how it begins, as others quote whatever they are sent.
pub(super) fn recognises(text: &str) -> bool {
    let begins = record(text).is_some() || text.starts_with("audit(") || text.starts_with("audit: audit(");
    begins && text.contains("audit(")
}

/// A record from its `type=` on, without the node or the name that may stand before it.
pub(crate) fn record(text: &str) -> Option<&str> {
    let text = if text.starts_with("node=") { word(text).1 } else { text };
    let text = text.strip_prefix("audit: ").unwrap_or(text);
    text.starts_with("type=").then_some(text)
}

#[derive(Default)]
struct Record<'a> {
    kind: &'a str,
    operation: &'a str,
    account: Option<&'a str>,
    program: Option<&'a str>,
    from: Option<Actor<'a>>,
    result: &'a str,
    by: Option<&'a str>,
}

/// A record of the audit log.
pub(super) fn audit(text: &str) -> Extraction<'_> {
    let mut record = Record::default();
    for (key, value) in pairs(text) {
        match key {
            "type" if record.kind.is_empty() => record.kind = value,
            "op" => record.operation = value,
            "acct" => record.account = Some(value),
            "id" if record.account.is_none() && value != "0" => record.account = Some(value),
            "exe" => record.program = Some(value),
            "addr" => record.from = address(value).map(Actor::Address).or(record.from),
            "AUID" | "auid" => record.by = Some(value),
            "res" | "success" => record.result = value,
            _ => {}
        }
    }
    record.judge().unwrap_or(Extraction::unknown(FAMILY))
}

impl<'a> Record<'a> {
    fn judge(self) -> Option<Extraction<'a>> {
        let outcome = match self.result {
            "success" | "yes" | "1" => Outcome::Ok,
            "failed" | "no" | "0" => Outcome::Failed,
            _ => Outcome::None,
        };
        let action = match self.kind {
            // Each of these follows the one that decides.
            "USER_LOGIN" | "USER_AUTH" | "USER_ACCT" | "USER_ERR" | "GRP_AUTH" => Action::Login,
            "USER_START" | "CRED_ACQ" | "CRED_REFR" | "USER_ROLE_CHANGE" => {
                return Some(self.with(Action::Login, Outcome::None));
            }
            "USER_END" | "CRED_DISP" | "USER_LOGOUT" => Action::Logout,
            "USER_CMD" | "CONFIG_CHANGE" => Action::Command,
            "ADD_USER" | "DEL_USER" | "ADD_GROUP" | "DEL_GROUP" | "USER_MGMT" | "GRP_MGMT" | "USER_CHAUTHTOK"
            | "CHUSER_ID" | "CHGRP_ID" => Action::Account,
            "SERVICE_START" | "SERVICE_STOP" | "DAEMON_START" | "DAEMON_END" | "DAEMON_CONFIG" | "SYSTEM_BOOT"
            | "SYSTEM_SHUTDOWN" => Action::Service,
            "EXECVE" | "SYSCALL" | "ANOM_ABEND" => Action::Process,
            "AVC" | "USER_AVC" | "1400" => return Some(self.with(Action::Process, Outcome::Failed)),
            "ANOM_PROMISCUOUS" | "ANOM_LOGIN_FAILURES" | "RESP_ACCT_LOCK" => Action::Ids,
            _ => return None,
        };
        let outcome = match action {
            // That a login is allowed at all, or its password right, is said before it is one.
            Action::Login if self.kind != "USER_LOGIN" && outcome == Outcome::Ok => Outcome::None,
            // What failed was said in a record before it.
            Action::Login if self.kind == "USER_LOGIN" && outcome == Outcome::Failed => Outcome::None,
            _ => outcome,
        };
        Some(self.with(action, outcome))
    }

    fn with(&self, action: Action, outcome: Outcome) -> Extraction<'a> {
        let program = self.program.map(|program| program.rsplit_once('/').map_or(program, |(_folder, base)| base));
        let found = of(FAMILY, action, outcome);
        let found = found.maybe_by(self.from.or_else(|| self.by.filter(|_by| action != Action::Login).and_then(name)));
        let found =
            self.account.filter(|account| *account != "(unknown)").map_or(found, |account| found.account(account));
        let found = self.program.map_or(found, |program| found.object(Object::Program(program)));
        let told = action == Action::Login && program.is_some_and(|program| REPORTING.contains(&program));
        if told { found.companion() } else { found }
    }
}
