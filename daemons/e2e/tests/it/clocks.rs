//! Clocks that are wrong for a while: a year ahead, a year behind, and right again, at each daemon.

use std::{
    fs,
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    backup::texts,
    senders::{failure, sshd, tcp, text_of, udp},
    stage::Stage,
};

/// A year, in seconds.
const YEAR_S: i64 = 31_536_000;
/// How long a clock is wrong.
const WRONG: Duration = Duration::from_secs(2);

/// Sets the clock of a daemon that runs.
fn set(stage: &Stage, name: &str, seconds: i64) {
    // Moved into place: half a number would be another one.
    let (clock, beside) = (stage.path(&format!("{name}.clock")), stage.path(&format!("{name}.clock.new")));
    fs::write(&beside, seconds.to_string()).unwrap();
    fs::rename(beside, clock).unwrap();
}

fn start(stage: &mut Stage, binary: &str, name: &str) {
    let mut command = stage.command(binary, name);
    command.env("NMS_CLOCK_FILE", stage.path(&format!("{name}.clock")));
    stage.start_other(name, &mut command);
}

/// The one alert about a guessing run: id, and what became of it.
fn alert(stage: &Stage) -> (Value, Value) {
    let alerts = stage.judged("hub", "brute_force");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    (alerts[0]["id"].clone(), alerts[0]["status"].clone())
}

#[test]
fn clocks_that_jump_a_year_lose_nothing_and_end_nothing() {
    let Some(mut stage) = Stage::new("public_ip = true\nheartbeat_interval = 1") else { return };
    start(&mut stage, "nmsd-server", "server");
    let hub = stage.hub("hub", "");
    start(&mut stage, "nmsd-hub", "hub");
    let file = stage.path("app.log");
    fs::write(&file, "").unwrap();
    stage.agent("agent", &hub, &[&file], &[]).unwrap();
    start(&mut stage, "nmsd-agent", "agent");
    stage.until("the hub is linked", |stage| stage.is_linked("hub"));
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("the run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    let before = alert(&stage);
    assert_eq!(before.1, "open");

    let mut sent = 0;
    for name in ["agent", "hub", "server"] {
        for seconds in [YEAR_S, 0, -YEAR_S, 0] {
            set(&stage, name, seconds);
            let begun = Instant::now();
            while begun.elapsed() < WRONG {
                let text = text_of((sent..sent + 5).map(|number| format!("app: clock {number}")));
                fs::File::options().append(true).open(&file).unwrap().write_all(text.as_bytes()).unwrap();
                tcp(&hub, (sent..sent + 5).map(|number| format!("<14>app: wire {number}")));
                sent += 5;
                let link = stage.link("hub");
                assert_eq!(link["server"], "ok", "{name} by {seconds} s: {link}\n{}", stage.logs());
                thread::sleep(Duration::from_millis(200));
            }
        }
        assert_eq!(alert(&stage), before, "no time passed for what is open");
    }
    // More of the same run belongs to it, and what analysis waits for still comes.
    udp(&hub, (0..90).map(|port| sshd(&failure("203.0.113.50", 41_000 + port))));
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.60", 42_000 + port))));
    stage.until("the new run is judged", |stage| stage.judged("hub", "brute_force").len() == 2);
    stage.until("everything is stored", |stage| {
        let texts = texts(stage);
        ["clock ", "wire "].iter().all(|word| texts.iter().filter(|text| text.contains(word)).count() == sent)
    });
    let count = |stage: &Stage| {
        let of_run = stage.judged("hub", "brute_force");
        of_run.iter().find(|alert| alert["id"] == before.0).map(|alert| alert["count"].clone())
    };
    stage.until("the run goes on under its name", |stage| count(stage) == Some(json!(100)));
    // In the order in which they were sent, whatever their stamps say.
    for word in ["clock ", "wire "] {
        let numbers: Vec<usize> =
            texts(&stage).iter().filter_map(|text| text.split_once(word)?.1.parse().ok()).collect();
        assert_eq!(numbers, (0..sent).collect::<Vec<_>>(), "{word}");
    }
    // The time on the server's log began a segment in another year, and dropped none.
    let segments = fs::read_dir(stage.path("server/log")).unwrap().count();
    assert!(segments >= 2, "{segments}");
    assert!(stage.verb(&["status"]).contains("\"quarantined\":0"));
    for name in ["agent", "hub", "server"] {
        assert!(stage.stop(name).success(), "{}", stage.logs());
    }
}
