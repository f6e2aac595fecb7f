//! Training of [`Words`]: vectors of words that name a line's action, outcome and family, as fastText does it (Joulin et al.
//! 2017), then the groups of lines that no action fits, by k-means over their means.

use std::collections::BTreeMap;

use nms_proto::extraction::{Action, AppFamily, Outcome};
use nms_proto::scan::Scanner;

use crate::key::GROUPS;
use crate::random::Random;
use crate::words::{HEADS, WIDTH, WORDS_MAX, Words, logits, word_id};

/// Rate of the first step; it falls to nothing.
const RATE: f32 = 0.25;
/// Passes over the lines.
const PASSES: usize = 20;
/// Share of a line's words that a pass leaves out, so that no line rests on one word.
const LEFT_OUT: f64 = 0.25;
/// Weight of the heads: the family only spreads out what has no action.
const WEIGHTS: [f32; 3] = [1.0, 0.7, 0.3];
/// Rounds of k-means.
const ROUNDS: usize = 25;
/// Places of a line's words in the table, and what each head should say.
type Line = (Vec<u32>, [usize; 3]);

/// What a line means, to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What was done.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose line it is.
    pub family: AppFamily,
}

/// Learns from lines with their meaning, and from lines of nonsense, which have none and make no groups. The same lines and
/// seed give the same tables.
pub fn train_words<'a>(
    lines: impl IntoIterator<Item = (&'a str, Meaning)>,
    nonsense: impl IntoIterator<Item = &'a str>,
    seed: u64,
) -> Words {
    let mut random = Random::new(seed);
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    let mut lines = numbered(lines, &mut places);
    let meant = lines.len();
    let nothing = Meaning { action: Action::Other, outcome: Outcome::None, family: AppFamily::Generic };
    lines.extend(numbered(nonsense.into_iter().map(|line| (line, nothing)), &mut places));
    let mut table: Vec<[f32; WIDTH]> =
        (0..places.len()).map(|_| std::array::from_fn(|_| (random.uniform() as f32 - 0.5) / WIDTH as f32)).collect();
    let mut heads = HEADS.map(|rows| vec![0.0_f32; rows * (WIDTH + 1)]);
    let steps = PASSES * lines.len();
    for step in 0..steps {
        let Some((words, truth)) = random.pick(&lines) else { break };
        let kept: Vec<u32> = words.iter().copied().filter(|_| !random.chance(LEFT_OUT)).collect();
        learn(&kept, words.len(), *truth, &mut table, &mut heads, RATE * (1.0 - step as f32 / steps as f32));
    }
    let rows: Vec<(u32, [f32; WIDTH])> =
        places.iter().filter_map(|(id, place)| Some((*id, *table.get(*place)?))).collect();
    let [actions, outcomes, _families] = heads;
    let mut words = Words::quantised(&rows, [actions, outcomes], Vec::new());
    words.centroids = groups(lines.get(..meant).unwrap_or_default(), &table, &mut random);
    words
}

/// Lines as places of their words in the table.
fn numbered<'a>(lines: impl IntoIterator<Item = (&'a str, Meaning)>, places: &mut BTreeMap<u32, usize>) -> Vec<Line> {
    let mut scanner = Scanner::new();
    let mut numbered = Vec::new();
    for (line, meaning) in lines {
        scanner.scan(line);
        let mut words = Vec::new();
        scanner.for_each_word(|word| {
            let next = places.len();
            if next < WORDS_MAX || places.contains_key(&word_id(word)) {
                words.push(*places.entry(word_id(word)).or_insert(next) as u32);
            }
        });
        if !words.is_empty() {
            numbered.push((words, [meaning.action as usize, meaning.outcome as usize, meaning.family as usize]));
        }
    }
    numbered
}

fn mean(words: &[u32], of: usize, table: &[[f32; WIDTH]]) -> [f32; WIDTH] {
    let mut mean = [0.0; WIDTH];
    for row in words.iter().filter_map(|word| table.get(*word as usize)) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value / of.max(1) as f32;
        }
    }
    mean
}

/// One step down the gradient of one line's cross-entropy.
fn learn(
    words: &[u32],
    of: usize,
    truth: [usize; 3],
    table: &mut [[f32; WIDTH]],
    heads: &mut [Vec<f32>; 3],
    rate: f32,
) {
    let mean = mean(words, of, table);
    let mut back = [0.0; WIDTH];
    for ((head, truth), weight) in heads.iter_mut().zip(truth).zip(WEIGHTS) {
        let values: Vec<f32> = logits(head, &mean).collect();
        let most = values.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = values.iter().map(|value| (value - most).exp()).sum();
        for (at, (row, value)) in head.chunks_exact_mut(WIDTH + 1).zip(&values).enumerate() {
            let wanted = f32::from(u8::from(at == truth));
            let slope = weight * ((value - most).exp() / sum - wanted);
            let (weights, bias) = row.split_at_mut(WIDTH);
            for ((back, weight), value) in back.iter_mut().zip(weights).zip(&mean) {
                *back += slope * *weight;
                *weight -= rate * slope * value;
            }
            for bias in bias {
                *bias -= rate * slope;
            }
        }
    }
    // The mean is over all words of the line; each moves as if it were alone, as in fastText.
    for word in words {
        if let Some(row) = table.get_mut(*word as usize) {
            row.iter_mut().zip(&back).for_each(|(value, back)| *value -= rate * back);
        }
    }
}

/// The middles of the groups that lines without an action fall into.
fn groups(lines: &[Line], table: &[[f32; WIDTH]], random: &mut Random) -> Vec<f32> {
    let other = Action::Other as usize;
    let mut points: Vec<[f32; WIDTH]> = lines
        .iter()
        .filter(|(_, [action, ..])| *action == other)
        .map(|(words, _)| mean(words, words.len(), table))
        .collect();
    points.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    points.dedup();
    let mut middles: Vec<[f32; WIDTH]> = Vec::new();
    // The first anywhere, each other one far from those before (k-means++, Arthur and Vassilvitskii 2007).
    let mut far = vec![1.0_f64; points.len()];
    while middles.len() < GROUPS.min(points.len()) {
        let Some(point) = points.get(random.weighted(&far)) else { break };
        let first = middles.is_empty();
        for (far, other) in far.iter_mut().zip(&points) {
            let apart = f64::from(nearest(other, std::slice::from_ref(point)).1);
            *far = if first { apart } else { far.min(apart) };
        }
        middles.push(*point);
    }
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0_f32; WIDTH], 0_usize); middles.len()];
        for point in &points {
            if let Some((sum, count)) = sums.get_mut(nearest(point, &middles).0) {
                *count += 1;
                sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
            }
        }
        for (middle, (sum, count)) in middles.iter_mut().zip(&sums).filter(|(_, (_, count))| *count > 0) {
            *middle = sum.map(|sum| sum / *count as f32);
        }
    }
    middles.into_iter().flatten().collect()
}

/// The nearest middle and its squared distance; far away where there is none.
fn nearest(point: &[f32; WIDTH], middles: &[[f32; WIDTH]]) -> (usize, f32) {
    let apart = |middle: &[f32; WIDTH]| middle.iter().zip(point).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let all = middles.iter().map(apart).enumerate();
    all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f32::MAX))
}
