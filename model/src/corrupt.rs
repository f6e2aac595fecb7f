//! Self-made corruptions: ordinary windows, damaged as an intrusion would damage them.
//!
//! DIST is trained to tell these from ordinary windows, without any label. What comes out equal to
//! something ordinary (the same multiset of keys, or for changed factors the same sequence) is
//! refused, so that the net is not taught that the ordinary is abnormal.

use std::collections::HashSet;

use crate::key::{Context, Factor, SPECIALS, Token};
use crate::random::Random;
use crate::sequence::{Sequence, multiset};

/// Tries at one corruption before it is given up.
const TRIES: usize = 8;
/// Factors that a corruption changes.
const CHANGED: [Factor; 6] =
    [Factor::Hour, Factor::Gap, Factor::Repeat, Factor::Actor, Factor::Account, Factor::Object];

type Event = (Token, Context);

/// Ordinary sequences, and what is needed to damage them.
#[derive(Debug)]
pub struct Corrupter<'a> {
    ordinary: &'a [Sequence],
    /// One example of each key with its factors, for insertions.
    examples: Vec<Event>,
    multisets: HashSet<Vec<Token>>,
    sequences: HashSet<&'a Sequence>,
    longest: usize,
}

impl<'a> Corrupter<'a> {
    /// A corrupter of `ordinary` sequences, whose results have at most `longest` events.
    pub fn new(ordinary: &'a [Sequence], longest: usize) -> Self {
        let mut examples: Vec<Event> = Vec::new();
        for sequence in ordinary {
            for (token, context) in events(sequence) {
                let known = examples.iter().filter(|(other, _)| *other == token).count();
                if known < 8 && !examples.contains(&(token, context)) {
                    examples.push((token, context));
                }
            }
        }
        Self {
            ordinary,
            examples,
            multisets: ordinary.iter().map(|sequence| keys_of(&sequence.tokens)).collect(),
            sequences: ordinary.iter().collect(),
            longest,
        }
    }

    /// A corruption of `base`; none where every try came out ordinary.
    pub fn corrupt(&self, base: &Sequence, random: &mut Random) -> Option<Sequence> {
        for _ in 0..TRIES {
            let mut window: Vec<Event> = events(base).collect();
            let count = edits(random);
            let keys_change = self.damage(&mut window, base, count, random);
            if window.is_empty() || window.len() > self.longest {
                continue;
            }
            let sequence = rebuild(base, &window);
            let ordinary = if keys_change {
                self.multisets.contains(&keys_of(&sequence.tokens))
            } else {
                self.sequences.contains(&sequence)
            };
            if !ordinary {
                return Some(sequence);
            }
        }
        None
    }

    /// Damages a window; tells whether its keys changed, or only factors.
    fn damage(&self, window: &mut Vec<Event>, base: &Sequence, count: usize, random: &mut Random) -> bool {
        match random.weighted(&[2.0, 2.0, 3.0, 3.0, 1.0, 1.0, 1.0, 3.0]) {
            0 => (0..count).for_each(|_| remove(window, random)),
            1 => (0..count).for_each(|_| duplicate(window, random)),
            2 => self.insert(window, count, random),
            3 => self.splice(window, base, random),
            4 => {
                let gone = random.pick(window).map(|(token, _)| *token);
                window.retain(|(token, _)| Some(*token) != gone);
            }
            5 => {
                (0..count).for_each(|_| remove(window, random));
                self.insert(window, count, random);
            }
            6 => {
                let first = random.below(window.len());
                let end = (first + 1 + random.below(6)).min(window.len());
                window.drain(first..end);
            }
            _ => {
                change_factors(window, count, random);
                return false;
            }
        }
        true
    }

    fn insert(&self, window: &mut Vec<Event>, count: usize, random: &mut Random) {
        let once = random.pick(&self.examples).copied();
        let repeat = random.chance(0.5);
        for _ in 0..count {
            let event = if repeat { once } else { random.pick(&self.examples).copied() };
            let Some((token, context)) = event else { return };
            // The stranger takes over where and when it stands.
            let at = random.below(window.len() + 1);
            let here = window.get(at.saturating_sub(1)).map_or(context, |(_, context)| *context);
            let context = [Factor::Scope, Factor::Hour, Factor::Role, Factor::Session]
                .into_iter()
                .fold(context, |context, factor| context.with(factor, here.value(factor)));
            window.insert(at, (token, context));
        }
    }

    /// The beginning of this window and the end of another one of the same scope.
    fn splice(&self, window: &mut Vec<Event>, base: &Sequence, random: &mut Random) {
        let scope = |sequence: &Sequence| sequence.contexts.first().map(|context| context.value(Factor::Scope));
        let other = (0..16).filter_map(|_| random.pick(self.ordinary)).find(|other| scope(other) == scope(base));
        let Some(other) = other else { return };
        let behind: Vec<Event> = events(other).collect();
        window.truncate(1 + random.below(window.len()));
        let cut = random.below(behind.len());
        window.extend(behind.get(cut..).unwrap_or_default());
        window.truncate(self.longest);
    }
}

fn events(sequence: &Sequence) -> impl Iterator<Item = Event> + '_ {
    let inside = sequence.len().saturating_sub(2);
    let contexts = sequence.contexts.iter().copied().chain(std::iter::repeat(Context::default()));
    sequence.tokens.iter().copied().zip(contexts).skip(1).take(inside)
}

fn rebuild(base: &Sequence, window: &[Event]) -> Sequence {
    let tokens: Vec<Token> = window.iter().map(|(token, _)| *token).collect();
    let mut sequence = Sequence::bare(&tokens);
    if let Some(frame) = base.contexts.first() {
        sequence.contexts.push(*frame);
        sequence.contexts.extend(window.iter().map(|(_, context)| *context));
        sequence.contexts.push(*frame);
    }
    sequence
}

fn keys_of(tokens: &[Token]) -> Vec<Token> {
    multiset(tokens.iter().copied().filter(|token| *token as usize >= SPECIALS))
}

/// How many edits: 1, 2, 3 or 4, each half as likely as the one before.
fn edits(random: &mut Random) -> usize {
    1 + (0..3).take_while(|_| random.chance(0.5)).count()
}

fn remove(window: &mut Vec<Event>, random: &mut Random) {
    let at = random.below(window.len());
    if at < window.len() {
        window.remove(at);
    }
}

/// Repeats an event right behind itself or later.
fn duplicate(window: &mut Vec<Event>, random: &mut Random) {
    let at = random.below(window.len());
    let Some(event) = window.get(at).copied() else { return };
    let later = if random.chance(0.5) { 1 } else { 1 + random.below(window.len() - at) };
    window.insert((at + later).min(window.len()), event);
}

/// Another hour for the whole window, or other classes for some events.
fn change_factors(window: &mut [Event], count: usize, random: &mut Random) {
    let factor = random.pick(&CHANGED).copied().unwrap_or(Factor::Hour);
    let value = |random: &mut Random| 1 + random.below(factor.size() - 1) as u8;
    if factor == Factor::Hour {
        let hour = value(random);
        for (_, context) in window.iter_mut() {
            *context = context.with(factor, hour);
        }
        return;
    }
    for _ in 0..count {
        let at = random.below(window.len());
        let value = value(random);
        if let Some((_, context)) = window.get_mut(at) {
            *context = context.with(factor, value);
        }
    }
}
