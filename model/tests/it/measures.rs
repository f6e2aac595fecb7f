//! The measures and the baselines.

use nms_model::eval::{Ngram, UnseenKeys, auroc};
use nms_model::window::{Window, Windows};

use crate::window::event;

#[test]
fn auroc_counts_ties_half() {
    let check = |normal: &[f32], abnormal: &[f32], wanted: f64| {
        assert!((auroc(normal, abnormal) - wanted).abs() < 1e-9, "{normal:?} {abnormal:?}");
    };
    check(&[1.0, 2.0], &[3.0, 4.0], 1.0);
    check(&[3.0, 4.0], &[1.0, 2.0], 0.0);
    check(&[1.0, 1.0], &[1.0], 0.5);
    check(&[1.0, 2.0, 3.0], &[2.0], 0.5);
    check(&[], &[2.0], 0.5);
}

fn window(names: &[&str]) -> Window {
    let mut windows = Windows::default();
    for (at, name) in names.iter().enumerate() {
        windows.push(0, 1, None, event(name, at as i64));
    }
    windows.tick(u64::MAX).remove(0)
}

#[test]
fn the_ngram_prefers_what_it_has_seen() {
    let usual = window(&["sshd.login.ok", "sshd.logout.none", "sshd.login.ok", "sshd.logout.none"]);
    let odd = window(&["sshd.login.ok", "sshd.login.failed", "sshd.logout.none", "sshd.login.failed"]);
    let known = [usual.clone(), window(&["sshd.login.failed", "sshd.login.ok"])];
    let ngram = Ngram::learn(&known);
    assert!(ngram.score(&odd, 0.25) > ngram.score(&usual, 0.25));
    let unseen = UnseenKeys::learn(&known);
    assert!(unseen.score(&odd).abs() < f32::EPSILON);
    assert!((unseen.score(&window(&["sshd.ids.none"])) - 1.0).abs() < f32::EPSILON);
}
