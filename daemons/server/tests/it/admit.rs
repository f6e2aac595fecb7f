//! The gate: tables of what is taken, refused, and counted.

use nms_proto::{
    id::BatchSeq,
    limits::{HUBS_PER_TENANT_MAX, TENANT_BACKLOG_BYTES, TENANT_UNCOMMITTED_BYTES},
    message::{Batch, Skipped},
    session::{receiver::Receiver, server::Answer},
};
use nmsd_server::{admit::Gate, store::LogSeq};

use crate::world::{HUB, START_MS, batch, failure};

fn gate() -> Gate {
    let mut gate = Gate::new(LogSeq(0), 0);
    gate.enter(START_MS, HUB, Receiver::default(), |_| false);
    gate
}

fn numbered(number: u64) -> Batch {
    batch(number, &[failure(HUB, number, 0)])
}

/// A batch that says it is so many bytes long.
fn sized(number: u64, bytes: usize) -> Batch {
    Batch { content: vec![b' '; bytes].into(), ..numbered(number) }
}

/// What the gate says, in a word.
fn word(gate: &mut Gate, batch: &Batch) -> &'static str {
    match gate.admit(START_MS, HUB, batch) {
        Ok(_) => "taken",
        Err(Answer::Taken) => "pending",
        Err(Answer::Duplicate) => "duplicate",
        Err(Answer::Reused) => "reused",
        Err(Answer::Busy { .. }) => "busy",
        Err(Answer::Refused { .. }) => "refused",
    }
}

#[test]
fn batches_are_taken_in_order_once_and_never_under_anothers_number() {
    let mut gate = gate();
    assert_eq!(word(&mut gate, &numbered(2)), "busy", "1 is missing");
    assert_eq!(word(&mut gate, &numbered(1)), "taken");
    assert_eq!(word(&mut gate, &numbered(1)), "pending");
    gate.committed(HUB, Some(BatchSeq(1)), LogSeq(1), 0);
    assert_eq!(word(&mut gate, &numbered(1)), "duplicate");
    let other = batch(1, &[failure(HUB, 99, 0)]);
    assert_eq!(word(&mut gate, &other), "reused");
    let jump = Batch {
        skipped: vec![Skipped { from: BatchSeq(2), to: BatchSeq(4), events: 7, cause: "spool_full".into() }],
        ..numbered(5)
    };
    assert_eq!(word(&mut gate, &jump), "taken");
    let counts = gate.counts();
    assert_eq!((counts.taken, counts.duplicates, counts.reused, counts.gaps), (2, 2, 1, 1));
    assert_eq!((counts.skipped_events, counts.skipped_batches), (7, 3));
}

#[test]
fn too_much_uncommitted_is_busy_until_the_commit() {
    let mut gate = gate();
    assert_eq!(word(&mut gate, &sized(1, TENANT_UNCOMMITTED_BYTES + 1)), "taken", "nothing waits");
    assert_eq!(word(&mut gate, &sized(2, 1)), "busy");
    gate.committed(HUB, Some(BatchSeq(1)), LogSeq(1), TENANT_UNCOMMITTED_BYTES + 1);
    assert_eq!(word(&mut gate, &sized(2, 1)), "taken");
    assert_eq!(gate.counts().busy, 1);
}

#[test]
fn a_backlog_is_busy_until_it_is_analysed() {
    let mut gate = gate();
    let bytes = TENANT_BACKLOG_BYTES / 4;
    for number in 1..=4 {
        assert_eq!(word(&mut gate, &sized(number, bytes)), "taken");
        gate.committed(HUB, Some(BatchSeq(number)), LogSeq(number), bytes);
    }
    let refusal = gate.admit(START_MS, HUB, &sized(5, 1)).unwrap_err();
    let Answer::Busy { retry_after_ms, message } = refusal else { panic!("{refusal:?}") };
    assert_eq!((retry_after_ms, &*message), (500, "tenant backlog 16.0 MiB"));
    gate.analysed(LogSeq(1));
    assert_eq!(word(&mut gate, &sized(5, 1)), "taken");
    // What was found damaged, or was passed over, has no bytes to name and waits no more all the same.
    gate.committed(HUB, Some(BatchSeq(5)), LogSeq(5), 1);
    gate.analysed(LogSeq(4));
    assert_eq!(gate.backlog_bytes(), 1);
    gate.analysed(LogSeq(9));
    assert_eq!(gate.backlog_bytes(), 0);
}

