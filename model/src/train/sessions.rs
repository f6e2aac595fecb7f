//! Closed sessions: sequences with a beginning and an end (a transfer, a login to its logout), whose count vectors
//! repeat. Damaged ones are made once, before training.

use std::collections::{BTreeMap, HashSet};

use crate::key::{SPECIALS, Token, UNKNOWN};
use crate::random::Random;
use crate::sequence::{Sequence, multiset};

use super::Recipe;
use super::feed::{Draw, Feed, Masked, Sphere, hidden};

/// Longest session that is read, in events; what is behind is not seen.
pub const SESSION_EVENTS_MAX: usize = 46;
/// Damaged sessions.
const DAMAGED: usize = 40_000;
/// Tries at one before it is given up.
const TRIES: usize = 64;
/// Events of the shorter of two buckets, at most, and how often a batch comes from the longer one.
const SHORT_EVENTS_MAX: usize = 22;
const LONG_SHARE: f64 = 0.4;
/// How often a damaged session begins with any count vector, the rare ones as often as the others; and how often an
/// ordinary batch does.
const RARE_SHARE: f64 = 0.25;
/// How often a row of either kind is shuffled a little: order alone is not what DIST is to go by.
const SHUFFLED_SHARE: f64 = 0.5;
/// Places that an event moves by at most.
const MOVE_MAX: usize = 8;
/// Power of a session's frequency by which it is drawn for the masked keys.
const MASKED_POWER: f64 = 0.5;

type Keys = Vec<Token>;

/// Sessions by how often they came, and all together by their count vector.
#[derive(Clone, Debug)]
struct Pool {
    sessions: Vec<Keys>,
    by_frequency: Draw,
    /// Of each count vector: the places of its sessions, drawn by frequency.
    vectors: Vec<(Vec<usize>, Draw)>,
}

impl Pool {
    fn new(counted: &[(Keys, usize)], fits: impl Fn(&Keys) -> bool) -> Self {
        let (sessions, counts): (Vec<Keys>, Vec<usize>) =
            counted.iter().filter(|(keys, _)| fits(keys)).cloned().unzip();
        let mut vectors: BTreeMap<Keys, Vec<usize>> = BTreeMap::new();
        for (at, keys) in sessions.iter().enumerate() {
            vectors.entry(multiset(keys.iter().copied())).or_default().push(at);
        }
        let weight = |at: &usize| counts.get(*at).copied().unwrap_or(0) as f64;
        let of = |places: Vec<usize>| {
            let draw = Draw::new(places.iter().map(weight));
            (places, draw)
        };
        Self {
            by_frequency: Draw::new(counts.iter().map(|count| *count as f64)),
            vectors: vectors.into_values().map(of).collect(),
            sessions,
        }
    }

    fn any(&self, random: &mut Random) -> Keys {
        self.sessions.get(self.by_frequency.at(random)).cloned().unwrap_or_default()
    }

    /// Any count vector, then one of its sessions.
    fn balanced(&self, random: &mut Random) -> Keys {
        let Some((places, draw)) = random.pick(&self.vectors) else { return Keys::new() };
        let at = places.get(draw.at(random)).copied().unwrap_or(0);
        self.sessions.get(at).cloned().unwrap_or_default()
    }
}

/// The feed of sessions.
#[derive(Debug)]
pub struct Sessions {
    all: Vec<Keys>,
    for_masks: Draw,
    /// Shorter and longer ones, each with the damaged ones of its length.
    buckets: [(Pool, Vec<Keys>); 2],
    rows: usize,
    mask_share: (f64, f64),
}

impl Sessions {
    /// The feed of ordinary `sessions` of tokens, in a net of `vocabulary` tokens; those longer than
    /// [`SESSION_EVENTS_MAX`] are cut. Damaged ones are made here, from the recipe's seed.
    pub fn new(sessions: &[Keys], vocabulary: usize, recipe: &Recipe) -> Self {
        let mut counts: BTreeMap<Keys, usize> = BTreeMap::new();
        for session in sessions.iter().filter(|session| !session.is_empty()) {
            *counts.entry(session.iter().take(SESSION_EVENTS_MAX).copied().collect()).or_default() += 1;
        }
        let counted: Vec<(Keys, usize)> = counts.into_iter().collect();
        let random = &mut Random::new(recipe.seed).fork(2);
        let damaged = damaged(&Pool::new(&counted, |_| true), vocabulary, random);
        let is_short = |keys: &Keys| keys.len() <= SHORT_EVENTS_MAX;
        let bucket = |short: bool| {
            let of = damaged.iter().filter(|keys| is_short(keys) == short).cloned().collect();
            (Pool::new(&counted, |keys| is_short(keys) == short), of)
        };
        Self {
            for_masks: Draw::new(counted.iter().map(|(_, count)| (*count as f64).powf(MASKED_POWER))),
            buckets: [bucket(true), bucket(false)],
            all: counted.into_iter().map(|(keys, _)| keys).collect(),
            rows: recipe.rows,
            mask_share: recipe.mask_share,
        }
    }
}

impl Feed for Sessions {
    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn masked(&mut self, random: &mut Random) -> Vec<Masked> {
        let row = |_| {
            let truth = Sequence::bare(self.all.get(self.for_masks.at(random)).map_or(&[], Vec::as_slice));
            Masked { hidden: hidden(truth.len(), self.mask_share, random), base: truth.clone(), truth }
        };
        (0..self.rows).map(row).collect()
    }

