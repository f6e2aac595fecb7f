//! Files of a backup: made for their owner alone, hashed, durable before anybody relies on them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use nms_kit::digest::{Digest, Running};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}; check that there is room, and that this user may", path.display())
}

/// A folder for its owner alone, and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("make", path, &error))
}

/// A folder that is new, or there and empty.
pub(super) fn make_empty(path: &Path) -> Result<(), String> {
    make_folder(path)?;
    match entries(path)?.first() {
        None => Ok(()),
        Some(found) => Err(format!("{} is not empty, it holds {found}: name a new folder", path.display())),
    }
}

/// What lies in a folder, by name.
pub(super) fn entries(path: &Path) -> Result<Vec<String>, String> {
    let names = fs::read_dir(path).and_then(|listed| {
        listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(|error| failed("list", path, &error))?;
    names.sort_unstable();
    Ok(names)
}

/// Length and SHA-256 of a file.
pub(super) fn digest_of(path: &Path) -> Result<(u64, Digest), String> {
    let unread = |error| failed("read", path, &error);
    pieces(&mut File::open(path).map_err(unread)?, |_| Ok(())).map_err(unread)
}

/// Copies a file to a new one, durably, for its owner alone; gives length and SHA-256. It fails, and leaves no copy,
/// where they are not those that were `expected`.
pub(super) fn copy(from: &Path, to: &Path, expected: Option<(u64, &str)>) -> Result<(), String> {
    let mut source = File::open(from).map_err(|error| failed("read", from, &error))?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut target = target.map_err(|error| failed("make", to, &error))?;
    let copied = pieces(&mut source, |piece| target.write_all(piece));
    let (bytes, sha256) = copied.map_err(|error| failed("copy to", to, &error))?;
    target.sync_all().map_err(|error| failed("write", to, &error))?;
    match expected {
        Some(expected) if expected != (bytes, &nms_kit::digest::hex(&sha256)) => {
            fs::remove_file(to).unwrap_or_default();
            Err(format!("{} is not what was backed up: its hash is another one", from.display()))
        }
        _ => Ok(()),
    }
}

fn pieces(file: &mut File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(u64, Digest)> {
    let (mut piece, mut bytes, mut hash) = (vec![0; PIECE_BYTES], 0, Running::default());
    loop {
        let read = file.read(&mut piece)?;
        let piece = piece.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok((bytes, hash.finish()));
        }
        bytes += piece.len() as u64;
        hash.update(piece);
        take(piece)?;
    }
}

/// Writes a file that is there whole or not at all.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> Result<(), String> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(|error| failed("write", path, &error))?;
    path.parent().map_or(Ok(()), sync)
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), String> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| failed("write", folder, &error))
}

/// Moves a file or folder to its place, durably.
pub(super) fn put(from: &Path, to: &Path) -> Result<(), String> {
    fs::rename(from, to).map_err(|error| failed("put in place", to, &error))?;
    to.parent().map_or(Ok(()), sync)
}
