//! What a line says where no extractor knows it: its words decide, as far as they go.
//!
//! The words of the masked line ([`Scanner::for_each_word`]) have vectors, learned on phrasings whose action, outcome and
//! family are known; a line is their mean, and words that nobody taught count as nothing, so that a line of strange words
//! is far from every certainty. Where the head of actions is sure ([`SURE`]) the line has that action; else it
//! belongs to the nearest of [`GROUPS`] groups of lines. Either way the key means the same on every network.
//!
//! Words go by a hash of 32 bits: with a few thousand of them two share one about once in a thousand vocabularies.

use nms_proto::event::{Body, Event};
use nms_proto::extraction::{Action, Extraction, Outcome};
use nms_proto::scan::Scanner;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use xxhash_rust::xxh3::xxh3_64;

use crate::key::{ACTIONS, FAMILY_COUNT, GROUPS, OUTCOMES, TypedKey};
use crate::net::NetError;

/// Width of a word's vector.
pub(crate) const WIDTH: usize = 32;
/// Probability from which on an action, or an outcome, is taken.
pub const SURE: f32 = 0.8;
/// Most words that a table may hold.
pub(crate) const WORDS_MAX: usize = 1 << 16;
/// What the heads tell apart: actions, outcomes, families. The last one serves training only.
pub(crate) const HEADS: [usize; 3] = [ACTIONS.len(), OUTCOMES.len(), FAMILY_COUNT];
/// Greatest value of a stored component.
const STEP_MAX: f32 = 127.0;

/// The number of a word.
pub(crate) fn word_id(word: &[u8]) -> u32 {
    xxh3_64(word) as u32
}

/// The vectors of words, the heads over their mean, and the groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// The words that have a vector, ascending.
    pub(crate) ids: Vec<u32>,
    /// Their vectors in steps of `step`, [`WIDTH`] each.
    pub(crate) vectors: Vec<i8>,
    /// Size of a step.
    pub(crate) step: f32,
    /// For each value of a head a row of [`WIDTH`] weights and a bias.
    pub(crate) heads: [Vec<f32>; 2],
    /// The middle of each group, [`WIDTH`] each; fewer than [`GROUPS`] where there were fewer kinds of lines.
    pub(crate) centroids: Vec<f32>,
}

/// The key of an event, for serving and training alike. Where it is a log line, `scanner` has scanned its message afterwards.
pub fn key_of(words: Option<&Words>, event: &Event, extraction: &Extraction<'_>, scanner: &mut Scanner) -> TypedKey {
    let Body::Syslog(line) = &event.body else { return TypedKey::of(extraction) };
    scanner.scan(&line.message);
    words.map_or_else(|| TypedKey::of(extraction), |words| words.key(extraction, scanner))
}

impl Words {
    /// The key of a line: what its extraction says, or else what its words do. `scanner` has just scanned it.
    pub fn key(&self, extraction: &Extraction<'_>, scanner: &Scanner) -> TypedKey {
        if extraction.action != Action::Other {
            return TypedKey::of(extraction);
        }
        let mean = self.mean(scanner);
        let [actions, outcomes] = &self.heads;
        let action = sure(actions, &mean).and_then(|at| ACTIONS.get(at)).map_or(Action::Other, |(action, _)| *action);
        if action == Action::Other {
            return self.group(&mean).map_or_else(|| TypedKey::of(extraction), TypedKey::group);
        }
        let said = || sure(outcomes, &mean).and_then(|at| OUTCOMES.get(at)).map(|(outcome, _)| *outcome);
        let outcome = Some(extraction.outcome).filter(|outcome| *outcome != Outcome::None).or_else(said);
        TypedKey::new(extraction.family, action, outcome.unwrap_or(Outcome::None))
    }

    /// The mean of a line's vectors; nothing known is nothing meant: 0.
    pub(crate) fn mean(&self, scanner: &Scanner) -> [f32; WIDTH] {
        let mut sums = [0i32; WIDTH];
        let mut words = 0u32;
        scanner.for_each_word(|word| {
            words += 1;
            if let Ok(at) = self.ids.binary_search(&word_id(word))
                && let Some(vector) = self.vectors.get(at * WIDTH..(at + 1) * WIDTH)
            {
                for (sum, value) in sums.iter_mut().zip(vector) {
                    *sum += i32::from(*value);
                }
            }
        });
        let scale = self.step / words.max(1) as f32;
        sums.map(|sum| sum as f32 * scale)
    }

    /// The group that a line is nearest to.
    fn group(&self, mean: &[f32; WIDTH]) -> Option<u8> {
        let apart = |middle: &[f32]| middle.iter().zip(mean).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let nearest = self.centroids.chunks_exact(WIDTH).map(apart).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.and_then(|(at, _)| u8::try_from(at).ok())
    }

