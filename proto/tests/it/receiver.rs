//! The order rule of one instance: one test for each sentence of "Delivery" that a receiver keeps.

use nms_proto::id::BatchSeq;
use nms_proto::limits::{BATCH_HASHES_KEPT, WINDOW_BATCHES};
use nms_proto::message::{Batch, Skipped};
use nms_proto::session::receiver::{Judgement, Receiver};
use proptest::prelude::*;

fn batch(seq: u64, hash: u64, skipped: &[(u64, u64)]) -> Batch {
    let run = |(from, to): &(u64, u64)| Skipped {
        from: BatchSeq(*from),
        to: BatchSeq(*to),
        events: 1,
        cause: "spool_full".into(),
    };
    let skipped = skipped.iter().map(run).collect();
    Batch { batch: Some(BatchSeq(seq)), skipped, events: vec![], content_hash: hash, content: Box::default(), cut: 0 }
}

/// A receiver that took the numbers given, each with itself as hash, and stored them up to `durable`.
fn receiver(taken: &[u64], durable: u64) -> Receiver {
    let mut receiver = Receiver::default();
    for seq in taken {
        receiver.admit(&batch(*seq, *seq, &[]));
    }
    receiver.commit(BatchSeq(durable));
    receiver
}

fn check(receiver: &Receiver, seq: u64, hash: u64, skipped: &[(u64, u64)], expected: Judgement) {
    assert_eq!(receiver.judge(&batch(seq, hash, skipped)), expected, "batch {seq} {skipped:?} at {receiver:?}");
}

#[test]
fn numbers_are_taken_strictly_in_order() {
    check(&receiver(&[], 0), 1, 1, &[], Judgement::Next);
    check(&receiver(&[], 0), 2, 2, &[], Judgement::Gap);
    check(&receiver(&[1, 2], 1), 3, 3, &[], Judgement::Next);
    check(&receiver(&[1, 2], 1), 4, 4, &[], Judgement::Gap);
}

#[test]
fn after_a_refused_batch_every_later_one_is_a_gap_until_it_comes_again() {
    let mut receiver = receiver(&[1], 1);
    check(&receiver, 2, 2, &[], Judgement::Next); // and the shell refuses it
    for later in [3, 4, 5] {
        check(&receiver, later, later, &[], Judgement::Gap);
    }
    check(&receiver, 2, 2, &[], Judgement::Next);
    receiver.admit(&batch(2, 2, &[]));
    check(&receiver, 3, 3, &[], Judgement::Next);
}

#[test]
fn a_number_jumps_only_with_skipped_that_covers_the_jump() {
    let receiver = receiver(&[1, 2], 2);
    check(&receiver, 6, 6, &[(3, 5)], Judgement::Next);
    check(&receiver, 6, 6, &[(3, 3), (4, 4), (5, 5)], Judgement::Next);
    check(&receiver, 6, 6, &[(1, 4), (4, 5)], Judgement::Next);
    check(&receiver, 6, 6, &[(3, 4)], Judgement::Gap);
    check(&receiver, 6, 6, &[(4, 5)], Judgement::Gap);
    check(&receiver, 6, 6, &[(3, 3), (5, 5)], Judgement::Gap);
    check(&receiver, 6, 6, &[(3, 6)], Judgement::Gap);
    check(&receiver, u64::MAX, 6, &[(3, u64::MAX - 1)], Judgement::Next);
    check(&receiver, u64::MAX, 6, &[(3, u64::MAX)], Judgement::Gap);
}

#[test]
fn what_is_durable_is_acknowledged_again_and_what_is_pending_waits_for_its_commit() {
    let receiver = receiver(&[1, 2, 3], 2);
    check(&receiver, 2, 2, &[], Judgement::Duplicate);
    check(&receiver, 3, 3, &[], Judgement::Pending);
}

#[test]
fn a_number_with_another_hash_is_never_swallowed() {
    let receiver = receiver(&[1, 2, 3], 2);
    check(&receiver, 2, 99, &[], Judgement::Reused);
    check(&receiver, 3, 99, &[], Judgement::Reused);
    let mut jumped = receiver;
    jumped.admit(&batch(6, 6, &[(4, 5)]));
    check(&jumped, 5, 5, &[], Judgement::Reused);
}

