//! Log lines for people and the journal: a fixed sentence, then key=value pairs, on stderr.
//!
//! Under systemd each line starts with its `<priority>` (sd-daemon(3)) and no time, which the journal
//! adds; elsewhere with the time. A warning or error that repeats is written at most
//! [`REPEATS_PER_MINUTE`] times a minute from one place in the code; how many were left out is said
//! with the next one. A line is cut at [`LINE_BYTES_MAX`], and control characters in it are escaped:
//! what a peer sent can neither fill the log nor forge a line of it.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nms_proto::unseen::is_unseen;

use crate::clock;

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1024;
/// Warnings and errors from one place in the code, a minute.
pub const REPEATS_PER_MINUTE: u32 = 10;
const MINUTE_MS: u64 = 60_000;

struct Logger {
    journal: bool,
    repeats: Mutex<HashMap<(&'static str, u32), Repeats>>,
}

#[derive(Default)]
struct Repeats {
    since_ms: u64,
    written: u32,
    left_out: u64,
}

/// Starts logging at `level`; later calls only change the level.
pub fn start(level: LevelFilter) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let logger = Box::new(Logger { journal, repeats: Mutex::default() });
    if log::set_boxed_logger(logger).is_err() {
        log::debug!("logging was already started level={level}");
    }
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nms") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Some(left_out) = self.admit(record) else { return };
        let mut text = record.args().to_string();
        if left_out > 0 {
            text = format!("{text} repeats_left_out={left_out}");
        }
        let head = if self.journal { priority(record.level()) } else { stamped(record.level()) };
        let line = format!("{head}{}\n", one_line(&text));
        // Nothing can be done about a log that cannot be written.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }

    fn flush(&self) {}
}

impl Logger {
    /// How many lines from this place were left out before this one; none if this one is left out too.
    fn admit(&self, record: &Record<'_>) -> Option<u64> {
        if record.level() > Level::Warn {
            return Some(0);
        }
        let place = (record.module_path_static().unwrap_or_default(), record.line().unwrap_or(0));
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = repeats.entry(place).or_default();
        let now_ms = clock::monotonic_ms();
        if now_ms.saturating_sub(seen.since_ms) >= MINUTE_MS {
            *seen = Repeats { since_ms: now_ms, written: 0, left_out: seen.left_out };
        }
        if seen.written >= REPEATS_PER_MINUTE {
            seen.left_out += 1;
            return None;
        }
        seen.written += 1;
        Some(std::mem::take(&mut seen.left_out))
    }
}

fn priority(level: Level) -> String {
    let number = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    format!("<{number}>")
}

fn stamped(level: Level) -> String {
    format!("{} {level:<5} ", clock::stamp())
}

/// The text with control characters escaped, cut to [`LINE_BYTES_MAX`].
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if line.len() >= LINE_BYTES_MAX {
            line.push_str("...");
            break;
        }
        if character.is_control() || is_unseen(character) {
            line.extend(character.escape_unicode());
        } else {
            line.push(character);
        }
    }
    line
}
