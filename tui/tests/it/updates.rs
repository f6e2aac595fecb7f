//! What each message changes.

use nms_proto::{
    alert::Alert,
    dash::{FromHub, Gap, Hello, Line, Snapshot, Subscribe, ToHub},
    finding::Category,
    severity::Severity,
    time::Stamp,
};
use nms_tui::{
    app::{Follow, Hub, Page, Screen},
    filter::Filter,
    lines::{Bounds, Lines},
    list::{Cursor, Motion},
    msg::{Effect, Msg},
};

use crate::{driver::Driver, scene};

fn selected(driver: &Driver) -> String {
    driver.app.alerts.selected().map_or("-".into(), |alert| alert.id.to_string())
}

fn shown(driver: &Driver) -> Vec<String> {
    (0..driver.app.alerts.shown_len()).map(|at| driver.app.alerts.shown(at).unwrap().id.to_string()).collect()
}

fn raised(id: &str, severity: Severity, second: i64) -> Alert {
    let at = Stamp::utc(scene::now().unix_ms + second * 1_000);
    Alert { last_seen: Some(at), ..scene::alert(id, severity, "web02", Category::PortScan, "scan") }
}

fn push(driver: &mut Driver, alert: Alert) {
    driver.hub(FromHub::Alert(Box::new(alert)));
}

#[test]
fn alerts_stand_worst_first_then_newest() {
    let driver = Driver::live(80, 24);
    assert_eq!(shown(&driver), ["a-02", "a-00000000000000a1", "a-03"], "the closed one is hidden");
}

#[test]
fn a_new_alert_never_moves_the_selection() {
    let mut driver = Driver::live(80, 24);
    driver.keys("j");
    let before = selected(&driver);
    push(&mut driver, raised("a-new", Severity::Critical, 1));
    assert_eq!(selected(&driver), before);
    assert_eq!(shown(&driver)[0], "a-new", "and the new one is seen");
}

#[test]
fn a_scrolled_list_stands_still_when_an_alert_comes_in() {
    let mut driver = Driver::live(80, 24);
    for number in 0..40 {
        push(&mut driver, raised(&format!("a-m{number}"), Severity::Medium, -number));
    }
    driver.keys("<home><pgdn><pgdn><pgdn>jj");
    let place = |driver: &Driver| driver.app.alerts.cursor.at - driver.app.alerts.cursor.top;
    let (before, row) = (selected(&driver), place(&driver));
    push(&mut driver, raised("a-new", Severity::Critical, 1));
    assert_eq!((selected(&driver), place(&driver)), (before, row));
}

#[test]
fn a_lower_revision_never_replaces_a_higher_one() {
    let mut driver = Driver::live(80, 24);
    push(&mut driver, Alert { revision: 2, count: 5, ..scene::guessing() });
    driver.keys("j");
    assert_eq!(driver.app.alerts.selected().unwrap().count, 37);
    push(&mut driver, Alert { revision: 4, count: 60, ..scene::guessing() });
    assert_eq!(driver.app.alerts.selected().unwrap().count, 60);
}

#[test]
fn a_new_alert_stands_in_the_log_once() {
    let mut driver = Driver::live(80, 24);
    let before = driver.app.logs.lines.len();
    push(&mut driver, raised("a-new", Severity::Low, 1));
    push(&mut driver, Alert { revision: 2, ..raised("a-new", Severity::Low, 2) });
    assert_eq!(driver.app.logs.lines.len(), before + 1);
    push(&mut driver, Alert { revision: 3, ..raised("a-new", Severity::High, 3) });
    assert_eq!(driver.app.logs.lines.len(), before + 2, "it became worse");
}

#[test]
fn the_snapshot_is_answered_with_a_subscription() {
    let mut driver = Driver::new(80, 24);
    assert_eq!(driver.hub(FromHub::Hello(scene::hello())), []);
    let effects = driver.hub(FromHub::Snapshot(Box::new(scene::snapshot())));
    let subscribe = Subscribe { after: Some(30), lines_per_s_max: None };
    assert_eq!(effects, [Effect::Send(ToHub::Subscribe(subscribe))]);
}

fn line(seq: u64) -> Line {
    scene::line(seq, "10:42:07", 6, "web01", "nginx", &format!("line {seq}"))
}

/// What stands in the log after the hub was away and came back with `lines`.
fn come_back(lines: Vec<Line>) -> (Driver, Vec<String>) {
    let mut driver = Driver::live(80, 24);
    driver.keys("j");
    driver.lose();
    driver.wait(300);
    driver.hub(FromHub::Hello(scene::hello()));
    assert!(matches!(driver.app.hub, Hub::Lost(..)), "all is as last known until the snapshot");
    driver.hub(FromHub::Snapshot(Box::new(Snapshot { lines, ..scene::snapshot() })));
    let log = &driver.app.logs.lines;
    let rows = (30..log.len()).map(|at| log.shown(at).unwrap().message().to_string()).collect();
    (driver, rows)
}

