//! How the miner groups public lines, and that the measure measures.

use nms_lab::eval::{accuracy, templates};

#[test]
fn a_line_is_right_where_its_group_holds_the_very_lines_of_its_template() {
    let right = |truth: &[u8], found: &[u8]| accuracy(truth, found);
    assert!((right(&[1, 1, 2, 3], &[7, 7, 8, 9]) - 1.0).abs() < 1e-9);
    assert!((right(&[1, 1, 2, 3], &[7, 7, 8, 8]) - 0.5).abs() < 1e-9, "two templates in one group are both wrong");
    assert!((right(&[1, 1, 2, 3], &[6, 7, 8, 9]) - 0.5).abs() < 1e-9, "a template in two groups is wrong");
}

#[test]
fn every_public_set_is_grouped_as_well_as_by_drain3_and_their_mean_is_at_the_goal() {
    let Some(data) = crate::hdfs::data() else { return };
    let rows = templates(&data.join("loghub_2k")).unwrap();
    for row in &rows {
        println!("{row}");
        assert!(row.drain3_generic.is_some_and(|figure| row.accuracy >= figure), "{row}");
    }
    let mean = rows.last().unwrap();
    assert!(rows.len() == 9 && mean.accuracy >= 0.915, "{mean}");
}
