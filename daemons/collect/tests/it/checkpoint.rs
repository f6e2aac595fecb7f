//! Rotation and truncation, decided from what a directory shows; no file system.
//!
//! A sight is written as `path=2:100 held=1:50 log.1=1:50@9`: inode:size, `!` where the bytes do not
//! fit, `~` where only the head fits, `@` the time of the last write.

use nms_collect::checkpoint::{FileId, Fit, Kept, Mark, Print, Seen, Sibling, Sight, decide, is_rotated, rotation};
use nms_collect::line::Before;

fn seen(text: &str) -> Seen {
    let (text, modified) = text.split_once('@').unwrap_or((text, "0"));
    let fit = if text.ends_with('!') {
        Fit::Other
    } else if text.ends_with('~') {
        Fit::Head
    } else {
        Fit::Ours
    };
    let (inode, size) = text.trim_end_matches(['!', '~']).split_once(':').unwrap();
    Seen {
        file: FileId { dev: 1, inode: inode.parse().unwrap() },
        size: size.parse().unwrap(),
        modified_ms: modified.parse().unwrap(),
        fit,
    }
}

fn sight(text: &str) -> Sight {
    let mut sight = Sight::default();
    for word in text.split_whitespace() {
        match word.split_once('=').unwrap() {
            ("path", file) => sight.path = Some(seen(file)),
            ("held", file) => sight.held = Some(seen(file)),
            ("dry", size) => sight.dry_at = Some(size.parse().unwrap()),
            (name, file) => {
                let packed = rotation("log", name).unwrap();
                sight.siblings.push(Sibling { name: name.into(), seen: seen(file), packed });
            }
        }
    }
    sight
}

#[track_caller]
fn check(what: &str, there: &str, expected: &str) {
    // Inode 1 was read up to byte 50 at time 5; 60 bytes were seen.
    let mark = Mark {
        offset: 50,
        head: Print { bytes: 50, hash: 1 },
        size_seen: 60,
        seen_ms: 5,
        ..Mark::start(FileId { dev: 1, inode: 1 }, None)
    };
    assert_eq!(format!("{:?}", decide(&mark, &sight(there))), expected, "{what}: {there}");
}

