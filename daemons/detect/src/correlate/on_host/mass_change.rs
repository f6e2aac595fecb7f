//! Many watched files that change at once, and what encrypts them (ATT&CK T1486, T1485).
//!
//! Within 60 s on one host: ten files with an ending that only extortionists use are CRITICAL, and so are three with a note
//! beside ten changes; three such files, a note beside ten changes, three notes, or twenty documents that were replaced by
//! ones with the same strange ending are HIGH. Thirty changes of any kind are MEDIUM, and LOW where an administrator is logged
//! in or all files are new, as a backup makes them. While the package manager
//! runs nothing is counted, and neither is what changes by itself all day. Only watched folders are seen: what happens
//! in the others is not known here.

use std::collections::VecDeque;

use nms_proto::{
    event::{Change, FileChange},
    finding::Category,
    id::EndpointId,
    limits::SOURCES_MAX,
    severity::Severity,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Case, Desk};
use crate::{
    bounded::{Bounded, Suspicion},
    correlate::{
        paths::{PathClass, class},
        unsaid::Unsaid,
    },
    incident::{Sign, evidence, span},
    subject::Story,
    text::cut,
};

/// Time in which changes are taken together, in milliseconds.
const TOGETHER_MS: i64 = 60_000;
/// Changes that are many, and of one source that are kept.
const MANY: usize = 30;
const KEPT: usize = 64;
/// Files with a known ending that are enough, and too many.
const KNOWN: [usize; 2] = [3, 10];
/// Changes beside which a note counts, and notes that count alone.
const BESIDE: usize = 10;
const NOTES: usize = 3;
/// Documents with the same strange ending.
const STRANGE: usize = 20;
/// Lines kept as evidence, bytes of a name looked at.
const EVIDENCE_KEPT: usize = 4;
const NAME_BYTES: usize = 128;

/// Endings of files that extortionists encrypted.
const ENDINGS: [&str; 30] = [
    "locked",
    "lockbit",
    "locky",
    "wncry",
    "wcry",
    "wannacry",
    "ryk",
    "conti",
    "cerber",
    "cerber3",
    "zepto",
    "osiris",
    "xtbl",
    "dharma",
    "phobos",
    "akira",
    "blackcat",
    "babuk",
    "babyk",
    "ragnar",
    "revil",
    "sodinokibi",
    "maze",
    "medusa",
    "clop",
    "darkside",
    "avaddon",
    "djvu",
    "deadbolt",
    "cryptolocker",
];
/// Words of the notes they leave; all of one row must be in the name.
const NOTE_WORDS: [&[&str]; 9] = [
    &["decrypt", "how"],
    &["decrypt", "readme"],
    &["decrypt", "read_me"],
    &["decrypt", "instruction"],
    &["decrypt", "files"],
    &["restore", "files"],
    &["recover", "files"],
    &["ransom", "note"],
    &["your_files", "."],
];
/// Endings of documents, and what others put behind them for good reasons.
const DOCUMENTS: [&str; 26] = [
    "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "pdf", "jpg", "jpeg", "png", "txt", "csv", "sql", "db",
    "html", "php", "xml", "json", "conf", "zip", "tar", "vmdk", "bak", "mp4",
];
const GOOD: [&str; 36] = [
    "gz",
    "bz2",
    "xz",
    "zst",
    "zip",
    "7z",
    "bak",
    "backup",
    "old",
    "orig",
    "save",
    "tmp",
    "swp",
    "part",
    "new",
    "dist",
    "sig",
    "asc",
    "gpg",
    "sha256",
    "sha512",
    "md5",
    "map",
    "br",
    "webp",
    "avif",
    "lock",
    "dpkg-old",
    "dpkg-dist",
    "dpkg-new",
    "rpmsave",
    "rpmnew",
    "ucf-dist",
    "license",
    "meta",
    "default",
];

/// What a changed file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    /// It has an ending that only extortionists use.
    Known,
    /// It is a note of theirs.
    Note,
    /// A document with a strange ending behind its own, as a hash.
    Strange(u64),
    /// It is no more.
    Gone,
    /// It is new, and looks like any other.
    New,
}

#[derive(Debug, Default)]
struct Heap {
    seen: VecDeque<(i64, Look)>,
    unsaid: Unsaid,
}

impl Suspicion for Heap {
    fn suspicion(&self) -> (u32, i64) {
        (self.seen.len().saturating_sub(1) as u32, self.seen.back().map_or(0, |(at, _look)| *at))
    }
}

impl Heap {
    fn add(&mut self, at: i64, look: Look) {
        self.seen.retain(|(seen, _look)| (at - seen).abs() <= TOGETHER_MS);
        if self.seen.is_empty() {
            self.unsaid.clear();
        }
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((at, look));
        self.unsaid.saw();
    }

    fn count(&self, look: Look) -> usize {
        self.seen.iter().filter(|(_at, other)| *other == look).count()
    }

    fn took(&self) -> String {
        let times = || self.seen.iter().map(|(at, _look)| *at);
        span(times().max().unwrap_or_default() - times().min().unwrap_or_default())
    }

