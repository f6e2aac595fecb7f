//! Delivery as a sender sees it: window, order, refusals, quarantine, instances; one test a rule.

use nms_proto::id::{BatchSeq, Instance};
use nms_proto::limits::{HEARTBEAT_MS, WINDOW_BATCHES, WINDOW_BYTES};
use nms_proto::message::{Ack, AckConfig, AckStatus, Message, Skipped};
use nms_proto::session::client::{Output, Stage};
use nms_proto::session::{BATCH_NUMBER_REUSED, CAUSE_MISSING, End};

use super::client::Client;

#[test]
fn up_to_64_batches_may_be_unacknowledged_or_as_many_as_the_ack_says() {
    let mut client = Client::active(1..200);
    assert_eq!(client.numbers().len(), WINDOW_BATCHES);
    client.durable(10);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(10))]);
    assert_eq!(client.numbers(), (65..=74).collect::<Vec<_>>());
    let config = AckConfig { window: Some(4), ..AckConfig::default() };
    client.ack(Ack { batch: Some(BatchSeq(72)), config: Some(config), ..Ack::ok() });
    client.outputs();
    assert_eq!(client.numbers(), [75, 76]);
}

#[test]
fn up_to_4_mib_may_be_unacknowledged() {
    let mut client = Client::active(1..60);
    client.content_bytes = 300 << 10;
    assert_eq!(client.numbers().len(), WINDOW_BYTES / (300 << 10));
}

#[test]
fn an_ack_covers_every_batch_up_to_its_number_and_no_other() {
    let mut client = Client::active(1..6);
    client.numbers();
    client.durable(3);
    client.durable(2);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
    client.durable(6);
    assert_eq!(client.end(), Some(End::NeverSent(BatchSeq(6))), "nothing is deleted that was not sent");
}

#[test]
fn a_status_of_a_newer_peer_deletes_nothing() {
    let mut client = Client::active(1..3);
    client.numbers();
    client.ack(Ack { batch: Some(BatchSeq(2)), ..Ack::new(AckStatus::Other("PARTIAL".into()), "") });
    assert_eq!((client.outputs(), client.stage()), (vec![], Stage::Active));
}

#[test]
fn after_server_busy_all_that_is_unacknowledged_goes_again_after_the_wait() {
    let mut client = Client::active(1..6);
    assert_eq!(client.numbers(), [1, 2, 3, 4, 5]);
    client.busy(2, 700);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(2))]);
    assert_eq!(client.session.link(client.now).busy_percent, Some(90));
    client.wait(699);
    assert_eq!(client.numbers(), Vec::<u64>::new());
    assert_eq!(client.session.deadline(), Some(client.now.plus(1)));
    client.wait(100);
    assert_eq!(client.numbers(), [3, 4, 5]);
}

#[test]
fn a_batch_that_was_stored_while_waiting_does_not_go_again() {
    let mut client = Client::active(1..6);
    client.numbers();
    client.busy(2, 100);
    client.durable(4);
    client.outputs();
    client.wait(200);
    assert_eq!(client.numbers(), [5]);
}

#[test]
fn a_batch_refused_three_times_moves_to_quarantine_and_the_next_names_it() {
    let mut client = Client::active(1..5);
    client.numbers();
    for _ in 0..2 {
        client.refuse(Some(2));
        assert_eq!(client.numbers(), [2, 3, 4]);
    }
    client.refuse(Some(2));
    let quarantine = Output::Quarantine { batch: BatchSeq(2), problem: "no".into() };
    assert_eq!(client.outputs(), vec![quarantine]);
    assert_eq!(client.frame(), None, "nothing until the spool has moved it");
    client.held.start = 3;
    client.skipped = vec![Skipped { from: BatchSeq(2), to: BatchSeq(2), events: 1, cause: "refused".into() }];
    client.session.quarantined(BatchSeq(2));
    let batches = client.batches();
    assert_eq!((batches[0].batch, &batches[0].skipped), (Some(BatchSeq(3)), &client.skipped));
    client.refuse(Some(2));
    assert_eq!(client.outputs(), vec![], "a late refusal of a copy");
}

#[test]
fn a_refusal_that_names_no_batch_counts_only_against_one_that_was_alone() {
    let mut client = Client::active(1..4);
    assert_eq!(client.numbers(), [1, 2, 3]);
    let mut register = |refusals: u32| {
        client.refuse(None);
        let quarantine = client.outputs();
        client.session.closed(client.now, "closed by the peer");
        client.retry();
        client.register(Ack::ok());
        if refusals < 4 {
            assert_eq!((quarantine, client.numbers()), (vec![], vec![1]), "one at a time, after {refusals}");
            return;
        }
        assert_eq!(quarantine, vec![Output::Quarantine { batch: BatchSeq(1), problem: "no".into() }]);
    };
    (1..=4).for_each(&mut register);
}

