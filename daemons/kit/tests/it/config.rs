//! Settings name the file, the line and the key that is wrong.

use std::fs;

use nms_kit::config;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[expect(dead_code, reason = "only its reading is tested")]
    port: u16,
}

fn check(text: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    fs::write(&path, text).unwrap();
    let message = config::load::<Settings>(&path).map_or_else(|error| error.to_string(), |_| "ok".into());
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn an_error_says_where_and_what() {
    check("port = 514", &["ok"]);
    check("port = 'x'", &["hub.toml", "line 1", "port", "u16"]);
    check("port = 514\nprot = 1", &["line 2", "prot", "expected `port`"]);
    check("", &["missing field `port`"]);
    check("port = ", &["line 1"]);
}

#[test]
fn a_missing_file_is_named() {
    let error = config::load::<Settings>("/nonexistent/hub.toml".as_ref()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/hub.toml"), "{error}");
}
