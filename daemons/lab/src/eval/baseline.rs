//! The simple detectors that every figure is printed beside. They learn from the same training file.

use std::collections::{BTreeMap, HashMap, HashSet};

use nms_model::key::Token;
use nms_model::session::Facts;

/// What simple detectors know.
#[derive(Debug)]
pub(super) struct Baselines {
    pairs: HashMap<(Token, Token), u32>,
    first: HashMap<Token, u32>,
    counts: Vec<BTreeMap<Token, u32>>,
    vocabulary: usize,
}

/// Their names, in the order of [`Baselines::scores`], and whether they need a threshold.
pub(super) const NAMES: [(&str, bool); 6] = [
    ("new event", false),
    ("shorter than any", false),
    ("unseen count vector", false),
    ("2-gram", true),
    ("event + length + count vector", false),
    ("nearest count vector + unknown + length", true),
];

/// What begins and ends a session, for the pairs.
const EDGE: Token = 0;
/// More than any distance of count vectors.
const CERTAIN: f32 = 1_000.0;

impl Baselines {
    pub(super) fn learn(sessions: &[Vec<Token>], vocabulary: usize) -> Self {
        let (mut pairs, mut first) = (HashMap::new(), HashMap::new());
        for session in sessions {
            for pair in edges(session) {
                *pairs.entry(pair).or_default() += 1;
                *first.entry(pair.0).or_default() += 1;
            }
        }
        let distinct: HashSet<BTreeMap<Token, u32>> = sessions.iter().map(|session| counts(session)).collect();
        Self { pairs, first, counts: distinct.into_iter().collect(), vocabulary }
    }

    /// A score by each of [`NAMES`]; those without a threshold flag above 0.
    pub(super) fn scores(&self, session: &[Token], facts: Facts) -> [f32; NAMES.len()] {
        let flag = |is: bool| f32::from(u8::from(is));
        let (unknown, unseen) = (facts.unknown > 0, !facts.is_seen);
        let certain = if unknown || facts.is_shorter { CERTAIN } else { 0.0 };
        [
            flag(unknown),
            flag(facts.is_shorter),
            flag(unseen),
            self.least_expected(session),
            flag(unknown || facts.is_shorter || unseen),
            certain + self.nearest(session),
        ]
    }

    /// Mean negative log-likelihood of the least expected quarter of pairs, each pair counted once more than it was seen.
    fn least_expected(&self, session: &[Token]) -> f32 {
        let surprise = |(before, key): (Token, Token)| {
            let pair = self.pairs.get(&(before, key)).copied().unwrap_or(0) as f32 + 1.0;
            let all = self.first.get(&before).copied().unwrap_or(0) as f32 + self.vocabulary as f32;
            -(pair / all).ln()
        };
        let mut surprises: Vec<f32> = edges(session).map(surprise).collect();
        surprises.sort_by(|left, right| right.total_cmp(left));
        let count = surprises.len().div_ceil(4).max(1);
        surprises.iter().take(count).sum::<f32>() / count as f32
    }

    /// Events too many and too few against the nearest count vector of training.
    fn nearest(&self, session: &[Token]) -> f32 {
        let own = counts(session);
        let apart = |other: &BTreeMap<Token, u32>| -> u32 {
            let common = own.iter().map(|(key, count)| count.abs_diff(other.get(key).copied().unwrap_or(0)));
            let missing = other.iter().filter(|(key, _)| !own.contains_key(key)).map(|(_, count)| *count);
            common.sum::<u32>() + missing.sum::<u32>()
        };
        self.counts.iter().map(apart).min().unwrap_or(0) as f32
    }
}

fn edges(session: &[Token]) -> impl Iterator<Item = (Token, Token)> + '_ {
    let before = std::iter::once(EDGE).chain(session.iter().copied());
    before.zip(session.iter().copied().chain(std::iter::once(EDGE)))
}

fn counts(session: &[Token]) -> BTreeMap<Token, u32> {
    let mut counts = BTreeMap::new();
    for key in session {
        *counts.entry(*key).or_default() += 1;
    }
    counts
}
