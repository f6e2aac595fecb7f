//! What a model makes of windows, beside an n-gram that learnt from the same logs.

use std::fmt;

use nms_model::{
    bundle::Bundle,
    eval::Ngram,
    key::{Scope, TypedKey},
    net::NetError,
    score::Scorer,
    window::Window,
};
use serde::Serialize;

use super::Parts;

/// Windows that are judged at most, taken evenly.
const JUDGED_MAX: usize = 2_000;
/// Ranks that count as a hit, as LogBERT's authors count.
const TOP: usize = 6;
/// Shares of ordinary windows that a threshold lets through.
const THRESHOLDS: [f32; 3] = [0.05, 0.01, 0.002];

/// How well events were foreseen.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Foreseen {
    /// Mean negative log-likelihood of the events' keys, in nats.
    pub surprise: f64,
    /// Share of events that were thought the most probable of their kind.
    pub top_1: f64,
    /// Share of events among the six most probable.
    pub top_6: f64,
}

/// What a model makes of the last windows of some logs.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The model's name and version.
    pub model: String,
    /// Windows judged.
    pub windows: usize,
    /// Share of windows that have no score, because most of their keys are unknown.
    pub unscored: f64,
    /// Share of events whose key the model does not know.
    pub unknown: f64,
    /// Keys, from both sides of a hidden position; of windows with a score, of known keys.
    pub logbert: Foreseen,
    /// The same events by an n-gram over what came before, which learnt from the logs' first four fifths.
    pub ngram: Foreseen,
    /// Share of scored windows whose p value is at most 0.05, 0.01, 0.002.
    pub beyond: [f64; 3],
    /// Windows with events of a finding that have a score, which are judged apart.
    pub attacked: u32,
    /// The same share of those.
    pub attacked_beyond: [f64; 3],
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        writeln!(f, "model {}, the last {} ordinary windows of the logs", self.model, self.windows)?;
        writeln!(f, "windows without a score     {:6.1} %", percent(self.unscored))?;
        writeln!(f, "events with an unknown key  {:6.1} %", percent(self.unknown))?;
        for (name, seen) in [("LogBERT", self.logbert), ("n-gram", self.ngram)] {
            let (top_1, top_6) = (percent(seen.top_1), percent(seen.top_6));
            writeln!(
                f,
                "{name:8} surprise {:6.3}  first {top_1:5.1} %  of the first six {top_6:5.1} %",
                seen.surprise
            )?;
        }
        for ((threshold, share), attacked) in THRESHOLDS.iter().zip(self.beyond).zip(self.attacked_beyond) {
            let (share, attacked, count) = (percent(share), percent(attacked), self.attacked);
            writeln!(
                f,
                "p <= {threshold:<5}  {share:6.2} % of them, {attacked:6.2} % of {count} with events of a finding"
            )?;
        }
        Ok(())
    }
}

/// A sum of [`Foreseen`].
#[derive(Default)]
struct Sum {
    events: f64,
    of: Foreseen,
}

impl Sum {
    fn add(&mut self, probability: f32, rank: usize) {
        self.events += 1.0;
        self.of.surprise -= f64::from(probability.max(f32::MIN_POSITIVE)).ln();
        self.of.top_1 += f64::from(u8::from(rank == 0));
        self.of.top_6 += f64::from(u8::from(rank < TOP));
    }

    fn mean(&self) -> Foreseen {
        let events = self.events.max(1.0);
        let Foreseen { surprise, top_1, top_6 } = self.of;
        Foreseen { surprise: surprise / events, top_1: top_1 / events, top_6: top_6 / events }
    }
}

/// Judges a bundle on the last part.
///
/// # Errors
/// [`NetError`] where the weights do not fit.
pub fn figures(bundle: &Bundle, parts: &Parts<'_>) -> Result<Figures, NetError> {
    let mut scorer = Scorer::new(bundle)?;
    let ngram = Ngram::learn(parts.learn.iter().copied());
    let known: Vec<TypedKey> = ngram.keys().collect();
    let step = parts.judge.len().div_ceil(JUDGED_MAX).max(1);
    let judged: Vec<&Window> = parts.judge.iter().step_by(step).copied().collect();
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    let (mut positions, mut unknown, mut scored) = (0.0, 0.0, 0.0);
    let mut beyond = [0.0; THRESHOLDS.len()];
    for window in &judged {
        let keys: Vec<TypedKey> = window.positions.iter().map(|position| position.key).collect();
        positions += keys.len() as f64;
        unknown += keys.iter().filter(|key| !bundle.vocabulary.keys().contains(key)).count() as f64;
        let Ok(score) = scorer.score(window) else { continue };
        scored += 1.0;
        for (count, threshold) in beyond.iter_mut().zip(THRESHOLDS) {
            *count += f64::from(u8::from(score.p_value <= threshold));
        }
        let could: Vec<TypedKey> = known.iter().copied().filter(|key| may_stand(*key, window)).collect();
        for (at, event) in score.events.iter().enumerate().filter(|(_, event)| !event.unseen) {
            ours.add(event.probability, event.rank as usize);
            let (probability, rank) = ngram.place(keys.get(..=at).unwrap_or_default(), &could);
            theirs.add(probability, rank);
        }
    }
    let (mut attacked, mut attacked_beyond) = (0, [0.0; THRESHOLDS.len()]);
    for score in parts.attacked.iter().take(JUDGED_MAX).filter_map(|window| scorer.score(window).ok()) {
        attacked += 1;
        for (count, threshold) in attacked_beyond.iter_mut().zip(THRESHOLDS) {
            *count += f64::from(u8::from(score.p_value <= threshold));
        }
    }
    let share = |count: f64, of: f64| if of > 0.0 { count / of } else { 0.0 };
    Ok(Figures {
        model: format!("{} {}", bundle.manifest.name, bundle.version()),
        windows: judged.len(),
        unscored: 1.0 - share(scored, judged.len() as f64),
        unknown: share(unknown, positions),
        logbert: ours.mean(),
        ngram: theirs.mean(),
        beyond: beyond.map(|count| share(count, scored)),
        attacked,
        attacked_beyond: attacked_beyond.map(|count| share(count, f64::from(attacked))),
    })
}

/// In a source's window only keys of its family can stand.
fn may_stand(key: TypedKey, window: &Window) -> bool {
    !matches!(window.scope, Scope::Source(_, family) if family != key.family())
}
