//! What a receiver knows of one sender's instance: which batches it has, and which comes next.
//!
//! ```text
//!   durable          admitted        the next one: admitted + 1, or a jump that `skipped` covers
//!      v                 v           v
//!  ...811 | 812 813 ... 820 | 821 ...
//!  hashes |  taken, not yet  | everything later is refused until the next one comes (go back N)
//! ```
//! One of these stands per (tenant, instance), not per connection: while a new connection opens, the
//! old one's bytes may still be arriving. It is stored in the transaction that stores a batch
//! ([`Receiver::to_bytes`]), so that a restart knows exactly what is durable. A number that comes
//! again with other content is refused and never swallowed, for the last [`BATCH_HASHES_KEPT`].

use std::{collections::VecDeque, fmt};

use crate::{
    id::BatchSeq,
    limits::{BATCH_HASHES_KEPT, WINDOW_BATCHES},
    message::{Batch, Skipped},
};

/// How a batch stands to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The next in order, or from a sender without numbers: it may be taken.
    Next,
    /// Taken before and not durable yet: nothing to do, its ACK follows its commit.
    Pending,
    /// Durable before: acknowledge again.
    Duplicate,
    /// Another batch has this number: refuse with [`super::BATCH_NUMBER_REUSED`].
    Reused,
    /// A batch before it is missing, or too many are not durable: refuse with SERVER_BUSY.
    Gap,
}

/// Why stored bytes are no receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverError;

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored state of a sender's batches is damaged; restore the store from a backup")
    }
}

impl std::error::Error for ReceiverError {}

/// What is known of one instance's batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    durable: BatchSeq,
    admitted: BatchSeq,
    /// Number and content hash of the last batches taken, by rising number.
    hashes: VecDeque<(BatchSeq, u64)>,
}

impl Receiver {
    /// The highest durable batch, all before it included; 0 when there is none.
    pub fn durable(&self) -> BatchSeq {
        self.durable
    }

    /// The highest batch taken, durable or not.
    pub fn admitted(&self) -> BatchSeq {
        self.admitted
    }

    /// How `batch` stands to what is known. Nothing changes: a batch that is the next one may still
    /// be refused, and then every later one is a gap until it comes again.
    pub fn judge(&self, batch: &Batch) -> Judgement {
        let Some(seq) = batch.batch else { return Judgement::Next };
        if seq > self.admitted {
            let fits = covers(&batch.skipped, self.admitted.next(), seq) && self.pending() < WINDOW_BATCHES;
            return if fits { Judgement::Next } else { Judgement::Gap };
        }
        let known = self.hashes.binary_search_by_key(&seq, |(seq, _)| *seq);
        match known.ok().and_then(|at| self.hashes.get(at)) {
            Some((_, hash)) if *hash != batch.content_hash => Judgement::Reused,
            Some(_) if seq > self.durable => Judgement::Pending,
            Some(_) => Judgement::Duplicate,
            None if self.forgot(seq) => Judgement::Duplicate,
            // The sender said that this number would never come.
            None => Judgement::Reused,
        }
    }

    /// Takes a batch that was judged [`Judgement::Next`]; it is not durable yet.
    pub fn admit(&mut self, batch: &Batch) {
        if let Some(seq) = batch.batch {
            self.admitted = self.admitted.max(seq);
            self.hashes.push_back((seq, batch.content_hash));
        }
    }

    /// The state to store in the same transaction as the batches up to and including `up_to`:
    /// `durable: u64 | { number: u64 | hash: u64 } ...`, big-endian, at most 16 KiB.
    pub fn to_bytes(&self, up_to: BatchSeq) -> Vec<u8> {
        let stored: Vec<_> =
            self.hashes.iter().rev().filter(|(seq, _)| *seq <= up_to).take(BATCH_HASHES_KEPT).collect();
        let mut bytes = Vec::with_capacity(8 + stored.len() * 16);
        bytes.extend_from_slice(&up_to.max(self.durable).0.to_be_bytes());
        for (seq, hash) in stored.into_iter().rev() {
            bytes.extend_from_slice(&seq.0.to_be_bytes());
            bytes.extend_from_slice(&hash.to_be_bytes());
        }
        bytes
    }

    /// The state that was stored.
    ///
    /// # Errors
    /// The bytes were not written by [`Receiver::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiverError> {
        let (durable, entries) = bytes.split_first_chunk::<8>().ok_or(ReceiverError)?;
        let durable = BatchSeq(u64::from_be_bytes(*durable));
        let (entries, []) = entries.as_chunks::<16>() else { return Err(ReceiverError) };
        let entry = |entry: &[u8; 16]| {
            let both = u128::from_be_bytes(*entry);
            (BatchSeq((both >> 64) as u64), both as u64)
        };
        let hashes: VecDeque<_> = entries.iter().map(entry).collect();
        let rising = hashes.iter().zip(hashes.iter().skip(1)).all(|(a, b)| a.0 < b.0);
        if !rising || hashes.len() > BATCH_HASHES_KEPT || hashes.back().is_some_and(|(seq, _)| *seq > durable) {
            return Err(ReceiverError);
        }
        Ok(Self { durable, admitted: durable, hashes })
    }

    /// The batch that was admitted last was not taken after all: it is expected again.
    pub fn retract(&mut self, batch: BatchSeq) {
        if self.admitted == batch && batch > self.durable && self.hashes.pop_back_if(|(seq, _)| *seq == batch).is_some()
        {
            self.admitted = self.hashes.back().map_or(self.durable, |(seq, _)| self.durable.max(*seq));
        }
    }

    /// The batches up to and including `up_to` are durable.
    pub fn commit(&mut self, up_to: BatchSeq) {
        self.durable = self.durable.max(up_to.min(self.admitted));
        let spare = self.hashes.len().saturating_sub(BATCH_HASHES_KEPT + self.pending());
        self.hashes.drain(..spare);
    }

    /// The batches that are not durable were lost (a commit failed): they are expected again.
    pub fn withdraw(&mut self) {
        self.admitted = self.durable;
        self.hashes.truncate(self.hashes.len() - self.pending());
    }

    fn pending(&self) -> usize {
        self.hashes.len() - self.hashes.partition_point(|(seq, _)| *seq <= self.durable)
    }

    /// Whether the number is older than what is kept.
    fn forgot(&self, seq: BatchSeq) -> bool {
        match self.hashes.front() {
            Some((oldest, _)) => seq < *oldest && self.hashes.len() >= BATCH_HASHES_KEPT,
            None => true,
        }
    }
}

/// Whether `skipped`, in rising order, accounts for every number from `from` up to but not including `to`.
pub(super) fn covers(skipped: &[Skipped], from: BatchSeq, to: BatchSeq) -> bool {
    let mut expected = from;
    for run in skipped {
        if run.to >= to {
            return false;
        }
        if run.from <= expected && expected <= run.to {
            expected = run.to.next();
        }
    }
    expected >= to
}
