//! Scores of windows: surprise, distance, and for each event what was expected in its place.
//!
//! Five passes a window, together in one batch: one whole for the distance from the hypersphere and
//! the categories, four under fixed complementary masks for the surprise. Nothing is random, so the
//! same window gives the same score bit for bit, from the cache or computed. Events whose key
//! training never had count as `unseen` and not as surprise: novelty is a feature beside the score,
//! never an alert by itself, so of a window that holds any only the surprise of the others counts, and
//! a window of which most is unseen has no score. NaN or infinity anywhere is an error, never a score.

use std::fmt;
use std::sync::Arc;

use nms_proto::limits::MODEL_WINDOW_CACHE;

use crate::bundle::{Bundle, Calibration, Scoring};
use crate::cache::{Cache, CacheCounts};
use crate::fast::POSITIONS_MAX;
use crate::key::{SPECIALS, Token, TypedKey, UNKNOWN, Vocabulary};
use crate::net::NetError;
use crate::sequence::{Passes, Sequence};
use crate::serving::Net;
use crate::window::Window;

/// What was expected at most in place of an event.
pub const EXPECTED: usize = 3;

/// Quantiles that a calibration keeps at most.
const QUANTILES: usize = 400;

/// A key that was expected, with its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The key.
    pub key: TypedKey,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// The score of one event of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct EventScore {
    /// What happened.
    pub key: TypedKey,
    /// How often in a row.
    pub count: u32,
    /// The caller's reference to the first event of the run.
    pub first: u64,
    /// The caller's reference to the last event of the run.
    pub last: u64,
    /// Whether training never had the key.
    pub unseen: bool,
    /// Negative log-likelihood of key and own factors, in nats; 0 for an unseen key.
    pub surprise: f32,
    /// Probability of the key, 0 to 1.
    pub probability: f32,
    /// Keys that were more probable, of those that can stand there: in a source's window, the keys of its family.
    pub rank: u32,
    /// How many can stand there; an unseen key is one more, and behind all others.
    pub candidates: u32,
    /// The most probable of them.
    pub expected: Vec<Expected>,
}

/// The score of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Mean negative log-likelihood of the most surprising events, in nats.
    pub surprise: f32,
    /// Distance from the centre of normal windows as a logit; above 0 is nearer to corruption.
    pub distance: f32,
    /// Share of ordinary windows with at least this surprise.
    pub p_surprise: f32,
    /// Share of ordinary windows with at least this distance.
    pub p_distance: f32,
    /// Both together (Bonferroni), or the surprise's alone where a key is unseen: 1 is ordinary, 0.001 is one in a
    /// thousand.
    pub p_value: f32,
    /// Positions whose key training never had.
    pub unseen: u32,
    /// A logit for each of the bundle's categories.
    pub categories: Vec<f32>,
    /// A score for each position, oldest first.
    pub events: Vec<EventScore>,
}

/// Why a window has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreError {
    /// There is nothing in it.
    Empty,
    /// It has more positions than the net reads.
    TooLong(usize),
    /// Most of its keys were never seen in training: the net has no word on them.
    Unseen,
    /// The net answered NaN or infinity.
    NotFinite,
}

impl fmt::Display for ScoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a window without events cannot be scored"),
            Self::TooLong(length) => {
                write!(f, "a window of {length} positions cannot be scored, at most {POSITIONS_MAX} are read")
            }
            Self::Unseen => write!(f, "most keys of the window were never seen in training; it is not scored"),
            Self::NotFinite => write!(f, "the model answered with NaN or infinity; the window is not scored"),
        }
    }
}

impl std::error::Error for ScoreError {}

/// What the net says of a position, without the window it stands in.
#[derive(Clone, Debug, PartialEq)]
struct Judged {
    surprise: f32,
    probability: f32,
    rank: u32,
    candidates: u32,
    expected: Vec<(Token, f32)>,
}

/// What the net says of a sequence; this is what the cache keeps.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    distance: f32,
    categories: Vec<f32>,
    judged: Vec<Judged>,
}

/// Scores windows with one bundle.
#[derive(Debug)]
pub struct Scorer {
    net: Net,
    vocabulary: Vocabulary,
    scoring: Scoring,
    calibration: Calibration,
    groups: Vec<(usize, usize)>,
    cache: Cache<Sequence, Arc<Verdict>>,
    not_finite: u64,
    sequence: Sequence,
    passes: Passes,
}

impl Scorer {
    /// A scorer with its own buffers and cache; one a thread.
    ///
    /// # Errors
    /// [`NetError`] where the weights do not fit, which a loaded bundle excludes.
    pub fn new(bundle: &Bundle) -> Result<Self, NetError> {
        let shape = &bundle.manifest.shape;
        Ok(Self {
            net: Net::of(bundle)?,
            vocabulary: bundle.vocabulary.clone(),
            scoring: bundle.manifest.scoring,
            calibration: bundle.manifest.calibration.clone(),
            groups: shape.groups(),
            cache: Cache::new(MODEL_WINDOW_CACHE),
            not_finite: 0,
            sequence: Sequence::default(),
            passes: Passes::default(),
        })
    }