#[test]
fn the_next_step() {
    let to_path = |keep, bytes, unseen| {
        format!("Switch {{ to: Path, keep: {keep}, gone: Gone {{ bytes: {bytes}, unseen: {unseen} }} }}")
    };
    let to_sibling = |name: &str, keep, bytes, unseen| {
        let gone = format!("Gone {{ bytes: {bytes}, unseen: {unseen} }}");
        format!("Switch {{ to: Sibling(\"{name}\"), keep: {keep}, gone: {gone} }}")
    };
    check("it grew", "path=1:70 held=1:70", "Read(Path)");
    check("nothing new", "path=1:50 held=1:50", "Wait");
    check("a line without its end", "path=1:70 held=1:70 dry=70", "Wait");
    check("and then its end", "path=1:71 held=1:71 dry=70", "Read(Path)");
    check("after a restart", "path=1:70", "Read(Path)");

    check("renamed, with a rest", "path=2:10! held=1:70 log.1=1:70", "Read(Held)");
    check("renamed and read", "path=2:10! held=1:50 log.1=1:50", &to_path(true, 0, 0));
    check("renamed, the new one not there yet", "held=1:50 log.1=1:50", "Wait");
    check("renamed while away", "path=2:10! log.1=1:70", "Read(Sibling(\"log.1\"))");
    check("renamed while away and read", "path=2:10! log.1=1:50", &to_path(true, 0, 0));
    check("removed, still held", "path=2:10! held=1:70", "Read(Held)");
    check("removed and read", "path=2:10! held=1:50", &to_path(true, 0, 0));
    check("removed while away", "path=2:10!", &to_path(false, 10, 1));
    check("removed, packed, while away", "path=2:10! log.1.gz=3:9!@7", &to_path(false, 10, 1));
    check("an older rotation is not ours", "path=2:10! held=1:50@9 log.1=1:50@9 log.2=3:80!@4", &to_path(true, 0, 0));

    let twice = "path=3:10! log.1=2:40!@8 log.2=1:70@6";
    check("rotated twice while away: ours first", twice, "Read(Sibling(\"log.2\"))");
    let twice = "path=3:10! log.1=2:40!@8 log.2=1:50@6";
    check("then the one between", twice, &to_sibling("log.1", true, 0, 0));
    let thrice = "path=4:10! log.1=3:1!@9 log.2=2:40!@8 log.3=1:50@6";
    check("the oldest between first", thrice, &to_sibling("log.2", true, 0, 0));
    let packed = "path=4:10! log.1=3:1!@9 log.2.gz=2:40!@8 log.3=1:50@6";
    check("one between is packed", packed, &to_sibling("log.1", true, 0, 1));
    check(
        "ours is packed, one between is not",
        "path=3:10! log.1=2:40!@8 log.2.gz=1:9!@6",
        &to_sibling("log.1", false, 10, 1),
    );

    check("copied and cut, with a rest", "path=1:0~ held=1:0~ log.1=2:70@6", "Read(Sibling(\"log.1\"))");
    check("the copy is being read", "path=1:0~ held=1:0~ log.1=2:50@6", &to_path(true, 0, 0));
    check("copied, cut and grown beyond", "path=1:90! held=1:90! log.1=2:70@6", "Read(Sibling(\"log.1\"))");
    check("a copy that is shorter than what was read", "path=1:5! held=1:5! log.1=2:40~@6", &to_path(false, 10, 1));
    check("cut without a copy", "path=1:5! held=1:5!", &to_path(false, 10, 1));
    check("cut without a copy while away", "path=1:5!", &to_path(false, 10, 1));

    check("the inode was reused", "path=1:90!", &to_path(false, 10, 1));
    check("restored from a copy", "path=2:70", "Read(Path)");
    check("restored, nothing new", "path=2:50", "Wait");
    check("a new file begins like the old: the name that moved wins", "path=2:70 log.1=1:50", &to_path(true, 0, 0));
    check("nothing there", "", "Wait");
}

#[test]
fn a_place_at_the_beginning_fits_no_other_file() {
    let mark = Mark::start(FileId { dev: 1, inode: 1 }, None);
    let step = decide(&mark, &sight("path=2:10"));
    assert_eq!(format!("{step:?}"), "Switch { to: Path, keep: false, gone: Gone { bytes: 0, unseen: 1 } }");
}

#[test]
fn names_of_rotations() {
    for (name, expected) in [
        ("auth.log.1", Some(false)),
        ("auth.log.2.gz", Some(true)),
        ("auth.log-20260105", Some(false)),
        ("auth.log-20260105.xz", Some(true)),
        ("auth.log", None),
        ("auth.log.bak", None),
        ("auth.log.d", None),
        ("authentic.log.1", None),
    ] {
        assert_eq!(rotation("auth.log", name), expected, "{name}");
    }
    for (name, expected) in
        [("syslog.1", true), ("a.log", false), ("x.gz", true), ("app-20260105", true), ("app2", false), ("5", false)]
    {
        assert_eq!(is_rotated(name), expected, "{name}");
    }
}

#[test]
fn the_stored_form_reads_back_and_damage_is_none() {
    let mut mark = Mark::start(FileId { dev: 3, inode: 4 }, Some(Before { at_ms: -5, behind_ms: 7 }));
    mark.count_line(80);
    let kept = Kept { mark: mark.clone(), rotated: Some(mark) };
    assert_eq!(Kept::decode(&kept.encode()), Some(kept));
    assert_eq!(Kept::decode(b""), None);
    assert_eq!(Kept::decode(b"{\"mark\":{}}"), None);
}

#[test]
fn lost_bytes_are_estimated_in_lines() {
    let mut mark = Mark::default();
    assert_eq!((mark.lines_in(0), mark.lines_in(1), mark.lines_in(250)), (0, 1, 3));
    for _ in 0..20 {
        mark.count_line(50);
    }
    assert_eq!(mark.lines_in(250), 5);
}
