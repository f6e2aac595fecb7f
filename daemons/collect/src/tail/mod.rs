//! Log files, read as they grow: one thread for all of them.
//!
//! The thread waits for change notices of the folders the files lie in and reads what changed; where
//! the kernel gives no notices it looks every 250 ms instead. A portion is handed over and made
//! durable together with its checkpoint before the next is read, so what waits in memory is one
//! portion, and the file itself is the buffer while the spool is full. At most
//! [`TAIL_FILES_MAX`] files are followed; the ones left out are counted.

mod follow;
mod look;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsStr,
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{
    clock,
    intake::{Closed, Sender},
    task::{Stop, Tasks},
};
use nms_proto::{id::EndpointId, limits::TAIL_FILES_MAX, time::Tick};

pub use self::follow::{Begin, Follower, GONE_UNSEEN, ROTATED_MS, TRUNCATED_AWAY};
use crate::{
    checkpoint::{self, FileId},
    counters::{Counters, What},
    moment::Now,
    notice::{Notice, Notices},
    pattern::Pattern,
    portion::Portion,
};

/// How often everything is looked at where the kernel tells of changes, in milliseconds.
const SWEEP_MS: u64 = 5_000;
/// How often everything is looked at where it does not, in milliseconds.
const POLL_MS: u64 = 250;
/// Time without a file after which its path is forgotten, in milliseconds.
const FORGET_MS: u64 = 3_600_000;

/// Finds the checkpoint of a key from an earlier run.
pub type Checkpoints = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Which files, and from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Paths, with `*`.
    pub patterns: Vec<Pattern>,
    /// Whether a file without a checkpoint is read from its first byte; else from its end.
    pub from_start: bool,
}

/// The files of one daemon and how far they are read.
pub struct Tail {
    settings: Settings,
    checkpoints: Checkpoints,
    counters: Arc<Counters>,
    files: BTreeMap<PathBuf, Followed>,
    ready: VecDeque<PathBuf>,
    notices: Option<Notices>,
    is_first: bool,
}