#[test]
fn a_hub_that_comes_back_goes_on_where_it_was() {
    let (driver, rows) = come_back((25..=32).map(line).collect());
    assert_eq!(rows, ["line 31", "line 32"], "nothing twice");
    assert_eq!(selected(&driver), "a-00000000000000a1", "the selection is kept");
    assert!(driver.text().contains("the hub is back; no lines were missed"));
}

#[test]
fn lines_that_were_missed_are_a_line() {
    let (driver, rows) = come_back((43..=44).map(line).collect());
    assert_eq!(rows, ["-- 12 lines skipped --", "line 43", "line 44"]);
    assert!(driver.text().contains("the hub is back; 12 lines were missed"));
}

#[test]
fn a_hub_with_a_new_store_is_read_from_its_beginning() {
    let (_, rows) = come_back((1..=2).map(line).collect());
    assert_eq!(rows, ["-- the hub began its store of lines anew --", "line 1", "line 2"]);
}

#[test]
fn a_gap_is_a_line() {
    let mut driver = Driver::live(80, 24);
    driver.hub(FromHub::Gap(Gap { lines: 812 }));
    driver.keys("2");
    assert!(driver.text().contains("-- 812 lines skipped --"));
}

#[test]
fn a_paused_log_stands_still_and_counts() {
    let mut driver = Driver::live(80, 24);
    driver.keys("2kk");
    let before = driver.text().lines().nth(5).unwrap().to_owned();
    driver.hub(FromHub::Lines((31..=35).map(line).collect()));
    assert!(matches!(driver.app.logs.follow, Follow::Paused { new: 5, .. }));
    let screen = driver.text();
    assert_eq!(screen.lines().nth(5).unwrap(), before);
    assert!(screen.contains("PAUSED at 10:42:07  +5 new  space/G follow"), "{screen}");
    driver.keys("<space>");
    assert!(driver.text().contains("line 35"));
    assert_eq!(driver.app.logs.follow, Follow::On);
}

#[test]
fn moving_down_at_the_end_of_a_followed_log_does_not_pause_it() {
    let mut driver = Driver::live(80, 24);
    driver.keys("2j<pgdn>");
    assert_eq!(driver.app.logs.follow, Follow::On);
}

#[test]
fn search_goes_to_hits_and_says_when_there_is_none() {
    let mut driver = Driver::live(80, 24);
    driver.keys("2/EXT4.*sda1<enter>");
    assert_eq!(driver.app.logs.selected().unwrap().app().as_str(), "kernel");
    driver.keys("/^nothing$<enter>");
    assert!(driver.text().contains("not found"));
    driver.keys("/(<enter>");
    assert!(driver.text().contains("search: "), "a wrong pattern is an answer, not a panic");
}

/// Regular expressions: patterns that stall other engines are searched like any other, and long ones are refused.
#[test]
fn regular_expressions_are_linear_and_capped() {
    let mut driver = Driver::live(80, 24);
    for pattern in ["(a{1000}){1000}", "(x{500}){500}y", "((a{100}){100}){100}"] {
        driver.keys(&format!("2/{pattern}<enter>"));
        assert!(driver.text().contains("search: "), "{pattern} is refused in words");
    }
    // Exponential where an engine goes back: 2^n steps for n letters.
    let mut hostile = line(31);
    hostile.message = "a".repeat(8_000).into();
    driver.hub(FromHub::Lines(vec![hostile]));
    for pattern in ["(a*)*b$", "(a|aa)+b$", "(.*)*(.*)*(.*)*[^a]z"] {
        driver.keys(&format!("2/{pattern}<enter>"));
        assert!(driver.text().contains("not found"), "{pattern}");
    }
    driver.keys(&format!("2/{}<enter>", "a?".repeat(400)));
    assert!(driver.text().contains("search: ") || driver.app.search.is_some());
}

#[test]
fn next_alert_in_the_log_opens() {
    let mut driver = Driver::live(80, 24);
    push(&mut driver, raised("a-new", Severity::High, 1));
    driver.hub(FromHub::Lines((31..=35).map(line).collect()));
    driver.keys("2E<enter>");
    assert_eq!(driver.app.screen, Screen::Alerts);
    assert_eq!(driver.app.page, Some(Page::Alert("a-new".parse().unwrap())));
    driver.keys("<esc>");
    assert_eq!((driver.app.page.clone(), selected(&driver)), (None, "a-new".into()));
}

#[test]
fn the_log_of_an_alert_is_that_of_its_source() {
    let mut driver = Driver::live(80, 24);
    driver.keys("jl");
    assert_eq!(driver.app.screen, Screen::Logs);
    assert_eq!(driver.app.logs.lines.shown_len(), 2);
    driver.keys("x");
    assert_eq!(driver.app.logs.lines.shown_len(), 30);
}

