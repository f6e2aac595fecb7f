//! What a person asks of a spool: list it, check it, see what is in quarantine.
//!
//! Lists come in pages, each over its own snapshot, so that a long look does not hold the writer up.

use super::record::{BATCHES, Held, QUARANTINE};
use super::state::State;
use super::{Instance, Missing, Skipped, Spool, SpoolError};
use crate::store::bytes::{Fields, key_of, number_of, put_bytes};
use crate::store::header::Header;
use crate::store::op::Op;
use nms_proto::limits::QUARANTINE_BATCHES_MAX;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows looked at in one snapshot.
const PAGE_ROWS: usize = 256;
/// Bytes of batches shown from one snapshot, but one batch at least.
const PAGE_BYTES: usize = 1 << 20;

/// One number of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the batch.
    pub number: u64,
    /// What is known of it; `None` where its row is damaged or missing.
    pub header: Option<Header>,
    /// Length of its stored form, in bytes; 0 where it is damaged.
    pub bytes: u64,
}

/// A batch as it lies in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its number.
    pub number: u64,
    /// The bytes that are sent.
    pub body: Arc<[u8]>,
}

/// What a check of the whole spool found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Sound batches.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of their stored forms.
    pub bytes: u64,
    /// Numbers whose row is damaged or missing, and that are not known as skipped.
    pub damaged: Vec<u64>,
    /// What is skipped and not yet reported.
    pub skipped: Vec<Skipped>,
    /// Whether events and bytes agree with the running totals.
    pub totals_agree: bool,
}

/// A batch that the receiver refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its place in the quarantine.
    pub index: u64,
    /// The instance under which it was refused.
    pub instance: Instance,
    /// Its number there.
    pub number: u64,
    /// What the receiver said.
    pub reason: String,
    /// What is known of it.
    pub header: Header,
    /// The bytes that were sent.
    pub body: Arc<[u8]>,
}

impl Spool {
    /// When the oldest event held was seen, in milliseconds since 1970 UTC; `None` in an empty spool.
    pub fn oldest_at_ms(&self) -> Result<Option<i64>, SpoolError> {
        let state = self.state();
        let mut position = state.head.position;
        while position < state.next.position {
            if let Some((_, hole)) = state.hole_at(position) {
                position = hole.last + 1;
            } else if let Some(held) = self.held(&state, position)? {
                return Ok(Some(held.header.oldest_at_ms));
            } else {
                position += 1;
            }
        }
        Ok(None)
    }

