//! Windows of generated networks, labelled, and the measures over them.
//!
//! The evaluation set comes from seeds that training never uses. A window counts as an attack where
//! a quarter of its positions or more belong to one, as ordinary where nothing but ordinary life is in
//! it; what lies between is left out and counted.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

use nms_detect::extract;
use nms_model::bundle::Bundle;
use nms_model::eval::{Ngram, UnseenKeys, auroc};
use nms_model::key::TypedKey;
use nms_model::score::Scorer;
use nms_model::window::{KeyedEvent, Window, Windows, actor_id};
use nms_model::words::{Words, key_of};
use nms_proto::extraction::Actor;
use nms_proto::limits::MODEL_WINDOWS_MAX;
use nms_proto::scan::Scanner;

use crate::corpus::{Attack, Emission, Extras, Label, Network, Novelty, Twin, generate};

/// Share of the most surprising keys that the n-gram's mean is taken of, as the bundle's.
const NGRAM_SHARE: f32 = 0.25;
/// First seed of the evaluation set's networks.
const EVALUATION_SEED: u64 = 9_000_000;
/// Share of positions from which on a window belongs to what they are.
const SHARE_MIN: f64 = 0.25;

/// A window with what it is.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The window.
    pub window: Window,
    /// What its events are; none for a mixture that counts as nothing.
    pub label: Option<Label>,
}

/// Windows by what they are.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// Of ordinary life.
    pub ordinary: Vec<Window>,
    /// Of attacks.
    pub attacks: Vec<(Window, Attack)>,
    /// Of benign twins.
    pub twins: Vec<Window>,
    /// Of benign novelties.
    pub novelties: Vec<Window>,
    /// Mixtures that were left out.
    pub mixed: usize,
}

impl Kinds {
    /// Adds the windows of one network.
    pub fn add(&mut self, windows: Vec<Labelled>) {
        for Labelled { window, label } in windows {
            match label {
                Some(Label::Ordinary) => self.ordinary.push(window),
                Some(Label::Attack(attack)) => self.attacks.push((window, attack)),
                Some(Label::Twin(_)) => self.twins.push(window),
                Some(Label::Novel(_)) => self.novelties.push(window),
                None => self.mixed += 1,
            }
        }
    }
}

