//! Sources that always talk and stop, and those that are quiet by nature.

use nms_proto::time::Stamp;

use crate::{
    host::{Hub, TEN, check, line, refused},
    many::worst,
};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;

/// `source` says something ordinary every `every_s` seconds, from hour to hour; what is due is done on the way.
fn talk(hub: &mut Hub, source: &str, (from_h, to_h): (f64, f64), every_s: f64) {
    let mut at = from_h * HOUR;
    while at < to_h * HOUR {
        hub.wait(at);
        hub.feed(at, source, line("myapp", 7, "all is well"));
        at += every_s;
    }
}

#[test]
fn a_source_that_stops_is_low_then_medium_and_resolved_when_it_speaks() {
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 120.0);
    hub.wait(29.97 * HOUR + 19.0 * MINUTE);
    check(&hub.text(), "");
    hub.wait(32.0 * HOUR);
    check(
        &hub.text(),
        "1 LOW silence x1 open: web always talks and is silent
         2 MEDIUM silence x2 open: web always talks and is silent",
    );
    assert_eq!(
        &*hub.said[0].reasons[0],
        "nothing came from web for 20 min: its longest gap of two days was 2 min (limit 20 min)"
    );
    hub.feed(33.0 * HOUR, "web", line("myapp", 7, "here I am"));
    let last = hub.said.last().unwrap();
    assert!(last.resolved && last.reasons.iter().any(|reason| &**reason == "web speaks again after 3 h"), "{last:?}");
    assert_eq!(hub.alerts(), 1);
    talk(&mut hub, "web", (33.1, 60.0), 120.0);
    assert_eq!(hub.said.len(), 3, "{}", hub.text());
}

#[test]
fn silence_after_a_break_in_is_medium_at_once() {
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 60.0);
    for attempt in 0..8 {
        hub.feed(30.0 * HOUR + f64::from(attempt), "web", refused("root", "203.0.113.9", attempt));
    }
    hub.wait(30.0 * HOUR + 20.0 * MINUTE);
    let last = hub.said.last().unwrap();
    assert_eq!(
        (last.floor.as_str(), last.category.as_str(), last.revision),
        ("MEDIUM", "silence", 1),
        "{}",
        hub.text()
    );
}

/// A node that is taken down says so: LOW and no more, unless somebody broke in before.
#[test]
fn a_host_that_shuts_down_stays_low() {
    for (attempts, worst_of_silence) in [(0, "LOW"), (8, "MEDIUM")] {
        let mut hub = Hub::new();
        talk(&mut hub, "web", (0.0, 30.0), 60.0);
        for attempt in 0..attempts {
            hub.feed(30.0 * HOUR + f64::from(attempt), "web", refused("root", "203.0.113.9", attempt));
        }
        hub.feed(30.0 * HOUR + 20.0, "web", line("systemd", 1, "Reached target System Power Off."));
        hub.feed(30.0 * HOUR + 21.0, "web", line("systemd", 1, "Shutting down."));
        hub.feed(30.0 * HOUR + 22.0, "web", line("systemd-journald", 7, "Journal stopped"));
        hub.wait(100.0 * HOUR);
        let silence = hub.said.iter().filter(|finding| finding.category.as_str() == "silence");
        let floors: Vec<_> = silence.map(|finding| finding.floor.as_str()).collect();
        assert_eq!(floors, [worst_of_silence], "{}", hub.text());
    }
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 60.0);
    hub.feed(30.0 * HOUR, "web", line("systemd", 1, "Reached target System Reboot."));
    talk(&mut hub, "web", (30.1, 31.0), 60.0);
    hub.wait(40.0 * HOUR);
    assert_eq!(worst(&hub), "MEDIUM", "it came back, and is silent for another reason: {}", hub.text());
}

