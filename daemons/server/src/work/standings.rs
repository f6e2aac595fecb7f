//! The last state of the alerts that were told of last, at hand; of any other one the store knows.
//!
//! Bounded in number and in bytes: how long an alert's texts are is up to a hub, within limits.

use std::num::NonZeroUsize;

use lru::LruCache;
use nms_detect::Standing;
use nms_proto::{alert::Alert, id::AlertId, limits::TENANT_STANDINGS_BYTES};

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

/// Memory of an alert, in bytes, near enough.
fn weight(alert: &Alert) -> usize {
    let texts = |texts: &[Box<str>]| texts.iter().map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>();
    let evidence = alert.evidence.iter().map(|line| size_of_val(line) + line.line.len() + line.source.as_str().len());
    let unexpected = alert.unexpected.iter().map(|odd| {
        let expected = odd.expected.iter().map(|expected| size_of_val(expected) + expected.text.len());
        size_of_val(odd) + odd.text.len() + expected.sum::<usize>()
    });
    let history = alert.history.iter().map(|step| size_of_val(step) + step.what.len() + length(step.why.as_deref()));
    size_of::<Standing>()
        + alert.message.len()
        + length(alert.actor.as_deref())
        + length(alert.victim.as_deref())
        + texts(&alert.techniques)
        + texts(&alert.reasons)
        + evidence.chain(unexpected).chain(history).sum::<usize>()
}

fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}