/// Every window that a network's log makes ready, as the server would see them: through the same
/// extractors and words, not from the generator's truth.
pub fn windows_of(network: &Network, emissions: &[Emission], words: Option<&Words>) -> Vec<Labelled> {
    let mut scanner = Scanner::new();
    let mut windows = Windows::new(MODEL_WINDOWS_MAX);
    let mut ready = Vec::new();
    for (index, emission) in emissions.iter().enumerate() {
        let now = emission.at_ms as u64;
        while windows.deadline().is_some_and(|due| due <= now) {
            let due = windows.deadline().unwrap_or(now);
            ready.extend(windows.tick(due));
        }
        let event = emission.event(network);
        let extraction = extract(&event);
        let source = emission.host as u64;
        let actor = extraction.actor.as_ref().map(|actor| match actor {
            // As on the server: an address is one wherever it is seen, a name only at its source.
            Actor::Address(_) => actor_id(actor),
            Actor::Name(_) => actor_id(actor) ^ (source + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        });
        let key = key_of(words, &event, &extraction, &mut scanner);
        let keyed = KeyedEvent::of(&event, &extraction, key, index as u64);
        ready.extend(windows.push(now, source, actor, keyed));
    }
    ready.extend(windows.tick(u64::MAX));
    ready.into_iter().map(|window| Labelled { label: label(&window, emissions), window }).collect()
}

fn label(window: &Window, emissions: &[Emission]) -> Option<Label> {
    let of = |token: u64| emissions.get(token as usize).map_or(Label::Ordinary, |emission| emission.label);
    let labels: Vec<Label> = window.positions.iter().map(|position| of(position.last)).collect();
    if labels.iter().all(|label| *label == Label::Ordinary)
        && window.positions.iter().all(|position| of(position.first) == Label::Ordinary)
    {
        return Some(Label::Ordinary);
    }
    let others: Vec<Label> = labels.iter().copied().filter(|label| *label != Label::Ordinary).collect();
    let first = *others.first()?;
    let pure = others.iter().all(|label| *label == first);
    (pure && others.len() as f64 >= SHARE_MIN * labels.len() as f64).then_some(first)
}

impl Kinds {
    /// At most `most` windows of each kind, taken evenly.
    #[must_use]
    pub fn thinned(self, most: usize) -> Self {
        fn thin<T>(all: Vec<T>, most: usize) -> Vec<T> {
            let step = all.len().div_ceil(most.max(1)).max(1);
            all.into_iter().step_by(step).collect()
        }
        Self {
            ordinary: thin(self.ordinary, most),
            attacks: thin(self.attacks, most),
            twins: thin(self.twins, most),
            novelties: thin(self.novelties, most),
            mixed: self.mixed,
        }
    }
}

impl Kinds {
    /// The same with only the ordinary windows that are most like an attack window by their keys,
    /// each attack's nearest one: what is left to tell them apart is order, count and circumstance.
    #[must_use]
    pub fn matched(self) -> Self {
        let profiles: Vec<_> = self.ordinary.iter().map(profile).collect();
        let mut taken = vec![false; profiles.len()];
        for (window, _) in &self.attacks {
            let attack = profile(window);
            let free = profiles.iter().zip(&taken).enumerate().filter(|(_, (_, taken))| !**taken);
            let nearest = free.min_by(|(_, (a, _)), (_, (b, _))| apart(a, &attack).total_cmp(&apart(b, &attack)));
            if let Some(place) = nearest.map(|(at, _)| at).and_then(|at| taken.get_mut(at)) {
                *place = true;
            }
        }
        let ordinary = self.ordinary.into_iter().zip(taken).filter_map(|(window, taken)| taken.then_some(window));
        Self { ordinary: ordinary.collect(), ..self }
    }
}

/// The share of each key among a window's positions, and its scope's kind.
fn profile(window: &Window) -> BTreeMap<TypedKey, f32> {
    let mut shares = BTreeMap::new();
    for position in &window.positions {
        *shares.entry(position.key).or_default() += 1.0 / window.positions.len() as f32;
    }
    shares
}

/// Sum of the differences of two profiles, 0 to 2.
fn apart(a: &BTreeMap<TypedKey, f32>, b: &BTreeMap<TypedKey, f32>) -> f32 {
    let missing = b.iter().filter(|(key, _)| !a.contains_key(key)).map(|(_, share)| share).sum::<f32>();
    a.iter().map(|(key, share)| (share - b.get(key).copied().unwrap_or(0.0)).abs()).sum::<f32>() + missing
}

/// The fixed evaluation set: `networks` small networks of a few days each, from seeds of its own, their applications of
/// `vendors`.
pub fn evaluation_set(networks: u64, vendors: Range<usize>, words: Option<&Words>) -> Kinds {
    let mut kinds = Kinds::default();
    for network in 0..networks {
        let (network, emissions) = evaluation_network(network, vendors.clone());
        kinds.add(windows_of(&network, &emissions, words));
    }
    kinds
}

/// A network of the evaluation set, with all that can happen in one.
pub fn evaluation_network(network: u64, vendors: Range<usize>) -> (Network, Vec<Emission>) {
    let (attacks, twins, novelties) = (Attack::ALL.to_vec(), Twin::ALL.to_vec(), Novelty::ALL.to_vec());
    generate(EVALUATION_SEED + network, 3, &Extras { attacks, twins, novelties, vendors })
}

/// What the detectors reach on one set.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Windows scored: ordinary, attacks, twins, novelties.
    pub windows: [usize; 4],
    /// Attack windows left out because a key of theirs never occurs in ordinary training.
    pub unseen_attacks: usize,
    /// AUROC of attacks against ordinary, against twins, against novelties, by detector.
    pub auroc: BTreeMap<&'static str, [f64; 3]>,
    /// AUROC of LogBERT's surprise and distance for each attack against ordinary.
    pub by_attack: BTreeMap<String, [f64; 2]>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ordinary, attacks, twins, novelties] = self.windows;
        writeln!(
            f,
            "windows: {ordinary} ordinary, {attacks} attack, {twins} twin, {novelties} novel; {} attack windows left out for unseen keys",
            self.unseen_attacks
        )?;
        writeln!(f, "{:24} {:>9} {:>9} {:>9}", "attack against", "ordinary", "twins", "novel")?;
        for (detector, [ordinary, twins, novel]) in &self.auroc {
            writeln!(f, "{detector:24} {ordinary:9.3} {twins:9.3} {novel:9.3}")?;
        }
        for (attack, [surprise, distance]) in &self.by_attack {
            writeln!(f, "  {attack:22} surprise {surprise:.3}  distance {distance:.3}")?;
        }
        Ok(())
    }
}

