//! Files that change in heaps, and what encrypts them.

use nms_proto::event::{Body, FileChange};

use crate::host::Hub;

fn change(path: &str, how: &str, fields: &str) -> Body {
    let text = format!(r#"{{"path":"{path}","change":"{how}"{fields}}}"#);
    let change: FileChange = serde_json::from_str(&text).unwrap();
    Body::File(Box::new(change))
}

/// The worst that is said of heaps of files, and of how many alerts; each event after `gap_s` seconds.
fn worst(gap_s: f64, events: impl IntoIterator<Item = Body>) -> String {
    let mut hub = Hub::new();
    for (at, body) in events.into_iter().enumerate() {
        hub.feed(at as f64 * gap_s, "web", body);
    }
    let heaps = hub.said.iter().filter(|finding| &*finding.rule == "mass_change");
    let worst = heaps.max_by_key(|finding| finding.floor);
    worst.map_or(String::new(), |finding| format!("{} {}", finding.floor, finding.category))
}

fn many(count: usize, path: impl Fn(usize) -> String, how: &'static str, fields: &'static str) -> Vec<Body> {
    (0..count).map(|at| change(&path(at), how, fields)).collect()
}

#[test]
fn files_with_endings_of_extortionists() {
    for ending in ["locked", "lockbit", "wncry", "akira", "LOCKED"] {
        let path = |at: usize| format!("/srv/share/report{at}.docx.{ending}");
        assert_eq!(worst(0.5, many(12, path, "created", "")), "CRITICAL ransomware", "{ending}");
        assert_eq!(worst(0.5, many(4, path, "created", "")), "HIGH ransomware", "{ending}");
        assert_eq!(worst(0.5, many(2, path, "created", "")), "", "{ending}");
    }
}

#[test]
fn notes_and_strange_endings() {
    for note in [
        "README_TO_DECRYPT.txt",
        "HOW_TO_DECRYPT_FILES.html",
        "RESTORE-MY-FILES.txt",
        "_readme.txt",
        "!!!RECOVER-FILES!!!.txt",
    ] {
        let mut events = many(12, |at| format!("/srv/share/{at}"), "modified", "");
        events.push(change(&format!("/srv/share/{note}"), "created", ""));
        assert_eq!(worst(0.5, events), "HIGH ransomware", "{note}");
        assert_eq!(worst(0.5, [change(&format!("/srv/share/{note}"), "created", "")]), "", "{note} alone");
    }
    let strange = many(25, |at| format!("/srv/share/report{at}.pdf.a8x3f"), "created", "");
    let gone = many(25, |at| format!("/srv/share/report{at}.pdf"), "deleted", "");
    // Who copies leaves the originals.
    assert_eq!(worst(0.5, strange.clone()), "");
    assert_eq!(worst(0.5, strange.into_iter().zip(gone).flat_map(|(new, old)| [new, old])), "HIGH ransomware");
}

#[test]
fn heaps_of_any_kind() {
    let path = |at: usize| format!("/srv/site/{at}.html");
    assert_eq!(worst(0.5, many(40, path, "modified", "")), "MEDIUM file_integrity");
    assert_eq!(worst(0.5, many(40, path, "deleted", "")), "MEDIUM file_integrity");
    assert_eq!(worst(0.5, many(40, path, "modified", r#","sessions":["carol"]"#)), "LOW file_integrity");
    assert_eq!(worst(0.5, many(40, path, "modified", r#","sessions":["mallory"]"#)), "MEDIUM file_integrity");
    let mut hub = Hub::new();
    for at in 0..10_000 {
        hub.feed(f64::from(at) * 0.01, "web", change(&format!("/srv/x{at}.txt.locked"), "created", ""));
    }
    let ids: std::collections::BTreeSet<_> = hub
        .said
        .iter()
        .filter(|finding| &*finding.rule == "mass_change")
        .map(|finding| finding.alert.as_str())
        .collect();
    assert_eq!(ids.len(), 1);
}

/// Upgrades, rotations, compressed copies, slow days, reports.
#[test]
fn ordinary_heaps_are_silent() {
    let path = |at: usize| format!("/usr/share/x/{at}.conf");
    assert_eq!(worst(0.1, many(500, path, "modified", r#","package_manager":true"#)), "");
    assert_eq!(worst(0.1, many(500, path, "report", r#","command_id":"c1""#)), "");
    assert_eq!(worst(0.1, many(500, path, "attributes", "")), "");
    assert_eq!(worst(5.0, many(200, path, "modified", "")), "");
    assert_eq!(worst(0.5, many(25, |at| format!("/srv/{at}.sql.gz"), "created", "")), "");
    assert_eq!(worst(0.5, many(25, |at| format!("/var/www/{at}.html.br"), "created", "")), "");
    assert_eq!(worst(0.5, many(25, |at| format!("/srv/db.sql.{at}"), "created", "")), "");
    assert_eq!(worst(0.1, many(200, |at| format!("/etc/alternatives/{at}"), "modified", "")), "");
    assert_eq!(
        worst(
            0.1,
            many(40, |at| format!("/usr/share/doc/how-to-decrypt-{at}.txt"), "created", r#","package_manager":true"#)
        ),
        ""
    );
}
