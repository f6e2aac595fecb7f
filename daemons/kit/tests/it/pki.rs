//! What an authority signs and how it is read; files of keys.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use nms_kit::{
    config,
    pki::{self, Authority, Files, Holder, Request},
    secret, tls,
};
use nms_proto::limits::{CERTIFICATE_BACKDATED_MS, CERTIFICATE_MS};

/// 2026-01-05T14:30:00Z.
const NOW_MS: i64 = 1_767_623_400_000;

fn home() -> Holder {
    Holder::Tenant("home".into())
}

#[test]
fn a_certificate_says_who_it_is_for_and_how_long() {
    let authority = Authority::make(NOW_MS).unwrap();
    for holder in [home(), Holder::Agent("web-1".into())] {
        let issued = authority.sign(&Request::make().unwrap().request, &holder, NOW_MS, CERTIFICATE_MS).unwrap();
        let seen = pki::seen(&tls::first_certificate(issued.pem.as_bytes()).unwrap()).unwrap();
        assert_eq!((seen.holder, seen.serial), (Some(holder), Some(issued.serial)));
        assert_eq!(seen.not_before_ms, NOW_MS - CERTIFICATE_BACKDATED_MS);
        assert_eq!((seen.not_after_ms, issued.not_after_ms), (NOW_MS + CERTIFICATE_MS, NOW_MS + CERTIFICATE_MS));
    }
}

#[test]
fn serial_numbers_are_drawn() {
    let authority = Authority::make(NOW_MS).unwrap();
    let request = Request::make().unwrap().request;
    let serials: std::collections::BTreeSet<_> =
        (0..50).map(|_| authority.sign(&request, &home(), NOW_MS, CERTIFICATE_MS).unwrap().serial).collect();
    assert_eq!(serials.len(), 50);
    let text = serials.first().unwrap().to_string();
    assert_eq!(text.parse(), Ok(*serials.first().unwrap()));
    assert!("7".parse::<pki::Serial>().unwrap_err().contains("32 hexadecimal digits"));
}

#[test]
fn a_request_must_be_one_and_signed_by_its_key() {
    let authority = Authority::make(NOW_MS).unwrap();
    let good = Request::make().unwrap().request;
    let sign = |request: &str| authority.sign(request, &home(), NOW_MS, CERTIFICATE_MS).map(drop);
    assert!(sign(&good).is_ok());
    let mut lines: Vec<&str> = good.lines().collect();
    let longer = good.replace("-----END", &format!("{}\n-----END", "A".repeat(20_000)));
    let key = Request::make().unwrap().key;
    for bad in ["", "nonsense", &longer, authority.pem(), &key] {
        assert!(sign(bad).unwrap_err().to_string().contains("no certificate request"), "{bad}");
    }
    // The last line before the end is the signature's.
    let at = lines.len() - 2;
    let turned: String = lines[at].chars().rev().collect();
    lines[at] = &turned;
    assert!(sign(&lines.join("\n")).is_err());
}

#[test]
fn an_authority_is_made_once_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::within(folder.path());
    let made = Authority::open_or_make(&files, NOW_MS).unwrap();
    let again = Authority::open_or_make(&files, NOW_MS + 1).unwrap();
    assert_eq!((made.pem(), made.fingerprint()), (again.pem(), again.fingerprint()));
    assert_eq!(mode(&files.ca_key), 0o600);
    let signed = again.sign(&Request::make().unwrap().request, &home(), NOW_MS, CERTIFICATE_MS);
    assert!(signed.is_ok());
    assert_ne!(Authority::make(NOW_MS).unwrap().fingerprint(), made.fingerprint());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_that_others_may_use_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::within(folder.path());
    pki::init(&files, &["localhost".into()], NOW_MS).unwrap();
    for wrong in [0o640, 0o604, 0o620, 0o602] {
        set_mode(&files.key, wrong);
        let refused = tls::acceptor(&files.certificate, &files.key).err().unwrap().to_string();
        assert!(refused.ends_with(&format!(": chmod 600 {}", files.key.display())), "{refused}");
        set_mode(&files.ca_key, wrong);
        let refused = Authority::open(&files).unwrap_err().to_string();
        assert!(refused.ends_with(&format!(": chmod 600 {}", files.ca_key.display())), "{refused}");
    }
    for right in [0o600, 0o400] {
        set_mode(&files.key, right);
        set_mode(&files.ca_key, right);
        assert!(tls::acceptor(&files.certificate, &files.key).is_ok());
        assert!(Authority::open(&files).is_ok());
    }
}

#[test]
fn settings_that_others_may_write_are_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, "key = 1").unwrap();
    for wrong in [0o664, 0o646, 0o666] {
        set_mode(&path, wrong);
        let refused = config::load::<std::collections::BTreeMap<String, u64>>(&path).unwrap_err().to_string();
        assert!(refused.ends_with(&format!("may be written by others: chmod go-w {}", path.display())), "{refused}");
    }
    set_mode(&path, 0o644);
    assert!(config::load::<std::collections::BTreeMap<String, u64>>(&path).is_ok());
}

#[test]
fn a_file_is_written_whole_in_place_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    // As a run that was cut off left it.
    fs::write(folder.path().join("key.new"), "half").unwrap();
    for text in ["one", "two"] {
        secret::write_private(&path, text).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), (text, 0o600));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
