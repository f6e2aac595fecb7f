//! Where reading of a file goes on: pure decision over what the directory shows.
//!
//! A [`Mark`] says how far a file was read and how to know that file again: device and inode, a hash
//! of its first bytes, and a hash of the bytes just before the place. From that and a [`Sight`] of
//! the directory [`decide`] tells one step at a time, so that a crash between two steps finds its way
//! back from the mark alone:
//!
//! ```text
//! auth.log as it was                       read on
//! auth.log is another file                 read the renamed one (auth.log.1) to its end, then every
//!                                          rotation that came between, oldest first, then auth.log
//! auth.log was cut (copytruncate)          read what the copy holds beyond the place, then as above
//! nothing holds our place                  count what is known to be gone, and that it is gone
//! ```
//! A file that was emptied, and is written and emptied again before anybody looks, shows nothing of it.
//! Inode numbers are reused at once by common file systems; so content has the last word: a file is
//! ours only if the bytes fit. It refuses to guess amounts: what cannot be known is counted as once.

use nms_kit::digest;
use serde::{Deserialize, Serialize};

use crate::line::Before;

/// Bytes of the beginning of a file that are hashed, at most.
pub const HEAD_BYTES_MAX: u64 = 1024;
/// Bytes just before the place that are hashed, at most.
pub const TAIL_BYTES_MAX: u64 = 256;

/// How long a line is taken to be before one was read.
const LINE_BYTES_GUESSED: u64 = 100;

/// A file as the kernel names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
}

/// A hash of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// How many bytes.
    pub bytes: u64,
    /// The first 64 bits of their SHA-256.
    pub hash: u64,
}

impl Print {
    /// The print of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, hash: digest::short(bytes) }
    }
}

/// How far a file was read, and how to know it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which file.
    pub file: FileId,
    /// Bytes read: up to the end of a line, or into one that is being skipped.
    pub offset: u64,
    /// Its first bytes, at most [`HEAD_BYTES_MAX`] and none beyond the place.
    pub head: Print,
    /// The bytes just before the place, at most [`TAIL_BYTES_MAX`].
    pub tail: Print,
    /// Whether the rest of a line that is too long is still to be skipped.
    pub skipping: bool,
    /// The last stamp that was believed.
    pub before: Option<Before>,
    /// The longest that the file was seen, in bytes, read or not.
    pub size_seen: u64,
    /// When it was last read, in milliseconds since 1970 UTC.
    pub seen_ms: i64,
    /// How long its lines are, on a moving average in bytes; 0 before the first.
    pub line_bytes: u64,
}

impl Mark {
    /// The beginning of `file`; stamps may not go back behind `before`.
    pub fn start(file: FileId, before: Option<Before>) -> Self {
        Self { file, before, ..Self::default() }
    }

    /// Takes the length of one more line into the average.
    pub fn count_line(&mut self, bytes: u64) {
        let weighed = self.line_bytes.saturating_mul(7).saturating_add(bytes).div_ceil(8);
        self.line_bytes = if self.line_bytes == 0 { bytes.max(1) } else { weighed };
    }

    /// About how many lines `bytes` bytes of this file are; at least one, where there are any.
    pub fn lines_in(&self, bytes: u64) -> u64 {
        let line_bytes = if self.line_bytes == 0 { LINE_BYTES_GUESSED } else { self.line_bytes };
        bytes.div_ceil(line_bytes)
    }
}

/// How well the bytes of a file fit a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is the file, or a copy that goes as far: head and tail fit.
    Ours,
    /// It begins alike and does not hold the place: an earlier copy, or one written over.
    Head,
    /// It is another file.
    Other,
}

/// A file as it is seen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub file: FileId,
    /// Length in bytes.
    pub size: u64,
    /// Last modification, in milliseconds since 1970 UTC.
    pub modified_ms: i64,
    /// How its bytes fit the mark.
    pub fit: Fit,
}

/// A rotation beside the path, such as `auth.log.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Its file name.
    pub name: String,
    /// The file.
    pub seen: Seen,
    /// Whether it is compressed, so that it cannot be read.
    pub packed: bool,
}

/// What the directory shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The file at the path.
    pub path: Option<Seen>,
    /// The file that is held open since it was last read, wherever its name went.
    pub held: Option<Seen>,
    /// Rotations beside the path; not looked for while the path holds our file.
    pub siblings: Vec<Sibling>,
    /// Our file had no complete line beyond the place at this length.
    pub dry_at: Option<u64>,
}

/// A file of a [`Sight`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the path.
    Path,
    /// Held open.
    Held,
    /// Beside the path, under this name.
    Sibling(String),
}

impl Sight {
    /// The file at `place`.
    pub fn at(&self, place: &Place) -> Option<Seen> {
        match place {
            Place::Path => self.path,
            Place::Held => self.held,
            Place::Sibling(name) => self.siblings.iter().find(|found| found.name == *name).map(|found| found.seen),
        }
    }
}

