//! What a panic leaves behind: a note of the batch that its thread was looking at.
//!
//! ```text
//! panicked     tenant SPACE seq LF      one line a thread, in the state folder
//! ```
//! With `panic = "abort"` nothing runs after a panic but its hook, so the hook writes the note and waits
//! until the disk has it. An end that leaves no note was nobody's panic: kill -9, a power cut, no memory,
//! a stack that was too deep. Only threads that analyse look at batches, so only they leave notes.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use nms_proto::id::TenantId;

use crate::store::LogSeq;

const FILE: &str = "panicked";

thread_local! {
    static AT: RefCell<Option<(TenantId, LogSeq)>> = const { RefCell::new(None) };
}

/// This thread looks at a batch from now on.
pub fn look_at(tenant: &TenantId, seq: LogSeq) {
    AT.with_borrow_mut(|at| match at {
        Some((known, last)) if known == tenant => *last = seq,
        _ => *at = Some((tenant.clone(), seq)),
    });
}

/// This thread looks at no batch.
pub fn look_away() {
    AT.set(None);
}

/// From now on a panic of this process leaves its note in `folder`.
pub fn leave_notes(folder: &Path) {
    let path = folder.join(FILE);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let at = AT.try_with(|at| at.try_borrow().ok().and_then(|at| at.clone()));
        let left = at.ok().flatten().map(|(tenant, seq)| write(&path, &tenant, seq));
        before(panic);
        if let Some(Err(error)) = left {
            log::error!("a panic could leave no note file={} error={error}", path.display());
        }
    }));
}

fn write(path: &PathBuf, tenant: &TenantId, seq: LogSeq) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{tenant} {seq}\n").as_bytes())?;
    file.sync_all()
}

/// The batches that panics of the last life named, by tenant. They are told once: the notes are gone afterwards.
pub fn take_notes(folder: &Path) -> HashMap<TenantId, LogSeq> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return HashMap::new(),
        Err(error) => {
            log::warn!("what a panic left cannot be read file={} error={error}", path.display());
            String::new()
        }
    };
    if let Err(error) = fs::remove_file(&path) {
        // A note that stays would be told at every start, and blame a batch for what it did once.
        log::warn!("what a panic left cannot be removed and is not used file={} error={error}", path.display());
        return HashMap::new();
    }
    let note = |line: &str| {
        let (tenant, seq) = line.split_once(' ')?;
        Some((tenant.parse().ok()?, LogSeq(seq.parse().ok()?)))
    };
    text.lines().filter_map(note).collect()
}
