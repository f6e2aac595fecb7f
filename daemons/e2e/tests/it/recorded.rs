//! Stores that each released version left: today's daemons open them, and go on where they were left.
//!
//! ```text
//! tests/recorded/VERSION/agent/spool.redb.lz4    size u32 (little-endian), then the file in lz4 blocks
//! ```
//! `cargo xtask record` writes those of the version in Cargo.toml, once, before a release.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    backup::texts,
    senders::{failure, sshd, tcp, text_of},
    stage::Stage,
};

/// Lines that were delivered, that waited at the hub, and that waited at the agent, when the stores were recorded.
const DELIVERED: usize = 20;
const AT_HUB: usize = 30;
const AT_AGENT: usize = 40;
const DAEMONS: [(&str, &str); 3] = [("nmsd-agent", "agent"), ("nmsd-hub", "hub"), ("nmsd-server", "server")];

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

fn lines(what: &str, count: usize) -> impl Iterator<Item = String> + '_ {
    (0..count).map(move |number| format!("<14>gate app: {what} {number}"))
}

/// The stores below a folder, by their paths in it.
fn stores(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(stores(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "redb") {
            found.push(entry);
        }
    }
    found
}

#[test]
#[ignore = "writes the stores of this version; cargo xtask record"]
fn record() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    assert!(!folder.exists(), "{} is recorded already, and stays as it is", folder.display());
    let Some((mut stage, hub)) = Stage::chain() else { panic!("NMS_BIN names no folder with the daemons") };
    let file = stage.path("app.log");
    fs::write(&file, "").unwrap();
    stage.start_agent("agent", &hub, &[&file]);
    let run = (0..8).map(|port| sshd(&failure("203.0.113.50", 40_000 + port)));
    tcp(&hub, lines("delivered", DELIVERED).chain(run));
    stage.until("the run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    stage.until("all is delivered", |stage| stage.link("hub")["queue"] == 0);
    assert!(stage.stop("server").success());
    tcp(&hub, lines("at the hub", AT_HUB));
    stage.until("the lines wait at the hub", |stage| stage.link("hub")["queue"] == AT_HUB);
    assert!(stage.stop("hub").success());
    let text = text_of((0..AT_AGENT).map(|number| format!("app: at the agent {number}")));
    fs::write(&file, text).unwrap();
    stage.until("the lines wait at the agent", |stage| {
        stage.admin("nmsd-agent", "agent", &["status"])[0]["spool"]["events"] == AT_AGENT
    });
    assert!(stage.stop("agent").success());
    for (_, name) in DAEMONS {
        let state = stage.path(name);
        for store in stores(&state) {
            let to = folder.join(name).join(store.strip_prefix(&state).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let packed = lz4_flex::compress_prepend_size(&fs::read(&store).unwrap());
            fs::write(format!("{}.lz4", to.display()), packed).unwrap();
        }
    }
}

/// Puts the stores of a version where the daemons of a stage look for theirs.
fn unpack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        match name.strip_suffix(".lz4") {
            Some(name) => {
                let whole = lz4_flex::decompress_size_prepended(&fs::read(&entry).unwrap()).unwrap();
                fs::write(to.join(name), whole).unwrap();
            }
            None => unpack(&entry, &to.join(name)),
        }
    }
}

#[test]
fn stores_of_this_version_are_recorded() {
    let folder = recorded().join(env!("CARGO_PKG_VERSION"));
    assert!(
        folder.join("server/state.redb.lz4").is_file(),
        "no stores of version {} are recorded: run `cargo xtask record`, read what it wrote and commit it",
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn daemons_go_on_with_the_stores_of_every_version() {
    for version in fs::read_dir(recorded()).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(mut stage) = Stage::new("public_ip = true") else { return };
        for (_, name) in DAEMONS {
            unpack(&version.join(name), &stage.path(name));
        }
        let hub = stage.hub("hub", "");
        let file = stage.path("other.log");
        fs::write(&file, "app: new at the agent\n").unwrap();
        // The hub alone first: what it kept is there before anybody tells it anew.
        stage.start("nmsd-hub", "hub");
        stage.until("the hub serves", |stage| !stage.once("hub", "link").is_empty());
        let alerts = stage.judged("hub", "brute_force");
        assert_eq!((alerts.len(), &alerts[0]["actor"]), (1, &Value::from("203.0.113.50")), "{alerts:?}");
        assert_eq!(stage.link("hub")["queue"], AT_HUB);
        stage.start_server();
        stage.start_agent("agent", &hub, &[&file]);
        stage.until("the server serves", |stage| stage.serves("nmsd-server", "server"));
        let count = |stage: &Stage, what: &str| texts(stage).iter().filter(|text| text.contains(what)).count();
        stage.until("everything that waited is stored", |stage| {
            count(stage, "at the hub ") >= AT_HUB && count(stage, "at the agent ") >= AT_AGENT
        });
        tcp(&hub, lines("new at the hub", 5));
        stage.until("what is new is stored", |stage| {
            count(stage, "new at the hub ") == 5 && count(stage, "new at the agent") == 1
        });
        let kept = ["delivered ", "at the hub ", "at the agent "].map(|what| count(&stage, what));
        assert_eq!(kept, [DELIVERED, AT_HUB + 5, AT_AGENT], "each line once, in {}", version.display());
        // The run goes on under its name: the server knows what it said of it.
        tcp(&hub, (0..8).map(|port| sshd(&failure("203.0.113.60", 40_000 + port))));
        stage.until("a new run is judged", |stage| stage.judged("hub", "brute_force").len() == 2);
        let ids: Vec<_> = stage.judged("hub", "brute_force").iter().map(|alert| alert["id"].clone()).collect();
        assert!(ids.contains(&alerts[0]["id"]), "{ids:?}");
        let status = stage.verb(&["status"]);
        assert!(status.contains("\"quarantined\":0") && status.contains("\"damaged\":0"), "{status}");
    }
}
