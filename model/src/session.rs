//! Closed sessions: sequences with a beginning and an end, whose extent is known (a block's life, a login to its
//! logout), over a vocabulary of their own. LogBERT as published reads them; here it is judged on public data.
//!
//! ```text
//! keys -> tokens -> distance (DIST)  +  facts (unknown key, shorter than any, count vector never seen)  -> fused
//! ```
//! A model is a folder of two files, as a [`crate::bundle`] is, and is refused by name where it is damaged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bundle::{BundleError, MANIFEST, WEIGHTS, read_file, sha256};
use crate::fast::{Fast, Input};
use crate::key::{SPECIALS, Token, UNKNOWN};
use crate::net::{NetError, Shape, Weights};
use crate::score::ScoreError;
use crate::sequence::{Passes, Sequence, multiset};
use crate::train::SESSION_EVENTS_MAX;

/// Version of the manifest's form.
const FORMAT: u32 = 1;
/// Most keys of a vocabulary, and count vectors that are remembered.
const KEYS_MAX: usize = 1 << 14;
const VECTORS_MAX: usize = 1 << 16;
/// What a count vector that was seen takes off the distance, in its own unit (log odds).
const SEEN_BONUS: f32 = 4.0;
/// What a fact adds that no ordinary session showed: more than any distance.
const CERTAIN: f32 = 1_000.0;
/// Share of the most surprising events that a surprise is the mean of.
const TOP_SHARE: f32 = 0.25;

/// What a folder holds beside the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionManifest {
    /// Version of this form.
    pub format: u32,
    /// The net.
    pub shape: Shape,
    /// Keys in the order of their tokens, by falling frequency.
    pub keys: Vec<String>,
    /// Events of the shortest session of training.
    pub shortest: usize,
    /// The count vectors of training: sorted tokens.
    pub count_vectors: Vec<Vec<Token>>,
    /// Thresholds by detector, where they were picked.
    pub thresholds: BTreeMap<String, f32>,
    /// Where it comes from; for people.
    pub training: BTreeMap<String, String>,
    /// SHA-256 of the other file.
    pub files: BTreeMap<String, String>,
}

/// A model of closed sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionModel {
    /// What it is.
    pub manifest: SessionManifest,
    /// Its weights.
    pub weights: Weights,
}

/// The keys of a vocabulary, and what training showed of whole sessions.
#[derive(Clone, Debug)]
pub struct Known {
    tokens: HashMap<String, Token>,
    vectors: HashSet<Vec<Token>>,
    shortest: usize,
}

/// What is known of a session without the net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Keys that training never had.
    pub unknown: usize,
    /// Whether it is shorter than any of training.
    pub is_shorter: bool,
    /// Whether a session of training had each key as often.
    pub is_seen: bool,
}

/// Which facts are fused, so that each can be left out and its worth be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Keys that training never had.
    pub unknown: bool,
    /// Sessions shorter than any.
    pub length: bool,
    /// Count vectors that were seen.
    pub seen: bool,
}

impl Parts {
    /// All of them: what ships.
    pub const ALL: Self = Self { unknown: true, length: true, seen: true };
    /// LogBERT alone; a key that training never had always flags, because the net has no word on it.
    pub const ALONE: Self = Self { unknown: true, length: false, seen: false };
}

/// The net's distance (a logit, high is abnormal) and the facts as one score.
pub fn fused(distance: f32, facts: Facts, parts: Parts) -> f32 {
    let certain = (parts.unknown && facts.unknown > 0) || (parts.length && facts.is_shorter);
    let seen = if parts.seen && facts.is_seen { SEEN_BONUS } else { 0.0 };
    distance - seen + if certain { CERTAIN } else { 0.0 }
}

/// Keys by falling frequency, equals by name; what tokens are numbered by.
pub fn vocabulary<'a>(sessions: impl IntoIterator<Item = &'a [String]>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for key in sessions.into_iter().flatten() {
        *counts.entry(key).or_default() += 1;
    }
    let mut keys: Vec<(&str, usize)> = counts.into_iter().collect();
    keys.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    keys.into_iter().map(|(key, _)| key.to_owned()).collect()
}

