//! Access points and stations: hostapd and what is built on it, `UniFi`, ASUS, `wpa_supplicant`.
//!
//! `wlan0: STA aa:bb:cc:dd:ee:ff IEEE 802.11: authenticated`: the station's hardware address is the actor.

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{after, holds_any, word};

const FAMILY: AppFamily = AppFamily::Wireless;

/// A line of an access point or a station.
pub(super) fn wireless(text: &str) -> Extraction<'_> {
    tracked(text).or_else(|| said(text)).unwrap_or(Extraction::unknown(FAMILY))
}

fn said(text: &str) -> Option<Extraction<'_>> {
    const FAILED: [&str; 10] = [
        "POSSIBLE-PSK-MISMATCH",
        "EAPOL-Key timeout",
        "invalid MIC",
        "EAP-FAILURE",
        "authentication failed",
        "WRONG_KEY",
        "Access-Reject",
        "ASSOC-REJECT",
        "AUTH-REJECT",
        "not allowed",
    ];
    const LEFT: [&str; 8] = [
        "disassociated",
        "deauthenticated",
        "AP-STA-DISCONNECTED",
        "CTRL-EVENT-DISCONNECTED",
        "STA_LEAVE",
        "Deauth_ind",
        "Disassoc",
        "session timeout",
    ];
    const CAME: [&str; 9] = [
        ": authenticated",
        ": associated",
        "handshake completed",
        "AP-STA-CONNECTED",
        "CTRL-EVENT-CONNECTED",
        "EAP-SUCCESS",
        "STA_JOIN",
        "Assoc ",
        "ReAssoc ",
    ];
    let found = if holds_any(text, &FAILED) {
        of(FAMILY, Action::Login, Outcome::Failed)
    } else if holds_any(text, &LEFT) {
        of(FAMILY, Action::Logout, Outcome::None)
    } else if holds_any(text, &CAME) || text.contains("authenticated - EAP type") {
        of(FAMILY, Action::Login, Outcome::Ok)
    } else if text.contains(": Auth ") {
        of(FAMILY, Action::Connection, Outcome::None)
    } else if holds_any(text, &["AP-ENABLED", "AP-DISABLED", "interface state "]) {
        of(FAMILY, Action::Service, Outcome::Ok)
    } else if holds_any(
        text,
        &["Trying to associate", "Trying to authenticate", "did not acknowledge", "RADIUS: starting"],
    ) {
        of(FAMILY, Action::Connection, Outcome::None)
    } else {
        return None;
    };
    Some(found.maybe_by(station(text)))
}

/// The first hardware address of a text.
pub(super) fn station(text: &str) -> Option<Actor<'_>> {
    let token = text
        .split([' ', ',', '=', ';', '[', ']', '(', ')'])
        .find(|token| is_hardware(token.trim_end_matches(['.', ':'])))?;
    Some(Actor::Name(token.trim_end_matches(['.', ':'])))
}

/// `aa:bb:cc:dd:ee:ff`, `aa-bb-...`, or Cisco's `aabb.ccdd.eeff`.
fn is_hardware(token: &str) -> bool {
    let bytes = token.as_bytes();
    let parted = |every: usize, marks: &[u8]| {
        bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at % every == every - 1 { marks.contains(byte) } else { byte.is_ascii_hexdigit() })
    };
    bytes.len() == 17 && parted(3, b":-") || bytes.len() == 14 && parted(5, b".")
}

/// `UniFi`'s tracker: `[STA-TRACKER].stahtd_dump_event(): {"message_type":"STA_ASSOC_TRACKER","mac":"aa:...","event_type":"failure",...}`.
fn tracked(text: &str) -> Option<Extraction<'_>> {
    let (_head, record) = text.split_once("STA-TRACKER").filter(|(_head, tail)| tail.contains('{'))?;
    let (mut kind, mut station, mut failures) = ("", None, "0");
    for member in members(record) {
        match member.name {
            "event_type" => kind = member.value,
            "mac" => station = Some(Actor::Name(member.value)),
            "auth_failures" | "wpa_auth_failures" => failures = member.value,
            _ => {}
        }
    }
    let (action, outcome) = match kind {
        "failure" if failures != "0" => (Action::Login, Outcome::Failed),
        "failure" | "soft failure" | "fixup" => (Action::Connection, Outcome::None),
        "success" => (Action::Login, Outcome::Ok),
        "sta_leave" | "leave" => (Action::Logout, Outcome::None),
        _ => return None,
    };
    Some(of(FAMILY, action, outcome).maybe_by(station))
}

/// IOS' access points: `Interface Dot11Radio0, Station host aabb.ccdd.eeff Associated KEY_MGMT[WPAv2 PSK]`.
pub(super) fn dot11(text: &str) -> Option<Actor<'_>> {
    station(after(text, "tation ").or_else(|| after(text, "client "))?).or_else(|| station(word(text).1))
}
