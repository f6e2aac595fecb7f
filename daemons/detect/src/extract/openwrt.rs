//! OpenWrt's web interface: `luci: failed login on / for root from 10.0.0.50`. Its packets are netfilter's.

use nms_proto::extraction::{Action, AppFamily, Extraction, Outcome};

use super::build::{Build as _, of};
use crate::text::{peer, word};

const FAMILY: AppFamily = AppFamily::Openwrt;

/// A line of luci, uhttpd or rpcd.
pub(super) fn openwrt(text: &str) -> Extraction<'_> {
    login(text).unwrap_or(Extraction::unknown(FAMILY))
}

fn login(text: &str) -> Option<Extraction<'_>> {
    let text = text.strip_prefix("luci: ").unwrap_or(text);
    let (outcome, tail) = if let Some(tail) = text.strip_prefix("failed login on ") {
        (Outcome::Failed, tail)
    } else {
        (Outcome::Ok, text.strip_prefix("accepted login on ")?)
    };
    let (_page, tail) = tail.split_once(" for ")?;
    let (account, tail) = tail.rsplit_once(" from ")?;
    Some(of(FAMILY, Action::Login, outcome).maybe_by(peer(word(tail).0)).account(account))
}
