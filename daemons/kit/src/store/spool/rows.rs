//! The part of the spool that reads its rows: for a sender that is behind, for making room, and to
//! find out what a damaged row held.

use super::record::{BATCHES, Held, Hole, Totals};
use super::state::State;
use super::{Cause, NewBatch, Spool, SpoolError, WhenFull};
use crate::store::bytes::{key_of, number_of};
use crate::store::db::ignore;
use crate::store::error::StoreError;
use crate::store::op::Op;
use crate::store::queue::Class;
use crate::store::view::Found;
use nms_proto::limits::STORE_VALUE_BYTES_MAX;
use std::ops::ControlFlow;

impl Spool {
    /// What `batches` will weigh; refused where one, or one of the other changes, is too large.
    pub(super) fn weigh(&self, batches: &[NewBatch], also: &[Op]) -> Result<Totals, SpoolError> {
        let mut sum = Totals::default();
        let mut largest = also.iter().map(Op::value_bytes).max().unwrap_or(0);
        for batch in batches {
            let bytes = Held::stored_bytes(&batch.header, &batch.body);
            largest = largest.max(bytes);
            sum = sum.plus(Totals { events: batch.header.events(), bytes: bytes as u64 });
        }
        if largest > STORE_VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { store: self.db().name().clone(), bytes: largest }.into());
        }
        Ok(sum)
    }

    /// The batch at `position`; `None` where its row is damaged or not there.
    pub(super) fn held(&self, state: &State, position: u64) -> Result<Option<Held>, SpoolError> {
        if let Some(held) = state.in_memory(position) {
            return Ok(Some(held.clone()));
        }
        let found = self.db().read(|view| view.value(BATCHES, &key_of(position)))?;
        Ok(found.and_then(Found::sound).and_then(|value| Held::read(position, &value)))
    }

    /// The sound batches from `position` on without a gap, up to `end` (not included) and about
    /// `bytes_max`.
    pub(super) fn fetch(&self, position: u64, end: u64, bytes_max: usize) -> Result<Vec<Held>, SpoolError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        self.db().read(|view| {
            view.range(BATCHES, &key_of(position), &key_of(end.saturating_sub(1)), |key, value| {
                let expected = position + found.len() as u64;
                let sound = value.sound().filter(|_| number_of(key) == Some(expected));
                let Some(held) = sound.and_then(|value| Held::read(expected, value)) else {
                    return ControlFlow::Break(());
                };
                bytes += held.body.len();
                if bytes > bytes_max && !found.is_empty() {
                    return ControlFlow::Break(());
                }
                found.push(held);
                ControlFlow::Continue(())
            })
        })?;
        Ok(found)
    }

    /// The totals before `position`, which is not below the head. Where its row is damaged the
    /// damage is settled first.
    pub(super) fn totals_before(&self, state: &mut State, position: u64) -> Result<Totals, SpoolError> {
        if position == state.next.position {
            return Ok(state.next.before);
        }
        if position == state.head.position {
            return Ok(state.head.before);
        }
        if state.hole_at(position).is_none() {
            if let Some(held) = self.held(state, position)? {
                return Ok(held.before);
            }
            self.repair(state, position)?;
        }
        Ok(state.hole_at(position).map_or(state.next.before, |(_, hole)| hole.before))
    }

    /// Makes the damaged rows around `position` a hole, counted: what they held is the difference
    /// between their neighbours' totals. Nothing happens where the row is sound after all, or gone.
    pub(super) fn repair(&self, state: &mut State, position: u64) -> Result<(), SpoolError> {
        let lost = |state: &State, at: u64| -> Result<bool, SpoolError> {
            Ok(state.hole_at(at).is_none() && self.held(state, at)?.is_none())
        };
        if position < state.head.position || position >= state.next.position || !lost(state, position)? {
            return Ok(());
        }
        let (mut first, mut end) = (position, position + 1);
        while first > state.head.position && lost(state, first - 1)? {
            first -= 1;
        }
        while end < state.next.position && lost(state, end)? {
            end += 1;
        }
        let before = self.totals_after(state, first)?;
        let after = self.totals_before(state, end)?;
        let size = after.minus(before);
        log::warn!(
            "damaged rows were skipped; store={} first={} last={} events={}",
            self.db().name(),
            state.number(first),
            state.number(end - 1),
            size.events
        );
        let mut ops = Vec::new();
        let hole = Hole { last: end - 1, before, size, cause: Cause::Damaged };
        state.skip(first, hole, &State::unknown(size.events), &mut ops);
        Ok(self.db().submit(ops, Class::Upkeep, ignore())?)
    }

    /// The totals after what stands directly before `first`.
    fn totals_after(&self, state: &State, first: u64) -> Result<Totals, SpoolError> {
        if first == state.head.position {
            return Ok(state.head.before);
        }
        if let Some((_, hole)) = state.hole_at(first - 1) {
            return Ok(hole.after());
        }
        Ok(self.held(state, first - 1)?.map_or(state.head.before, |held| held.after()))
    }

    /// Drops the oldest batches that were never sent until `more` fits; `Full`, and nothing
    /// dropped, where that cannot be.
    pub(super) fn make_room(
        &self,
        state: &mut State,
        more: Totals,
        when_full: WhenFull,
        ops: &mut Vec<Op>,
    ) -> Result<(), SpoolError> {
        let held = state.held();
        let full = SpoolError::Full { events: held.events, bytes: held.bytes };
        if when_full == WhenFull::Refuse {
            return Err(full);
        }
        let mut going: Vec<Held> = Vec::new();
        let mut left = held;
        let mut from = 0;
        while !left.plus(more).within(state.limits) {
            let position = state.unsent(from).ok_or_else(|| full.clone())?;
            if let Some(oldest) = self.held(state, position)? {
                left = left.minus(oldest.size());
                going.push(oldest);
            } else {
                self.repair(state, position)?;
                left = going.iter().fold(state.held(), |left, gone| left.minus(gone.size()));
            }
            from = position + 1;
        }
        for gone in going {
            let hole = Hole { last: gone.position, before: gone.before, size: gone.size(), cause: Cause::SpoolFull };
            state.skip(gone.position, hole, &gone.header.counts, ops);
        }
        Ok(())
    }
}
