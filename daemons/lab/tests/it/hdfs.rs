//! That the HDFS evaluation measures what it says: simple detectors reach the figures that are known of them.

use nms_lab::eval::{HdfsFiles, HdfsOptions, Split, hdfs};

/// The folder of public data; none where the machine has none, which `NMS_REQUIRE=all` makes a failure.
pub(crate) fn data() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("NMS_DATA").map(std::path::PathBuf::from);
    if folder.is_none() {
        assert_ne!(std::env::var("NMS_REQUIRE").as_deref(), Ok("all"), "NMS_DATA is not set");
        println!("skipped: NMS_DATA is not set");
    }
    folder
}

#[test]
fn simple_detectors_reach_what_is_known_of_them() {
    let Some(data) = data() else { return };
    // F1 rescaled, in percent, from the sets' own documentation: of all sessions, of which these are a part.
    let known = [
        (Split::Logbert, "new event", "all", 52.9),
        (Split::Logbert, "new event", "long", 41.9),
        (Split::Logbert, "unseen count vector", "all", 96.6),
        (Split::Logbert, "unseen count vector", "long", 94.7),
        (Split::Logbert, "event + length + count vector", "all", 96.6),
        (Split::Logbert, "nearest count vector + unknown + length", "all", 84.8),
        (Split::Logbert, "nearest count vector + unknown + length", "long", 73.6),
        (Split::Deeplog, "new event", "all", 63.5),
        (Split::Deeplog, "unseen count vector", "all", 94.3),
        (Split::Deeplog, "nearest count vector + unknown + length", "all", 99.3),
    ];
    for split in [Split::Logbert, Split::Deeplog] {
        let files = HdfsFiles { data: data.clone(), ..HdfsFiles::default() };
        let options = HdfsOptions { files, split, seeds: vec![1], steps: 1, net: (64, 2, 4), plain: false };
        let rows = hdfs(&options, |_| {}).unwrap();
        for (_, detector, subset, percent) in known.iter().filter(|row| row.0 == split) {
            let row = rows.iter().find(|row| row.detector == *detector && row.subset == *subset).unwrap();
            println!("{row}");
            let found = row.f1 * 100.0;
            assert!((found - percent).abs() < 2.5, "{detector}, {subset}: {found:.2} is not {percent}");
        }
        let untrained = rows.iter().find(|row| row.detector == "LogBERT alone" && row.subset == "all").unwrap();
        assert!(untrained.f1 < 0.9, "a net that was not trained is no detector: {untrained}");
    }
}
