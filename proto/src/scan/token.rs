//! What one token of a message is: the scanner's table of bytes, and a recogniser a class.
//!
//! A token is a run of bytes that addresses, paths and names are made of; everything else stands
//! between tokens. Whoever asks the recognisers in the scanner's order gets the one right answer.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const DIGIT: u8 = 1;
pub(super) const HEX: u8 = 2;
pub(super) const LETTER: u8 = 4;
pub(super) const COLON: u8 = 8;
pub(super) const DOT: u8 = 16;
pub(super) const SLASH: u8 = 32;
pub(super) const AT: u8 = 64;
pub(super) const JOIN: u8 = 128;

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        #[expect(clippy::indexing_slicing, reason = "a constant table, filled when compiled")]
        {
            table[b] = match b as u8 {
                b'0'..=b'9' => DIGIT,
                b'a'..=b'f' | b'A'..=b'F' => HEX,
                b'g'..=b'z' | b'G'..=b'Z' | 0x80..=0xff => LETTER,
                b':' => COLON,
                b'.' => DOT,
                b'/' | b'\\' => SLASH,
                b'@' => AT,
                b'_' | b'-' | b'+' | b'%' | b'~' | b'#' | b'$' | b'&' | b'?' => JOIN,
                _ => 0,
            };
        }
        b += 1;
    }
    table
};

/// The kind of `byte`; 0 where it ends a token.
#[inline]
pub(super) fn kind(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

#[inline]
pub(super) fn is_letter(byte: u8) -> bool {
    kind(byte) & (HEX | LETTER) != 0
}

/// The extent of the token that `text` begins with, and the union of its kinds.
#[inline]
pub(super) fn extent(text: &[u8]) -> (usize, u8) {
    let mut kinds = 0;
    for (at, &byte) in text.iter().enumerate() {
        let kind = kind(byte);
        if kind == 0 {
            return (at, kinds);
        }
        kinds |= kind;
    }
    (text.len(), kinds)
}

/// Six octets, or the fourteen of netfilter's `MAC=`, with one separator.
pub(super) fn is_mac(token: &[u8]) -> bool {
    if token.len() != 17 && token.len() != 41 {
        return false;
    }
    let Some(&separator) = token.get(2) else { return false };
    (separator == b':' || separator == b'-')
        && token.chunks(3).all(|octet| match octet {
            [a, b] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
            [a, b, c] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && *c == separator,
            _ => false,
        })
}

pub(super) fn is_uuid(token: &[u8]) -> bool {
    token.len() == 36
        && token.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// The IPv4 address that `token` begins with, and its length in bytes.
pub(super) fn ipv4(token: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0u8; 4];
    let mut rest = token;
    for (at, octet) in octets.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let count = rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        let (digits, behind) = rest.split_at_checked(count)?;
        let value = digits.iter().fold(0u16, |value, b| value * 10 + u16::from(b - b'0'));
        *octet = u8::try_from(value).ok().filter(|_| count > 0)?;
        rest = behind;
    }
    let goes_on = matches!(rest, [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..]);
    (!goes_on).then_some((Ipv4Addr::from(octets), token.len() - rest.len()))
}

/// The whole token as an IPv6 address; a zone behind `%` is allowed.
pub(super) fn ipv6(token: &[u8]) -> Option<Ipv6Addr> {
    let address = token.split(|b| *b == b'%').next()?;
    let colons = address.split(|b| *b == b':').count() - 1;
    if colons < 2 || address.len() < 3 {
        return None;
    }
    std::str::from_utf8(address).ok()?.parse().ok()
}

/// `name@place`, both parts not empty.
pub(super) fn is_mail(token: &[u8]) -> bool {
    let mut parts = token.split(|b| *b == b'@');
    matches!((parts.next(), parts.next(), parts.next()), (Some([_, ..]), Some([_, ..]), None))
}

/// Endings of host names that are not two letters long.
const ENDINGS: [&[u8]; 20] = [
    b"app",
    b"arpa",
    b"biz",
    b"cloud",
    b"com",
    b"corp",
    b"dev",
    b"edu",
    b"gov",
    b"home",
    b"info",
    b"int",
    b"internal",
    b"lan",
    b"local",
    b"mil",
    b"name",
    b"net",
    b"online",
    b"org",
];
/// Endings of two letters that are more often those of files.
const FILE_ENDINGS: [&[u8]; 14] =
    [b"cc", b"db", b"go", b"gz", b"js", b"md", b"pl", b"ps", b"py", b"rb", b"rs", b"sh", b"so", b"xz"];

/// A host name with a known ending: `a.example.com`, not `dfs.DataNode` or `nginx.conf`.
pub(super) fn is_domain(token: &[u8]) -> bool {
    let Some(dot) = token.iter().rposition(|b| *b == b'.') else { return false };
    let (Some(name), Some(ending)) = (token.get(..dot), token.get(dot + 1..)) else { return false };
    let known = ENDINGS.contains(&ending)
        || (ending.len() == 2 && ending.iter().all(u8::is_ascii_lowercase) && !FILE_ENDINGS.contains(&ending));
    known
        && name.split(|b| *b == b'.').all(|label| {
            !label.is_empty() && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_')
        })
}

/// `0x...`, or eight and more hexadecimal digits with both digits and letters.
pub(super) fn is_hex(token: &[u8], kinds: u8) -> bool {
    if let Some(digits) = token.strip_prefix(b"0x").or_else(|| token.strip_prefix(b"0X")) {
        return !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    }
    kinds == DIGIT | HEX && token.len() >= 8
}

/// 24 and more of base64's digits with lower case, upper case and numbers among them.
pub(super) fn is_base64(token: &[u8]) -> bool {
    let (mut lower, mut upper, mut digit) = (false, false, false);
    token.len() >= 24
        && token.iter().all(|b| {
            lower |= b.is_ascii_lowercase();
            upper |= b.is_ascii_uppercase();
            digit |= b.is_ascii_digit();
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-')
        })
        && lower
        && upper
        && digit
}

/// Words that may follow `user` and are no names.
const NOT_NAMES: [&[u8]; 34] = [
    b"a",
    b"account",
    b"agent",
    b"and",
    b"at",
    b"authentication",
    b"by",
    b"does",
    b"failed",
    b"for",
    b"from",
    b"has",
    b"id",
    b"in",
    b"is",
    b"logged",
    b"login",
    b"logout",
    b"manager",
    b"mode",
    b"name",
    b"not",
    b"of",
    b"on",
    b"password",
    b"request",
    b"runtime",
    b"session",
    b"sessions",
    b"slice",
    b"the",
    b"to",
    b"unknown",
    b"was",
];

pub(super) fn may_be_name(token: &[u8]) -> bool {
    NOT_NAMES.binary_search(&token).is_err()
}

/// Whether a number behind `word` is a port: `port`, `ClientPort`, `SPT`, `DPT`.
pub(super) fn is_port_word(word: &[u8]) -> bool {
    let ends = |suffix: &[u8]| {
        word.len()
            .checked_sub(suffix.len())
            .and_then(|at| word.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
    };
    ends(b"port") || word == b"SPT" || word == b"DPT"
}

/// Whether a word behind `word` is an account: `user`, `username`, `USER`, `ruser`.
pub(super) fn is_user_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"user" | b"User" | b"USER" | b"username" | b"Username" | b"ruser" | b"logname" | b"acct" | b"account_name"
    )
}
