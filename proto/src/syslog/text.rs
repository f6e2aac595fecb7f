//! Checks on the bytes themselves, before any dialect is looked for, and the few byte helpers that
//! all dialects share.
//!
//! Line ends and NUL bytes at the end belong to the framing and are taken off. What is longer than
//! a line may be is cut between characters, so that the cut itself never makes text invalid.

use super::reject::Reject;

/// The rest of the input and what was read from it.
pub(super) type Step<'a, T> = nom::IResult<&'a [u8], T, ()>;

/// `bytes` without the line ends and NUL bytes that some senders close a message with.
pub(super) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r' | 0] = bytes {
        bytes = head;
    }
    bytes
}

/// `bytes` without blanks at the front.
pub(super) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', tail @ ..] = bytes {
        bytes = tail;
    }
    bytes
}

/// At most `bytes_max` of `bytes`, cut before a character that would not fit whole.
pub(super) fn cut(bytes: &[u8], bytes_max: usize) -> &[u8] {
    let Some((mut head, tail)) = bytes.split_at_checked(bytes_max) else { return bytes };
    let mut next = tail.first().copied();
    for _ in 0..3 {
        let (Some(0x80..=0xbf), Some((&last, shorter))) = (next, head.split_last()) else { break };
        head = shorter;
        next = Some(last);
    }
    head
}

/// Refuses what is empty, holds a NUL, or is more control bytes than text may have.
pub(super) fn check(bytes: &[u8]) -> Result<(), Reject> {
    if trim_start(bytes).is_empty() {
        return Err(Reject::Empty);
    }
    let controls = controls(bytes);
    if controls > 0 && memchr::memchr(0, bytes).is_some() {
        return Err(Reject::Nul);
    }
    if controls * 10 > bytes.len() {
        return Err(Reject::ControlBytes);
    }
    Ok(())
}

/// Whether `bytes` read as text although no header vouches for them: the first character is
/// printable, and at most 1 byte in 10 is a control byte or no UTF-8. One odd byte in a user name
/// must not hide a line.
pub(super) fn is_printable(bytes: &[u8]) -> bool {
    let Some(first) = bytes.utf8_chunks().next() else { return false };
    let starts = first.valid().chars().next().is_some_and(|c| !c.is_control() || c == '\t');
    let unreadable: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    starts && (controls(bytes) + unreadable) * 10 <= bytes.len()
}

/// How many bytes are control bytes. Summed in bytes over short runs, which compiles to vectors.
fn controls(bytes: &[u8]) -> usize {
    bytes.chunks(128).map(|run| usize::from(run.iter().map(|&b| u8::from(is_control(b))).sum::<u8>())).sum()
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f
}

/// The bytes up to the first blank, and what follows the blanks.
pub(super) fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b' ', b'\t', bytes).unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (word, trim_start(rest))
}

/// The bytes as text, where they are printable ASCII without blanks.
pub(super) fn ascii(bytes: &[u8]) -> Option<&str> {
    if bytes.iter().all(u8::is_ascii_graphic) { std::str::from_utf8(bytes).ok() } else { None }
}
