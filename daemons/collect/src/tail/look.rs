//! What a directory shows of a tailed file: the facts that `checkpoint::decide` decides over.
//!
//! Only regular files are read, opened so that a FIFO put in a log's place cannot block. Symbolic
//! links are followed: whoever names a log that is one means what it points to.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use crate::checkpoint::{self, FileId, Fit, HEAD_BYTES_MAX, Mark, Print, Seen, Sibling, TAIL_BYTES_MAX};

/// Rotations of one file that are looked at, the newest first.
const SIBLINGS_MAX: usize = 64;

/// Opens a regular file to read.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Which file this is.
pub(super) fn id(meta: &Metadata) -> FileId {
    FileId { dev: meta.dev(), inode: meta.ino() }
}

/// The file as it is now, held against `mark`.
pub(super) fn seen(file: &File, mark: &Mark) -> io::Result<Seen> {
    let meta = file.metadata()?;
    let fit = if !fits(file, 0, mark.head)? {
        Fit::Other
    } else if meta.len() >= mark.offset && fits(file, mark.offset.saturating_sub(mark.tail.bytes), mark.tail)? {
        Fit::Ours
    } else {
        Fit::Head
    };
    let modified_ms = meta.mtime() * 1_000 + meta.mtime_nsec() / 1_000_000;
    Ok(Seen { file: id(&meta), size: meta.len(), modified_ms, fit })
}

/// The prints of the file's beginning and of the bytes just before `offset`.
pub(super) fn prints(file: &File, offset: u64) -> io::Result<(Print, Print)> {
    let head = bytes_at(file, 0, offset.min(HEAD_BYTES_MAX))?;
    let length = offset.min(TAIL_BYTES_MAX);
    let tail = bytes_at(file, offset - length, length)?;
    Ok((Print::of(&head), Print::of(&tail)))
}

fn fits(file: &File, at: u64, print: Print) -> io::Result<bool> {
    if print.bytes > HEAD_BYTES_MAX {
        return Ok(false);
    }
    Ok(print.bytes == 0 || Print::of(&bytes_at(file, at, print.bytes)?) == print)
}

/// Up to `length` bytes from `at`; fewer where the file ends.
pub(super) fn bytes_at(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The rotations beside `path`, held against `mark`.
pub(super) fn siblings(path: &Path, mark: &Mark) -> Vec<Sibling> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(i64, String, bool)> = entries
        .flatten()
        .filter_map(|entry| {
            let sibling = entry.file_name().into_string().ok()?;
            let packed = checkpoint::rotation(name, &sibling)?;
            Some((entry.metadata().ok()?.mtime(), sibling, packed))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(SIBLINGS_MAX);
    let look = |(_, name, packed): (i64, String, bool)| {
        let file = open(&folder.join(&name)).ok()?;
        Some(Sibling { seen: seen(&file, mark).ok()?, name, packed })
    };
    found.into_iter().filter_map(look).collect()
}
