//! `AdamW` with clipping and its schedule (Loshchilov and Hutter 2019), its state kept where a
//! checkpoint can reach it.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::bert::Bert;

const BETA: (f64, f64) = (0.9, 0.98);
const EPSILON: f64 = 1e-8;
const DECAY: f64 = 0.01;
const CLIP: f64 = 1.0;

/// First and second moments of each variable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Adam {
    moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    steps: u32,
}

impl Adam {
    /// Moves every variable of `net` by its gradient.
    pub(super) fn step(&mut self, net: &Bert, gradients: &GradStore, rate: f64) -> Result<()> {
        self.steps += 1;
        let mut flat = Vec::new();
        let mut square = 0.0;
        for (name, var) in net.vars() {
            let Some(gradient) = gradients.get(var) else { continue };
            let values = gradient.flatten_all()?.to_vec1::<f32>()?;
            square += values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
            flat.push((name, var, values));
        }
        let clip = CLIP / square.sqrt().max(CLIP);
        let correct = (1.0 - BETA.0.powi(self.steps as i32), 1.0 - BETA.1.powi(self.steps as i32));
        for (name, var, gradient) in flat {
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            let zeros = || (vec![0.0; values.len()], vec![0.0; values.len()]);
            let (first, second) = self.moments.entry(name.to_owned()).or_insert_with(zeros);
            // Matrices decay, biases and norms do not.
            let decay = if var.rank() > 1 { DECAY } else { 0.0 };
            for (((value, gradient), first), second) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                let gradient = f64::from(gradient) * clip;
                *first = (BETA.0 * f64::from(*first) + (1.0 - BETA.0) * gradient) as f32;
                *second = (BETA.1 * f64::from(*second) + (1.0 - BETA.1) * gradient * gradient) as f32;
                let step = (f64::from(*first) / correct.0) / ((f64::from(*second) / correct.1).sqrt() + EPSILON);
                *value -= (rate * (step + decay * f64::from(*value))) as f32;
            }
            var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
        }
        Ok(())
    }
}

/// The rate at `step` of `steps`: linear warm-up to `top` over a twelfth, then a cosine to a fiftieth.
pub(super) fn rate(step: usize, steps: usize, top: f64) -> f64 {
    let warm = (steps / 12).max(1);
    if step < warm {
        return top * (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
    let low = top / 50.0;
    low + (top - low) * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}
