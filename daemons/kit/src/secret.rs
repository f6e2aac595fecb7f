//! Files of keys and certificates: written whole or not at all, and refused where others may read a key.

use std::{
    env, fmt, fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Folder in which systemd hands over credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A file whose permissions say too much, and the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Private {
    path: PathBuf,
    what: &'static str,
    mend: &'static str,
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what, mend } = self;
        write!(f, "{} {what}: {mend} {}", path.display(), path.display())
    }
}

/// What is wrong with a private key that its group or others may read or write.
///
/// # Errors
/// It cannot be looked at.
pub fn exposed(path: &Path) -> io::Result<Option<Private>> {
    let mode = fs::metadata(path)?.permissions().mode();
    // What systemd hands over is readable by its group where the service runs as a user; it guards the folder.
    let is_credential = env::var_os(CREDENTIALS).is_some_and(|folder| path.starts_with(folder));
    let too_much = if is_credential { 0o037 } else { 0o077 };
    let is_private = mode & too_much == 0;
    let path = path.to_path_buf();
    Ok((!is_private).then_some(Private { path, what: "is a private key that others may use", mend: "chmod 600" }))
}

/// What is wrong with a settings file that others than its owner may write; a link is looked at where it leads.
pub fn writable_by_others(path: &Path) -> Option<Private> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o022 != 0).then(|| Private { path: path.into(), what: "may be written by others", mend: "chmod go-w" })
}

/// The file of that name among the credentials that systemd hands over, where there is one.
pub fn credential(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(CREDENTIALS)?).join(name);
    path.is_file().then_some(path)
}

/// Writes a private key: mode 0600, whole or not at all, in place of what was there.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, 0o600)
}

/// Writes a certificate: mode 0644, whole or not at all, in place of what was there.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_public(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, 0o644)
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = path.with_extension("new");
    // What a run that was cut off left behind.
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // The verb may be root's while the daemon is not: the file belongs to whoever owns the folder.
    let owner = fs::metadata(folder)?;
    if file.metadata()?.uid() != owner.uid() {
        std::os::unix::fs::chown(&beside, Some(owner.uid()), Some(owner.gid()))?;
    }
    fs::rename(&beside, path)?;
    fs::File::open(folder)?.sync_all()
}
