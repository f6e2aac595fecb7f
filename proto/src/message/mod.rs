//! The envelope, and what can be in it.
//!
//! ```text
//! {"type":"HEARTBEAT","timestamp":"2026-01-05T14:31:00Z","payload":{...}}
//! ```
//! An unknown `type`, a missing field or a wrong type is a [`JsonError`] that names the field;
//! unknown fields are ignored. `batch` writes and reads the one message that is hot.

mod batch;
mod payload;

pub use batch::{Batch, BatchBuilder, BatchHeader, Single, SourceCount, batch_events, batch_frame};
pub use payload::{
    Ack, AckConfig, AckStatus, Command, CommandAction, Heartbeat, Register, Results, ResultsStats, Skipped,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

use crate::{
    frame,
    json::{self, Decoder, JsonError, UNKNOWN_TYPE},
    time::Stamp,
};
use batch::{WireBatch, refuse, unnamed_event};

/// Version of this protocol; version N talks to N-1.
pub const PROTOCOL: u32 = 1;

/// Everything that is said on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Who the sender is; opens a connection.
    Register(Register),
    /// The sender is alive, and how it is.
    Heartbeat(Heartbeat),
    /// One event, from an original agent.
    Event(Box<Single>),
    /// Many events.
    Batch(Batch),
    /// Alerts, downward.
    Results(Results),
    /// Do something.
    Command(Command),
    /// An answer.
    Ack(Ack),
}

/// The type words, in the order of the protocol.
const TYPES: &[&str] = &["REGISTER", "HEARTBEAT", "EVENT", "BATCH_EVENT", "RESULTS", "COMMAND", "ACK"];

impl Message {
    /// The message's `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Register(_) => "REGISTER",
            Self::Heartbeat(_) => "HEARTBEAT",
            Self::Event(_) => "EVENT",
            Self::Batch(_) => "BATCH_EVENT",
            Self::Results(_) => "RESULTS",
            Self::Command(_) => "COMMAND",
            Self::Ack(_) => "ACK",
        }
    }

    /// The whole frame, stamped `now`.
    ///
    /// # Errors
    /// None for the messages of this module; the encoder's error type is passed on.
    pub fn to_frame(&self, now: Stamp) -> Result<Vec<u8>, JsonError> {
        frame::frame(|out| json::encode(&Envelope { now, message: self }, out))
    }
}

/// Reads the payload of one frame. Events without a stamp are dated `now`.
///
/// # Errors
/// The field that is wrong, and how.
pub fn read(decoder: &mut Decoder, payload: &[u8], now: Stamp) -> Result<Message, JsonError> {
    match read_in_order(decoder, payload, now)? {
        Read::Message(message) => Ok(message),
        Read::Reordered(bytes) => match read_in_order(decoder, &bytes, now)? {
            Read::Message(message) => Ok(message),
            Read::Reordered(_) => Err(refuse("type", "expected before payload")),
        },
    }
}

enum Read {
    Message(Message),
    /// The payload came before its type: the same message, the other way round.
    Reordered(Vec<u8>),
}

fn read_in_order(decoder: &mut Decoder, payload: &[u8], now: Stamp) -> Result<Read, JsonError> {
    let (wire, outline): (Wire<'_>, _) = decoder.decode(payload)?;
    let message = match wire {
        Wire::Late(kind) => {
            let found = outline.payload.of(payload).map_err(|problem| refuse("payload", problem))?;
            let found = found.ok_or_else(|| refuse("payload", "expected an object"))?;
            let start = format!("{{\"type\":\"{kind}\",\"timestamp\":\"1970-01-01T00:00:00Z\",\"payload\":");
            return Ok(Read::Reordered([start.as_bytes(), found, b"}"].concat()));
        }
        Wire::Register(payload) => Message::Register(payload),
        Wire::Heartbeat(payload) => Message::Heartbeat(payload),
        Wire::Event(payload) => Message::Event(Box::new(unnamed_event(*payload, now)?)),
        Wire::Batch(wire) => Message::Batch(wire.into_batch(payload, &outline, now)?),
        Wire::Results(payload) => Message::Results(payload),
        Wire::Command(payload) => Message::Command(payload),
        Wire::Ack(payload) => Message::Ack(payload),
    };
    Ok(Read::Message(message))
}

struct Envelope<'a> {
    now: Stamp,
    message: &'a Message,
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Envelope", 3)?;
        out.serialize_field("type", self.message.type_name())?;
        out.serialize_field("timestamp", &Stamp::utc(self.now.unix_ms))?;
        match self.message {
            Message::Register(payload) => out.serialize_field("payload", payload)?,
            Message::Heartbeat(payload) => out.serialize_field("payload", payload)?,
            Message::Event(single) => out.serialize_field("payload", &batch::indexed(&single.event, 0))?,
            Message::Batch(payload) => out.serialize_field("payload", payload)?,
            Message::Results(payload) => out.serialize_field("payload", payload)?,
            Message::Command(payload) => out.serialize_field("payload", payload)?,
            Message::Ack(payload) => out.serialize_field("payload", payload)?,
        }
        out.end()
    }
}

