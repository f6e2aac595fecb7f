//! The model as analysis uses it: a window in, the verdict of an alert and what was unexpected out.

use std::fmt;

use nms_model::{
    bundle::Bundle,
    key::TypedKey,
    net::NetError,
    score::{EventScore, Score, ScoreError, Scorer},
    window::Window,
    words::{Words, key_of},
};
use nms_proto::{
    alert::{Expected, ModelVerdict, Unexpected},
    event::Event,
    extraction::Extraction,
    scan::Scanner,
};

use super::words::Reader;

/// Share of ordinary windows that are as surprising as one which the model alone speaks up about.
pub const ANOMALY_P: f32 = 0.002;
/// Unexpected events that an alert names.
const UNEXPECTED_MAX: usize = 5;

/// One bundle, ready to score. One a thread: it keeps buffers and a cache.
pub struct Model {
    scorer: Scorer,
    words: Option<Words>,
    id: Box<str>,
    hash: Box<str>,
    threshold: f32,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("id", &self.id).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// What the model says of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// For the alert.
    pub verdict: ModelVerdict,
    /// In full.
    pub score: Score,
}

impl Model {
    /// The model of a bundle.
    ///
    /// # Errors
    /// The weights do not fit, which a loaded bundle excludes.
    pub fn new(bundle: &Bundle) -> Result<Self, NetError> {
        Ok(Self {
            scorer: Scorer::new(bundle)?,
            words: bundle.words.clone(),
            id: bundle.manifest.name.as_str().into(),
            hash: bundle.version().into(),
            threshold: threshold(&bundle.manifest.calibration.surprise),
        })
    }

    /// The key of an event, as [`key_of`] has it.
    pub fn key(&self, event: &Event, extraction: &Extraction<'_>, scanner: &mut Scanner) -> TypedKey {
        key_of(self.words.as_ref(), event, extraction, scanner)
    }

    /// The same without a window cache, for measurements.
    #[must_use]
    pub fn without_cache(self) -> Self {
        Self { scorer: self.scorer.without_cache(), ..self }
    }

    /// The model's word on a window; none where it has none.
    pub fn judge(&mut self, window: &Window) -> Option<Judged> {
        let score = match self.scorer.score(window) {
            Ok(score) => score,
            Err(error) => {
                let count = self.scorer.not_finite();
                // Rarer and rarer: a net that answers so once does it again.
                if error == ScoreError::NotFinite && count.is_power_of_two() {
                    log::error!("the model's weights are of no use to a window: {error} windows={count}");
                }
                return None;
            }
        };
        let verdict = ModelVerdict {
            id: self.id.clone(),
            hash: self.hash.clone(),
            score: score.surprise,
            distance: score.distance,
            p_value: score.p_value,
            threshold: self.threshold,
        };
        Some(Judged { verdict, score })
    }

    /// The events of a window that fitted least, worst first, in the words of `reader`.
    pub fn unexpected(&self, score: &Score, reader: &mut Reader<'_>) -> Vec<Unexpected> {
        let mut odd: Vec<&EventScore> = score.events.iter().filter(|event| event.unseen || event.rank > 0).collect();
        odd.sort_by(|a, b| b.unseen.cmp(&a.unseen).then(b.surprise.total_cmp(&a.surprise)));
        let one = |event: &EventScore| {
            let told = reader.event(event);
            let expected = event.expected.iter();
            Unexpected {
                event: told.event,
                text: told.text,
                count: event.count.into(),
                rank: event.rank.saturating_add(1),
                candidates: event.candidates,
                probability: event.probability,
                expected: expected
                    .map(|other| Expected { text: reader.expected(other.key), probability: other.probability })
                    .collect(),
                normal_per_hour: told.normal.map(|(per_hour, _)| per_hour),
                normal_over_h: told.normal.map(|(_, hours)| hours),
            }
        };
        odd.into_iter().take(UNEXPECTED_MAX).map(one).collect()
    }

    /// Windows that the net answered with NaN or infinity; they were not scored.
    pub fn not_finite(&self) -> u64 {
        self.scorer.not_finite()
    }

    /// Hits and misses of the window cache.
    pub fn cache(&self) -> nms_model::cache::CacheCounts {
        self.scorer.cache()
    }
}

/// The surprise at [`ANOMALY_P`], both measures together; 0 without a calibration.
fn threshold(surprise: &[f32]) -> f32 {
    let above = (surprise.len() as f32 * ANOMALY_P / 2.0).ceil() as usize;
    surprise.len().checked_sub(above.max(1)).and_then(|at| surprise.get(at)).copied().unwrap_or(0.0)
}
