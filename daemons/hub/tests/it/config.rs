//! Settings that are taken, and how those that are not are named.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use nms_kit::{clock, pki};
use nmsd_hub::config::Config;

fn load(folder: &Path, text: &str) -> Result<Config, String> {
    let path = folder.join("hub.toml");
    fs::write(&path, format!("own_host = false\n{text}")).unwrap();
    Config::load(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let address = "expected an address and a port such as \"0.0.0.0:514\", or false to leave it off";
    let network = "expected a network with its prefix such as \"192.168.1.0/24\"";
    let units = "expected true, false, or a list of units such as [\"ssh.service\"]";
    for (text, problem, expected) in [
        ("journal = 5", "invalid type: integer `5`", units),
        ("journal = 'ssh'", "invalid type: string \"ssh\"", units),
        ("plain_networks = ['192.168.1.0']", "invalid value: string \"192.168.1.0\"", network),
        ("plain_networks = [7]", "invalid type: integer `7`", network),
        ("listen.syslog_udp = 'off'", "invalid value: string \"off\"", address),
        ("listen.syslog_tcp = true", "invalid value: boolean `true`", address),
        ("listen.agents = 1515", "invalid type: integer `1515`", address),
    ] {
        let said = load(folder.path(), text).unwrap_err();
        for part in ["settings FILE: ", "line 2", text, &format!("{problem}, {expected}")] {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
    }
}

#[test]
fn false_leaves_a_way_in_off() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[listen]\nsyslog_udp = '127.0.0.1:5514'\nsyslog_tcp = false\n";
    let listen = load(folder.path(), text).unwrap().listen;
    let shown = [listen.syslog_udp, listen.syslog_tcp, listen.agents].map(|at| at.map(|at| at.to_string()));
    let [udp, tcp, agents] = shown.each_ref().map(Option::as_deref);
    assert_eq!((udp, tcp, agents), (Some("127.0.0.1:5514"), None, Some("0.0.0.0:1515")));
}

#[test]
fn a_server_that_cannot_be_dialled_or_trusted_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = |address: &str, ca: &Path| format!("[server]\naddress = '{address}'\nca = '{}'\n", ca.display());
    let ca = folder.path().join("ca.pem");
    for address in [":1514", "server", "server:", "server:0", "[]:1514", "server:99999"] {
        let said = load(folder.path(), &server(address, &ca)).unwrap_err();
        let expected = format!("server.address = {address}: expected host:port, such as server.example:1514");
        assert!(said.ends_with(&expected), "{said}");
    }
    let check = |ca: &Path| {
        let config = load(folder.path(), &server("localhost:1514", ca)).unwrap();
        nmsd_hub::check(&config).map_err(|error| error.to_string())
    };
    assert!(check(&ca).unwrap_err().starts_with(&format!("cannot read {}", ca.display())));
    fs::write(&ca, "no certificate\n").unwrap();
    assert_eq!(check(&ca).unwrap_err(), format!("no usable PEM in {}: no certificate in it", ca.display()));
    let files = pki::Files::within(&folder.path().join("pki"));
    fs::create_dir(folder.path().join("pki")).unwrap();
    pki::init(&files, &["localhost".into()], clock::unix_ms()).unwrap();
    assert_eq!(check(&files.ca), Ok(()));
}

#[test]
fn a_hub_that_is_not_enrolled_is_told_how_to() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("state = '{}'\n[server]\naddress = 'localhost:1514'\n", folder.path().display());
    let said = nmsd_hub::check(&load(folder.path(), &settings).unwrap()).unwrap_err().to_string();
    assert!(said.starts_with("the hub is not enrolled at its server: run nmsd-hub enroll TOKEN"), "{said}");
}

#[test]
fn keys_that_others_may_use_are_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = pki::Files::within(folder.path());
    pki::init(&files, &["hub.lan".into()], clock::unix_ms()).unwrap();
    let named = format!("certificate = '{}'\nkey = '{}'\n", files.certificate.display(), files.key.display());
    let settings = format!("state = '{}'\n[syslog_tls]\n{named}", folder.path().display());
    let check = || nmsd_hub::check(&load(folder.path(), &settings).unwrap()).map_err(|error| error.to_string());
    for key in [&files.ca_key, &files.key] {
        assert_eq!(check(), Ok(()));
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(check().unwrap_err().ends_with(&format!("chmod 600 {}", key.display())));
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
