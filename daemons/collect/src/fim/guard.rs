//! The heart of file integrity: notices, checks and reports become events and rows of the baseline.
//!
//! [`Guard::step`] does a bounded piece of work and gives an [`Outcome`]; whoever calls it makes the
//! events durable first and the rows after them. It reads files and the baseline, and no clock.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_kit::{digest, store::StoreError};
use nms_proto::{
    event::{Body, Change, Draft, FileChange},
    limits::{CHUNK_EVENTS_MAX, FIM_FILES_MAX},
    time::{Stamp, Tick},
};

use super::{
    baseline::{Baseline, Entry, Row, change},
    context::{Context, Observer},
    job::{Job, Purpose},
    look::Look,
    roots::Roots,
    scan::{Step, Walk},
    settle::{Changed, Settle},
    watch::Watch,
};
use crate::{
    counters::{Counters, What},
    moment::Now,
    notice::{Kind, Notice},
};

/// Time between two full checks, in milliseconds.
pub const CHECK_MS: u64 = 300_000;
/// Age at which content is hashed again although nothing points to a change, in seconds.
pub const REHASH_S: i64 = 86_400;

/// What a step found: to be made durable in this order.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The events.
    pub drafts: Vec<Draft>,
    /// What the baseline is after them.
    pub rows: Vec<Row>,
}

/// File integrity of one host.
#[derive(Debug)]
pub struct Guard {
    pub(super) baseline: Baseline,
    pub(super) roots: Roots,
    watch: Watch,
    settle: Settle,
    pub(super) observer: Observer,
    pub(super) counters: Arc<Counters>,
    pub(super) files: u64,
    job: Option<Job>,
    check_at: Tick,
}

impl Guard {
    /// Watches `roots` against `baseline`; the first step begins a full check.
    pub fn new(baseline: Baseline, roots: Roots, watch: Watch, counters: Arc<Counters>) -> Result<Self, StoreError> {
        let files = baseline.len()?;
        let mut guard = Self {
            baseline,
            roots,
            watch,
            settle: Settle::default(),
            observer: Observer::default(),
            counters,
            files,
            job: None,
            check_at: Tick(0),
        };
        guard.watch_ledges();
        Ok(guard)
    }

    /// The baseline.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Whether a check or report is on its way.
    pub fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Begins a report, where nothing else is on its way; false otherwise.
    pub fn report(&mut self, command_id: &str) -> bool {
        if self.job.is_some() {
            return false;
        }
        let purpose = Purpose::Report { command_id: command_id.into() };
        self.job = Some(Job::over(purpose, self.roots.walk()));
        true
    }

    /// Waits up to `ms` for change notices, at most until the next change has settled, and takes them in.
    pub fn wait(&mut self, ms: u64, now: impl Fn() -> Now) {
        let settled_ms = self.settle.deadline().map_or(ms, |deadline| deadline.since(now().tick));
        let notices = self.watch.wait(ms.min(settled_ms));
        let now = now();
        for notice in notices {
            self.notice(notice, now);
        }
    }

    /// Takes a change notice in.
    pub fn notice(&mut self, notice: Notice, now: Now) {
        let Notice::Changed { folder, name, kind } = notice else {
            self.overflow(now);
            return;
        };
        let path = crate::notice::path_of(&folder, name.as_deref());
        if kind.came && self.roots.ledges.contains(&*folder) {
            for root in self.roots.find() {
                self.came(&root, now);
            }
            self.watch_ledges();
        }
        if !self.roots.covers(&path) {
            return;
        }
        match kind {
            Kind { is_folder: true, came: true, .. } => self.came(&path, now),
            Kind { is_folder: true, went: true, .. } => self.went(&path, now),
            Kind { is_folder: true, .. } => {}
            Kind { is_folder: false, .. } => self.note(path, now),
        }
    }

    fn note(&mut self, path: PathBuf, now: Now) {
        let observer = &mut self.observer;
        if !self.settle.note(now.tick, path, now.stamp, || observer.context(now.tick)) {
            self.overflow(now);
        }
    }

    /// Notices were lost or are too many: everything is checked.
    fn overflow(&mut self, now: Now) {
        self.counters.add(What::FimOverflows, 1);
        log::warn!("too many changes of files to follow one by one, checking all of them");
        self.settle.clear();
        self.check_at = now.tick;
    }

    /// A folder appeared: it is watched, and all that is in it is new.
    fn came(&mut self, folder: &Path, now: Now) {
        let mut walk = Walk::over(std::iter::once(folder.to_owned()));
        let mut steps = 0;
        while let Some(step) = walk.next(|path| self.roots.excludes(path)) {
            match step {
                Step::Folder(path) => self.watch_folder(&path),
                Step::File(path) => self.note(path, now),
                Step::Unreadable(_) | Step::TooDeep => {}
            }
            steps += 1;
            if steps > CHUNK_EVENTS_MAX {
                // A tree moved here: the check takes its time for it.
                self.check_at = now.tick;
                return;
            }
        }
    }

