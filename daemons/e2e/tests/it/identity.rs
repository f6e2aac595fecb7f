//! Who may come in: enrolled with a token, known by a certificate, out when it is revoked.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    backup::lose_everything_but_keys,
    senders::{failure, sshd},
    stage::{Hub, PATIENCE, Stage},
};

/// Runs a program to its end; what it said where it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() { Ok(said(&stdout)) } else { Err(said(&stderr)) }
}

/// A daemon's verb.
fn verb(stage: &Stage, binary: &str, name: &str, words: &[&str]) -> Result<String, String> {
    run(stage.command(binary, name).args(words))
}

/// The rows of a verb that prints JSON lines.
fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The token on the first line of what made it.
fn token(text: &str) -> String {
    text.lines().next().unwrap().to_owned()
}

fn edit(stage: &Stage, name: &str, edit: impl Fn(&str) -> String) {
    let path = stage.path(name);
    fs::write(&path, edit(&fs::read_to_string(&path).unwrap())).unwrap();
}

/// Settings of a hub that is to be enrolled, and takes no agent without a certificate.
fn hub(stage: &Stage, name: &str) -> Hub {
    let hub = stage.hub(name, "");
    edit(stage, &format!("{name}.toml"), |text| {
        let kept = text.lines().filter(|line| !line.starts_with("ca = "));
        let kept: Vec<_> = kept.map(|line| line.replace("[\"127.0.0.0/8\"]", "[]")).collect();
        kept.join("\n")
    });
    hub
}

/// A server that runs, without tenants by address or standing token, and an enrolled hub that is linked.
fn chain(terms: &[&str]) -> Option<(Stage, Hub)> {
    let mut stage = Stage::new("")?;
    stage.start_server();
    let hub = hub(&stage, "hub");
    stage.until("the server answers", |stage| stage.try_verb(&["status"]).is_ok());
    let made = stage.verb(&[&["token", "new", "--tenant", "home"], terms].concat());
    verb(&stage, "nmsd-hub", "hub", &["enroll", &token(&made)]).unwrap();
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked", |stage| stage.is_linked("hub"));
    Some((stage, hub))
}

fn is_in(stage: &Stage, log: &str, words: &str) -> bool {
    fs::read_to_string(stage.path(log)).unwrap_or_default().contains(words)
}

