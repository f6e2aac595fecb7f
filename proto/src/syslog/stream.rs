//! RFC 6587: where one message ends and the next begins in a TCP stream, whatever the bytes are
//! split into on the way.
//!
//! ```text
//! 27 <13>1 - - - - - - octet count   MSG-LEN SP MSG, taken only where MSG-LEN SP '<' stands
//! <13>a line\n                       anything else ends at a line feed
//! ```
//!
//! The two are told apart for each message. Some senders close a message with CR LF or NUL, or part
//! messages by NUL alone: line ends and NUL before a message are skipped, those at its end are taken
//! off, and a NUL ends it where `<` follows (so only the next message tells). Any other NUL stays
//! inside and has the message refused. A message longer than a line may be is cut, and the rest of it
//! is skipped: exactly the announced bytes, or up to the line feed. Digits without end are a line.
//!
//! Messages that lie whole in the caller's chunk are borrowed from it; only one that spans chunks is
//! copied, so that what is held is bounded by one line.

use super::text::{cut, trim_end};
use crate::limits::LINE_BYTES_MAX;

/// Most digits of a MSG-LEN: enough for 32 bits.
const COUNT_DIGITS_MAX: usize = 10;
/// Most bytes held of a message whose end has not come: count and blank, a line, and two bytes of
/// line end, which do not count as text.
const HELD_BYTES_MAX: usize = COUNT_DIGITS_MAX + 1 + LINE_BYTES_MAX + 2;
/// Room that an idle stream may keep, in bytes.
const IDLE_BYTES_MAX: usize = 4 << 10;

/// One message as it came, without its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// At most [`LINE_BYTES_MAX`] bytes.
    pub bytes: &'a [u8],
    /// Whether more bytes belonged to the message and were skipped, or never came.
    pub truncated: bool,
}

/// What a stream has brought so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages handed out.
    pub frames: u64,
    /// Messages that were cut.
    pub truncated: u64,
    /// Bytes of cut messages that were skipped.
    pub skipped_bytes: u64,
}

/// Splits one connection's bytes into messages.
///
/// ```
/// # use nms_proto::syslog::Splitter;
/// let mut splitter = Splitter::default();
/// let mut chunk: &[u8] = b"5 <13>a<13>b\n<13>c";
/// let mut seen = Vec::new();
/// while let Some(frame) = splitter.next_frame(&mut chunk) {
///     seen.push(frame.bytes.to_vec());
/// }
/// assert_eq!(seen, [b"<13>a", b"<13>b"]);
/// assert_eq!(splitter.finish().map(|frame| frame.bytes), Some(&b"<13>c"[..]));
/// ```
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
    /// How much of `held` was searched for its end.
    searched: usize,
    /// Whether `held` was handed out and is to be dropped.
    is_spent: bool,
    skip: Skip,
    counts: Counts,
}

/// What is skipped before the next message.
#[derive(Clone, Copy, Debug, Default)]
enum Skip {
    #[default]
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// Everything up to the end of the line. The flag: the last byte was a NUL.
    Line { after_nul: bool },
}

/// How a message stands in a run of bytes.
enum Extent {
    /// The message is `text`; `next` bytes in the next one begins, once `skip` is skipped.
    Whole { text: (usize, usize), truncated: bool, next: usize, skip: Skip },
    /// Its end is not there; the first so many bytes were searched.
    Open { searched: usize },
}

impl Splitter {
    /// The next message that ends in `chunk`, which is moved on past it. `None` once all of `chunk`
    /// was taken: then read more.
    pub fn next_frame<'f, 'c: 'f>(&'f mut self, chunk: &mut &'c [u8]) -> Option<Frame<'f>> {
        self.drop_spent();
        self.skip_on(chunk);
        if self.held.is_empty() {
            while let [b'\n' | b'\r' | 0, rest @ ..] = *chunk {
                *chunk = rest;
            }
            let bytes = *chunk;
            return match extent(bytes, 0) {
                Extent::Whole { text, truncated, next, skip } => {
                    *chunk = bytes.get(next..).unwrap_or_default();
                    self.skip = skip;
                    Some(self.counts.frame(bytes, text, truncated))
                }
                Extent::Open { searched } => {
                    self.hold(chunk, bytes.len());
                    self.searched = searched;
                    None
                }
            };
        }
        self.complete(chunk)
    }

