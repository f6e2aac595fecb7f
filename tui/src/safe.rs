//! The one door through which text from outside reaches a terminal.
//!
//! A log line can carry escape sequences, direction overrides, invisible characters and piles of
//! combining marks; a terminal obeys them and a drawing library drops them, which hides the attack.
//! Here each is shown as what it is: controls as pictures (`␛`), the rest as `<U+202E>`, bytes that
//! are no UTF-8 as `\xNN`. Drawing and plain output take only [`Safe`], so no text can pass by.
//! JSON output keeps its meaning and gets `\u` escapes instead ([`escape_json`]).

use std::fmt::{self, Write as _};

use nms_proto::{limits::DASH_TEXT_BYTES_MAX, unseen::is_unseen};
use ratatui::{buffer::CellWidth as _, style::Style, text::Span};

/// Combining marks that may follow one character; more are spelled out.
const MARKS_MAX: u8 = 4;

/// What a character does on a terminal.
enum Kind {
    /// Shows as itself.
    Plain,
    /// Joins the character before it.
    Mark,
    /// Moves to a column that only the terminal knows.
    Tab,
    /// A control character with a picture.
    Control(char),
    /// Unseen, or changes what is seen.
    Unseen,
}

fn kind(c: char) -> Kind {
    match c {
        ' '..='~' => Kind::Plain,
        '\t' => Kind::Tab,
        '\u{7f}' => Kind::Control('\u{2421}'),
        '\0'..='\u{1f}' => Kind::Control(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
        _ if is_unseen(c) => Kind::Unseen,
        _ if c.encode_utf8(&mut [0; 4]).cell_width() > 0 => Kind::Plain,
        _ if joins(c) => Kind::Mark,
        // It would take no room of its own and join nothing: the drawing library drops it.
        _ => Kind::Unseen,
    }
}

/// Whether `c` becomes one character with the letter before it.
fn joins(c: char) -> bool {
    graphemes(&String::from_iter(['a', c])).count() == 1
}

/// Counts the combining marks on one character. Starts full: a mark with nothing before it would
/// join whatever the terminal shows to its left.
struct Marks(u8);

impl Marks {
    fn new() -> Self {
        Self(MARKS_MAX)
    }

    /// Whether `kind` may be shown as itself, given what came before.
    fn takes(&mut self, kind: &Kind) -> bool {
        match kind {
            Kind::Plain => {
                self.0 = 0;
                true
            }
            Kind::Mark if self.0 < MARKS_MAX => {
                self.0 += 1;
                true
            }
            Kind::Mark => false,
            Kind::Tab | Kind::Control(_) | Kind::Unseen => {
                self.0 = MARKS_MAX;
                false
            }
        }
    }
}

/// Text that holds nothing a terminal would obey or hide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safe(Box<str>);

impl Safe {
    /// `text` with everything hostile made visible; at most [`DASH_TEXT_BYTES_MAX`] bytes of it.
    pub fn of(text: &str) -> Self {
        let mut out = String::with_capacity(text.len().min(DASH_TEXT_BYTES_MAX));
        append(&mut out, text);
        Self(out.into())
    }

    /// What `args` say; the way all of our own sentences with values in them are made.
    pub fn say(args: fmt::Arguments<'_>) -> Self {
        args.as_str().map_or_else(|| Self::of(&args.to_string()), Self::of)
    }

    /// Bytes that may be no UTF-8: what is none is shown as `\xNN`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut out = String::new();
        for chunk in bytes.utf8_chunks() {
            append(&mut out, chunk.valid());
            for byte in chunk.invalid() {
                // Writing to a string cannot fail.
                let _infallible = write!(out, "\\x{byte:02X}");
            }
        }
        Self(out.into())
    }

    /// Text that [`append`] and our own words made up.
    pub(crate) fn made(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, borrowed.
    pub fn as_safe(&self) -> SafeStr<'_> {
        SafeStr(&self.0)
    }

    /// A part of it, by bytes; empty where they cut a character.
    pub(crate) fn part(&self, from: usize, to: usize) -> SafeStr<'_> {
        SafeStr(self.0.get(from..to).unwrap_or_default())
    }

    /// Cells that it takes on the screen.
    pub fn width(&self) -> usize {
        width(&self.0)
    }
}

/// A borrowed [`Safe`], or a text of our own that stands in the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SafeStr<'a>(&'a str);

impl<'a> SafeStr<'a> {
    /// The text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Its own copy.
    pub fn to_safe(self) -> Safe {
        Safe(self.0.into())
    }
}

impl From<&'static str> for SafeStr<'static> {
    fn from(text: &'static str) -> Self {
        Self(text)
    }
}

impl<'a> From<&'a Safe> for SafeStr<'a> {
    fn from(text: &'a Safe) -> Self {
        text.as_safe()
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for SafeStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// Cells that `text` takes on the screen, counted as they will be drawn.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    graphemes(text).map(|symbol| usize::from(symbol.cell_width())).sum()
}

/// The characters of `text` as a reader counts them.
pub fn graphemes(text: &str) -> impl Iterator<Item = &str> {
    // The span's iterator borrows from the text, not from the span; the offsets carry that over.
    let mut from = 0;
    let lengths: Vec<usize> =
        Span::raw(text).styled_graphemes(Style::default()).map(|grapheme| grapheme.symbol.len()).collect();
    lengths.into_iter().filter_map(move |length| {
        let symbol = text.get(from..from + length);
        from += length;
        symbol
    })
}

/// Appends `text` to `out`, hostile parts made visible; true if there were any, or if it was cut.
pub(crate) fn append(out: &mut String, text: &str) -> bool {
    let head = text.get(..text.floor_char_boundary(DASH_TEXT_BYTES_MAX)).unwrap_or_default();
    let mut changed = false;
    if head.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        out.push_str(head);
    } else {
        let mut marks = Marks::new();
        for c in head.chars() {
            changed |= show(out, c, &mut marks);
        }
    }
    if head.len() < text.len() {
        let _infallible = write!(out, " +{} bytes", text.len() - head.len());
        changed = true;
    }
    changed
}

/// Appends one character; true if it had to be spelled out (a tab does not count).
fn show(out: &mut String, c: char, marks: &mut Marks) -> bool {
    let kind = kind(c);
    if marks.takes(&kind) {
        out.push(c);
        return false;
    }
    match kind {
        Kind::Tab => {
            out.push_str("    ");
            return false;
        }
        Kind::Control(picture) => out.push(picture),
        _ => {
            let _infallible = write!(out, "<U+{:04X}>", u32::from(c));
        }
    }
    true
}

/// JSON text with everything hostile in its strings as `\u` escapes: the same value for a program,
/// harmless for a terminal.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut marks = Marks::new();
    for c in json.chars() {
        if marks.takes(&kind(c)) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _infallible = write!(out, "\\u{unit:04x}");
        }
    }
    out
}
