//! Peers that mean harm, or are built wrong: what they do stays theirs.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    senders::{connect_from, failure, sshd, udp},
    stage::{Hub, Stage},
};

/// A peer on the agents' port that says what it likes.
struct Peer(TcpStream);

impl Peer {
    fn connect(hub: &Hub) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST, hub)
    }

    fn connect_from(address: Ipv4Addr, hub: &Hub) -> Self {
        let stream = connect_from(address, hub.agents).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    /// Sends a message and gives what is answered.
    fn ask(&mut self, kind: &str, payload: &Value) -> Value {
        let message = json!({ "type": kind, "timestamp": "2026-01-05T14:30:00Z", "payload": payload }).to_string();
        self.0.write_all(&(message.len() as u32).to_be_bytes()).unwrap();
        self.0.write_all(message.as_bytes()).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// Registers under an instance of its own.
    fn register(&mut self, hostname: &str, instance: &str) -> Value {
        self.ask(
            "REGISTER",
            &json!({
                "client_version": "1", "hostname": hostname, "os": "x", "endpoints_count": 0, "protocol": 1,
                "instance": instance, "next": 1,
            }),
        )
    }
}

#[test]
fn an_agent_cannot_speak_as_a_correlator_nor_for_others() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    let instance = "5f0c000000000000000000000000000a";
    let mut peer = Peer::connect(&hub);
    assert_eq!(peer.register("liar", instance)["payload"]["status"], "ok");
    let evidence =
        json!([{ "id": format!("{instance}:1"), "at": "2026-01-05T14:30:00Z", "source": "192.0.2.7", "line": "x" }]);
    let finding = json!({
        "alert": "a-00000000000000aa", "revision": 9, "rule": "guessing", "key": "x", "category": "ransomware",
        "floor": "CRITICAL", "confidence": 1.0, "source": "192.0.2.7", "message": "made up", "reasons": ["made up"], "count": 1,
        "first_seen": "2026-01-05T14:30:00Z", "last_seen": "2026-01-05T14:30:00Z", "evidence": evidence,
    });
    let batch = |number: u64, body: (&str, Value)| {
        let mut event = json!({ "source": "192.0.2.7", "id": [0, number], "at": "2026-01-05T14:30:00Z" });
        event[body.0] = body.1;
        json!({ "batch": number, "origins": [instance], "events": [event] })
    };
    let answer = peer.ask("BATCH_EVENT", &batch(1, ("finding", finding)));
    assert_eq!(answer["payload"]["status"], "error", "{answer}");
    assert!(answer["payload"]["message"].as_str().is_some_and(|text| text.contains("findings")), "{answer}");
    // The same number with something that it may say is taken; whose it is, the hub says.
    let loss = json!({ "source": "192.0.2.7", "cause": "truncated_away", "count": 3 });
    let answer = peer.ask("BATCH_EVENT", &batch(1, ("loss", loss)));
    assert_eq!((&answer["payload"]["status"], &answer["payload"]["batch"]), (&json!("ok"), &json!(1)), "{answer}");
    stage.until("the loss is in the account of the one who said it", |stage| {
        stage.account("hub", "127.0.0.1/liar")["dropped"] == json!({ "truncated_away": 3 })
    });
    assert_eq!(stage.account("hub", "192.0.2.7"), Value::Null, "nobody speaks for others");
    assert_eq!(stage.alerts("hub"), Vec::<Value>::new());
}

/// Sends a frame and gives the first answer of that type.
fn ask_dashboard(path: &Path, command: &Value) -> Value {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let text = command.to_string();
    stream.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut said = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut said).unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        if said["type"] == "result" {
            return said["payload"].clone();
        }
    }
}

#[test]
fn a_reader_may_look_and_not_settle_and_who_settles_is_written_down() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("the run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    let alert = stage.judged("hub", "brute_force")[0]["id"].clone();
    let payload =
        json!({ "id": 7, "action": "close", "alert": alert, "verdict": "true_positive", "reason": "it was one" });
    let close = json!({ "type": "command", "payload": payload });
    let refused = ask_dashboard(&stage.path("run-hub/dash-ro.sock"), &close);
    assert_eq!((&refused["id"], &refused["ok"]), (&json!(7), &json!(false)), "{refused}");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("readers")), "{refused}");
    assert_eq!(stage.judged("hub", "brute_force")[0]["status"], "open");
    let done = ask_dashboard(&stage.socket("hub"), &close);
    assert_eq!(done["ok"], true, "{done}");
    // It outlives the hub, with who, when and why.
    stage.kill("hub");
    stage.start("nmsd-hub", "hub");
    stage.until("the alert is closed", |stage| {
        stage.alerts("hub").iter().any(|alert| alert["status"] == "closed" && alert["verdict"] == "true_positive")
    });
    let closed = stage.alerts("hub").into_iter().find(|known| known["id"] == alert).unwrap();
    let step = closed["history"].as_array().unwrap().last().unwrap().clone();
    let own = std::fs::metadata(stage.socket("hub")).map(|file| std::os::unix::fs::MetadataExt::uid(&file)).unwrap();
    assert_eq!((&step["uid"], &step["why"]), (&json!(own), &json!("it was one")), "{step}");
    assert!(step["at"].is_string(), "{step}");
}

#[test]
fn peers_with_ever_new_names_harm_nobody() {
    let Some((mut stage, hub)) = Stage::chain() else { return };
    for number in 0..3_000_u32 {
        // From many addresses: one alone is held to its rate.
        let address = Ipv4Addr::from(0x7f01_0000 + number / 50);
        let mut peer = Peer::connect_from(address, &hub);
        let answer = peer.register(&format!("host-{number}-{}", "x".repeat(200)), &format!("{number:032x}"));
        assert_eq!(answer["payload"]["status"], "ok", "{answer}");
    }
    // A dashboard still gets everything in one frame, and is told how many there are.
    let listed = stage.once("hub", "endpoints").len();
    assert!((1_000..=2_000).contains(&listed), "{listed} endpoints are listed");
    let status = stage.admin("nmsd-hub", "hub", &["status"]).remove(0);
    assert!(status["agents"].as_array().is_some_and(|agents| agents.len() < 10), "who is gone is gone: {status}");
    udp(&hub, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    stage.until("an honest sender's run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
}