impl Known {
    /// What `sessions` show, with tokens for `keys`.
    pub fn learn(keys: &[String], sessions: &[Vec<String>]) -> Self {
        let mut known = Self { tokens: numbered(keys), vectors: HashSet::new(), shortest: 0 };
        known.shortest = sessions.iter().map(Vec::len).min().unwrap_or(0);
        known.vectors = sessions.iter().map(|session| multiset(known.tokens(session))).collect();
        known
    }

    /// The tokens of a session, all of it.
    pub fn tokens(&self, session: &[String]) -> Vec<Token> {
        session.iter().map(|key| self.tokens.get(key).copied().unwrap_or(UNKNOWN)).collect()
    }

    /// What is known of a session.
    pub fn facts(&self, session: &[String]) -> Facts {
        let tokens = self.tokens(session);
        Facts {
            unknown: tokens.iter().filter(|token| **token == UNKNOWN).count(),
            is_shorter: tokens.len() < self.shortest,
            is_seen: self.vectors.contains(&multiset(tokens.iter().copied())),
        }
    }

    /// Events of the shortest session of training.
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// The count vectors of training, in order.
    pub fn vectors(&self) -> Vec<Vec<Token>> {
        let mut vectors: Vec<Vec<Token>> = self.vectors.iter().cloned().collect();
        vectors.sort();
        vectors
    }
}

fn numbered(keys: &[String]) -> HashMap<String, Token> {
    keys.iter().enumerate().map(|(at, key)| (key.clone(), (SPECIALS + at) as Token)).collect()
}

impl SessionModel {
    /// A model of this program's form.
    pub fn new(shape: Shape, keys: &[String], known: &Known, weights: Weights) -> Self {
        let manifest = SessionManifest {
            format: FORMAT,
            shape,
            keys: keys.to_vec(),
            shortest: known.shortest,
            count_vectors: known.vectors(),
            thresholds: BTreeMap::new(),
            training: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        Self { manifest, weights }
    }

    /// What training showed.
    pub fn known(&self) -> Known {
        let SessionManifest { keys, count_vectors, shortest, .. } = &self.manifest;
        Known { tokens: numbered(keys), vectors: count_vectors.iter().cloned().collect(), shortest: *shortest }
    }

    /// The model in a folder.
    ///
    /// # Errors
    /// [`BundleError`] naming the file and the field.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let text = read_file(folder, MANIFEST)?;
        let manifest: SessionManifest =
            serde_json::from_slice(&text).map_err(|cause| BundleError::Manifest(cause.to_string()))?;
        if manifest.format != FORMAT {
            return Err(BundleError::Format(manifest.format));
        }
        let SessionManifest { keys, shape, count_vectors, thresholds, .. } = &manifest;
        let token_max = (SPECIALS + keys.len()) as Token;
        let fields = [
            ("keys", keys.len() <= KEYS_MAX && shape.vocabulary == SPECIALS + keys.len()),
            ("keys", keys.iter().collect::<HashSet<_>>().len() == keys.len()),
            ("shape", !shape.factors && shape.categories == 0),
            ("count_vectors", count_vectors.len() <= VECTORS_MAX),
            ("count_vectors", count_vectors.iter().flatten().all(|token| *token < token_max)),
            ("thresholds", thresholds.values().all(|threshold| threshold.is_finite())),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, fits)| !fits) {
            return Err(BundleError::Field(field));
        }
        let bytes = read_file(folder, WEIGHTS)?;
        match manifest.files.get(WEIGHTS) {
            Some(hash) if *hash == sha256(&bytes) => {}
            Some(_) => return Err(BundleError::Hash(WEIGHTS.to_owned())),
            None => return Err(BundleError::NoHash(WEIGHTS.to_owned())),
        }
        let weights = Weights::from_safetensors(&bytes, &manifest.shape).map_err(BundleError::Weights)?;
        Ok(Self { manifest, weights })
    }

    /// The files of the folder by name; the manifest's hash is made anew.
    ///
    /// # Errors
    /// [`BundleError::Weights`] where the weights are not of the shape.
    pub fn to_files(&self) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
        let weights = self.weights.to_safetensors(&self.manifest.shape).map_err(BundleError::Weights)?;
        let mut manifest = self.manifest.clone();
        manifest.files = BTreeMap::from([(WEIGHTS.to_owned(), sha256(&weights))]);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|cause| BundleError::Manifest(cause.to_string()))?;
        Ok(BTreeMap::from([(MANIFEST.to_owned(), text), (WEIGHTS.to_owned(), weights)]))
    }
}

