//! What waits for the writer, and when the writer may begin: a pure core, time as an argument.
//!
//! The writer takes what waits, up to `STORE_GROUP_BYTES`, into one commit, and begins the next at
//! the earliest one pace after the last began (2 ms: measured, a third less CPU at 100,000 events a
//! second for 2 ms of latency). A full group does not wait. Changes that nobody waits for (an
//! acknowledged batch is deleted) wait up to `LAZY_US` for company, so that a lone event costs one
//! commit and not two.

use super::error::StoreError;
use super::op::Op;
use nms_proto::limits::STORE_GROUP_BYTES;
use std::collections::VecDeque;

/// Longest time that a lazy change waits for a commit of its own, in microseconds.
pub(super) const LAZY_US: u64 = 50_000;

/// Called once, on the writer's thread, when a change is durable or never will be. It must be short.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// How urgent a change is, and whether it may be turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// New data: refused while the disk is full or too much waits.
    Intake,
    /// What the store needs to go on, such as a cursor: taken as long as the store lives.
    Upkeep,
    /// As `Upkeep`, and nobody waits for it.
    Lazy,
    /// As `Lazy`, and it makes room: on a full disk it goes before what was submitted earlier, unless that changes the
    /// same keys.
    Room,
}

impl Class {
    /// Whether somebody waits for it.
    const fn is_urgent(self) -> bool {
        matches!(self, Self::Intake | Self::Upkeep)
    }
}

/// A change that waits, all of whose operations commit together.
pub(super) struct Waiting {
    pub(super) ops: Vec<Op>,
    pub(super) bytes: usize,
    pub(super) class: Class,
    done: Option<Done>,
    stopped: StoreError,
}

impl Waiting {
    /// `stopped` is what the waiter hears when the change is dropped before it was committed.
    pub(super) fn new(ops: Vec<Op>, class: Class, done: Done, stopped: StoreError) -> Self {
        let bytes = ops.iter().map(Op::bytes).sum();
        Self { ops, bytes, class, done: Some(done), stopped }
    }

    /// Whether both change a key.
    fn meets(&self, other: &Self) -> bool {
        self.ops.iter().any(|op| other.ops.iter().any(|other| op.meets(other)))
    }

    /// Tells the waiter.
    pub(super) fn finish(mut self, result: Result<(), StoreError>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(self.stopped.clone()));
        }
    }
}

/// When the next commit begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing waits.
    Idle,
    /// In so many microseconds.
    In(u64),
    /// At once.
    Now,
}

/// The queue in front of the writer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    urgent: usize,
    lazy_since_us: Option<u64>,
    last_start_us: Option<u64>,
}

impl Queue {
    /// Adds a change at the end.
    pub(super) fn push(&mut self, waiting: Waiting, now_us: u64) {
        self.bytes += waiting.bytes;
        if waiting.class.is_urgent() {
            self.urgent += 1;
        } else {
            self.lazy_since_us.get_or_insert(now_us);
        }
        self.waiting.push_back(waiting);
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next commit begins, at least `pace_us` after the last began.
    pub(super) fn due(&self, now_us: u64, pace_us: u64) -> Due {
        if self.waiting.is_empty() {
            return Due::Idle;
        }
        if self.bytes >= STORE_GROUP_BYTES {
            return Due::Now;
        }
        let paced = self.last_start_us.map_or(0, |start| start.saturating_add(pace_us));
        let lazy = self.lazy_since_us.filter(|_| self.urgent == 0).map_or(0, |since| since.saturating_add(LAZY_US));
        match paced.max(lazy).saturating_sub(now_us) {
            0 => Due::Now,
            wait => Due::In(wait),
        }
    }

    /// Takes the next group, in order: at least one change, at most `STORE_GROUP_BYTES` of several.
    pub(super) fn take(&mut self, now_us: u64) -> Vec<Waiting> {
        self.last_start_us = Some(now_us);
        let mut group: Vec<Waiting> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            if !group.is_empty() && bytes + next.bytes > STORE_GROUP_BYTES {
                break;
            }
            bytes += next.bytes;
            group.extend(self.waiting.pop_front());
        }
        self.count(now_us);
        group
    }

    /// As [`Queue::take`], where room is short: what makes room goes first; where nothing does, one change alone.
    pub(super) fn take_scarce(&mut self, now_us: u64) -> Vec<Waiting> {
        self.last_start_us = Some(now_us);
        let mut group: Vec<Waiting> = Vec::new();
        let mut stays: VecDeque<Waiting> = VecDeque::new();
        let (mut bytes, mut may_go) = (0, true);
        for waiting in std::mem::take(&mut self.waiting) {
            // Those that make room keep their order: where one stays, all behind it do.
            if waiting.class == Class::Room && may_go {
                may_go = bytes + waiting.bytes <= STORE_GROUP_BYTES && !stays.iter().any(|stays| stays.meets(&waiting));
            }
            if waiting.class == Class::Room && may_go {
                bytes += waiting.bytes;
                group.push(waiting);
            } else {
                stays.push_back(waiting);
            }
        }
        if group.is_empty() {
            group.extend(stays.pop_front());
        }
        self.waiting = stays;
        self.count(now_us);
        group
    }

