//! The template miner: masked lines in, stable template ids out (Drain, He et al. 2017).
//!
//! Lines of one length and one beginning share a leaf of a shallow tree; in the leaf the most alike
//! template takes the line, or a new one begins. Used per tenant for grouping, counts, rarity and the
//! text of explanations; template ids are never a model's vocabulary. Tokens are compared as hashes,
//! so that a hit costs a pass over the line and no allocation.
//!
//! Bounded: templates and their bytes (the one unused for longest is forgotten), nodes and children of the tree
//! (past them a token counts as any), tokens of a line. Ids are never reused, and survive
//! [`Miner::snapshot`] and [`Miner::restore`]. Damaged bytes are refused.

mod tree;
mod recent;
mod snapshot;

use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use nms_proto::limits::{SCAN_BYTES_MAX, TEMPLATE_TOKENS_MAX, TEMPLATES_BYTES, TEMPLATES_MAX};

use crate::cache::CacheCounts;
use recent::{Answer, Recent};
pub use snapshot::SnapshotError;
use tree::{Leaf, Tree};

/// Nodes of the tree.
const NODES_MAX: usize = 4 * TEMPLATES_MAX;
/// Most memory of a miner with the usual bounds, in bytes: its templates, one that comes, and the tree.
pub const MEMORY_BYTES_MAX: usize =
    TEMPLATES_BYTES + SCAN_BYTES_MAX * 8 + NODES_MAX * tree::NODE_BYTES + recent::BYTES_MAX;
/// What stands in a template for a token that varies.
pub const ANY: &str = "<*>";
/// The hash of [`ANY`]: no token has it.
const ANY_HASH: u64 = 0;
/// A bit that keeps the hash of a parameter, whose lowest one is not set, from being [`ANY_HASH`].
const PARAMETER: u64 = 2;

/// A template, for as long as the tenant lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(pub u32);

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its template.
    pub id: TemplateId,
    /// Whether the template began with it.
    pub is_new: bool,
    /// Lines of this template so far, this one included.
    pub count: u64,
}

#[derive(Debug)]
struct Template {
    hashes: Vec<u64>,
    words: Vec<Box<str>>,
    count: u64,
}

/// The bounds of a miner.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Templates kept.
    pub templates_max: NonZeroUsize,
    /// Memory of them, in bytes.
    pub bytes_max: usize,
    /// Nodes of the tree.
    pub nodes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let templates_max = NonZeroUsize::new(TEMPLATES_MAX).unwrap_or(NonZeroUsize::MIN);
        Self { templates_max, bytes_max: TEMPLATES_BYTES, nodes_max: NODES_MAX }
    }
}

/// Groups masked lines into templates.
pub struct Miner {
    templates: LruCache<u32, Template>,
    bytes: usize,
    bytes_max: usize,
    tree: Tree,
    next: u32,
    forgotten: u64,
    /// Hashes of the line at hand, kept for its memory.
    line: Vec<u64>,
    /// Lines whose template needs no search.
    recent: Recent,
}

