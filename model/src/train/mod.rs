//! Training: masked keys on ordinary sequences, DIST and categories on ordinary against damaged ones
//! and attacks. What sequences a step is made of is a [`Feed`]'s business: windows of typed keys
//! ([`Windows`]), or closed sessions ([`Sessions`]).
//!
//! One [`Trainer::step`] is one optimiser step; the caller loops, prints [`Progress`] with the time
//! it measures, and keeps [`Trainer::checkpoint`]s, from which a stopped run goes on to the same
//! weights. Everything random follows from the seed.

mod adam;
mod feed;
mod windows;
mod sessions;
mod words;

use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::bert::{Batch, Bert, category_loss, centre_loss, dist_loss, masked_loss};
use crate::net::{NetError, Shape, Weights};
use crate::random::Random;
use adam::Adam;
pub use feed::{Feed, Masked, Sphere};
pub use sessions::{SESSION_EVENTS_MAX, Sessions};
pub use windows::{Examples, Windows};
pub use words::{Meaning, train_words};

/// What the hypersphere of DIST is trained against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Against {
    /// Sequences that were damaged, and attacks where there are any.
    Corruptions,
    /// Nothing: ordinary sequences are drawn to their own mean, as published (Guo et al. 2021, section III.C).
    Nothing,
}

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
    /// Least and greatest share of a row that is hidden; each row draws its own.
    pub mask_share: (f64, f64),
    /// Weight of the masked keys' loss.
    pub masked_weight: f64,
    /// What the hypersphere is trained against.
    pub against: Against,
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
            mask_share: (0.15, 0.65),
            masked_weight: 1.0,
            against: Against::Corruptions,
            dist_weight: 1.0,
            category_weight: 0.25,
            unknown_share: 0.02,
            attack_share: 0.4,
        }
    }
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
    feed: Box<dyn Feed + 'a>,
    /// The mean of DIST, which a hypersphere trained against nothing draws to.
    centre: Vec<f32>,
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    recipe: Recipe,
    shape: Shape,
    weights: std::collections::BTreeMap<String, Vec<f32>>,
    adam: Adam,
    centre: Vec<f32>,
    random: u64,
    progress: (usize, f32, f32, f32),
}

impl<'a> Trainer<'a> {
    /// Begins with random weights of the recipe's seed.
    ///
    /// # Errors
    /// [`TrainError`] where there is nothing to learn from or the shape is not usable.
    pub fn new(recipe: Recipe, shape: &Shape, feed: impl Feed + 'a) -> Result<Self, TrainError> {
        shape.check()?;
        let mut random = Random::new(recipe.seed);
        let weights = Weights::random(shape, &mut random.fork(1));
        Self::with(recipe, shape, Box::new(feed), &weights, random)
    }

    /// Begins with the weights of a net that learnt something else before.
    ///
    /// # Errors
    /// [`TrainError`] where there is nothing to learn from or the weights are not of the shape.
    pub fn from_weights(
        recipe: Recipe,
        shape: &Shape,
        weights: &Weights,
        feed: impl Feed + 'a,
    ) -> Result<Self, TrainError> {
        shape.check()?;
        let random = Random::new(recipe.seed);
        Self::with(recipe, shape, Box::new(feed), weights, random)
    }

    fn with(
        recipe: Recipe,
        shape: &Shape,
        feed: Box<dyn Feed + 'a>,
        weights: &Weights,
        random: Random,
    ) -> Result<Self, TrainError> {
        if feed.is_empty() {
            return Err(TrainError::NoExamples);
        }
        Ok(Self {
            net: Bert::new(shape.clone(), weights)?,
            adam: Adam::default(),
            random,
            feed,
            centre: Vec::new(),
            progress: Progress { steps: recipe.steps, ..Progress::default() },
            recipe,
        })
    }

    /// Goes on where [`Trainer::checkpoint`] stood, with the same examples.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] where the bytes are damaged or belong to another recipe or shape.
    pub fn resume(bytes: &[u8], recipe: &Recipe, shape: &Shape, feed: impl Feed + 'a) -> Result<Self, TrainError> {
        let saved: Checkpoint =
            postcard::from_bytes(bytes).map_err(|cause| TrainError::Checkpoint(cause.to_string()))?;
        if saved.recipe != *recipe || saved.shape != *shape {
            return Err(TrainError::Checkpoint("it belongs to another recipe or shape; delete it".to_owned()));
        }
        let random = Random::new(saved.random);
        let mut trainer = Self::with(saved.recipe, shape, Box::new(feed), &Weights(saved.weights), random)?;
        trainer.adam = saved.adam;
        trainer.centre = saved.centre;
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
            centre: self.centre.clone(),
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

    /// Masked log keys: what was hidden is to be named.
    fn masked_part(&mut self) -> Result<Tensor, TrainError> {
        let masked = self.feed.masked(&mut self.random);
        let rows: Vec<_> = masked.iter().map(Masked::shown).collect();
        let batch = Batch::of(&rows, self.net.shape(), self.net.device())?;
        let hidden = || masked.iter().enumerate().flat_map(|(row, m)| m.hidden.iter().map(move |at| (row, *at, m)));
        let cells: Vec<u32> = hidden().map(|(row, at, _)| (row * batch.length() + at) as u32).collect();
        let targets: Vec<Vec<usize>> = hidden().map(|(_, at, masked)| masked.truth.targets(at).collect()).collect();
        let output = self.net.hidden(&batch)?;
        let logits = self.net.head(&self.net.cells(&output, &cells)?, "mlkp")?;
        let groups: Vec<(usize, usize, f64)> = (self.net.shape().groups().into_iter().enumerate())
            .map(|(at, (first, columns))| (first, columns, if at == 0 { 1.0 } else { self.recipe.factor_weight }))
            .collect();
        let column = |group: usize| targets.iter().map(|of| of.get(group).map_or(0, |target| *target as u32)).collect();
        let targets: Vec<Vec<u32>> = (0..groups.len()).map(column).collect();
        Ok(masked_loss(&logits, &groups, &targets)?)
    }

    /// The hypersphere and the categories.
    fn dist_part(&mut self) -> Result<(Tensor, Tensor), TrainError> {
        let nothing = Tensor::zeros((), crate::bert::DTYPE, self.net.device())?;
        if self.recipe.dist_weight == 0.0 {
            return Ok((nothing.clone(), nothing));
        }
        let Sphere { rows, corrupted, categories } = self.feed.sphere(&mut self.random);
        let batch = Batch::of(&rows, self.net.shape(), self.net.device())?;
        let first = Bert::first(&self.net.hidden(&batch)?)?;
        let z = self.net.head(&first, "dist")?;
        let dist = match self.recipe.against {
            Against::Corruptions => {
                let wanted: Vec<f32> = corrupted.iter().map(|is| f32::from(u8::from(*is))).collect();
                dist_loss(&z, &wanted)?.loss
            }
            Against::Nothing => centre_loss(&z, &mut self.centre)?,
        };
        if self.net.shape().categories == 0 {
            return Ok((dist, nothing));
        }
        let (cells, wanted): (Vec<u32>, Vec<u32>) = categories.into_iter().unzip();
        let labelled = first.index_select(&Tensor::new(cells.as_slice(), self.net.device())?, 0)?;
        let category = category_loss(&self.net.head(&labelled, "cat")?, &wanted)?;
        Ok((dist, category))
    }
}