    /// The score of a window.
    ///
    /// # Errors
    /// [`ScoreError`]; a window that cannot be scored is neither normal nor an alert.
    pub fn score(&mut self, window: &Window) -> Result<Score, ScoreError> {
        let mut sequence = std::mem::take(&mut self.sequence);
        sequence.fill(window, &self.vocabulary);
        if !self.net.shape().factors {
            sequence.contexts.clear();
        }
        let unseen = sequence.tokens.iter().filter(|token| **token == UNKNOWN).count();
        let verdict =
            if unseen * 2 > window.positions.len() { Err(ScoreError::Unseen) } else { self.verdict(&sequence) };
        let score = verdict.map(|verdict| self.assemble(window, &sequence, &verdict));
        self.sequence = sequence;
        score
    }

    /// How the window cache did.
    pub fn cache(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// Forgets the window cache.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
    }

    /// The same without a window cache: every window is computed; for tests and benches.
    #[must_use]
    pub fn without_cache(self) -> Self {
        Self { cache: Cache::new(0), ..self }
    }

    /// Windows the net answered with NaN or infinity.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    fn verdict(&mut self, sequence: &Sequence) -> Result<Arc<Verdict>, ScoreError> {
        if sequence.len() <= 2 {
            return Err(ScoreError::Empty);
        }
        if sequence.len() > self.net.positions() {
            return Err(ScoreError::TooLong(sequence.len()));
        }
        if let Some(verdict) = self.cache.get(sequence) {
            return Ok(Arc::clone(verdict));
        }
        let verdict = self.compute(sequence);
        let finite = verdict.distance.is_finite()
            && verdict.categories.iter().all(|logit| logit.is_finite())
            && verdict.judged.iter().all(|judged| judged.surprise.is_finite() && judged.probability.is_finite());
        if !finite {
            self.not_finite += 1;
            return Err(ScoreError::NotFinite);
        }
        let verdict = Arc::new(verdict);
        self.cache.put(sequence.clone(), Arc::clone(&verdict));
        Ok(verdict)
    }

    fn compute(&mut self, sequence: &Sequence) -> Verdict {
        let may_stand = self.candidates(sequence);
        self.passes.fill(sequence);
        // The five passes are one micro-batch: some 170 rows, which fit the second-level cache with the weights.
        self.net.run(&self.passes.inputs());
        let distance = self.net.distance(0);
        let categories = self.net.categories(0);
        let columns = self.net.shape().predicted();
        let logits = self.net.masked(1, sequence.len() - 1);
        let mut judged: Vec<(usize, Judged)> = (self.passes.masked())
            .zip(logits.chunks_exact(columns))
            .filter(|(position, _)| position + 1 < sequence.len())
            .map(|(position, row)| (position, judge((sequence, position), row, &self.groups, self.scoring, &may_stand)))
            .collect();
        judged.sort_by_key(|(position, _)| *position);
        Verdict { distance, categories, judged: judged.into_iter().map(|(_, judged)| judged).collect() }
    }

    /// The tokens that can stand in this sequence: those of the family where all that is known is of one, as in a
    /// source's window; otherwise every key.
    fn candidates(&self, sequence: &Sequence) -> Vec<Token> {
        let family = |token: &Token| self.vocabulary.key(*token).map(TypedKey::family);
        let mut known = sequence.tokens.iter().filter_map(family);
        let first = known.next();
        let one = first.filter(|first| known.all(|family| family == *first));
        let all = (0..self.vocabulary.size()).skip(SPECIALS).map(|token| token as Token);
        all.filter(|token| one.is_none_or(|one| family(token) == Some(one))).collect()
    }

    fn assemble(&self, window: &Window, sequence: &Sequence, verdict: &Verdict) -> Score {
        let tokens = sequence.tokens.iter().skip(1);
        let events: Vec<EventScore> = window
            .positions
            .iter()
            .zip(tokens)
            .zip(&verdict.judged)
            .map(|((position, token), judged)| EventScore {
                key: position.key,
                count: position.count,
                first: position.first,
                last: position.last,
                unseen: *token == UNKNOWN,
                surprise: judged.surprise,
                probability: judged.probability,
                rank: judged.rank,
                candidates: judged.candidates,
                expected: self.expected(judged),
            })
            .collect();
        let surprise = surprise(&events, self.scoring.top_share);
        let p_surprise = p_value(surprise, &self.calibration.surprise);
        let p_distance = p_value(verdict.distance, &self.calibration.distance);
        let unseen = events.iter().filter(|event| event.unseen).count() as u32;
        let both = (2.0 * p_surprise.min(p_distance)).min(1.0);
        Score {
            surprise,
            distance: verdict.distance,
            p_surprise,
            p_distance,
            p_value: if unseen == 0 { both } else { p_surprise },
            unseen,
            categories: verdict.categories.clone(),
            events,
        }
    }

    fn expected(&self, judged: &Judged) -> Vec<Expected> {
        let name = |(token, probability): &(Token, f32)| {
            self.vocabulary.key(*token).map(|key| Expected { key, probability: *probability })
        };
        judged.expected.iter().filter_map(name).collect()
    }
}

