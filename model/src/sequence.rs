//! A window as the net reads it: DIST, keys, EOS, each with its factors.
//!
//! One form for training, scoring and the parity test, so that they cannot differ. Four fixed masks
//! ([`MASKS`]) cover each position behind DIST once: mask p hides the positions i >= 1 with
//! (i - 1) mod 4 = p, EOS included. There is no randomness at run time.

use crate::key::{Context, DIST, EOS, Factor, MASK, Token, Vocabulary};
use crate::window::Window;

/// Complementary masks.
pub const MASKS: usize = 4;

/// The input of a net.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// DIST, the keys, EOS.
    pub tokens: Vec<Token>,
    /// The factors of each; empty for a net without factors.
    pub contexts: Vec<Context>,
}

impl Sequence {
    /// The sequence of a window in a net's vocabulary.
    pub fn of(window: &Window, vocabulary: &Vocabulary) -> Self {
        let mut sequence = Self::default();
        sequence.fill(window, vocabulary);
        sequence
    }

    /// The same, into buffers that are kept.
    pub fn fill(&mut self, window: &Window, vocabulary: &Vocabulary) {
        let frame = window.positions.first().map_or(Context::default(), |position| position.context.frame());
        self.tokens.clear();
        self.contexts.clear();
        self.tokens.push(DIST);
        self.tokens.extend(window.positions.iter().map(|position| vocabulary.token(position.key)));
        self.tokens.push(EOS);
        self.contexts.push(frame);
        self.contexts.extend(window.positions.iter().map(|position| position.context));
        self.contexts.push(frame);
    }

    /// A sequence of bare tokens, for nets without factors: DIST and EOS are added.
    pub fn bare(keys: &[Token]) -> Self {
        let mut tokens = vec![DIST];
        tokens.extend(keys);
        tokens.push(EOS);
        Self { tokens, contexts: Vec::new() }
    }

    /// Positions, DIST and EOS included.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Positions that mask `mask` hides.
    pub fn masked_by(&self, mask: usize) -> impl Iterator<Item = usize> + use<> {
        (1 + mask..self.len()).step_by(MASKS)
    }

    /// Hides a position: its key and the factors of its own.
    pub fn hide(&mut self, position: usize) {
        if let Some(token) = self.tokens.get_mut(position) {
            *token = MASK;
        }
        if let Some(context) = self.contexts.get_mut(position) {
            *context = context.masked();
        }
    }

    /// What a position should be predicted as: its token, then each own factor's value.
    pub fn targets(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let token = self.tokens.get(position).map_or(0, |token| *token as usize);
        let context = self.contexts.get(position);
        let own = Factor::ALL.into_iter().filter(|factor| factor.is_own());
        std::iter::once(token).chain(context.into_iter().flat_map(move |context| {
            let context = *context;
            own.clone().map(move |factor| usize::from(context.value(factor)))
        }))
    }
}

/// Tokens in the order of their numbers: equal for sequences of one count vector.
pub(crate) fn multiset(tokens: impl IntoIterator<Item = Token>) -> Vec<Token> {
    let mut tokens: Vec<Token> = tokens.into_iter().collect();
    tokens.sort_unstable();
    tokens
}

/// One sequence of a pass, and the positions whose output is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The sequence, masked already.
    pub sequence: &'a Sequence,
    /// Positions in it, ascending.
    pub wanted: &'a [usize],
}

/// The passes of a sequence: whole first, then once under each mask. Buffers are kept.
#[derive(Clone, Debug, Default)]
pub struct Passes([(Sequence, Vec<usize>); 1 + MASKS]);

impl Passes {
    /// Prepares the passes of `sequence`.
    pub fn fill(&mut self, sequence: &Sequence) {
        for (pass, (masked, wanted)) in self.0.iter_mut().enumerate() {
            masked.tokens.clone_from(&sequence.tokens);
            masked.contexts.clone_from(&sequence.contexts);
            wanted.clear();
            match pass.checked_sub(1) {
                None => wanted.push(0),
                Some(mask) => wanted.extend(sequence.masked_by(mask)),
            }
            if pass > 0 {
                for position in wanted.iter() {
                    masked.hide(*position);
                }
            }
        }
    }

    /// Each pass: the sequence, masked, and the positions whose output is wanted: DIST, then those that are hidden.
    pub fn iter(&self) -> impl Iterator<Item = (&Sequence, &[usize])> {
        self.0.iter().map(|(sequence, wanted)| (sequence, wanted.as_slice()))
    }

    /// The same as a net takes them.
    pub fn inputs(&self) -> [Input<'_>; 1 + MASKS] {
        self.0.each_ref().map(|(sequence, wanted)| Input { sequence, wanted })
    }

    /// Every hidden position, in the order of the output.
    pub fn masked(&self) -> impl Iterator<Item = usize> {
        self.0.iter().skip(1).flat_map(|(_, wanted)| wanted.iter().copied())
    }
}