    /// The message that the end of the stream cut off, if any. Without its line feed a line is whole;
    /// without all of its octets a counted message is truncated.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        self.drop_spent();
        self.skip = Skip::Nothing;
        if self.held.is_empty() {
            return None;
        }
        self.is_spent = true;
        let (start, truncated) = match count(&self.held) {
            Count::Octets { start, .. } => (start, true),
            Count::Line | Count::Undecided => (0, false),
        };
        let end = trimmed(&self.held, self.held.len());
        let cut_end = start + cut(self.held.get(start..end).unwrap_or_default(), LINE_BYTES_MAX).len();
        self.counts.skipped_bytes += end.saturating_sub(cut_end) as u64;
        Some(self.counts.frame(&self.held, (start, cut_end), truncated || cut_end < end))
    }

    /// What the stream has brought so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Finds the end of the message in `held`, taking of `chunk` no more than up to the next line
    /// feed at a time.
    fn complete<'f>(&'f mut self, chunk: &mut &[u8]) -> Option<Frame<'f>> {
        while !chunk.is_empty() {
            let (piece, held_before) = (*chunk, self.held.len());
            let room = HELD_BYTES_MAX.saturating_sub(held_before).max(1);
            let line = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            self.hold(chunk, line.min(room));
            match extent(&self.held, self.searched) {
                Extent::Open { searched } => self.searched = searched,
                Extent::Whole { text, truncated, next, skip } => {
                    *chunk = piece.get(next.saturating_sub(held_before)..).unwrap_or_default();
                    self.is_spent = true;
                    // A cut leaves bytes behind that are held already: the first to be skipped.
                    let left = self.held.get(next..held_before).unwrap_or_default();
                    let (skip, skipped, _) = skip.over(left);
                    self.skip = skip;
                    self.counts.skipped_bytes += skipped as u64;
                    return Some(self.counts.frame(&self.held, text, truncated));
                }
            }
        }
        None
    }

    /// Moves `bytes` bytes of `chunk` to `held`.
    fn hold(&mut self, chunk: &mut &[u8], bytes: usize) {
        let (head, tail) = chunk.split_at_checked(bytes).unwrap_or((chunk, &[]));
        self.held.extend_from_slice(head);
        *chunk = tail;
    }

    /// Skips what is left of a message that was cut.
    fn skip_on(&mut self, chunk: &mut &[u8]) {
        let (skip, skipped, next) = self.skip.over(chunk);
        self.skip = skip;
        self.counts.skipped_bytes += skipped as u64;
        *chunk = chunk.get(next..).unwrap_or_default();
    }

    fn drop_spent(&mut self) {
        if self.is_spent {
            self.held.clear();
            self.held.shrink_to(IDLE_BYTES_MAX);
            self.searched = 0;
            self.is_spent = false;
        }
    }
}

impl Skip {
    /// What is left to skip after `chunk`, how many of its bytes were skipped, and where the next
    /// message begins in it.
    fn over(self, chunk: &[u8]) -> (Self, usize, usize) {
        match self {
            Self::Nothing => (self, 0, 0),
            Self::Bytes(bytes) => {
                let now = usize::try_from(bytes).map_or(chunk.len(), |bytes| bytes.min(chunk.len()));
                let left = bytes - now as u64;
                (if left > 0 { Self::Bytes(left) } else { Self::Nothing }, now, now)
            }
            Self::Line { after_nul: true } if chunk.first() == Some(&b'<') => (Self::Nothing, 0, 0),
            Self::Line { after_nul } => match line_end(chunk, 0) {
                Ok(end) if chunk.get(end) == Some(&b'\n') => (Self::Nothing, end, end + 1),
                Ok(end) => (Self::Nothing, end + 1, end + 1),
                Err(_open) => {
                    let after_nul = chunk.last().map_or(after_nul, |&last| last == 0);
                    (Self::Line { after_nul }, chunk.len(), chunk.len())
                }
            },
        }
    }
}