    /// What will not be sent and was not reported yet, oldest first.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.state().skipped()
    }

    /// As [`Spool::skipped`], by position.
    pub fn missing(&self) -> Vec<Missing> {
        let state = self.state();
        state.holes.iter().map(|(first, hole)| Missing { positions: *first..=hole.last, cause: hole.cause }).collect()
    }

    /// A page of what is held, from number `from` on: empty at the end. Skipped numbers are left
    /// out; damaged rows are named.
    pub fn entries(&self, from: u64) -> Result<Vec<Entry>, SpoolError> {
        let (low, high) = self.page(from);
        let mut rows: Vec<(u64, Option<(Header, u64)>)> = Vec::new();
        self.db().read(|view| {
            view.range(BATCHES, &key_of(low), &key_of(high.saturating_sub(1)), |key, found| {
                if let Some(position) = number_of(key) {
                    let held = found.sound().and_then(|value| Held::read(position, value));
                    rows.push((position, held.map(|held| (Arc::unwrap_or_clone(held.header), held.bytes))));
                }
                ControlFlow::Continue(())
            })
        })?;
        let state = self.state();
        let mut rows = rows.into_iter().peekable();
        let mut entries = Vec::new();
        for position in low..high {
            let held = rows.next_if(|(at, _)| *at == position).and_then(|(_, held)| held);
            if position >= state.head.position && state.hole_at(position).is_none() {
                let number = state.number(position);
                let (header, bytes) = held.map_or((None, 0), |(header, bytes)| (Some(header), bytes));
                entries.push(Entry { number, header, bytes });
            }
        }
        Ok(entries)
    }

    /// A page of the sound batches that are held, from number `from` on: empty at the end.
    pub fn contents(&self, from: u64) -> Result<Vec<Content>, SpoolError> {
        let (mut low, end) = (self.page(from).0, self.state().durable);
        let mut contents = Vec::new();
        while contents.is_empty() && low < end {
            let high = end.min(low.saturating_add(PAGE_ROWS as u64));
            let (mut rows, mut bytes) = (Vec::new(), 0);
            self.db().read(|view| {
                view.range(BATCHES, &key_of(low), &key_of(high.saturating_sub(1)), |key, found| {
                    let held = number_of(key).zip(found.sound()).and_then(|(at, value)| Held::read(at, value));
                    bytes += held.as_ref().map_or(0, |held| held.body.len());
                    rows.extend(held.map(|held| (held.position, held.body)));
                    if bytes >= PAGE_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
            })?;
            let state = self.state();
            rows.retain(|(position, _)| state.hole_at(*position).is_none());
            contents.extend(rows.into_iter().map(|(at, body)| Content { number: state.number(at), body }));
            low = high;
        }
        Ok(contents)
    }

    /// The positions of the page that begins with number `from`, the second one excluded.
    fn page(&self, from: u64) -> (u64, u64) {
        let state = self.state();
        let low = state.position(from).max(state.head.position);
        (low, state.durable.min(low.saturating_add(PAGE_ROWS as u64)))
    }

    /// Shows every sound batch that is on disk, delivered or held, oldest first: what is known of it, and its body.
    pub fn recent(&self, mut show: impl FnMut(&Header, &[u8])) -> Result<(), SpoolError> {
        let (first, end) = {
            let state = self.state();
            (state.oldest_kept(), state.durable)
        };
        self.db().read(|view| {
            view.range(BATCHES, &key_of(first), &key_of(end.saturating_sub(1)), |key, found| {
                let held = number_of(key).zip(found.sound()).and_then(|(position, value)| Held::read(position, value));
                if let Some(held) = held {
                    show(&held.header, &held.body);
                }
                ControlFlow::Continue(())
            })
        })?;
        Ok(())
    }

    /// Reads all that is held and compares it with the running totals. Meant for a quiet spool:
    /// what comes or goes meanwhile shows as a difference.
    pub fn check(&self) -> Result<Check, SpoolError> {
        let mut check = Check::default();
        let (mut from, end) = {
            let state = self.state();
            check.skipped = state.skipped();
            (state.number(state.head.position), state.number(state.durable))
        };
        while from < end {
            for entry in self.entries(from)? {
                match entry.header {
                    Some(header) => {
                        check.batches += 1;
                        check.events += header.events();
                        check.bytes += entry.bytes;
                    }
                    None => check.damaged.push(entry.number),
                }
            }
            from += PAGE_ROWS as u64;
        }
        let held = self.state().held();
        check.totals_agree = (check.events, check.bytes) == (held.events, held.bytes);
        Ok(check)
    }

    /// What is in quarantine, oldest first.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, SpoolError> {
        let mut list = Vec::new();
        self.db().read(|view| {
            view.range(QUARANTINE, &key_of(0), &key_of(u64::MAX), |key, found| {
                list.extend(number_of(key).zip(found.sound()).and_then(|(index, value)| read_row(index, value)));
                ControlFlow::Continue(())
            })
        })?;
        Ok(list)
    }
}

/// The changes that put `held` into quarantine; the oldest there goes when it is full.
pub(super) fn move_to_quarantine(state: &mut State, held: &Held, reason: &str) -> Vec<Op> {
    let index = state.quarantine_next;
    let mut ops = Vec::new();
    if state.quarantined >= QUARANTINE_BATCHES_MAX {
        ops.push(Op::Delete { table: QUARANTINE, key: key_of(index.saturating_sub(state.quarantined)) });
    } else {
        state.quarantined += 1;
    }
    state.quarantine_next += 1;
    let mut value = state.name.instance.to_vec();
    value.extend_from_slice(&state.number(held.position).to_le_bytes());
    put_bytes(&mut value, reason.as_bytes());
    let mut header = Vec::new();
    held.header.encode(&mut header);
    put_bytes(&mut value, &header);
    value.extend_from_slice(&held.body);
    ops.push(Op::Put { table: QUARANTINE, key: key_of(index), value });
    ops
}

fn read_row(index: u64, value: &[u8]) -> Option<Quarantined> {
    let mut fields = Fields(value);
    let (instance, number) = (fields.instance()?, fields.u64()?);
    let reason = fields.text()?.to_owned();
    let header = Header::decode(fields.bytes()?)?;
    Some(Quarantined { index, instance, number, reason, header, body: fields.0.into() })
}
