//! A backup put back into an empty state folder.
//!
//! ```text
//! 1. everything is copied to STATE/restoring and compared with the manifest
//! 2. log, keys, state.redb are moved to their places, one after another; state.redb last
//! 3. STATE/restoring is removed
//! ```
//! A server does not start where `restoring` lies: a restore that ended in the middle is no store. Refuses a
//! folder that holds anything, by name, and one on which a server runs.

use std::{
    fs,
    io::Read as _,
    os::unix::{
        fs::{MetadataExt as _, chown},
        net::UnixStream,
    },
    path::Path,
};

use nms_kit::store::log::is_segment;
use serde_json::json;

use super::{
    FORMAT, Held, IDENTITY, LOG, MANIFEST, MANIFEST_BYTES_MAX, Manifest, STATE, Say, authority, files, key_files,
    name_of,
};

/// Where a restore gathers what it puts in place.
const STAGING: &str = "restoring";
/// What may lie in a state folder that is empty otherwise: a file system's own.
const OTHERS: [&str; 2] = [STAGING, "lost+found"];

/// Whether a restore into the folder `state` was begun and not finished.
pub(crate) fn is_unfinished(state: &Path) -> bool {
    state.join(STAGING).exists()
}

/// Puts the backup in `from` into the folder `state`, on which no server runs; it would answer at `control`.
///
/// # Errors
/// In words: what stands in the way. Nothing is in its place then, unless the words say so.
pub(crate) fn restore(from: &Path, control: &Path, state: &Path, say: Say<'_>) -> Result<(), String> {
    if UnixStream::connect(control).is_ok() {
        return Err(format!("a server runs and answers at {}: stop it first", control.display()));
    }
    let manifest = read(from)?;
    files::make_folder(state)?;
    empty(state, &manifest)?;
    let keys = keys(state, &manifest)?;
    let staging = state.join(STAGING);
    // What an earlier restore gathered and put nowhere.
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|error| format!("cannot remove {}: {error}", staging.display()))?;
    }
    files::make_folder(&staging.join(LOG))?;
    let gathered = gather(from, &staging, &manifest, say).and_then(|()| {
        own(&staging, state);
        // No server starts since the staging folder is there; one that did before left its files.
        empty(state, &manifest)
    });
    if let Err(problem) = gathered {
        fs::remove_dir_all(&staging).unwrap_or_default();
        return Err(format!("{problem}; nothing was put in place"));
    }
    let placed = place(&staging, state, &manifest);
    placed.map_err(|problem| {
        format!("{problem}; the restore ended in the middle: empty {} and restore again", state.display())
    })?;
    let files = manifest.files.len();
    let said = json!({ "restored": from, "files": files, "made": manifest.made, "version": manifest.version,
                       "keys": keys, "certificates": "what was revoked after that is not: look at nmsd-server hub list" });
    say(said.to_string());
    Ok(())
}

/// Where the server's keys will come from, in words.
///
/// # Errors
/// The folder has those of another authority than the one that the backup's hubs were enrolled by.
fn keys(state: &Path, manifest: &Manifest) -> Result<String, String> {
    let [certificate, ..] = key_files(state);
    if manifest.files.iter().any(|held| held.name == name_of(&certificate)) {
        return Ok("from the backup".into());
    }
    let (state, file) = (state.display(), certificate.display());
    match (authority(certificate.parent().unwrap_or(Path::new("")))?, &manifest.authority) {
        (Some(here), Some(then)) if here != *then => Err(format!(
            "{file} is another authority than the one by which the hubs of this backup were enrolled: put the *.pem files of \
             the lost server there; if they are lost too, move these away, restore, and run nmsd-server init: then every hub \
             has to enrol again"
        )),
        (Some(_), _) => Ok(format!("those in {state}")),
        (None, None) => Ok("none, and there were none".into()),
        (None, Some(_)) => Ok(format!(
            "not in the backup: put the *.pem files of the lost server into {state} before it starts; nmsd-server init makes \
             new ones, and then every hub has to enrol again"
        )),
    }
}

fn read(from: &Path) -> Result<Manifest, String> {
    let path = from.join(MANIFEST);
    let mut text = Vec::new();
    let read = fs::File::open(&path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text));
    read.map_err(|error| {
        let path = path.display();
        format!("cannot read {path}: {error}; without it a folder is no backup, or one that was not finished")
    })?;
    let unreadable = |problem: String| format!("{} cannot be used: {problem}", path.display());
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    if manifest.format != FORMAT {
        let format = manifest.format;
        return Err(unreadable(format!("format {format}, this program reads {FORMAT}; use the version that wrote it")));
    }
    match manifest.files.iter().find(|held| !is_known(&held.name)) {
        None => Ok(manifest),
        Some(held) => Err(unreadable(format!("{:?} is no file of a backup", held.name))),
    }
}

/// Whether a file of that name is ever in a backup: names come from a file, and lead nowhere else.
fn is_known(name: &str) -> bool {
    let is_segment = name.strip_prefix("log/").is_some_and(is_segment);
    is_segment || name == STATE || name == IDENTITY || key_files(Path::new("")).iter().any(|file| name_of(file) == name)
}

/// Whether nothing lies in the folder that a restore, or a server after it, could mistake for its own.
fn empty(state: &Path, manifest: &Manifest) -> Result<(), String> {
    // Keys may stay where they are when the backup has none.
    let stays = |name: &str| {
        let is_key = key_files(state).iter().any(|file| name_of(file) == name);
        OTHERS.contains(&name) || is_key && !manifest.files.iter().any(|held| held.name == name)
    };
    match files::entries(state)?.iter().find(|name| !stays(name)) {
        None => Ok(()),
        Some(found) => {
            let state = state.display();
            Err(format!("{state} is not empty, it holds {found}: move it away, a restore needs an empty folder"))
        }
    }
}

fn gather(from: &Path, staging: &Path, manifest: &Manifest, say: Say<'_>) -> Result<(), String> {
    for Held { name, bytes, sha256, .. } in &manifest.files {
        files::copy(&from.join(name), &staging.join(name), Some((*bytes, sha256)))?;
        say(json!({ "checked": name, "bytes": bytes }).to_string());
    }
    files::sync(&staging.join(LOG))?;
    files::sync(staging)
}

/// Gives what was gathered to the owner of the state folder; only root can, and only root must.
fn own(staging: &Path, state: &Path) {
    let Ok(owner) = fs::metadata(state) else { return };
    let mut paths = vec![staging.to_path_buf()];
    while let Some(path) = paths.pop() {
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap_or_default();
        if let Ok(listed) = fs::read_dir(&path) {
            paths.extend(listed.flatten().map(|entry| entry.path()));
        }
    }
}

fn place(staging: &Path, state: &Path, manifest: &Manifest) -> Result<(), String> {
    files::put(&staging.join(LOG), &state.join(LOG))?;
    for held in manifest.files.iter().filter(|held| !held.name.starts_with("log/") && held.name != STATE) {
        files::put(&staging.join(&held.name), &state.join(&held.name))?;
    }
    if manifest.files.iter().any(|held| held.name == STATE) {
        files::put(&staging.join(STATE), &state.join(STATE))?;
    }
    fs::remove_dir_all(staging).map_err(|error| format!("cannot remove {}: {error}", staging.display()))?;
    files::sync(state)
}
