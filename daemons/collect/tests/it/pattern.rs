//! Paths with `*`.

use std::path::Path;

use nms_collect::pattern::{Pattern, PatternError};

fn covers(pattern: &str, path: &str) -> bool {
    Pattern::any(pattern).unwrap().covers(Path::new(path))
}

#[test]
fn a_folder_covers_what_is_below_and_a_star_one_component() {
    for (pattern, path, expected) in [
        ("/etc", "/etc/ssh/sshd_config", true),
        ("/etc", "/etcetera", false),
        ("/etc/", "/etc/passwd", true),
        ("/home/*/.ssh", "/home/ann/.ssh/authorized_keys", true),
        ("/home/*/.ssh", "/home/ann/x/.ssh/id", false),
        ("/var/log/*.log", "/var/log/auth.log", true),
        ("/var/log/*.log", "/var/log/.hidden.log", false),
        ("/a/*b*c", "/a/xbybzc", true),
        ("/a/*b*c", "/a/xbybz", false),
        ("*.swp", "/etc/ssh/.sshd_config.swp", false),
        (".*.swp", "/etc/ssh/.sshd_config.swp", true),
        ("*~", "/etc/passwd~", true),
    ] {
        assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    assert_eq!(Pattern::absolute("var/log"), Err(PatternError::Relative));
    assert_eq!(Pattern::absolute(""), Err(PatternError::Empty));
    assert_eq!(Pattern::any("/etc/../proc"), Err(PatternError::Dots));
    assert_eq!(Pattern::any("/etc/./x"), Err(PatternError::Dots));
    assert_eq!(Pattern::any(".."), Err(PatternError::Relative));
}

#[test]
fn what_is_missing_would_appear_in_a_ledge() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("ann/.ssh")).unwrap();
    std::fs::create_dir_all(root.join("bob")).unwrap();
    let found = Pattern::absolute(&format!("{}/*/.ssh", root.display())).unwrap().find();
    assert_eq!(found.paths.into_iter().collect::<Vec<_>>(), [root.join("ann/.ssh")]);
    assert_eq!(found.ledges.into_iter().collect::<Vec<_>>(), [root.to_owned(), root.join("bob")]);
}
