//! FortiGate's `key=value` lines: traffic, administrators, VPN users, what its inspection found.
//!
//! A value in quotes may hold what an outsider chose; a quote inside it is escaped.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, holds_any, pairs};

const FAMILY: AppFamily = AppFamily::Fortigate;

/// Whether a text is such a line.
pub(super) fn recognises(text: &str) -> bool {
    (text.contains("devname=") || text.contains("devid=")) && (text.contains("logid=") || text.contains("log_id="))
}

#[derive(Default)]
struct Fields<'a> {
    from: Option<Actor<'a>>,
    remote: Option<Actor<'a>>,
    to: Option<std::net::IpAddr>,
    port: Option<u16>,
    user: Option<&'a str>,
    action: &'a str,
    status: &'a str,
    kind: &'a str,
    part: &'a str,
    what: &'a str,
}

/// A line of a FortiGate.
pub(super) fn fortigate(text: &str) -> Extraction<'_> {
    let mut fields = Fields::default();
    for (key, value) in pairs(text) {
        match key {
            "srcip" | "src" => fields.from = address(value).map(Actor::Address),
            "remip" => fields.remote = address(value).map(Actor::Address),
            // `ui="https(192.0.2.7)"`, in releases that do not name a source.
            "ui" if fields.from.is_none() => {
                fields.from =
                    value.split_once('(').and_then(|(_how, ip)| address(ip.trim_end_matches(')'))).map(Actor::Address);
            }
            "dstip" | "dst" => fields.to = address(value),
            "dstport" => fields.port = value.parse().ok(),
            "user" | "xauthuser" if !matches!(value, "N/A" | "") => fields.user = Some(value),
            "action" => fields.action = value,
            "status" => fields.status = value,
            "type" => fields.kind = value,
            "subtype" => fields.part = value,
            "logdesc" => fields.what = value,
            _ => {}
        }
    }
    let Some((action, outcome)) = fields.judge() else { return Extraction::unknown(FAMILY) };
    let found = of(FAMILY, action, outcome).maybe_by(fields.remote.or(fields.from));
    let found = fields.user.map_or(found, |user| found.account(user));
    fields.to.map_or(found, |to| found.towards(to, fields.port))
}

impl Fields<'_> {
    fn judge(&self) -> Option<(Action, Outcome)> {
        let failed = matches!(self.status, "failed" | "failure" | "fail" | "error" | "timed_out")
            || self.what.contains("failed")
            || self.action.ends_with("-fail");
        let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
        let blocked = holds_any(self.action, &["deny", "block", "drop", "reset", "clear"]);
        Some(match (self.kind, self.part, self.action) {
            (_, _, "login" | "authentication" | "auth-logon" | "ssl-login-fail" | "ssl-new-con" | "FSSO-logon") => {
                (Action::Login, outcome)
            }
            (_, _, "logout" | "auth-logout" | "FSSO-logoff" | "ssl-exit-error" | "tunnel-down" | "ssl-exit-fail") => {
                (Action::Logout, outcome)
            }
            (_, "vpn", "tunnel-up") => (Action::Login, Outcome::Ok),
            (_, "vpn", _) => (Action::Connection, outcome),
            ("traffic", _, _) if blocked => (Action::Block, Outcome::Failed),
            ("traffic", _, _) => (Action::Connection, Outcome::Ok),
            ("utm", "webfilter" | "app-ctrl" | "dns" | "ssl" | "emailfilter" | "dlp" | "file-filter", _) => {
                (Action::Request, if blocked { Outcome::Failed } else { Outcome::Ok })
            }
            ("utm" | "ips" | "virus" | "anomaly" | "waf", _, _) => (Action::Ids, Outcome::Failed),
            ("event", _, "Add" | "Edit" | "Delete" | "Move") => (Action::Command, Outcome::Ok),
            ("event", "user", _) => (Action::Login, outcome),
            ("event", "system", _) if self.what.starts_with("DHCP") => (Action::Lease, Outcome::Ok),
            ("event", "wireless", _) => (Action::Connection, Outcome::None),
            ("event", "system" | "ha" | "router", _) => {
                (Action::Service, if failed { Outcome::Failed } else { Outcome::None })
            }
            _ => return None,
        })
    }
}
