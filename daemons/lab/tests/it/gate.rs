//! The gate of the shipped bundle, on a fixed small evaluation set from seeds that training never uses.
//!
//! Every key of the set occurs in ordinary training, and the ordinary windows are those whose keys
//! are most like the attacks' ([`Kinds::matched`]): what tells them apart is order, count and
//! circumstance, not the words.

use nms_lab::train::{Figures, Kinds, evaluate, evaluation_set, training_set};
use nms_model::bundle::Bundle;
use nms_model::net::Weights;
use nms_model::random::Random;

fn set() -> Kinds {
    evaluation_set(3).matched().thinned(400)
}

fn surprise(figures: &Figures) -> f64 {
    figures.auroc["logbert surprise"][0]
}

#[test]
fn the_shipped_bundle_tells_attacks_from_ordinary_life() {
    let bundle = Bundle::shipped().unwrap();
    let training = training_set(6, 3, 1);
    let figures = evaluate(&bundle, &training.ordinary, &set()).unwrap();
    println!("{figures}");
    assert!(figures.windows.iter().all(|count| *count > 100), "{:?}", figures.windows);
    assert!(surprise(&figures) >= 0.85, "surprise reaches {:.3}", surprise(&figures));
    assert!(figures.auroc["logbert distance"][0] >= 0.85);
    // What the set is for: no key gives an attack away.
    assert!((figures.auroc["unseen keys"][0] - 0.5).abs() < 0.05);
}

/// One random net is a random liking for some keys, and lands anywhere; on average such nets must
/// tell nothing, or the set itself would give the attacks away.
#[test]
fn random_weights_tell_nothing() {
    let shipped = Bundle::shipped().unwrap();
    let set = set();
    let reached: Vec<f64> = (1..=10)
        .map(|seed| {
            let weights = Weights::random(&shipped.manifest.shape, &mut Random::new(seed));
            surprise(&evaluate(&Bundle { weights, ..shipped.clone() }, &[], &set).unwrap())
        })
        .collect();
    let mean = reached.iter().sum::<f64>() / reached.len() as f64;
    println!("random weights, seeds 1 to 10: {reached:.3?}, mean {mean:.3}");
    assert!(mean <= 0.6, "random weights reach {mean:.3}");
}