    fn sphere(&mut self, random: &mut Random) -> Sphere {
        let [short, long] = &self.buckets;
        let is_usable = |(pool, damaged): &&(Pool, Vec<Keys>)| !pool.sessions.is_empty() && !damaged.is_empty();
        let drawn = if random.chance(LONG_SHARE) { [long, short] } else { [short, long] };
        let Some((pool, damaged)) = drawn.into_iter().find(is_usable) else {
            // Nothing can be damaged without becoming ordinary: there is nothing to tell apart.
            let row = Sequence::bare(self.all.first().map_or(&[], Vec::as_slice));
            return Sphere { rows: vec![row], corrupted: vec![false], categories: Vec::new() };
        };
        let mut sphere = Sphere::default();
        let is_balanced = random.chance(RARE_SHARE);
        for row in 0..2 * self.rows {
            let mut keys = match row < self.rows {
                true if is_balanced => pool.balanced(random),
                true => pool.any(random),
                false => random.pick(damaged).cloned().unwrap_or_default(),
            };
            if random.chance(SHUFFLED_SHARE) {
                (0..edits(random)).for_each(|_| shuffle(&mut keys, random));
            }
            sphere.rows.push(Sequence::bare(&keys));
            sphere.corrupted.push(row >= self.rows);
        }
        sphere
    }
}

/// How many edits: 1, 2, 3 or 4, each half as likely as the one before.
fn edits(random: &mut Random) -> usize {
    1 + (0..3).take_while(|_| random.chance(0.5)).count()
}

/// Swaps two neighbours, or moves an event by a few places.
fn shuffle(keys: &mut Keys, random: &mut Random) {
    if keys.len() < 2 {
        return;
    }
    let at = random.below(keys.len() - 1);
    if random.chance(0.5) {
        keys.swap(at, at + 1);
        return;
    }
    let key = keys.remove(at);
    let to = (at + random.below(2 * MOVE_MAX + 1)).saturating_sub(MOVE_MAX).min(keys.len());
    keys.insert(to, key);
}

/// Damaged sessions, none of which has the count vector of an ordinary one.
fn damaged(pool: &Pool, vocabulary: usize, random: &mut Random) -> Vec<Keys> {
    let ordinary: HashSet<Keys> = pool.sessions.iter().map(|keys| multiset(keys.iter().copied())).collect();
    let fits = |keys: &Keys| {
        !keys.is_empty() && keys.len() <= SESSION_EVENTS_MAX && !ordinary.contains(&multiset(keys.iter().copied()))
    };
    let mut made = Vec::new();
    for _ in 0..DAMAGED {
        made.extend((0..TRIES).map(|_| damage(pool, vocabulary, random)).find(fits));
    }
    made
}

/// An ordinary session, damaged as a fault or an intrusion would damage it.
fn damage(pool: &Pool, vocabulary: usize, random: &mut Random) -> Keys {
    let mut keys = if random.chance(RARE_SHARE) { pool.balanced(random) } else { pool.any(random) };
    let count = edits(random);
    match random.weighted(&[2.0, 2.0, 3.0, 1.5, 3.0, 1.0, 1.0, 1.0]) {
        0 => (0..count).for_each(|_| remove(&mut keys, random)),
        1 => (0..count).for_each(|_| duplicate(&mut keys, random)),
        2 => insert(&mut keys, count, vocabulary, random),
        3 => keys.truncate(1 + random.below(keys.len().saturating_sub(1))),
        4 => splice(&mut keys, &pool.any(random), random),
        5 => {
            let gone = random.pick(&keys).copied();
            keys.retain(|key| Some(*key) != gone);
        }
        6 => {
            for _ in 0..count {
                let (at, key) = (random.below(keys.len()), any_key(vocabulary, random));
                if let Some(place) = keys.get_mut(at) {
                    *place = key;
                }
            }
        }
        _ => {
            let first = random.below(keys.len());
            let end = (first + 1 + random.below(6)).min(keys.len());
            keys.drain(first..end);
        }
    }
    keys
}

/// Any key, or none that is known.
fn any_key(vocabulary: usize, random: &mut Random) -> Token {
    let known = vocabulary.saturating_sub(SPECIALS);
    match random.below(known + 1) {
        0 => UNKNOWN,
        key => (SPECIALS + key - 1) as Token,
    }
}

fn remove(keys: &mut Keys, random: &mut Random) {
    if !keys.is_empty() {
        keys.remove(random.below(keys.len()));
    }
}

/// Repeats an event right behind itself, or anywhere later.
fn duplicate(keys: &mut Keys, random: &mut Random) {
    let at = random.below(keys.len());
    let Some(key) = keys.get(at).copied() else { return };
    let to = if random.chance(0.5) { at + 1 } else { at + 1 + random.below(keys.len() - at) };
    keys.insert(to, key);
}

/// Strangers at any place, half the time one again and again.
fn insert(keys: &mut Keys, count: usize, vocabulary: usize, random: &mut Random) {
    let (once, is_one) = (any_key(vocabulary, random), random.chance(0.5));
    for _ in 0..count {
        let key = if is_one { once } else { any_key(vocabulary, random) };
        keys.insert(random.below(keys.len() + 1), key);
    }
}

/// The beginning of a session and the end of another one, cut at about the same place more often than not.
fn splice(keys: &mut Keys, other: &Keys, random: &mut Random) {
    let cut = 1 + random.below(keys.len());
    let near = random.chance(0.6);
    let behind = if near { (cut + random.below(7)).saturating_sub(3) } else { random.below(other.len() + 1) };
    keys.truncate(cut);
    keys.extend(other.get(behind.min(other.len())..).unwrap_or_default());
}
