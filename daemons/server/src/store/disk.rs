//! The store on redb: one folder, one small file that is always open, and the log's segments.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use nms_kit::store::{Class, Db, Done, Found, Settings, StoreError, ignore};
use nms_proto::{
    alert::Alert,
    id::{AlertId, Instance, TenantId},
    json::Decoder,
    session::receiver::Receiver,
};

use super::{
    Appended, Change, Entry, LogSeq, NewBatch, Owed, Progress, Snapshot, Store, TenantStore, entry, key::Prefix,
    log::Log, state,
};
use crate::config::Retention;

/// Page cache of the file that is always open, in bytes.
const CACHE_BYTES: usize = 8 << 20;
const DAY_MS: i64 = 86_400_000;

#[derive(Debug)]
struct Files {
    state: Db,
    log: Log,
    origin: Instance,
    retention: Retention,
}

/// Everything below one folder.
#[derive(Debug)]
pub struct DiskStore {
    files: Arc<Files>,
    tenants: Mutex<HashMap<TenantId, Arc<Handle>>>,
}

#[derive(Debug)]
struct Handle {
    files: Arc<Files>,
    id: TenantId,
    prefix: Prefix,
}

impl DiskStore {
    /// Opens what lies in `folder`, or makes it, at `now_ms` (Unix).
    ///
    /// # Errors
    /// Names the file and what to do.
    pub fn open(folder: &Path, retention: Retention, now_ms: i64) -> Result<Self, StoreError> {
        let failing = |error: std::io::Error| StoreError::Failing {
            store: folder.display().to_string().into(),
            message: error.to_string(),
        };
        fs::create_dir_all(folder).map_err(failing)?;
        let state = Db::open_file(&folder.join("state.redb"), Settings::with_cache(CACHE_BYTES))?;
        let origin = state::prepare(&state)?;
        let log = Log::open(&folder.join("log"), retention, now_ms)?;
        Ok(Self { files: Arc::new(Files { state, log, origin, retention }), tenants: Mutex::default() })
    }

    /// Commits what waits and closes the files; handles find them stopped.
    pub fn close(&self) {
        self.files.log.close();
        self.files.state.close();
    }
}

impl Store for DiskStore {
    fn tenant(&self, id: &TenantId) -> Result<Arc<dyn TenantStore>, StoreError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = tenants.get(id) {
            return Ok(Arc::clone(handle) as Arc<dyn TenantStore>);
        }
        let handle = Arc::new(Handle { files: Arc::clone(&self.files), id: id.clone(), prefix: Prefix::new(id) });
        let scored = handle.progress()?.cursor.scored;
        self.files.log.last(id, &handle.prefix, scored)?;
        tenants.insert(id.clone(), Arc::clone(&handle));
        Ok(handle)
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut tenants = state::tenants(&self.files.state)?;
        tenants.extend(self.files.log.tenants());
        Ok(tenants.into_iter().collect())
    }

    fn tidy(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut scored = HashMap::new();
        let before_ms = now_ms - i64::from(self.files.retention.days) * DAY_MS;
        for tenant in self.tenants()? {
            let prefix = Prefix::new(&tenant);
            let ops = state::tidy(&self.files.state, &prefix, before_ms)?;
            if !ops.is_empty() {
                self.files.state.submit(ops, Class::Lazy, ignore())?;
            }
            scored.insert(tenant, state::progress(&self.files.state, &prefix)?.cursor.scored);
        }
        self.files.log.tidy(now_ms, |tenant| scored.get(tenant).copied().unwrap_or_default())
    }
}

impl TenantStore for Handle {
    fn receiver(&self, hub: Instance) -> Result<Receiver, StoreError> {
        self.files.log.receiver(&self.prefix, hub)
    }

    fn origin(&self) -> Instance {
        self.files.origin
    }

    fn append(&self, batch: NewBatch<'_>, done: Appended) -> Result<(), StoreError> {
        self.files.log.append(&self.id, &self.prefix, &batch, done)
    }

    fn last(&self) -> LogSeq {
        // Known since the handle was made.
        self.files.log.last(&self.id, &self.prefix, LogSeq(0)).unwrap_or_default()
    }

    fn read(&self, from: LogSeq, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let mut decoder = Decoder::default();
        let mut entries = Vec::new();
        self.files.log.read(&self.prefix, from, bytes_max, |seq, found| {
            entries.push(match found {
                Found::Value(value) => entry::decode(&mut decoder, self.files.origin, seq, value),
                Found::Damaged => Entry::Damaged(seq),
            });
        })?;
        Ok(entries)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        state::progress(&self.files.state, &self.prefix)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        state::snapshot(&self.files.state, &self.prefix)
    }

    fn commit(&self, changes: Vec<Change>, class: Class, done: Done) -> Result<(), StoreError> {
        let mut ops = Vec::with_capacity(changes.len());
        for change in changes {
            if let Change::Forget(hub) = &change {
                self.files.log.forget(&self.prefix, *hub)?;
            }
            state::ops(&self.prefix, change, &mut ops)?;
        }
        self.files.state.submit(ops, class, done)
    }

    fn owed(&self) -> Result<Vec<Owed>, StoreError> {
        state::owed(&self.files.state, &self.prefix)
    }

    fn alert(&self, id: &AlertId) -> Result<Option<Alert>, StoreError> {
        state::alert(&self.files.state, &self.prefix, id)
    }

    fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        state::alerts(&self.files.state, &self.prefix)
    }
}
