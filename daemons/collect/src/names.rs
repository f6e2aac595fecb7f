//! Users and groups by number, as passwd(5) and group(5) name them. Users that a directory service alone knows stay numbers.

use std::{collections::HashMap, fs, path::Path, time::SystemTime};

use crate::procfs;

/// Who the users are.
pub const PASSWD: &str = "/etc/passwd";

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The names by number in a passwd or group file (passwd(5), group(5)).
pub fn names(text: &str) -> HashMap<u32, Box<str>> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.into()))
    };
    text.lines().filter_map(entry).collect()
}

/// Names of a file, read again when it changed.
#[derive(Debug, Default)]
pub struct Names {
    read: Option<SystemTime>,
    names: HashMap<u32, Box<str>>,
}

impl Names {
    /// Reads `path` where it changed since the last time.
    pub fn refresh(&mut self, path: &Path) {
        let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok();
        if modified.is_some() && modified != self.read {
            let bytes = procfs::read(path, FILE_BYTES_MAX).unwrap_or_default();
            self.names = names(&String::from_utf8(bytes).unwrap_or_default());
            self.read = modified;
        }
    }

    /// The name of `number`, or the number.
    pub fn name(&self, number: u32) -> Box<str> {
        self.names.get(&number).cloned().unwrap_or_else(|| number.to_string().into())
    }
}