/// A laptop that sleeps, a sensor that speaks once an hour, a host that is new, an office's weekend.
#[test]
fn who_is_quiet_by_nature_is_not_told() {
    let mut hub = Hub::new();
    for day in 0..5 {
        let morning = f64::from(day) * 24.0;
        talk(&mut hub, "laptop", (morning, morning + 8.0), 60.0);
    }
    talk(&mut hub, "laptop", (7.0 * 24.0, 7.0 * 24.0 + 8.0), 60.0);
    assert_eq!(worst(&hub), "", "{}", hub.text());

    let mut hub = Hub::new();
    talk(&mut hub, "sensor", (0.0, 400.0), HOUR);
    hub.wait(405.0 * HOUR);
    talk(&mut hub, "new", (405.0, 420.0), 60.0);
    hub.wait(430.0 * HOUR);
    talk(&mut hub, "sensor", (405.0, 406.0), HOUR);
    assert!(!hub.text().contains("new"), "{}", hub.text());

    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 60.0);
    hub.wait(30.0 * HOUR + 10.0 * MINUTE);
    talk(&mut hub, "web", (30.17, 60.0), 60.0);
    check(&hub.text(), "");
}

/// All are silent at once: the hub does not hear, and that is one alert; who stays silent is told afterwards.
#[test]
fn most_sources_silent_at_once_are_one_alert() {
    let mut hub = Hub::new();
    let sources = ["a", "b", "c", "d", "e"];
    let talk_all = |hub: &mut Hub, from: i32, to: i32, sources: &[&str]| {
        for minute in from..to {
            let at = f64::from(minute) * MINUTE;
            hub.wait(at);
            for source in sources {
                hub.feed(at, source, line("myapp", 7, "all is well"));
            }
        }
    };
    talk_all(&mut hub, 0, 1_800, &sources);
    hub.wait(1_900.0 * MINUTE);
    check(&hub.text(), "1 LOW silence x1 open: most sources are silent: perhaps the hub does not hear them");
    talk_all(&mut hub, 1_900, 1_960, &["a", "b", "c", "d"]);
    check(
        &hub.text(),
        "1 LOW silence x1 open: most sources are silent: perhaps the hub does not hear them
         2 LOW silence x1 resolved: most sources are silent: perhaps the hub does not hear them
         1 LOW silence x1 open: e always talks and is silent
         2 MEDIUM silence x2 open: e always talks and is silent",
    );
}

/// The hub's clock is set an hour ahead and back: nobody was silent for that.
#[test]
fn a_clock_that_is_set_is_no_silence() {
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 60.0);
    hub.correlator.clock_was_set(3_600_000);
    hub.said.extend(hub.correlator.tick(Stamp::utc(TEN + 31 * 3_600_000)));
    let at = TEN + 31 * 3_600_000 + 30_000;
    hub.feed_late(at, at, "web", line("myapp", 7, "all is well"));
    hub.correlator.clock_was_set(-3_600_000);
    hub.said.extend(hub.correlator.tick(Stamp::utc(TEN + 30 * 3_600_000 + 60_000)));
    check(&hub.text(), "");
    hub.wait(31.0 * HOUR);
    assert_eq!(hub.alerts(), 1, "{}", hub.text());
}

/// Given up after a week, and learned anew.
#[test]
fn a_source_that_is_gone_is_given_up() {
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 60.0);
    hub.wait(400.0 * HOUR);
    let last = hub.said.last().unwrap();
    assert!(last.resolved, "{}", hub.text());
    let said = hub.said.len();
    talk(&mut hub, "web", (401.0, 402.0), 60.0);
    hub.wait(410.0 * HOUR);
    assert_eq!(hub.said.len(), said, "{}", hub.text());
}

/// Sources that are made up fill the table and do not push out the one that is known.
#[test]
fn sources_that_are_made_up_do_not_hide_silence() {
    let mut hub = Hub::new();
    talk(&mut hub, "web", (0.0, 30.0), 120.0);
    for source in 0..60_000 {
        hub.feed(30.0 * HOUR, &format!("made-up-{source}"), line("myapp", 7, "x"));
    }
    hub.wait(31.0 * HOUR);
    assert!(hub.text().contains("web always talks and is silent"), "{}", hub.text());
}
