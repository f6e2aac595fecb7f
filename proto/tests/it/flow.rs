//! Rates, sizes and accounts: what flows, how fast, and what became of it.

use nms_proto::event::{Body, Syslog};
use nms_proto::flow::backoff::Backoff;
use nms_proto::flow::batcher::{BatchSizer, Batcher};
use nms_proto::flow::ledger::{Ledger, OTHER};
use nms_proto::flow::outbox::Outbox;
use nms_proto::flow::pacer::Pacer;
use nms_proto::id::{EndpointId, Instance};
use nms_proto::limits::{
    BATCH_AGE_MS, BATCH_BYTES_MAX, FRAME_BYTES_MAX, LINE_BYTES_MAX, OUTBOX_RESULTS_MAX, OUTBOX_WINDOW,
    RESULTS_RESEND_MS,
};
use nms_proto::message::{ResultsStats, SourceCount};
use nms_proto::time::Tick;

use super::pair::hub::event;

#[test]
fn delays_double_to_300_s_each_between_half_and_all_of_it() {
    for seed in 0..100 {
        let mut backoff = Backoff::new(seed);
        for full in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
            let delay = backoff.next_delay_ms();
            assert!((full * 500..=full * 1_000).contains(&delay), "seed {seed}: {delay} of {full} s");
        }
        backoff.reset();
        assert!(backoff.next_delay_ms() <= 1_000);
    }
}

