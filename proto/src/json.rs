//! The one JSON encoder and decoder. Bytes from a peer are hostile.
//!
//! Before the decoder sees anything, one pass over the bytes bounds the nesting (simd-json alone
//! would go 1,024 levels deep) and notes where a batch's `origins` and `events` stand, so that they
//! can be hashed as they came. The bytes it finds must be those that the decoder reads: only names
//! directly in `payload` count, and one that comes twice or is written with escapes makes it unclear
//! which are meant. The input is never destroyed: it is what the server logs. A decoding error names
//! the field; the path is only computed when there is an error, by decoding once more.

use std::{fmt, ops::Range};

use serde::{Deserialize, Serialize};

use crate::limits::{BATCH_BYTES_CLOSE, BATCH_EVENTS_MAX, JSON_DEPTH_MAX};

/// Longest frame after which a decoder keeps the memory that it took, in bytes: batches close before that.
const KEPT_BYTES_MAX: usize = BATCH_BYTES_CLOSE + (64 << 10);
/// Most arrays and objects of a message in which the field of an error is looked for: a tree of them takes much memory.
const LOCATED_VALUES_MAX: usize = 16 * BATCH_EVENTS_MAX;

/// Why bytes are not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
    /// Not JSON, or not UTF-8.
    NotJson {
        /// What was wrong with it.
        problem: String,
    },
    /// A message of a type that this version does not know.
    UnknownType {
        /// The type, and those that are known.
        problem: String,
    },
    /// Not of the expected shape. Of several wrong members of one object any may be the one that is named.
    Shape {
        /// Path of the field, such as `payload.events[3].at`; `.` for the whole.
        field: String,
        /// What was wrong with it.
        problem: String,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "JSON nested deeper than {JSON_DEPTH_MAX} levels"),
            Self::NotJson { problem } => write!(f, "field .: {problem}"),
            Self::UnknownType { problem } => write!(f, "field type: {problem}"),
            Self::Shape { field, problem } => write!(f, "field {field}: {problem}"),
        }
    }
}

impl JsonError {
    /// The name under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooDeep => "json_too_deep",
            Self::NotJson { .. } => "not_json",
            Self::UnknownType { .. } => "unknown_type",
            Self::Shape { .. } => "wrong_field",
        }
    }
}

/// The words about an unknown type; an error of a decoder has nothing but words.
pub(crate) const UNKNOWN_TYPE: &str = "unknown type";

impl std::error::Error for JsonError {}

/// A value of whatever shape, as a newer peer may write one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Any(simd_json::OwnedValue);

impl Any {
    /// An object without members.
    pub fn object() -> Self {
        Self(simd_json::OwnedValue::Object(Box::default()))
    }

    /// Whether it has members.
    pub fn is_object(&self) -> bool {
        matches!(self.0, simd_json::OwnedValue::Object(_))
    }
}

impl fmt::Display for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        encode(self, &mut text).map_err(|_never| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Where a value stands in the bytes of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Span {
    /// It is not there, or is neither an object nor an array.
    #[default]
    Missing,
    /// From bracket to bracket.
    At(Range<usize>),
    /// It is not said which bytes are meant; why.
    Unclear(&'static str),
}

impl Span {
    /// Its bytes of `frame`, none where it is missing.
    pub(crate) fn of<'a>(&self, frame: &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
        match self {
            Self::Missing => Ok(None),
            Self::At(range) => Ok(frame.get(range.clone())),
            Self::Unclear(problem) => Err(problem),
        }
    }

    /// Its name was read, as it stands in the bytes.
    fn named(&mut self, name: &[u8], seen: &mut bool) {
        if std::mem::replace(seen, true) {
            *self = Self::Unclear("given twice");
        } else if name.contains(&b'\\') {
            *self = Self::Unclear("its name is written with escapes");
        }
    }

    fn found(&mut self, range: Range<usize>) {
        if *self == Self::Missing {
            *self = Self::At(range);
        }
    }
}

/// Where the payload stands, and directly in it the two values of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) payload: Span,
    pub(crate) origins: Span,
    pub(crate) events: Span,
    /// Arrays and objects, all levels together.
    values: usize,
}

/// Decodes frames, reusing its buffers.
#[derive(Default)]
pub struct Decoder {
    scratch: Vec<u8>,
    buffers: simd_json::Buffers,
    /// The last frame was longer than batches grow by themselves: what it took is given back.
    is_stretched: bool,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// The value that `bytes` hold, and the outline of the batch in them, if they are one.
    pub(crate) fn decode<'a, T: Deserialize<'a>>(&'a mut self, bytes: &[u8]) -> Result<(T, Outline), JsonError> {
        let outline = outline(bytes)?;
        if let Err(problem) = std::str::from_utf8(bytes) {
            return Err(JsonError::NotJson { problem: brief(&problem) });
        }
        if self.is_stretched {
            *self = Self::default();
        }
        self.is_stretched = bytes.len() > KEPT_BYTES_MAX;
        self.scratch.clear();
        self.scratch.extend_from_slice(bytes);
        match simd_json::serde::from_slice_with_buffers(&mut self.scratch, &mut self.buffers) {
            Ok(value) => Ok((value, outline)),
            Err(first) if outline.values > LOCATED_VALUES_MAX => Err(shape(".", &first)),
            Err(first) => Err(locate::<T>(bytes.to_vec(), &first)),
        }
    }
}

