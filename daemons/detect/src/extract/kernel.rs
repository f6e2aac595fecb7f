//! The kernel's own lines: packets go to `netfilter`, the rest is trouble worth a name.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::{build::of, netfilter};
use crate::text::starts;

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
    if text.contains("entered promiscuous mode") {
        return of(FAMILY, Action::Ids, Outcome::None);
    }
    if starts(text, "Out of memory") || text.contains("oom-kill") || text.contains(" segfault at ") {
        return of(FAMILY, Action::Process, Outcome::Failed);
    }
    Extraction::unknown(FAMILY)
}

fn without_clock(text: &str) -> &str {
    let inner = text.strip_prefix('[').and_then(|tail| tail.split_once("] "));
    match inner {
        Some((clock, tail)) if clock.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b' ') => tail,
        _ => text,
    }
}