    /// Vectors as they are stored.
    pub(crate) fn quantised(rows: &[(u32, [f32; WIDTH])], heads: [Vec<f32>; 2], centroids: Vec<f32>) -> Self {
        let greatest = rows.iter().flat_map(|(_, row)| row).fold(1e-6_f32, |most, value| most.max(value.abs()));
        let step = greatest / STEP_MAX;
        let vectors = rows.iter().flat_map(|(_, row)| row.map(|value| (value / step).round() as i8)).collect();
        Self { ids: rows.iter().map(|(id, _)| *id).collect(), vectors, step, heads, centroids }
    }

    /// The tables as a safetensors file.
    ///
    /// # Errors
    /// [`NetError::Format`], which tables of the right sizes exclude.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NetError> {
        let format = |cause: safetensors::SafeTensorError| NetError::Format(cause.to_string());
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let vectors: Vec<u8> = self.vectors.iter().map(|value| value.cast_unsigned()).collect();
        let (step, centroids) = (floats(&[self.step]), floats(&self.centroids));
        let heads = self.heads.each_ref().map(|head| floats(head));
        let row = WIDTH + 1;
        let views = [
            ("words", Dtype::U32, vec![self.ids.len()], ids.as_slice()),
            ("vectors", Dtype::I8, vec![self.ids.len(), WIDTH], vectors.as_slice()),
            ("step", Dtype::F32, vec![1], step.as_slice()),
            ("actions", Dtype::F32, vec![HEADS[0], row], heads[0].as_slice()),
            ("outcomes", Dtype::F32, vec![HEADS[1], row], heads[1].as_slice()),
            ("groups", Dtype::F32, vec![self.centroids.len() / WIDTH, WIDTH], centroids.as_slice()),
        ];
        let mut tensors = Vec::new();
        for (name, dtype, shape, bytes) in views {
            tensors.push((name, TensorView::new(dtype, shape, bytes).map_err(format)?));
        }
        safetensors::serialize(tensors, None).map_err(format)
    }

    /// The tables of a file.
    ///
    /// # Errors
    /// [`NetError`] naming the tensor that is missing, of another shape, out of order or not finite.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, NetError> {
        let file = SafeTensors::deserialize(bytes).map_err(|cause| NetError::Format(cause.to_string()))?;
        let tensor = |name: &str, dtype: Dtype, expected: &[Option<usize>]| {
            let view = file.tensor(name).map_err(|_absent| NetError::Missing(name.to_owned()))?;
            let same = |(found, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *found);
            let fits = view.shape().len() == expected.len() && view.shape().iter().zip(expected).all(same);
            if fits && view.dtype() == dtype && view.shape().first().is_some_and(|rows| *rows <= WORDS_MAX) {
                return Ok(view);
            }
            let expected = expected.iter().map(|size| size.unwrap_or(0)).collect();
            Err(NetError::Tensor { name: name.to_owned(), expected, found: view.shape().to_vec() })
        };
        let floats = |name: &str, expected: &[Option<usize>]| {
            let view = tensor(name, Dtype::F32, expected)?;
            let (chunks, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            if values.iter().all(|value| value.is_finite()) {
                Ok(values)
            } else {
                Err(NetError::NotFinite(name.to_owned()))
            }
        };
        let row = Some(WIDTH + 1);
        let words = tensor("words", Dtype::U32, &[None])?;
        let (chunks, _) = words.data().as_chunks::<4>();
        let ids: Vec<u32> = chunks.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(NetError::Format("words: not in ascending order".to_owned()));
        }
        let vectors = tensor("vectors", Dtype::I8, &[Some(ids.len()), Some(WIDTH)])?;
        let vectors = vectors.data().iter().map(|byte| byte.cast_signed()).collect();
        let centroids = floats("groups", &[None, Some(WIDTH)])?;
        if centroids.len() > GROUPS * WIDTH {
            return Err(NetError::Format(format!("groups: more than {GROUPS}")));
        }
        Ok(Self {
            ids,
            vectors,
            step: floats("step", &[Some(1)])?.first().copied().unwrap_or(0.0),
            heads: [floats("actions", &[Some(HEADS[0]), row])?, floats("outcomes", &[Some(HEADS[1]), row])?],
            centroids,
        })
    }
}

/// The logits of a head.
pub(crate) fn logits(head: &[f32], mean: &[f32; WIDTH]) -> impl Iterator<Item = f32> {
    head.chunks_exact(WIDTH + 1).map(move |row| {
        let (weights, bias) = row.split_at(WIDTH);
        bias.first().copied().unwrap_or(0.0)
            + weights.iter().zip(mean).map(|(weight, value)| weight * value).sum::<f32>()
    })
}

/// The likeliest value of a head where its probability is at least [`SURE`].
fn sure(head: &[f32], mean: &[f32; WIDTH]) -> Option<usize> {
    let most = logits(head, mean).enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let sum: f32 = logits(head, mean).map(|logit| (logit - most.1).exp()).sum();
    (sum * SURE <= 1.0).then_some(most.0)
}
