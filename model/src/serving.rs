//! The net of a bundle, of whichever kind it is: our own pass, or a masked language model from elsewhere.

use crate::bundle::Bundle;
use crate::fast::{Fast, Input, POSITIONS_MAX};
use crate::masked::MaskedLm;
use crate::net::{NetError, Shape};

/// A net that is ready to answer.
#[derive(Debug)]
pub enum Net {
    /// A LogBERT.
    LogBert(Box<Fast>),
    /// A masked language model.
    Masked(Box<MaskedLm>),
}

impl Net {
    /// The net of a bundle.
    ///
    /// # Errors
    /// [`NetError`] where the weights do not fit, which a loaded bundle excludes.
    pub fn of(bundle: &Bundle) -> Result<Self, NetError> {
        let (shape, weights) = (&bundle.manifest.shape, &bundle.weights);
        match &bundle.manifest.masked_lm {
            Some(form) => MaskedLm::new(shape, form, weights).map(|net| Self::Masked(Box::new(net))),
            None => Fast::new(shape, weights).map(|net| Self::LogBert(Box::new(net))),
        }
    }

    /// The shape of the net.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::LogBert(net) => net.shape(),
            Self::Masked(net) => net.shape(),
        }
    }

    /// Longest sequence that is read.
    pub fn positions(&self) -> usize {
        match self {
            Self::LogBert(_) => POSITIONS_MAX,
            Self::Masked(net) => net.positions().min(POSITIONS_MAX),
        }
    }

    /// Computes the wanted positions of all inputs, one behind the other.
    pub fn run(&mut self, inputs: &[Input<'_>]) {
        match self {
            Self::LogBert(net) => net.run(inputs),
            Self::Masked(net) => net.run(inputs),
        }
    }

    /// The logits of the wanted positions from `first` on, `count` of them; [`Shape::predicted`] each.
    pub fn masked(&mut self, first: usize, count: usize) -> &[f32] {
        match self {
            Self::LogBert(net) => net.masked(first, count),
            Self::Masked(net) => net.masked(first, count),
        }
    }

    /// The distance of a wanted DIST position as a logit; 0 of a net that has none.
    pub fn distance(&mut self, wanted: usize) -> f32 {
        match self {
            Self::LogBert(net) => net.distance(wanted),
            Self::Masked(_) => 0.0,
        }
    }

    /// Logits of the window's categories for a wanted DIST position; empty for a net without them.
    pub fn categories(&mut self, wanted: usize) -> Vec<f32> {
        match self {
            Self::LogBert(net) => net.categories(wanted).to_vec(),
            Self::Masked(_) => Vec::new(),
        }
    }
}
