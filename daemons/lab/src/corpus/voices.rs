//! Applications that nobody wrote an extractor for: many ways to say what happened.
//!
//! A vendor has a layout (a sentence, key=value, JSON, a code with a colon ...) and words of its own for each action: it
//! says "sign-in rejected" where another says "authentication failure". A phrasing is one noun and one verb of a vendor
//! in the vendor's layout. What is left out with a vendor is therefore its layout and its choice of words, which is what
//! a network that was never seen differs in.

use nms_model::random::Random;
use nms_model::train::Meaning;
use nms_proto::extraction::{Action, AppFamily, Outcome};

use super::lexicon::{LEXICA, NOTE_VERBS, NOTES};

/// Vendors.
pub const VENDORS: usize = 24;
/// Nouns and verbs that a vendor has for an action and an outcome.
const CHOICE: usize = 5;

/// A vendor's layouts. `{act}` is noun and verb, `{Act}` with a capital, `{slug}` joined; `{who}`, `{from}`, `{what}` are
/// what the action has of them, and stand with the words around them.
const LAYOUTS: [&str; VENDORS] = [
    "{Act} for user {user} from {ip}{what}",
    "User {user} ({ip}): {act}{what}",
    "event={slug} user={user} src={ip}{kv}",
    "{\"level\":\"info\",\"msg\":\"{act}\",\"user\":\"{user}\",\"remote\":\"{ip}\"{json}}",
    "[audit] {Act}: account '{user}', client {ip}{what}",
    "%SYS-5-{SLUG}: {Act} [user: {user}] [source: {ip}]{what}",
    "CEF:0|Acme|Gate|4.1|{number}|{Act}|5|src={ip} suser={user}{kv}",
    "{Act}. Account Name: {user} Source Network Address: {ip}{what}",
    "{act}|{user}|{ip}|{number}{what}",
    "{ip} {user} \"{Act}\"{what}",
    "time=\"{iso}\" level=notice component=core msg=\"{act}\" username={user} client={ip}{kv}",
    "({number}) {Act}: {user}@{ip}{what}",
    "<{number}> {user} at {ip} - {act}{what}",
    "core[{number}]: {Act}, user={user}, peer={ip}{what}",
    "{Act} (user {user}, address {ip}){what}",
    "id={number} sn=00{number} msg=\"{Act}\" usr=\"{user}\" src={ip}:{port}{kv}",
    "session {number}: {act} by {user} on {ip}{what}",
    "WARN com.acme.Core - {Act} user='{user}' host='{ip}'{what}",
    "{user}: {Act} via {ip}{what}",
    "notice: {act}; login={user}; ip={ip}{what}",
    "{Act} -- {user} -- {ip}{what}",
    "LEEF:1.0|Acme|Box|2|{SLUG}|usrName={user} srcIP={ip}{kv}",
    "acme.core INFO {Act} for '{user}' (remote address: {ip}){what}",
    "* {user} {act} from host {ip}{what}",
];

/// The programs of the vendors.
const PROGRAMS: [&str; VENDORS] = [
    "portald",
    "gatekeeper",
    "vaultsrv",
    "filehub",
    "auditsvc",
    "corebox",
    "edgegate",
    "directory",
    "ticketd",
    "wikid",
    "msgbus",
    "camserver",
    "printhub",
    "backupd",
    "mediasrv",
    "erpcore",
    "labnotes",
    "billing",
    "doorctl",
    "sensord",
    "buildfarm",
    "netbox",
    "chatd",
    "voiced",
];

/// The program of a vendor.
pub(super) fn program(vendor: usize) -> &'static str {
    PROGRAMS.get(vendor % VENDORS).copied().unwrap_or("appd")
}

/// A phrasing of a vendor, with its placeholders, and what it means.
#[derive(Clone, Debug)]
pub struct Phrasing {
    /// The text.
    pub text: String,
    /// What it means.
    pub meaning: Meaning,
}

