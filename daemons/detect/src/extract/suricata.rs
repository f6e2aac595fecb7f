//! Suricata and Snort: alerts as a line of `fast.log`, and Suricata's EVE records in JSON.
//!
//! `[1:2001219:20] ET SCAN SSH [Classification: ...] [Priority: 2] {TCP} 192.0.2.7:4711 -> 10.0.0.5:22`: the
//! endpoints are the sensor's own and stand last. In a record they are members of the outermost object.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{address, endpoint, is_number, starts, strip_any, word};

const FAMILY: AppFamily = AppFamily::Suricata;

/// What may precede a record: the mark of structured syslog, or a tag that nobody took off.
const MARKS: [&str; 2] = ["@cee:", "suricata: "];

/// The record that a text is. A record holds what outsiders wrote, which may read like an alert, and is never read as one.
pub(crate) fn json(text: &str) -> Option<&str> {
    let text = strip_any(text, &MARKS).map_or(text, str::trim_ascii_start);
    text.starts_with('{').then_some(text)
}

/// What stands before an alert's number where the sensor stopped the packet; `**` is only a mark.
const STOPPED: [&str; 7] = ["Drop", "wDrop", "drop", "wdrop", "would_drop", "block", "reject"];
const MARK: &str = "**";

/// What follows the number of an alert, and whether the sensor stopped it: `[1:2001219:20] ...`, perhaps with the day's
/// stamp, `[Drop]` and `[**]` in front. Nothing else may stand before the number.
pub(crate) fn alert(text: &str) -> Option<(&str, bool)> {
    let (stamp, tail) = word(text);
    let of_stamp = |byte: u8| byte.is_ascii_digit() || b"/-:.".contains(&byte);
    let mut rest = if stamp.contains('/') && stamp.bytes().all(of_stamp) { tail } else { text };
    let mut stopped = false;
    loop {
        let (inner, tail) = rest.trim_ascii_start().strip_prefix('[')?.split_once(']')?;
        rest = tail;
        if STOPPED.contains(&inner) {
            stopped = true;
        } else if inner != MARK {
            let is_id = inner.split(':').count() == 3 && inner.split(':').all(is_number);
            return is_id.then_some((rest, stopped));
        }
    }
}

/// Whether a text is an alert or a record.
pub(super) fn recognises(text: &str) -> bool {
    if let Some(record) = json(text) {
        return record.contains("\"event_type\"") && record.contains("\"src_ip\"");
    }
    alert(text).is_some()
        && (text.contains("[Classification: ") || text.contains("[Priority: "))
        && text.contains(" -> ")
}

/// A line of Suricata or Snort.
pub(super) fn suricata(text: &str) -> Extraction<'_> {
    let found = match json(text) {
        Some(text) => record(text),
        None => fast(text).or_else(|| own(text)),
    };
    found.unwrap_or(Extraction::unknown(FAMILY))
}

fn fast(text: &str) -> Option<Extraction<'_>> {
    let (head, to) = text.rsplit_once(" -> ").filter(|_ends| alert(text).is_some())?;
    let (_head, from) = head.rsplit_once(' ')?;
    let (from, _port) = endpoint(from)?;
    let (to, port) = endpoint(word(to).0)?;
    Some(of(FAMILY, Action::Ids, Outcome::Failed).by(Actor::Address(from)).towards(to, port))
}

fn record(text: &str) -> Option<Extraction<'_>> {
    let (mut kind, mut from, mut to, mut port, mut status) = ("", None, None, None, 0_u16);
    for member in members(text) {
        match (member.parent, member.name) {
            ("", "event_type") => kind = member.value,
            ("", "src_ip") => from = address(member.value),
            ("", "dest_ip") => to = address(member.value),
            ("", "dest_port") => port = member.value.parse().ok(),
            ("http", "status") => status = member.value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let (action, outcome) = match kind {
        "alert" => (Action::Ids, Outcome::Failed),
        "drop" => (Action::Block, Outcome::Failed),
        "flow" | "netflow" => (Action::Connection, Outcome::Ok),
        "http" if status >= 400 => (Action::Request, Outcome::Failed),
        "http" | "dns" | "tls" | "ssh" | "smb" | "smtp" | "ftp" | "rdp" | "fileinfo" | "sip" | "quic" | "mqtt" => {
            (Action::Request, Outcome::None)
        }
        "dhcp" => (Action::Lease, Outcome::None),
        _ => return None,
    };
    let found = of(FAMILY, action, outcome).maybe_by(from.map(Actor::Address));
    Some(to.map_or(found, |to| found.towards(to, port)))
}

/// `This is Suricata version 7.0.3 RELEASE running in SYSTEM mode`, `Signal Received.  Stopping engine.`.
fn own(text: &str) -> Option<Extraction<'_>> {
    let text =
        text.rsplit_once("- <").and_then(|(_head, tail)| tail.split_once("> - ")).map_or(text, |(_level, said)| said);
    let done = ["This is ", "Signal Received", "all ", "Stats for", "rule reload complete", "Snort exiting"];
    done.iter().any(|start| starts(text, start)).then(|| of(FAMILY, Action::Service, Outcome::Ok))
}
