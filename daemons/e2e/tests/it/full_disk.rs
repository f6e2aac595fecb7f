//! The disk of each daemon fills up for real: it lives, says so, takes nothing that it could not keep, and goes on by
//! itself. What was sent meanwhile is stored once, or counted by cause.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::TcpStream,
    path::Path,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    backup::texts,
    senders::{failure, sshd, text_of, udp},
    small_disk::SmallDisk,
    stage::{Hub, Stage},
};

/// How long a daemon stands on a full disk before it is freed: several heartbeats.
const FULL: Duration = Duration::from_secs(4);
/// Longest time until a daemon takes data again when there is room.
const RECOVERY: Duration = Duration::from_secs(10);
/// Datagrams that come while nobody reads them: more than the socket's buffer holds.
const DATAGRAMS: usize = 20_000;
/// Lines in a log that say the same.
const SAID_MAX: usize = 10;

/// Line `number` of `who`, long enough to need room.
fn line(who: &str, number: usize) -> String {
    format!("<14>gate app: full {who} {number} {}", "x".repeat(300))
}

/// Sends lines over one connection, for as long as the hub makes it wait.
fn send_tcp(hub: &Hub, who: &'static str, lines: usize) -> JoinHandle<()> {
    let port = hub.tcp;
    thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for number in 0..lines {
            writeln!(stream, "{}", line(who, number)).unwrap();
        }
    })
}

/// As `send_tcp`, for a hub that may end before it took everything.
fn pour_tcp(hub: &Hub, who: &'static str, lines: usize) -> JoinHandle<()> {
    let port = hub.tcp;
    thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for number in 0..lines {
            if writeln!(stream, "{}", line(who, number)).is_err() {
                return;
            }
        }
    })
}

