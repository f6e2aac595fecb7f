//! The clock's daemons: chronyd, ntpd, systemd-timesyncd.
//!
//! Which source is chosen and how far the clock was off means nothing here; that a daemon starts, or reaches nobody, does.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{endpoint, holds_any, strip_any, word};

const FAMILY: AppFamily = AppFamily::Ntp;

/// A line of a daemon that keeps the clock.
pub(super) fn ntp(text: &str) -> Extraction<'_> {
    if let Some(tail) = strip_any(
        text,
        &[
            "Contacted time server ",
            "Synchronized to time server ",
            "Initial synchronization to time server ",
            "Initial clock synchronization to time server ",
        ],
    ) {
        return towards(of(FAMILY, Action::Connection, Outcome::Ok), tail);
    }
    if let Some(tail) = strip_any(
        text,
        &["Timed out waiting for reply from ", "Server has too large root distance", "Received bad packet from "],
    ) {
        return towards(of(FAMILY, Action::Connection, Outcome::Failed), tail);
    }
    if holds_any(text, &["no selectable sources", "no servers reachable", "no reachable servers", "no server suitable"])
    {
        return of(FAMILY, Action::Service, Outcome::Failed);
    }
    if holds_any(text, &[" starting", " exiting", "exiting on signal", "Listen normally on", "Started NTP"]) {
        return of(FAMILY, Action::Service, Outcome::Ok);
    }
    if text.contains("rate limit") || text.contains("kiss-o'-death") || text.contains(" KoD ") {
        return of(FAMILY, Action::Connection, Outcome::Failed);
    }
    Extraction::unknown(FAMILY)
}

/// `192.0.2.7:123 (ntp.example).`.
fn towards<'a>(found: Extraction<'a>, tail: &str) -> Extraction<'a> {
    let server = endpoint(word(tail).0.trim_end_matches('.'));
    server.map_or(found, |(address, port)| found.towards(address, port))
}
