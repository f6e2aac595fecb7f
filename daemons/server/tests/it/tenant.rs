//! Whose a peer is.

use nms_kit::digest;
use nmsd_server::{
    config::Config,
    tenant::{Directory, Stranger},
};

fn directory(public_ip: bool) -> Directory {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let hash = digest::hex(&digest::sha256(b"secret"));
    let text = format!("public_ip = {public_ip}\n[[tenant]]\nname = \"home\"\ntoken_sha256 = \"{hash}\"\n");
    std::fs::write(&path, text).unwrap();
    Directory::new(&Config::load(&path).unwrap())
}

#[track_caller]
fn check(public_ip: bool, peer: &str, token: Option<&str>, expected: Result<&str, Stranger>) {
    let tenant = directory(public_ip).tenant(peer.parse().unwrap(), token);
    assert_eq!(tenant.as_ref().map(nms_proto::id::TenantId::as_str), expected.as_ref().map(|name| *name));
}

#[test]
fn a_token_names_its_tenant_from_any_address() {
    check(false, "192.0.2.1", Some("secret"), Ok("home"));
    check(true, "2001:db8::1", Some("secret"), Ok("home"));
}

#[test]
fn an_unknown_token_is_nobody_even_where_addresses_count() {
    check(true, "192.0.2.1", Some("wrong"), Err(Stranger::UnknownToken));
    check(true, "192.0.2.1", Some(""), Err(Stranger::UnknownToken));
}

#[test]
fn without_a_token_the_address_counts_only_where_it_is_allowed() {
    check(false, "192.0.2.1", None, Err(Stranger::NoToken));
    check(true, "192.0.2.1", None, Ok("ip-192.0.2.1"));
}

#[test]
fn an_address_is_one_tenant_however_it_is_written() {
    check(true, "::ffff:192.0.2.1", None, Ok("ip-192.0.2.1"));
    check(true, "2001:db8:1:2:aaaa::1", None, Ok("ip-2001:db8:1:2::"));
    check(true, "2001:db8:1:2:bbbb::2", None, Ok("ip-2001:db8:1:2::"));
}
