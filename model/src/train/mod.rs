//! Training: masked keys on ordinary windows, DIST and categories on ordinary against damaged ones
//! and attacks.
//!
//! One [`Trainer::step`] is one optimiser step; the caller loops, prints [`Progress`] with the time
//! it measures, and keeps [`Trainer::checkpoint`]s, from which a stopped run goes on to the same
//! weights. Everything random follows from the seed.

mod adam;

use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::bert::{Batch, Bert, category_loss, dist_loss, masked_loss};
use crate::corrupt::Corrupter;
use crate::key::{SPECIALS, UNKNOWN};
use crate::net::{NetError, Shape, Weights};
use crate::random::Random;
use crate::sequence::Sequence;
use adam::Adam;

/// How a net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Where everything random comes from.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: usize,
    /// Rows of each of the three parts of a batch.
    pub rows: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Weight of a masked position's own factors beside its key.
    pub factor_weight: f64,
    /// Weight of the masked keys' loss.
    pub masked_weight: f64,
    /// Weight of the hypersphere's loss; 0 trains without it.
    pub dist_weight: f64,
    /// Weight of the categories' loss.
    pub category_weight: f64,
    /// Share of tokens shown as unknown, so that the net knows what that looks like.
    pub unknown_share: f64,
    /// Share of the negatives that are attacks, where there are any.
    pub attack_share: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 1_200,
            rows: 32,
            rate: 1e-3,
            factor_weight: 0.5,
            masked_weight: 1.0,
            dist_weight: 1.0,
            category_weight: 0.25,
            unknown_share: 0.02,
            attack_share: 0.4,
        }
    }
}

/// What a net learns from.
#[derive(Debug, Default)]
pub struct Examples {
    /// Ordinary windows with the weight they are drawn by.
    pub ordinary: Vec<Sequence>,
    /// How often each is drawn, relative to the others.
    pub weights: Vec<f64>,
    /// Attacks with their category (0 is ordinary).
    pub attacks: Vec<(Sequence, u32)>,
    /// Longest window, in events.
    pub events_max: usize,
}

/// Where training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Loss of the masked keys, smoothed.
    pub masked: f32,
    /// Loss of the hypersphere, smoothed.
    pub dist: f32,
    /// Loss of the categories, smoothed.
    pub category: f32,
}

impl Progress {
    /// One line for people, with the time left where this run took `elapsed_ms` since `first_step`.
    pub fn line(&self, elapsed_ms: u64, first_step: usize) -> String {
        let done = self.step.saturating_sub(first_step).max(1) as u64;
        let left_s = elapsed_ms * (self.steps.saturating_sub(self.step)) as u64 / (done * 1000);
        format!(
            "step {}/{}  masked {:.3}  dist {:.3}  category {:.3}  {}:{:02} left",
            self.step,
            self.steps,
            self.masked,
            self.dist,
            self.category,
            left_s / 60,
            left_s % 60
        )
    }
}

/// Why training stopped.
#[derive(Debug)]
pub enum TrainError {
    /// The tensors' library failed.
    Candle(candle_core::Error),
    /// The shape or the weights are not usable.
    Net(NetError),
    /// There is nothing to learn from.
    NoExamples,
    /// The loss is no longer a number.
    NotFinite {
        /// At this step.
        step: usize,
    },
    /// The bytes are no checkpoint of this recipe.
    Checkpoint(String),
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candle(cause) => write!(f, "training: {cause}"),
            Self::Net(cause) => write!(f, "training: {cause}"),
            Self::NoExamples => write!(f, "training: there are no ordinary windows to learn from"),
            Self::NotFinite { step } => write!(f, "training: the loss at step {step} is no number; lower the rate"),
            Self::Checkpoint(cause) => write!(f, "training: cannot go on from the checkpoint: {cause}"),
        }
    }
}

impl std::error::Error for TrainError {}

impl From<candle_core::Error> for TrainError {
    fn from(cause: candle_core::Error) -> Self {
        Self::Candle(cause)
    }
}

impl From<NetError> for TrainError {
    fn from(cause: NetError) -> Self {
        Self::Net(cause)
    }
}

/// A net in training.
#[derive(Debug)]
pub struct Trainer<'a> {
    recipe: Recipe,
    net: Bert,
    adam: Adam,
    random: Random,
    corrupter: Corrupter<'a>,
    examples: &'a Examples,
    /// Running sums of the drawing weights.
    sums: Vec<f64>,
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    recipe: Recipe,
    shape: Shape,
    weights: std::collections::BTreeMap<String, Vec<f32>>,
    adam: Adam,
    random: u64,
    progress: (usize, f32, f32, f32),
}