#[test]
fn two_seeds_come_back_at_different_times() {
    let delays = |seed| {
        let mut backoff = Backoff::new(seed);
        (0..10).map(|_| backoff.next_delay_ms()).collect::<Vec<_>>()
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
}

#[test]
fn busy_takes_a_tenth_at_most_once_per_wait_and_never_below_a_tenth() {
    let mut pacer = Pacer::default();
    pacer.busy(Tick(1_000), Some(500));
    pacer.busy(Tick(1_499), Some(500));
    assert_eq!(pacer.percent(Tick(1_499)), 90);
    pacer.busy(Tick(1_500), Some(500));
    assert_eq!(pacer.percent(Tick(1_500)), 80);
    for step in 0..20 {
        pacer.busy(Tick(2_000 + step * 500), Some(500));
    }
    assert_eq!(pacer.percent(Tick(11_500)), 10);
}

#[test]
fn a_tenth_comes_back_after_each_5_s_without_busy() {
    let mut pacer = Pacer::default();
    for step in 0..3 {
        pacer.busy(Tick(step * 1_000), Some(1_000));
    }
    assert_eq!(pacer.percent(Tick(2_000)), 70);
    assert_eq!(pacer.percent(Tick(6_999)), 70);
    assert_eq!(pacer.percent(Tick(7_000)), 80);
    pacer.busy(Tick(8_000), Some(100));
    assert_eq!(pacer.percent(Tick(12_999)), 70);
    assert_eq!(pacer.percent(Tick(13_000)), 80);
    assert_eq!(pacer.percent(Tick(60_000)), 100);
}

#[test]
fn after_busy_nothing_goes_before_the_wait_is_over() {
    let mut pacer = Pacer::default();
    pacer.busy(Tick(1_000), Some(700));
    assert_eq!(pacer.next_at(Tick(1_000)), Tick(1_700));
    pacer.busy(Tick(1_100), None);
    assert_eq!(pacer.next_at(Tick(1_100)), Tick(1_700), "the longest wait stands");
    pacer.busy(Tick(2_000), Some(u64::MAX));
    assert_eq!(pacer.next_at(Tick(2_000)), Tick(62_000), "a peer cannot stop us for good");
}

#[test]
fn the_rate_is_a_percent_of_what_was_sent_before() {
    let mut pacer = Pacer::default();
    let mebibyte = 1 << 20;
    for ms in 0..2_000 {
        pacer.sent(Tick(ms), mebibyte / 100); // 10 MiB a second
    }
    for step in 0..5 {
        pacer.busy(Tick(2_000 + step * 100), Some(100));
    }
    let (mut now, mut sent) = (Tick(2_500), 0);
    while now < Tick(4_500) {
        pacer.sent(now, mebibyte / 10);
        sent += mebibyte / 10;
        now = now.max(pacer.next_at(now));
    }
    let percent = sent * 100 / (20 * mebibyte);
    assert!((48..=53).contains(&percent), "{percent} % of the full rate");
}

#[test]
fn a_full_rate_is_never_held_back() {
    let mut pacer = Pacer::default();
    for _ in 0..1_000 {
        pacer.sent(Tick(5), 1 << 20);
        assert!(pacer.next_at(Tick(5)) <= Tick(5));
    }
}

fn push(batcher: &mut Batcher, now: u64, events: u64) {
    for number in 0..events {
        batcher.push(Tick(now), &event(Instance([1; 16]), number, false)).unwrap();
    }
}

fn sizes(batcher: &mut Batcher, now: u64, idle: bool) -> Vec<u64> {
    std::iter::from_fn(|| batcher.poll(Tick(now), idle)).map(|closed| closed.header.events).collect()
}

#[test]
fn a_batch_is_closed_by_count_or_10_ms_after_its_first_event() {
    let mut batcher = Batcher::default();
    push(&mut batcher, 100, 130);
    assert_eq!(sizes(&mut batcher, 100, false), [64, 64]);
    assert_eq!(batcher.deadline(), Some(Tick(100 + BATCH_AGE_MS)));
    push(&mut batcher, 109, 1);
    assert_eq!(sizes(&mut batcher, 109, false), [0u64; 0]);
    assert_eq!((sizes(&mut batcher, 110, false), batcher.deadline()), (vec![3], None));
}

#[test]
fn a_lone_event_on_an_idle_link_goes_at_once() {
    let mut batcher = Batcher::default();
    push(&mut batcher, 100, 1);
    assert_eq!(sizes(&mut batcher, 100, true), [1]);
    assert_eq!(sizes(&mut batcher, 200, true), [0u64; 0], "nothing is no batch");
}

#[test]
fn the_events_of_a_stream_gather_although_the_link_is_idle() {
    let mut batcher = Batcher::default();
    push(&mut batcher, 100, 1);
    assert_eq!(sizes(&mut batcher, 100, true), [1]);
    push(&mut batcher, 103, 1);
    push(&mut batcher, 108, 2);
    assert_eq!(sizes(&mut batcher, 109, true), [0u64; 0]);
    assert_eq!(sizes(&mut batcher, 110, true), [3]);
    push(&mut batcher, 115, 1);
    assert_eq!(sizes(&mut batcher, 115, true), [0u64; 0]);
    batcher.close(Tick(115));
    assert_eq!(sizes(&mut batcher, 115, false), [1], "somebody waits for it");
}

#[test]
fn a_batch_is_closed_at_256_kib() {
    let mut batcher = Batcher::default();
    batcher.set_events_max(1_024);
    let mut long = event(Instance([1; 16]), 1, false);
    long.host = Some("h".repeat(60_000).into());
    for _ in 0..10 {
        batcher.push(Tick(0), &long).unwrap();
    }
    assert_eq!(sizes(&mut batcher, 1, false), [4, 4], "the fifth would go over it");
}

#[test]
fn a_long_event_never_drags_the_batch_before_it_over_the_frame() {
    let mut batcher = Batcher::default();
    let mut long = event(Instance([1; 16]), 9, false);
    long.host = Some("h".repeat(900_000).into());
    push(&mut batcher, 0, 10);
    batcher.push(Tick(1), &long).unwrap();
    push(&mut batcher, 1, 1);
    batcher.close(Tick(1));
    let closed: Vec<_> = std::iter::from_fn(|| batcher.poll(Tick(1), false)).collect();
    let sizes: Vec<_> = closed.iter().map(|batch| (batch.header.events, batch.content.len() > 900_000)).collect();
    assert_eq!(sizes, [(10, false), (1, true), (1, false)]);
    assert!(closed.iter().all(|batch| batch.content.len() < FRAME_BYTES_MAX));
}

#[test]
fn a_group_that_no_frame_holds_is_refused_and_nothing_of_it_is_added() {
    let mut batcher = Batcher::default();
    push(&mut batcher, 0, 3);
    let mut group = [event(Instance([1; 16]), 7, false), event(Instance([2; 16]), 8, false)];
    group[1].host = Some("h".repeat(BATCH_BYTES_MAX).into());
    let refused = batcher.push_group(Tick(1), &group).unwrap_err().to_string();
    assert!(refused.ends_with("bytes, at most 983040 in one batch"), "{refused}");
    assert_eq!((sizes(&mut batcher, 1, false), batcher.deadline()), (vec![3], None));
    push(&mut batcher, 2, 1);
    assert_eq!(sizes(&mut batcher, 12, false), [1]);
}

#[test]
fn the_longest_line_that_is_kept_fits_a_batch_however_it_is_escaped() {
    let mut batcher = Batcher::default();
    let mut worst = event(Instance([1; 16]), 1, false);
    let control = || "\u{1}".repeat(LINE_BYTES_MAX).into_boxed_str();
    worst.raw = Some(vec![0xff; LINE_BYTES_MAX].into());
    let line = Syslog { message: control(), structured_data: Some(control()), ..Syslog::default() };
    worst.body = Body::Syslog(line);
    batcher.push(Tick(0), &worst).unwrap();
    assert_eq!(sizes(&mut batcher, 0, false), [1]);
}

#[test]
fn a_finding_is_in_the_batch_of_the_event_that_completed_it() {
    let mut batcher = Batcher::default();
    batcher.set_events_max(4);
    push(&mut batcher, 0, 3);
    let group: Vec<_> = (10..13).map(|number| event(Instance([1; 16]), number, false)).collect();
    batcher.push_group(Tick(0), &group).unwrap();
    assert_eq!(sizes(&mut batcher, 10, false), [3, 3]);
    let group: Vec<_> = (10..16).map(|number| event(Instance([1; 16]), number, false)).collect();
    batcher.push_group(Tick(20), &group).unwrap();
    assert_eq!(sizes(&mut batcher, 20, false), [6], "rather over the count than cut");
}

#[test]
fn longer_batches_are_asked_for_as_the_rate_grows() {
    let size = |events_per_ms: usize| {
        let mut sizer = BatchSizer::default();
        (0..=1_000).for_each(|ms| sizer.count(Tick(5_000 + ms), events_per_ms));
        (0..=1_000).for_each(|ms| sizer.count(Tick(6_001 + ms), events_per_ms));
        sizer.size()
    };
    assert_eq!([size(1), size(10), size(50), size(200)], [64, 128, 512, 1_024]);
}

fn counts(source: &str, events: u64) -> Vec<SourceCount> {
    vec![SourceCount { source: EndpointId::new(source), severity: 6, events }]
}

#[test]
fn received_is_delivered_and_waiting_and_dropped_and_rejected() {
    let mut ledger = Ledger::default();
    let pi = EndpointId::new("pi");
    ledger.carried_over(&counts("pi", 5));
    ledger.received(&pi, 20);
    ledger.rejected(&pi, "empty", 2);
    ledger.dropped(&pi, "shed", 3);
    ledger.queued(&pi, 15);
    ledger.delivered(&counts("pi", 9));
    ledger.dropped_from_queue(&counts("pi", 4), "spool_full");
    let account = &ledger.accounts(100)[0];
    assert_eq!((account.received, account.delivered, account.waiting), (25, 9, 7));
    assert_eq!(ledger.total().dropped, [("shed".into(), 3), ("spool_full".into(), 4)].into());
    assert!(ledger.imbalance().is_empty());
    ledger.delivered(&counts("pi", 8));
    assert!(ledger.imbalance().is_empty(), "waiting below zero is still a sum");
    assert_eq!(ledger.accounts(100)[0].waiting, 0);
    ledger.received(&pi, 1);
    assert_eq!(ledger.imbalance(), [(pi, 1)].into(), "an event that nobody accounts for shows");
}

#[test]
fn sources_and_causes_beyond_the_bound_are_counted_together() {
    let mut ledger = Ledger::new(2);
    for number in 0..5 {
        let source = EndpointId::new(&format!("s{number}"));
        ledger.received(&source, 1);
        ledger.rejected(&source, "empty", 1);
    }
    let names: Vec<_> = ledger.accounts(100).iter().map(|account| account.source.to_string()).collect();
    assert_eq!(names, [OTHER, "s0", "s1"]);
    assert_eq!(ledger.accounts(100)[0].received, 3);
    for number in 0..100 {
        ledger.dropped(&EndpointId::new("s0"), &format!("cause {number}"), 1);
        ledger.received(&EndpointId::new("s0"), 1);
    }
    let dropped = &ledger.accounts(100)[1].dropped;
    assert_eq!((dropped.len(), dropped[OTHER]), (33, 68));
    assert!(ledger.imbalance().is_empty());
}

fn alert(id: u64, revision: u64) -> nms_proto::alert::Alert {
    serde_json::from_value(serde_json::json!({
        "id": format!("a-{id}"), "severity": "HIGH", "source": "s", "category": "anomaly", "message": "m",
        "confidence": 0.5, "revision": revision,
    }))
    .unwrap()
}

fn sent(outbox: &mut Outbox, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| outbox.poll(Tick(now))).map(|results| results.seq.unwrap()).collect()
}

