//! The members of a JSON text, one after the other, borrowed and in one pass.
//!
//! A member is given with the name of the object or list that holds it, so that `alert.action` and
//! `http.action` are told apart; what an outsider wrote into a string stays in that string. Values are
//! as written: escapes stay escapes. A text that ends early ends the members.

/// How deep names of objects are kept; members of deeper ones have no parent's name.
const DEPTH_MAX: usize = 8;

/// One value that is neither object nor list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// The name of the object or list that holds it; empty at the top.
    pub(crate) parent: &'a str,
    /// Its name; that of the list where it is an item.
    pub(crate) name: &'a str,
    /// Its text, without quotes.
    pub(crate) value: &'a str,
}

/// Reads members.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    rest: &'a str,
    parents: [&'a str; DEPTH_MAX],
    depth: usize,
    name: &'a str,
}

/// The members of `text`, from its first brace on.
pub(crate) fn members(text: &str) -> Members<'_> {
    let rest = text.find('{').and_then(|at| text.get(at..)).unwrap_or_default();
    Members { rest, parents: [""; DEPTH_MAX], depth: 0, name: "" }
}

impl<'a> Members<'a> {
    fn open(&mut self) {
        if let Some(place) = self.parents.get_mut(self.depth) {
            *place = self.name;
        }
        self.depth += 1;
    }

    /// Goes on behind `bytes` bytes.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The string that begins behind a quote, and whether a colon follows it.
    fn string(&mut self) -> (&'a str, bool) {
        let inner = self.rest.get(1..).unwrap_or_default();
        let (value, rest) = inner.split_at_checked(crate::text::quote_end(inner)).unwrap_or((inner, ""));
        self.rest = rest.get(1..).unwrap_or_default();
        let behind = self.rest.trim_ascii_start();
        let names = behind.starts_with(':');
        if names {
            self.rest = behind.get(1..).unwrap_or_default();
        }
        (value, names)
    }

    fn member(&self, value: &'a str) -> Member<'a> {
        let parent = self.depth.checked_sub(1).and_then(|depth| self.parents.get(depth)).copied();
        Member { parent: parent.unwrap_or_default(), name: self.name, value }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            match self.rest.as_bytes().first()? {
                b'{' | b'[' => {
                    self.open();
                    self.skip(1);
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).filter(|depth| *depth > 0)?;
                    self.skip(1);
                }
                b'"' => match self.string() {
                    (name, true) => self.name = name,
                    (value, false) => return Some(self.member(value)),
                },
                byte if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
                    let length = self.rest.bytes().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
                    let value = self.rest.get(..length)?;
                    self.skip(length);
                    return Some(self.member(value));
                }
                _ => {
                    let length = self.rest.chars().next().map_or(1, char::len_utf8);
                    self.skip(length);
                }
            }
        }
    }
}
