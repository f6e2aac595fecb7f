//! `train base`: the shipped bundle from generated networks, in one command.

use std::collections::BTreeMap;
use std::ops::Range;

use nms_model::bundle::{Bundle, Manifest, Scoring, sha256};
use nms_model::key::Vocabulary;
use nms_model::net::Shape;
use nms_model::random::Random;
use nms_model::score::calibrate;
use nms_model::sequence::Sequence;
use nms_model::train::{self, Examples, Recipe, Trainer};
use nms_model::window::Window;
use nms_model::words::Words;

use super::windows::{Kinds, windows_of};
use crate::corpus::{Attack, CATEGORIES, Emission, Extras, Network, Twin, VENDORS, all_phrasings, generate, lessons};

/// Optimiser steps of the shipped model.
const STEPS: usize = 2_400;

/// What `train base` may be told.
#[derive(Clone, Debug)]
pub struct BaseOptions {
    /// Networks to generate for training.
    pub networks: u64,
    /// Days of each.
    pub days: usize,
    /// How the net is trained.
    pub recipe: Recipe,
    /// How events become a surprise.
    pub scoring: Scoring,
    /// The vendors whose applications it may see; all of them where it is empty.
    pub vendors: Range<usize>,
}

impl Default for BaseOptions {
    fn default() -> Self {
        Self {
            networks: 40,
            days: 4,
            recipe: Recipe { steps: STEPS, ..Recipe::default() },
            scoring: Scoring { top_share: 0.25, factor_weight: 1.0 },
            vendors: 0..VENDORS,
        }
    }
}

/// The windows that training may see; every seed below the evaluation set's.
pub fn training_set(networks: u64, options: &BaseOptions, words: Option<&Words>) -> Kinds {
    let mut kinds = Kinds::default();
    for network in 0..networks {
        let (network, emissions) = training_network(network, options);
        kinds.add(windows_of(&network, &emissions, words));
    }
    // To the model a twin is ordinary life.
    let twins = std::mem::take(&mut kinds.twins);
    kinds.ordinary.extend(twins);
    kinds
}

/// A network that training may see. A third of them are attacked, and all have a twin now and then, as life has.
pub fn training_network(network: u64, options: &BaseOptions) -> (Network, Vec<Emission>) {
    let seed = options.recipe.seed;
    let attacks = if network.is_multiple_of(3) { Attack::ALL.to_vec() } else { Vec::new() };
    let twins = Random::new(seed ^ network).pick(&Twin::ALL).copied().into_iter().collect();
    let extras = Extras { attacks, twins, novelties: Vec::new(), vendors: options.vendors.clone() };
    generate(seed.wrapping_mul(1000) + network, options.days, &extras)
}

/// The examples of a training set.
pub fn examples(kinds: &Kinds, vocabulary: &Vocabulary) -> Examples {
    let attack = |(window, attack): &(Window, Attack)| (Sequence::of(window, vocabulary), attack.category().0);
    Examples { attacks: kinds.attacks.iter().map(attack).collect(), ..Examples::of(&kinds.ordinary, vocabulary) }
}

/// Trains the bundle, from `checkpoint` on where there is one; `each` sees the trainer after every
/// step, to show where it stands and to keep checkpoints.
///
/// # Errors
/// In words, where training or scoring fails, or `each` does.
pub fn train_base(
    options: &BaseOptions,
    checkpoint: Option<&[u8]>,
    mut each: impl FnMut(&Trainer<'_>) -> Result<(), String>,
) -> Result<(Bundle, Kinds), String> {
    let words = lessons(&options.vendors, options.recipe.seed).learned(options.recipe.seed);
    let kinds = training_set(options.networks, options, Some(&words));
    let keys = kinds.ordinary.iter().flat_map(|window| window.positions.iter().map(|position| position.key));
    let vocabulary = Vocabulary::learn(keys);
    let examples = examples(&kinds, &vocabulary);
    let shape = Shape::small(vocabulary.size(), CATEGORIES.len());
    let text = |cause: &dyn std::fmt::Display| cause.to_string();
    let feed = train::Windows::new(&examples, &options.recipe);
    let trainer = match checkpoint {
        Some(bytes) => Trainer::resume(bytes, &options.recipe, &shape, feed),
        None => Trainer::new(options.recipe.clone(), &shape, feed),
    };
    let mut trainer = trainer.map_err(|cause| text(&cause))?;
    while !trainer.is_done() {
        trainer.step().map_err(|cause| text(&cause))?;
        each(&trainer)?;
    }
    let mut manifest = Manifest::new("base", shape, &vocabulary, &CATEGORIES, options.scoring);
    manifest.training = story(options, &kinds, &examples);
    let weights = trainer.weights().map_err(|cause| text(&cause))?;
    let mut bundle = Bundle { manifest, vocabulary, weights, words: Some(words) };
    let recipe = Recipe { seed: options.recipe.seed + 77, ..options.recipe.clone() };
    let fresh = training_set(8, &BaseOptions { recipe, ..options.clone() }, bundle.words.as_ref());
    bundle.manifest.calibration = calibrate(&bundle, &fresh.ordinary).map_err(|cause| text(&cause))?;
    Ok((bundle, kinds))
}

fn story(options: &BaseOptions, kinds: &Kinds, examples: &Examples) -> BTreeMap<String, String> {
    let recipe = serde_json::to_string(&options.recipe).unwrap_or_default();
    let windows: Vec<u8> =
        examples.ordinary.iter().flat_map(|s| s.tokens.iter().flat_map(|t| t.to_le_bytes())).collect();
    let vendors = &options.vendors;
    let phrasings: usize = vendors.clone().map(|vendor| all_phrasings(vendor).len()).sum();
    BTreeMap::from([
        ("applications".to_owned(), format!("{} vendors, {phrasings} phrasings", vendors.len())),
        ("corpus".to_owned(), format!("generated: {} networks of {} days", options.networks, options.days)),
        ("ordinary windows".to_owned(), format!("{} ({} distinct)", kinds.ordinary.len(), examples.ordinary.len())),
        ("attack windows".to_owned(), kinds.attacks.len().to_string()),
        ("sha256 of the distinct key sequences".to_owned(), sha256(&windows)),
        ("recipe".to_owned(), recipe),
        ("licence".to_owned(), "generated by this repository's own program; no outside data".to_owned()),
    ])
}
