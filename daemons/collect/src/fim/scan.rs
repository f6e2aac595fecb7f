//! Looking at files and folders without being led astray.
//!
//! Only regular files are opened, without following symbolic links anywhere in the path, without
//! blocking on a FIFO, and never on the kernel's own file systems. Contents longer than
//! [`FIM_HASH_BYTES_MAX`] (sparse ones included) are not hashed. What changes while it is read is
//! read again, at most three times; the notice of that change comes anyway.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nms_kit::digest::Running;
use nms_proto::limits::{FIM_DEPTH_MAX, FIM_HASH_BYTES_MAX, FIM_WATCHES_MAX};
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstatfs, openat, openat2, statat},
    io::Errno,
};

use super::baseline::{Entry, Sha256};

const READ_BYTES: usize = 128 << 10;
const ATTEMPTS: usize = 3;

/// File systems of the kernel's own making (statfs(2)): proc, sysfs, devpts, both cgroups, debugfs, tracefs,
/// securityfs, bpf, efivarfs, configfs, autofs.
const PSEUDO: [i64; 12] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0xde5e_81e4,
    0x6265_6570,
    0x0187,
];

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// Nothing is there.
    Gone,
    /// A regular file; its content is not looked at yet.
    File(Box<Entry>),
    /// A folder.
    Folder,
    /// A link, device, socket or FIFO.
    Other,
}

/// What `path` is, going by its name alone; links are not followed.
pub fn look(path: &Path) -> io::Result<Thing> {
    let stat = match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Thing::Gone),
        Err(error) => return Err(error.into()),
    };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Thing::File(Box::new(entry(&stat))),
        FileType::Directory => Thing::Folder,
        _ => Thing::Other,
    })
}

fn entry(stat: &Stat) -> Entry {
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    Entry {
        sha256: None,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        size: stat.st_size.unsigned_abs(),
        dev: stat.st_dev,
        inode: stat.st_ino,
        mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec as i64),
        hashed_s: 0,
    }
}

/// The SHA-256 of the regular file at `path`; none where it is longer than [`FIM_HASH_BYTES_MAX`].
///
/// # Errors
/// It cannot be read, or is no regular file any more.
pub fn hash(path: &Path) -> io::Result<Option<Sha256>> {
    let mut digest = None;
    for _ in 0..ATTEMPTS {
        let mut file = open(path, OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file any more"));
        }
        if before.len() > FIM_HASH_BYTES_MAX {
            return Ok(None);
        }
        digest = hash_bytes(&mut file)?;
        let after = file.metadata()?;
        if (before.len(), before.ctime(), before.ctime_nsec()) == (after.len(), after.ctime(), after.ctime_nsec()) {
            break;
        }
    }
    Ok(digest)
}

fn hash_bytes(file: &mut File) -> io::Result<Option<Sha256>> {
    let mut digest = Running::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut left = FIM_HASH_BYTES_MAX;
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(digest.finish())),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(buffer.get(..length).unwrap_or_default());
        // A file that grows faster than it is read must end somewhere.
        let Some(rest) = left.checked_sub(length as u64) else { return Ok(None) };
        left = rest;
    }
}

/// Opens `path` to read, no symbolic link in any of its components.
fn open(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | more;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS) {
        // A kernel before 5.6, or a filter that does not know the call: the last component at least.
        Err(Errno::NOSYS | Errno::PERM) => Ok(File::from(openat(CWD, path, flags, Mode::empty())?)),
        opened => Ok(File::from(opened?)),
    }
}

/// Whether `path` lies on a file system that the kernel makes up.
pub fn is_pseudo(path: &Path) -> bool {
    open(path, OFlags::NONBLOCK).is_ok_and(|folder| is_pseudo_file(&folder))
}

fn is_pseudo_file(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| PSEUDO.contains(&(system.f_type & 0xffff_ffff)))
}

/// One thing that a walk came by.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A folder is entered.
    Folder(PathBuf),
    /// A regular file, by its folder's word.
    File(PathBuf),
    /// A folder could not be read.
    Unreadable(PathBuf),
    /// A folder lies too deep, or too many wait already.
    TooDeep,
}

/// A walk over folders and what is below, one step at a time; it holds one folder open.
#[derive(Debug, Default)]
pub struct Walk {
    waiting: Vec<(PathBuf, usize)>,
    open: Option<(PathBuf, usize, Dir)>,
}

impl Walk {
    /// A walk over `roots`, in their order; a root may be a file.
    pub fn over(roots: impl DoubleEndedIterator<Item = PathBuf>) -> Self {
        Self { waiting: roots.rev().map(|root| (root, 0)).collect(), open: None }
    }

    /// The next step, `skip` left out with all below; none at the end.
    pub fn next(&mut self, skip: impl Fn(&Path) -> bool) -> Option<Step> {
        loop {
            if let Some((folder, depth, entries)) = &mut self.open {
                let Some(found) = entries.next() else {
                    self.open = None;
                    continue;
                };
                let Ok(found) = found else { continue };
                let name = found.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let path = folder.join(OsStr::from_bytes(name));
                if skip(&path) {
                    continue;
                }
                match kind(&path, found.file_type()) {
                    FileType::RegularFile => return Some(Step::File(path)),
                    FileType::Directory if *depth >= FIM_DEPTH_MAX || self.waiting.len() >= FIM_WATCHES_MAX => {
                        return Some(Step::TooDeep);
                    }
                    FileType::Directory => self.waiting.push((path, *depth + 1)),
                    _ => {}
                }
                continue;
            }
            let (path, depth) = self.waiting.pop()?;
            if !skip(&path) {
                return Some(self.enter(path, depth));
            }
        }
    }

    fn enter(&mut self, path: PathBuf, depth: usize) -> Step {
        if depth == 0 && matches!(look(&path), Ok(Thing::File(_))) {
            return Step::File(path);
        }
        let opened = open(&path, OFlags::DIRECTORY);
        match opened {
            Ok(folder) if is_pseudo_file(&folder) => Step::Unreadable(path),
            Ok(folder) => match Dir::read_from(&folder) {
                Ok(entries) => {
                    self.open = Some((path.clone(), depth, entries));
                    Step::Folder(path)
                }
                Err(_) => Step::Unreadable(path),
            },
            Err(_) => Step::Unreadable(path),
        }
    }
}

/// The kind of an entry; looked up where the file system does not say.
fn kind(path: &Path, said: FileType) -> FileType {
    if said != FileType::Unknown {
        return said;
    }
    match look(path) {
        Ok(Thing::File(_)) => FileType::RegularFile,
        Ok(Thing::Folder) => FileType::Directory,
        _ => FileType::Unknown,
    }
}
