//! Paths with `*` in them: which files are meant, and where new ones would appear.
//!
//! A pattern is an absolute path whose components may hold `*`, which stands for any run of
//! characters of that one component, but for a leading dot, as in a shell. A pattern without a slash
//! is held against the file name alone. There is no `?`, no `[...]` and no `**`: a folder in an
//! include or exclude list means all that is below it.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt, fs,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

/// Folders and files that one pattern may stand for.
const FOUND_MAX: usize = 4_096;

/// A path with `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(PathBuf);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It is neither an absolute path nor a bare name.
    Relative,
    /// It holds `..` or `.`.
    Dots,
    /// It is empty.
    Empty,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relative => "an absolute path was expected",
            Self::Dots => "a path without . and .. was expected",
            Self::Empty => "a path was expected, not nothing",
        })
    }
}

impl std::error::Error for PatternError {}

/// What a pattern stands for at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is there, in order.
    pub paths: BTreeSet<PathBuf>,
    /// Folders in which more of it would appear.
    pub ledges: BTreeSet<PathBuf>,
}

impl Pattern {
    /// Reads an absolute pattern.
    pub fn absolute(text: &str) -> Result<Self, PatternError> {
        let path = PathBuf::from(text);
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if !path.is_absolute() {
            return Err(PatternError::Relative);
        }
        // `components` drops a `.` silently wherever it stands but first.
        if text.split('/').any(|part| part == "." || part == "..") {
            return Err(PatternError::Dots);
        }
        Ok(Self(path.components().collect()))
    }

    /// Reads an absolute pattern, or a bare one for file names.
    pub fn any(text: &str) -> Result<Self, PatternError> {
        if !text.is_empty() && !text.contains('/') && text != "." && text != ".." {
            return Ok(Self(text.into()));
        }
        Self::absolute(text)
    }

    /// The pattern as it was written.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether `path` is meant, or lies below what is meant.
    pub fn covers(&self, path: &Path) -> bool {
        if !self.0.is_absolute() {
            return path.file_name().is_some_and(|name| fits(self.0.as_os_str(), name));
        }
        let mut parts = path.components();
        self.0.components().all(|part| parts.next().is_some_and(|found| fits(part.as_os_str(), found.as_os_str())))
    }

    /// Whether `path` itself is meant.
    pub fn matches(&self, path: &Path) -> bool {
        self.covers(path) && self.0.components().count() == path.components().count()
    }

    /// What it stands for now. Symbolic links are kept as they are named.
    pub fn find(&self) -> Found {
        let mut found = Found { paths: BTreeSet::from([PathBuf::from("/")]), ledges: BTreeSet::new() };
        for part in self.0.components().filter(|part| matches!(part, Component::Normal(_))) {
            let folders = std::mem::take(&mut found.paths);
            for folder in folders {
                step(&folder, part.as_os_str(), &mut found);
            }
        }
        found
    }
}

/// Goes one component on, from `folder`.
fn step(folder: &Path, part: &OsStr, found: &mut Found) {
    if !part.as_bytes().contains(&b'*') {
        let path = folder.join(part);
        if path.symlink_metadata().is_ok() {
            found.paths.insert(path);
        } else {
            found.ledges.insert(folder.into());
        }
        return;
    }
    found.ledges.insert(folder.into());
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if found.paths.len() < FOUND_MAX && fits(part, &entry.file_name()) {
            found.paths.insert(entry.path());
        }
    }
}

/// Whether one component fits one of a pattern.
fn fits(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let is_hidden = name.first() == Some(&b'.') && pattern.first() == Some(&b'*');
    !is_hidden && wild(pattern, name)
}

/// Whether `text` fits `pattern`, where `*` is any run of bytes; linear but for the last star's retries.
fn wild(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            ([want, pattern_rest @ ..], [have, text_rest @ ..]) if want == have => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            ([], []) => return true,
            _ => {
                let Some((after_star, [_, later @ ..])) = retry else { return false };
                retry = Some((after_star, later));
                (pattern, text) = (after_star, later);
            }
        }
    }
}

/// The patterns of `texts`; the text that is none, with the reason.
pub fn all(
    texts: &[String],
    read: impl Fn(&str) -> Result<Pattern, PatternError>,
) -> Result<Vec<Pattern>, (String, PatternError)> {
    texts.iter().map(|text| read(text).map_err(|error| (text.clone(), error))).collect()
}