/// The value that `bytes` hold. For messages outside the hot path; [`Decoder`] reuses its buffers.
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, JsonError> {
    Decoder::default().decode(bytes).map(|(value, _outline)| value)
}

/// Appends `value` to `out`.
///
/// # Errors
/// Only a value whose own `Serialize` fails, such as a map with keys that are no strings.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), JsonError> {
    simd_json::to_writer(out, value).map_err(|problem| shape(".", &problem))
}

fn shape(field: &str, problem: &dyn fmt::Display) -> JsonError {
    let problem = brief(problem);
    if matches!(field, "." | "type") && problem.contains(UNKNOWN_TYPE) {
        return JsonError::UnknownType { problem };
    }
    let mut field: String = field.into();
    field.truncate(field.floor_char_boundary(100));
    JsonError::Shape { field, problem }
}

fn brief(problem: &dyn fmt::Display) -> String {
    let mut problem = problem.to_string();
    problem.truncate(problem.floor_char_boundary(200));
    problem
}

/// Decodes once more to say which field it was.
fn locate<'a, T: Deserialize<'a>>(mut bytes: Vec<u8>, first: &simd_json::Error) -> JsonError {
    // The second value borrows from a buffer of its own, which must not outlive this call: it is
    // decoded through an owned tree, whose lifetime is not tied to `bytes`.
    let Ok(tree) = simd_json::to_owned_value(&mut bytes) else {
        return JsonError::NotJson { problem: brief(first) };
    };
    match serde_path_to_error::deserialize::<_, T>(tree) {
        Ok(_) => shape(".", first),
        Err(error) => shape(&error.path().to_string(), error.inner()),
    }
}

/// One pass over the bytes: nesting, and where the values of a batch stand. It goes by brackets, strings and colons
/// alone, and is right about bytes that the decoder takes for JSON.
fn outline(bytes: &[u8]) -> Result<Outline, JsonError> {
    let mut walk = Walk::default();
    let mut at = 0usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at + 1);
                if walk.depth <= 2 {
                    walk.text = at + 1..end;
                }
                at = end;
            }
            b':' if walk.depth <= 2 => walk.name(bytes),
            b'{' | b'[' => walk.open(at, byte)?,
            b'}' | b']' => walk.close(at),
            _ => {}
        }
        at += 1;
    }
    Ok(walk.outline)
}

/// A value that the outline tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Payload,
    Origins,
    Events,
}

#[derive(Default)]
struct Walk {
    depth: usize,
    /// The last string of the envelope or directly in the payload, without its quotes.
    text: Range<usize>,
    /// What the last name names.
    named: Option<Value>,
    /// Which names were seen: payload, origins, events.
    seen: [bool; 3],
    payload_from: Option<usize>,
    value_from: Option<(Value, usize)>,
    outline: Outline,
}

impl Walk {
    /// The string before a colon is a name.
    fn name(&mut self, bytes: &[u8]) {
        let name = bytes.get(self.text.clone()).unwrap_or_default();
        let [payload, origins, events] = &mut self.seen;
        self.named = match self.depth {
            1 if spells(name, "payload") => {
                self.outline.payload.named(name, payload);
                Some(Value::Payload)
            }
            2 if self.payload_from.is_some() && spells(name, "origins") => {
                self.outline.origins.named(name, origins);
                Some(Value::Origins)
            }
            2 if self.payload_from.is_some() && spells(name, "events") => {
                self.outline.events.named(name, events);
                Some(Value::Events)
            }
            _ => None,
        };
    }

    fn open(&mut self, at: usize, byte: u8) -> Result<(), JsonError> {
        self.depth += 1;
        self.outline.values += 1;
        if self.depth > JSON_DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        match (self.depth, self.named, byte) {
            (2, Some(Value::Payload), b'{') => self.payload_from = Some(at),
            (3, Some(value), b'[') if value != Value::Payload => self.value_from = Some((value, at)),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, at: usize) {
        match (self.depth, self.value_from, self.payload_from) {
            (3, Some((value, from)), _) => {
                let span = if value == Value::Events { &mut self.outline.events } else { &mut self.outline.origins };
                span.found(from..at + 1);
                self.value_from = None;
            }
            (2, _, Some(from)) => {
                self.outline.payload.found(from..at + 1);
                self.payload_from = None;
            }
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
    }
}

/// Whether a string's bytes spell `name`, a word of ASCII letters: of all escapes only `\uXXXX` spells a letter.
fn spells(mut text: &[u8], name: &str) -> bool {
    for letter in name.bytes() {
        let length = match text {
            [first, ..] if *first == letter => 1,
            [b'\\', b'u', digits @ ..] if spelled(digits) == Some(letter.into()) => 6,
            _ => return false,
        };
        text = text.get(length..).unwrap_or_default();
    }
    text.is_empty()
}

fn spelled(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits.first_chunk::<4>()?).ok()?, 16).ok()
}

/// Index of the quote that ends the string that starts at `from`, or the end of the bytes.
fn string_end(bytes: &[u8], mut from: usize) -> usize {
    while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        let at = from + found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        from = at + 2;
    }
    bytes.len()
}
