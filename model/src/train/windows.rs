//! Windows of typed keys: ordinary ones, attacks, and ordinary ones that are damaged as they are drawn.

use std::collections::{BTreeMap, HashMap};

use nms_proto::limits::MODEL_WINDOW_EVENTS;

use crate::corrupt::Corrupter;
use crate::key::{Factor, SPECIALS, UNKNOWN, Vocabulary};
use crate::random::Random;
use crate::sequence::Sequence;
use crate::window::Window;

use super::Recipe;
use super::feed::{Draw, Feed, Masked, Sphere, hidden};

/// What a net learns from.
#[derive(Debug, Default)]
pub struct Examples {
    /// Ordinary windows.
    pub ordinary: Vec<Sequence>,
    /// How often each is drawn, relative to the others.
    pub weights: Vec<f64>,
    /// Attacks with their category (0 is ordinary).
    pub attacks: Vec<(Sequence, u32)>,
    /// Longest window, in events.
    pub events_max: usize,
}

impl Examples {
    /// Ordinary windows as examples: equal ones once, weighted by the root of how often they come, and every scope as
    /// often as the root of its windows.
    pub fn of(windows: &[Window], vocabulary: &Vocabulary) -> Self {
        let mut counts: HashMap<Sequence, usize> = HashMap::new();
        for window in windows {
            *counts.entry(Sequence::of(window, vocabulary)).or_default() += 1;
        }
        let mut unique: Vec<(Sequence, usize)> = counts.into_iter().collect();
        let values = |sequence: &Sequence| sequence.contexts.iter().map(|c| *c.values()).collect::<Vec<_>>();
        unique.sort_by(|(a, _), (b, _)| a.tokens.cmp(&b.tokens).then_with(|| values(a).cmp(&values(b))));
        let scope = |sequence: &Sequence| sequence.contexts.first().map_or(0, |context| context.value(Factor::Scope));
        let mut scopes: BTreeMap<u8, f64> = BTreeMap::new();
        for (sequence, count) in &unique {
            *scopes.entry(scope(sequence)).or_default() += (*count as f64).sqrt();
        }
        let weight = |(sequence, count): &(Sequence, usize)| {
            (*count as f64).sqrt() / scopes.get(&scope(sequence)).copied().unwrap_or(1.0).sqrt()
        };
        Self {
            weights: unique.iter().map(weight).collect(),
            ordinary: unique.into_iter().map(|(sequence, _)| sequence).collect(),
            attacks: Vec::new(),
            events_max: MODEL_WINDOW_EVENTS,
        }
    }
}

/// The feed of windows.
#[derive(Debug)]
pub struct Windows<'a> {
    examples: &'a Examples,
    draw: Draw,
    corrupter: Corrupter<'a>,
    rows: usize,
    mask_share: (f64, f64),
    unknown_share: f64,
    attack_share: f64,
}

impl<'a> Windows<'a> {
    /// The feed of `examples`, as `recipe` mixes them.
    pub fn new(examples: &'a Examples, recipe: &Recipe) -> Self {
        Self {
            draw: Draw::new(examples.weights.iter().copied().take(examples.ordinary.len())),
            corrupter: Corrupter::new(&examples.ordinary, examples.events_max),
            examples,
            rows: recipe.rows,
            mask_share: recipe.mask_share,
            unknown_share: recipe.unknown_share,
            attack_share: recipe.attack_share,
        }
    }

    fn draw(&self, random: &mut Random) -> &'a Sequence {
        let at = self.draw.at(random);
        // A feed without examples is refused before anything is drawn.
        self.examples.ordinary.get(at).unwrap_or(&EMPTY)
    }

    /// Shows a few tokens as unknown, so that its embedding means "something else".
    fn hide_as_unknown(&self, sequence: &mut Sequence, random: &mut Random) {
        for token in &mut sequence.tokens {
            if *token as usize >= SPECIALS && random.chance(self.unknown_share) {
                *token = UNKNOWN;
            }
        }
    }
}

impl Feed for Windows<'_> {
    fn is_empty(&self) -> bool {
        self.draw.len() == 0 || self.draw.len() != self.examples.ordinary.len()
    }

    fn masked(&mut self, random: &mut Random) -> Vec<Masked> {
        let row = |_| {
            let truth = self.draw(random).clone();
            let mut base = truth.clone();
            self.hide_as_unknown(&mut base, random);
            let hidden = hidden(truth.len(), self.mask_share, random);
            Masked { truth, base, hidden }
        };
        (0..self.rows).map(row).collect()
    }

    /// Ordinary rows against damaged ones and attacks.
    fn sphere(&mut self, random: &mut Random) -> Sphere {
        let mut sphere = Sphere::default();
        for row in 0..self.rows {
            sphere.categories.push((row as u32, 0));
            sphere.rows.push(self.draw(random).clone());
        }
        sphere.corrupted.resize(sphere.rows.len(), false);
        for _ in 0..self.rows {
            let attack = random.chance(self.attack_share).then(|| random.pick(&self.examples.attacks)).flatten();
            let row = if let Some((sequence, category)) = attack {
                sphere.categories.push((sphere.rows.len() as u32, *category));
                Some(sequence.clone())
            } else {
                let base = self.draw(random);
                self.corrupter.corrupt(base, random)
            };
            sphere.rows.extend(row);
        }
        sphere.corrupted.resize(sphere.rows.len(), true);
        sphere
    }
}

static EMPTY: Sequence = Sequence { tokens: Vec::new(), contexts: Vec::new() };
