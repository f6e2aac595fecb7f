//! Containers: Docker, containerd, Podman, CRI-O, the kubelet, and the audit log of Kubernetes.
//!
//! Daemons write `time="..." level=info msg="..."` or klog's `E0310 10:11:12.123456 7 file.go:7] ...`; Podman's
//! events are `container start ID (image=..., name=web, ...)`. An audit record's last source address is the one the
//! server saw; those before it are what proxies and clients said.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{address, between, holds_any, name, pairs, word};

const FAMILY: AppFamily = AppFamily::Container;

/// Whether a text is a record of the audit log of Kubernetes.
pub(super) fn recognises(text: &str) -> bool {
    text.contains("\"apiVersion\":\"audit.k8s.io/")
}

/// A line of a container's daemon.
pub(super) fn container(text: &str) -> Extraction<'_> {
    if recognises(text) {
        return audit(text);
    }
    event(text).or_else(|| logfmt(text)).or_else(|| klog(text)).unwrap_or(Extraction::unknown(FAMILY))
}

/// `... container died 5f0c... (image=docker.io/library/nginx, name=web)`.
fn event(text: &str) -> Option<Extraction<'_>> {
    let at = if text.starts_with("container ") { 0 } else { text.find(" container ")? + 1 };
    let (verb, tail) = word(text.get(at..)?.strip_prefix("container ")?);
    let (action, outcome) = match verb {
        "start" | "stop" | "create" | "remove" | "restart" | "init" | "cleanup" | "pause" | "unpause" | "destroy"
        | "kill" | "died" | "die" => (Action::Service, Outcome::Ok),
        "oom" => (Action::Service, Outcome::Failed),
        "attach" | "exec" | "exec_died" => (Action::Command, Outcome::Ok),
        "health_status" | "health_status:" => (Action::Service, Outcome::None),
        _ => return None,
    };
    let found = of(FAMILY, action, outcome);
    let named = between(tail, "name=", ",").map(|named| named.trim_end_matches(')'));
    Some(named.map_or(found, |named| found.object(Object::Service(named))))
}

fn level<'a>(level: &str, said: &str) -> Option<Extraction<'a>> {
    let outcome = match level {
        "info" | "I" | "notice" => Outcome::Ok,
        "warning" | "warn" | "W" => Outcome::None,
        "error" | "fatal" | "panic" | "E" | "F" => Outcome::Failed,
        _ => return None,
    };
    if holds_any(said, &["authentication required", "incorrect username or password", "Unauthorized", "unauthorized"]) {
        return Some(of(FAMILY, Action::Login, Outcome::Failed));
    }
    Some(of(FAMILY, Action::Service, outcome))
}

fn logfmt(text: &str) -> Option<Extraction<'_>> {
    let (mut kind, mut said, mut container) = ("", "", None);
    for (key, value) in pairs(text) {
        match key {
            "level" if kind.is_empty() => kind = value,
            "msg" if said.is_empty() => said = value,
            "container" | "id" | "containerID" => container = Some(value),
            _ => {}
        }
    }
    let found = level(kind, said)?;
    Some(container.map_or(found, |container| found.object(Object::Service(container))))
}

fn klog(text: &str) -> Option<Extraction<'_>> {
    let (head, said) = text.split_once("] ")?;
    let (first, _rest) = word(head);
    let (kind, day) = first.split_at_checked(1)?;
    (day.len() == 4 && crate::text::is_number(day)).then(|| level(kind, said)).flatten()
}

fn audit(text: &str) -> Extraction<'_> {
    let (mut verb, mut user, mut from, mut code) = ("", None, None, 0_u16);
    let (mut resource, mut part, mut object) = ("", "", None);
    for member in members(text) {
        match (member.parent, member.name) {
            ("", "verb") => verb = member.value,
            ("user", "username") => user = Some(member.value),
            ("sourceIPs", _) => from = address(member.value),
            ("responseStatus", "code") => code = member.value.parse().unwrap_or(0),
            ("objectRef", "resource") => resource = member.value,
            ("objectRef", "subresource") => part = member.value,
            ("objectRef", "name") => object = Some(member.value),
            _ => {}
        }
    }
    let outcome = match code {
        0 => Outcome::None,
        1..=399 => Outcome::Ok,
        _ => Outcome::Failed,
    };
    let action = match (code, part, verb) {
        (401, ..) => Action::Login,
        (_, "exec" | "attach", _) => Action::Command,
        (_, _, "create" | "update" | "patch" | "delete")
            if resource.ends_with("bindings") || resource.ends_with("roles") =>
        {
            Action::Account
        }
        _ => Action::Request,
    };
    let found = of(FAMILY, action, outcome).maybe_by(from.map(Actor::Address).or_else(|| user.and_then(name)));
    let found = user.map_or(found, |user| found.account(user));
    object.map_or(found, |object| found.object(Object::Service(object)))
}
