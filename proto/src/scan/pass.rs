//! One scan in progress: token after token, each asked for in the scanner's order.
//!
//! What lies between tokens is copied as it stands, in one piece up to the next parameter. A word may
//! open a slot for the token behind it: a port behind `port`, a name behind `user`. Names are opaque,
//! so what stands in a slot is masked whole, whatever it looks like.

use std::net::{IpAddr, Ipv4Addr};

use super::token::{self, AT, COLON, DIGIT, DOT, HEX, JOIN, LETTER, SLASH};
use super::{AddressClass, Class, Param, PathClass, PortClass, Scanner, UserClass, stamp};
use crate::limits::SCAN_PARAMS_MAX;

/// What the next token may be because of the word before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    None,
    Port,
    User,
    /// Behind `for`: a name only where `from` follows it.
    UserFrom,
}

/// Scans `text` into the cleared buffers of `out`.
pub(super) fn run(text: &str, out: &mut Scanner) {
    Pass { text, at: 0, copied: 0, slot: Slot::None, out }.run();
}

/// One scan in progress. Text before `copied` is in the output; between `copied` and `at` it is
/// literal and still to be copied.
struct Pass<'a> {
    text: &'a str,
    at: usize,
    copied: usize,
    slot: Slot,
    out: &'a mut Scanner,
}

