//! The last state of the alerts that were told of last, at hand; of any other one the store knows.
//!
//! Bounded in number and in bytes: how long an alert's texts are is up to a hub, within limits.

use std::num::NonZeroUsize;

use lru::LruCache;
use nms_detect::Standing;
use nms_proto::{id::AlertId, limits::TENANT_STANDINGS_BYTES};

use crate::analyse::memory::weight;

/// Alerts at hand, whatever their size.
const KEPT: usize = 1_024;

/// What is at hand of one tenant.
#[derive(Debug)]
pub struct Standings {
    known: LruCache<AlertId, Standing>,
    bytes: usize,
}

impl Default for Standings {
    fn default() -> Self {
        Self { known: LruCache::new(NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN)), bytes: 0 }
    }
}

impl Standings {
    /// The last state of an alert, where it is at hand.
    pub fn get(&mut self, id: &AlertId) -> Option<&Standing> {
        self.known.get(id)
    }

    /// Keeps the state of an alert; those unused for longest give way.
    pub fn put(&mut self, standing: Standing) {
        self.bytes += weight(&standing.alert);
        let gone = self.known.push(standing.alert.id.clone(), standing);
        self.bytes -= gone.map_or(0, |(_, gone)| weight(&gone.alert));
        while self.bytes > TENANT_STANDINGS_BYTES && self.known.len() > 1 {
            self.bytes -= self.known.pop_lru().map_or(0, |(_, gone)| weight(&gone.alert));
        }
    }

    /// Memory of what is at hand, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