#[test]
fn tabs_turn_both_ways() {
    let mut driver = Driver::live(80, 24);
    let check = |driver: &mut Driver, keys: &str, screen| {
        driver.keys(keys);
        assert_eq!(driver.app.screen, screen, "after {keys}");
    };
    check(&mut driver, "<tab>", Screen::Logs);
    check(&mut driver, "<backtab><backtab>", Screen::Link);
    check(&mut driver, "<tab>", Screen::Alerts);
    check(&mut driver, "5", Screen::ParseErrors);
    check(&mut driver, "4", Screen::ParseErrors);
}

#[test]
fn q_goes_back_then_leaves() {
    let mut driver = Driver::live(80, 24);
    assert_eq!(driver.keys("?q<enter>q"), []);
    assert_eq!(driver.keys("q"), [Effect::Quit]);
    assert_eq!(driver.keys("f<c-c>"), [Effect::Quit], "even while a filter is written");
}

#[test]
fn pasted_text_never_acts_as_keys() {
    let mut driver = Driver::live(80, 24);
    assert_eq!(driver.msg(Msg::Paste("aq\u{3}tt".into())), []);
    assert_eq!(driver.app.screen, Screen::Alerts);
    driver.keys("f<c-u>");
    driver.msg(Msg::Paste("web\u{1b}01".into()));
    driver.keys("<enter>");
    assert_eq!(driver.app.alerts.filter.to_string(), "web01");
}

#[test]
fn a_word_on_what_happened_goes_away() {
    let mut driver = Driver::live(80, 24);
    driver.keys("3a1/nothing<enter>");
    assert!(driver.text().contains("not found"));
    driver.wait(8_000);
    assert!(!driver.text().contains("not found"));
}

#[test]
fn the_hub_that_was_never_there_is_counted_down() {
    let mut driver = Driver::new(80, 24);
    assert!(driver.text().contains("Looking for the hub at /run/nmsd-hub/dash.sock"));
    driver.lose();
    driver.wait(1_000);
    assert!(driver.text().contains("next try in 4s"), "{}", driver.text());
}

#[test]
fn an_unknown_hub_version_stays_on_the_screen_when_it_goes_away() {
    let mut driver = Driver::new(80, 24);
    driver.hub(FromHub::Hello(Hello { protocol: 7, ..scene::hello() }));
    driver.lose();
    assert!(driver.text().contains("upgrade nms-tui"));
}

#[test]
fn the_ring_is_bounded_by_lines_and_by_bytes() {
    let mut by_lines = Lines::bounded(Bounds { lines: 100, bytes: usize::MAX });
    let moved = by_lines.extend(&(1..=250).map(line).collect::<Vec<_>>());
    assert_eq!((by_lines.len(), by_lines.shown_len(), moved.dropped), (100, 100, 150));
    assert_eq!(by_lines.shown(0).unwrap().message().as_str(), "line 151");

    let mut by_bytes = Lines::bounded(Bounds { lines: usize::MAX, bytes: 10_000 });
    by_bytes.extend(&(1..=2_000).map(line).collect::<Vec<_>>());
    assert!(by_bytes.bytes() <= 10_000 && by_bytes.len() > 50, "{} bytes", by_bytes.bytes());
    assert_eq!(by_bytes.shown(by_bytes.len() - 1).unwrap().message().as_str(), "line 2000");
}

#[test]
fn a_filter_over_the_ring_holds_while_lines_come_and_go() {
    let mut lines = Lines::bounded(Bounds { lines: 10, bytes: usize::MAX });
    lines.set_filter(Filter::parse("\"line 1\"").unwrap());
    lines.extend(&(1..=25).map(line).collect::<Vec<_>>());
    let texts: Vec<_> = (0..lines.shown_len()).map(|at| lines.shown(at).unwrap().message().to_string()).collect();
    assert_eq!(texts, ["line 16", "line 17", "line 18", "line 19"]);
    lines.set_filter(Filter::default());
    assert_eq!(lines.shown_len(), 10);
}

#[test]
fn a_cursor_stays_in_its_list() {
    let check = |motions: &[Motion], at: usize, top: usize| {
        let mut cursor = Cursor::default();
        for motion in motions {
            cursor.step(*motion, 50, 10);
        }
        assert_eq!(cursor, Cursor { at, top }, "{motions:?}");
    };
    check(&[Motion::Up], 0, 0);
    check(&[Motion::Last], 49, 40);
    check(&[Motion::Last, Motion::Down, Motion::Up], 48, 40);
    check(&[Motion::PageDown], 10, 1);
    check(&[Motion::PageDown, Motion::PageDown, Motion::PageUp], 10, 10);
    check(&[Motion::HalfDown, Motion::HalfUp, Motion::HalfUp], 0, 0);
    check(&[Motion::Last, Motion::First], 0, 0);
    let mut cursor = Cursor { at: 40, top: 35 };
    cursor.fit(0, 10);
    assert_eq!(cursor, Cursor::default(), "an empty list has a place too");
}