impl Pass<'_> {
    fn run(mut self) {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            if token::kind(byte) == 0 {
                // A user slot survives `=`, quotes and a blank; a full stop of any other kind ends it.
                if matches!(byte, b',' | b';' | b')' | b'|') {
                    self.slot = Slot::None;
                }
                self.at += 1;
            } else {
                self.token();
            }
        }
        self.copy_literal(self.text.len());
    }

    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn copy_literal(&mut self, end: usize) {
        self.out.masked.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    /// Masks the `length` bytes from here as `class`.
    fn mask(&mut self, class: Class, length: usize) {
        let (start, end) = (self.at, self.at + length);
        self.copy_literal(start);
        self.out.masked.push_str(class.placeholder());
        if self.out.params.len() < SCAN_PARAMS_MAX {
            self.out.params.push(Param { class, start: start as u32, end: end as u32 });
        }
        self.at = end;
        self.copied = end;
        self.slot = Slot::None;
    }

    fn token(&mut self) {
        let (mut length, mut kinds) = token::extent(self.rest());
        while let Some(b'.' | b':' | b'?' | b'-') = length.checked_sub(1).and_then(|last| self.rest().get(last)) {
            length -= 1;
        }
        if length == 0 {
            self.at += token::extent(self.rest()).0.max(1);
            return;
        }
        if kinds & !(DIGIT | HEX | LETTER | JOIN) != 0 {
            kinds = token::extent(self.rest().get(..length).unwrap_or_default()).1;
        }
        if kinds & !(LETTER | HEX | JOIN) == 0 {
            return self.word(length);
        }
        if self.whole(length, kinds).is_none() {
            if self.name_here(length) {
                let class = UserClass::of(self.text.get(self.at..self.at + length).unwrap_or_default());
                return self.mask(Class::User(class), length);
            }
            self.pieces(length);
        }
    }

    /// A token of letters: a month that begins a stamp, a name in its slot, or a plain word.
    fn word(&mut self, length: usize) {
        let word = self.rest().get(..length).unwrap_or_default();
        if length == 3
            && stamp::is_month(word)
            && let Some(length) = stamp::length(self.rest())
        {
            return self.mask(Class::Time, length);
        }
        if self.name_here(length) {
            let class = UserClass::of(self.text.get(self.at..self.at + length).unwrap_or_default());
            return self.mask(Class::User(class), length);
        }
        self.slot = slot_behind(word);
        self.at += length;
    }

    fn name_here(&self, length: usize) -> bool {
        let token = self.rest().get(..length).unwrap_or_default();
        let behind = self.rest().get(length..).unwrap_or_default();
        match self.slot {
            Slot::User => token::may_be_name(token) && behind.first() != Some(&b'='),
            Slot::UserFrom => behind.starts_with(b" from "),
            Slot::None | Slot::Port => false,
        }
    }

    /// Masks the token as one parameter, where it is one.
    fn whole(&mut self, length: usize, kinds: u8) -> Option<()> {
        let token = self.rest().get(..length)?;
        if kinds & (COLON | JOIN) != 0 && token::is_mac(token) {
            self.mask(Class::Mac, length);
        } else if let Some(length) = self.stamp_here(kinds) {
            self.mask(Class::Time, length);
        } else if kinds & JOIN != 0 && token::is_uuid(token) {
            self.mask(Class::Uuid, length);
        } else if let Some((address, taken)) = ipv4_in(token, kinds) {
            self.mask(Class::Address(AddressClass::of(address.into())), taken);
            let end = self.at - taken + length;
            self.port_after(end);
            self.pieces(end - self.at);
        } else if let Some(address) =
            Some(token).filter(|_| kinds & (COLON | DIGIT) == COLON | DIGIT).and_then(token::ipv6)
        {
            self.mask(Class::Address(AddressClass::of(IpAddr::V6(address))), length);
        } else if kinds & AT != 0 && token::is_mail(token) {
            self.mask(Class::Mail, length);
        } else {
            return self.wordy(length, kinds);
        }
        Some(())
    }

    /// The second half of the order: what may hold letters.
    fn wordy(&mut self, length: usize, kinds: u8) -> Option<()> {
        let token = self.rest().get(..length)?;
        if kinds & SLASH != 0 && kinds & COLON != 0 && token.windows(3).any(|w| w == b"://") {
            self.mask(Class::Url, self.until_blank(length));
        } else if kinds & SLASH != 0 && starts_path(token) {
            let length = self.until_blank(length);
            let class = PathClass::of(self.text.get(self.at..self.at + length)?);
            self.mask(Class::Path(class), length);
        } else if kinds & DOT != 0 && kinds & (LETTER | HEX) != 0 && token::is_domain(token) {
            self.mask(Class::Domain, length);
        } else if token::is_hex(token, kinds) {
            self.mask(Class::Hex, length);
        } else if token::is_base64(token) {
            self.mask(Class::Base64, length);
        } else if let Some(class) = self.number(token) {
            self.mask(class, length);
        } else {
            return None;
        }
        Some(())
    }

    fn stamp_here(&self, kinds: u8) -> Option<usize> {
        let [a, b, c, ..] = self.rest() else { return None };
        let likely = kinds & DIGIT != 0
            && a.is_ascii_digit()
            && b.is_ascii_digit()
            && (matches!(c, b':' | b'/') || c.is_ascii_digit() && matches!(self.rest().get(4), Some(b'-' | b'/')));
        if likely { stamp::length(self.rest()) } else { None }
    }

    /// Masks the port that an address is followed by, in a token that ends at `end`.
    fn port_after(&mut self, end: usize) {
        let Some(rest) = self.text.as_bytes().get(self.at..end).and_then(|rest| rest.strip_prefix(b":")) else {
            return;
        };
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let port = rest.get(..digits).and_then(decimal).and_then(|port| u16::try_from(port).ok());
        if let Some(port) = port {
            self.at += 1;
            self.mask(Class::Port(PortClass::of(port)), digits);
        }
    }

    /// How far a path or URL goes: to the next blank, quote or bracket.
    fn until_blank(&self, least: usize) -> usize {
        let ends =
            |b: &u8| matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b',' | b';' | b'|');
        let behind = self.rest().get(least..).unwrap_or_default();
        // Only a query goes on behind the token's own bytes.
        match behind.first() {
            Some(b'=' | b'!' | b'*') => least + behind.iter().position(ends).unwrap_or(behind.len()),
            _ => least,
        }
    }

    fn number(&self, token: &[u8]) -> Option<Class> {
        let digits = token.strip_prefix(b"-").or_else(|| token.strip_prefix(b"+")).unwrap_or(token);
        if digits.iter().all(u8::is_ascii_digit) {
            if self.slot == Slot::Port
                && let Some(port) = decimal(digits).and_then(|port| u16::try_from(port).ok())
            {
                return Some(Class::Port(PortClass::of(port)));
            }
            // Eight and more with zeros in front are a register or an address, not a quantity.
            let padded = digits.len() >= 8 && digits.first() == Some(&b'0');
            return Some(if padded { Class::Hex } else { Class::Number(digits.len().min(255) as u8) });
        }
        let whole = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        (whole > 0 && dotted(digits) == digits.len()).then_some(Class::Number(whole.min(255) as u8))
    }

    /// Cuts a token that is no single parameter: letters stay, digits are numbers.
    fn pieces(&mut self, length: usize) {
        let end = self.at + length;
        while self.at < end {
            let piece = self.text.as_bytes().get(self.at..end).unwrap_or_default();
            let alnum = piece.iter().take_while(|b| token::kind(**b) & (DIGIT | HEX | LETTER) != 0).count();
            let digits = dotted(piece);
            let letters = piece.iter().take_while(|b| token::is_letter(**b)).count();
            if alnum == 0 {
                self.at += 1;
            } else if let Some((address, taken)) = token::ipv4(piece) {
                self.mask(Class::Address(AddressClass::of(address.into())), taken);
                self.port_after(end);
            } else if alnum >= 6
                && letters < alnum
                && piece.iter().take(alnum).all(u8::is_ascii_hexdigit)
                && digits < alnum
            {
                self.mask(Class::Hex, alnum);
            } else if digits > 0 {
                let class = self.number(piece.get(..digits).unwrap_or_default());
                self.mask(class.unwrap_or(Class::Number(1)), digits);
            } else {
                let word = piece.get(..letters).unwrap_or_default();
                self.slot = slot_behind(word);
                self.at += letters.max(1);
            }
        }
    }
}

/// Length of the decimal number or dotted version that `text` begins with.
fn dotted(text: &[u8]) -> usize {
    let mut length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    while let Some([b'.', b'0'..=b'9', ..]) = text.get(length..).filter(|_| length > 0) {
        let more = text.iter().skip(length + 1).take_while(|b| b.is_ascii_digit()).count();
        length += 1 + more;
    }
    length
}

fn slot_behind(word: &[u8]) -> Slot {
    if token::is_user_word(word) {
        Slot::User
    } else if word == b"for" {
        Slot::UserFrom
    } else if token::is_port_word(word) {
        Slot::Port
    } else {
        Slot::None
    }
}

fn ipv4_in(token: &[u8], kinds: u8) -> Option<(Ipv4Addr, usize)> {
    if kinds & (DIGIT | DOT) != DIGIT | DOT {
        return None;
    }
    token::ipv4(token)
}

fn starts_path(token: &[u8]) -> bool {
    match token {
        [b'/', second, ..] => token::is_letter(*second) || matches!(second, b'.' | b'_' | b'/'),
        [b'/'] | [b'~', b'/', ..] => true,
        [drive, b':', b'\\', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value, b| value * 10 + u32::from(b - b'0')))
}
