//! Why peers are turned away, counted by name: of the whole server, and of each tenant.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nms_proto::session::End;

/// What was refused, and how often. The names are ours, so there are only a few.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// One more.
    pub fn count(&self, reason: &'static str) {
        *self.lock().entry(reason).or_default() += 1;
    }

    /// All of them, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name under which the end of a connection counts, where its peer is to blame; `malformed` says what was wrong with
/// its bytes.
pub fn reason(end: &End, malformed: Option<&'static str>) -> Option<&'static str> {
    match end {
        End::Malformed(_) => Some(malformed.unwrap_or("wrong_field")),
        End::Unexpected(_) => Some("unexpected_message"),
        End::RegisterTimeout => Some("not_registered_in_time"),
        End::TooManyCommands => Some("too_many_commands"),
        End::Renumbering => Some("batch_number_reused"),
        _ => None,
    }
}
