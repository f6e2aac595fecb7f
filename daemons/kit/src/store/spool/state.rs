//! The spool in memory: where it begins and ends, what is missing in between, the newest batches.
//!
//! Pure: no disk, no clock. The shell in `mod.rs` reads rows where this asks for them, and hands the
//! changes that it makes to the writer in the order in which they were made, so that the disk is
//! always an earlier moment of this state.

use super::ids::Ids;
use super::record::{Held, Hole, LostKey, Mark, Name, SKIPPED, Totals, delete_batches, put_lost};
use super::types::{Batch, Cause, Limits, Skipped};
use crate::store::bytes::key_of;
use crate::store::header::{Count, SEVERITY_UNKNOWN};
use crate::store::op::Op;
use nms_proto::limits::{SOURCES_MAX, WINDOW_BATCHES};
use std::collections::{BTreeMap, VecDeque};

/// Where rows stand or are missing.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) name: Name,
    /// The first position that is not acknowledged.
    pub(super) head: Mark,
    /// The position of the next batch.
    pub(super) next: Mark,
    /// Positions below are committed.
    pub(super) durable: u64,
    /// Positions below were, or may have been, sent: they are never dropped to make room.
    pub(super) sent: u64,
    /// Events acknowledged in the spool's life.
    pub(super) delivered: u64,
    pub(super) holes: BTreeMap<u64, Hole>,
    pub(super) lost: BTreeMap<LostKey, u64>,
    pub(super) ids: Ids,
    pub(super) quarantined: u64,
    pub(super) quarantine_next: u64,
    /// Where rows that are still on disk begin, and each head since; the last is the present one.
    kept: VecDeque<Mark>,
    tail: VecDeque<Held>,
    tail_bytes: usize,
}

/// What stands at a position, as far as memory knows.
#[derive(Debug)]
pub(super) enum Slot {
    /// Beyond the last batch, or not durable yet.
    End,
    /// Missing up to the position given here.
    Missing(u64),
    /// In memory.
    Memory(Held),
    /// On disk, as are those up to the position given here (not included).
    Disk(u64),
}

impl State {
    /// The state after an opening. What the last run had in flight is not known: as many batches as
    /// a window holds count as sent.
    pub(super) fn new(limits: Limits, name: Name, head: Mark, delivered: u64, next: Mark, ids: Ids) -> Self {
        Self {
            limits,
            name,
            head,
            next,
            durable: next.position,
            sent: head.position.saturating_add(WINDOW_BATCHES as u64),
            delivered,
            holes: BTreeMap::new(),
            lost: BTreeMap::new(),
            ids,
            quarantined: 0,
            quarantine_next: 1,
            kept: VecDeque::from([head]),
            tail: VecDeque::new(),
            tail_bytes: 0,
        }
    }

    /// The position of the batch with this number on the wire.
    pub(super) const fn position(&self, number: u64) -> u64 {
        self.name.base.saturating_add(number)
    }

    /// The number on the wire of the batch at `position`.
    pub(super) const fn number(&self, position: u64) -> u64 {
        position.saturating_sub(self.name.base)
    }

    /// What is held and not missing.
    pub(super) fn held(&self) -> Totals {
        let missing = self.holes.values().fold(Totals::default(), |sum, hole| sum.plus(hole.size));
        self.next.before.minus(self.head.before).minus(missing)
    }

    /// Batches held.
    pub(super) fn batches(&self) -> u64 {
        let missing: u64 = self.holes.iter().map(|(first, hole)| hole.last - first + 1).sum();
        (self.next.position - self.head.position).saturating_sub(missing)
    }

    /// Whether `more` would not fit.
    pub(super) fn over(&self, more: Totals) -> bool {
        !self.held().plus(more).within(self.limits)
    }

    /// The hole that contains `position`.
    pub(super) fn hole_at(&self, position: u64) -> Option<(u64, Hole)> {
        let (first, hole) = self.holes.range(..=position).next_back()?;
        (hole.last >= position).then_some((*first, *hole))
    }

