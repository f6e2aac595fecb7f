//! Which batch a tenant's analysis is looking at: said to a panic's note, and marked where an earlier life may
//! have died of it.
//!
//! A window is scored when its source falls quiet, up to [`MODEL_WINDOW_IDLE_MS`] after its last batch, with
//! the next batch or with none. So the deadlines of batches of an earlier life are marked as the batches are,
//! and while there is a suspect each look at it is marked by itself, whosever turn it is.

use std::{collections::VecDeque, sync::Arc};

use nms_proto::limits::MODEL_WINDOW_IDLE_MS;

use super::{marks::Marks, panics};
use crate::{
    live::Tenant,
    store::{Change, Class, Cursor, LogSeq, Mark, StoreError},
};

/// Batches before a snapshot whose windows it may hold unscored, for an end that names none.
const UNSCORED_BATCHES: u64 = 1_024;

/// What is looked at, and what is marked.
#[derive(Debug)]
pub struct Watch {
    tenant: Arc<Tenant>,
    /// What an earlier life left.
    pub marks: Marks,
    /// Batches of an earlier life, with their times, whose windows may still be unscored; one a millisecond.
    unscored: VecDeque<(LogSeq, i64)>,
    /// The mark of what is under way, and the one that is stored.
    under_way: Option<Mark>,
    stored: Option<Mark>,
    looked_at: Option<LogSeq>,
}

impl Watch {
    /// Nothing is under way.
    pub fn new(tenant: Arc<Tenant>, marks: Marks) -> Self {
        Self { tenant, marks, unscored: VecDeque::new(), under_way: None, stored: None, looked_at: None }
    }

    /// Analysis takes up a state that may hold unscored windows.
    pub fn resume(&mut self, at: Cursor) {
        let from = LogSeq(at.scored.0.saturating_sub(UNSCORED_BATCHES).max(1));
        self.unscored.push_back((from, at.ticked_ms));
    }

    /// Batches `from` to `to` are about to be analysed.
    ///
    /// # Errors
    /// The mark cannot be stored; they must not be.
    pub fn batches(&mut self, from: LogSeq, to: LogSeq) -> Result<(), StoreError> {
        let mark = self.marks.mark(from, to);
        // Their coming scores windows of those before.
        let first = self.unscored.front().map_or(from, |(first, _)| from.min(*first));
        let alone = self.marks.suspect(from);
        self.under_way = alone.or(mark.map(|mark| Mark { from: first, ..mark }));
        self.keep(self.under_way)
    }

    /// Deadlines after batch `last` are about to be handled.
    ///
    /// # Errors
    /// As [`Watch::batches`].
    pub fn deadlines(&mut self, last: LogSeq) -> Result<(), StoreError> {
        let Some((first, _)) = self.unscored.front() else { return Ok(()) };
        self.under_way = Some(self.marks.among(*first, last.max(*first)));
        self.keep(self.under_way)
    }

    /// An event of a batch, or a window that ends in one, is about to be looked at.
    pub fn look_at(&mut self, seq: LogSeq) {
        if self.looked_at.replace(seq) == Some(seq) {
            return;
        }
        panics::look_at(self.tenant.id(), seq);
        // A store that takes no mark takes nothing of what is found either, and that is reported.
        self.keep(self.marks.suspect(seq).or(self.under_way)).unwrap_or_default();
    }

    /// A batch was analysed that came at `arrived_ms`: what was due before is done.
    pub fn analysed(&mut self, seq: LogSeq, arrived_ms: i64) {
        self.ticked(arrived_ms);
        if self.marks.covers(seq) && self.unscored.back().is_none_or(|(_, at_ms)| *at_ms < arrived_ms) {
            self.unscored.push_back((seq, arrived_ms));
        }
    }

    /// Deadlines up to `at_ms` were handled.
    pub fn ticked(&mut self, at_ms: i64) {
        while self.unscored.front().is_some_and(|(_, came_ms)| came_ms + MODEL_WINDOW_IDLE_MS as i64 <= at_ms) {
            self.unscored.pop_front();
        }
    }

    /// Nothing is looked at any more; true where a mark is stored that is to be removed with what was found.
    pub fn look_away(&mut self) -> bool {
        panics::look_away();
        (self.under_way, self.looked_at) = (None, None);
        self.stored.take().is_some()
    }

    /// Stores `mark`, or that there is none, and waits until that is durable.
    fn keep(&mut self, mark: Option<Mark>) -> Result<(), StoreError> {
        if self.stored == mark {
            return Ok(());
        }
        let change = mark.map_or(Change::Unmark, Change::Mark);
        let (done, durable) = std::sync::mpsc::sync_channel(1);
        let told = Box::new(move |result| done.send(result).unwrap_or_default());
        self.tenant.store().commit(vec![change], Class::Upkeep, told)?;
        durable.recv().unwrap_or_else(|_closed| Err(StoreError::Stopped { store: "the server's store".into() }))?;
        self.stored = mark;
        Ok(())
    }
}