#[test]
fn the_last_1024_hashes_are_kept() {
    let all: Vec<u64> = (1..=BATCH_HASHES_KEPT as u64 + 10).collect();
    let mut receiver = Receiver::default();
    for seq in all {
        receiver.admit(&batch(seq, seq, &[]));
        receiver.commit(BatchSeq(seq));
    }
    check(&receiver, 11, 99, &[], Judgement::Reused);
    check(&receiver, 10, 99, &[], Judgement::Duplicate);
    assert_eq!(receiver.to_bytes(receiver.durable()).len(), 8 + 16 * BATCH_HASHES_KEPT);
}

#[test]
fn no_more_than_a_window_is_pending() {
    let all: Vec<u64> = (1..=WINDOW_BATCHES as u64).collect();
    let mut receiver = receiver(&all, 0);
    let next = WINDOW_BATCHES as u64 + 1;
    check(&receiver, next, next, &[], Judgement::Gap);
    receiver.commit(BatchSeq(1));
    check(&receiver, next, next, &[], Judgement::Next);
}

#[test]
fn a_failed_commit_is_expected_again() {
    let mut receiver = receiver(&[1, 2, 3], 1);
    receiver.withdraw();
    check(&receiver, 3, 3, &[], Judgement::Gap);
    check(&receiver, 2, 2, &[], Judgement::Next);
    assert_eq!((receiver.durable(), receiver.admitted()), (BatchSeq(1), BatchSeq(1)));
}

#[test]
fn a_restart_knows_what_was_stored_and_nothing_else() {
    let receiver = receiver(&[1, 2, 5, 6], 2);
    let again = Receiver::from_bytes(&receiver.to_bytes(BatchSeq(5))).unwrap();
    assert_eq!((again.durable(), again.admitted()), (BatchSeq(5), BatchSeq(5)));
    check(&again, 2, 99, &[], Judgement::Reused);
    check(&again, 6, 6, &[], Judgement::Next);
}

#[test]
fn damaged_state_is_refused() {
    let good = receiver(&[1, 2], 2).to_bytes(BatchSeq(2));
    assert!(Receiver::from_bytes(&good).is_ok() && Receiver::from_bytes(&0u64.to_be_bytes()).is_ok());
    let mut falling = good.clone();
    falling[8..16].copy_from_slice(&9u64.to_be_bytes());
    let mut ahead = good.clone();
    ahead[..8].copy_from_slice(&1u64.to_be_bytes());
    for damaged in [&good[..7], &good[..20], &falling, &ahead, &[]] {
        let error = Receiver::from_bytes(damaged).unwrap_err().to_string();
        assert!(error.contains("restore the store"), "{damaged:?}");
    }
}

proptest! {
    /// Against the rule in one line: a batch is taken only when its number follows what was taken.
    #[test]
    fn whatever_comes_the_numbers_taken_follow_each_other(
        numbers in proptest::collection::vec((1u64..12, 0u64..2), 0..60), commit in any::<u64>(),
    ) {
        let mut receiver = Receiver::default();
        let mut taken = Vec::new();
        for (index, (seq, hash)) in numbers.into_iter().enumerate() {
            let batch = batch(seq, hash, &[]);
            match receiver.judge(&batch) {
                Judgement::Next => {
                    receiver.admit(&batch);
                    taken.push((seq, hash));
                }
                Judgement::Gap => prop_assert!(seq > taken.len() as u64 + 1),
                Judgement::Pending | Judgement::Duplicate => prop_assert!(taken.contains(&(seq, hash))),
                Judgement::Reused => prop_assert!(taken.contains(&(seq, 1 - hash))),
            }
            if commit & (1 << (index % 64)) != 0 {
                receiver.commit(receiver.admitted());
            }
        }
        let numbers: Vec<u64> = taken.iter().map(|(seq, _)| *seq).collect();
        prop_assert_eq!(numbers, (1..=taken.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_state_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(mut receiver) = Receiver::from_bytes(&bytes) {
            prop_assert_eq!(receiver.to_bytes(receiver.durable()), bytes);
            receiver.withdraw();
        }
    }
}