/// Measures a bundle on `set`, on windows whose every key is in its vocabulary, which is that of
/// ordinary training. The n-gram and the counter of unseen keys learn from `ordinary`.
///
/// # Errors
/// In words, where a window cannot be scored.
pub fn evaluate(bundle: &Bundle, ordinary: &[Window], set: &Kinds) -> Result<Figures, String> {
    let known: HashSet<TypedKey> = bundle.vocabulary.keys().iter().copied().collect();
    let mut scorer = Scorer::new(bundle).map_err(|cause| cause.to_string())?;
    let seen = |window: &&Window| window.positions.iter().all(|position| known.contains(&position.key));
    let attacks: Vec<&(Window, Attack)> = set.attacks.iter().filter(|(window, _)| seen(&window)).collect();
    let groups: [Vec<&Window>; 4] = [
        set.ordinary.iter().filter(seen).collect(),
        attacks.iter().map(|(window, _)| window).collect(),
        set.twins.iter().filter(seen).collect(),
        set.novelties.iter().filter(seen).collect(),
    ];
    let ngram = Ngram::learn(ordinary);
    let unseen = UnseenKeys::learn(ordinary);
    let mut scores: BTreeMap<&'static str, [Vec<f32>; 4]> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        for window in group {
            let score = scorer.score(window).map_err(|cause| cause.to_string())?;
            let mut add = |detector: &'static str, value: f32| {
                if let Some(list) = scores.entry(detector).or_default().get_mut(at) {
                    list.push(value);
                }
            };
            add("logbert surprise", score.surprise);
            add("logbert distance", score.distance);
            add("logbert p value", -score.p_value.ln());
            add("n-gram", ngram.score(window, NGRAM_SHARE));
            add("unseen keys", unseen.score(window));
            add("events", window.positions.iter().map(|position| position.count as f32).sum());
        }
    }
    let mut figures = Figures {
        windows: groups.each_ref().map(Vec::len),
        unseen_attacks: set.attacks.len() - attacks.len(),
        ..Figures::default()
    };
    for (detector, [ordinary, attack, twins, novel]) in &scores {
        figures.auroc.insert(detector, [ordinary, twins, novel].map(|benign| auroc(benign, attack)));
    }
    figures.by_attack = by_attack(&attacks, &scores);
    Ok(figures)
}

fn by_attack(
    attacks: &[&(Window, Attack)],
    scores: &BTreeMap<&'static str, [Vec<f32>; 4]>,
) -> BTreeMap<String, [f64; 2]> {
    let mut rows = BTreeMap::new();
    for attack in Attack::ALL {
        let row = ["logbert surprise", "logbert distance"].map(|detector| {
            let Some([ordinary, all, ..]) = scores.get(detector) else { return 0.5 };
            let these: Vec<f32> =
                attacks.iter().zip(all).filter(|((_, of), _)| *of == attack).map(|(_, score)| *score).collect();
            auroc(ordinary, &these)
        });
        rows.insert(format!("{attack:?}"), row);
    }
    rows
}
