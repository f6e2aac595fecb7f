//! The two session machines against each other: virtual time, a model spool and a model log, over
//! links that split, delay, cut, fall silent and overlap, while either side crashes.
//!
//! Each run is one seed; a failure prints it, and `NMS_PAIR_SEED=n` runs it alone. What must hold:
//! nothing leaves the spool before it is durable at the server; every event that was spooled is in
//! the log once, or in the quarantine once, or was given up by a full spool and is named in
//! `skipped`; heartbeats are on time; at the end nothing waits.

pub(super) mod hub;
mod link;
mod server;
mod world;

use std::collections::BTreeSet;

use world::World;

/// Names the seed of a run that fails anywhere.
#[derive(Debug)]
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with NMS_PAIR_SEED={}", self.0);
        }
    }
}

/// The seeds of a test: `count` of them, or `NMS_PAIR_RUNS` of them, or the one that `NMS_PAIR_SEED` names.
fn seeds(count: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let count = number("NMS_PAIR_RUNS").unwrap_or(count);
    number("NMS_PAIR_SEED").map_or_else(|| (0..count).collect(), |seed| vec![seed])
}

#[test]
fn nothing_is_lost_and_nothing_is_stored_twice() {
    let (mut batches, mut busy, mut quarantined, mut dropped, mut overlapped) = (0, 0, 0, 0, 0);
    for seed in seeds(10_000) {
        let _named = Named(seed);
        let mut world = World::new(seed);
        world.misfortunes();
        world.come_to_rest();
        world.check_once();
        batches += world.server.log.batches.len();
        busy += world.server.busy_said;
        quarantined += world.hub.spool.quarantine.len();
        dropped += world.hub.spool.dropped.len();
        overlapped += world.overlapped;
    }
    println!("{batches} batches, {overlapped} overlaps, {busy} busy, {quarantined} quarantined, {dropped} dropped");
    if seeds(10_000).len() > 1 {
        assert!(busy > 1_000 && quarantined > 1_000 && dropped > 100 && overlapped > 1_000, "the faults have no teeth");
    }
}

/// A copy of the spool takes the place of the spool: then events may be stored twice, and none is lost.
#[test]
fn a_restored_spool_loses_nothing() {
    let mut renumbered = 0;
    for seed in seeds(1_000) {
        let _named = Named(seed);
        let mut world = World::new(seed);
        world.misfortunes();
        let copy = world.hub.spool.clone();
        world.misfortunes();
        world.restored = true;
        let lost = &world.hub.spool;
        let given_up: BTreeSet<u64> =
            lost.quarantine.iter().flat_map(|(_, _, batch)| &batch.events).chain(&lost.dropped).copied().collect();
        world.restart_hub(copy);
        // Without the server in reach, the copy may give numbers away that were used before.
        for _ in 0..world.rng.below(60) {
            world.observe();
        }
        world.misfortunes();
        world.come_to_rest();
        let settled = world.settled();
        for event in &world.hub.spool.accepted {
            assert!(settled.contains_key(event) || given_up.contains(event), "seed {seed}: event {event} is lost");
        }
        renumbered += world.renumbered;
    }
    assert!(seeds(1_000).len() == 1 || renumbered > 100, "the copies were never old enough: {renumbered}");
}