    /// The batch at `position`, where memory has it.
    pub(super) fn in_memory(&self, position: u64) -> Option<&Held> {
        let index = self.tail.binary_search_by_key(&position, |held| held.position).ok()?;
        self.tail.get(index)
    }

    /// What stands at `position`.
    pub(super) fn slot(&self, position: u64) -> Slot {
        if position >= self.durable {
            return Slot::End;
        }
        if let Some((_, hole)) = self.hole_at(position) {
            return Slot::Missing(hole.last);
        }
        if let Some(held) = self.in_memory(position) {
            return Slot::Memory(held.clone());
        }
        let hole = self.holes.range(position..).next().map(|(first, _)| *first);
        let tail = self.tail.iter().map(|held| held.position).find(|first| *first > position);
        Slot::Disk(hole.into_iter().chain(tail).fold(self.durable, u64::min))
    }

    /// Puts a batch that was placed at `next` into memory.
    pub(super) fn push(&mut self, held: Held) {
        self.next = Mark { position: held.position + 1, before: held.after() };
        self.tail_bytes += held.memory_bytes();
        self.tail.push_back(held);
    }

    /// Positions below `durable` are committed: memory gives up what is above its bound.
    pub(super) fn committed(&mut self, durable: u64) {
        self.durable = self.durable.max(durable);
        while self.tail_bytes > self.limits.memory_bytes_max
            && self.tail.front().is_some_and(|held| held.position < self.durable)
        {
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        if let Some(held) = self.tail.pop_front() {
            self.tail_bytes -= held.memory_bytes();
        }
    }

    /// All before `head` is acknowledged; of what was delivered so much stays on disk.
    pub(super) fn acknowledge(&mut self, head: Mark, history_bytes_max: u64, ops: &mut Vec<Op>) -> Totals {
        let later = self.holes.split_off(&head.position);
        let reported = std::mem::replace(&mut self.holes, later);
        let mut delivered = head.before.minus(self.head.before);
        for (first, hole) in reported {
            ops.push(Op::Delete { table: SKIPPED, key: key_of(first) });
            delivered = delivered.minus(hole.size);
        }
        self.delivered = self.delivered.saturating_add(delivered.events);
        self.head = head;
        self.keep(head, history_bytes_max, ops);
        self.sent = self.sent.max(head.position);
        while self.tail.front().is_some_and(|held| held.position < head.position) {
            self.forget_front();
        }
        ops.push(head.put_head(self.delivered));
        delivered
    }

    /// Delivered batches stay on disk up to a bound; what is older goes.
    fn keep(&mut self, head: Mark, bytes_max: u64, ops: &mut Vec<Op>) {
        self.kept.push_back(head);
        let Some(from) = self.kept.front().copied() else { return };
        let is_over = |mark: &Mark| head.before.minus(mark.before).bytes > bytes_max;
        while self.kept.pop_front_if(|mark| is_over(mark)).is_some() {}
        if let Some(until) = self.kept.front().filter(|until| until.position > from.position) {
            ops.push(delete_batches(from.position, until.position - 1));
        }
    }

    /// Delivered batches go, all of them.
    pub(super) fn drop_history(&mut self) -> Vec<Op> {
        let (from, until) = (self.oldest_kept(), self.head.position);
        self.kept = VecDeque::from([self.head]);
        if from < until { vec![delete_batches(from, until - 1)] } else { Vec::new() }
    }

    /// Events of batches that are not committed, by source.
    pub(super) fn not_durable(&self) -> BTreeMap<Box<str>, u64> {
        let mut events: BTreeMap<Box<str>, u64> = BTreeMap::new();
        let taken = self.tail.iter().filter(|held| held.position >= self.durable);
        for count in taken.flat_map(|held| &held.header.counts) {
            *events.entry(count.source.clone()).or_default() += u64::from(count.events);
        }
        events
    }

    /// Rows of delivered batches stand at `marks`, by rising position, as an opening found them.
    pub(super) fn kept_at(&mut self, marks: Vec<Mark>) {
        for mark in marks.into_iter().rev() {
            self.kept.push_front(mark);
        }
    }

    /// The first position whose row is on disk, delivered or not.
    pub(super) fn oldest_kept(&self) -> u64 {
        self.kept.front().map_or(self.head.position, |mark| mark.position)
    }

    /// The batches from `first` to `hole.last` will not be sent. Neighbours of one cause become one.
    pub(super) fn skip(&mut self, mut first: u64, mut hole: Hole, counts: &[Count], ops: &mut Vec<Op>) {
        ops.push(delete_batches(first, hole.last));
        for count in counts {
            ops.push(self.lose(hole.cause, count));
        }
        self.tail.retain(|held| held.position < first || held.position > hole.last);
        self.tail_bytes = self.tail.iter().map(Held::memory_bytes).sum();
        if let Some((before, left)) = self.holes.range(..first).next_back().map(|(key, hole)| (*key, *hole))
            && left.last + 1 == first
            && left.cause == hole.cause
        {
            hole = Hole { last: hole.last, before: left.before, size: left.size.plus(hole.size), cause: hole.cause };
            first = before;
        }
        if let Some(right) = self.holes.get(&(hole.last + 1)).copied()
            && right.cause == hole.cause
        {
            self.holes.remove(&(hole.last + 1));
            ops.push(Op::Delete { table: SKIPPED, key: key_of(hole.last + 1) });
            hole.last = right.last;
            hole.size = hole.size.plus(right.size);
        }
        ops.push(hole.put(first));
        self.holes.insert(first, hole);
    }

    /// Counts lost events; sources beyond `SOURCES_MAX` are counted together as `other`.
    fn lose(&mut self, cause: Cause, count: &Count) -> Op {
        let mut key = (cause, count.severity, count.source.clone());
        if self.lost.len() >= SOURCES_MAX && !self.lost.contains_key(&key) {
            key.2 = "other".into();
        }
        let events = self.lost.get(&key).copied().unwrap_or(0).saturating_add(u64::from(count.events));
        let op = put_lost(&key, events);
        self.lost.insert(key, events);
        op
    }

    /// Marks `found` as sent, without what went meanwhile, each with what is missing before it.
    pub(super) fn hand_out(&mut self, found: Vec<Held>) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(found.len());
        for held in found {
            if held.position < self.head.position || self.hole_at(held.position).is_some() {
                continue;
            }
            self.sent = self.sent.max(held.position + 1);
            batches.push(Batch {
                number: self.number(held.position),
                skipped: self.skipped_before(held.position),
                header: held.header,
                body: held.body,
            });
        }
        batches
    }

