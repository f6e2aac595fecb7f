//! Two tenants on one server: neither sees anything of the other.

use crate::{
    senders::{failure, sshd, udp},
    stage::Stage,
};

/// The value of `key = "value"` in what a verb printed.
fn value(text: &str, key: &str) -> String {
    let start = format!("{key} = \"");
    let found = text.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
    found.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
}

#[test]
fn two_tenants_see_nothing_of_each_other() {
    let Some(mut stage) = Stage::new("") else { return };
    let tokens: Vec<(String, String)> = ["red", "blue"]
        .iter()
        .map(|name| {
            let text = stage.verb(&["token", "standing", name]);
            (value(&text, "token"), value(&text, "token_sha256"))
        })
        .collect();
    let settings = std::fs::read_to_string(stage.path("server.toml")).unwrap();
    let tenant = |(name, (_, sha256)): (&str, &(String, String))| {
        format!("[[tenant]]\nname = \"{name}\"\ntoken_sha256 = \"{sha256}\"\n")
    };
    let tenants: Vec<String> = ["red", "blue"].into_iter().zip(&tokens).map(tenant).collect();
    stage.write("server.toml", &format!("{settings}{}", tenants.concat()));
    stage.start_server();
    let red = stage.hub("red", &format!("token = \"{}\"", tokens[0].0));
    let blue = stage.hub("blue", &format!("token = \"{}\"", tokens[1].0));
    stage.hub("nobody", "token = \"guessed\"");
    for hub in ["red", "blue", "nobody"] {
        stage.start("nmsd-hub", hub);
    }
    for hub in ["red", "blue"] {
        stage.until("the hub is linked", |stage| stage.is_linked(hub));
    }
    udp(&red, (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port))));
    udp(&blue, (0..10).map(|port| sshd(&failure("198.51.100.23", 40_000 + port))));
    for (hub, actor) in [("red", "203.0.113.50"), ("blue", "198.51.100.23")] {
        stage.until("its own alert", |stage| stage.judged(hub, "brute_force").len() == 1);
        let alerts = stage.alerts(hub);
        assert!(
            alerts.iter().all(|alert| alert["actor"] != if hub == "red" { "198.51.100.23" } else { "203.0.113.50" })
        );
        assert!(alerts.iter().any(|alert| alert["actor"] == actor));
        assert_eq!(stage.link(hub)["tenant"], hub);
        assert_eq!(stage.link(hub)["sources"].as_array().map(Vec::len), Some(2), "its sender, and its own findings");
        assert_eq!(stage.once(hub, "endpoints").len(), 1, "its own sender");
    }
    // An agent of one is nobody to the other, and each is counted for itself.
    stage.start_watching("agent", &red, &stage.path("server"));
    stage.until("the agent is there", |stage| stage.once("red", "endpoints").len() == 2);
    let ask = |stage: &Stage, tenant| {
        let target = ["--tenant", tenant, "--target", "127.0.0.1/agent"];
        stage.try_verb(&[["command", "request_fim_report"].as_slice(), &target].concat())
    };
    assert!(ask(&stage, "red").is_ok());
    let refused = ask(&stage, "blue").unwrap_err();
    assert!(refused.contains("no agent named 127.0.0.1/agent is connected"), "{refused}");
    let status = stage.verb(&["status"]);
    let taken = |tenant: &str| {
        let rows = status.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.filter(|row| row["tenant"] == tenant).map(|row| row["events"]["taken"].clone()).next()
    };
    assert!(taken("red").and_then(|count| count.as_u64()) > taken("blue").and_then(|count| count.as_u64()), "{status}");
    let link = stage.link("nobody");
    assert_ne!(link["server"], "ok", "a wrong token is no tenant: {link}");
}