/// What the net says of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionScore {
    /// Distance of DIST as a logit; above 0 is nearer to what is damaged.
    pub distance: f32,
    /// Mean negative log-likelihood of the most surprising quarter of events, EOS included, in nats.
    pub surprise: f32,
    /// The greatest rank of an event among all keys: 0 where each was the most probable one.
    pub worst_rank: u32,
}

/// Scores sessions with one net; equal sessions are computed once.
#[derive(Debug)]
pub struct SessionScorer {
    net: Fast,
    passes: Passes,
    known: HashMap<Vec<Token>, SessionScore>,
}

impl SessionScorer {
    /// A scorer of `weights`.
    ///
    /// # Errors
    /// [`NetError`] where the weights do not fit the shape.
    pub fn new(shape: &Shape, weights: &Weights) -> Result<Self, NetError> {
        Ok(Self { net: Fast::new(shape, weights)?, passes: Passes::default(), known: HashMap::new() })
    }

    /// The score of a session's tokens; those behind the longest session that is read are not seen.
    ///
    /// # Errors
    /// [`ScoreError::Empty`], or [`ScoreError::NotFinite`].
    pub fn score(&mut self, tokens: &[Token]) -> Result<SessionScore, ScoreError> {
        let tokens = tokens.get(..SESSION_EVENTS_MAX).unwrap_or(tokens);
        if tokens.is_empty() {
            return Err(ScoreError::Empty);
        }
        if let Some(score) = self.known.get(tokens) {
            return Ok(*score);
        }
        let score = self.compute(&Sequence::bare(tokens));
        if !score.distance.is_finite() || !score.surprise.is_finite() {
            return Err(ScoreError::NotFinite);
        }
        self.known.insert(tokens.to_vec(), score);
        Ok(score)
    }

    fn compute(&mut self, sequence: &Sequence) -> SessionScore {
        self.passes.fill(sequence);
        let inputs: Vec<Input<'_>> = self.passes.iter().map(|(sequence, wanted)| Input { sequence, wanted }).collect();
        self.net.run(&inputs);
        let distance = self.net.distance(0);
        let columns = self.net.shape().predicted();
        let logits = self.net.masked(1, sequence.len() - 1);
        let mut worst_rank = 0;
        let mut surprises: Vec<f32> = Vec::with_capacity(sequence.len());
        for (position, row) in self.passes.masked().zip(logits.chunks_exact(columns)) {
            let token = sequence.tokens.get(position).copied().unwrap_or(UNKNOWN);
            let chosen = row.get(token as usize).copied().unwrap_or(f32::NAN);
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total = row.iter().map(|logit| (logit - top).exp()).sum::<f32>();
            surprises.push(total.ln() + top - chosen);
            worst_rank = worst_rank.max(row.iter().filter(|logit| **logit > chosen).count() as u32);
        }
        surprises.sort_by(|left, right| right.total_cmp(left));
        let count = ((surprises.len() as f32 * TOP_SHARE).ceil() as usize).max(1);
        let surprise = surprises.iter().take(count).sum::<f32>() / count as f32;
        SessionScore { distance, surprise, worst_rank }
    }
}