impl fmt::Debug for Miner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miner")
            .field("templates", &self.templates.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Default for Miner {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Miner {
    /// An empty miner.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            templates: LruCache::new(bounds.templates_max),
            bytes: 0,
            bytes_max: bounds.bytes_max,
            tree: Tree::new(bounds.nodes_max),
            next: 0,
            forgotten: 0,
            line: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// The same without its event cache; for tests and benches.
    #[must_use]
    pub fn without_cache(self) -> Self {
        Self { recent: Recent::off(), ..self }
    }

    /// How the event cache did: lines whose template was known by their whole text.
    pub fn cache(&self) -> CacheCounts {
        self.recent.counts()
    }

    /// Puts `masked` (from [`nms_proto::scan`]) to its template, which it may widen or begin.
    pub fn learn(&mut self, masked: &str) -> Match {
        let whole = hash(masked.as_bytes());
        let tree = &self.tree;
        let known = self.recent.get(whole, masked, |answer| tree.changes(answer.leaf) == answer.changes);
        // A template that was forgotten since is searched for again.
        if let Some(template) = known.and_then(|known| self.templates.get_mut(&known.id))
            && let Some(known) = known
        {
            template.count += 1;
            return Match { id: TemplateId(known.id), is_new: false, count: template.count };
        }
        let mut line = std::mem::take(&mut self.line);
        hash_tokens(masked, &mut line);
        let leaf = self.tree.leaf(&line, masked);
        let found = self.most_alike(leaf, &line);
        let outcome = match found {
            Some(id) => self.join(id, leaf, &line),
            None => self.begin(leaf, &line, masked),
        };
        self.line = line;
        if let (Match { id: TemplateId(id), .. }, false) = outcome {
            self.recent.put(whole, masked, Answer { id, leaf, changes: self.tree.changes(leaf) });
        }
        outcome.0
    }

    /// The template of `masked`, where it has one; learns nothing.
    pub fn find(&self, masked: &str) -> Option<TemplateId> {
        let mut line = Vec::new();
        hash_tokens(masked, &mut line);
        let leaf = self.tree.find(&line, masked)?;
        self.most_alike(leaf, &line).map(TemplateId)
    }

    /// The template as text, with [`ANY`] for what varies.
    pub fn text(&self, id: TemplateId) -> Option<String> {
        self.templates.peek(&id.0).map(|template| template.words.join(" "))
    }

    /// Lines of the template so far.
    pub fn count(&self, id: TemplateId) -> u64 {
        self.templates.peek(&id.0).map_or(0, |template| template.count)
    }

    /// Templates kept.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether nothing was learnt yet.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// Memory of the templates, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Templates that were forgotten for new ones.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The template of the leaf that shares most words with the line, if more than half of the line's; of equals the one
    /// that varies in more places, then the older. What the scanner masked is no word: it is alike in every line, and says
    /// nothing of whether two mean the same.
    fn most_alike(&self, leaf: Leaf, line: &[u64]) -> Option<u32> {
        let mut best: Option<(usize, usize, u32)> = None;
        for &id in self.tree.templates(leaf) {
            let Some(template) = self.templates.peek(&id) else { continue };
            if template.hashes.len() != line.len() {
                continue;
            }
            let (mut same, mut any, mut words) = (0, 0, 0);
            for (ours, theirs) in template.hashes.iter().zip(line) {
                let is_word = is_word(*theirs);
                words += usize::from(is_word);
                same += usize::from(ours == theirs && is_word);
                any += usize::from(*ours == ANY_HASH || !is_word);
            }
            if same == words && template.hashes == line {
                return Some(id);
            }
            let is_alike = 2 * same > words || same == words;
            if is_alike && best.is_none_or(|(best_same, best_any, _)| (same, any) > (best_same, best_any)) {
                best = Some((same, any, id));
            }
        }
        best.map(|(_, _, id)| id)
    }

    /// The line joins a template; tells whether it widened it.
    fn join(&mut self, id: u32, leaf: Leaf, line: &[u64]) -> (Match, bool) {
        let (mut count, mut is_wider) = (1, false);
        if let Some(template) = self.templates.get_mut(&id) {
            for ((ours, word), theirs) in template.hashes.iter_mut().zip(&mut template.words).zip(line) {
                if ours != theirs && *ours != ANY_HASH {
                    *ours = ANY_HASH;
                    self.bytes = self.bytes + token_bytes(ANY) - token_bytes(word);
                    *word = ANY.into();
                    is_wider = true;
                }
            }
            template.count += 1;
            count = template.count;
        }
        if is_wider {
            self.tree.changed(leaf);
        }
        (Match { id: TemplateId(id), is_new: false, count }, is_wider)
    }

    /// A template begins with the line, which is a change.
    fn begin(&mut self, leaf: Leaf, line: &[u64], masked: &str) -> (Match, bool) {
        // Numbers begin anew after four billion templates; those that are still used are passed over.
        while self.templates.contains(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let words = tokens(masked).map(Into::into).collect();
        self.insert(id, leaf, Template { hashes: line.to_vec(), words, count: 1 });
        (Match { id: TemplateId(id), is_new: true, count: 1 }, true)
    }

    fn insert(&mut self, id: u32, leaf: Leaf, template: Template) {
        self.bytes += bytes(&template);
        if let Some((old, gone)) = self.templates.push(id, template) {
            self.bytes -= bytes(&gone);
            self.forgotten += u64::from(old != id);
        }
        while self.bytes > self.bytes_max && self.templates.len() > 1 {
            self.bytes -= self.templates.pop_lru().map_or(0, |(_, gone)| bytes(&gone));
            self.forgotten += 1;
        }
        let templates = &self.templates;
        self.tree.add(leaf, id, |old| templates.contains(&old));
        self.tree.changed(leaf);
    }
}

/// Memory of a template, in bytes, with its place in the cache.
fn bytes(template: &Template) -> usize {
    const PLACE: usize = 64;
    PLACE + size_of::<Template>() + template.words.iter().map(|word| token_bytes(word)).sum::<usize>()
}

/// Memory of a token, in bytes: its hash, and its text in a piece of the allocator's.
fn token_bytes(word: &str) -> usize {
    size_of::<u64>() + size_of::<Box<str>>() + word.len().max(16)
}

/// The tokens of a masked line, at most [`TEMPLATE_TOKENS_MAX`].
fn tokens(masked: &str) -> impl Iterator<Item = &str> {
    masked.split_ascii_whitespace().take(TEMPLATE_TOKENS_MAX)
}

fn hash_tokens(masked: &str, into: &mut Vec<u64>) {
    into.clear();
    into.extend(tokens(masked).map(|token| hash(token.as_bytes())));
}

/// A quick hash of a token; never [`ANY_HASH`]. Its lowest bit says whether the token is a word. Two tokens that somebody makes collide share a
/// place in a template, which harms nobody else.
fn hash(token: &[u8]) -> u64 {
    if token == ANY.as_bytes() {
        return ANY_HASH;
    }
    let (words, rest) = token.as_chunks::<8>();
    let last = rest.iter().fold(token.len() as u64, |value, byte| value << 8 | u64::from(*byte));
    let mix = |state: u64, value: u64| {
        let product = u128::from(state ^ value) * 0x9e37_79b9_7f4a_7c15_u128;
        (product as u64) ^ ((product >> 64) as u64)
    };
    let hash = mix(words.iter().fold(0x243f_6a88_85a3_08d3, |state, word| mix(state, u64::from_le_bytes(*word))), last);
    if is_parameter(token) { (hash & !1) | PARAMETER } else { hash | 1 }
}

/// Whether a hash is that of a token that is more than parameters.
fn is_word(hash: u64) -> bool {
    hash & 1 == 1
}

/// Whether nothing but parameters and signs is in a token.
fn is_parameter(token: &[u8]) -> bool {
    let mut inside = false;
    let mut found = false;
    for byte in token {
        match byte {
            b'<' => inside = true,
            b'>' => {
                found |= inside;
                inside = false;
            }
            _ if inside => {}
            byte if byte.is_ascii_alphanumeric() || *byte >= 0x80 => return false,
            _ => {}
        }
    }
    found
}
