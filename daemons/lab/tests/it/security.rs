//! What the extractors make of public lines whose truth is known.

use nms_lab::eval::{coverage, fail2ban};

#[test]
fn lines_that_must_be_seen_are_seen_and_others_are_not() {
    let Some(data) = crate::hdfs::data() else { return };
    let (scores, misses) = fail2ban(&data.join("security/fail2ban/lines.jsonl")).unwrap();
    let [seen, unseen] = &scores[..] else { panic!("two sets are judged: {scores:?}") };
    println!("{seen}\n{unseen}");
    assert_eq!((seen.cases, unseen.cases), (727, 161));
    assert!(seen.rate >= 0.90, "{seen}");
    assert!(1.0 - unseen.rate <= 0.02, "{unseen}");
    assert_eq!(misses.len(), seen.wrong + unseen.wrong);
}

#[test]
fn programs_that_were_not_written_from_are_covered_too() {
    let Some(data) = crate::hdfs::data() else { return };
    let rows = coverage(&data).unwrap();
    let all = rows.iter().find(|row| row.set == "crowdsec" && row.program == "all").unwrap();
    println!("{all}");
    assert!(all.named * 100 >= all.cases * 65, "sources are named in fewer cases than they were: {all}");
}
