//! Every screen and state as it looks, compared with text files.

use nms_proto::{
    dash::{Endpoint, FromHub, Gap, Hello, Link, ServerState, Snapshot},
    id::EndpointId,
    severity::Severity,
};
use nms_tui::theme::Theme;

use crate::{
    driver::{Driver, compare, dump, text},
    scene,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (160, 45), (40, 10)];

/// Compares the scene that `play` makes at all sizes, in colour and without.
fn check(name: &str, play: impl Fn(&mut Driver)) {
    for (width, height) in SIZES {
        let mut driver = Driver::new(width, height);
        play(&mut driver);
        compare(&format!("{name}_{width}x{height}"), &dump(&driver.draw(Theme::COLOUR)));
        let plain = driver.draw(Theme::MONO);
        assert_eq!(text(&plain), driver.text(), "colour changes no word");
        if width == 80 {
            compare(&format!("{name}_{width}x{height}_mono"), &dump(&plain));
        }
    }
}

fn go_live(driver: &mut Driver, change: impl Fn(&mut Snapshot)) {
    let mut snapshot = scene::snapshot();
    change(&mut snapshot);
    driver.hub(FromHub::Hello(scene::hello()));
    driver.hub(FromHub::Snapshot(Box::new(snapshot)));
}

#[test]
fn alerts() {
    check("alerts", |driver| {
        go_live(driver, |_| {});
        driver.keys("j");
    });
}

#[test]
fn detail() {
    check("detail", |driver| {
        go_live(driver, |_| {});
        driver.keys("j<enter>");
    });
}

#[test]
fn logs() {
    check("logs", |driver| {
        go_live(driver, |snapshot| snapshot.lines.truncate(8));
        driver.hub(FromHub::Gap(Gap { lines: 812 }));
        let worse = nms_proto::alert::Alert { id: "a-new".parse().unwrap(), ..scene::guessing() };
        driver.hub(FromHub::Alert(Box::new(worse)));
        driver.hub(FromHub::Lines(vec![scene::line(900, "10:42:06", 6, "web01", "nginx", "GET / 200")]));
        driver.keys("2");
    });
}

#[test]
fn logs_paused_with_a_search() {
    check("logs_paused", |driver| {
        go_live(driver, |_| {});
        driver.keys("2/passw.rd<enter>");
        driver.hub(FromHub::Lines(vec![scene::line(31, "10:42:08", 6, "web01", "nginx", "GET / 200")]));
    });
}

#[test]
fn server_down() {
    check("server_down", |driver| go_live(driver, |snapshot| snapshot.link = scene::link_down()));
}

#[test]
fn no_hub() {
    check("no_hub", |driver| {
        driver.lose();
        driver.wait(2_000);
    });
}

#[test]
fn hub_lost() {
    check("hub_lost", |driver| {
        go_live(driver, |_| {});
        driver.wait(1_000);
        driver.lose();
        driver.wait(3_000);
    });
}

#[test]
fn empty() {
    check("empty", |driver| {
        go_live(driver, |snapshot| {
            let stats = nms_proto::dash::Stats { alerts: 0, alerts_open: 0, ..scene::snapshot().stats };
            *snapshot = Snapshot { stats, endpoints: scene::endpoints(), link: scene::link(), ..Snapshot::default() };
        });
    });
}

#[test]
fn help() {
    check("help", |driver| {
        go_live(driver, |_| {});
        driver.keys("?");
    });
}

#[test]
fn tables() {
    for (name, key) in [("endpoints", "3"), ("parse_errors", "5"), ("link", "6")] {
        check(name, |driver| {
            go_live(driver, |snapshot| {
                let source = snapshot.link.sources.first_mut().unwrap();
                source.dropped.insert("spool_full".into(), 77);
            });
            driver.keys(key);
        });
    }
}

/// The scene's endpoints, with two of them the same host.
pub(crate) fn overlapping() -> Vec<Endpoint> {
    let mut endpoints = scene::endpoints();
    for (at, also) in [(1, "192.168.1.101"), (3, "web01")] {
        endpoints[at].also = vec![EndpointId::new(also)];
    }
    endpoints
}

/// Where a host is both agent and syslog source, each names the other.
#[test]
fn overlapping_endpoints() {
    check("endpoints_overlapping", |driver| {
        go_live(driver, |snapshot| snapshot.endpoints = overlapping());
        driver.keys("3");
    });
}

