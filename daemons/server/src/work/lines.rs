//! Events by their place in the log, for the lines that an alert shows.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use nms_proto::{event::Event, id::Instance};

use super::watch::Watch;
use crate::{
    analyse::{
        memory::RECENT_BYTES,
        past::{Past, place},
    },
    live::Tenant,
    store::{Entry, LogSeq, Logged},
};

/// Batches that are at hand without reading the log.
const RECENT_BATCHES: usize = 16;

/// The log of one tenant, with its last batches at hand.
#[derive(Debug)]
pub struct Lines {
    tenant: Arc<Tenant>,
    recent: LruCache<LogSeq, Arc<Logged>>,
    recent_bytes: usize,
    /// Hears what is looked at.
    pub watch: Watch,
}

impl Lines {
    /// The lines of a tenant's log.
    pub fn new(tenant: Arc<Tenant>, watch: Watch) -> Self {
        let recent = LruCache::new(NonZeroUsize::new(RECENT_BATCHES).unwrap_or(NonZeroUsize::MIN));
        Self { tenant, recent, recent_bytes: 0, watch }
    }

    /// A batch that is being analysed.
    pub fn note(&mut self, batch: &Arc<Logged>) {
        self.recent_bytes += batch.bytes;
        let gone = self.recent.push(batch.seq, Arc::clone(batch));
        self.recent_bytes -= gone.map_or(0, |(_, gone)| gone.bytes);
        while self.recent_bytes > RECENT_BYTES && self.recent.len() > 1 {
            self.recent_bytes -= self.recent.pop_lru().map_or(0, |(_, gone)| gone.bytes);
        }
    }

    fn batch(&mut self, seq: LogSeq) -> Option<Arc<Logged>> {
        if let Some(batch) = self.recent.get(&seq) {
            return Some(Arc::clone(batch));
        }
        let entry = self.tenant.store().read(seq, 1).ok()?.into_iter().next()?;
        let Entry::Batch(batch) = entry else { return None };
        (batch.seq == seq).then(|| {
            self.note(&batch);
            batch
        })
    }
}

impl Past for Lines {
    fn event(&mut self, reference: u64) -> Option<(Instance, Event)> {
        let (seq, index) = place(reference);
        let batch = self.batch(seq)?;
        batch.events.get(index).map(|event| (batch.hub, event.clone()))
    }

    fn look_at(&mut self, reference: u64) {
        self.watch.look_at(place(reference).0);
    }
}