enum Wire<'a> {
    Register(Register),
    Heartbeat(Heartbeat),
    Event(Box<crate::event::WireEvent<'a>>),
    Batch(WireBatch<'a>),
    Results(Results),
    Command(Command),
    Ack(Ack),
    /// The payload came before this type, and was passed over.
    Late(&'static str),
}

impl<'de> Deserialize<'de> for Wire<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Wire<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with type, timestamp and payload")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Wire<'de>, A::Error> {
                read_envelope(map)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Type,
    Timestamp,
    Payload,
    #[serde(other)]
    Unknown,
}

/// Reads the members in any order; a payload that comes before its type is passed over, to be read again behind it.
fn read_envelope<'de, A: de::MapAccess<'de>>(mut map: A) -> Result<Wire<'de>, A::Error> {
    let mut kind: Option<&'static str> = None;
    let mut wire = None;
    let mut is_late = false;
    let mut stamped = false;
    while let Some(field) = map.next_key::<Field>()? {
        match (field, kind) {
            (Field::Type, None) => kind = Some(known_type(&map.next_value::<std::borrow::Cow<'_, str>>()?)?),
            (Field::Type, Some(_)) => return Err(de::Error::duplicate_field("type")),
            (Field::Timestamp, _) if stamped => return Err(de::Error::duplicate_field("timestamp")),
            (Field::Timestamp, _) => {
                map.next_value::<Stamp>()?;
                stamped = true;
            }
            (Field::Payload, _) if wire.is_some() || is_late => {
                return Err(de::Error::duplicate_field("payload"));
            }
            (Field::Payload, Some(kind)) => wire = Some(map.next_value_seed(Payload(kind))?),
            (Field::Payload, None) => {
                map.next_value::<de::IgnoredAny>()?;
                is_late = true;
            }
            (Field::Unknown, _) => {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
    }
    let kind = kind.ok_or_else(|| de::Error::missing_field("type"))?;
    if !stamped {
        return Err(de::Error::missing_field("timestamp"));
    }
    match wire {
        Some(wire) => Ok(wire),
        None if is_late => Ok(Wire::Late(kind)),
        None => Err(de::Error::missing_field("payload")),
    }
}

fn known_type<E: de::Error>(text: &str) -> Result<&'static str, E> {
    let known = TYPES.iter().copied().find(|known| *known == text);
    let shown = text.get(..text.floor_char_boundary(32)).unwrap_or_default();
    known.ok_or_else(|| E::custom(format_args!("{UNKNOWN_TYPE} {shown:?}, expected one of {TYPES:?}")))
}

/// A payload of the type named.
struct Payload(&'static str);

impl<'de> de::DeserializeSeed<'de> for Payload {
    type Value = Wire<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Wire<'de>, D::Error> {
        Ok(match self.0 {
            "REGISTER" => Wire::Register(Register::deserialize(deserializer)?),
            "HEARTBEAT" => Wire::Heartbeat(Heartbeat::deserialize(deserializer)?),
            "EVENT" => Wire::Event(Box::deserialize(deserializer)?),
            "BATCH_EVENT" => Wire::Batch(WireBatch::deserialize(deserializer)?),
            "RESULTS" => Wire::Results(Results::deserialize(deserializer)?),
            "COMMAND" => Wire::Command(Command::deserialize(deserializer)?),
            _ => Wire::Ack(Ack::deserialize(deserializer)?),
        })
    }
}
