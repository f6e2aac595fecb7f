//! Power cuts under the whole store of the server, log and state together, on disks in memory.
//!
//! A life logs batches, and commits what analysis would with a cursor behind them: an alert, results owed, a snapshot.
//! After each cut the log holds every batch that was acknowledged, with its number, and the state is what one commit
//! left: that of the last promise, or of a later one.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use nms_detect::Standing;
use nms_kit::store::Disks;
use nms_proto::{
    event::Body,
    finding::Finding,
    id::{AlertId, BatchSeq},
    message::{Results, ResultsStats},
};
use nmsd_server::{
    config::Retention,
    store::{Change, Class, Cursor, LogSeq, NewBatch, Snapshot, Store as _, TenantStore, disk::DiskStore},
};

use crate::{
    sim::{Dice, Rig, watch_lies},
    world::{HUB, START_MS, batch, failure, finding, tenant_id},
};

const DAY_MS: i64 = 86_400_000;
/// Cuts that one server goes through.
const EACH: u64 = 50;
/// Alerts whose revisions go round.
const ALERTS: u64 = 7;
const RETENTION: Retention = Retention { days: 3_000, bytes: 1 << 40, alerts: 1_000 };

/// What was promised to a hub, and what analysis may rely on.
#[derive(Debug, Default)]
struct Promised {
    /// The contents of the log, by place.
    batches: Vec<Option<Vec<u8>>>,
    /// The cursor of the last commit that is durable.
    scored: u64,
    commits: u64,
}

struct Life<'l> {
    tenant: Arc<dyn TenantStore>,
    promised: &'l Arc<Mutex<Promised>>,
    dice: &'l mut Dice,
}

fn alert_id(number: u64) -> AlertId {
    format!("a-{:016x}", number % ALERTS).parse().unwrap()
}

/// The state of an analysis that came to `scored`: long enough for parts, and told by its bytes.
fn snapshot(scored: u64) -> Vec<u8> {
    let mut dice = Dice::new(scored);
    (0..scored * 997 % 60_000).map(|_| dice.below(256) as u8).collect()
}

impl Life<'_> {
    /// Logs a batch; false where the store takes none now.
    fn append(&mut self, now_ms: i64) -> bool {
        let place = self.tenant.last().next();
        let events: Vec<_> = (0..=self.dice.below(9)).map(|seq| failure(HUB, place.0 * 10 + seq, 0)).collect();
        let batch = batch(place.0, &events);
        let (content, promised) = (batch.content.to_vec(), Arc::clone(self.promised));
        let kept = content.clone();
        let done = Box::new(move |seq: LogSeq, result: Result<(), _>| {
            if result.is_ok() {
                let (mut promised, place) = (promised.lock().unwrap(), seq.0 as usize);
                let length = promised.batches.len().max(place + 1);
                promised.batches.resize(length, None);
                promised.batches[place] = Some(kept);
            }
        });
        let content_hash = batch.content_hash;
        let new = NewBatch { hub: HUB, batch: Some(BatchSeq(place.0)), content_hash, arrived_ms: now_ms, content };
        self.tenant.append(new, done).is_ok()
    }

    /// Commits what analysis found up to the last batch that is durable, and waits for it now and then.
    fn analyse(&mut self) -> bool {
        let scored = self.promised.lock().unwrap().batches.len().saturating_sub(1) as u64;
        let Body::Finding(found) = finding(HUB, 1, scored, "a-1").body else { panic!() };
        let found = Finding { alert: alert_id(scored), evidence: Vec::new(), ..*found };
        let alert = nms_detect::fuse(&found, None, Vec::new(), false);
        let results = Results { alerts: vec![alert.clone()], stats: ResultsStats::default(), seq: Some(scored) };
        let cursor = Cursor { scored: LogSeq(scored), ticked_ms: 0 };
        let changes = vec![
            Change::Alert(Box::new(Standing { alert, finding: scored })),
            Change::Settled { hub: HUB, from: 0, to: scored.saturating_sub(1) },
            Change::Results { hub: HUB, seq: scored, results: Box::new(results) },
            Change::Cursor(cursor),
            Change::Snapshot(Snapshot { cursor, bytes: snapshot(scored) }),
        ];
        let (promised, (send, durable)) = (Arc::clone(self.promised), std::sync::mpsc::channel());
        let done = Box::new(move |result: Result<(), _>| {
            if result.is_ok() {
                let mut promised = promised.lock().unwrap();
                promised.scored = promised.scored.max(scored);
                promised.commits += 1;
            }
            send.send(()).unwrap_or_default();
        });
        let is_taken = self.tenant.commit(changes, Class::Upkeep, done).is_ok();
        if is_taken && self.dice.below(2) == 0 {
            durable.recv().unwrap();
        }
        is_taken
    }
}

