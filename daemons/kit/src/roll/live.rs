//! Connections that certificates are responsible for: each ends when its own is revoked or expires.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smol::channel;

use crate::{
    clock,
    pki::{Issued, Serial},
};

/// Longest time between two looks at the clock, in milliseconds: it may be set while a connection waits.
const LOOK_MS: u64 = 60_000;

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its certificate was revoked.
    Revoked,
    /// Its certificate has expired.
    Expired,
}

#[derive(Debug)]
struct Connection {
    serial: Serial,
    lineage: Serial,
    told: channel::Sender<()>,
}

#[derive(Debug, Default)]
struct Connections {
    count: u64,
    open: HashMap<u64, Connection>,
}

#[derive(Debug, Default)]
pub(super) struct Live(Mutex<Connections>);

impl Live {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(self: &Arc<Self>, serial: Serial, lineage: Serial, expires_ms: i64) -> Watch {
        let (told, revoked) = channel::bounded(1);
        let mut connections = self.lock();
        connections.count += 1;
        let number = connections.count;
        connections.open.insert(number, Connection { serial, lineage, told });
        drop(connections);
        Watch { live: Arc::clone(self), number, serial, expires_ms, revoked }
    }

    pub(super) fn is_live(&self, serial: Serial) -> bool {
        self.lock().open.values().any(|connection| connection.serial == serial)
    }

    pub(super) fn revoke(&self, lineage: Serial) {
        for connection in self.lock().open.values().filter(|connection| connection.lineage == lineage) {
            // Told before is told.
            connection.told.try_send(()).ok();
        }
    }
}

/// Holds a connection to account for its certificate, until it is dropped.
pub struct Watch {
    live: Arc<Live>,
    number: u64,
    serial: Serial,
    expires_ms: i64,
    revoked: channel::Receiver<()>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Watch {
    /// The certificate, the newest of those that were issued on this connection.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// Waits until the connection must end. May be dropped and called again.
    pub async fn ended(&self) -> Ended {
        let revoked = async {
            if self.revoked.recv().await.is_err() {
                std::future::pending::<()>().await;
            }
            Ended::Revoked
        };
        let expired = async {
            loop {
                let left_ms = self.expires_ms.saturating_sub(clock::unix_ms());
                if left_ms <= 0 {
                    return Ended::Expired;
                }
                clock::pause(left_ms.unsigned_abs().min(LOOK_MS)).await;
            }
        };
        smol::future::or(revoked, expired).await
    }

    pub(super) fn renewed(&mut self, issued: &Issued) {
        self.serial = issued.serial;
        self.expires_ms = issued.not_after_ms;
        if let Some(connection) = self.live.lock().open.get_mut(&self.number) {
            connection.serial = issued.serial;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.live.lock().open.remove(&self.number);
    }
}
