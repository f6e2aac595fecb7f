//! Bundles: what ships fits its manifest; what does not is refused by name.

use std::collections::BTreeMap;

use nms_model::bundle::{Bundle, BundleError, MANIFEST, WEIGHTS};

type Files = BTreeMap<String, Vec<u8>>;

fn load(files: &Files) -> Result<Bundle, BundleError> {
    Bundle::from_files(|name| {
        let missing = || BundleError::Read { file: name.to_owned(), cause: "no such file".to_owned() };
        files.get(name).cloned().ok_or_else(missing)
    })
}

fn shipped() -> Files {
    Bundle::shipped().unwrap().to_files().unwrap()
}

/// The shipped files with a change to the manifest's text, and what loading says.
fn refused(from: &str, to: &str) -> String {
    let mut files = shipped();
    let text = String::from_utf8(files[MANIFEST].clone()).unwrap();
    assert!(text.contains(from), "{from}");
    files.insert(MANIFEST.to_owned(), text.replacen(from, to, 1).into_bytes());
    load(&files).unwrap_err().to_string()
}

#[test]
fn what_ships_is_small_and_round_trips() {
    let files = shipped();
    assert!(files.values().map(Vec::len).sum::<usize>() <= 2 << 20);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let opened = Bundle::open(folder.path()).unwrap();
    assert_eq!(opened.manifest, Bundle::shipped().unwrap().manifest);
    assert_eq!(opened.to_files().unwrap(), files);
    assert_eq!(opened.version().len(), 12);
}

#[test]
fn foreign_files_are_refused_by_name() {
    let mut files = shipped();
    let last = files[WEIGHTS].len() - 1;
    files.get_mut(WEIGHTS).unwrap()[last] ^= 1;
    assert!(matches!(load(&files), Err(BundleError::Hash(file)) if file == WEIGHTS));
    files.remove(WEIGHTS);
    assert!(matches!(load(&files), Err(BundleError::Read { file, .. }) if file == WEIGHTS));
    let nowhere = Bundle::open(std::path::Path::new("/nonexistent/bundle")).unwrap_err();
    assert!(nowhere.to_string().contains("/nonexistent/bundle/manifest.json"));
}

#[test]
fn foreign_manifests_are_refused_by_field() {
    assert!(refused("\"format\": 1", "\"format\": 7").contains("format is 7"));
    assert!(refused("\"format\": 1", "\"format\": 1, \"colour\": 2").contains("colour"));
    assert!(refused("\"sshd.login.failed\"", "\"sshd.login.maybe\"").contains("sshd.login.maybe"));
    assert!(refused("\"width\": 64", "\"width\": 128").contains("emb"));
    assert!(refused("\"layers\": 2", "\"layers\": 4000000000").contains("layers"));
    assert!(refused("\"top_share\": 0.25", "\"top_share\": 25").contains("scoring"));
    assert!(refused("\"ordinary\"", "\"usual\", \"ordinary\"").contains("categories"));
    assert!(refused("{", "").contains("manifest.json"));
}
