//! The hub's books: the account of every event, and which batches in the spool it waits in.
//!
//! Batches are known by their position, which stays when the spool numbers them anew; what the uplink
//! says comes as numbers, in the order in which they were true.

use std::collections::VecDeque;

use nms_kit::{
    spooler::Spooled,
    store::spool::{Cause, Missing, Spool, SpoolError},
};
use nms_proto::{
    flow::ledger::Ledger,
    id::{BatchSeq, EndpointId},
    message::SourceCount,
};

#[derive(Debug, Default)]
pub(crate) struct Books {
    /// received = delivered + waiting + dropped + rejected, by source.
    pub(crate) ledger: Ledger,
    /// Batches in the spool, oldest first, by position.
    waiting: VecDeque<Spooled>,
    /// What the numbers that the uplink speaks of are drawn from.
    base: u64,
}

impl Books {
    /// What an earlier run left in the spool is received and waiting in this one.
    pub(crate) fn carry_over(&mut self, spool: &Spool) -> Result<(), SpoolError> {
        self.base = spool.base();
        let mut from = 0;
        loop {
            let page = spool.entries(from)?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.number + 1;
            for entry in page {
                let Some(header) = entry.header else { continue };
                let count = |count: nms_kit::store::header::Count| SourceCount {
                    source: EndpointId::new(&count.source),
                    severity: count.severity,
                    events: count.events.into(),
                };
                let counts: Vec<_> = header.counts.into_iter().map(count).collect();
                self.ledger.carried_over(&counts);
                self.waiting.push_back(Spooled { position: self.base + entry.number, counts });
            }
        }
    }

    /// Batches went into the spool.
    pub(crate) fn spooled(&mut self, spooled: Vec<Spooled>) {
        self.waiting.extend(spooled);
    }

    /// Batches that the spool gave up are dropped, with the cause that it names.
    pub(crate) fn missing(&mut self, missing: &[Missing]) {
        for run in missing {
            let from = self.waiting.partition_point(|batch| batch.position < *run.positions.start());
            let to = self.waiting.partition_point(|batch| batch.position <= *run.positions.end());
            for batch in self.waiting.drain(from..to) {
                self.ledger.dropped_from_queue(&batch.counts, run.cause.word());
            }
        }
    }

    /// Everything up to that batch was delivered.
    pub(crate) fn delivered(&mut self, batch: BatchSeq) {
        let position = self.base + batch.0;
        while let Some(first) = self.waiting.pop_front_if(|first| first.position <= position) {
            self.ledger.delivered(&first.counts);
        }
    }

    /// A batch went to the quarantine.
    pub(crate) fn quarantined(&mut self, batch: BatchSeq) {
        let position = self.base + batch.0;
        self.missing(&[Missing { positions: position..=position, cause: Cause::Refused }]);
    }

    /// The spool's batches have new numbers: their positions less `base`.
    pub(crate) fn renumbered(&mut self, base: u64) {
        self.base = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(books: &Books) -> (u64, u64, u64, Vec<(String, u64)>) {
        let row = books.ledger.accounts(10).remove(0);
        let dropped = row.dropped.iter().map(|(cause, events)| (cause.to_string(), *events)).collect();
        (row.received, row.delivered, row.waiting, dropped)
    }

    #[test]
    fn a_batch_is_followed_through_holes_and_new_numbers() {
        let source = EndpointId::new("192.0.2.1");
        let mut books = Books::default();
        for position in 1..=6 {
            books.ledger.received(&source, 10);
            books.ledger.queued(&source, 10);
            let counts = vec![SourceCount { source: source.clone(), severity: 6, events: 10 }];
            books.spooled(vec![Spooled { position, counts }]);
        }
        books.delivered(BatchSeq(1));
        // Batch 3 is damaged, and the spool is numbered anew from position 2: what was 2, 4, 5, 6 is 1, 3, 4, 5.
        books.missing(&[Missing { positions: 3..=3, cause: Cause::Damaged }]);
        books.renumbered(1);
        books.delivered(BatchSeq(1));
        assert_eq!(account(&books), (60, 20, 30, vec![("damaged".into(), 10)]));
        books.quarantined(BatchSeq(4));
        books.delivered(BatchSeq(5));
        assert_eq!(account(&books), (60, 40, 0, vec![("damaged".into(), 10), ("refused".into(), 10)]));
        assert!(books.ledger.imbalance().is_empty());
    }
}
