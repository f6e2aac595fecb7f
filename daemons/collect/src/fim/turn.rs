//! The turns of a check or a report.
//!
//! A walk finds what is new or differs, a pass over the baseline what is gone. A report gives a row
//! for each file, hashed anew, and leaves the baseline as it is; a check reports what differs and
//! makes it the baseline. A pattern is known once a check came to its end.

use std::path::{Path, PathBuf};

use nms_kit::store::StoreError;
use nms_proto::{
    event::{Body, Change, Draft, FileReport},
    limits::FIM_FILES_MAX,
};

use super::{
    baseline::{Row, change},
    guard::{Guard, Outcome},
    job::{Job, Phase, Purpose, Totals},
    look::Look,
    scan::{self, Step, Thing},
};
use crate::{counters::What, moment::Now};

/// Files looked at in one turn.
const STEP_FILES: usize = 256;
/// Content hashed in one turn, in bytes; the file that goes over it is finished.
const STEP_BYTES: u64 = 16 << 20;

impl Guard {
    /// A turn of a check or report; true when it is at its end.
    pub(super) fn turn(&mut self, job: &mut Job, now: Now, outcome: &mut Outcome) -> Result<bool, StoreError> {
        match &mut job.phase {
            Phase::Walking(walk) => {
                let mut bytes = 0;
                for _ in 0..STEP_FILES {
                    let Some(step) = walk.next(|path| self.roots.excludes(path)) else {
                        job.phase = Phase::Missing(PathBuf::new());
                        return Ok(false);
                    };
                    bytes += self.walked(step, &job.purpose, &mut job.totals, (now, outcome))?;
                    if bytes >= STEP_BYTES {
                        break;
                    }
                }
                Ok(false)
            }
            Phase::Missing(after) => {
                let page = self.baseline.page(after, None, STEP_FILES)?;
                for path in &page {
                    self.missing(path, &job.purpose, &mut job.totals, (now, outcome))?;
                }
                if let Some(last) = page.into_iter().next_back() {
                    *after = last;
                    return Ok(false);
                }
                self.finish(job, outcome)?;
                Ok(true)
            }
        }
    }

    /// What a walk came by; gives how many bytes were hashed.
    fn walked(
        &mut self,
        step: Step,
        purpose: &Purpose,
        totals: &mut Totals,
        (now, outcome): (Now, &mut Outcome),
    ) -> Result<u64, StoreError> {
        let path = match step {
            Step::File(path) => path,
            Step::Folder(path) => {
                self.watch_folder(&path);
                return Ok(0);
            }
            Step::Unreadable(_) => {
                totals.unreadable += 1;
                return Ok(0);
            }
            Step::TooDeep => {
                totals.too_deep += 1;
                return Ok(0);
            }
        };
        let rehash_before_s =
            if let Purpose::Check { rehash_before_s } = purpose { *rehash_before_s } else { i64::MAX };
        let look = Look::at(&path, &self.baseline, rehash_before_s, now.stamp)?;
        totals.files += 1;
        totals.unreadable += u64::from(look.unreadable);
        totals.unhashed += u64::from(look.new.as_ref().is_some_and(|new| new.sha256.is_none()) && !look.unreadable);
        if let Some(command_id) = purpose.command_id() {
            self.report_row(&path, &look, (command_id, totals), outcome);
        } else {
            totals.over += u64::from(look.old.is_none() && self.files >= FIM_FILES_MAX);
            totals.changed += u64::from(self.conclude(&path, &look, (now, None), outcome));
        }
        Ok(look.hashed_bytes)
    }

    /// A path of the baseline: reported where it is gone, dropped where it is watched no more.
    fn missing(
        &mut self,
        path: &Path,
        purpose: &Purpose,
        totals: &mut Totals,
        (now, outcome): (Now, &mut Outcome),
    ) -> Result<(), StoreError> {
        if !self.roots.covers(path) {
            if purpose.command_id().is_none() {
                self.files = self.files.saturating_sub(1);
                outcome.rows.extend(Row::file(path, None));
            }
            return Ok(());
        }
        if !matches!(scan::look(path), Ok(Thing::Gone | Thing::Folder | Thing::Other)) {
            return Ok(());
        }
        let look = Look::at(path, &self.baseline, i64::MIN, now.stamp)?;
        if look.new.is_some() {
            return Ok(());
        }
        if let Some(command_id) = purpose.command_id() {
            self.report_row(path, &look, (command_id, totals), outcome);
        } else {
            totals.changed += u64::from(self.conclude(path, &look, (now, None), outcome));
        }
        Ok(())
    }

    fn report_row(
        &mut self,
        path: &Path,
        look: &Look,
        (command_id, totals): (&str, &mut Totals),
        outcome: &mut Outcome,
    ) {
        let (old, new) = (look.old.as_deref(), look.new.as_deref());
        let word = match change(old, new) {
            None => Change::Unchanged,
            Some(Change::Deleted) => Change::Deleted,
            Some(_) => Change::Report,
        };
        totals.changed += u64::from(word != Change::Unchanged);
        let mut row = self.row(path, word, old, new);
        row.command_id = Some(command_id.into());
        outcome.drafts.push(Draft::new(Body::File(Box::new(row))));
    }

    /// The end of a check or report.
    fn finish(&mut self, job: &Job, outcome: &mut Outcome) -> Result<(), StoreError> {
        let totals = job.totals;
        if let Some(command_id) = job.purpose.command_id() {
            let Totals { files, changed, unreadable, .. } = totals;
            let report = FileReport { command_id: command_id.into(), files, changed, unreadable };
            outcome.drafts.push(Draft::new(Body::Report(Box::new(report))));
            return Ok(());
        }
        for include in &mut self.roots.includes {
            if include.before.as_ref() != Some(&include.now) {
                outcome.rows.push(Row::done(include.pattern.as_path(), &include.now));
                include.before = Some(include.now.clone());
            }
        }
        self.files = self.baseline.len()?;
        self.count(totals);
        Ok(())
    }

    fn count(&self, totals: Totals) {
        self.counters.add(What::FimChecks, 1);
        self.counters.set(What::FimFiles, totals.files);
        self.counters.set(What::FimUnreadable, totals.unreadable);
        self.counters.set(What::FimUnhashed, totals.unhashed);
        self.counters.set(What::FimTooDeep, totals.too_deep);
        if self.counters.set(What::FimFilesOver, totals.over) == 0 && totals.over > 0 {
            log::warn!("file integrity holds as many files as it may max={FIM_FILES_MAX} left_out={}", totals.over);
        }
        log::debug!("files were checked files={} changed={}", totals.files, totals.changed);
    }
}
