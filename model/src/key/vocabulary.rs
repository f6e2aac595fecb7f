//! The vocabulary of a net: five special tokens, then the keys it was trained on by falling frequency.
//!
//! A key outside it is [`UNKNOWN`]: counted as novelty, never guessed at.

use std::collections::HashMap;
use std::fmt;

use super::TypedKey;

/// A token of the net's input.
pub type Token = u32;

/// Behind the end of a shorter sequence of a batch.
pub const PAD: Token = 0;
/// A key that training did not have.
pub const UNKNOWN: Token = 1;
/// The end of a sequence.
pub const EOS: Token = 2;
/// The first position, whose output is measured against the hypersphere.
pub const DIST: Token = 3;
/// A position to be predicted.
pub const MASK: Token = 4;
/// Tokens that are no keys.
pub const SPECIALS: usize = 5;

/// Why names are no vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VocabularyError {
    /// A name that is no typed key of this program.
    Unknown(String),
    /// A name that stands twice.
    Twice(String),
}

impl fmt::Display for VocabularyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "vocabulary: {name:?} is no log key of this version"),
            Self::Twice(name) => write!(f, "vocabulary: {name:?} stands twice"),
        }
    }
}

impl std::error::Error for VocabularyError {}

/// The keys a net knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    keys: Vec<TypedKey>,
    /// The token of each dense key number.
    tokens: Vec<Token>,
}

impl Vocabulary {
    /// The vocabulary of training keys, by falling frequency, equals by their name.
    pub fn learn(keys: impl IntoIterator<Item = TypedKey>) -> Self {
        let mut counts: HashMap<TypedKey, u64> = HashMap::new();
        for key in keys {
            *counts.entry(key).or_default() += 1;
        }
        let mut ordered: Vec<_> =
            counts.into_iter().map(|(key, count)| (std::cmp::Reverse(count), key.to_string(), key)).collect();
        ordered.sort();
        Self::of(ordered.into_iter().map(|(_, _, key)| key).collect())
    }

    /// The vocabulary of names in the order of their tokens.
    ///
    /// # Errors
    /// [`VocabularyError`] for a name that is no key, or stands twice.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, VocabularyError> {
        let mut keys = Vec::new();
        for name in names {
            let key = TypedKey::parse(name).ok_or_else(|| VocabularyError::Unknown(name.to_owned()))?;
            if keys.contains(&key) {
                return Err(VocabularyError::Twice(name.to_owned()));
            }
            keys.push(key);
        }
        Ok(Self::of(keys))
    }

    fn of(keys: Vec<TypedKey>) -> Self {
        let mut tokens = vec![UNKNOWN; TypedKey::COUNT];
        for (at, key) in keys.iter().enumerate() {
            if let Some(token) = tokens.get_mut(key.index()) {
                *token = (SPECIALS + at) as Token;
            }
        }
        Self { keys, tokens }
    }

    /// Tokens, the special ones included.
    pub fn size(&self) -> usize {
        SPECIALS + self.keys.len()
    }

    /// The keys in the order of their tokens.
    pub fn keys(&self) -> &[TypedKey] {
        &self.keys
    }

    /// The token of a key; [`UNKNOWN`] where training did not have it.
    pub fn token(&self, key: TypedKey) -> Token {
        self.tokens.get(key.index()).copied().unwrap_or(UNKNOWN)
    }

    /// The key of a token; none for the special ones.
    pub fn key(&self, token: Token) -> Option<TypedKey> {
        (token as usize).checked_sub(SPECIALS).and_then(|at| self.keys.get(at)).copied()
    }
}
