//! The client's side of the order rule: a window over the spool's batches, go back N, quarantine.
//!
//! ```text
//!   acked             flight               ready            next
//!     v         v               v      v          v          v
//! ..811 | 812 ... sent, kept .. 820 | 821 .. read .. 824 | 825 ..   the spool holds 812 ... next - 1
//!                                                     cursor
//! ```
//! Content is read from the spool each time it is sent; only numbers and sizes are kept here. Nothing
//! leaves the spool because of a number alone: after a reconnect the last batch that the receiver
//! calls durable is sent once more, where the spool still holds it, and its hash proves that it was ours. Refuses answers about batches that were never sent.

use std::collections::VecDeque;

use super::{CAUSE_MISSING, receiver::covers};
use crate::{
    id::BatchSeq,
    limits::{BATCH_REFUSALS_MAX, FRAME_BYTES_MAX, WINDOW_BATCHES, WINDOW_BYTES},
    message::Skipped,
    time::Tick,
};

/// A batch as the spool holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledBatch {
    /// Its number.
    pub seq: BatchSeq,
    /// The numbers before it that the spool gave up, in rising order, each with its cause.
    pub skipped: Vec<Skipped>,
    /// Its encoded origins and events ([`crate::message::BatchBuilder::finish`]).
    pub content: Vec<u8>,
}

/// A read of the spool, from the first batch at or after `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Tells an answer that is still wanted from one that is not.
    ticket: u64,
    /// The lowest number that is of use.
    pub from: BatchSeq,
    /// Most batches that are of use.
    pub batches_max: usize,
    /// Most bytes that are of use; the first batch is, however long it is.
    pub bytes_max: usize,
}

/// An answer about a batch that was never sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NeverSent;

/// What a refusal with an error leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Again,
    Quarantine(BatchSeq),
    /// The receiver called a batch of this number durable: it was another one.
    Renumber,
}

/// Wait before a spool that could not be read is asked again, in milliseconds.
const READ_AGAIN_MS: u64 = 1_000;
/// Room that a frame needs beside content and `skipped`.
const ENVELOPE_BYTES: usize = 256;
/// Longest run of `skipped` as text.
const SKIPPED_BYTES: usize = 192;

#[derive(Debug)]
pub(super) struct Sender {
    next: BatchSeq,
    acked: BatchSeq,
    /// The highest number that the receiver can know.
    sent: BatchSeq,
    /// The lowest number that was not read since the last go back.
    cursor: BatchSeq,
    /// The read that was asked for, and what `next` was then.
    reading: Option<(Read, BatchSeq)>,
    tickets: u64,
    /// No read before then: the last one failed.
    unreadable_until: Tick,
    /// The spool has nothing from the cursor up to here.
    empty_to: BatchSeq,
    /// What the receiver called durable when this connection was registered.
    durable: BatchSeq,
    /// The same number, until it is found in the spool or found missing there.
    probe: Option<BatchSeq>,
    ready: VecDeque<SpooledBatch>,
    flight: VecDeque<(BatchSeq, usize)>,
    window: usize,
    refused: (BatchSeq, u32),
    /// A batch was refused without being named: one at a time, until one is acknowledged.
    careful: bool,
    quarantining: Option<BatchSeq>,
    /// What was acknowledged at the last heartbeat, where something was in flight.
    acked_before: Option<BatchSeq>,
}

impl Sender {
    /// For a spool that holds the numbers from `first` on and will give `next` to its next new batch.
    pub(super) fn new(first: BatchSeq, next: BatchSeq) -> Self {
        Self {
            next,
            acked: BatchSeq(first.0.saturating_sub(1)),
            sent: BatchSeq(0),
            cursor: next,
            reading: None,
            tickets: 0,
            unreadable_until: Tick(0),
            empty_to: BatchSeq(0),
            durable: BatchSeq(0),
            probe: None,
            ready: VecDeque::new(),
            flight: VecDeque::new(),
            window: WINDOW_BATCHES,
            refused: (BatchSeq(0), 0),
            careful: false,
            quarantining: None,
            acked_before: None,
        }
    }

    pub(super) fn next(&self) -> BatchSeq {
        self.next
    }

    pub(super) fn set_next(&mut self, next: BatchSeq) {
        self.next = self.next.max(next);
    }

    /// Sets how many batches may be unacknowledged, as the receiver asked.
    pub(super) fn set_window(&mut self, batches: usize) {
        self.window = batches.clamp(1, WINDOW_BATCHES);
    }

    /// The sender of the same spool under a new instance, numbered anew from 1.
    pub(super) fn renumbered(&self, next: BatchSeq) -> Self {
        Self { tickets: self.tickets, ..Self::new(BatchSeq(1), next) }
    }

