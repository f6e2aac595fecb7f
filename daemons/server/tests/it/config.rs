//! Settings: what is refused, and how it is said.

use nmsd_server::config::Config;

/// What is said of settings, without the folder.
fn said(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    match Config::load(&path) {
        Ok(_) => "taken".into(),
        Err(error) => error.to_string().replace(&folder.path().display().to_string(), ""),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let said = said(text);
    assert!(said.contains(expected), "{said}");
}

const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[test]
fn the_least_that_is_needed_is_taken() {
    check("public_ip = true", "taken");
    check(&format!("[[tenant]]\nname = \"home\"\ntoken_sha256 = \"{HASH}\""), "taken");
}

#[test]
fn a_server_that_nobody_could_use_is_refused() {
    check("", "settings /server.toml: tenant = none: expected an authority (nmsd-server init)");
}

#[test]
fn a_wrong_value_names_its_key_and_what_was_expected() {
    check("public_ip = true\nlisten = \"1514\"", "listen = 1514: expected an address and a port");
    check("public_ip = true\nretention_days = 0", "retention_days = 0: expected a number from 1 to 3650");
    check("public_ip = true\nproxy_networks = [\"192.0.2.10\"]", "expected a network with its prefix such as");
    let range = "expected a number from 65536 to 4194304";
    for bytes in [0, 65_535, 4_194_305] {
        check(&format!("public_ip = true\nuncommitted_bytes_max = {bytes}"), range);
    }
    check("public_ip = true\nuncommitted_bytes_max = 65536", "taken");
    check("public_ip = true\nanalysis_threads = 0", "analysis_threads = 0: expected a number from 1 to 256");
    for seconds in ["0", "301"] {
        let expected = format!("heartbeat_interval = {seconds}: expected a number from 1 to 300");
        check(&format!("public_ip = true\nheartbeat_interval = {seconds}"), &expected);
    }
    check("[[tenant]]\nname = \"home\"\ntoken_sha256 = \"12\"", "tenant[0].token_sha256 = 12: expected 64 hexadecimal");
    check(
        &format!("[[tenant]]\nname = \"a b\"\ntoken_sha256 = \"{HASH}\""),
        "tenant[0].name = \"a b\": expected 1 to 64",
    );
    check(&format!("[[tenant]]\nname = \"ip-1\"\ntoken_sha256 = \"{HASH}\""), "does not begin with ip-");
}

#[test]
fn two_tenants_may_share_neither_name_nor_token() {
    let one = format!("[[tenant]]\nname = \"a\"\ntoken_sha256 = \"{HASH}\"\n");
    check(&format!("{one}{one}"), "tenant[1].name = \"a\": expected a name that no other tenant has");
    check(&format!("{one}[[tenant]]\nname = \"b\"\ntoken_sha256 = \"{HASH}\""), "a token that no other tenant has");
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    check("public_ip = true\nlistenn = \"x\"", "listenn");
    check("public_ip = true\nlistenn = \"x\"", "line 2");
}