/// What the hub says of its link while it has none.
fn problem(stage: &Stage, hub: &str) -> String {
    stage.link(hub)["problem"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_enrolled_hub_and_agent_are_known_by_name_and_out_when_revoked() {
    let Some((mut stage, hub)) = chain(&[]) else { return };
    assert_eq!(stage.link("hub")["tenant"], "home");
    let key = fs::metadata(stage.path("hub/identity-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    // An agent: enrolled by the hub, its source is the name on its certificate.
    let made = verb(&stage, "nmsd-hub", "hub", &["token", "new", "--name", "web-1"]).unwrap();
    let file = stage.path("auth.log");
    let lines: Vec<String> =
        (0..10).map(|port| sshd(&failure("203.0.113.50", 40_000 + port)).replacen("<38>", "", 1)).collect();
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    nms_e2e::Stage::agent(&stage, "agent", &hub, &[&file], &[]).unwrap();
    edit(&stage, "agent.toml", |text| text.replace("plain = true\n", ""));
    let not_yet = verb(&stage, "nmsd-agent", "agent", &["--check"]).unwrap_err();
    assert!(not_yet.contains("nmsd-agent enroll TOKEN"), "{not_yet}");
    let said = verb(&stage, "nmsd-agent", "agent", &["enroll", &token(&made)]).unwrap();
    assert!(said.contains("as agent web-1"), "{said}");
    stage.start("nmsd-agent", "agent");
    stage.until("its run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    assert_eq!(stage.judged("hub", "brute_force")[0]["source"], "web-1");
    let agents = rows(&verb(&stage, "nmsd-hub", "hub", &["agent", "list"]).unwrap());
    assert_eq!((&agents[0]["agent"], &agents[0]["state"]), (&"web-1".into(), &"connected".into()), "{agents:?}");
    // Revoked, both are out at once, and say why.
    let serial = agents[0]["serial"].as_str().unwrap();
    verb(&stage, "nmsd-hub", "hub", &["agent", "revoke", serial]).unwrap();
    stage.until("the agent is out", |stage| is_in(stage, "agent.log", "was revoked: enrol again"));
    assert!(is_in(&stage, "hub.log", "the certificate was revoked source=web-1"), "the live connection ended");
    let hubs = rows(&stage.verb(&["hub", "list"]));
    assert_eq!((&hubs[0]["tenant"], &hubs[0]["state"]), (&"home".into(), &"connected".into()), "{hubs:?}");
    stage.verb(&["hub", "revoke", hubs[0]["serial"].as_str().unwrap()]);
    stage.until("the hub is out", |stage| problem(stage, "hub").contains("was revoked: enrol again"));
    // A new token lets it in again.
    let made = stage.verb(&["token", "new"]);
    verb(&stage, "nmsd-hub", "hub", &["enroll", &token(&made)]).unwrap();
    stage.stop("hub");
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked again", |stage| stage.is_linked("hub"));
}

/// Who is enrolled stands in the backup: a restored server knows its hubs, and takes no revoked one back.
#[test]
fn a_restored_server_knows_who_is_enrolled() {
    let Some((mut stage, _)) = chain(&[]) else { return };
    let to = stage.path("backup");
    stage.verb(&["backup", to.to_str().unwrap()]);
    assert!(stage.stop("server").success(), "{}", stage.logs());
    lose_everything_but_keys(&stage.path("server"));
    stage.verb(&["restore", to.to_str().unwrap()]);
    stage.start_server();
    stage.until("the hub is linked again", |stage| stage.is_linked("hub"));
    let hubs = rows(&stage.verb(&["hub", "list"]));
    assert_eq!((&hubs[0]["tenant"], &hubs[0]["state"]), (&"home".into(), &"connected".into()), "{hubs:?}");
    // A machine that is lost with everything, from a backup with keys made after the hub was put out.
    stage.verb(&["hub", "revoke", hubs[0]["serial"].as_str().unwrap()]);
    stage.until("the hub is out", |stage| problem(stage, "hub").contains("was revoked: enrol again"));
    let whole = stage.path("backup-with-keys");
    stage.verb(&["backup", "--with-keys", whole.to_str().unwrap()]);
    assert!(stage.stop("server").success(), "{}", stage.logs());
    fs::remove_dir_all(stage.path("server")).unwrap();
    stage.verb(&["restore", whole.to_str().unwrap()]);
    let started = stage.path("hub.log").metadata().unwrap().len();
    stage.start_server();
    stage.until("the hub is refused by the restored server too", |stage| {
        let log = fs::read(stage.path("hub.log")).unwrap();
        String::from_utf8_lossy(&log[started as usize..]).contains("was revoked: enrol again")
    });
    let hubs = rows(&stage.verb(&["hub", "list"]));
    assert_ne!(hubs[0]["state"], "connected", "{hubs:?}");
    // With another authority in the folder nothing is restored that would know no hub.
    assert!(stage.stop("server").success(), "{}", stage.logs());
    fs::remove_dir_all(stage.path("server")).unwrap();
    stage.verb(&["init", "--name", "127.0.0.1"]);
    let refused = verb(&stage, "nmsd-server", "server", &["restore", to.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("another authority"), "{refused}");
}

#[test]
fn tokens_that_are_not_good_are_refused_by_name() {
    let Some((mut stage, _)) = chain(&[]) else { return };
    hub(&stage, "other");
    let enroll = |stage: &Stage, token: &str| verb(stage, "nmsd-hub", "other", &["enroll", token]).unwrap_err();
    let used = token(&stage.verb(&["token", "new"]));
    verb(&stage, "nmsd-hub", "other", &["enroll", &used]).unwrap();
    let check = |said: String, words: &str| assert!(said.contains(words), "{words:?} is not in {said}");
    check(enroll(&stage, &used), "this enrolment token was used before");
    let short = token(&stage.verb(&["token", "new", "--for", "1s"]));
    stage.until("it has expired", |stage| {
        rows(&stage.verb(&["token", "list"])).iter().any(|row| row["state"] == "expired")
    });
    check(enroll(&stage, &short), "this enrolment token has expired");
    let made = stage.verb(&["token", "new"]);
    let id = rows(&stage.verb(&["token", "list"])).into_iter().find(|row| row["state"] == "good").unwrap();
    stage.verb(&["token", "revoke", id["id"].as_str().unwrap()]);
    check(enroll(&stage, &token(&made)), "this enrolment token was revoked");
    // A fingerprint that is not this server's: nothing is said to it.
    let good = token(&stage.verb(&["token", "new"]));
    let (_, secret) = good.rsplit_once('.').unwrap();
    let wrong = format!("nms1.{}.{secret}", "A".repeat(43));
    check(enroll(&stage, &wrong), "this is not the server that the token names");
    check(enroll(&stage, &format!("nms1.{secret}")), "this enrolment token is not whole");
    check(enroll(&stage, "hello"), "this is no enrolment token");
    let at = format!("127.0.0.1:{}", stage.server_port());
    verb(&stage, "nmsd-hub", "other", &["enroll", &good, "--server", &at]).unwrap();
    assert!(is_in(&stage, "server.log", "was used before"), "the server says whom it refused, and why");
}

#[test]
fn certificates_of_others_and_peers_without_one_are_refused_by_name() {
    let Some((mut stage, hub)) = chain(&[]) else { return };
    // A certificate of another authority: what a hub's own says of itself is of no use at this server.
    let Some((mine, _)) = chain(&[]) else { return };
    stage.stop("hub");
    for file in ["identity.pem", "identity-key.pem"] {
        fs::copy(mine.path("hub").join(file), stage.path("hub").join(file)).unwrap();
    }
    stage.start("nmsd-hub", "hub");
    stage.until("it is refused", |stage| problem(stage, "hub").contains("received fatal alert"));
    stage.until("the server says why", |stage| is_in(stage, "server.log", "a peer's certificate was refused"));
    // No certificate and no token.
    hub_without_certificate(&mut stage);
    // No TLS from outside of plain_networks, which are none here.
    let mut plain = TcpStream::connect(("127.0.0.1", hub.agents)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(&[0, 0, 0, 9]).unwrap();
    assert_eq!(plain.read(&mut [0; 8]).unwrap_or_default(), 0, "closed without a word");
    stage.until("the hub says why", |stage| is_in(stage, "hub.log", "only from plain_networks of the settings"));
}

#[test]
fn a_token_is_not_taken_in_the_clear() {
    let Some((stage, hub)) = Stage::chain() else { return };
    let made = verb(&stage, "nmsd-hub", "hub", &["token", "new", "--name", "web-1"]).unwrap();
    let (_, secret) = token(&made).rsplit_once('.').map(|(head, secret)| (head.to_owned(), secret.to_owned())).unwrap();
    let message = serde_json::json!({
        "type": "COMMAND", "timestamp": "2026-01-05T14:30:00Z",
        "payload": { "command_id": "e-1", "action": "enroll", "arguments": { "csr": "", "token": secret } },
    })
    .to_string();
    let mut peer = TcpStream::connect(("127.0.0.1", hub.agents)).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.write_all(&[&(message.len() as u32).to_be_bytes()[..], message.as_bytes()].concat()).unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("agents are enrolled over TLS only"), "{answer}");
    for (name, words) in [("self", "can be no agent's name"), ("192.0.2.1", "no address"), ("a/b", "letters, digits")] {
        let refused = verb(&stage, "nmsd-hub", "hub", &["token", "new", "--name", name]).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}

/// A hub that trusts the server and shows nothing.
fn hub_without_certificate(stage: &mut Stage) {
    stage.hub("nobody", "");
    stage.start("nmsd-hub", "nobody");
    stage.until("nobody is refused", |stage| problem(stage, "nobody").contains("no certificate and no token"));
}

#[test]
fn a_certificate_is_renewed_and_the_link_goes_on() {
    let Some((mut stage, _)) = chain(&["--life", "12s"]) else { return };
    let list = |stage: &Stage| rows(&stage.verb(&["hub", "list"]));
    let first = list(&stage)[0]["serial"].clone();
    let since = stage.link("hub")["since"].clone();
    let accepted = |stage: &Stage| rows(&stage.verb(&["status"]))[0]["connections_accepted"].clone();
    let before = accepted(&stage);
    stage.until("there is a second one", |stage| list(stage).len() == 2);
    let both = list(&stage);
    let states: Vec<_> = both.iter().map(|row| (row["serial"] == first, row["state"].as_str().unwrap())).collect();
    assert!(states.contains(&(true, "good")) && states.contains(&(false, "connected")), "both are valid: {states:?}");
    stage.until("the first one is over", |stage| {
        list(stage).iter().all(|row| row["serial"] != first || row["state"] == "expired")
    });
    thread::sleep(Duration::from_secs(1));
    let link = stage.link("hub");
    assert_eq!((&link["server"], &link["since"]), (&"ok".into(), &since), "the link never ended: {link}");
    assert_eq!(accepted(&stage), before, "over one connection");
    // And what was renewed opens the next connection.
    stage.kill("hub");
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked again", |stage| stage.is_linked("hub"));
}

#[test]
fn an_agents_certificate_is_renewed_over_its_connection() {
    let Some((mut stage, hub)) = chain(&[]) else { return };
    let made = verb(&stage, "nmsd-hub", "hub", &["token", "new", "--name", "web-1", "--life", "12s"]).unwrap();
    let file = stage.path("auth.log");
    fs::write(&file, "").unwrap();
    nms_e2e::Stage::agent(&stage, "agent", &hub, &[&file], &[]).unwrap();
    edit(&stage, "agent.toml", |text| text.replace("plain = true\n", ""));
    verb(&stage, "nmsd-agent", "agent", &["enroll", &token(&made)]).unwrap();
    stage.start("nmsd-agent", "agent");
    let list = |stage: &Stage| rows(&verb(stage, "nmsd-hub", "hub", &["agent", "list"]).unwrap());
    let first = list(&stage)[0]["serial"].clone();
    stage.until("the first one is over", |stage| {
        list(stage).iter().all(|row| row["serial"] != first || row["state"] == "expired")
    });
    // What is written then comes over the connection that the first one opened.
    let lines: Vec<String> = (0..10).map(|port| failure("203.0.113.50", 40_000 + port)).collect();
    let lines = lines.iter().map(|line| format!("Jan  5 14:30:00 gate sshd[811]: {line}\n"));
    fs::write(&file, lines.collect::<String>()).unwrap();
    stage.until("its run is judged", |stage| stage.judged("hub", "brute_force").len() == 1);
    assert!(list(&stage).iter().any(|row| row["state"] == "connected"), "{:?}", list(&stage));
    let log = fs::read_to_string(stage.path("agent.log")).unwrap();
    assert!(!log.contains("no link") && !log.contains("link closed"), "{log}");
}

#[test]
fn keys_and_settings_that_others_may_use_are_refused_and_credentials_are_taken() {
    let Some((stage, _)) = chain(&[]) else { return };
    let set_mode = |name: &str, mode| fs::set_permissions(stage.path(name), fs::Permissions::from_mode(mode)).unwrap();
    for (name, wrong, right, command) in [
        ("server/server-key.pem", 0o644, 0o600, "chmod 600"),
        ("server/ca-key.pem", 0o640, 0o600, "chmod 600"),
        ("server.toml", 0o666, 0o644, "chmod go-w"),
    ] {
        assert!(stage.try_verb(&["--check"]).is_ok());
        set_mode(name, wrong);
        let refused = stage.try_verb(&["--check"]).unwrap_err();
        assert!(refused.contains(&format!("{command} {}", stage.path(name).display())), "{refused}");
        set_mode(name, right);
    }
    let check = |stage: &Stage, name: &str, binary: &str, folder: &str| {
        run(stage.command(binary, name).arg("--check").env("CREDENTIALS_DIRECTORY", stage.path(folder)))
    };
    fs::create_dir(stage.path("credentials")).unwrap();
    fs::create_dir(stage.path("none")).unwrap();
    for (name, binary, file) in
        [("hub", "nmsd-hub", "hub/identity-key.pem"), ("server", "nmsd-server", "server/server-key.pem")]
    {
        let (_, key) = file.split_once('/').unwrap();
        fs::rename(stage.path(file), stage.path("credentials").join(key)).unwrap();
        // As systemd gives it to a service that runs as a user.
        set_mode(&format!("credentials/{key}"), 0o440);
        assert_eq!(check(&stage, name, binary, "credentials"), Ok(String::new()));
        assert!(check(&stage, name, binary, "none").unwrap_err().contains(key), "{name} has no key elsewhere");
    }
}

#[test]
fn syslog_over_tls_is_taken_from_old_and_new_devices() {
    let Some(mut stage) = Stage::new("public_ip = true") else { return };
    stage.start_server();
    stage.hub("hub", "");
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    edit(&stage, "hub.toml", |text| {
        let with = format!("[listen]\nsyslog_tls = \"127.0.0.1:{port}\"\n");
        format!("names = [\"hub.lan\"]\n{}", text.replace("[listen]\n", &with))
    });
    stage.start("nmsd-hub", "hub");
    stage.until("the hub is linked", |stage| stage.is_linked("hub"));
    let ca = stage.path("hub/ca.pem");
    for (version, count) in [("-tls1_2", 1), ("-tls1_3", 2)] {
        let mut device = Command::new("openssl");
        device.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "hub.lan", version]);
        device.args(["-connect", &format!("127.0.0.1:{port}"), "-CAfile"]).arg(&ca);
        let Ok(mut device) = device.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            assert!(!std::env::var("NMS_REQUIRE").is_ok_and(|what| what == "all"), "openssl is not there");
            eprintln!("skipped: there is no openssl");
            return;
        };
        let mut input = device.stdin.take().unwrap();
        // One message with its length in front, one up to the line feed.
        let (first, second) = (sshd("by its length"), sshd("by its line"));
        writeln!(input, "{} {first}{second}", first.len()).unwrap();
        stage.until("both messages are there", |stage| {
            stage.account("hub", "127.0.0.1")["received"].as_u64() == Some(count * 2)
        });
        drop(input);
        device.kill().ok();
        device.wait().unwrap();
    }
    // Without TLS nothing is taken there, and it is said.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(sshd("in the clear\n").as_bytes()).unwrap();
    stage.until("it is refused", |stage| is_in(stage, "hub.log", "a sender was refused"));
    assert_eq!(stage.account("hub", "127.0.0.1")["received"], 4);
}
