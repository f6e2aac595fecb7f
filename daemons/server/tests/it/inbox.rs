//! The window into the log that one analysis thread has in memory.

use std::sync::Arc;

use nms_proto::limits::ANALYSIS_QUEUE_BYTES;
use nmsd_server::{
    inbox::{Inbox, Woken},
    store::{LogSeq, Logged},
};

use crate::world::{HUB, tenant_id};

fn batch(seq: u64, bytes: usize) -> Arc<Logged> {
    Arc::new(Logged { seq: LogSeq(seq), hub: HUB, arrived_ms: 0, bytes, events: Vec::new() })
}

fn taken(inbox: &Inbox, name: &str, after: u64, bytes_max: usize) -> Vec<u64> {
    inbox.take(&tenant_id(name), LogSeq(after), bytes_max).iter().map(|batch| batch.seq.0).collect()
}

#[test]
fn what_follows_is_given_in_order_and_in_slices() {
    let inbox = Inbox::default();
    (1..=4).for_each(|seq| inbox.push(&tenant_id("a"), batch(seq, 10)));
    assert_eq!(taken(&inbox, "a", 0, 20), [1, 2]);
    assert_eq!(taken(&inbox, "a", 2, 5), [3], "one at least");
    assert_eq!(taken(&inbox, "b", 0, 20), [0; 0]);
    assert_eq!(taken(&inbox, "a", 3, 20), [4]);
}

#[test]
fn a_hole_is_not_passed_over_and_what_is_old_is_let_go() {
    let inbox = Inbox::default();
    inbox.push(&tenant_id("a"), batch(5, 10));
    inbox.push(&tenant_id("a"), batch(7, 10));
    inbox.push(&tenant_id("a"), batch(6, 10));
    assert_eq!(taken(&inbox, "a", 3, 100), [0; 0], "4 must come from the log");
    assert_eq!(taken(&inbox, "a", 4, 100), [5, 6], "7 did not follow when it came");
    inbox.push(&tenant_id("a"), batch(8, 10));
    assert_eq!(taken(&inbox, "a", 8, 100), [0; 0]);
}

#[test]
fn what_finds_no_room_is_left_to_the_log() {
    let inbox = Inbox::default();
    inbox.push(&tenant_id("a"), batch(1, ANALYSIS_QUEUE_BYTES));
    inbox.push(&tenant_id("b"), batch(1, 1));
    assert_eq!(taken(&inbox, "b", 0, 100), [0; 0]);
    assert_eq!(inbox.wait(Some(0)), Woken::Called(vec![tenant_id("a"), tenant_id("b")]), "called all the same");
    assert_eq!(taken(&inbox, "a", 0, 100), [1]);
    inbox.push(&tenant_id("b"), batch(2, 1));
    assert_eq!(taken(&inbox, "b", 1, 100), [2], "there is room again");
}

#[test]
fn tenants_are_named_once_in_the_order_of_their_calls() {
    let inbox = Inbox::default();
    for name in ["b", "a", "b"] {
        inbox.call(&tenant_id(name));
    }
    assert_eq!(inbox.wait(None), Woken::Called(vec![tenant_id("b"), tenant_id("a")]));
    assert_eq!(inbox.wait(Some(0)), Woken::Called(Vec::new()));
    inbox.stop();
    assert_eq!(inbox.wait(None), Woken::Stop);
}