impl<'a> Trainer<'a> {
    /// Begins with random weights of the recipe's seed.
    ///
    /// # Errors
    /// [`TrainError`] where there is nothing to learn from or the shape is not usable.
    pub fn new(recipe: Recipe, shape: &Shape, examples: &'a Examples) -> Result<Self, TrainError> {
        shape.check()?;
        let mut random = Random::new(recipe.seed);
        let weights = Weights::random(shape, &mut random.fork(1));
        Self::with(recipe, shape, examples, &weights, random)
    }

    fn with(
        recipe: Recipe,
        shape: &Shape,
        examples: &'a Examples,
        weights: &Weights,
        random: Random,
    ) -> Result<Self, TrainError> {
        if examples.ordinary.is_empty() || examples.weights.len() != examples.ordinary.len() {
            return Err(TrainError::NoExamples);
        }
        let mut sum = 0.0;
        let sums = examples.weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        Ok(Self {
            net: Bert::new(shape.clone(), weights)?,
            adam: Adam::default(),
            random,
            corrupter: Corrupter::new(&examples.ordinary, examples.events_max),
            sums: sums.collect(),
            examples,
            progress: Progress { steps: recipe.steps, ..Progress::default() },
            recipe,
        })
    }

    /// Goes on where [`Trainer::checkpoint`] stood, with the same examples.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where the bytes are damaged or belong to another recipe or shape.
    pub fn resume(bytes: &[u8], recipe: &Recipe, shape: &Shape, examples: &'a Examples) -> Result<Self, TrainError> {
        let saved: Checkpoint =
            postcard::from_bytes(bytes).map_err(|cause| TrainError::Checkpoint(cause.to_string()))?;
        if saved.recipe != *recipe || saved.shape != *shape {
            return Err(TrainError::Checkpoint("it belongs to another recipe or shape; delete it".to_owned()));
        }
        let random = Random::new(saved.random);
        let mut trainer = Self::with(saved.recipe, shape, examples, &Weights(saved.weights), random)?;
        trainer.adam = saved.adam;
        let (step, masked, dist, category) = saved.progress;
        trainer.progress = Progress { step, masked, dist, category, ..trainer.progress };
        Ok(trainer)
    }

    /// All that is needed to go on later.
    ///
    /// # Errors
    /// candle's.
    pub fn checkpoint(&self) -> Result<Vec<u8>, TrainError> {
        let p = self.progress;
        let saved = Checkpoint {
            recipe: self.recipe.clone(),
            shape: self.net.shape().clone(),
            weights: self.net.weights()?.0,
            adam: self.adam.clone(),
            random: self.random.state(),
            progress: (p.step, p.masked, p.dist, p.category),
        };
        postcard::to_allocvec(&saved).map_err(|cause| TrainError::Checkpoint(cause.to_string()))
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.progress.step >= self.recipe.steps
    }

    /// Where training stands.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The weights as they stand.
    ///
    /// # Errors
    /// candle's.
    pub fn weights(&self) -> Result<Weights, TrainError> {
        Ok(self.net.weights()?)
    }

    /// One optimiser step.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] where the loss runs away; candle's.
    pub fn step(&mut self) -> Result<Progress, TrainError> {
        let masked = self.masked_part()?;
        let (dist, category) = self.dist_part()?;
        let recipe = &self.recipe;
        let loss = ((&masked * recipe.masked_weight)? + (&dist * recipe.dist_weight)?)?;
        let loss = (loss + (&category * recipe.category_weight)?)?;
        let values = [masked.to_scalar::<f32>()?, dist.to_scalar::<f32>()?, category.to_scalar::<f32>()?];
        if !values.iter().all(|value| value.is_finite()) {
            return Err(TrainError::NotFinite { step: self.progress.step });
        }
        let gradients = loss.backward()?;
        let rate = adam::rate(self.progress.step, recipe.steps, recipe.rate);
        self.adam.step(&self.net, &gradients, rate)?;
        let keep = if self.progress.step == 0 { 0.0 } else { 0.98 };
        let smooth = |before: f32, now: f32| before * keep + now * (1.0 - keep);
        let [masked, dist, category] = values;
        self.progress.masked = smooth(self.progress.masked, masked);
        self.progress.dist = smooth(self.progress.dist, dist);
        self.progress.category = smooth(self.progress.category, category);
        self.progress.step += 1;
        Ok(self.progress)
    }

