//! Frames, messages, batches, what hub and dashboard say to each other, and names.

use std::{fmt::Display, str::FromStr};

use nms_proto::{
    dash::{FromHub, ToHub},
    frame::{self, Direction, FrameError, FrameReader},
    id::{AlertId, BatchSeq, EndpointId, EventId, Instance, TenantId},
    json::{self, Decoder, JsonError},
    limits::{JSON_DEPTH_MAX, NAME_BYTES_MAX},
    message::{self, Message, batch_events, batch_frame},
    severity::Severity,
    time::Stamp,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    input::Cuts,
    travel::{self, NOW},
};

/// A stream gives the same frames and the same end however it is cut, and what it gave is what came.
pub(crate) fn frame(bytes: &[u8]) {
    for direction in [Direction::Upward, Direction::Downward] {
        let whole = frames(direction, [bytes]);
        assert_eq!(frames(direction, Cuts::of(bytes).pieces(bytes)), whole);
        assert_eq!(frames(direction, bytes.chunks(1)), whole);
        let (frames, end) = whole;
        let mut again = Vec::new();
        for payload in &frames {
            assert!((1..=direction.bytes_max()).contains(&payload.len()));
            let encoded: Result<_, ()> = frame::frame(|out| {
                out.extend_from_slice(payload);
                Ok(())
            });
            again.extend(encoded.unwrap());
        }
        assert!(bytes.starts_with(&again), "frames are encoded as they came");
        match end {
            Ok(at_boundary) => assert_eq!(at_boundary, again.len() == bytes.len()),
            Err(error) => assert!(!error.to_string().is_empty() && !error.reason().is_empty()),
        }
    }
}

type Frames = (Vec<Vec<u8>>, Result<bool, FrameError>);

fn frames<'a>(direction: Direction, pieces: impl IntoIterator<Item = &'a [u8]>) -> Frames {
    let mut reader = FrameReader::new(direction);
    let mut frames = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(payload)) => frames.push(payload.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(reader.is_at_boundary()))
}

/// What is understood is written so that it is understood again, and means the same; what is not names a field.
pub(crate) fn message(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let first = message::read(&mut decoder, bytes, NOW);
    // What the decoder kept of one message does not reach the next one. Which of several wrong members of an object with
    // many is named, is left to chance.
    let reason = |error: JsonError| error.reason();
    let second = message::read(&mut decoder, bytes, NOW);
    assert_eq!(second.map_err(reason), first.clone().map_err(reason));
    let message = match first {
        Ok(message) => message,
        Err(error) => return refused(bytes, &error),
    };
    assert!(depth(bytes) <= JSON_DEPTH_MAX);
    let frame = message.to_frame(NOW).unwrap();
    let again = message::read(&mut decoder, &frame[4..], NOW).unwrap();
    match (&message, &again) {
        (Message::Event(first), Message::Event(second)) => assert_eq!(first.event, second.event),
        (Message::Batch(first), Message::Batch(second)) => {
            assert_eq!((first.batch, &first.skipped, &first.events), (second.batch, &second.skipped, &second.events));
            assert_eq!(second.cut, 0, "what was cut is within the bounds");
            logged(&mut decoder, first);
        }
        _ => assert_eq!(message, again),
    }
    assert_eq!(again.to_frame(NOW).unwrap(), frame, "the written form is one");
}

/// A server logs a batch's content and reads it again: it must be the same batch.
fn logged(decoder: &mut Decoder, batch: &message::Batch) {
    let frame = batch_frame(BatchSeq(5), NOW, &batch.skipped, &batch.content).unwrap();
    let Message::Batch(again) = message::read(decoder, &frame[4..], NOW).unwrap() else { panic!("not a batch") };
    assert_eq!(again.events, batch.events);
    assert_eq!((again.content, again.cut), (batch.content.clone(), batch.cut));
    // A batch without origins is hashed without them, and logged with an empty array.
    if batch.content.starts_with(b"\"origins\":[]") {
        return;
    }
    assert_eq!(again.content_hash, batch.content_hash);
}

fn refused(bytes: &[u8], error: &JsonError) {
    let words = error.to_string();
    assert!(words.len() <= 400, "an error is short however long the input: {words}");
    assert!(!error.reason().is_empty());
    if depth(bytes) > JSON_DEPTH_MAX {
        assert_eq!(*error, JsonError::TooDeep);
    }
}

/// The deepest nesting of brackets outside strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut inside, mut escaped) = (0usize, 0, false, false);
    for &byte in bytes {
        match (inside, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => inside = !inside,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A batch's content, as a spool or a log holds it.
pub(crate) fn batch(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    match batch_events(&mut decoder, bytes) {
        Ok(events) if events.is_empty() => {}
        Ok(events) => travel::sent(&events),
        Err(error) => assert!(error.to_string().len() <= 400, "{error}"),
    }
}

/// What hub and dashboard say to each other.
pub(crate) fn dash(bytes: &[u8]) {
    round::<FromHub>(bytes);
    round::<ToHub>(bytes);
}

/// What is decoded is encoded and decoded to the same.
pub(crate) fn round<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = match json::decode(bytes) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.to_string().len() <= 400, "{error}");
            return None;
        }
    };
    assert!(depth(bytes) <= JSON_DEPTH_MAX);
    let mut text = Vec::new();
    json::encode(&value, &mut text).unwrap();
    assert_eq!(json::decode::<T>(&text).unwrap(), value);
    Some(value)
}

/// Names, identifiers and times.
pub(crate) fn names(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    spelled::<TenantId>(text);
    spelled::<Instance>(text);
    spelled::<EventId>(text);
    spelled::<AlertId>(text);
    if let Some(name) = spelled::<EndpointId>(text) {
        assert!(name.as_str().len() <= NAME_BYTES_MAX && text.starts_with(name.as_str()));
    }
    if let Some(severity) = Severity::from_text(text) {
        assert_eq!(Severity::from_text(severity.as_str()), Some(severity));
    }
    if let Ok(stamp) = Stamp::parse(text) {
        let written = stamp.to_string();
        assert_eq!(Stamp::parse(&written), Ok(stamp), "{text} is written as {written}");
        let (hour, weekday) = stamp.local_hour_and_weekday();
        assert!(hour < 24 && weekday < 7);
    }
}

/// What is read from a text is written as one that reads the same.
pub(crate) fn spelled<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    assert_eq!(written.parse().ok().as_ref(), Some(&value), "{text:?} is written as {written:?}");
    Some(value)
}