    /// Puts a group that was taken, and is not durable, where it was.
    pub(super) fn put_back(&mut self, group: Vec<Waiting>, now_us: u64) {
        for waiting in group.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
        self.count(now_us);
    }

    fn count(&mut self, now_us: u64) {
        self.bytes = self.waiting.iter().map(|waiting| waiting.bytes).sum();
        self.urgent = self.waiting.iter().filter(|waiting| waiting.class.is_urgent()).count();
        self.lazy_since_us = (self.urgent < self.waiting.len()).then_some(now_us);
    }

    /// Takes all that waits.
    pub(super) fn clear(&mut self) -> VecDeque<Waiting> {
        (self.bytes, self.urgent, self.lazy_since_us) = (0, 0, None);
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::super::op::Table;
    use super::*;

    const PACE_US: u64 = 2_000;

    fn push(queue: &mut Queue, bytes: usize, class: Class, now_us: u64) {
        let op = Op::Put { table: Table("t"), key: Vec::new(), value: vec![0; bytes] };
        let stopped = StoreError::Stopped { store: "t".into() };
        queue.push(Waiting::new(vec![op], class, Box::new(|_| ()), stopped), now_us);
    }

    #[test]
    fn commits_keep_their_distance() {
        let mut queue = Queue::default();
        assert_eq!(queue.due(0, PACE_US), Due::Idle);
        push(&mut queue, 10, Class::Intake, 100);
        assert_eq!(queue.due(100, PACE_US), Due::Now, "the first goes at once");
        assert_eq!(queue.take(100).len(), 1);
        push(&mut queue, 10, Class::Upkeep, 300);
        assert_eq!(queue.due(300, PACE_US), Due::In(1_800));
        assert_eq!(queue.due(2_100, PACE_US), Due::Now);
        push(&mut queue, STORE_GROUP_BYTES, Class::Intake, 400);
        assert_eq!(queue.due(400, PACE_US), Due::Now, "a full group does not wait");
    }

    #[test]
    fn a_lazy_change_waits_for_company() {
        let mut queue = Queue::default();
        push(&mut queue, 10, Class::Lazy, 1_000);
        assert_eq!(queue.due(1_000, PACE_US), Due::In(LAZY_US));
        push(&mut queue, 10, Class::Intake, 5_000);
        assert_eq!(queue.due(5_000, PACE_US), Due::Now);
        assert_eq!(queue.take(5_000).len(), 2, "and goes with it, in order");
        push(&mut queue, 10, Class::Lazy, 6_000);
        assert_eq!(queue.due(6_000 + LAZY_US, PACE_US), Due::Now);
    }

    #[test]
    fn what_makes_room_goes_first_and_keeps_its_order() {
        let put = |key: u64| vec![Op::Put { table: Table("t"), key: key.to_be_bytes().into(), value: vec![0; 9] }];
        let gone = |first: u64, last: u64| {
            vec![Op::DeleteRange {
                table: Table("t"),
                first: first.to_be_bytes().into(),
                last: last.to_be_bytes().into(),
            }]
        };
        let mut queue = Queue::default();
        let changes =
            [(put(9), Class::Upkeep), (gone(1, 3), Class::Room), (put(5), Class::Upkeep), (gone(4, 5), Class::Room)];
        for (ops, class) in changes.into_iter().chain([(gone(6, 7), Class::Room)]) {
            queue.push(Waiting::new(ops, class, Box::new(|_| ()), StoreError::Stopped { store: "t".into() }), 0);
        }
        let ops = |group: &[Waiting]| group.iter().flat_map(|waiting| waiting.ops.clone()).collect::<Vec<_>>();
        let first = queue.take_scarce(1);
        assert_eq!(ops(&first), gone(1, 3), "what meets an earlier change stays, and what is behind it");
        queue.put_back(first, 1);
        assert_eq!(ops(&queue.take_scarce(2)), gone(1, 3));
        assert_eq!(ops(&queue.take_scarce(3)), put(9), "without any, one change alone");
        assert_eq!(ops(&queue.take_scarce(4)), put(5));
        assert_eq!(ops(&queue.take_scarce(5)), [gone(4, 5), gone(6, 7)].concat());
        assert_eq!((queue.bytes(), queue.due(6, PACE_US)), (0, Due::Idle));
    }

    #[test]
    fn groups_are_bounded_in_bytes() {
        let mut queue = Queue::default();
        for bytes in [2 * STORE_GROUP_BYTES, STORE_GROUP_BYTES / 2, STORE_GROUP_BYTES / 4, STORE_GROUP_BYTES / 2] {
            push(&mut queue, bytes, Class::Intake, 0);
        }
        let groups: Vec<usize> = (0..3).map(|_| queue.take(0).len()).collect();
        assert_eq!((groups, queue.bytes()), (vec![1, 2, 1], 0));
    }
}
