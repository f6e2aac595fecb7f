//! Every byte that the server keeps, read and compared: `nmsd-server verify`.
//!
//! ```text
//! {"tenant":"home","batches":812,"events":90210,"first":1,"last":812,"damaged":[],"missing":[],"analysed":812,
//!  "alerts":3,"snapshot":"sound","results_owed":0}
//! {"files":[{"file":"state.redb","rows":40,"bytes":91822,"damaged":0,"rows_damaged":[]}, ..],"closed":[]}
//! ```
//! A stretch of numbers that is missing between two batches is damage too: numbers rise by one, and what is
//! let go is let go from the front.

use nms_kit::store::Rows;
use nms_proto::id::TenantId;
use serde_json::{Value, json};

use crate::{
    analyse::{Analysis, SnapshotError},
    store::{
        LogSeq, StoreError,
        look::{IDENTITY, Kept, Look, Snapshotted},
    },
};

/// Damaged batches, and missing stretches, that are named of a tenant; the others are counted.
const NAMED_MAX: usize = 1_000;

/// What was found to be wrong, by kind.
#[derive(Debug, Default)]
struct Wrong {
    batches: u64,
    missing: u64,
    snapshots: u64,
    ahead: u64,
    rows: u64,
    files: u64,
}

impl Wrong {
    /// What is wrong, in one sentence.
    fn end(&self) -> Result<(), String> {
        let kinds = [
            (self.files, "files that cannot be opened"),
            (self.rows, "damaged rows"),
            (self.batches, "batches that cannot be read"),
            (self.missing, "batches missing between others"),
            (self.snapshots, "damaged snapshots"),
            (self.ahead, "tenants analysed beyond the end of their log"),
        ];
        let found: Vec<String> =
            kinds.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what}: {count}")).collect();
        if found.is_empty() {
            return Ok(());
        }
        let found = found.join(", ");
        Err(format!(
            "not everything is sound ({found}); the server skips and counts what is damaged, a backup may have it whole"
        ))
    }
}

/// What a tenant's log holds.
#[derive(Debug, Default)]
struct Held {
    batches: u64,
    events: u64,
    first: Option<LogSeq>,
    last: LogSeq,
    damaged: Vec<u64>,
    damaged_more: u64,
    missing: Vec<(u64, u64)>,
    missing_batches: u64,
}

/// Reads everything and says how it was found, until `say` is told enough.
///
/// # Errors
/// In words: what is damaged, or cannot be read.
pub(crate) fn verify(look: &Look, say: &mut dyn FnMut(String) -> bool) -> Result<(), String> {
    let mut wrong = Wrong::default();
    for tenant in look.tenants() {
        // In this order: meanwhile analysis goes on, and the log is ahead of it.
        let kept = look.kept(tenant).map_err(|error| error.to_string())?;
        let held = held(look, tenant).map_err(|error| error.to_string())?;
        if !say(of_tenant(tenant, &held, &kept, &mut wrong).to_string()) {
            return Ok(());
        }
    }
    let files = files(look, &mut wrong).map_err(|error| error.to_string())?;
    say(files.to_string());
    wrong.end()
}

fn held(look: &Look, tenant: &TenantId) -> Result<Held, StoreError> {
    let mut held = Held::default();
    let mut from = LogSeq(0);
    loop {
        let page = look.page(tenant, from)?;
        if page.entries.is_empty() {
            return Ok(held);
        }
        from = page.next;
        for (seq, raw) in page.entries {
            if held.first.is_some() && seq > held.last.next() {
                held.missing_batches += seq.0 - held.last.0 - 1;
                if held.missing.len() < NAMED_MAX {
                    held.missing.push((held.last.0 + 1, seq.0 - 1));
                }
            }
            held.first.get_or_insert(seq);
            held.last = seq;
            match raw {
                Some(raw) => {
                    held.batches += 1;
                    held.events += raw.events as u64;
                }
                None if held.damaged.len() < NAMED_MAX => held.damaged.push(seq.0),
                None => held.damaged_more += 1,
            }
        }
    }
}

fn of_tenant(tenant: &TenantId, held: &Held, kept: &Kept, wrong: &mut Wrong) -> Value {
    let snapshot = match &kept.snapshot {
        Snapshotted::None => "none",
        Snapshotted::Damaged => "damaged",
        Snapshotted::Sound(snapshot) => match Analysis::restore(&snapshot.bytes) {
            Ok(_) => "sound",
            // Another version wrote it: analysis begins anew from the log, as without one.
            Err(SnapshotError::Version(_)) => "none",
            Err(SnapshotError::Damaged) => "damaged",
        },
    };
    wrong.snapshots += u64::from(snapshot == "damaged");
    wrong.batches += held.damaged.len() as u64 + held.damaged_more;
    wrong.missing += held.missing_batches;
    wrong.ahead += u64::from(held.first.is_some() && kept.analysed > held.last);
    let mut line = json!({
        "tenant": tenant, "batches": held.batches, "events": held.events,
        "first": held.first.unwrap_or_default().0, "last": held.last.0, "damaged": held.damaged,
        "missing": held.missing, "analysed": kept.analysed.0, "alerts": kept.alerts, "snapshot": snapshot,
        "results_owed": kept.results_owed,
    });
    if let (Value::Object(line), true) = (&mut line, held.damaged_more > 0) {
        line.insert("damaged_more".into(), held.damaged_more.into());
    }
    line
}

fn files(look: &Look, wrong: &mut Wrong) -> Result<Value, StoreError> {
    let mut files = Vec::new();
    if let Some(state) = look.state() {
        files.push(of_file("state.redb", &state.check()?, wrong));
    }
    for file in look.log().files() {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(rows) = look.log().check(&file)? {
            files.push(of_file(&format!("log/{name}"), &rows, wrong));
        }
    }
    if let Some(identity) = look.identity() {
        files.push(of_file(IDENTITY, &identity.check()?, wrong));
    }
    let closed: Vec<String> = look.closed().iter().map(ToString::to_string).collect();
    wrong.files += closed.len() as u64;
    Ok(json!({ "files": files, "closed": closed }))
}

fn of_file(name: &str, rows: &Rows, wrong: &mut Wrong) -> Value {
    wrong.rows += rows.damaged;
    json!({ "file": name, "rows": rows.rows, "bytes": rows.bytes, "damaged": rows.damaged, "rows_damaged": rows.named })
}
