//! Log keys in words: for people, made only of the vocabulary's words; nothing from a log line enters it.

use nms_proto::extraction::{Action, Outcome};

use crate::key::TypedKey;

/// A key in words: `sshd: login failed`.
pub fn describe(key: TypedKey) -> String {
    if key.is_group() {
        return "another message".to_owned();
    }
    let name = key.to_string();
    let family = name.split('.').next().unwrap_or_default();
    let action = match key.action() {
        Action::Other => "other message",
        Action::Login => "login",
        Action::Logout => "logout",
        Action::Command => "command",
        Action::Account => "account change",
        Action::Service => "service",
        Action::File => "file change",
        Action::Process => "process",
        Action::Connection => "connection",
        Action::Block => "blocked packet",
        Action::Lease => "address lease",
        Action::Request => "request",
        Action::Ids => "intrusion notice",
    };
    let outcome = match key.outcome() {
        Outcome::None => "",
        Outcome::Ok => " succeeded",
        Outcome::Failed => " failed",
    };
    format!("{family}: {action}{outcome}")
}