    fn draw(&mut self) -> &'a Sequence {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let point = self.random.uniform() * total;
        let at = self.sums.partition_point(|sum| *sum <= point).min(self.examples.ordinary.len() - 1);
        // The bounds were checked when the trainer was made; there is at least one.
        self.examples.ordinary.get(at).unwrap_or(&EMPTY)
    }

    /// Masked log keys: each row hides its own share of 15 to 65 %, of keys and EOS.
    fn masked_part(&mut self) -> Result<Tensor, TrainError> {
        let mut rows = Vec::new();
        let mut hidden = Vec::new();
        for row in 0..self.recipe.rows {
            let truth = self.draw();
            let mut shown = truth.clone();
            self.hide_as_unknown(&mut shown);
            let share = 0.15 + 0.5 * self.random.uniform();
            let always = 1 + self.random.below(truth.len() - 1);
            for position in 1..truth.len() {
                if position == always || self.random.chance(share) {
                    shown.hide(position);
                    hidden.push((row, position, truth.targets(position).collect::<Vec<usize>>()));
                }
            }
            rows.push(shown);
        }
        let batch = Batch::of(&rows, self.net.shape(), self.net.device())?;
        let cells: Vec<u32> =
            hidden.iter().map(|(row, position, _)| (row * batch.length() + position) as u32).collect();
        let output = self.net.hidden(&batch)?;
        let logits = self.net.head(&self.net.cells(&output, &cells)?, "mlkp")?;
        let groups: Vec<(usize, usize, f64)> = (self.net.shape().groups().into_iter().enumerate())
            .map(|(at, (first, columns))| (first, columns, if at == 0 { 1.0 } else { self.recipe.factor_weight }))
            .collect();
        let column = |group: usize| {
            hidden.iter().map(|(_, _, targets)| targets.get(group).map_or(0, |target| *target as u32)).collect()
        };
        let targets: Vec<Vec<u32>> = (0..groups.len()).map(column).collect();
        Ok(masked_loss(&logits, &groups, &targets)?)
    }

    /// Shows a few tokens as unknown, so that its embedding means "something else".
    fn hide_as_unknown(&mut self, sequence: &mut Sequence) {
        for token in &mut sequence.tokens {
            if *token as usize >= SPECIALS && self.random.chance(self.recipe.unknown_share) {
                *token = UNKNOWN;
            }
        }
    }

    /// The hypersphere and the categories: ordinary rows against damaged ones and attacks.
    fn dist_part(&mut self) -> Result<(Tensor, Tensor), TrainError> {
        let mut rows = Vec::new();
        let mut corrupted = Vec::new();
        let mut categories = Vec::new();
        for _ in 0..self.recipe.rows {
            categories.push((rows.len() as u32, 0));
            rows.push(self.draw().clone());
            corrupted.push(0.0);
        }
        for _ in 0..self.recipe.rows {
            let attack = (self.random.chance(self.recipe.attack_share))
                .then(|| self.random.pick(&self.examples.attacks))
                .flatten();
            let row = if let Some((sequence, category)) = attack {
                categories.push((rows.len() as u32, *category));
                Some(sequence.clone())
            } else {
                let base = self.draw();
                self.corrupter.corrupt(base, &mut self.random)
            };
            rows.extend(row);
            corrupted.resize(rows.len(), 1.0);
        }
        let batch = Batch::of(&rows, self.net.shape(), self.net.device())?;
        let first = Bert::first(&self.net.hidden(&batch)?)?;
        let dist = dist_loss(&self.net.head(&first, "dist")?, &corrupted)?;
        if self.net.shape().categories == 0 {
            let nothing = Tensor::zeros((), dist.loss.dtype(), self.net.device())?;
            return Ok((dist.loss, nothing));
        }
        let (cells, wanted): (Vec<u32>, Vec<u32>) = categories.into_iter().unzip();
        let labelled = first.index_select(&Tensor::new(cells.as_slice(), self.net.device())?, 0)?;
        let category = category_loss(&self.net.head(&labelled, "cat")?, &wanted)?;
        Ok((dist.loss, category))
    }
}

static EMPTY: Sequence = Sequence { tokens: Vec::new(), contexts: Vec::new() };