#[test]
fn a_batch_that_was_not_handed_over_is_expected_again() {
    let mut gate = gate();
    assert_eq!(word(&mut gate, &numbered(1)), "taken");
    assert_eq!(word(&mut gate, &numbered(2)), "taken");
    gate.retract(HUB, Some(BatchSeq(2)), 0);
    assert_eq!(word(&mut gate, &numbered(3)), "busy", "2 is missing");
    gate.committed(HUB, Some(BatchSeq(1)), LogSeq(1), 0);
    assert_eq!(gate.durable(HUB), BatchSeq(1));
    assert_eq!(word(&mut gate, &numbered(2)), "taken");
}

#[test]
fn batches_lost_on_the_way_are_expected_again_and_told() {
    let mut gate = gate();
    assert_eq!(word(&mut gate, &numbered(1)), "taken");
    gate.lost(HUB, 0);
    assert_eq!(gate.losses(HUB), 1);
    assert_eq!(word(&mut gate, &numbered(1)), "taken");
}

#[test]
fn the_analysis_clock_never_goes_back() {
    let mut gate = gate();
    assert_eq!(gate.admit(START_MS + 5_000, HUB, &numbered(1)), Ok(START_MS + 5_000));
    assert_eq!(gate.admit(START_MS, HUB, &numbered(2)), Ok(START_MS + 5_000));
}

#[test]
fn deadlines_wait_for_batches_under_way() {
    let mut gate = gate();
    gate.admit(START_MS, HUB, &sized(1, 10)).unwrap();
    assert_eq!(gate.quiet(START_MS + 9, LogSeq(0)), None, "not committed");
    gate.committed(HUB, Some(BatchSeq(1)), LogSeq(1), 10);
    assert_eq!(gate.quiet(START_MS + 9, LogSeq(0)), None, "not analysed");
    assert_eq!(gate.quiet(START_MS + 9, LogSeq(1)), Some(START_MS + 9));
    assert_eq!(gate.admit(START_MS, HUB, &numbered(2)), Ok(START_MS + 9), "not before what was handled");
}

#[test]
fn too_many_hubs_forget_the_one_unseen_for_longest_that_is_not_connected() {
    let mut gate = Gate::new(LogSeq(0), 0);
    let hub = |number: usize| nms_proto::id::Instance((number as u128 + 1).to_be_bytes());
    for number in 0..HUBS_PER_TENANT_MAX {
        let forgotten = gate.enter(START_MS + number as i64, hub(number), Receiver::default(), |_| false);
        assert_eq!(forgotten, None);
    }
    let late = START_MS + 1_000_000;
    let forgotten = gate.enter(late, hub(HUBS_PER_TENANT_MAX), Receiver::default(), |other| other == hub(0));
    assert_eq!(forgotten, Some(hub(1)), "0 is connected");
    assert!(!gate.knows(hub(1)) && gate.knows(hub(0)));
}

/// The server's clock is set a year forward and back: what is due on the tenant's clock still comes due.
#[test]
fn the_analysis_clock_neither_goes_back_nor_stands_still() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let mut gate = gate();
    let mut look = |now_ms: i64| gate.quiet(now_ms, LogSeq(0)).unwrap();
    assert_eq!(look(START_MS), START_MS);
    let ahead = look(START_MS + YEAR_MS);
    assert_eq!(ahead, START_MS + YEAR_MS);
    assert_eq!(look(START_MS + 1_000), ahead, "never back");
    // Half as fast until the server's clock has caught up, however finely it is looked at.
    let after: Vec<i64> = (0..4).map(|second| look(START_MS + 2_000 + second * 1_000) - ahead).collect();
    assert_eq!(after, [500, 1_000, 1_500, 2_000]);
    for ms in 0..1_000 {
        look(START_MS + 5_001 + ms);
    }
    assert_eq!(look(START_MS + 6_000) - ahead, 2_500);
    assert_eq!(gate.wait_ms(START_MS + 6_000, ahead + 3_500), 2_000);
    assert_eq!(gate.quiet(START_MS + 8_000, LogSeq(0)), Some(ahead + 3_500));
    assert_eq!(gate.quiet(START_MS + 2 * YEAR_MS, LogSeq(0)), Some(START_MS + 2 * YEAR_MS));
    // A restart while the stored time is ahead.
    let mut gate = Gate::new(LogSeq(0), START_MS + YEAR_MS);
    assert_eq!(gate.quiet(START_MS, LogSeq(0)), Some(START_MS + YEAR_MS));
    assert_eq!(gate.quiet(START_MS + 2_000, LogSeq(0)), Some(START_MS + YEAR_MS + 1_000));
}
