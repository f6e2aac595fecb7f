//! Scores: deterministic, equal from the cache, honest about what the model does not know.

use nms_model::bundle::Bundle;
use nms_model::explain::describe;
use nms_model::net::Weights;
use nms_model::random::Random;
use nms_model::score::{ScoreError, Scorer, p_value};
use nms_model::window::{Window, Windows};

use crate::key::key;
use crate::window::event;

fn window(names: &[&str]) -> Window {
    let mut windows = Windows::default();
    // All from one source and one family, so that one window holds them.
    for (at, name) in names.iter().enumerate() {
        windows.push(0, 1, Some(5), event(name, at as i64 * 1_000));
    }
    windows.tick(u64::MAX).into_iter().max_by_key(|window| window.positions.len()).unwrap()
}

fn session() -> Window {
    window(&["sshd.login.ok", "pam.login.none", "sudo.command.ok", "sshd.logout.ok", "pam.logout.ok"])
}

#[test]
fn the_same_window_scores_the_same_bit_for_bit_cached_or_not() {
    let bundle = Bundle::shipped().unwrap();
    let mut scorer = Scorer::new(&bundle).unwrap();
    let first = scorer.score(&session()).unwrap();
    scorer.score(&window(&["cron.command.ok"])).unwrap();
    assert_eq!(scorer.score(&session()).unwrap(), first);
    assert_eq!(scorer.cache().hits, 1);
    scorer.clear_cache();
    assert_eq!(scorer.score(&session()).unwrap(), first);
    assert_eq!(Scorer::new(&bundle).unwrap().score(&session()).unwrap(), first);
    assert_eq!(scorer.cache().misses, 3);
}

#[test]
fn the_cache_gives_each_window_its_own_references() {
    let mut scorer = Scorer::new(&Bundle::shipped().unwrap()).unwrap();
    let mut later = session();
    scorer.score(&later).unwrap();
    later.positions.iter_mut().for_each(|position| position.first += 1_000_000);
    let score = scorer.score(&later).unwrap();
    assert_eq!(scorer.cache().hits, 1);
    let firsts: Vec<u64> = score.events.iter().map(|event| event.first).collect();
    assert_eq!(firsts, later.positions.iter().map(|position| position.first).collect::<Vec<_>>());
}

#[test]
fn each_event_says_what_was_expected() {
    let mut scorer = Scorer::new(&Bundle::shipped().unwrap()).unwrap();
    let score = scorer.score(&session()).unwrap();
    assert_eq!(score.events.len(), 5);
    for event in &score.events {
        assert_eq!(event.expected.len(), 3);
        assert!(event.expected.is_sorted_by(|a, b| a.probability >= b.probability));
        assert!((0.0..=1.0).contains(&event.probability));
        assert_eq!(event.rank == 0, event.expected[0].key == event.key);
    }
    assert_eq!(score.categories.len(), 5);
    let odd =
        scorer.score(&window(&["sshd.login.ok", "pam.login.none", "suricata.ids.none", "sshd.logout.ok"])).unwrap();
    assert_eq!(odd.unseen, 1);
    assert_eq!(odd.p_value.to_bits(), odd.p_surprise.to_bits(), "what is only new is not unusual");
    assert_eq!(describe(key("sshd.login.failed")), "sshd: login failed");
}

#[test]
fn in_a_familys_window_only_its_keys_could_have_come() {
    let bundle = Bundle::shipped().unwrap();
    let mut scorer = Scorer::new(&bundle).unwrap();
    let of_sshd = bundle.vocabulary.keys().iter().filter(|key| key.to_string().starts_with("sshd.")).count() as u32;
    let names = ["sshd.login.failed", "sshd.login.ok", "sshd.logout.ok", "sshd.other.ok"];
    let score = scorer.score(&window(&names)).unwrap();
    for event in score.events.iter().filter(|event| !event.unseen) {
        assert_eq!(event.candidates, of_sshd);
        assert!(event.rank < event.candidates, "{event:?}");
        assert!(event.expected.iter().all(|expected| expected.key.to_string().starts_with("sshd.")), "{event:?}");
    }
    // A key that was never seen is behind all that were.
    let unseen: Vec<_> = score.events.iter().filter(|event| event.unseen).collect();
    assert_eq!((unseen[0].rank, unseen[0].candidates), (of_sshd, of_sshd + 1));
}

