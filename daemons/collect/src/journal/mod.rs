//! The systemd journal, through `journalctl` as a child process.
//!
//! `journalctl -o json --follow --all` is the journal's one stable face; its files are read by
//! nobody else. The cursor of the last entry is the checkpoint. A child that ends is started again
//! behind that cursor, after 1 s, 2 s, ... 60 s; a cursor that `journalctl` does not take any more is
//! replaced by its time, and counted. Entries are made durable before more are read: the pipe, and
//! behind it the journal, is the buffer.

mod entry;

use std::{ffi::OsString, io, process::Stdio};

use nms_kit::{
    clock,
    intake::{Checkpoint, Closed, Sender},
    task::{Stop, Tasks},
};
use nms_proto::{
    id::EndpointId,
    limits::{CHUNK_EVENTS_MAX, JOURNAL_JSON_BYTES_MAX},
};
use serde::{Deserialize, Serialize};
use smol::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};
use std::sync::Arc;

pub use self::entry::{Entry, FIELDS, read};
use crate::{
    counters::{Counters, What},
    portion::Portion,
};

/// The key of the journal's checkpoint.
pub const KEY: &str = "journal";
/// Times that the journal did not take our cursor: what was between is not known.
pub const CURSOR_GONE: &str = "journal_cursor_gone";
/// Entries that were printed longer than [`JOURNAL_JSON_BYTES_MAX`] and skipped.
pub const ENTRY_TOO_LONG: &str = "journal_entry_too_long";

const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 60_000;
/// Starts that ended without an entry after which a cursor is given up.
const CURSOR_FAILURES_MAX: u32 = 3;
const READ_BYTES: usize = 64 << 10;
/// What is kept of a child's last words, in bytes.
const LAST_WORDS_BYTES: u64 = 512;

/// What is read of the journal.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program; `journalctl` from the path, or a test's.
    pub program: OsString,
    /// Only these units; everything when empty.
    pub units: Vec<String>,
    /// Without a checkpoint: whether to begin at the oldest entry instead of now.
    pub from_start: bool,
}

/// A place in the journal: the checkpoint, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    cursor: Box<str>,
    at_us: i64,
}

/// From where a child reads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// The oldest entry.
    Oldest,
    /// What comes after this moment, in microseconds since 1970 UTC.
    Now(i64),
    /// Behind a place.
    Cursor(Place),
    /// As `Cursor`, by its time, because the cursor is not taken.
    Time(Place),
}

impl From {
    fn argument(&self) -> String {
        match self {
            Self::Oldest => "--no-tail".into(),
            // The entry before the first new one, so that there is a cursor to begin from.
            Self::Now(_) => "--lines=1".into(),
            Self::Cursor(place) => format!("--after-cursor={}", place.cursor),
            Self::Time(place) => format!("--since=@{}", place.at_us / 1_000_000),
        }
    }

    /// Whether an entry of that time was read already, or is older than what is wanted.
    fn is_past(&self, at_us: i64) -> bool {
        match self {
            Self::Now(start_us) => at_us <= *start_us,
            Self::Time(place) => at_us <= place.at_us,
            Self::Oldest | Self::Cursor(_) => false,
        }
    }
}

/// Cuts what a child prints into lines, and makes portions of them.
#[derive(Debug)]
struct Reader {
    from: From,
    held: Vec<u8>,
    skipping: bool,
}

impl Reader {
    fn new(from: From) -> Self {
        Self { from, held: Vec::new(), skipping: false }
    }

    /// Takes bytes; gives the portions that are complete with them.
    fn take(&mut self, bytes: &[u8], offset_min: i16) -> Vec<Portion> {
        let mut portions = Vec::new();
        let mut portion = Portion::default();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if !self.skipping {
                self.held.extend_from_slice(piece);
            }
            if self.held.len() > JOURNAL_JSON_BYTES_MAX {
                self.held = Vec::new();
                self.skipping = true;
                portion.lose(ENTRY_TOO_LONG, 1);
            }
            if pieces.peek().is_none() {
                break;
            }
            if !std::mem::take(&mut self.skipping) && !self.held.is_empty() {
                let line = std::mem::take(&mut self.held);
                self.line(&line, offset_min, &mut portion);
            }
            if portion.messages() >= CHUNK_EVENTS_MAX {
                portions.push(std::mem::take(&mut portion));
            }
        }
        portions.push(portion);
        portions.retain(|portion| portion.messages() > 0 || portion.checkpoint.is_some() || !portion.lost.is_empty());
        portions
    }

    fn line(&mut self, line: &[u8], offset_min: i16, portion: &mut Portion) {
        match read(line, offset_min) {
            Ok(entry) => self.entry(entry, portion),
            Err(refused) => portion.refused.push(refused),
        }
    }

    fn entry(&mut self, entry: Entry, portion: &mut Portion) {
        let is_past = self.from.is_past(entry.at_us);
        if !is_past {
            portion.cut += u64::from(entry.cut);
            portion.push(entry.message);
        }
        let place = Place { cursor: entry.cursor, at_us: entry.at_us };
        // Text and a number: there is nothing in it that cannot be written.
        let value = serde_json::to_vec(&place).unwrap_or_default().into();
        portion.checkpoint = Some(Checkpoint { key: KEY.into(), value });
        if !is_past || matches!(self.from, From::Now(_)) {
            self.from = From::Cursor(place);
        }
    }
}

