//! Closed sessions: what is damaged is never ordinary, models round trip and are refused by name, facts fuse.

use std::collections::HashSet;

use nms_model::bundle::BundleError;
use nms_model::key::{SPECIALS, Token, UNKNOWN};
use nms_model::net::{Shape, Weights};
use nms_model::random::Random;
use nms_model::session::{Facts, Known, Parts, SessionModel, SessionScorer, fused, vocabulary};
use nms_model::train::{Against, Feed, Recipe, SESSION_EVENTS_MAX, Sessions, Trainer};

/// Sessions of a small grammar: open, some reads in any order, close.
fn sessions() -> Vec<Vec<String>> {
    let mut random = Random::new(3);
    let session = |_| {
        let reads = 2 + random.below(4);
        let middle = (0..reads).map(|_| ["read", "write"][random.below(2)]);
        ["open"].into_iter().chain(middle.collect::<Vec<_>>()).chain(["close"]).map(str::to_owned).collect()
    };
    (0..200).map(session).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn known() -> (Vec<String>, Known) {
    let sessions = sessions();
    let keys = vocabulary(sessions.iter().map(Vec::as_slice));
    let known = Known::learn(&keys, &sessions);
    (keys, known)
}

fn shape(keys: &[String]) -> Shape {
    let vocabulary = SPECIALS + keys.len();
    Shape { width: 16, layers: 1, heads: 2, feed_forward: 16, vocabulary, factors: false, categories: 0 }
}

fn sorted(tokens: &[Token]) -> Vec<Token> {
    let mut tokens = tokens.to_vec();
    tokens.sort_unstable();
    tokens
}

#[test]
fn what_is_damaged_has_no_ordinary_count_vector() {
    let (keys, known) = known();
    let tokens: Vec<Vec<Token>> = sessions().iter().map(|session| known.tokens(session)).collect();
    let ordinary: HashSet<Vec<Token>> = tokens.iter().map(|session| sorted(session)).collect();
    let mut feed = Sessions::new(&tokens, SPECIALS + keys.len(), &Recipe::default());
    let mut random = Random::new(1);
    let (mut damaged, mut unknown) = (0, 0);
    for _ in 0..40 {
        let sphere = feed.sphere(&mut random);
        assert_eq!(sphere.rows.len(), sphere.corrupted.len());
        for (row, corrupted) in sphere.rows.iter().zip(&sphere.corrupted) {
            let keys = sorted(&row.tokens[1..row.len() - 1]);
            assert!(!keys.is_empty() && keys.len() <= SESSION_EVENTS_MAX);
            assert_eq!(ordinary.contains(&keys), !*corrupted, "shuffling keeps the count vector");
            damaged += usize::from(*corrupted);
            unknown += usize::from(keys.contains(&UNKNOWN));
        }
        for masked in feed.masked(&mut random) {
            assert!(!masked.hidden.is_empty() && masked.hidden.iter().all(|at| (1..masked.truth.len()).contains(at)));
        }
    }
    assert_eq!(damaged, 40 * Recipe::default().rows);
    assert!(unknown > 0, "keys that are not known are among the damage");
}

#[test]
fn a_session_feed_trains_the_same_weights_from_the_same_seed_and_learns() {
    let (keys, known) = known();
    let tokens: Vec<Vec<Token>> = sessions().iter().map(|session| known.tokens(session)).collect();
    let run = |against| {
        let recipe = Recipe { steps: 120, rows: 8, rate: 5e-3, against, ..Recipe::default() };
        let feed = Sessions::new(&tokens, SPECIALS + keys.len(), &recipe);
        let mut trainer = Trainer::new(recipe, &shape(&keys), feed).unwrap();
        let first = trainer.step().unwrap();
        while !trainer.is_done() {
            trainer.step().unwrap();
        }
        (first, trainer.progress(), trainer.weights().unwrap())
    };
    for against in [Against::Corruptions, Against::Nothing] {
        let (first, last, weights) = run(against);
        assert!(last.masked < first.masked * 0.7, "{against:?}: {} to {}", first.masked, last.masked);
        assert!(last.dist < first.dist, "{against:?}: {} to {}", first.dist, last.dist);
        assert_eq!(run(against).2, weights, "bit for bit");
    }
}

#[test]
fn scores_are_the_same_bit_for_bit_whether_computed_or_remembered() {
    let (keys, known) = known();
    let shape = shape(&keys);
    let weights = Weights::random(&shape, &mut Random::new(5));
    let mut one = SessionScorer::new(&shape, &weights).unwrap();
    let tokens = known.tokens(&words("open read write close"));
    let first = one.score(&tokens).unwrap();
    one.score(&known.tokens(&words("open close close"))).unwrap();
    assert_eq!(one.score(&tokens).unwrap(), first);
    let mut other = SessionScorer::new(&shape, &weights).unwrap();
    assert_eq!(other.score(&tokens).unwrap().distance.to_bits(), first.distance.to_bits());
    assert!(one.score(&[]).is_err());
    let endless = vec![tokens[0]; 10_000];
    assert!(one.score(&endless).unwrap().distance.is_finite(), "what is behind the longest session is not seen");
}

#[test]
fn facts_fuse_and_each_can_be_left_out() {
    let (_, known) = known();
    let ordinary = known.facts(&words("open write read close"));
    assert_eq!(ordinary, Facts { unknown: 0, is_shorter: false, is_seen: true });
    let odd = known.facts(&words("open format"));
    assert_eq!(odd, Facts { unknown: 1, is_shorter: true, is_seen: false });
    assert!(fused(1.0, ordinary, Parts::ALL) < fused(1.0, ordinary, Parts::ALONE));
    let none = Parts { unknown: false, length: false, seen: false };
    assert!((fused(1.0, odd, none) - 1.0).abs() < f32::EPSILON);
    for part in [Parts { unknown: true, ..none }, Parts { length: true, ..none }] {
        assert!(fused(-30.0, odd, part) > fused(30.0, ordinary, none));
    }
}

#[test]
fn a_model_round_trips_and_a_damaged_one_is_refused_by_name() {
    let (keys, known) = known();
    let shape = shape(&keys);
    let weights = Weights::random(&shape, &mut Random::new(6));
    let mut model = SessionModel::new(shape, &keys, &known, weights);
    model.manifest.thresholds.insert("product".into(), -1.5);
    let folder = tempfile::tempdir().unwrap();
    let write = |model: &SessionModel| {
        for (name, bytes) in model.to_files().unwrap() {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
    };
    write(&model);
    let read = SessionModel::open(folder.path()).unwrap();
    assert_eq!(read.weights, model.weights);
    assert_eq!(read.known().facts(&words("open write read close")), known.facts(&words("open write read close")));
    let refused = |change: fn(&mut SessionModel), field: &str| {
        let mut bad = model.clone();
        change(&mut bad);
        write(&bad);
        let error = SessionModel::open(folder.path()).unwrap_err();
        assert!(matches!(error, BundleError::Field(name) if name == field), "{error}");
    };
    refused(|bad| bad.manifest.count_vectors.push(vec![9_999]), "count_vectors");
    refused(|bad| bad.manifest.keys.swap_remove(0).clear(), "keys");
    refused(|bad| bad.manifest.keys[0] = bad.manifest.keys[1].clone(), "keys");
    write(&model);
    let weights = folder.path().join("weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    assert!(matches!(SessionModel::open(folder.path()), Err(BundleError::Hash(_))));
    std::fs::remove_file(&weights).unwrap();
    let error = SessionModel::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("weights.safetensors"), "{error}");
}