/// Every promise, against what is found after the power came back.
fn broken(store: &DiskStore, promised: &Promised) -> Vec<String> {
    let mut broken = Vec::new();
    let (look, home) = (store.look(), tenant_id("home"));
    let mut found = vec![None];
    let mut from = LogSeq(0);
    while let page = look.page(&home, from).unwrap()
        && !page.entries.is_empty()
    {
        from = page.next;
        for (seq, raw) in page.entries {
            found.resize(found.len().max(seq.0 as usize + 1), None);
            found[seq.0 as usize] = raw.map(|raw| raw.content);
        }
    }
    for (place, content) in promised.batches.iter().enumerate().filter(|(_, content)| content.is_some()) {
        if found.get(place) != Some(content) {
            broken.push(format!("batch {place} is gone"));
        }
    }
    let tenant = store.tenant(&home).unwrap();
    let durable = tenant.receiver(HUB).unwrap().durable().0;
    if durable + 1 != found.len() as u64 {
        broken.push(format!("the hub is told {durable}, the log ends at {}", found.len() - 1));
    }
    let scored = tenant.progress().unwrap().cursor.scored.0;
    if scored < promised.scored {
        broken.push(format!("the cursor stands at {scored}, {} was promised", promised.scored));
    }
    if promised.commits > 0 {
        let alert = tenant.alert(&alert_id(scored)).unwrap().map(|known| known.finding);
        let owed: Vec<u64> =
            tenant.owed().unwrap().iter().flat_map(|owed| &owed.waiting).map(|(seq, _)| *seq).collect();
        let is_whole = tenant
            .snapshot()
            .unwrap()
            .is_some_and(|kept| kept.cursor.scored.0 == scored && kept.bytes == snapshot(scored));
        if alert != Some(scored) || owed != [scored] || !is_whole {
            broken.push(format!("at {scored}: alert {alert:?}, owed {owed:?}, snapshot {is_whole}"));
        }
    }
    broken
}

fn open(folder: &Path, rig: &Rig, now_ms: i64) -> Result<DiskStore, String> {
    let disks: Arc<dyn Disks> = Arc::new(rig.clone());
    DiskStore::open_on(Some(&disks), folder, RETENTION, now_ms).map_err(|error| error.to_string())
}

/// Cuts the power of one server again and again; what is broken then, the cuts that met it at work, and what was promised.
fn cut_power(folder: &Path, rig: &Rig, seed: u64) -> (Vec<String>, u64, Promised) {
    let (mut dice, promised, mut hits, mut now_ms) = (Dice::new(seed), Arc::default(), 0, START_MS);
    for cut in 0..EACH {
        rig.cut_in(dice.below(160));
        if let Ok(store) = open(folder, rig, now_ms)
            && let Ok(tenant) = store.tenant(&tenant_id("home"))
        {
            let mut life = Life { tenant, promised: &promised, dice: &mut dice };
            for _ in 0..=life.dice.below(20) {
                now_ms += i64::from(life.dice.below(12) == 0) * DAY_MS;
                if rig.is_cut() || !life.append(now_ms) || life.dice.below(2) == 0 && !life.analyse() {
                    break;
                }
            }
            drop(life);
            store.close();
        }
        hits += u64::from(!rig.cut());
        let found = match open(folder, rig, now_ms) {
            Ok(store) => broken(&store, &promised.lock().unwrap()),
            Err(error) => vec![error],
        };
        if !found.is_empty() {
            let promised = std::mem::take(&mut *promised.lock().unwrap());
            return (found.into_iter().map(|what| format!("cut {cut}: {what}")).collect(), hits, promised);
        }
    }
    let promised = std::mem::take(&mut *promised.lock().unwrap());
    (Vec::new(), hits, promised)
}

#[test]
fn a_power_cut_loses_no_batch_no_alert_and_no_cursor_of_the_server() {
    let cuts = std::env::var("NMS_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(300_u64);
    let mut sums = [0; 3];
    for seed in 1..=cuts.div_ceil(EACH) {
        let folder = tempfile::tempdir().unwrap();
        let (broken, hits, promised) = cut_power(folder.path(), &Rig::new(seed, false), seed);
        assert_eq!(broken, Vec::<String>::new(), "seed {seed}");
        let batches = promised.batches.iter().flatten().count() as u64;
        let is_enough = hits * 2 > EACH && batches > EACH && promised.commits * 2 > EACH;
        assert!(is_enough, "too little was at stake: {hits} hits, {batches} batches, {} commits", promised.commits);
        sums = [sums[0] + hits, sums[1] + batches, sums[2] + promised.commits];
    }
    let [hits, batches, commits] = sums;
    eprintln!("server: {cuts} cuts, {hits} of a store at work, {batches} batches, {commits} commits, none lost");
}

#[test]
fn a_lying_disk_is_caught_under_the_server() {
    assert!(watch_lies(|folder, rig, seed| cut_power(folder, rig, seed).0), "the test has no teeth");
}
