//! What an agent reads on its host: the journal, files that grow, its own checkpoints, utmp and passwd, patterns.

use std::path::Path;

use nms_collect::{
    checkpoint::{Fit, Kept, Mark, Place, Seen as SeenFile, Sight, Step, decide, is_rotated, rotation},
    fim::context,
    journal,
    line::{self, Seen},
    pattern::Pattern,
};
use nms_proto::limits::LINE_BYTES_MAX;

use crate::{
    input::{Cuts, Script, swollen},
    travel::{self, NOW},
};

/// One line of `journalctl -o json`.
pub(crate) fn journal(bytes: &[u8]) {
    match journal::read(bytes, 60) {
        Ok(entry) => {
            assert!(!entry.cursor.is_empty());
            match entry.message {
                Ok(draft) => travel::line(draft),
                Err(refused) => assert_eq!(refused.reason, "empty"),
            }
        }
        Err(refused) => {
            assert_eq!((refused.reason, refused.bytes), ("journal_entry", bytes.len() as u64));
            assert!(bytes.starts_with(&refused.raw));
        }
    }
}

type Lines = Vec<(Vec<u8>, bool)>;

/// A file that grows by any steps gives the same lines, none longer than a line may be, and each becomes a draft or
/// is refused; its time is never in the future and never before the line that was believed last.
pub(crate) fn tail(bytes: &[u8]) {
    let bytes = &swollen(bytes);
    let model: Lines = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .map(|line| &line[..line.len() - 1])
        .map(|line| (line[..line.len().min(LINE_BYTES_MAX)].to_vec(), line.len() > LINE_BYTES_MAX))
        .collect();
    let (found, open) = lines([&bytes[..]]);
    // A line that is too long is handed over before its end comes.
    assert_eq!(found[..found.len() - usize::from(open)], model);
    assert_eq!(lines(Cuts::of(bytes).pieces(bytes)), (found.clone(), open));
    let mut before = None;
    for (text, _) in &found {
        let seen = Seen { now: NOW, before };
        let Ok(draft) = line::read(text, seen) else { continue };
        let at_ms = draft.at.unwrap().unix_ms;
        assert!(at_ms <= NOW.unix_ms && before.is_none_or(|before: line::Before| at_ms >= before.at_ms));
        before = seen.believed(draft.device_at).or(before);
        travel::line(draft);
    }
}

/// The lines, and whether the rest of the last one is still skipped.
fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Lines, bool) {
    let mut buffer: Vec<u8> = Vec::new();
    let mut skipping = false;
    let mut found = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            if skipping {
                let (taken, ends) = line::skip(&buffer);
                buffer.drain(..taken);
                skipping = !ends;
                if skipping {
                    break;
                }
            }
            let Some(cut) = line::cut(&buffer) else { break };
            found.push((cut.text.to_vec(), cut.truncated));
            skipping = cut.skipping;
            let taken = cut.taken;
            buffer.drain(..taken);
        }
        assert!(buffer.len() <= LINE_BYTES_MAX, "no more than a line is held");
    }
    (found, skipping)
}

/// A stored checkpoint, and what is decided by it whatever the files look like.
pub(crate) fn checkpoint(bytes: &[u8]) {
    if let Some(kept) = Kept::decode(bytes) {
        assert_eq!(Kept::decode(&kept.encode()), Some(kept.clone()));
        decided(kept.mark, bytes);
    }
    let mut script = Script(bytes);
    let mut mark = Mark { offset: script.number(), size_seen: script.number(), ..Mark::default() };
    mark.line_bytes = script.number();
    mark.seen_ms = script.number() as i64;
    decided(mark, script.0);
}

fn decided(mut mark: Mark, bytes: &[u8]) {
    let mut script = Script(bytes);
    let seen = |script: &mut Script<'_>| {
        let mut seen = SeenFile {
            file: mark.file,
            size: script.number(),
            modified_ms: script.number() as i64,
            fit: [Fit::Ours, Fit::Head, Fit::Other][usize::from(script.byte()) % 3],
        };
        seen.file.inode = u64::from(script.byte()) % 3;
        seen
    };
    let path = (script.byte() % 3 > 0).then(|| seen(&mut script));
    let held = (script.byte() % 3 > 0).then(|| seen(&mut script));
    let dry_at = (script.byte() % 2 > 0).then(|| script.number());
    let sight = Sight { path, held, siblings: Vec::new(), dry_at };
    match decide(&mark, &sight) {
        Step::Wait => {}
        Step::Read(place) => assert!(sight.at(&place).is_some(), "{place:?} is not there"),
        Step::Switch { to, .. } => assert!(to == Place::Path || sight.at(&to).is_some(), "{to:?} is not there"),
    }
    let line = script.number() % (2 * LINE_BYTES_MAX as u64);
    mark.count_line(line);
    assert!(mark.lines_in(1) == 1 && mark.lines_in(0) == 0);
}

/// Files of the host that others write: utmp, passwd, sessions, and names of rotated logs.
pub(crate) fn host_files(bytes: &[u8]) {
    for user in context::utmp_users(bytes) {
        assert!((1..=32).contains(&user.len()));
    }
    let text = &*String::from_utf8_lossy(bytes);
    for name in context::names(text).values() {
        assert!(!name.contains([':', '\n']));
    }
    assert!(context::session_user(text).is_none_or(|user| !user.contains('\n')));
    let (of, name) = text.split_once('\n').unwrap_or((text, "auth.log.1"));
    if let Some(packed) = rotation(of, name) {
        assert!(name.len() > of.len() && (!packed || is_rotated(name)));
    }
}

/// Patterns of the settings: what is taken means what it says, and no path confuses it.
pub(crate) fn patterns(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "/var/log/auth.log"));
    for read in [Pattern::absolute(pattern), Pattern::any(pattern)] {
        match read {
            Ok(read) => {
                if read.matches(Path::new(path)) {
                    assert!(read.covers(Path::new(path)));
                }
                if !pattern.contains('*') {
                    assert!(read.covers(read.as_path()), "{pattern:?} is itself");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
