//! A look over the bytes of an ONNX file before they are decoded, so that decoding takes memory of the file's size.
//!
//! An empty message is two bytes in a file and a few hundred in memory, and a packed list of numbers grows eightfold.
//! So fields are counted, the lists that grow are short, and messages that no LogBERT needs (subgraphs, functions,
//! training, sparse tensors) are refused here, by name, instead of being decoded.

/// Fields that a file may have; a net of 16 layers has some 10,000.
const FIELDS_MAX: usize = 100_000;
/// Longest field that becomes larger in memory, in bytes.
const GROWING_BYTES_MAX: usize = 4_096;
/// All such fields of a file together, properties aside, in bytes; they become some thirty times as much at worst.
const GROWING_BYTES_ALL_MAX: usize = 4 << 20;
/// Longest property of a file (vocabulary, calibration, golden vector), in bytes.
const PROPERTY_BYTES_MAX: usize = 4 << 20;

/// What a message is, by the field it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// What is done with a field that holds bytes.
enum Field {
    /// It is a message that is looked into.
    Message(Kind),
    /// It takes as much memory as file.
    Plain,
    /// It takes more, so it must be short; its name.
    Short(&'static str, usize),
    /// No LogBERT has it.
    Refused(&'static str),
}

/// By the numbers in onnx.proto3.
fn field(of: Kind, number: u64) -> Field {
    match (of, number) {
        (Kind::Model, 7) => Field::Message(Kind::Graph),
        (Kind::Model, 14) => Field::Short("metadata_props", PROPERTY_BYTES_MAX),
        (Kind::Model, 2..=4 | 6) | (Kind::Graph, 2 | 10) | (Kind::Tensor, 4 | 8 | 9 | 12) => Field::Plain,
        (Kind::Model, 8) => Field::Short("opset_import", GROWING_BYTES_MAX),
        (Kind::Model, 20) => Field::Refused("training_info"),
        (Kind::Model, 25) => Field::Refused("functions"),
        (Kind::Graph, 1) => Field::Message(Kind::Node),
        (Kind::Graph | Kind::Attribute, 5) => Field::Message(Kind::Tensor),
        (Kind::Graph, 11..=13) => Field::Short("input, output or value_info", GROWING_BYTES_MAX),
        (Kind::Graph, 14) => Field::Refused("quantization_annotation"),
        (Kind::Graph, 15) => Field::Refused("sparse_initializer"),
        (Kind::Node, 5) => Field::Message(Kind::Attribute),
        (Kind::Node, _) => Field::Short("node", GROWING_BYTES_MAX),
        (Kind::Attribute, 6 | 11) => Field::Refused("a subgraph"),
        (Kind::Attribute, 10 | 14 | 15 | 22 | 23) => Field::Refused("tensors or types as an attribute"),
        (Kind::Attribute, _) => Field::Short("attribute", GROWING_BYTES_MAX),
        (Kind::Tensor, 13) => Field::Refused("external_data"),
        (Kind::Tensor, _) => Field::Short("a tensor's integers", GROWING_BYTES_MAX),
        _ => Field::Refused("a field that no LogBERT has"),
    }
}

/// Looks over a file.
///
/// # Errors
/// What is cut, too much, or of no LogBERT.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    message(bytes, Kind::Model, &mut Seen::default())
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    fields: usize,
    growing_bytes: usize,
}

fn message(mut bytes: &[u8], kind: Kind, seen: &mut Seen) -> Result<(), String> {
    let cut = || "it is cut, or no ONNX file".to_owned();
    while !bytes.is_empty() {
        seen.fields += 1;
        if seen.fields > FIELDS_MAX {
            return Err(format!("it has more than {FIELDS_MAX} fields"));
        }
        let (number, wire) = varint(&mut bytes).map(|tag| (tag >> 3, tag & 7)).ok_or_else(cut)?;
        let fixed = match wire {
            0 => {
                varint(&mut bytes).ok_or_else(cut)?;
                0
            }
            1 => 8,
            2 => {
                let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
                let inside = bytes.get(..length).ok_or_else(cut)?;
                match field(kind, number) {
                    Field::Message(inner) => message(inside, inner, seen)?,
                    Field::Plain => {}
                    Field::Short(name, most) if length > most => {
                        return Err(format!("{name} is longer than {most} bytes"));
                    }
                    Field::Short(name, _) => {
                        seen.growing_bytes += length;
                        if seen.growing_bytes > GROWING_BYTES_ALL_MAX + PROPERTY_BYTES_MAX {
                            return Err(format!("{name}: there is too much of it"));
                        }
                    }
                    Field::Refused(name) => return Err(format!("it holds {name}, which no LogBERT needs")),
                }
                length
            }
            5 => 4,
            _ => return Err(cut()),
        };
        bytes = bytes.get(fixed..).ok_or_else(cut)?;
    }
    Ok(())
}

/// A number in groups of seven bits, lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