/// The journal of one daemon.
#[derive(Debug)]
struct Journal {
    settings: Settings,
    counters: Arc<Counters>,
    sender: Sender,
    source: EndpointId,
}

/// Reads the journal until the stop, from `checkpoint` where there is one.
pub fn start(
    settings: Settings,
    checkpoint: Option<&[u8]>,
    counters: Arc<Counters>,
    tasks: &Tasks,
    (sender, source): (Sender, EndpointId),
) {
    let from = match checkpoint.and_then(|value| serde_json::from_slice(value).ok()) {
        Some(place) => From::Cursor(place),
        None if settings.from_start => From::Oldest,
        None => From::Now(clock::unix_ms() * 1_000),
    };
    let stop = tasks.stop().clone();
    let journal = Journal { settings, counters, sender, source };
    tasks.spawn("journal", async move {
        if let Some(Err(Closed)) = stop.clone().or(journal.run(from, &stop)).await {
            log::debug!("the journal is no longer read: the core has ended");
        }
    });
}

impl Journal {
    async fn run(&self, mut from: From, stop: &Stop) -> Result<(), Closed> {
        let mut failures = 0;
        while !stop.is_requested() {
            let mut reader = Reader::new(from.clone());
            let ended = match self.spawn(&from) {
                Ok(mut child) => self.follow(&mut child, &mut reader).await?,
                Err(error) => format!("cannot start {}: {error}", self.settings.program.display()),
            };
            failures = if reader.from == from { failures + 1 } else { 0 };
            log::warn!("the journal is not read, trying again reason={ended} attempts={failures}");
            self.counters.add(What::JournalRestarts, 1);
            from = reader.from;
            if failures >= CURSOR_FAILURES_MAX
                && let From::Cursor(place) = &from
            {
                log::warn!("the journal does not take the cursor any more, going on by its time");
                from = From::Time(place.clone());
                let mut portion = Portion::default();
                portion.lose(CURSOR_GONE, 1);
                self.sender.send(portion.into_chunk(&self.source)).await?;
            }
            clock::pause(pause_ms(failures)).await;
        }
        Ok(())
    }

    fn spawn(&self, from: &From) -> io::Result<Child> {
        let mut command = Command::new(&self.settings.program);
        command.args(["--output=json", "--follow", "--all", "--no-pager", "--quiet"]);
        command.arg(format!("--output-fields={FIELDS}")).arg(from.argument());
        command.args(self.settings.units.iter().map(|unit| format!("--unit={unit}")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn()
    }

    /// Reads a child to its end; gives why it ended.
    async fn follow(&self, child: &mut Child, reader: &mut Reader) -> Result<String, Closed> {
        let Some(mut output) = child.stdout.take() else { return Ok("no output".into()) };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let bytes = match output.read(&mut buffer).await {
                Ok(0) => return Ok(last_words(child.stderr.take()).await),
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(error) => return Ok(error.to_string()),
            };
            for portion in reader.take(bytes, clock::stamp().offset_min) {
                self.counters.add(What::JournalEntries, portion.drafts.len() as u64);
                self.sender.commit(portion.into_chunk(&self.source)).await?;
            }
        }
    }
}

async fn last_words(errors: Option<impl AsyncRead + Unpin>) -> String {
    let mut words = Vec::new();
    if let Some(errors) = errors
        && let Err(error) = errors.take(LAST_WORDS_BYTES).read_to_end(&mut words).await
    {
        return error.to_string();
    }
    let words = String::from_utf8_lossy(&words);
    words.lines().last().map_or_else(|| "it ended".into(), |line| format!("it ended: {line}"))
}

/// The pause after so many starts without an entry, in milliseconds.
fn pause_ms(failures: u32) -> u64 {
    PAUSE_MS_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MS_MAX)
}