#[test]
fn endpoints_that_are_not_listed_are_counted() {
    let mut driver = Driver::new(80, 24);
    let listed = scene::endpoints().len() as u64;
    go_live(&mut driver, |snapshot| snapshot.stats.endpoints = Some(listed + 2_345));
    driver.keys("3");
    assert!(driver.text().contains("+2345 unlisted"), "{}", driver.text());
}

#[test]
fn too_small() {
    let driver = Driver::live(39, 10);
    compare("too_small_39x10", &driver.text());
}

#[test]
fn readme() {
    // The picture of the README: what a person sees a minute after guessing began.
    let mut driver = Driver::live(80, 24);
    driver.keys("j");
    compare("readme", &driver.text());
}

/// The first row of the live screen with that link, 200 columns wide.
fn first_row(link: &Link) -> String {
    let mut driver = Driver::new(200, 24);
    go_live(&mut driver, |snapshot| snapshot.link = link.clone());
    driver.text().lines().next().unwrap().to_owned()
}

#[test]
fn the_first_row_says_in_words_how_the_link_is() {
    let ok = scene::link();
    let check = |link: &Link, words: &str| {
        let row = first_row(link);
        assert!(row.contains(words), "{row} lacks {words}");
    };
    check(&ok, "SERVER OK 12ms  queue 0/1M");
    check(&scene::link_down(), "SERVER DOWN 2m14s retry 18s  queue 3.1k/1M");
    let busy = Link { server: ServerState::Busy, busy_percent: Some(40), queue: 12, ..ok.clone() };
    check(&busy, "SERVER BUSY slowed to 40 %  queue 12/1M");
    let since = Some(scene::at("10:42:02"));
    check(&Link { server: ServerState::Connecting, since, ..ok.clone() }, "SERVER CONNECTING 5s");
    check(&Link::default(), "no server configured");
    check(&Link { server: ServerState::Other("moving".into()), ..ok.clone() }, "SERVER MOVING");
    check(&Link { rtt_ms: None, ..ok.clone() }, "SERVER OK  queue");
    let mut lossy = ok;
    lossy.sources[0].dropped.insert("spool_full".into(), 1_200);
    check(&lossy, "LOST 1.2k");
}

#[test]
fn the_first_row_keeps_the_link_when_room_is_short() {
    for width in 40..200 {
        let mut driver = Driver::new(width, 24);
        go_live(&mut driver, |snapshot| snapshot.link = scene::link_down());
        let screen = driver.text();
        let row = screen.lines().next().unwrap();
        assert!(row.contains("SERVER DOWN 2m14s retry 18s"), "{width}: {row}");
    }
}

#[test]
fn another_version_says_which_to_upgrade() {
    for (protocol, upgrade) in [(99, "upgrade nms-tui"), (0, "upgrade nmsd-hub")] {
        let mut driver = Driver::new(80, 24);
        driver.hub(FromHub::Hello(Hello { protocol, ..scene::hello() }));
        driver.hub(FromHub::Snapshot(Box::new(scene::snapshot())));
        let screen = driver.text();
        assert!(screen.contains(upgrade) && !screen.contains("CRIT"), "{screen}");
    }
}

#[test]
fn what_the_hub_did_not_send_is_a_dash() {
    let mut driver = Driver::new(80, 24);
    go_live(&mut driver, |snapshot| {
        let bare = scene::alert("a-1", Severity::High, "x", nms_proto::finding::Category::Anomaly, "odd");
        snapshot.alerts = vec![bare];
    });
    driver.keys("<enter>");
    let screen = driver.text();
    for part in
        ["first -  last -", "actor -  victim -", "id a-1  ATT&CK -", "model -  threshold -", "EVENTS   -", "HISTORY  -"]
    {
        assert!(screen.contains(part), "{part} is missing in\n{screen}");
    }
}

#[test]
fn every_size_draws_without_a_panic() {
    for width in 1..130 {
        for height in [1, 2, 3, 9, 10, 11, 23, 24, 25, 40, 45] {
            let mut driver = Driver::live(width, height);
            for key in ["2", "3", "5", "6", "1<enter>", "<esc>?", "<esc>t", "<esc>f", "<esc>2/"] {
                driver.keys(key);
                driver.draw(Theme::COLOUR);
            }
        }
    }
}
