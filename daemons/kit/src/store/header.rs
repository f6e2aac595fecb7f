//! What is known of a batch without opening it: how many events of which source and severity, and
//! how old its oldest is.
//!
//! It stands in front of the batch in the spool and in the server's log, so that a batch that must
//! go is counted by source and severity from the header alone.
//!
//! ```text
//! oldest_at_ms i64 | counts u32 | { severity u8 | events u32 | length u32 | source } ...
//! ```

use super::bytes::{Fields, put_bytes};

/// How many events of one source and severity a batch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The source, as the receiver named it.
    pub source: Box<str>,
    /// Severity as in syslog, 0 to 7; [`SEVERITY_UNKNOWN`] where it is not known.
    pub severity: u8,
    /// Events, at least 1.
    pub events: u32,
}

/// The severity of events that can no longer be read.
pub const SEVERITY_UNKNOWN: u8 = u8::MAX;

/// What stands in front of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// When its oldest event was seen, in milliseconds since 1970 UTC.
    pub oldest_at_ms: i64,
    /// Its events by source and severity, each pair at most once.
    pub counts: Vec<Count>,
}

impl Header {
    /// Events in the batch.
    pub fn events(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(count.events)).sum()
    }

    /// Counts one more event of `source` at `severity`.
    pub fn count(&mut self, source: &str, severity: u8) {
        let known = self.counts.iter_mut().find(|count| count.severity == severity && *count.source == *source);
        match known {
            Some(count) => count.events = count.events.saturating_add(1),
            None => self.counts.push(Count { source: source.into(), severity, events: 1 }),
        }
    }

    /// Length of the stored form, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        12 + self.counts.iter().map(|count| 9 + count.source.len()).sum::<usize>()
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.oldest_at_ms.to_le_bytes());
        out.extend_from_slice(&(self.counts.len() as u32).to_le_bytes());
        for count in &self.counts {
            out.push(count.severity);
            out.extend_from_slice(&count.events.to_le_bytes());
            put_bytes(out, count.source.as_bytes());
        }
    }

    /// Reads the stored form; `None` where it ends early or is no such form.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let oldest_at_ms = fields.i64()?;
        let mut counts = Vec::new();
        for _ in 0..fields.u32()? {
            let (severity, events) = (fields.u8()?, fields.u32()?);
            counts.push(Count { source: fields.text()?.into(), severity, events });
        }
        fields.0.is_empty().then_some(Self { oldest_at_ms, counts })
    }
}
