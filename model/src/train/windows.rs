//! Windows of typed keys: ordinary ones, attacks, and ordinary ones that are damaged as they are drawn.

use crate::corrupt::Corrupter;
use crate::key::{SPECIALS, UNKNOWN};
use crate::random::Random;
use crate::sequence::Sequence;

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