struct Followed {
    follower: Follower,
    last_there: Tick,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Tail {
    /// A tail of these files that looks for itself; nothing is read yet.
    pub fn new(settings: Settings, checkpoints: Checkpoints, counters: Arc<Counters>) -> Self {
        Self {
            settings,
            checkpoints,
            counters,
            files: BTreeMap::new(),
            ready: VecDeque::new(),
            notices: None,
            is_first: true,
        }
    }

    /// Asks the kernel for change notices from now on.
    pub fn watch(&mut self) -> io::Result<()> {
        self.notices = Some(Notices::open()?);
        Ok(())
    }

    /// Looks for files that are meant, and at all that are known.
    pub fn sweep(&mut self, now: Tick) {
        let found: Vec<_> = self.settings.patterns.iter().map(|pattern| (pattern, pattern.find())).collect();
        let mut folders = BTreeSet::new();
        let mut fresh = BTreeSet::new();
        for (pattern, found) in found {
            let is_wild = pattern.as_path().as_os_str().as_encoded_bytes().contains(&b'*');
            folders.extend(found.ledges);
            for path in found.paths {
                folders.extend(path.parent().map(Path::to_owned));
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                if !(is_wild && checkpoint::is_rotated(name)) {
                    fresh.insert(path);
                }
            }
        }
        self.watch_folders(folders);
        self.follow(fresh, now);
        self.forget(now);
        self.ready = self.files.keys().cloned().collect();
        self.is_first = false;
    }

    /// Follows the files of `found` that are not known, the last written first.
    fn follow(&mut self, found: BTreeSet<PathBuf>, now: Tick) {
        let mut fresh: Vec<(i64, PathBuf, FileId)> = Vec::new();
        for path in found {
            if let Some(known) = self.files.get_mut(&path) {
                known.last_there = now;
            } else if let Ok(meta) = fs::metadata(&path)
                && meta.is_file()
            {
                fresh.push((meta.mtime(), path, look::id(&meta)));
            }
        }
        fresh.sort_unstable_by_key(|(written, ..)| Reverse(*written));
        let mut over = 0;
        for (_, path, file) in fresh {
            let checkpoint = (self.checkpoints)(&Follower::key(&path));
            // A second name of a file, or a name it was moved to, would repeat its lines.
            if checkpoint.is_none() && self.files.values().any(|known| known.follower.reads(file)) {
                continue;
            }
            if self.files.len() >= TAIL_FILES_MAX {
                over += 1;
                continue;
            }
            let begin = if self.is_first && !self.settings.from_start { Begin::End } else { Begin::Start };
            let follower = Follower::new(&path, checkpoint.as_deref(), begin, now);
            log::info!("following a file path={}", path.display());
            self.files.insert(path, Followed { follower, last_there: now });
        }
        self.counters.set(What::TailFiles, self.files.len() as u64);
        if self.counters.set(What::TailFilesOver, over) == 0 && over > 0 {
            log::warn!("too many files to follow, the last written go first max={TAIL_FILES_MAX} left_out={over}");
        }
    }

    /// Drops paths whose file is long gone: their names carried a date.
    fn forget(&mut self, now: Tick) {
        self.files.retain(|_, known| now.since(known.last_there) < FORGET_MS);
    }

    fn watch_folders(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(notices) = &mut self.notices else { return };
        for folder in folders {
            if notices.watches(&folder) {
                continue;
            }
            if let Err(error) = notices.watch(&folder) {
                log::warn!("no change notices for a folder, it is polled folder={} error={error}", folder.display());
                self.notices = None;
                return;
            }
        }
    }

    /// Waits up to `ms` for notices; marks what changed. Gives whether a sweep is due because of them.
    pub fn wait(&mut self, ms: u64) -> bool {
        let Some(notices) = &mut self.notices else {
            clock::block(ms);
            return true;
        };
        let notices = notices.wait(ms).unwrap_or_else(|error| {
            log::warn!("cannot read change notices error={error}");
            clock::block(ms);
            vec![Notice::Overflow]
        });
        notices.into_iter().filter(|notice| self.take(notice)).count() > 0
    }

    /// Marks what a notice is about; gives whether a sweep is due because of it.
    fn take(&mut self, notice: &Notice) -> bool {
        let Notice::Changed { folder, name, kind } = notice else { return true };
        let path = crate::notice::path_of(folder, name.as_deref());
        if kind.came || kind.went {
            let beside: Vec<_> = self.files.keys().filter(|known| known.parent() == Some(&**folder)).cloned().collect();
            for known in beside {
                self.mark(known);
            }
        }
        if self.files.contains_key(&path) {
            self.mark(path);
            return false;
        }
        kind.came && (kind.is_folder || self.is_meant(&path)) || kind.went && kind.is_folder
    }

    fn mark(&mut self, path: PathBuf) {
        if !self.ready.contains(&path) {
            self.ready.push_back(path);
        }
    }

    fn is_meant(&self, path: &Path) -> bool {
        self.settings.patterns.iter().any(|pattern| pattern.matches(path))
    }

    /// The next portion of any file that has one, each in turn.
    pub fn next(&mut self, now: Now) -> Option<Portion> {
        while let Some(path) = self.ready.pop_front() {
            if let Some(portion) = self.portion(path, now) {
                return Some(portion);
            }
        }
        None
    }

    fn portion(&mut self, path: PathBuf, now: Now) -> Option<Portion> {
        let known = self.files.get_mut(&path)?;
        match known.follower.next(now) {
            Ok(Some(portion)) => {
                known.last_there = now.tick;
                self.counters.add(What::TailLines, portion.drafts.len() as u64);
                self.ready.push_back(path);
                Some(portion)
            }
            Ok(None) => None,
            Err(error) => {
                self.counters.add(What::TailUnreadable, 1);
                log::warn!("cannot read a log file path={} error={error}", path.display());
                None
            }
        }
    }
}

/// Reads files on a thread of its own until the stop.
pub fn start(tail: Tail, tasks: &Tasks, sender: Sender, source: EndpointId) -> io::Result<()> {
    let stop = tasks.stop().clone();
    tasks.thread("tail", move || {
        if run(tail, &stop, &sender, &source).is_err() {
            log::debug!("files are no longer read: the core has ended");
        }
    })
}

fn run(mut tail: Tail, stop: &Stop, sender: &Sender, source: &EndpointId) -> Result<(), Closed> {
    if let Err(error) = tail.watch() {
        log::warn!("no change notices, files are looked at every {POLL_MS} ms error={error}");
    }
    let mut swept = clock::tick();
    tail.sweep(swept);
    while !stop.is_requested() {
        if !drain(&mut tail, stop, sender, source)? {
            break;
        }
        let due = tail.wait(POLL_MS);
        let now = clock::tick();
        if due || now.since(swept) >= SWEEP_MS {
            swept = now;
            tail.sweep(now);
        }
    }
    Ok(())
}

/// Hands over all there is, each portion durable before the next is read. False when stopped.
fn drain(tail: &mut Tail, stop: &Stop, sender: &Sender, source: &EndpointId) -> Result<bool, Closed> {
    while let Some(portion) = tail.next(Now::read()) {
        let Some(durable) = smol::block_on(stop.or(sender.commit(portion.into_chunk(source)))) else {
            return Ok(false);
        };
        durable?;
    }
    Ok(true)
}
