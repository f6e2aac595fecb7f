//! Which tenant has which number in the log. The log says it itself, in rows that each segment takes over
//! from the one before; `state.redb` says it too, and is believed where the log is silent.
//!
//! ```text
//! log.meta.v1    0 u32 | number u32 -> tenant        big-endian; no tenant has the number 0
//! ```
//! So a lost or older `state.redb` never gives one tenant's entries to another. A number under which
//! entries were ever kept is not given again, also where nobody knows any more whose they are.

use std::collections::{BTreeMap, BTreeSet};

use nms_kit::store::{Db, StoreError, log::Log};
use nms_proto::id::TenantId;

use super::state;

const NAMES: u32 = 0;

fn key(number: u32) -> Vec<u8> {
    [NAMES.to_be_bytes(), number.to_be_bytes()].concat()
}

fn row(name: &TenantId, number: u32) -> (Vec<u8>, Vec<u8>) {
    (key(number), name.as_str().as_bytes().to_vec())
}

/// The tenants that the log names, by number.
pub(super) fn in_log(log: &Log) -> Result<BTreeMap<TenantId, u32>, StoreError> {
    let rows = log.metas(&key(0), &key(u32::MAX))?;
    let one = |(key, name): (Vec<u8>, Vec<u8>)| {
        let number = u32::from_be_bytes(*key.last_chunk::<4>()?);
        Some((std::str::from_utf8(&name).ok()?.parse().ok()?, number))
    };
    Ok(rows.into_iter().filter_map(one).collect())
}

/// Every tenant with its number, after log and state were brought to say the same.
pub(super) fn settle(log: &Log, state: &Db) -> Result<BTreeMap<TenantId, u32>, StoreError> {
    let mut numbers = in_log(log)?;
    let remembered = state::tenants(state)?;
    let taken: BTreeSet<u32> = numbers.values().copied().collect();
    let mut silent = Vec::new();
    for (name, number) in &remembered {
        match numbers.get(name) {
            Some(known) if known == number => {}
            None if !taken.contains(number) => silent.push((name.clone(), *number)),
            known => log::warn!(
                "state.redb has another number for a tenant than the log, the log is believed tenant={name} state={number} log={known:?}"
            ),
        }
    }
    if !silent.is_empty() {
        log.keep(silent.iter().map(|(name, number)| row(name, *number)).collect())?;
        numbers.extend(silent);
    }
    if numbers != remembered {
        state::enlist(state, &numbers)?;
    }
    Ok(numbers)
}

/// Gives a new tenant a number that nobody has or had, for good: in the log first, whose word counts.
pub(super) fn enlist(
    log: &Log,
    state: &Db,
    numbers: &BTreeMap<TenantId, u32>,
    name: &TenantId,
) -> Result<u32, StoreError> {
    let highest = numbers.values().copied().chain(log.highest_tenant()).max().unwrap_or(0);
    let number = highest.saturating_add(1);
    // Both or none: nobody waits for a disk that is full.
    state.admit(0)?;
    log.keep(vec![row(name, number)])?;
    state::enlist(state, [(name, &number)])?;
    Ok(number)
}
