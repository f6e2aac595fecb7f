//! Applications that are not listed: a failure word, and an address or a user in a named field.
//!
//! One pass over the words. An address counts where a name stands before it (`from 10.0.0.50`, `rip=...`,
//! `[client ...]`), or in brackets behind a host name; the last one wins, because applications write the
//! peer after what the peer sent. A bare address says nothing about who did what, unless it is the only
//! one in a line about a refused login.

use std::net::IpAddr;

use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Outcome};

use super::{
    build::{Build as _, of},
    words::{Meaning, meaning},
};
use crate::text::endpoint;

/// A line of an application that no other extractor knows.
pub(super) fn generic(text: &str) -> Extraction<'_> {
    let mut seen = Seen::default();
    let mut before = ("", b' ');
    let mut tokens = Tokens { text, separator: b' ', is_quoted: false };
    while let Some((token, separator)) = tokens.next_token() {
        if separator == b'"' && tokens.is_quoted && is_prose(text) {
            let begin = text.len() - tokens.text.len() - token.len();
            if let Some(behind) = quotation(text, begin) {
                tokens = Tokens { text: behind, separator: b' ', is_quoted: false };
                continue;
            }
        }
        // Behind the first word a value may hold what somebody else chose.
        seen.in_value = tokens.is_quoted && separator != b'"';
        seen.token(token, before, separator);
        // A colon or a dash between a name and its value is neither.
        if !matches!(token, ":" | "-" | "->" | "--") {
            before = (token, separator);
        }
    }
    seen.judge()
}

/// Whether a text is sentences rather than a record.
fn is_prose(text: &str) -> bool {
    !text.starts_with(['{', '['])
}

/// What is behind the quotation that begins at `begin`: words that somebody else said, so nothing in them is the application's
/// own. None for the value of a name, and for less than four words.
fn quotation(text: &str, begin: usize) -> Option<&str> {
    let head = text.get(..begin)?.strip_suffix('"')?;
    let (said, behind) = text.get(begin..)?.split_once('"')?;
    let is_value = head.ends_with(['=', ':', ',', '"', '{']);
    (!is_value && said.split(' ').count() >= QUOTED_WORDS).then_some(behind)
}

/// The tokens of a text, each with the last separator byte before it.
struct Tokens<'a> {
    text: &'a str,
    separator: u8,
    /// Whether the last token stands between double quotes.
    is_quoted: bool,
}

impl<'a> Tokens<'a> {
    fn next_token(&mut self) -> Option<(&'a str, u8)> {
        let bytes = self.text.as_bytes();
        let skip = bytes.iter().position(|&byte| !is_separator(byte))?;
        let separator = skip.checked_sub(1).and_then(|at| bytes.get(at).copied()).unwrap_or(self.separator);
        let quotes = bytes.iter().take(skip).filter(|byte| **byte == b'"').count();
        self.is_quoted ^= !quotes.is_multiple_of(2);
        let rest = self.text.get(skip..)?;
        let length = rest.bytes().position(is_separator).unwrap_or(rest.len());
        let (token, rest) = rest.split_at_checked(length)?;
        self.text = rest;
        self.separator = separator;
        Some((token, separator))
    }
}

/// The bytes between tokens, a bit each.
const SEPARATORS: u128 = {
    let mut list: &[u8] = b" \t,;|\"'`()<>{}=[]";
    let mut mask = 0;
    while let [byte, rest @ ..] = list {
        mask |= 1_u128 << *byte;
        list = rest;
    }
    mask
};

fn is_separator(byte: u8) -> bool {
    byte < 128 && (SEPARATORS >> byte) & 1 == 1
}

/// What the words of a line said.
#[derive(Default)]
struct Seen<'a> {
    failed: bool,
    /// Refused, where the line is about a user.
    refused_user: bool,
    attacked: bool,
    succeeded: bool,
    about_login: bool,
    untried: bool,
    blocked: bool,
    /// A word that tells whose the address is, wherever that stands.
    about_peer: bool,
    named: Option<IpAddr>,
    /// The same, inside of a value in quotes: it counts where no other is named.
    named_in_value: Option<IpAddr>,
    /// The token stands inside of a value in quotes.
    in_value: bool,
    bracketed: Option<IpAddr>,
    bare: Option<IpAddr>,
    /// Whether the line holds two different addresses.
    several: bool,
    account: Option<&'a str>,
    /// The last word was a failure: a zero behind it takes it back.
    just_failed: bool,
    /// Words since a negation, counted down.
    negated: u8,
}

/// Words from which on a quotation is what somebody said.
const QUOTED_WORDS: usize = 4;
/// Most words that are written as one.
const PARTS_MAX: usize = 3;
/// How many words a negation reaches.
const NEGATION_WORDS: u8 = 3;

