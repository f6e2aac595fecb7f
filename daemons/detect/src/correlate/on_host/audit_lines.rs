//! The audit log's records of programs that were started: `type=EXECVE msg=audit(1773137472.123:7): argc=3 a0="sh" ...`.

use std::borrow::Cow;

use super::script::SCRIPT_BYTES;
use crate::{extract::audit_record, text::pairs};

/// Whether a text is a record that may hold a command.
pub(super) fn recognises(text: &str) -> bool {
    let Some(record) = audit_record(text) else { return false };
    is_call(record) || record.starts_with("type=SYSCALL ") && holds_temporary(record)
}

fn is_call(record: &str) -> bool {
    record.starts_with("type=EXECVE ")
}

fn holds_temporary(text: &str) -> bool {
    ["exe=\"/tmp/", "exe=\"/var/tmp/", "exe=\"/dev/shm/"].iter().any(|start| text.contains(start))
}

/// The command line of a record, its arguments joined by blanks.
pub(super) fn command(text: &str) -> Option<Cow<'_, str>> {
    let text = audit_record(text)?;
    if !is_call(text) {
        let (mut ran, mut program) = (false, None);
        for (key, value) in pairs(text) {
            match key {
                "success" => ran = value == "yes",
                "exe" => program = Some(value),
                _ => {}
            }
        }
        return program.filter(|_program| ran).map(Cow::Borrowed);
    }
    let is_argument =
        |key: &str| key.strip_prefix('a').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let mut line = String::new();
    for (_key, value) in pairs(text).filter(|(key, _value)| is_argument(key)) {
        if line.len() + value.len() >= SCRIPT_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        match decoded(value) {
            Some(decoded) => line.push_str(&decoded),
            None => line.push_str(value),
        }
    }
    (!line.is_empty()).then_some(Cow::Owned(line))
}

/// An argument with odd characters is written in hexadecimal, in capitals.
fn decoded(value: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_digit| !byte.is_ascii_lowercase());
    if value.len() < 4 || value.len() % 2 == 1 {
        return None;
    }
    let bytes: Option<Vec<u8>> = value
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let [high, low] = pair else { return None };
            Some((digit(*high)? * 16 + digit(*low)?) as u8)
        })
        .collect();
    // What needed no such form is a word that only looks like it.
    let text = String::from_utf8(bytes?).ok()?;
    text.contains([' ', '"', '\'', '\n']).then_some(text)
}
