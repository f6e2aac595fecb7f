//! Event numbers: handed out from blocks that were reserved durably before, so that a number shown
//! once is never given again. Gaps are normal: what was reserved and not used is gone at a restart.

use nms_proto::limits::EVENT_IDS_RESERVED;
use std::ops::Range;

/// The numbers of one run of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    next: u64,
    /// Numbers below are reserved durably.
    limit: u64,
    /// Numbers below are reserved once what was submitted is durable.
    asked: u64,
}

impl Ids {
    /// After a start: all below `limit` may have been given in an earlier run.
    pub(super) const fn starting_at(limit: u64) -> Self {
        Self { next: limit, limit, asked: limit }
    }

    /// `count` numbers, where so many are reserved.
    pub(super) fn take(&mut self, count: u64) -> Option<Range<u64>> {
        let end = self.next.checked_add(count).filter(|end| *end <= self.limit)?;
        let taken = self.next..end;
        self.next = end;
        Some(taken)
    }

    /// The new limit to be made durable, when less than a block, or than `count`, is left.
    pub(super) fn reserve(&mut self, count: u64) -> Option<u64> {
        let wanted = self.next.saturating_add(count.max(EVENT_IDS_RESERVED));
        if self.asked >= wanted {
            return None;
        }
        self.asked = wanted.saturating_add(EVENT_IDS_RESERVED);
        Some(self.asked)
    }

    /// `limit` is durable.
    pub(super) fn reserved(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }
}
