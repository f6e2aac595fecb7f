//! Alerts on disk: the newest revision of each, one row an alert, so that a restart shows what was there.

use nms_kit::store::{Class, Db, StoreError, Table, ignore, map::Map};
use nms_proto::{alert::Alert, id::AlertId, json};

const ALERTS: Table = Table("alerts.v1");

/// The alerts' rows.
#[derive(Debug)]
pub(crate) struct AlertStore {
    db: Db,
    map: Map,
    damaged: u64,
}

impl AlertStore {
    pub(crate) fn new(db: Db) -> Self {
        Self { map: Map::new(db.clone(), ALERTS), db, damaged: 0 }
    }

    /// What stands in the way of keeping alerts, and what to do; none where nothing does.
    pub(crate) fn problem(&self) -> Option<StoreError> {
        self.db.problem()
    }

    /// All alerts that were kept. A row that cannot be read is counted and left out.
    pub(crate) fn load(&mut self) -> Vec<Alert> {
        let scan = match self.map.scan(b"") {
            Ok(scan) => scan,
            Err(error) => {
                log::error!("cannot read the alerts error={error}");
                return Vec::new();
            }
        };
        self.damaged = scan.damaged;
        let alerts: Vec<Alert> = scan.entries.iter().filter_map(|(_key, value)| json::decode(value).ok()).collect();
        self.damaged += (scan.entries.len() - alerts.len()) as u64;
        if self.damaged > 0 {
            log::warn!("alerts could not be read and were left out alerts={}", self.damaged);
        }
        alerts
    }

    /// Keeps a revision; the alert that had to go for it goes.
    pub(crate) fn save(&self, alert: &Alert, forgotten: Option<&AlertId>) {
        let mut value = Vec::new();
        if let Err(error) = json::encode(alert, &mut value) {
            log::error!("cannot keep an alert id={} error={error}", alert.id);
            return;
        }
        let mut ops = vec![self.map.put(alert.id.as_str().as_bytes(), &value)];
        ops.extend(forgotten.map(|id| self.map.delete(id.as_str().as_bytes())));
        if let Err(error) = self.db.submit(ops, Class::Upkeep, ignore()) {
            log::error!("cannot keep an alert id={} error={error}", alert.id);
        }
    }

    /// Calls `done` once everything that was saved is durable.
    pub(crate) fn when_durable(&self, done: impl FnOnce() + Send + 'static) {
        let told = Box::new(move |result: Result<(), StoreError>| match result {
            Ok(()) => done(),
            Err(error) => log::error!("alerts are not durable error={error}"),
        });
        if let Err(error) = self.db.submit(Vec::new(), Class::Upkeep, told) {
            log::error!("alerts are not durable error={error}");
        }
    }
}