/// Everything that a vendor says of an action and an outcome; nothing where it has no words for them.
pub fn phrasings(vendor: usize, action: Action, outcome: Outcome) -> Vec<Phrasing> {
    let meaning = Meaning { action, outcome, family: AppFamily::Generic };
    if action == Action::Other {
        return pairs(vendor, &NOTES, &NOTE_VERBS, CHOICE)
            .map(|(noun, verb)| Phrasing { text: note(vendor, noun, verb), meaning })
            .collect();
    }
    let Some(lexicon) = LEXICA.iter().find(|lexicon| lexicon.meaning == (action, outcome)) else { return Vec::new() };
    pairs(vendor, &lexicon.nouns, &lexicon.verbs, CHOICE)
        .map(|(noun, verb)| Phrasing { text: say(vendor, noun, verb, lexicon.object), meaning })
        .collect()
}

/// Every phrasing of a vendor.
pub fn all_phrasings(vendor: usize) -> Vec<Phrasing> {
    let said = LEXICA.iter().flat_map(|lexicon| phrasings(vendor, lexicon.meaning.0, lexicon.meaning.1));
    said.chain(phrasings(vendor, Action::Other, Outcome::None)).collect()
}

/// The nouns and verbs that are a vendor's own, each with each.
fn pairs<'a>(
    vendor: usize,
    nouns: &'a [&'static str],
    verbs: &'a [&'static str],
    choice: usize,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    let pick = move |words: &'a [&'static str], salt: usize| {
        // Either half of the vendors has words that the other one never uses: three of ten.
        let own = words.len() * 7 / 10;
        let range = if vendor < VENDORS / 2 { 0..own } else { words.len() - own..words.len() };
        let mut own: Vec<&'static str> = words.get(range).unwrap_or_default().to_vec();
        let mut random = Random::new((vendor * 977 + salt) as u64);
        while own.len() > choice {
            own.remove(random.below(own.len()));
        }
        own
    };
    let verbs = pick(verbs, 2);
    pick(nouns, 1).into_iter().flat_map(move |noun| verbs.clone().into_iter().map(move |verb| (noun, verb)))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn say(vendor: usize, noun: &str, verb: &str, object: &str) -> String {
    let act = format!("{noun} {verb}");
    let slug = act.replace([' ', '-'], "_");
    let given = |form: &str| if object.is_empty() { String::new() } else { form.replace("{}", object) };
    let layout = LAYOUTS.get(vendor % VENDORS).copied().unwrap_or("{Act}");
    layout
        .replace("{SLUG}", &slug.to_uppercase())
        .replace("{slug}", &slug)
        .replace("{Act}", &capital(&act))
        .replace("{act}", &act)
        .replace("{what}", &given(": {}"))
        .replace("{kv}", &given(" target={}"))
        .replace("{json}", &given(",\"target\":\"{}\""))
}

fn note(vendor: usize, noun: &str, verb: &str) -> String {
    match vendor % 4 {
        0 => format!("{} {verb} ({{number}})", capital(noun)),
        1 => format!("status={} value={{number}} state=\"{verb}\"", noun.replace(' ', "_")),
        2 => format!("[{{digit}}] {noun}: {{number}}, {verb}"),
        _ => format!("{{\"msg\":\"{noun} {verb}\",\"value\":{{number}}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nms_proto::scan::Scanner;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_action_has_five_hundred_phrasings_of_all_vendors() {
        let mut scanner = Scanner::new();
        let mut masked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let params = super::super::ordinary::example();
        let mut random = Random::new(1);
        for vendor in 0..VENDORS {
            for Phrasing { text, meaning } in all_phrasings(vendor) {
                scanner.scan(&super::super::text::fill(&text, &params, 0, &mut random));
                masked.entry(format!("{:?}", meaning.action)).or_default().insert(scanner.masked().to_owned());
            }
        }
        for (action, phrasings) in &masked {
            assert!(phrasings.len() > 500, "{action}: {}", phrasings.len());
        }
        assert_eq!(masked.len(), 13);
    }
}
