//! Reading /proc, or a folder that looks like it: small files with a bound, and what `parse` makes of them.
//!
//! A process may end between any two reads. What is not there any more is nothing, and no error; what may not be read is
//! nothing too. Only where the list of processes or the table of sockets cannot be read at all is that told.

pub mod parse;

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use parse::{CMDLINE_BYTES_MAX, Socket, Stat};

/// Where the kernel shows itself.
pub const PATH: &str = "/proc";

/// Longest `stat` or `status` that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 16 << 10;
/// Longest table of sockets that is read, in bytes: some 400,000 sockets.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// At most `bytes_max` bytes of a file.
///
/// # Errors
/// It cannot be opened or read.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// /proc, or a test's.
#[derive(Clone, Copy, Debug)]
pub struct Procfs<'a> {
    root: &'a Path,
}

impl<'a> Procfs<'a> {
    /// What stands below `root`.
    pub fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// The processes' numbers, rising; at most `max`, and how many more there are.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn pids(&self, max: usize) -> io::Result<(Vec<u32>, u64)> {
        let (mut pids, mut over) = (Vec::new(), 0);
        for entry in fs::read_dir(self.root)? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if pids.len() < max {
                pids.push(pid);
            } else {
                over += 1;
            }
        }
        pids.sort_unstable();
        Ok((pids, over))
    }

    fn of(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    fn text(&self, pid: u32, name: &str) -> Option<String> {
        let bytes = read(&self.of(pid, name), TEXT_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What the kernel says of a process.
    pub fn stat(&self, pid: u32) -> Option<Stat> {
        parse::stat(&self.text(pid, "stat")?)
    }

    /// The user that it acts as.
    pub fn user(&self, pid: u32) -> Option<u32> {
        parse::user(&self.text(pid, "status")?)
    }

    /// Its command line, and whether that was cut.
    pub fn cmdline(&self, pid: u32) -> (Box<str>, bool) {
        parse::cmdline(&read(&self.of(pid, "cmdline"), CMDLINE_BYTES_MAX as u64 + 2).unwrap_or_default())
    }

    /// The path of its executable, where that may be read.
    pub fn exe(&self, pid: u32) -> Option<Box<str>> {
        let path = fs::read_link(self.of(pid, "exe")).ok()?;
        Some(path.to_string_lossy().into())
    }

    /// The path of its executable, or else the short name that the kernel keeps, which has no `/`.
    pub fn program(&self, pid: u32) -> Option<Box<str>> {
        self.exe(pid).or_else(|| self.stat(pid).map(|stat| stat.name))
    }

    /// The inodes of the sockets among at most `max` open files of a process, and how many files were looked at.
    pub fn open_sockets(&self, pid: u32, max: usize) -> (Vec<u64>, usize) {
        let (mut inodes, mut looked_at) = (Vec::new(), 0);
        for file in fs::read_dir(self.of(pid, "fd")).into_iter().flatten().flatten().take(max) {
            looked_at += 1;
            let link = fs::read_link(file.path()).unwrap_or_default();
            inodes.extend(link.to_str().and_then(parse::socket_link));
        }
        (inodes, looked_at)
    }

    /// Every TCP socket of the host, one at a time, so that a long table takes no room.
    ///
    /// # Errors
    /// The table cannot be read. A host without IPv6 has one table.
    pub fn sockets(&self, mut take: impl FnMut(Socket)) -> io::Result<()> {
        self.table("net/tcp", &mut take)?;
        match self.table("net/tcp6", &mut take) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn table(&self, name: &str, take: &mut impl FnMut(Socket)) -> io::Result<()> {
        let table = fs::File::open(self.root.join(name))?.take(TABLE_BYTES_MAX);
        for line in BufReader::new(table).split(b'\n') {
            if let Some(socket) = std::str::from_utf8(&line?).ok().and_then(parse::socket) {
                take(socket);
            }
        }
        Ok(())
    }
}