#[test]
fn a_window_of_what_was_never_seen_has_no_score() {
    let mut scorer = Scorer::new(&Bundle::shipped().unwrap()).unwrap();
    let strange = window(&["asa.block.failed", "asa.connection.ok", "asa.other.none"]);
    assert_eq!(scorer.score(&strange), Err(ScoreError::Unseen));
}

#[test]
fn an_empty_window_and_a_net_that_answers_nan_are_errors() {
    let mut bundle = Bundle::shipped().unwrap();
    let mut scorer = Scorer::new(&bundle).unwrap();
    assert_eq!(scorer.score(&Window { positions: Vec::new(), ..session() }), Err(ScoreError::Empty));
    let mut huge = session();
    huge.positions = vec![huge.positions[0]; 5_000];
    assert!(matches!(scorer.score(&huge), Err(ScoreError::TooLong(_))));
    bundle.weights = overflowing(&bundle);
    let mut scorer = Scorer::new(&bundle).unwrap();
    assert_eq!(scorer.score(&session()), Err(ScoreError::NotFinite));
    assert_eq!(scorer.not_finite(), 1);
}

/// Weights that are finite, but whose products are not.
fn overflowing(bundle: &Bundle) -> Weights {
    let shape = &bundle.manifest.shape;
    let mut file = Weights::random(shape, &mut Random::new(1)).to_safetensors(shape).unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    for value in file[header..].chunks_exact_mut(4) {
        value.copy_from_slice(&f32::MAX.to_le_bytes());
    }
    Weights::from_safetensors(&file, shape).unwrap()
}

#[test]
fn p_values_fall_with_the_score_beyond_the_calibration_too() {
    let calibration: Vec<f32> = (0..100).map(|n| n as f32 / 10.0).collect();
    let values = [0.0, 5.0, 9.9, 12.0, 20.0].map(|value| p_value(value, &calibration));
    assert!(values.is_sorted_by(|a, b| a > b), "{values:?}");
    assert!((values[1] - 0.5).abs() < 0.02 && values[4] > 0.0);
    assert!((p_value(3.0, &[]) - 1.0).abs() < f32::EPSILON);
}

/// Windows of a busy host: many come again.
fn busy() -> Vec<Window> {
    let names = ["sshd.login.ok", "sshd.login.failed", "sudo.command.ok", "cron.command.ok", "sshd.logout.ok"];
    let mut random = Random::new(8);
    let mut windows = Windows::default();
    let mut ready = Vec::new();
    for at in 0..3_000_i64 {
        let name = names[random.below(names.len())];
        ready.extend(windows.push(at as u64, 1, Some(5), event(name, at * 1_000)));
    }
    let again: Vec<Window> = ready.iter().step_by(3).cloned().collect();
    ready.extend(again);
    ready
}

#[test]
fn every_window_scores_the_same_bit_for_bit_with_the_cache_and_without_in_any_order() {
    let bundle = Bundle::shipped().unwrap();
    let mut with = Scorer::new(&bundle).unwrap();
    let mut without = Scorer::new(&bundle).unwrap().without_cache();
    let mut backwards = Scorer::new(&bundle).unwrap();
    let windows = busy();
    let mut later: Vec<_> = windows.iter().rev().map(|window| backwards.score(window)).collect();
    later.reverse();
    for (window, later) in windows.iter().zip(later) {
        let score = with.score(window);
        assert!(score.is_ok());
        // Floats by their bits: equal numbers with other bits would print differently.
        let bits = |score: &Result<nms_model::score::Score, ScoreError>| format!("{score:?}");
        assert_eq!(bits(&score), bits(&without.score(window)));
        assert_eq!(bits(&score), bits(&later));
    }
    assert!(with.cache().hits > 0);
    assert_eq!(without.cache().hits, 0);
}