    /// What stands missing directly before `position`, oldest first.
    pub(super) fn skipped_before(&self, position: u64) -> Vec<Skipped> {
        let mut found = Vec::new();
        let mut end = position;
        while let Some((first, hole)) = end.checked_sub(1).and_then(|before| self.hole_at(before)) {
            found.push(self.skipped_as(first, &hole));
            end = first;
        }
        found.reverse();
        found
    }

    /// All that is missing and not yet reported, oldest first.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let each = |(first, hole): (&u64, &Hole)| self.skipped_as(*first, hole);
        self.holes.iter().map(each).collect()
    }

    fn skipped_as(&self, first: u64, hole: &Hole) -> Skipped {
        Skipped { from: self.number(first), to: self.number(hole.last), events: hole.size.events, cause: hole.cause }
    }

    /// The lowest position that is held and was never sent.
    pub(super) fn unsent(&self, from: u64) -> Option<u64> {
        let mut position = from.max(self.sent).max(self.head.position);
        while let Some((_, hole)) = self.hole_at(position) {
            position = hole.last + 1;
        }
        (position < self.next.position).then_some(position)
    }

    /// The counts that stand for `events` that can no longer be read.
    pub(super) fn unknown(events: u64) -> Vec<Count> {
        if events == 0 {
            return Vec::new();
        }
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        vec![Count { source: "unknown".into(), severity: SEVERITY_UNKNOWN, events }]
    }
}
