//! A copy of everything that is kept, made while the server runs or not, and put back: `backup`, `restore`.
//!
//! ```text
//! DIR/state.redb          first: what it refers to is in the log that is copied behind it
//! DIR/identity.redb       who may enrol, and who is enrolled
//! DIR/log/log-DAY-N.redb  every segment, oldest first; the newest as it was when its turn came
//! DIR/ca.pem, ...         authority, certificate and keys of the state folder, where they were asked for
//! DIR/manifest.json       last, so that a backup without one is known for half a backup
//! {"format":1,"version":"0.1.0","made":"2026-01-05T14:30:00.000Z","left_out":[],
//!  "files":[{"name":"state.redb","bytes":1052672,"sha256":"..","rows":40,"damaged":0},..]}
//! ```
//! Rows are copied, not files: a file that is written to is not one thing at any moment. The newest
//! segment may hold batches that came after the state was copied: they are analysed again, as after a
//! kill. Refuses a folder that is not empty. Damage is copied as it is, named, and makes an end with an error.

mod files;
pub(crate) mod restore;

use std::{
    fs,
    path::{Path, PathBuf},
};

use nms_kit::{
    clock, digest,
    store::{CHUNK_BYTES, CopyError, Rows},
};
use nms_proto::time::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    config,
    store::look::{IDENTITY, Look},
};

/// The file that makes a folder a backup.
const MANIFEST: &str = "manifest.json";
/// The form of a backup.
const FORMAT: u32 = 1;
/// Longest manifest that is read, in bytes: some 50,000 files.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
const STATE: &str = "state.redb";
const LOG: &str = "log";
/// Commits of a copy between two lines that say how far it came.
const SAID_EVERY: u64 = 4;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    version: String,
    made: Stamp,
    /// SHA-256 of the authority's certificate, by which hubs were enrolled; none where there was none.
    #[serde(default)]
    authority: Option<String>,
    /// Files that could not be opened, and why.
    #[serde(default)]
    left_out: Vec<String>,
    files: Vec<Held>,
}

/// A file of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Held {
    name: String,
    bytes: u64,
    sha256: String,
    /// Rows of a store, and those of them that were damaged before they were copied.
    #[serde(default)]
    rows: u64,
    #[serde(default)]
    damaged: u64,
}

/// The SHA-256 of the authority's certificate in a state folder, where there is one.
fn authority(folder: &Path) -> Result<Option<String>, String> {
    let file = config::pki_files(folder).ca;
    file.exists().then(|| files::digest_of(&file).map(|(_, sha256)| digest::hex(&sha256))).transpose()
}

/// The names that keys and certificates have in state folder and backup.
fn key_files(folder: &Path) -> [PathBuf; 4] {
    let files = config::pki_files(folder);
    [files.ca, files.ca_key, files.certificate, files.key]
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Says lines until nobody listens.
type Say<'s> = &'s mut dyn FnMut(String) -> bool;

/// Makes a backup of what `look` shows in the folder `to`, with the keys of the state folder where they are asked for.
///
/// # Errors
/// In words: what stands in the way, or which part of the backup is damaged.
pub(crate) fn make(look: &Look, to: &Path, with_keys: bool, say: Say<'_>) -> Result<(), String> {
    files::make_empty(to)?;
    files::make_folder(&to.join(LOG))?;
    let mut held = Vec::new();
    match look.state() {
        Some(state) => {
            let met = state.copy_to(&to.join(STATE), &mut progress(STATE, say)).map_err(|error| unmade(to, &error))?;
            held.push(entry(to, STATE, &met, say)?);
        }
        None if look.closed().is_empty() => {}
        None => return Err(format!("nothing is backed up without {STATE}: {}", closed(look))),
    }
    if let Some(identity) = look.identity() {
        let met =
            identity.copy_to(&to.join(IDENTITY), &mut progress(IDENTITY, say)).map_err(|error| unmade(to, &error))?;
        held.push(entry(to, IDENTITY, &met, say)?);
    }
    for file in look.log().files() {
        let name = format!("{LOG}/{}", name_of(&file));
        let target = to.join(&name);
        let copied = look.log().copy(&file, &target, &mut progress(&name, say));
        match copied.map_err(|error| unmade(to, &error))? {
            Some(met) => held.push(entry(to, &name, &met, say)?),
            // It was let go of meanwhile, because of its age.
            None => fs::remove_file(&target).unwrap_or_default(),
        }
    }
    if with_keys {
        for file in key_files(look.folder()).iter().filter(|file| file.exists()) {
            let name = name_of(file);
            files::copy(file, &to.join(&name), None)?;
            held.push(entry(to, &name, &Rows::default(), say)?);
        }
    }
    finish(look, to, held, say)
}

/// Writes the manifest, and says what is not whole.
fn finish(look: &Look, to: &Path, held: Vec<Held>, say: Say<'_>) -> Result<(), String> {
    let (files, bytes) = (held.len(), held.iter().map(|held| held.bytes).sum::<u64>());
    let damaged: u64 = held.iter().map(|held| held.damaged).sum();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        made: Stamp::utc(clock::unix_ms()),
        authority: authority(look.folder())?,
        left_out: look.closed().iter().map(ToString::to_string).collect(),
        files: held,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| error.to_string())?;
    files::sync(&to.join(LOG))?;
    files::write_whole(&to.join(MANIFEST), &text)?;
    say(json!({ "backup": to, "files": files, "bytes": bytes, "made": manifest.made }).to_string());
    if damaged == 0 && manifest.left_out.is_empty() {
        return Ok(());
    }
    let mut problems = manifest.left_out;
    if damaged > 0 {
        problems.push(format!("{damaged} rows were damaged before they were copied, nmsd-server verify names them"));
    }
    Err(format!("the backup in {} is made, but not whole: {}", to.display(), problems.join("; ")))
}

fn closed(look: &Look) -> String {
    let closed: Vec<String> = look.closed().iter().map(ToString::to_string).collect();
    closed.join("; ")
}

fn unmade(to: &Path, error: &CopyError) -> String {
    format!("the backup is not made: {error}; {} holds half of one without a {MANIFEST}, remove it", to.display())
}

/// Says how far the copy of a file came, now and then.
fn progress<'s>(name: &'s str, say: Say<'s>) -> impl FnMut(&Rows) -> bool + 's {
    let mut said_bytes = 0;
    move |met| {
        if met.bytes - said_bytes < SAID_EVERY * CHUNK_BYTES as u64 {
            return true;
        }
        said_bytes = met.bytes;
        say(json!({ "copying": name, "rows": met.rows, "bytes": met.bytes }).to_string())
    }
}

/// What the manifest says of a file that was copied; it is read once more for it.
fn entry(to: &Path, name: &str, met: &Rows, say: Say<'_>) -> Result<Held, String> {
    let (bytes, sha256) = files::digest_of(&to.join(name))?;
    let (sha256, name) = (digest::hex(&sha256), name.to_owned());
    let held = Held { name, bytes, sha256, rows: met.rows, damaged: met.damaged };
    if say(json!({ "copied": held.name, "bytes": bytes, "rows": held.rows, "damaged": held.damaged }).to_string()) {
        Ok(held)
    } else {
        Err(unmade(to, &CopyError::Unwanted))
    }
}