    /// How bad it is, and why.
    fn judge(&self, look: Look, administrator: bool) -> Option<(Severity, String)> {
        let (all, known, notes) = (self.seen.len(), self.count(Look::Known), self.count(Look::Note));
        let strange = if let Look::Strange(_) = look { self.count(look) } else { 0 };
        // Who copies leaves the originals.
        let replaced = 2 * self.count(Look::Gone) >= strange;
        let took = self.took();
        let [some, many] = KNOWN;
        let noted = notes > 0 && all >= BESIDE;
        if known >= many || known >= some && noted {
            let told = format!(
                "{known} files got an ending that extortionists use within {took} (limit {many} in 60 s, {some} with a note)"
            );
            Some((Severity::Critical, told))
        } else if known >= some {
            let told =
                format!("{known} files got an ending that extortionists use within {took} (limit {some} in 60 s)");
            Some((Severity::High, told))
        } else if noted || notes >= NOTES {
            let told = format!(
                "{notes} notes as extortionists leave them and {all} changes within {took} (limit 1 beside {BESIDE}, or {NOTES})"
            );
            Some((Severity::High, told))
        } else if strange >= STRANGE && replaced {
            let told = format!(
                "{strange} documents were replaced by ones with a strange ending within {took} (limit {STRANGE} in 60 s)"
            );
            Some((Severity::High, told))
        } else if all >= MANY {
            let only_new = self.count(Look::New) == all || strange == all;
            let severity = if administrator || only_new { Severity::Low } else { Severity::Medium };
            let whom =
                if administrator { ", an administrator is logged in" } else { ", no administrator is logged in" };
            Some((severity, format!("{all} watched files changed within {took} (limit {MANY} in 60 s){whom}")))
        } else {
            None
        }
    }
}

/// The changes of each source.
#[derive(Debug)]
pub(super) struct MassChange {
    sources: Bounded<EndpointId, Heap>,
}

impl MassChange {
    pub(super) fn new() -> Self {
        Self { sources: Bounded::new(SOURCES_MAX) }
    }

    /// A watched file changed; `admins` are users whose session explains many.
    pub(super) fn changed(&mut self, desk: &mut Desk<'_>, case: &Case<'_>, change: &FileChange, admins: &[Box<str>]) {
        let counts = matches!(change.change, Change::Created | Change::Modified | Change::Deleted);
        if !counts || change.package_manager || change.command_id.is_some() {
            return;
        }
        let look = look(&change.path, &change.change);
        if matches!(look, Look::Plain | Look::New | Look::Gone) && class(&change.path) == PathClass::Churn {
            return;
        }
        let heap = self.sources.entry(case.event.source.clone(), Heap::default);
        heap.add(case.at(), look);
        let administrator =
            change.sessions.iter().any(|user| &**user == "root" || admins.iter().any(|admin| admin == user));
        let key = case.key(Story::Files, "files");
        let judged = heap.judge(look, administrator);
        let Some((severity, why)) =
            judged.filter(|(severity, _why)| Some(*severity) > desk.incidents.severity(&key, case.at()))
        else {
            heap.unsaid.count_or_keep(desk.incidents, &key, (case.event, EVIDENCE_KEPT), case.when, desk.out);
            return;
        };
        let (evidence, count) = heap.unsaid.take(evidence(case.event, case.when.at));
        let ransom = severity >= Severity::High;
        let host = case.host();
        let sign = case.sign(key, "mass_change", if ransom { Category::Ransomware } else { Category::FileIntegrity });
        desk.raise(
            case,
            Sign {
                severity,
                confidence: match severity {
                    Severity::Critical => 0.95,
                    Severity::High => 0.85,
                    Severity::Medium => 0.5,
                    _ => 0.15,
                },
                message: if ransom {
                    format!("files on {host} are being encrypted")
                } else {
                    format!("many watched files on {host} change at once")
                },
                reasons: vec![why, format!("the last was {}", cut(&change.path, NAME_BYTES))],
                techniques: if ransom { &["T1486"] } else { &["T1565.001", "T1485"] },
                actor: change.sessions.first().cloned(),
                evidence,
                count,
                ..sign
            },
        );
    }

    /// Sources remembered, and forgotten to make room.
    pub(super) fn sizes(&self) -> (usize, u64) {
        (self.sources.len(), self.sources.forgotten())
    }
}

/// What a changed file looks like, by its name; one that is gone looks like any other.
fn look(path: &str, change: &Change) -> Look {
    if *change == Change::Deleted {
        return Look::Gone;
    }
    let usual = if *change == Change::Created { Look::New } else { Look::Plain };
    let name = cut(path.rsplit('/').next().unwrap_or_default(), NAME_BYTES);
    let mut buffer = [0; NAME_BYTES];
    let Some(place) = buffer.get_mut(..name.len()) else { return usual };
    place.copy_from_slice(name.as_bytes());
    place.make_ascii_lowercase();
    let Ok(name) = std::str::from_utf8(place) else { return usual };
    let Some((stem, ending)) = name.rsplit_once('.') else { return usual };
    if ENDINGS.contains(&ending) && !stem.is_empty() {
        return Look::Known;
    }
    let readable = matches!(ending, "txt" | "html" | "htm" | "hta" | "rtf" | "png");
    if readable && (name == "_readme.txt" || NOTE_WORDS.iter().any(|row| row.iter().all(|word| name.contains(word)))) {
        return Look::Note;
    }
    let inner = stem.rsplit_once('.').map(|(_stem, inner)| inner);
    let numbered = ending.bytes().all(|byte| byte.is_ascii_digit());
    let strange = *change == Change::Created && inner.is_some_and(|inner| DOCUMENTS.contains(&inner));
    if strange && !numbered && !GOOD.contains(&ending) && !DOCUMENTS.contains(&ending) {
        return Look::Strange(xxh3_64(ending.as_bytes()));
    }
    usual
}