#[test]
fn results_go_in_order_and_again_after_a_reconnect_or_30_s_until_acknowledged() {
    let mut outbox = Outbox::default();
    for id in 1..=3 {
        assert_eq!(outbox.push(vec![alert(id, 1)], ResultsStats::default()), id);
    }
    assert_eq!(sent(&mut outbox, 0), [1, 2, 3]);
    assert!(outbox.acknowledged(Tick(10), 1));
    assert!(!outbox.acknowledged(Tick(10), 1));
    outbox.rewind();
    assert_eq!(sent(&mut outbox, 20), [2, 3]);
    assert_eq!(outbox.deadline(), Some(Tick(20 + RESULTS_RESEND_MS)));
    assert_eq!(sent(&mut outbox, 20 + RESULTS_RESEND_MS), [2, 3]);
    outbox.acknowledged(Tick(0), 3);
    assert_eq!((outbox.is_empty(), outbox.deadline()), (true, None));
}

#[test]
fn results_that_were_not_sent_stay_whatever_the_hub_says() {
    let mut outbox = Outbox::default();
    outbox.push(vec![alert(1, 1)], ResultsStats::default());
    assert!(!outbox.acknowledged(Tick(0), 500));
    assert_eq!(sent(&mut outbox, 0), [1]);
}

