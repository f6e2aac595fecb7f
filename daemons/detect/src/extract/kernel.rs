//! The kernel's own lines: packets go to `netfilter`, the rest is trouble worth a name.

use nms_proto::extraction::{Action, AppFamily, Extraction, Object, Outcome};

use super::{
    build::{Build as _, of},
    netfilter, openvpn,
};
use crate::text::{between, starts};

const FAMILY: AppFamily = AppFamily::Kernel;

/// A line of the kernel, with or without its `[12345.678901]` clock.
pub(super) fn kernel(text: &str) -> Extraction<'_> {
    if netfilter::recognises(text) {
        return netfilter::netfilter(text);
    }
    let text = without_clock(text);
    if text.contains("ossible SYN flooding")
        || starts(text, "nf_conntrack: table full")
        || text.contains("nf_conntrack: nf_conntrack: table full")
    {
        return of(FAMILY, Action::Ids, Outcome::Failed);
    }
    if openvpn::is_wireguard(text) {
        return openvpn::wireguard(text);
    }
    if text.contains("apparmor=\"DENIED\"") {
        let found = of(FAMILY, Action::Process, Outcome::Failed);
        return between(text, "profile=\"", "\"").map_or(found, |profile| found.object(Object::Program(profile)));
    }
    if starts(text, "usb ") && (text.contains("New USB device found") || text.contains("USB disconnect")) {
        return of(FAMILY, Action::Connection, Outcome::None);
    }
    if text.contains("entered promiscuous mode") {
        return of(FAMILY, Action::Ids, Outcome::None);
    }
    if starts(text, "Out of memory")
        || text.contains("oom-kill")
        || starts(text, "Memory cgroup out of memory")
        || text.contains(" general protection fault")
        || text.contains(" segfault at ")
    {
        return of(FAMILY, Action::Process, Outcome::Failed);
    }
    Extraction::unknown(FAMILY)
}

/// The text behind the kernel's clock.
pub(crate) fn without_clock(text: &str) -> &str {
    let inner = text.strip_prefix('[').and_then(|tail| tail.split_once("] "));
    match inner {
        Some((clock, tail)) if clock.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b' ') => tail,
        _ => text,
    }
}
