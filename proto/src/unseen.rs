//! Characters that a terminal obeys or does not show, and one line of JSON without them.
//!
//! Records of peers are printed by the dashboard and by the daemons' admin verbs. A line feed between two
//! members is nothing to a decoder, and would let a peer write a record of its own making into an export
//! of one record a line; an override of the writing direction in a name shows another name.

use std::fmt::Write as _;

/// Characters that change how others are shown, or show nothing: controls (C1), format characters (Cf),
/// default-ignorable ones, line and paragraph separators, and private use. Sorted, both ends in.
const UNSEEN: &[(u32, u32)] = &[
    (0x0080, 0x009F),
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xE000, 0xF8FF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1_10BD, 0x1_10BD),
    (0x1_10CD, 0x1_10CD),
    (0x1_3430, 0x1_343F),
    (0x1_BCA0, 0x1_BCA3),
    (0x1_D173, 0x1_D17A),
    (0xE_0000, 0xE_0FFF),
    (0xF_0000, 0x10_FFFF),
];

/// Whether `c` is no ASCII character, and changes how others are shown or shows nothing itself.
pub fn is_unseen(c: char) -> bool {
    let code = u32::from(c);
    let at = UNSEEN.partition_point(|&(_, last)| last < code);
    UNSEEN.get(at).is_some_and(|&(first, _)| first <= code)
}

/// JSON as one line of it, the same value: what stands unseen or as a control character in a string becomes a `\u`
/// escape, and a blank between two members. Text that is no JSON becomes a line too.
pub fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut is_text, mut is_escaped) = (false, false);
    for c in json.chars() {
        if c.is_ascii_control() && !is_text && c.is_ascii_whitespace() {
            line.push(' ');
        } else if c.is_ascii_control() || is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
        is_text ^= c == '"' && !is_escaped;
        is_escaped = is_text && c == '\\' && !is_escaped;
    }
    line
}