    /// A folder went: all that the baseline knows below it is looked at.
    fn went(&mut self, folder: &Path, now: Now) {
        self.watch.forget(folder);
        match self.baseline.page(folder, Some(folder), CHUNK_EVENTS_MAX) {
            Ok(paths) if paths.len() < CHUNK_EVENTS_MAX => {
                for path in paths {
                    self.note(path, now);
                }
            }
            // A large tree: the check takes its time for it.
            Ok(_) | Err(_) => self.check_at = now.tick,
        }
    }

    pub(super) fn watch_folder(&mut self, folder: &Path) {
        let unwatched = self.watch.folder(folder);
        self.counters.set(What::FimUnwatched, unwatched);
    }

    fn watch_ledges(&mut self) {
        for ledge in self.roots.ledges.clone() {
            self.watch_folder(&ledge);
        }
    }

    /// One bounded piece of work.
    ///
    /// # Errors
    /// The baseline cannot be read. What was to be looked at is looked at again by the next check.
    pub fn step(&mut self, now: Now) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome::default();
        for changed in self.settle.due(now.tick, CHUNK_EVENTS_MAX) {
            self.settled(&changed, now, &mut outcome)?;
        }
        if !outcome.drafts.is_empty() {
            return Ok(outcome);
        }
        if self.job.is_none() && now.tick >= self.check_at {
            self.begin_check(now);
        }
        if let Some(mut job) = self.job.take() {
            let turned = self.turn(&mut job, now, &mut outcome);
            if turned.as_ref().is_err() || turned.as_ref().is_ok_and(|done| !done) {
                self.job = Some(job);
            }
            turned?;
        }
        Ok(outcome)
    }

    fn begin_check(&mut self, now: Now) {
        self.check_at = now.tick.plus(CHECK_MS);
        self.roots.find();
        self.watch.begin_count();
        self.watch_ledges();
        let purpose = Purpose::Check { rehash_before_s: now.stamp.unix_ms / 1_000 - REHASH_S };
        self.job = Some(Job::over(purpose, self.roots.walk()));
    }

    /// A change that has settled.
    fn settled(&mut self, changed: &Changed, now: Now, outcome: &mut Outcome) -> Result<(), StoreError> {
        let look = Look::at(&changed.path, &self.baseline, i64::MIN, now.stamp)?;
        let noticed = Now { stamp: changed.at, ..now };
        self.conclude(&changed.path, &look, (noticed, Some(&changed.context)), outcome);
        Ok(())
    }

    /// The event and the row that follow from a look; whether there is an event. Who was there is looked up where it
    /// is not known from the moment of the change.
    pub(super) fn conclude(
        &mut self,
        path: &Path,
        look: &Look,
        (at, context): (Now, Option<&Context>),
        outcome: &mut Outcome,
    ) -> bool {
        let (old, new) = (look.old.as_deref(), look.new.as_deref());
        if look.damaged {
            self.counters.add(What::FimDamaged, 1);
            log::warn!("a damaged row of the file integrity baseline is taken anew path={}", path.display());
        }
        if old.is_none() && new.is_some() && self.files >= FIM_FILES_MAX {
            return false;
        }
        self.files = (self.files + u64::from(new.is_some())).saturating_sub(u64::from(old.is_some()));
        if old != new {
            outcome.rows.extend(Row::file(path, new));
        }
        let is_silent = look.damaged || old.is_none() && self.roots.is_new(path);
        let Some(change) = change(old, new).filter(|_| !is_silent) else { return false };
        self.counters.add(What::FimChanges, 1);
        let context = context.cloned().unwrap_or_else(|| Context::clone(&self.observer.context(at.tick)));
        let mut row = self.row(path, change, old, new);
        row.sessions = context.sessions;
        row.package_manager = context.package_manager;
        outcome.drafts.push(Draft { at: Some(at.stamp), ..Draft::new(Body::File(Box::new(row))) });
        true
    }

    pub(super) fn row(&mut self, path: &Path, change: Change, old: Option<&Entry>, new: Option<&Entry>) -> FileChange {
        let hex = |entry: Option<&Entry>| entry?.sha256.map(|digest| digest::hex(&digest).into());
        let (owner, group) = new.map(|entry| self.observer.owner(entry.uid, entry.gid)).unzip();
        FileChange {
            path: path.to_string_lossy().into(),
            change,
            old_sha256: hex(old),
            new_sha256: hex(new),
            owner,
            group,
            mode: new.map(|entry| format!("{:04o}", entry.mode).into()),
            size: new.map(|entry| entry.size),
            inode: new.map(|entry| entry.inode),
            mtime: new.map(|entry| Stamp::utc(entry.mtime_ns / 1_000_000)),
            sessions: Vec::new(),
            package_manager: false,
            command_id: None,
        }
    }
}