fn append(file: &Path, lines: std::ops::Range<usize>) {
    let text = text_of(lines.map(|number| line("file", number).replacen("<14>", "", 1)));
    fs::File::options().create(true).append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

/// How often each numbered line of each sender is stored.
fn stored(stage: &Stage) -> BTreeMap<String, BTreeMap<usize, usize>> {
    let mut stored: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    for text in texts(stage) {
        let Some((_, rest)) = text.split_once("full ") else { continue };
        let mut words = rest.split(' ');
        let (Some(who), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) else { continue };
        *stored.entry(who.into()).or_default().entry(number).or_default() += 1;
    }
    stored
}

/// Each of `lines` lines of `who` is stored once.
fn assert_once(stored: &BTreeMap<String, BTreeMap<usize, usize>>, who: &str, lines: usize) {
    let of = stored.get(who).cloned().unwrap_or_default();
    let twice = of.values().filter(|times| **times > 1).count();
    assert_eq!((of.len(), twice), (lines, 0), "lines of {who} that are stored, and those stored twice");
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}

/// received = delivered + waiting + dropped + rejected, for every source of the hub.
fn assert_accounts_agree(stage: &Stage) {
    let link = stage.link("hub");
    for row in link["sources"].as_array().unwrap() {
        let count = |name: &str| row[name].as_u64().unwrap();
        let known = count("delivered") + count("waiting") + sum(&row["dropped"]) + sum(&row["rejected"]);
        assert_eq!(count("received"), known, "{row}");
    }
}

/// What a daemon says is wrong with its disk, by its status.
fn disk(stage: &Stage, binary: &str, name: &str) -> Option<String> {
    let status = (**stage).admin(binary, name, &["status"]).ok()?;
    status.first()?["disk"].as_str().map(str::to_owned)
}

fn until_full(stage: &mut Stage, binary: &str, name: &str) {
    stage.until("the daemon says that its disk is full", |stage| {
        disk(stage, binary, name).is_some_and(|said| said.contains("is full: free some space"))
    });
}

fn until_sound(stage: &mut Stage, binary: &str, name: &str) {
    let begun = Instant::now();
    stage.until("the daemon takes data again", |stage| {
        (**stage).admin(binary, name, &["status"]).is_ok_and(|status| status[0]["disk"].is_null())
    });
    assert!(begun.elapsed() < RECOVERY, "it took {:?}", begun.elapsed());
}

/// The link never breaks, and heartbeats are answered, while a disk is full.
fn assert_alive(stage: &Stage) {
    let begun = Instant::now();
    while begun.elapsed() < FULL {
        let link = stage.link("hub");
        assert!(link["server"] == "ok" || link["server"] == "busy", "{link}\n{}", stage.logs());
        assert!(link["rtt_ms"].as_u64().is_some_and(|ms| ms < 1_000), "{link}");
        assert!(!stage.snapshot("hub")["stats"].is_null());
        thread::sleep(Duration::from_millis(200));
    }
}

/// A log says it, and does not repeat itself.
fn assert_said(stage: &Stage, name: &str) {
    let log = fs::read_to_string(stage.path(&format!("{name}.log"))).unwrap();
    let said = log.lines().filter(|line| line.contains("the disk is full, intake is refused")).count();
    assert!((1..=SAID_MAX).contains(&said), "{said} times:\n{log}");
    assert!(log.len() < 200_000, "{} bytes of log", log.len());
}

/// Server and hub that heartbeat each second, the disk of one of them small.
fn chain(small: &str, mebibytes: u32) -> Option<(Stage, Hub, SmallDisk)> {
    let mut stage = Stage::new("public_ip = true\nheartbeat_interval = 1")?;
    let disk = SmallDisk::mount(&stage.path(small), mebibytes)?;
    stage.start_server();
    let hub = stage.hub("hub", "");
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked", |stage| stage.is_linked("hub"));
    Some((stage, hub, disk))
}

fn until_delivered(stage: &mut Stage) {
    // A link that was slowed down comes back to its full rate in its own time.
    stage.until("everything is delivered", |stage| {
        let link = stage.link("hub");
        // What gathers for a batch is not in the queue yet, and waits.
        let waiting = link["sources"].as_array().into_iter().flatten().filter_map(|row| row["waiting"].as_u64());
        (link["server"] == "ok" || link["server"] == "busy") && link["queue"] == 0 && waiting.sum::<u64>() == 0
    });
}

#[test]
fn a_hub_on_a_full_disk_makes_its_sources_wait_and_goes_on() {
    const LINES: usize = 30_000;
    let Some((mut stage, hub, small)) = chain("hub", 40) else { return };
    let file = stage.path("app.log");
    append(&file, 0..100);
    stage.start_agent("agent", &hub, &[&file]);
    stage.until("the file is delivered", |stage| stage.account("hub", "127.0.0.1/agent")["delivered"] == 100);
    small.fill();
    let sender = send_tcp(&hub, "tcp", LINES);
    append(&file, 100..3_000);
    until_full(&mut stage, "nmsd-hub", "hub");
    small.fill();
    stage.until("dashboards are told", |stage| {
        stage.link("hub")["disk"].as_str().is_some_and(|said| said.contains("is full"))
    });
    // Nobody waits for these: what the socket's buffer does not hold the kernel drops, and counts.
    udp(&hub, (0..DATAGRAMS).map(|number| line("udp", number)));
    assert_alive(&stage);
    assert!(!sender.is_finished(), "a sender that can wait waits");
    let agents = stage.once("hub", "endpoints");
    let agent = agents.iter().find(|row| row["kind"] == "agent").unwrap();
    assert_eq!(agent["status"], "up", "{agent}");

    // Killed, and started where there is no room: it serves, and takes nothing.
    stage.kill("hub");
    stage.start("nmsd-hub", "hub");
    until_full(&mut stage, "nmsd-hub", "hub");
    stage.until("the hub is linked", |stage| matches!(stage.link("hub")["server"].as_str(), Some("ok" | "busy")));
    assert_alive(&stage);
    small.free();
    until_sound(&mut stage, "nmsd-hub", "hub");
    assert_said(&stage, "hub");
    drop(sender);
    let again = send_tcp(&hub, "after", 1_000);
    stage.until("the senders are through", |_| again.is_finished());
    stage.until("the file is delivered", |stage| stage.account("hub", "127.0.0.1/agent")["waiting"] == 0);
    stage.until("all lines of the file came", |stage| {
        stored(stage).get("file").is_some_and(|lines| lines.len() == 3_000)
    });
    until_delivered(&mut stage);
    assert_accounts_agree(&stage);
    let stored = stored(&stage);
    assert_once(&stored, "file", 3_000);
    assert_once(&stored, "after", 1_000);
    for who in ["tcp", "udp"] {
        let twice = stored.get(who).into_iter().flat_map(BTreeMap::values).filter(|times| **times > 1).count();
        assert_eq!(twice, 0, "lines of {who} that are stored twice");
    }
}

/// Without a kill in between every line is accounted for, those of UDP by cause.
#[test]
fn what_a_hub_on_a_full_disk_cannot_take_is_counted() {
    const LINES: usize = 30_000;
    let Some((mut stage, hub, small)) = chain("hub", 40) else { return };
    small.fill();
    let sender = send_tcp(&hub, "tcp", LINES);
    until_full(&mut stage, "nmsd-hub", "hub");
    udp(&hub, (0..DATAGRAMS).map(|number| line("udp", number)));
    assert_alive(&stage);
    small.free();
    until_sound(&mut stage, "nmsd-hub", "hub");
    stage.until("the sender is through", |_| sender.is_finished());
    let count = |stage: &Stage, source: &str, name: &str| stage.account("hub", source)[name].as_u64().unwrap_or(0);
    // The kernel tells how many it dropped with the next one that it does not.
    let mut datagrams = DATAGRAMS;
    stage.until("every line is accounted for", |stage| {
        let lost = sum(&stage.account("hub", "udp")["dropped"]);
        let is_whole = count(stage, "127.0.0.1", "received") + lost == (LINES + datagrams) as u64;
        if !is_whole {
            udp(&hub, [line("udp", datagrams)]);
            datagrams += 1;
        }
        is_whole
    });
    until_delivered(&mut stage);
    assert_accounts_agree(&stage);
    let (stored, account) = (stored(&stage), stage.account("hub", "udp"));
    assert_once(&stored, "tcp", LINES);
    let kept = stored.get("udp").map_or(0, BTreeMap::len) as u64;
    let shed = sum(&stage.account("hub", "127.0.0.1")["dropped"]);
    assert_eq!(kept + sum(&account["dropped"]) + shed, datagrams as u64, "{account}");
    assert!(account["dropped"]["udp_receive_buffer"].as_u64() > Some(0), "{account}");
}

/// A hub whose own spool has taken its whole disk, while its server is away, and a sender that waits.
fn full_of_itself(mebibytes: u32, lines: usize) -> Option<(Stage, Hub, SmallDisk, JoinHandle<()>)> {
    let mut stage = Stage::new("public_ip = true\nheartbeat_interval = 1")?;
    let hub = stage.hub("hub", "");
    let small = SmallDisk::mount(&stage.path("hub"), mebibytes)?;
    stage.start("nmsd-hub", "hub");
    stage.until("the hub serves", |stage| (**stage).serves("nmsd-hub", "hub"));
    let sender = pour_tcp(&hub, "tcp", lines);
    until_full(&mut stage, "nmsd-hub", "hub");
    Some((stage, hub, small, sender))
}

#[test]
fn a_hub_whose_spool_filled_the_disk_delivers_and_goes_on() {
    const LINES: usize = 60_000;
    let Some((mut stage, _hub, _small, sender)) = full_of_itself(32, LINES) else { return };
    let checked = stage.admin("nmsd-hub", "hub", &["spool", "check"]);
    assert_eq!(checked[0]["totals_agree"], true, "{checked:?}");
    assert!(!sender.is_finished(), "the sender waits");
    let begun = Instant::now();
    stage.start_server();
    stage.until("something is delivered", |stage| stage.account("hub", "127.0.0.1")["delivered"].as_u64() > Some(0));
    assert!(begun.elapsed() < RECOVERY, "it took {:?}", begun.elapsed());
    stage.until("the sender is through", |_| sender.is_finished());
    // What it wrote last may still be in the socket.
    stage.until("every line is taken", |stage| stage.account("hub", "127.0.0.1")["received"] == LINES);
    until_delivered(&mut stage);
    assert_accounts_agree(&stage);
    assert_once(&stored(&stage), "tcp", LINES);
    let account = stage.account("hub", "127.0.0.1");
    assert_eq!((account["received"].as_u64(), sum(&account["dropped"])), (Some(LINES as u64), 0), "{account}");
    assert_said(&stage, "hub");
}

/// An end on a full disk gives up what has no room, and the next run's account says how much that was.
#[test]
fn a_hub_that_ends_on_a_full_disk_counts_what_it_gave_up() {
    let Some((mut stage, _hub, _small, sender)) = full_of_itself(32, 60_000) else { return };
    let mut received = 0;
    stage.until("nothing more is taken", |stage| {
        let before = std::mem::replace(&mut received, stage.account("hub", "127.0.0.1")["received"].as_u64().unwrap());
        thread::sleep(Duration::from_millis(1_500));
        received > 0 && before == received
    });
    assert!(stage.stop("hub").success(), "{}", stage.logs());
    stage.until("the sender hears of it", |_| sender.is_finished());
    stage.start("nmsd-hub", "hub");
    stage.until("the hub serves", |stage| (**stage).serves("nmsd-hub", "hub"));
    assert_accounts_agree(&stage);
    let account = stage.account("hub", "127.0.0.1");
    let lost = account["dropped"]["not_durable"].as_u64().unwrap_or(0);
    assert!(lost > 0, "{account}\n{}", stage.logs());
    assert!(account["received"].as_u64() >= Some(received), "{received} were received before: {account}");
    stage.start_server();
    until_delivered(&mut stage);
    until_sound(&mut stage, "nmsd-hub", "hub");
    assert_accounts_agree(&stage);
    let stored = stored(&stage).get("tcp").cloned().unwrap_or_default();
    assert!(stored.values().all(|times| *times == 1), "lines that are stored twice");
    assert_eq!(stored.len() as u64 + lost, account["received"].as_u64().unwrap(), "{account}");
}

/// What was delivered and is only kept to be looked at again gives way to what others put on the disk.
#[test]
fn a_hub_lets_its_history_go_for_a_disk_that_others_fill() {
    let Some((mut stage, hub, small)) = chain("hub", 48) else { return };
    let first = send_tcp(&hub, "first", 30_000);
    stage.until("the sender is through", |_| first.is_finished());
    until_delivered(&mut stage);
    small.fill();
    let second = send_tcp(&hub, "second", 40_000);
    stage.until("the sender is through, with no room given", |_| second.is_finished());
    // What it wrote last may still be in the socket.
    stage.until("every line is taken", |stage| stage.account("hub", "127.0.0.1")["received"] == 70_000);
    until_delivered(&mut stage);
    until_sound(&mut stage, "nmsd-hub", "hub");
    assert_accounts_agree(&stage);
    let stored = stored(&stage);
    assert_once(&stored, "first", 30_000);
    assert_once(&stored, "second", 40_000);
    assert_said(&stage, "hub");
}

#[test]
fn an_agent_on_a_full_disk_leaves_the_lines_in_their_file() {
    let Some(mut stage) = Stage::new("public_ip = true\nheartbeat_interval = 1") else { return };
    let Some(small) = SmallDisk::mount(&stage.path("agent"), 12) else { return };
    stage.start_server();
    let hub = stage.hub("hub", "");
    let file = stage.path("app.log");
    append(&file, 0..10);
    stage.start_agent("agent", &hub, &[&file]);
    stage.until("the lines wait", |stage| {
        (**stage).admin("nmsd-agent", "agent", &["status"]).is_ok_and(|status| status[0]["spool"]["events"] == 10)
    });
    small.fill();
    append(&file, 10..30_000);
    until_full(&mut stage, "nmsd-agent", "agent");
    small.fill();
    // What it has it delivers all the same; an acknowledgement finds room in the reserve.
    stage.start("nmsd-hub", "hub");
    stage.until("what the agent took is delivered", |stage| {
        stage.account("hub", "127.0.0.1/agent")["delivered"].as_u64() >= Some(10)
    });
    let begun = Instant::now();
    while begun.elapsed() < FULL {
        let endpoints = stage.once("hub", "endpoints");
        let agent = endpoints.iter().find(|row| row["kind"] == "agent").unwrap();
        assert_eq!(agent["status"], "up", "{agent}");
        thread::sleep(Duration::from_millis(200));
    }
    stage.kill("agent");
    stage.start("nmsd-agent", "agent");
    stage.until("the agent answers, or says why not", |stage| {
        disk(stage, "nmsd-agent", "agent").is_some()
            || fs::read_to_string(stage.path("agent.log")).unwrap().contains("its disk is full: free some space")
    });
    small.free();
    if !stage.ended().is_empty() {
        stage.kill("agent");
        stage.start("nmsd-agent", "agent");
    }
    until_sound(&mut stage, "nmsd-agent", "agent");
    assert_said(&stage, "agent");
    stage.until("every line came", |stage| {
        stage.account("hub", "127.0.0.1/agent")["delivered"].as_u64() >= Some(30_000)
    });
    until_delivered(&mut stage);
    assert_accounts_agree(&stage);
    assert_once(&stored(&stage), "file", 30_000);
    assert!(stage.stop("agent").success(), "{}", stage.logs());
}

#[test]
fn a_server_on_a_full_disk_acknowledges_nothing_that_it_has_not_stored() {
    const LINES: usize = 40_000;
    let Some((mut stage, hub, small)) = chain("server", 48) else { return };
    small.fill();
    let sender = send_tcp(&hub, "tcp", LINES);
    until_full(&mut stage, "nmsd-server", "server");
    small.fill();
    // The hub alerts by itself; the server's word comes later.
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("the hub alerts", |stage| !stage.alerts("hub").is_empty());
    assert_alive(&stage);
    stage.until("the sender is through, the hub keeps what the server refuses", |_| sender.is_finished());
    let waiting = stage.link("hub")["queue"].as_u64().unwrap();
    assert!(waiting > 0, "{}", stage.link("hub"));
    // What it acknowledged stands in its log, whatever happens to it now.
    let delivered = stage.account("hub", "127.0.0.1")["delivered"].as_u64().unwrap() as usize;
    stage.kill("server");
    stage.start_server();
    stage.until("the server answers, or says why not", |stage| {
        disk(stage, "nmsd-server", "server").is_some()
            || fs::read_to_string(stage.path("server.log")).unwrap().contains("its disk is full: free some space")
    });
    small.free();
    if stage.ended().iter().any(|(name, _)| *name == "server") {
        stage.kill("server");
        stage.start_server();
    }
    until_sound(&mut stage, "nmsd-server", "server");
    assert_said(&stage, "server");
    let kept = stored(&stage).get("tcp").map_or(0, BTreeMap::len);
    assert!(kept >= delivered, "{kept} of {delivered} acknowledged lines are stored");
    until_delivered(&mut stage);
    stage.until("the alert is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    assert_accounts_agree(&stage);
    assert_once(&stored(&stage), "tcp", LINES);
    assert!(stage.stop("server").success(), "{}", stage.logs());
}

/// A daemon whose first start finds no room ends with the reason and what to do.
#[test]
fn a_first_start_on_a_full_disk_says_what_to_do() {
    let Some(mut stage) = Stage::new("public_ip = true") else { return };
    let hub = stage.hub("hub", "");
    for (binary, name) in [("nmsd-agent", "agent"), ("nmsd-hub", "hub"), ("nmsd-server", "server")] {
        let Some(small) = SmallDisk::mount(&stage.path(name), 1) else { return };
        small.fill();
        if name == "agent" {
            stage.start_agent(name, &hub, &[]);
        } else {
            stage.start(binary, name);
        }
        stage.until("it ends", |stage| {
            fs::read_to_string(stage.path(&format!("{name}.log"))).unwrap().contains("free some space")
        });
        stage.until("it says so and has ended", |stage| !(**stage).serves(binary, name));
        stage.kill(name);
        small.free();
    }
}
