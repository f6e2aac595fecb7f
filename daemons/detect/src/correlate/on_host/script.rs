//! Taking a shell's text apart: its single commands, how they are joined, and the program of each behind what only runs it.
//!
//! Quotes are respected, so that what stands inside a pair of them is one word of one command and runs nothing. Only the
//! first 2 KiB are looked at, and nothing is copied.

use crate::text::{cut, is_number};

/// Bytes of a text that are looked at.
pub(super) const SCRIPT_BYTES: usize = 2_048;

/// How a command is joined to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// It only comes after it.
    Next,
    /// It reads what that one writes.
    Pipe,
    /// That one has its output as a word or as a file.
    Inside,
}

/// One command of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command<'a> {
    pub(super) text: &'a str,
    pub(super) join: Join,
}

/// The program that a command runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// As it was called.
    pub(super) path: &'a str,
    /// Without its folder.
    pub(super) name: &'a str,
    /// What stands behind it.
    pub(super) rest: &'a str,
}

/// The commands of a text.
pub(super) fn commands(script: &str) -> impl Iterator<Item = Command<'_>> {
    let mut rest = cut(script, SCRIPT_BYTES);
    let (mut join, mut quote, mut outer) = (Join::Next, None, None);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (text, next, behind) = first(rest, &mut quote, &mut outer);
        let command = Command { text: text.trim_ascii(), join };
        (rest, join) = (behind, next);
        Some(command)
    })
}

/// The text up to what ends a command, how the next is joined, and what follows.
fn first<'a>(text: &'a str, quote: &mut Option<u8>, outer: &mut Option<u8>) -> (&'a str, Join, &'a str) {
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(b' ');
    let before = |place: usize| place.checked_sub(1).map_or(b' ', at);
    let split =
        |end: usize, length: usize| (text.get(..end).unwrap_or_default(), text.get(end + length..).unwrap_or_default());
    let mut escaped = false;
    for (place, &byte) in bytes.iter().enumerate() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        let plain = quote.is_none();
        let substitutes = plain || *quote == Some(b'"');
        let (length, join) = match byte {
            b'\\' if *quote != Some(b'\'') => {
                escaped = true;
                continue;
            }
            b'(' if plain || (substitutes && before(place) == b'$') => {
                *outer = quote.take();
                (1, if matches!(before(place), b'$' | b'<') { Join::Inside } else { Join::Next })
            }
            b')' if plain => {
                *quote = outer.take();
                (1, Join::Next)
            }
            b'`' if substitutes => (1, Join::Inside),
            b'\'' | b'"' => {
                match *quote {
                    None => *quote = Some(byte),
                    Some(open) if open == byte => *quote = None,
                    Some(_) => {}
                }
                continue;
            }
            _ if !plain => continue,
            b'|' if at(place + 1) == b'|' => (2, Join::Next),
            b'|' => (if at(place + 1) == b'&' { 2 } else { 1 }, Join::Pipe),
            b'&' if matches!(before(place), b'>' | b'<') || at(place + 1) == b'>' => continue,
            b'&' if at(place + 1) == b'&' => (2, Join::Next),
            b';' | b'\n' | b'&' => (1, Join::Next),
            _ => continue,
        };
        let (head, tail) = split(place, length);
        return (head, join, tail);
    }
    (text, Join::Next, "")
}

/// The words of a command, quotes around a whole word taken off.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_ascii_start();
        let mut quote = None;
        let end = text.bytes().position(|byte| match (quote, byte) {
            (None, b' ' | b'\t') => true,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                false
            }
            (Some(open), _) if open == byte => {
                quote = None;
                false
            }
            _ => false,
        });
        let (word, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        self.rest = rest;
        let bare = |quote: char| word.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        (!word.is_empty()).then(|| bare('"').or_else(|| bare('\'')).unwrap_or(word))
    }
}

/// The words of `text`.
pub(super) fn words(text: &str) -> Words<'_> {
    Words { rest: text }
}

/// A program's name without its folder.
pub(super) fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_folder, base)| base)
}

/// What only runs another program, and the options of each that take a word.
const RUNNERS: [(&str, &[&str]); 26] = [
    ("sudo", &["-u", "-g", "-h", "-p", "-C", "-U"]),
    ("doas", &["-u", "-C"]),
    ("env", &["-u", "-C"]),
    ("nohup", &[]),
    ("setsid", &[]),
    ("exec", &["-a"]),
    ("command", &[]),
    ("time", &[]),
    ("timeout", &["-s", "-k"]),
    ("nice", &["-n"]),
    ("ionice", &["-c", "-n", "-p"]),
    ("chrt", &[]),
    ("stdbuf", &[]),
    ("xargs", &["-n", "-P", "-I", "-L", "-d"]),
    ("busybox", &[]),
    ("toybox", &[]),
    ("chronic", &[]),
    ("if", &[]),
    ("then", &[]),
    ("else", &[]),
    ("do", &[]),
    ("while", &[]),
    ("until", &[]),
    ("!", &[]),
    ("{", &[]),
    ("unshare", &[]),
];

/// The program of a command.
pub(super) fn call(text: &str) -> Option<Call<'_>> {
    let mut words = words(text);
    let mut options: Option<&[&str]> = None;
    while let Some(word) = words.next() {
        let name = base(word);
        if let Some(taking) = options {
            if taking.contains(&word) {
                words.next();
                continue;
            }
            let counts = is_number(word.trim_end_matches(['s', 'm', 'h']));
            if word.starts_with('-') || counts {
                continue;
            }
        }
        let assigns = word.split_once('=').is_some_and(|(name, _value)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if assigns {
            continue;
        }
        if name == "flock" {
            // The file to lock stands before the command.
            let lock = words.by_ref().find(|word| !word.starts_with('-') && !is_number(word));
            lock?;
            options = Some(&["-w", "-E"]);
        } else if let Some((_name, taking)) = RUNNERS.iter().find(|(runner, _taking)| *runner == name) {
            options = Some(taking);
        } else {
            return Some(Call { path: word, name, rest: words.rest.trim_ascii_start() });
        }
    }
    None
}
