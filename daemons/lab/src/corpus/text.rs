//! Filling phrasings, and the stamps that stand in them.

use super::{DAY_MS, Params};
use nms_model::random::Random;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A phrasing with its parameters; what the caller did not choose is drawn.
pub(super) fn fill(phrase: &str, params: &Params, at_ms: i64, random: &mut Random) -> String {
    let mut out = String::with_capacity(phrase.len() + 64);
    let mut rest = phrase;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, after)) = behind.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&value(name, params, at_ms, random));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn value(name: &str, params: &Params, at_ms: i64, random: &mut Random) -> String {
    match name {
        "user" => params.user.clone(),
        "ip" => params.ip.to_string(),
        "peer" => params.peer.to_string(),
        "port" => params.port.to_string(),
        "path" => params.path.clone(),
        "command" => params.command.clone(),
        "unit" => params.unit.clone(),
        "service" => one_of(random, &["sshd", "login", "cron", "systemd-user"]).to_owned(),
        "digit" => random.between(1, 9).to_string(),
        "number" => random.between(1000, 65_000).to_string(),
        "version" => format!("{}.{}-{}ubuntu{}", random.below(9), random.below(30), random.below(9), random.below(9)),
        "mac" => (0..6).map(|_| hex(random, 2)).collect::<Vec<_>>().join(":"),
        "host" => format!("{}-{}", one_of(random, &["laptop", "phone", "tv", "desk"]), random.below(90)),
        "name" => format!("{}.{}", word(random), one_of(random, &["example.com", "example.net", "example.org"])),
        "hex" => hex(random, 64),
        "token" => (0..27).map(|_| char::from(random.pick(BASE64).copied().unwrap_or(b'A'))).collect(),
        "clf" => common_log(at_ms),
        "iso" => iso(at_ms),
        _ => name.to_owned(),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn hex(random: &mut Random, digits: usize) -> String {
    (0..digits).filter_map(|_| char::from_digit(random.below(16) as u32, 16)).collect()
}

fn word(random: &mut Random) -> String {
    (0..random.between(2, 4)).map(|_| one_of(random, &["ka", "lo", "mi", "ren", "sta", "vo", "tel", "ur"])).collect()
}

/// Year, month and day of a time (Howard Hinnant's `civil_from_days`).
fn civil(at_ms: i64) -> (i64, usize, i64) {
    let z = at_ms.div_euclid(DAY_MS) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as usize, day)
}

fn month_name(month: usize) -> &'static str {
    MONTHS.get(month.saturating_sub(1)).copied().unwrap_or_default()
}

fn clock(at_ms: i64) -> String {
    let seconds = at_ms.rem_euclid(DAY_MS) / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

pub(super) fn rfc3164(at_ms: i64) -> String {
    let (_, month, day) = civil(at_ms);
    format!("{} {day:2} {}", month_name(month), clock(at_ms))
}

fn common_log(at_ms: i64) -> String {
    let (year, month, day) = civil(at_ms);
    format!("{day:02}/{}/{year}:{} +0000", month_name(month), clock(at_ms))
}

fn iso(at_ms: i64) -> String {
    let (year, month, day) = civil(at_ms);
    format!("{year}-{month:02}-{day:02}T{}Z", clock(at_ms))
}

/// One of `items`.
pub(super) fn one_of<'a>(random: &mut Random, items: &[&'a str]) -> &'a str {
    random.pick(items).copied().unwrap_or_default()
}