    /// The highest number that the receiver may have, in this life of the process or an earlier one.
    pub(super) fn protected(&self) -> BatchSeq {
        self.sent.max(BatchSeq(self.acked.0.saturating_add(WINDOW_BATCHES as u64 + 1)))
    }

    /// Whether nothing waits or is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.ready.is_empty() && (self.cursor >= self.next || self.empty_to >= self.next)
    }

    /// The connection is registered and the receiver has everything up to `durable`. False when the
    /// spool is older than what the receiver knows.
    pub(super) fn registered(&mut self, durable: BatchSeq) -> bool {
        if durable >= self.next {
            return false;
        }
        self.disconnected();
        self.acked = BatchSeq(durable.0.saturating_sub(1));
        self.sent = self.sent.max(durable);
        self.cursor = durable.max(BatchSeq(1));
        self.durable = durable;
        self.probe = (durable > BatchSeq(0)).then_some(durable);
        true
    }

    pub(super) fn disconnected(&mut self) {
        self.ready.clear();
        self.flight.clear();
        self.reading = None;
        self.empty_to = BatchSeq(0);
        self.probe = None;
        self.acked_before = None;
    }

    /// What to read from the spool now.
    pub(super) fn poll_read(&mut self, now: Tick) -> Option<Read> {
        if now < self.unreadable_until {
            return None;
        }
        let bytes = self.ready.iter().map(|batch| batch.content.len()).sum::<usize>();
        let batches_max = self.window_now().saturating_sub(self.flight.len() + self.ready.len());
        let bytes_max = WINDOW_BYTES.saturating_sub(self.flight_bytes() + bytes);
        let something = self.cursor < self.next && self.empty_to < self.next;
        if self.reading.is_some() || self.quarantining.is_some() || !something || batches_max == 0 || bytes_max == 0 {
            return None;
        }
        self.tickets += 1;
        let read = Read { ticket: self.tickets, from: self.cursor, batches_max, bytes_max };
        self.reading = Some((read, self.next));
        Some(read)
    }

    /// The spool's answer: consecutive batches of rising number, none if it holds none there. Gives a
    /// number up to which the spool may forget.
    pub(super) fn loaded(&mut self, read: Read, batches: impl IntoIterator<Item = SpooledBatch>) -> Option<BatchSeq> {
        let (_, next_then) = self.reading.take_if(|(wanted, _)| wanted.ticket == read.ticket)?;
        let before = self.ready.len();
        for mut batch in batches {
            if batch.seq < self.cursor {
                continue;
            }
            self.account_for_gap(&mut batch);
            self.cursor = batch.seq.next();
            self.ready.push_back(batch);
        }
        if self.ready.len() == before {
            self.empty_to = next_then;
        }
        self.compare(read)
    }

    /// The spool could not be read. What it holds is not known, so nothing is concluded; it is asked again later.
    pub(super) fn load_failed(&mut self, now: Tick, read: Read) {
        if self.reading.take_if(|(wanted, _)| wanted.ticket == read.ticket).is_some() {
            self.unreadable_until = now.plus(READ_AGAIN_MS);
        }
    }

    /// When a spool that could not be read is asked again; a time that has passed where it could.
    pub(super) fn read_again_at(&self) -> Tick {
        self.unreadable_until
    }

    /// Looks for the receiver's last batch in what was read first. Where the spool does not hold it,
    /// whatever it holds below is sent for comparison; where it holds nothing there, nothing is left
    /// to compare, and the receiver is believed.
    fn compare(&mut self, read: Read) -> Option<BatchSeq> {
        let probe = self.probe?;
        match self.ready.front().map(|batch| batch.seq) {
            Some(first) if first <= probe => self.acked = BatchSeq(first.0.saturating_sub(1)),
            _ if read.from > BatchSeq(1) => {
                self.ready.clear();
                self.cursor = BatchSeq(1);
                self.empty_to = BatchSeq(0);
                return None;
            }
            _ => self.acked = probe,
        }
        self.probe = None;
        (self.acked == probe).then_some(probe)
    }

    /// Numbers that the spool neither holds nor accounts for would stop the receiver for good.
    fn account_for_gap(&self, batch: &mut SpooledBatch) {
        let from = self.cursor.max(self.probe.unwrap_or_default().next());
        if !covers(&batch.skipped, from, batch.seq) {
            let to = BatchSeq(batch.seq.0.saturating_sub(1)).max(from);
            batch.skipped.retain(|run| run.to < batch.seq);
            batch.skipped.push(Skipped { from, to, events: 0, cause: CAUSE_MISSING.into() });
        }
    }

    /// The next batch to send, if the window has room; it is in flight from now on.
    pub(super) fn poll_batch(&mut self) -> Option<SpooledBatch> {
        let bytes = self.ready.front()?.content.len();
        let room = self.flight.len() < self.window_now() && self.flight_bytes() + bytes <= WINDOW_BYTES;
        if self.quarantining.is_some() || !(room || self.flight.is_empty()) {
            return None;
        }
        let batch = self.ready.pop_front()?;
        self.flight.push_back((batch.seq, bytes));
        self.sent = self.sent.max(batch.seq);
        Some(batch)
    }

    /// Whether a batch could be sent now, but for the rate.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty() && self.quarantining.is_none() && self.flight.len() < self.window_now()
    }

    /// A batch that can never be sent, because its frame would be too long for any receiver.
    pub(super) fn oversize(&mut self) -> Option<BatchSeq> {
        let batch = self.ready.front()?;
        let bytes = batch.content.len() + batch.skipped.len() * SKIPPED_BYTES + ENVELOPE_BYTES;
        if bytes <= FRAME_BYTES_MAX || self.quarantining.is_some() {
            return None;
        }
        self.quarantining = Some(batch.seq);
        self.quarantining
    }

    /// Everything up to `seq` is durable at the receiver. Gives the number up to which the spool may
    /// forget, where that is news.
    pub(super) fn acknowledged(&mut self, seq: BatchSeq) -> Result<Option<BatchSeq>, NeverSent> {
        if seq > self.sent {
            return Err(NeverSent);
        }
        // Before the first read nothing was sent on this connection, so nothing is proven.
        if seq <= self.acked || self.probe.is_some() {
            return Ok(None);
        }
        self.acked = seq;
        self.careful = false;
        self.flight.retain(|(sent, _)| *sent > seq);
        self.ready.retain(|batch| batch.seq > seq);
        if self.cursor <= seq {
            self.cursor = seq.next();
            self.reading = None;
        }
        Ok(Some(seq))
    }

    /// Everything that is not acknowledged is sent again.
    pub(super) fn go_back(&mut self) {
        self.go_back_to(self.acked.next());
    }

    fn go_back_to(&mut self, seq: BatchSeq) {
        self.flight.retain(|(sent, _)| *sent < seq);
        self.ready.clear();
        self.reading = None;
        self.empty_to = BatchSeq(0);
        self.cursor = self.cursor.min(seq);
    }

    /// A heartbeat is due. A receiver that took batches and said nothing of them for a whole interval
    /// may have lost them: they are sent again, and it knows those that it still has.
    pub(super) fn handle_heartbeat(&mut self) {
        if self.acked_before == Some(self.acked) {
            self.go_back();
        }
        self.acked_before = (!self.flight.is_empty()).then_some(self.acked);
    }

    /// The receiver refused that batch with an error.
    pub(super) fn refused(&mut self, seq: BatchSeq) -> Result<Refusal, NeverSent> {
        if seq > self.sent {
            return Err(NeverSent);
        }
        // Copies that were sent before a go back are refused too; only what is in flight counts.
        if self.quarantining.is_some() || !self.flight.iter().any(|(sent, _)| *sent == seq) {
            return Ok(Refusal::Again);
        }
        let times = if self.refused.0 == seq { self.refused.1 + 1 } else { 1 };
        self.refused = (seq, times);
        self.go_back_to(seq);
        if times < BATCH_REFUSALS_MAX {
            return Ok(Refusal::Again);
        }
        if seq <= self.durable {
            return Ok(Refusal::Renumber);
        }
        self.quarantining = Some(seq);
        Ok(Refusal::Quarantine(seq))
    }

    /// The receiver answered with an error that names nothing: it could not read a frame. That counts
    /// against a batch only where it was alone in flight; from now on each is.
    pub(super) fn refused_unnamed(&mut self) -> Refusal {
        self.careful = true;
        let alone = if self.flight.len() == 1 { self.flight.front().map(|(seq, _)| *seq) } else { None };
        alone.and_then(|seq| self.refused(seq).ok()).unwrap_or(Refusal::Again)
    }

    /// The spool moved that batch to its quarantine and will name its number in `skipped`.
    pub(super) fn quarantined(&mut self, seq: BatchSeq) {
        if self.quarantining == Some(seq) {
            self.quarantining = None;
            self.refused = (BatchSeq(0), 0);
            self.go_back_to(seq);
        }
    }

    fn window_now(&self) -> usize {
        if self.careful { 1 } else { self.window }
    }

    fn flight_bytes(&self) -> usize {
        self.flight.iter().map(|(_, bytes)| bytes).sum()
    }
}
