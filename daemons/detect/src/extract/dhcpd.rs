//! ISC's DHCP server and client, and their kin: `DHCPACK on 10.0.0.5 to aa:bb:cc:dd:ee:ff (host) via eth0`.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{address, after, name, word};

const FAMILY: AppFamily = AppFamily::Dhcpd;

/// A line of a DHCP server or client.
pub(super) fn dhcpd(text: &str) -> Extraction<'_> {
    let (verb, tail) = word(text);
    if !verb.starts_with("DHCP") {
        return Extraction::unknown(FAMILY);
    }
    let failed = matches!(verb, "DHCPNAK" | "DHCPDECLINE") || tail.ends_with("no free leases");
    let outcome = match verb {
        _ if failed => Outcome::Failed,
        "DHCPACK" | "DHCPOFFER" => Outcome::Ok,
        _ => Outcome::None,
    };
    let found = of(FAMILY, Action::Lease, outcome);
    let token = |start| after(tail, start).map(|tail| word(tail).0);
    let hardware = token("to ").or_else(|| token("from ")).filter(|token| address(token).is_none());
    let given = token("on ").or_else(|| token("for ")).and_then(address);
    let found = found.maybe_by(hardware.and_then(name));
    given.map_or(found, |given| found.towards(given, None))
}
