//! A hub with nothing behind it, to look at the dashboard: `cargo run --example fake_hub -- /tmp/dash.sock [down] [rate]`.
//! Serves one client at a time; shows the scene of the tests, then lines at `rate` a second.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a tool for looking, never shipped"
)]

#[path = "../tests/it/fake_hub.rs"]
mod fake_hub;
#[path = "../tests/it/scene.rs"]
mod scene;

use std::{thread, time::Duration};

use nms_proto::{dash::FromHub, time::Stamp};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let path = args.get(1).cloned().unwrap_or_else(|| "/tmp/dash.sock".into());
    let rate: u64 = args.last().and_then(|last| last.parse().ok()).unwrap_or(2);
    let listener = fake_hub::listen(path.as_ref());
    loop {
        let (stream, _) = listener.accept().unwrap();
        let mut speaker = fake_hub::Client::new(stream.try_clone().unwrap());
        thread::spawn(move || fake_hub::Client::new(stream).obey(|_, _| {}));
        let mut snapshot = scene::snapshot();
        if args.iter().any(|arg| arg == "down") {
            snapshot.link = scene::link_down();
        }
        speaker.say(&FromHub::Hello(scene::hello()));
        speaker.say(&FromHub::Snapshot(Box::new(snapshot)));
        let mut seq = 30;
        loop {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let batch = (rate / 10).max(1);
            let lines = (0..batch).map(|_| {
                seq += 1;
                let mut line =
                    scene::line(seq, "10:42:00", 6, "web01", "nginx", &format!("GET /live/{seq} 200 and so on"));
                line.at = Stamp::utc(now.as_millis() as i64);
                line
            });
            if !speaker.say(&FromHub::Lines(lines.collect())) {
                break;
            }
            thread::sleep(Duration::from_millis(1_000 * batch / rate));
        }
    }
}
