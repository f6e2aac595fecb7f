//! The one JSON encoder and decoder. Bytes from a peer are hostile.
//!
//! Before the decoder sees anything, one pass over the bytes bounds the nesting (simd-json alone
//! would go 1,024 levels deep) and notes where a batch's `origins` and `events` stand, so that they
//! can be hashed as they came. The input is never destroyed: it is what the server logs. A decoding
//! error names the field; the path is only computed when there is an error, by decoding once more.

use std::{fmt, ops::Range};

use serde::{Deserialize, Serialize};

use crate::limits::JSON_DEPTH_MAX;

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
    /// Not of the expected shape.
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

/// Where a batch's values stand in the bytes of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) origins: Range<usize>,
    pub(crate) events: Range<usize>,
}

/// Decodes frames, reusing its buffers.
#[derive(Default)]
pub struct Decoder {
    scratch: Vec<u8>,
    buffers: simd_json::Buffers,
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
        self.scratch.clear();
        self.scratch.extend_from_slice(bytes);
        match simd_json::serde::from_slice_with_buffers(&mut self.scratch, &mut self.buffers) {
            Ok(value) => Ok((value, outline)),
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

/// One pass over the bytes: nesting, and the spans of `payload.origins` and `payload.events`.
fn outline(bytes: &[u8]) -> Result<Outline, JsonError> {
    let mut outline = Outline::default();
    let mut depth = 0usize;
    let mut at = 0usize;
    let mut key = Range::default();
    let mut open: Option<(usize, bool)> = None;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at + 1);
                if depth == 2 {
                    key = at + 1..end;
                }
                at = end;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(JsonError::TooDeep);
                }
                let name = bytes.get(key.clone()).unwrap_or_default();
                if depth == 3 && byte == b'[' && (name == b"origins" || name == b"events") {
                    open = Some((at, name == b"events"));
                }
            }
            b'}' | b']' => {
                if let (3, Some((start, is_events))) = (depth, open) {
                    *(if is_events { &mut outline.events } else { &mut outline.origins }) = start..at + 1;
                    open = None;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        at += 1;
    }
    Ok(outline)
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