#[test]
fn no_more_than_a_window_of_results_is_unacknowledged() {
    let mut outbox = Outbox::default();
    for id in 0..40 {
        outbox.push(vec![alert(id, 1)], ResultsStats::default());
    }
    assert_eq!(sent(&mut outbox, 0).len(), OUTBOX_WINDOW);
    outbox.acknowledged(Tick(0), 2);
    assert_eq!(sent(&mut outbox, 0), [17, 18]);
}

#[test]
fn a_newer_revision_takes_the_place_of_one_that_was_not_sent() {
    let mut outbox = Outbox::default();
    let stats = |events_processed| ResultsStats { events_processed, ..ResultsStats::default() };
    outbox.push(vec![alert(1, 1)], stats(10));
    outbox.poll(Tick(0));
    outbox.push(vec![alert(1, 2), alert(2, 1)], stats(20));
    outbox.push(vec![alert(2, 2)], stats(30));
    outbox.push(vec![alert(1, 3)], stats(40));
    assert_eq!(outbox.len(), 3, "the first was sent, the second is empty by now");
    let rest: Vec<_> = std::iter::from_fn(|| outbox.poll(Tick(0))).collect();
    assert_eq!(rest.iter().map(|results| results.seq).collect::<Vec<_>>(), [Some(3), Some(4)]);
    assert_eq!(rest[1].stats.events_processed, 60, "what was analysed is said all the same");
}

#[test]
fn a_full_outbox_gives_up_the_oldest_and_counts_it() {
    let mut outbox = Outbox::default();
    for id in 0..OUTBOX_RESULTS_MAX as u64 + 2 {
        outbox.push(vec![alert(id, 1)], ResultsStats::default());
    }
    assert_eq!((outbox.len(), outbox.dropped(), sent(&mut outbox, 0)[0]), (OUTBOX_RESULTS_MAX, 2, 3));
    outbox.give_up(4);
    assert_eq!(outbox.dropped(), 3);
}

#[test]
fn a_restart_goes_on_with_the_numbers_and_what_was_not_acknowledged() {
    let mut outbox = Outbox::default();
    outbox.push(vec![alert(1, 1)], ResultsStats::default());
    let waiting: Vec<_> = std::iter::from_fn(|| outbox.poll(Tick(0))).map(|results| (1, results)).collect();
    let mut again = Outbox::restore(2, waiting);
    assert_eq!(again.push(vec![alert(1, 2)], ResultsStats::default()), 2);
    assert_eq!(sent(&mut again, 0), [1, 2], "what may have been sent keeps its number");
}

#[test]
fn accounts_that_do_not_fit_are_summed_up() {
    let mut ledger = Ledger::new(10);
    for number in 0..12_u64 {
        let source = EndpointId::new(&format!("192.0.2.{number}"));
        ledger.received(&source, 100 - number);
        ledger.dropped(&source, "shed", 1);
    }
    let rows = ledger.accounts(4);
    let shown: Vec<_> = rows.iter().map(|row| (row.source.as_str(), row.received, row.dropped["shed"])).collect();
    // The three that sent most stand alone; the rest, and what was `other` before, are one.
    let rest = (3..12).map(|number| 100 - number).sum::<u64>();
    assert_eq!(shown, [("192.0.2.0", 100, 1), ("192.0.2.1", 99, 1), ("192.0.2.2", 98, 1), ("other", rest, 9)]);
}
