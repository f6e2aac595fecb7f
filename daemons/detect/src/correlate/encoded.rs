//! Whether a label of a name looks like data rather than like words and numbers.
//!
//! Entropy does not tell: the names of hosts hold as many bits a byte as data does. But in encoded data letters and digits
//! change often, and where it has no digits, consonants stand in rows that no word has.

/// The shortest label that is judged, in bytes.
const ENCODED_BYTES: usize = 16;
/// Data has a change between letter and digit in so many bytes, or so many consonants in a row.
const CHANGE_BYTES: usize = 5;
const CONSONANTS: usize = 5;
/// The least bits that a byte of data holds: less is one pattern again and again.
const RANDOM_BITS: f32 = 2.5;

/// Whether a label looks like data; hyphens and underscores only divide it.
pub(super) fn is_encoded(label: &str) -> bool {
    let (mut length, mut changes, mut run, mut longest, mut before) = (0, 0, 0, 0, None);
    for byte in label.bytes() {
        if byte == b'-' || byte == b'_' {
            run = 0;
            continue;
        }
        length += 1;
        let is_letter = byte.is_ascii_alphabetic();
        // A byte that no host name has is a change by itself.
        changes += usize::from(!byte.is_ascii_alphanumeric() || before.is_some_and(|before| before != is_letter));
        before = Some(is_letter);
        run = if is_letter && !b"aeiouyAEIOUY".contains(&byte) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    length >= ENCODED_BYTES && (changes * CHANGE_BYTES >= length || longest >= CONSONANTS) && bits(label) >= RANDOM_BITS
}

/// The bits that a byte of a text holds (Shannon's entropy of its bytes).
fn bits(text: &str) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let all = text.len() as f32;
    counts.iter().filter(|count| **count > 0).map(|&count| f32::from(count) / all).map(|part| -part * part.log2()).sum()
}