/// Quantiles of the scores of ordinary windows that training did not see; those without a score are left out.
///
/// # Errors
/// [`NetError`] where the weights do not fit.
pub fn calibrate(bundle: &Bundle, windows: &[Window]) -> Result<Calibration, NetError> {
    let mut scorer = Scorer::new(bundle)?;
    let scores: Vec<Score> = windows.iter().filter_map(|window| scorer.score(window).ok()).collect();
    let quantiles = |of: fn(&Score) -> f32| {
        let mut values: Vec<f32> = scores.iter().map(of).collect();
        values.sort_by(f32::total_cmp);
        // Never more of them than windows, or few windows would look like many.
        let count = values.len().min(QUANTILES);
        let last = values.len().saturating_sub(1);
        (0..count).filter_map(|at| values.get(at * last / (count - 1).max(1)).copied()).collect()
    };
    Ok(Calibration { surprise: quantiles(|score| score.surprise), distance: quantiles(|score| score.distance) })
}

/// Reads the logits of a masked position; ranks among `may_stand`.
fn judge(
    (sequence, position): (&Sequence, usize),
    row: &[f32],
    groups: &[(usize, usize)],
    scoring: Scoring,
    may_stand: &[Token],
) -> Judged {
    let mut judged =
        Judged { surprise: 0.0, probability: 0.0, rank: 0, candidates: 0, expected: Vec::with_capacity(EXPECTED) };
    for (group, ((first, columns), target)) in groups.iter().zip(sequence.targets(position)).enumerate() {
        let logits = row.get(*first..first + columns).unwrap_or_default();
        let chosen = logits.get(target).copied().unwrap_or(f32::NAN);
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total = logits.iter().map(|logit| (logit - top).exp()).sum::<f32>();
        let nll = total.ln() + top - chosen;
        if group > 0 {
            judged.surprise += scoring.factor_weight * nll;
            continue;
        }
        let of = |token: &Token| logits.get(*token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        judged.probability = (-nll).exp();
        judged.rank = may_stand.iter().filter(|token| of(token) > chosen).count() as u32;
        judged.candidates = may_stand.len() as u32;
        judged.surprise = nll;
        judged.expected = top_keys(may_stand.iter().map(|token| (*token, of(token))), top, total);
        if target == UNKNOWN as usize {
            judged.surprise = 0.0;
            judged.probability = 0.0;
            judged.rank = judged.candidates;
            judged.candidates += 1;
            break;
        }
    }
    judged
}

/// The most probable keys, the earlier token first among equals.
fn top_keys(logits: impl Iterator<Item = (Token, f32)>, top: f32, total: f32) -> Vec<(Token, f32)> {
    let mut best: Vec<(Token, f32)> = Vec::with_capacity(EXPECTED + 1);
    for (token, logit) in logits {
        let place = best.iter().position(|(_, other)| logit > *other).unwrap_or(best.len());
        if place < EXPECTED {
            best.insert(place, (token, logit));
            best.truncate(EXPECTED);
        }
    }
    best.into_iter().map(|(token, logit)| (token, (logit - top).exp() / total)).collect()
}

/// Mean of the most surprising share of events whose key is known.
fn surprise(events: &[EventScore], share: f32) -> f32 {
    let mut known: Vec<f32> = events.iter().filter(|event| !event.unseen).map(|event| event.surprise).collect();
    if known.is_empty() {
        return 0.0;
    }
    known.sort_by(|left, right| right.total_cmp(left));
    let count = ((known.len() as f32 * share).ceil() as usize).clamp(1, known.len());
    known.iter().take(count).sum::<f32>() / count as f32
}

/// Share of ordinary windows at or above `value`: by rank inside the calibration's range, beyond it
/// by an exponential tail as steep as the top twentieth. 1 without a calibration.
pub fn p_value(value: f32, calibration: &[f32]) -> f32 {
    let count = calibration.len();
    let (Some(top), true) = (calibration.last(), value.is_finite()) else { return 1.0 };
    let below = calibration.partition_point(|quantile| *quantile < value);
    let rank = (count - below + 1) as f32 / (count + 1) as f32;
    if value <= *top {
        return rank;
    }
    let tail = calibration.get(count - count.div_ceil(20)..).unwrap_or_default();
    let start = tail.first().copied().unwrap_or(*top);
    let scale = tail.iter().map(|quantile| quantile - start).sum::<f32>() / tail.len().max(1) as f32;
    rank * (-(value - top) / scale.max(1e-3)).exp()
}