impl<'a> Seen<'a> {
    fn token(&mut self, token: &'a str, before: (&str, u8), separator: u8) {
        let first = token.as_bytes().first().copied().unwrap_or_default();
        if first.is_ascii_digit() || first == b':' || (first.is_ascii_hexdigit() && token.contains(':')) {
            self.number(token, before.0, separator);
        }
        if !first.is_ascii_alphabetic() {
            return;
        }
        // "ip:192.0.2.7", "username:bob"
        if let Some((name, value)) = token.split_once(':')
            && !value.is_empty()
            && matches!(meaning(name), Some(Meaning::Peer | Meaning::User))
        {
            if meaning(name) == Some(Meaning::User) {
                self.about_login = true;
                self.account.get_or_insert(value);
            } else {
                self.number(value, name, b':');
            }
            return;
        }
        let names = matches!(separator, b'=' | b':' | b'"' | b'\'' | b'<');
        if names && self.account.is_none() && meaning(before.0) == Some(Meaning::User) {
            self.account = Some(token);
        }
        self.just_failed = false;
        self.negated = self.negated.saturating_sub(1);
        match meaning(token) {
            Some(meaning) => self.word(token, meaning, before.0, separator),
            // "authentication error": without the first word an error may be anything.
            None if token.trim_end_matches([':', '.']).eq_ignore_ascii_case("error") => {
                self.failed |= matches!(meaning(before.0), Some(Meaning::Login | Meaning::User));
            }
            None => self.parts(token, before.0, separator),
        }
    }

    /// `Auth-Failure`, `AUTHENTICATION_FAILED`: where all parts mean something, each is a word.
    fn parts(&mut self, token: &'a str, before: &str, separator: u8) {
        let parts = || token.split(['-', '_']);
        if !(2..=PARTS_MAX).contains(&parts().count()) || parts().any(|part| meaning(part).is_none()) {
            return;
        }
        for part in parts() {
            if let Some(meaning) = meaning(part) {
                self.word(part, meaning, before, separator);
            }
        }
    }

    fn word(&mut self, token: &str, meaning: Meaning, before: &str, separator: u8) {
        match meaning {
            // "0 failed", "no failures": nothing happened.
            Meaning::Failure if !matches!(before, "0" | "no" | "No" | "not" | "without") => {
                self.just_failed = !self.failed;
                self.failed = true;
            }
            Meaning::Refused => {
                self.failed = true;
                self.about_login = true;
            }
            Meaning::Attack if self.negated == 0 => self.attacked = true,
            Meaning::Accepting if self.negated > 0 => {
                self.failed |= matches!(token, "allowed" | "permitted" | "authorized" | "authorised");
                self.refused_user = true;
            }
            Meaning::Absent => self.refused_user = true,
            Meaning::Negation => self.negated = NEGATION_WORDS,
            Meaning::Success => self.succeeded = true,
            // "no auth attempts", "empty username": nobody tried.
            Meaning::Login | Meaning::User if matches!(before, "no" | "empty") && token != "password" => {
                self.untried = true;
            }
            Meaning::Login | Meaning::User => self.about_login = true,
            // A block is also a part of a disk or of a file.
            Meaning::Block if token.eq_ignore_ascii_case("block") && !matches!(separator, b'=' | b'"' | b'[') => {}
            Meaning::Block => self.blocked = true,
            Meaning::Peer => {
                self.attacked |= token == "attacker";
                self.about_peer |= token.eq_ignore_ascii_case("client");
            }
            Meaning::Failure | Meaning::Attack | Meaning::Accepting => {}
        }
    }

    /// A token that may be an address, or the zero of `failed=0`.
    fn number(&mut self, token: &str, before: &str, separator: u8) {
        if token == "0" && self.just_failed {
            self.failed = false;
        }
        let token = token.split_once("->").map_or(token, |(from, _to)| from);
        let token = token.split_once('/').map_or(token, |(head, _tail)| head);
        let Some((address, _port)) = endpoint(token.trim_end_matches(['.', ':', '-'])) else { return };
        self.several |= [self.named, self.bracketed, self.named_in_value, self.bare]
            .into_iter()
            .flatten()
            .any(|other| other != address);
        if self.in_value {
            let is_named =
                meaning(before) == Some(Meaning::Peer) || before == "for" || matches!(separator, b'[' | b'(');
            let place = if is_named { &mut self.named_in_value } else { &mut self.bare };
            *place = Some(address);
        } else if meaning(before) == Some(Meaning::Peer) || before == "for" {
            self.named = Some(address);
        } else if matches!(separator, b'[' | b'(') {
            self.bracketed = Some(address);
        } else {
            self.bare = Some(address);
        }
    }

    fn judge(self) -> Extraction<'a> {
        if self.untried {
            return Extraction::unknown(AppFamily::Generic);
        }
        let failed = self.failed || self.attacked || (self.refused_user && self.about_login);
        let action = match (self.about_login, self.blocked) {
            (_, true) => Action::Block,
            (true, false) => Action::Login,
            (false, false) if self.attacked => Action::Ids,
            (false, false) => Action::Other,
        };
        let outcome = match (failed || self.blocked, self.succeeded) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Ok,
            (false, false) => Outcome::None,
        };
        let telling = action != Action::Other || self.about_peer;
        let lone = self.bare.filter(|_address| !self.several && telling && outcome == Outcome::Failed);
        let actor = self.named.or(self.bracketed).or(self.named_in_value).or(lone);
        if outcome == Outcome::None || (actor.is_none() && self.account.is_none()) {
            return Extraction::unknown(AppFamily::Generic);
        }
        let found = of(AppFamily::Generic, action, outcome).maybe_by(actor.map(Actor::Address));
        self.account.map_or(found, |account| found.account(account))
    }
}