/// What is gone without having been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Bytes that were seen to be there.
    pub bytes: u64,
    /// Times that a file went away and nobody knows what it held beyond what was seen.
    pub unseen: u64,
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read on from the mark, in the file at this place.
    Read(Place),
    /// Go to the beginning of the file at `to`.
    Switch {
        /// Where.
        to: Place,
        /// Whether the file read so far may still grow and is kept an eye on.
        keep: bool,
        /// What will never be read.
        gone: Gone,
    },
    /// Nothing to do until something changes.
    Wait,
}

/// The next step from `mark`, given what is there.
pub fn decide(mark: &Mark, sight: &Sight) -> Step {
    let Some((place, own)) = find(mark, sight) else {
        return replace(mark, sight);
    };
    if own.size > mark.offset && sight.dry_at != Some(own.size) {
        return Step::Read(place);
    }
    if place == Place::Path {
        return Step::Wait;
    }
    let Some((to, packed)) = next(sight, own.modified_ms, Some(own.file)) else {
        return Step::Wait;
    };
    Step::Switch { to, keep: true, gone: Gone { bytes: 0, unseen: packed } }
}

/// Where the file of `mark` is now: by identity first, then by content.
fn find(mark: &Mark, sight: &Sight) -> Option<(Place, Seen)> {
    let same = |seen: &Seen| seen.file == mark.file && seen.fit == Fit::Ours;
    // An empty place says nothing about content.
    let alike = |seen: &Seen| mark.offset > 0 && seen.fit == Fit::Ours;
    let path = |fits: &dyn Fn(&Seen) -> bool| sight.path.filter(fits).map(|seen| (Place::Path, seen));
    let sibling = |fits: &dyn Fn(&Seen) -> bool| {
        let found = sight.siblings.iter().find(|sibling| !sibling.packed && fits(&sibling.seen))?;
        Some((Place::Sibling(found.name.clone()), found.seen))
    };
    path(&same)
        .or_else(|| sight.held.filter(same).map(|seen| (Place::Held, seen)))
        .or_else(|| sibling(&same))
        .or_else(|| path(&alike))
        .or_else(|| sibling(&alike))
}

/// The step when nothing holds our place any more.
fn replace(mark: &Mark, sight: &Sight) -> Step {
    let Some((to, packed)) = next(sight, mark.seen_ms, None) else {
        return Step::Wait;
    };
    // Whether it was held open or not: what was written after the last look and cut before this one nobody saw.
    let bytes = mark.size_seen.saturating_sub(mark.offset);
    Step::Switch { to, keep: false, gone: Gone { bytes, unseen: packed.max(1) } }
}

/// What comes after a file last written at `after_ms`: the oldest rotation that was written later,
/// else the path; and how many rotations between cannot be read because they are packed.
fn next(sight: &Sight, after_ms: i64, own: Option<FileId>) -> Option<(Place, u64)> {
    let later = |sibling: &&Sibling| {
        let seen = sibling.seen;
        seen.modified_ms > after_ms && Some(seen.file) != own && seen.fit != Fit::Head && !is_at_path(sight, seen)
    };
    let oldest = sight.siblings.iter().filter(later).filter(|sibling| !sibling.packed);
    let oldest = oldest.min_by_key(|sibling| sibling.seen.modified_ms);
    let until_ms = oldest.map_or(i64::MAX, |sibling| sibling.seen.modified_ms);
    let packed = sight.siblings.iter().filter(later);
    let packed = packed.filter(|sibling| sibling.packed && sibling.seen.modified_ms <= until_ms).count() as u64;
    let place = match oldest {
        Some(sibling) => Place::Sibling(sibling.name.clone()),
        None => sight.path.filter(|path| Some(path.file) != own).map(|_| Place::Path)?,
    };
    Some((place, packed))
}

fn is_at_path(sight: &Sight, seen: Seen) -> bool {
    sight.path.is_some_and(|path| path.file == seen.file)
}

/// Whether `name` beside `of` is a rotation of it: `auth.log.1`, `auth.log-20260105`, with `.gz` or
/// its like behind; and whether it is packed.
pub fn rotation(of: &str, name: &str) -> Option<bool> {
    let rest = name.strip_prefix(of)?.strip_prefix(['.', '-'])?;
    let (digits, packed) = unpacked(rest);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b"-._T".contains(&byte));
    is_number.then_some(packed)
}

/// Whether `name` looks like some file's rotation: no pattern takes it for a log of its own.
pub fn is_rotated(name: &str) -> bool {
    let (rest, packed) = unpacked(name);
    let last = rest.rsplit(['.', '-']).next().unwrap_or_default();
    packed || (last.len() < rest.len() && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn unpacked(name: &str) -> (&str, bool) {
    let packings = [".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z"];
    packings.iter().find_map(|packing| name.strip_suffix(packing)).map_or((name, false), |rest| (rest, true))
}

/// Everything that is kept of a path: its checkpoint, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where reading goes on.
    pub mark: Mark,
    /// The file before it, which a slow writer may still write to.
    pub rotated: Option<Mark>,
}

impl Kept {
    /// The stored form.
    pub fn encode(&self) -> Box<[u8]> {
        // Numbers and booleans in structs: there is nothing in them that cannot be written.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads the stored form; none where it is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
