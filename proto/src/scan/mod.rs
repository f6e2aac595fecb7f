//! One pass over a message's bytes: parameters become classes, the rest words.
//!
//! Everything that looks at a line's shape reads it from here: the template miner takes the masked
//! text, the typed keys take the classes, the bag of words takes the words. One scanner, no regular
//! expressions, tried in a fixed order at the start of each token: MAC (before the time of day:
//! netfilter's `MAC=` is not four timestamps), timestamp, UUID, IPv4 with port, IPv6, mail, URL,
//! path, domain, hexadecimal, base64, number (a port behind a port word), user behind a user word.
//! What fits none is cut into letters and digits, and the digits are numbers.
//!
//! The masked text names the kind only (`<ip>`, `<n>`), because the miner must not split a template
//! by size; class and place of each parameter stand in [`Scanner::params`]. Buffers are reused, so
//! that a scan allocates nothing once they have grown. It refuses nothing and reads at most
//! [`SCAN_BYTES_MAX`] bytes.

mod class;
mod stamp;
mod token;
mod pass;

pub use class::{AddressClass, PathClass, PortClass, UserClass};

use crate::limits::{SCAN_BYTES_MAX, SCAN_WORD_BYTES_MAX, SCAN_WORDS_MAX};

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A hardware address, or netfilter's pair of them with the type.
    Mac,
    /// A timestamp, a date or a time of day.
    Time,
    /// A UUID.
    Uuid,
    /// An IPv4 or IPv6 address.
    Address(AddressClass),
    /// A port.
    Port(PortClass),
    /// A mail address.
    Mail,
    /// A URL.
    Url,
    /// A path.
    Path(PathClass),
    /// A host name with a known ending.
    Domain,
    /// A hexadecimal number.
    Hex,
    /// Base64 text.
    Base64,
    /// A decimal number, with its digits.
    Number(u8),
    /// An account name.
    User(UserClass),
}

impl Class {
    /// What stands for it in the masked text.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Mac => "<mac>",
            Self::Time => "<time>",
            Self::Uuid => "<uuid>",
            Self::Address(_) => "<ip>",
            Self::Port(_) => "<port>",
            Self::Mail => "<mail>",
            Self::Url => "<url>",
            Self::Path(_) => "<path>",
            Self::Domain => "<host>",
            Self::Hex => "<hex>",
            Self::Base64 => "<b64>",
            Self::Number(_) => "<n>",
            Self::User(_) => "<user>",
        }
    }
}

/// One parameter and where it stands in the message, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// What it is.
    pub class: Class,
    /// Its first byte.
    pub start: u32,
    /// The byte behind its last.
    pub end: u32,
}

/// Scans messages into buffers that it keeps.
#[derive(Debug, Default)]
pub struct Scanner {
    masked: String,
    params: Vec<Param>,
}

impl Scanner {
    /// A scanner with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scans the first [`SCAN_BYTES_MAX`] bytes of `text`; the results of the message before are gone.
    pub fn scan(&mut self, text: &str) {
        let end = text.floor_char_boundary(SCAN_BYTES_MAX.min(text.len()));
        self.masked.clear();
        self.params.clear();
        pass::run(text.get(..end).unwrap_or_default(), self);
    }

    /// The message with each parameter replaced by its placeholder.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// The parameters in their order, at most [`SCAN_PARAMS_MAX`].
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Calls `each` with every word: letter runs outside placeholders, split at camelCase, in lower
    /// case, cut at [`SCAN_WORD_BYTES_MAX`] bytes, at most [`SCAN_WORDS_MAX`].
    pub fn for_each_word(&self, mut each: impl FnMut(&[u8])) {
        let mut word = Word::default();
        let mut left = SCAN_WORDS_MAX;
        let mut inside = false;
        let mut before_lower = false;
        for &byte in self.masked.as_bytes() {
            inside = (inside || byte == b'<') && byte != b'>' && byte != b' ';
            let letter = !inside && token::is_letter(byte);
            if (!letter || (before_lower && byte.is_ascii_uppercase())) && word.flush(&mut each) {
                left -= 1;
                if left == 0 {
                    return;
                }
            }
            if letter {
                word.push(byte.to_ascii_lowercase());
            }
            before_lower = letter && !byte.is_ascii_uppercase();
        }
        word.flush(&mut each);
    }
}

/// A word being gathered.
#[derive(Default)]
struct Word {
    bytes: [u8; SCAN_WORD_BYTES_MAX],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Hands the word over where there is one.
    fn flush(&mut self, each: &mut impl FnMut(&[u8])) -> bool {
        let word = self.bytes.get(..self.length).filter(|word| !word.is_empty());
        let any = word.map(each).is_some();
        self.length = 0;
        any
    }
}