impl Counts {
    fn frame<'f>(&mut self, bytes: &'f [u8], (start, end): (usize, usize), truncated: bool) -> Frame<'f> {
        self.frames += 1;
        self.truncated += u64::from(truncated);
        Frame { bytes: bytes.get(start..end).unwrap_or_default(), truncated }
    }
}

/// How a message begins.
enum Count {
    /// MSG-LEN octets from `start` on.
    Octets { start: usize, octets: u64 },
    /// No count: it ends with its line.
    Line,
    /// All bytes so far could be the beginning of a count.
    Undecided,
}

/// Reads MSG-LEN SP and the `<` that must follow (RFC 6587 section 3.4.1).
fn count(bytes: &[u8]) -> Count {
    let digits = bytes.iter().take(COUNT_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at_checked(digits).unwrap_or((bytes, &[]));
    if digits > COUNT_DIGITS_MAX || !matches!(number, [b'1'..=b'9', ..]) {
        return Count::Line;
    }
    match rest {
        [] | [b' '] => Count::Undecided,
        [b' ', b'<', ..] => {
            let octets = number.iter().fold(0, |octets, digit| octets * 10 + u64::from(digit - b'0'));
            Count::Octets { start: digits + 1, octets }
        }
        _ => Count::Line,
    }
}

/// Finds the first message of `bytes`, which begins with neither line end nor NUL. The first
/// `searched` bytes are known to hold no line end.
fn extent(bytes: &[u8], searched: usize) -> Extent {
    match count(bytes) {
        Count::Undecided => Extent::Open { searched: 0 },
        Count::Octets { start, octets } => counted(bytes, start, octets),
        Count::Line => line(bytes, searched),
    }
}

fn counted(bytes: &[u8], start: usize, octets: u64) -> Extent {
    let body = bytes.get(start..).unwrap_or_default();
    let whole = usize::try_from(octets).ok().filter(|&octets| octets <= LINE_BYTES_MAX);
    match whole {
        Some(octets) if body.len() >= octets => {
            let end = start + octets;
            Extent::Whole { text: (start, end), truncated: false, next: end, skip: Skip::Nothing }
        }
        None if body.len() > LINE_BYTES_MAX => {
            let kept = cut(body, LINE_BYTES_MAX).len();
            let end = start + kept;
            Extent::Whole { text: (start, end), truncated: true, next: end, skip: Skip::Bytes(octets - kept as u64) }
        }
        _ => Extent::Open { searched: 0 },
    }
}

/// Looks no further than a line and its end may reach, so that what is found does not depend on how
/// much has come.
fn line(bytes: &[u8], searched: usize) -> Extent {
    let bytes = bytes.get(..LINE_BYTES_MAX + 2).unwrap_or(bytes);
    match line_end(bytes, searched) {
        Err(searched) if bytes.len() < LINE_BYTES_MAX + 2 => return Extent::Open { searched },
        Ok(at) => {
            let end = trimmed(bytes, at);
            if end <= LINE_BYTES_MAX {
                return Extent::Whole { text: (0, end), truncated: false, next: at + 1, skip: Skip::Nothing };
            }
        }
        Err(_too_long) => {}
    }
    let end = cut(bytes, LINE_BYTES_MAX).len();
    Extent::Whole { text: (0, end), truncated: true, next: end, skip: Skip::Line { after_nul: false } }
}

/// Where the line feed is that ends the line, or the NUL before a `<`; else how far it is known that
/// there is none.
fn line_end(bytes: &[u8], searched: usize) -> Result<usize, usize> {
    let mut from = searched;
    while let Some(found) = memchr::memchr2(b'\n', 0, bytes.get(from..).unwrap_or_default()) {
        let at = from + found;
        match bytes.get(at..) {
            Some([0]) => return Err(at),
            Some([0, next, ..]) if *next != b'<' => from = at + 1,
            _ => return Ok(at),
        }
    }
    Err(bytes.len())
}

/// `end` moved before the line ends and NUL that stand there.
fn trimmed(bytes: &[u8], end: usize) -> usize {
    trim_end(bytes.get(..end).unwrap_or(bytes)).len()
}
