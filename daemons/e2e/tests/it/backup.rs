//! A server that is lost and restored from a backup made while lines flowed; its hub knows nothing of it.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    senders::{failure, sshd, tcp},
    stage::Stage,
};

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The texts of all lines that the server has of its one tenant, in the order of its log.
pub(crate) fn texts(stage: &Stage) -> Vec<String> {
    let verified = rows(&stage.verb(&["verify"]));
    let tenant = verified[0]["tenant"].as_str().unwrap();
    let batches = rows(&stage.verb(&["log", "dump", "--tenant", tenant]));
    let events = batches.iter().flat_map(|batch| batch["events"].as_array().unwrap());
    events.filter_map(|event| event["syslog"]["message"].as_str().map(str::to_owned)).collect()
}

/// A server's disk is lost, and its keys were kept apart.
pub(crate) fn lose_everything_but_keys(state: &Path) {
    for entry in fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            fs::remove_dir_all(&entry).unwrap();
        } else if entry.extension().is_none_or(|extension| extension != "pem") {
            fs::remove_file(&entry).unwrap();
        }
    }
}

#[test]
fn a_restored_server_goes_on_with_its_hubs() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let lines = |from: u32, to: u32| (from..to).map(|number| format!("<13>gate app: request {number}"));
    let run = |actor: &'static str| (0..8).map(move |port| sshd(&failure(actor, 40_000 + port)));
    let delivered = |stage: &Stage| stage.account("hub", "127.0.0.1")["delivered"].as_u64().unwrap_or(0);
    tcp(&hub, lines(0, 1_000).chain(run("203.0.113.50")));
    stage.until("the run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    stage.until("all is delivered", |stage| delivered(stage) == 1_008);

    // Lines flow while the backup is made, and after it.
    let flow = {
        let hub = hub.clone();
        std::thread::spawn(move || {
            (0..20).for_each(|part| tcp(&hub, (0..100).map(|number| format!("<13>gate app: flow {part} {number}"))));
        })
    };
    let to = stage.path("backup");
    let said = rows(&stage.verb(&["backup", to.to_str().unwrap()]));
    assert_eq!(said.last().unwrap()["backup"], to.to_str().unwrap(), "{said:?}");
    flow.join().unwrap();
    stage.until("the flow is delivered", |stage| delivered(stage) == 3_008);
    let before = texts(&stage);
    let alerts = stage.judged("hub", "brute_force");

    // The server is gone with everything but its keys; its hub goes on.
    assert!(stage.stop("server").success(), "{}", stage.logs());
    lose_everything_but_keys(&stage.path("server"));
    tcp(&hub, lines(1_000, 1_200).chain(run("203.0.113.60")));
    stage.until("the lines wait", |stage| stage.account("hub", "127.0.0.1")["waiting"] == 208);
    let restored = rows(&stage.verb(&["restore", to.to_str().unwrap()]));
    assert!(restored.iter().any(|row| row["restored"].is_string()), "{restored:?}");
    let kept = texts(&stage);
    assert!(kept.len() >= 1_008, "{}", kept.len());
    assert_eq!(kept[..], before[..kept.len()], "the log up to a moment, whole");

    stage.start_server();
    stage.until("what waited is delivered", |stage| stage.link("hub")["queue"] == 0 && stage.is_linked("hub"));
    stage.until("the new run is judged", |stage| stage.judged("hub", "brute_force").len() == 2);
    let after = texts(&stage);
    assert_eq!(after[..kept.len()], kept[..], "nothing of the backup is missing");
    let status = rows(&stage.verb(&["status"])).pop().unwrap();
    let lost = before.len() > kept.len();
    assert_eq!(status["batches"]["skipped"].as_u64() > Some(0), lost, "what it lost is named: {status}");
    let new = &after[kept.len()..];
    assert_eq!(new.iter().filter(|text| text.contains("request 1")).count(), 200, "{} new", new.len());
    assert_eq!(new.len(), 208, "what waited, and nothing else or twice");
    let ids =
        |alerts: &[Value]| alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(ids(&stage.judged("hub", "brute_force")).contains(&ids(&alerts)[0]), "the same alert");
}
