//! The words that tell what a line of an application that is not listed is about.

/// What one word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Failure,
    Success,
    Login,
    Block,
    /// An address behind it is the peer's.
    Peer,
    /// A login word; a name behind it is a user's.
    User,
    /// A login that failed, in one word.
    Refused,
    /// What only an attacker does.
    Attack,
    /// Turns the meaning of an `Accepting` word round.
    Negation,
    /// A refusal where a negation stands before it.
    Accepting,
    /// A refusal where it is about a user.
    Absent,
}

/// The words that mean something, by meaning. At most 16 bytes each.
const WORDS: [(Meaning, &[&str]); 11] = [
    (
        Meaning::Failure,
        &[
            "fail",
            "failed",
            "fails",
            "failure",
            "failures",
            "invalid",
            "denied",
            "incorrect",
            "refused",
            "reject",
            "rejected",
            "rejecting",
            "unauthorized",
            "unauthorised",
            "unsuccessful",
            "mismatch",
            "wrong",
            "bad",
            "nonexistent",
            "disallowed",
            "illegal",
            "forbidden",
        ],
    ),
    (Meaning::Success, &["success", "successful", "successfully", "succeeded", "accepted"]),
    (
        Meaning::Login,
        &[
            "logon",
            "logged",
            "auth",
            "authenticate",
            "authentication",
            "authenticated",
            "password",
            "credentials",
            "sasl",
            "authorization",
            "logins",
            "passwd",
            "signin",
            "sign_in",
        ],
    ),
    (
        Meaning::Block,
        &[
            "block",
            "blocked",
            "blocking",
            "dropped",
            "ban",
            "banned",
            "banning",
            "blacklist",
            "blacklisted",
            "blacklisting",
        ],
    ),
    (
        Meaning::Refused,
        &[
            "badlogin",
            "auth_failed",
            "authfail",
            "login_error",
            "login_failed",
            "login_failure",
            "loginfailed",
            "unauthenticated",
        ],
    ),
    (
        Meaning::Attack,
        &[
            "attack",
            "attacks",
            "attackalert",
            "hacking",
            "bruteforce",
            "brute-force",
            "intrusion",
            "portscan",
            "exploit",
        ],
    ),
    (
        Meaning::Negation,
        &[
            "not", "no", "can't", "cannot", "doesn't", "didn't", "isn't", "wasn't", "couldn't", "unable", "never",
            "doesn", "didn", "isn", "wasn", "couldn",
        ],
    ),
    (
        Meaning::Accepting,
        &[
            "allowed",
            "permitted",
            "authorized",
            "authorised",
            "valid",
            "exist",
            "exists",
            "match",
            "matched",
            "granted",
            "such",
            "known",
            "find",
            "found",
            "recognized",
            "registered",
            "correct",
        ],
    ),
    (Meaning::Absent, &["unknown", "user_not_found"]),
    (
        Meaning::Peer,
        &[
            "from",
            "client",
            "rip",
            "rhost",
            "ip",
            "src",
            "srcip",
            "src_ip",
            "source",
            "source_ip",
            "remote",
            "remote_ip",
            "remote_addr",
            "remoteaddr",
            "remote_address",
            "clientip",
            "client_ip",
            "host",
            "peer",
            "addr",
            "address",
            "relay",
            "by",
            "attacker",
            "ip_address",
            "ipaddress",
            "ipaddr",
            "clientaddr",
            "client_addr",
            "clienthost",
            "client_address",
            "src_addr",
            "sourceip",
            "remoteip",
            "x-real-ip",
        ],
    ),
    (Meaning::User, &["user", "username", "acct", "account", "login", "usrname", "recipient"]),
];

/// How many words there are.
const WORD_COUNT: usize = {
    let (mut count, mut lists): (_, &[_]) = (0, &WORDS);
    while let [(_meaning, words), rest @ ..] = lists {
        count += words.len();
        lists = rest;
    }
    count
};

/// The words as numbers, in order, so that one is found by halving.
#[expect(clippy::indexing_slicing, reason = "done by the compiler, where an index out of bounds ends the build")]
const PACKED: [(u128, Meaning); WORD_COUNT] = {
    let mut packed = [(0, Meaning::Failure); WORD_COUNT];
    let (mut count, mut lists): (_, &[_]) = (0, &WORDS);
    while let [(meaning, of_meaning), rest @ ..] = lists {
        let mut words = *of_meaning;
        while let [word, others @ ..] = words {
            let entry = (pack(word.as_bytes()), *meaning);
            let mut place = count;
            while place > 0 && packed[place - 1].0 > entry.0 {
                packed[place] = packed[place - 1];
                place -= 1;
            }
            packed[place] = entry;
            count += 1;
            words = others;
        }
        lists = rest;
    }
    packed
};

/// At most 16 bytes as one number, letters in lower case.
const fn pack(mut bytes: &[u8]) -> u128 {
    let mut number = 0;
    while let [byte, rest @ ..] = bytes {
        number = (number << 8) | byte.to_ascii_lowercase() as u128;
        bytes = rest;
    }
    number
}

/// For each length, the letters that a word of that length begins with (low half) and goes on with (high half).
///
/// Nine in ten words of ordinary lines are told apart by these two letters alone.
#[expect(clippy::indexing_slicing, reason = "done by the compiler, where an index out of bounds ends the build")]
const LETTERS: [u64; WORD_BYTES_MAX + 1] = {
    let mut letters = [0; WORD_BYTES_MAX + 1];
    let mut lists: &[_] = &WORDS;
    while let [(_meaning, of_meaning), rest @ ..] = lists {
        let mut words = *of_meaning;
        while let [word, others @ ..] = words {
            let bytes = word.as_bytes();
            letters[bytes.len()] |= letter(bytes[0]) | letter(bytes[1]) << 32;
            words = others;
        }
        lists = rest;
    }
    letters
};

/// A bit for each letter of the alphabet, in either case.
const fn letter(byte: u8) -> u64 {
    1 << (byte & 31)
}

/// The longest word that means something, in bytes.
const WORD_BYTES_MAX: usize = 16;

/// What a word means, in any case and whatever full stop or colon is behind it.
pub(super) fn meaning(token: &str) -> Option<Meaning> {
    let mut bytes = token.as_bytes();
    while let [head @ .., b':' | b'.' | b'!'] = bytes {
        bytes = head;
    }
    let letters = LETTERS.get(bytes.len())?;
    let [first, second, ..] = bytes else { return None };
    let begins = letter(*first) | letter(*second) << 32;
    if letters & begins != begins {
        return None;
    }
    let wanted = pack(bytes);
    let place = PACKED.binary_search_by_key(&wanted, |(packed, _meaning)| *packed).ok()?;
    PACKED.get(place).map(|(_packed, meaning)| *meaning)
}
