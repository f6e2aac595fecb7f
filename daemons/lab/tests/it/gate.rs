//! The gate of the shipped bundle, on a fixed small evaluation set from seeds that training never uses.
//!
//! Every key of the set occurs in ordinary training. The harder half of the gate keeps only the
//! ordinary windows whose keys are most like the attacks' ([`Kinds::matched`]): what tells those apart
//! is order, count and circumstance, not the words.

use nms_lab::corpus::VENDORS;
use nms_lab::train::{BaseOptions, Figures, Kinds, evaluate, evaluation_set, training_set};
use nms_model::bundle::Bundle;
use nms_model::net::Weights;
use nms_model::random::Random;

/// Attacks against ordinary life, and against ordinary life with the attacks' keys only.
fn sets(bundle: &Bundle) -> [(&'static str, Kinds); 2] {
    let set = evaluation_set(4, 0..VENDORS, bundle.words.as_ref());
    [("ordinary life", set.clone().thinned(400)), ("ordinary life with the attacks' keys", set.matched().thinned(400))]
}

fn reached(figures: &Figures, detector: &str) -> f64 {
    figures.auroc[detector][0]
}

#[test]
fn the_shipped_bundle_tells_attacks_from_ordinary_life() {
    let bundle = Bundle::shipped().unwrap();
    let options = BaseOptions { days: 3, ..BaseOptions::default() };
    let training = training_set(6, &options, bundle.words.as_ref());
    for (name, set) in sets(&bundle) {
        let figures = evaluate(&bundle, &training.ordinary, &set).unwrap();
        println!("{name}:\n{figures}");
        assert!(figures.windows.iter().all(|count| *count > 100), "{:?}", figures.windows);
        assert!(reached(&figures, "logbert surprise") >= 0.85);
        assert!(reached(&figures, "logbert distance") >= 0.85);
        // What the set is for: no key gives an attack away.
        assert!((reached(&figures, "unseen keys") - 0.5).abs() < 0.05);
    }
}

/// One random net is a random liking for some keys, and lands anywhere; on average such nets must
/// tell nothing, or the set itself would give the attacks away. Against all of ordinary life they do
/// tell something (attack windows hold more different events), so only the matched set is a gate.
#[test]
fn random_weights_tell_nothing() {
    let shipped = Bundle::shipped().unwrap();
    let [_, (_, matched)] = sets(&shipped);
    let random = |seed| {
        let weights = Weights::random(&shipped.manifest.shape, &mut Random::new(seed));
        let figures = evaluate(&Bundle { weights, ..shipped.clone() }, &[], &matched).unwrap();
        reached(&figures, "logbert surprise")
    };
    let all: Vec<f64> = (1..=10).map(random).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    println!("random weights, seeds 1 to 10: {all:.3?}, mean {mean:.3}");
    assert!(mean <= 0.6, "random weights reach {mean:.3}");
}
