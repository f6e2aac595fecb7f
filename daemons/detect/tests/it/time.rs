//! Detection's time: backlogs, clocks that jump, copies.

use nms_proto::{
    event::Event,
    id::{EndpointId, EventId, EventSeq},
    time::Stamp,
};

use crate::host::{Hub, INSTANCE, TEN, check, event, refused};

/// Two hours of people mistyping, one failure a minute, all delivered in two seconds.
#[test]
fn a_backlog_of_ordinary_failures_raises_nothing() {
    let mut hub = Hub::new();
    let now = TEN + 7_200_000;
    for minute in 0..120 {
        let body = refused("alice", "10.0.0.7", minute);
        hub.feed_late(TEN + i64::from(minute) * 60_000, now + i64::from(minute) * 16, "h", body);
    }
    check(&hub.text(), "");
}

/// Guessing during an outage, delivered an hour later: one alert with the run's own times.
#[test]
fn guessing_during_an_outage_raises_one_alert_with_its_own_times() {
    let mut hub = Hub::new();
    let now = TEN + 3_600_000;
    for attempt in 0..50_u32 {
        let at = TEN + i64::from(attempt) * 2_000;
        hub.feed_late(at, now + i64::from(attempt) * 20, "h", refused("root", "10.0.0.50", attempt));
        hub.said.extend(hub.correlator.tick(Stamp::utc(now + i64::from(attempt) * 20)));
    }
    assert_eq!(hub.alerts(), 1);
    assert!(hub.said.iter().all(|finding| !finding.resolved), "it is not resolved while it is still arriving");
    hub.wait(3_600.0 * 3.0);
    let last = hub.said.last().unwrap();
    assert_eq!((last.first_seen.unix_ms, last.last_seen.unix_ms, last.count), (TEN, TEN + 98_000, 50));
    assert!(last.resolved);
}

#[test]
fn late_news_of_one_source_does_not_pull_another_back() {
    let mut hub = Hub::new();
    for attempt in 0..4 {
        hub.feed(f64::from(attempt), "live", refused("root", "10.0.0.50", attempt));
        let late = TEN - 7_200_000 + i64::from(attempt) * 600_000;
        hub.feed_late(late, TEN + i64::from(attempt) * 1_000, "late", refused("root", "10.0.0.50", 90));
    }
    check(&hub.text(), "");
}

#[test]
fn clocks_that_jump_are_counted() {
    let mut hub = Hub::new();
    hub.feed_late(TEN + 3_600_000, TEN, "ahead", refused("root", "10.0.0.50", 1));
    hub.feed(0.0, "back", refused("root", "10.0.0.51", 1));
    hub.feed(-120.0, "back", refused("root", "10.0.0.51", 2));
    hub.feed(-1_000.0, "back", refused("root", "10.0.0.51", 3));
    let counters = hub.correlator.counters();
    assert_eq!((counters.ahead, counters.fell_back, counters.events), (1, 1, 4));
}

fn stamped(seq: u64, source: &str, at: i64, device_at: i64) -> Event {
    let body = refused("root", "10.0.0.50", 7);
    let id = EventId { instance: INSTANCE, seq: EventSeq(seq) };
    let device_at = Some(Stamp::utc(device_at));
    Event { id, device_at, host: Some("web".into()), source: EndpointId::new(source), ..event(seq, source, at, body) }
}

/// The agent reads each line from a file while rsyslog forwards it: four failures, not eight.
#[test]
fn a_copy_by_another_way_is_not_counted() {
    let mut hub = Hub::new();
    for attempt in 0..4_i64 {
        let at = TEN + attempt * 2_000;
        for (way, source) in ["web-agent", "10.0.0.2"].into_iter().enumerate() {
            let event = stamped(attempt.unsigned_abs(), source, at + way as i64 * 300, at + way as i64 * 40);
            hub.correlator.observe(Stamp::utc(at + 400), &event, &mut hub.said);
        }
    }
    check(&hub.text(), "");
    assert_eq!(hub.correlator.counters().copies, 4);
    let pair = ["10.0.0.2", "web-agent"].map(EndpointId::new);
    assert_eq!(hub.correlator.take_overlaps(), [pair.into()], "said once, whichever came first");
    assert_eq!(hub.correlator.take_overlaps(), []);
    for repeat in 10..14 {
        let event = stamped(repeat, "web-agent", TEN + 9_000, TEN + 9_000);
        hub.correlator.observe(Stamp::utc(TEN + 9_000), &event, &mut hub.said);
    }
    assert_eq!(hub.said.last().unwrap().count, 8, "a source that repeats its line means it");
}

/// The hub's clock is set a year forward and back while an incident is open: nothing became quiet by that, nothing is
/// resolved or opened again, and what is due comes due as if nobody had touched the clock.
#[test]
fn a_hub_clock_that_is_set_resolves_nothing() {
    const YEAR: i64 = 365 * 86_400_000;
    let mut hub = Hub::new();
    for attempt in 0..8 {
        hub.feed(f64::from(attempt), "h", refused("root", "10.0.0.50", attempt));
    }
    let due = hub.correlator.deadline().unwrap();
    for (set, now) in [(YEAR, TEN + 10_000 + YEAR), (-2 * YEAR, TEN + 12_000 - YEAR), (YEAR, TEN + 14_000)] {
        let said = hub.said.len();
        hub.correlator.clock_was_set(set);
        hub.said.extend(hub.correlator.tick(Stamp::utc(now)));
        assert_eq!(hub.said.len(), said, "set by {set}");
        assert_eq!(hub.correlator.deadline().unwrap().unix_ms - now, due.unix_ms - TEN - (now - TEN).rem_euclid(YEAR));
    }
    hub.feed(15.0, "h", refused("root", "10.0.0.50", 9));
    assert_eq!(hub.alerts(), 1);
    hub.wait(3_600.0 * 2.0);
    assert_eq!(hub.said.iter().filter(|finding| finding.resolved).count(), 1, "resolved once, when it was quiet");
}