#[test]
fn a_spool_older_than_what_the_receiver_knows_draws_a_new_instance() {
    let mut client = Client::new(1..5);
    client.register(Ack { batch: Some(BatchSeq(5)), ..Ack::ok() });
    let outputs = client.outputs();
    assert!(matches!(&outputs[..], [Output::Close(End::Renumbering), Output::NewInstance { .. }]), "{outputs:?}");
    assert_eq!((client.stage(), client.session.deadline()), (Stage::Renumbering, None));
    client.session.renumbered(client.now, Instance([6; 16]), BatchSeq(5));
    client.retry();
    client.register(Ack { batch: Some(BatchSeq(0)), ..Ack::ok() });
    assert_eq!(client.numbers(), [1, 2, 3, 4], "all is sent again");
}

#[test]
fn a_number_that_another_sender_used_draws_a_new_instance() {
    let mut client = Client::active(1..3);
    client.numbers();
    client.ack(Ack { batch: Some(BatchSeq(1)), ..Ack::new(AckStatus::Error, BATCH_NUMBER_REUSED) });
    let problem = BATCH_NUMBER_REUSED.into();
    assert_eq!(client.outputs(), vec![Output::Close(End::Renumbering), Output::NewInstance { problem }]);
}

#[test]
fn what_the_ack_of_register_covers_is_deleted_once_its_last_batch_is_confirmed() {
    let mut client = Client::new(1..6);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    assert_eq!(client.numbers(), [3, 4, 5]);
    client.durable(3);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
}

#[test]
fn a_refused_batch_that_was_called_durable_draws_a_new_instance() {
    let mut client = Client::new(1..4);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    for _ in 0..3 {
        assert_eq!(client.numbers(), [3]);
        client.refuse(Some(3));
    }
    assert!(matches!(client.outputs()[..], [Output::Close(End::Renumbering), Output::NewInstance { .. }]));
}

#[test]
fn what_the_ack_of_register_covers_is_believed_where_its_last_batch_is_not_held() {
    let mut client = Client::new(4..6);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
    assert_eq!(client.numbers(), [4, 5]);
}

/// Found by `pair`, seed 32087: a restored spool had given up the one batch that would have shown it.
#[test]
fn where_the_last_batch_is_not_held_those_below_it_are_compared() {
    let mut client = Client::new(1..6);
    client.given_up = Some(3);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    assert_eq!(client.numbers(), [1, 2, 4, 5]);
    client.durable(2);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(2))]);
}

#[test]
fn a_spool_that_cannot_be_read_is_not_an_empty_one_and_is_asked_again_after_a_second() {
    let mut client = Client::active(1..4);
    for _ in 0..3 {
        client.fail_read();
        assert!(!client.session.is_idle(), "batches wait");
        client.wait(999);
        assert_eq!(client.numbers(), Vec::<u64>::new());
        let due = client.session.deadline().unwrap();
        assert_eq!(due, client.now.plus(1));
        client.now = due;
        client.session.handle_timeout(due);
    }
    assert_eq!(client.numbers(), [1, 2, 3], "without any event");
}

#[test]
fn reads_that_fail_prove_nothing_of_what_the_ack_of_register_covers() {
    let mut client = Client::new(1..6);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    for _ in 0..2 {
        client.fail_read();
        client.durable(3);
        assert_eq!(client.outputs(), vec![], "nothing is deleted for a number alone");
        client.wait(1_000);
    }
    assert_eq!(client.numbers(), [3, 4, 5], "the last batch goes once more, and its hash proves it");
    client.durable(3);
    assert_eq!(client.outputs(), vec![Output::Acked(BatchSeq(3))]);
}

#[test]
fn numbers_that_nobody_accounts_for_are_named_missing() {
    let mut client = Client::new(7..8);
    client.register(Ack { batch: Some(BatchSeq(3)), ..Ack::ok() });
    client.outputs();
    let Some(Message::Batch(batch)) = client.frame() else { panic!("no batch") };
    let missing = Skipped { from: BatchSeq(4), to: BatchSeq(6), events: 0, cause: CAUSE_MISSING.into() };
    assert_eq!((batch.batch, batch.skipped), (Some(BatchSeq(7)), vec![missing]));
}

#[test]
fn batches_without_a_word_for_a_whole_interval_go_again() {
    let mut client = Client::active(1..3);
    assert_eq!(client.numbers(), [1, 2]);
    client.wait(HEARTBEAT_MS);
    assert_eq!(client.numbers(), Vec::<u64>::new());
    client.wait(HEARTBEAT_MS);
    assert_eq!(client.numbers(), [1, 2]);
}

#[test]
fn a_batch_too_long_for_a_frame_goes_to_quarantine() {
    let mut client = Client::active(1..2);
    client.content_bytes = 1 << 20;
    client.outputs();
    assert_eq!(client.frame(), None);
    let problem = "too long for a frame".into();
    assert_eq!(client.outputs(), vec![Output::Quarantine { batch: BatchSeq(1), problem }]);
}

#[test]
fn a_new_batch_is_read_when_the_spool_says_so() {
    let mut client = Client::active(1..1);
    assert_eq!((client.outputs(), client.session.is_idle()), (vec![], true));
    client.held.end = 2;
    client.session.spooled(BatchSeq(2));
    assert!(!client.session.is_idle());
    assert_eq!(client.numbers(), [1]);
    client.durable(1);
    client.outputs();
    assert!(client.session.is_idle());
}
