//! What is missing or too many: an unusual window beside the most alike of the ordinary ones that were seen here lately.
//!
//! Of each ordinary window only how often each key came is kept, apart for each family and for actors, and only once where
//! several are equal. Alike is what differs in the fewest events. Where nothing alike was seen, or too little at all,
//! nothing is said. Bounded in kinds and in windows of a kind; the ones unused for longest go first.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    num::NonZeroUsize,
};

use lru::LruCache;
use nms_model::{
    key::{Scope, TypedKey},
    window::Window,
};
use nms_proto::{
    extraction::{Action, AppFamily, Outcome},
    limits::{ALERT_TEXT_BYTES, MODEL_WINDOW_EVENTS},
};
use serde::{Deserialize, Serialize};

/// Kinds of windows that are kept: families, and actors as one.
const KINDS_MAX: usize = 48;
/// Ordinary windows of a kind that are kept.
const WINDOWS_MAX: usize = 16;
/// Different ordinary windows of a kind below which nothing is said.
const WINDOWS_MIN: usize = 3;
/// Share of ordinary windows as odd as one that is kept, at least.
const ORDINARY_P: f32 = 0.1;
/// Keys that are named as missing, and as too many.
const NAMED_MAX: usize = 2;
/// Longest text of a key in the sentence, in bytes.
const WORDS_BYTES_MAX: usize = 120;

/// Events of each key, by the key's number.
type Events = Box<[(u16, u32)]>;
/// The family of a source's window; none of an actor's.
type Kind = Option<AppFamily>;

/// Ordinary windows of one tenant.
pub(super) struct Usual(LruCache<Kind, VecDeque<Events>>);

impl fmt::Debug for Usual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usual").field("kinds", &self.0.len()).finish_non_exhaustive()
    }
}

impl Default for Usual {
    fn default() -> Self {
        Self(LruCache::new(NonZeroUsize::new(KINDS_MAX).unwrap_or(NonZeroUsize::MIN)))
    }
}

/// Events of each key, by the key's place among the saved ones.
type SavedEvents = Vec<(u16, u32)>;

/// The windows in a snapshot; keys and families by name, so that a later program still reads them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    keys: Vec<String>,
    /// Each kind with its windows, the ones unused for longest first; of each key its place in `keys`, and how often.
    kinds: Vec<(Option<String>, Vec<SavedEvents>)>,
}

impl Usual {
    /// Most memory, in bytes.
    pub(super) const BYTES_MAX: usize =
        KINDS_MAX * (64 + (WINDOWS_MAX + 1) * (size_of::<Events>() + MODEL_WINDOW_EVENTS * size_of::<(u16, u32)>()));

    /// Keeps a window if it is an ordinary one: one of at least a tenth of all that are as odd.
    pub(super) fn note(&mut self, window: &Window, p_value: f32) {
        if p_value < ORDINARY_P {
            return;
        }
        let windows = self.0.get_or_insert_mut(kind(window.scope), VecDeque::new);
        let events = events(window);
        if let Some(at) = windows.iter().position(|known| *known == events) {
            windows.remove(at);
        }
        if windows.len() >= WINDOWS_MAX {
            windows.pop_front();
        }
        windows.push_back(events);
    }

    /// What is missing from a window or too many in it, in a sentence; `words` puts a kind of event into words.
    pub(super) fn compare(&self, window: &Window, words: impl Fn(TypedKey) -> Box<str>) -> Option<Box<str>> {
        let windows = self.0.peek(&kind(window.scope)).filter(|windows| windows.len() >= WINDOWS_MIN)?;
        let here = events(window);
        let shares_a_key = |usual: &&Events| usual.iter().any(|(key, _)| count(&here, *key) > 0);
        // Of equally alike ones the latest.
        let alike = windows.iter().rev().filter(shares_a_key);
        let nearest =
            alike.min_by_key(|usual| differences(&here, usual).map(|(_, apart)| apart.unsigned_abs()).sum::<u64>())?;
        let mut apart: Vec<(u16, i64)> = differences(&here, nearest).filter(|(_, apart)| *apart != 0).collect();
        apart.sort_by_key(|(key, apart)| (-apart.abs(), *key));
        let missing = apart.iter().filter(|(_, apart)| *apart < 0).take(NAMED_MAX);
        let too_many = apart.iter().filter(|(_, apart)| *apart > 0).take(NAMED_MAX);
        let told: Vec<String> = missing.chain(too_many).filter_map(|(key, apart)| tell(*key, *apart, &words)).collect();
        if told.is_empty() {
            return None;
        }
        let text = format!("beside the most alike ordinary window here: {}", told.join("; "));
        text.get(..text.floor_char_boundary(ALERT_TEXT_BYTES)).map(Into::into)
    }

    /// All of it, to be stored.
    pub(super) fn save(&self) -> Saved {
        let mut saved = Saved::default();
        let mut places = HashMap::new();
        for (kind, windows) in self.0.iter().rev() {
            let mut put = |(key, count): &(u16, u32)| {
                let place = *places.entry(*key).or_insert_with(|| {
                    saved.keys.push(TypedKey::from_index((*key).into()).map(|key| key.to_string()).unwrap_or_default());
                    saved.keys.len() as u16 - 1
                });
                (place, *count)
            };
            let windows = windows.iter().map(|events| events.iter().map(&mut put).collect()).collect();
            let name = kind.map(|family| TypedKey::new(family, Action::Other, Outcome::None).to_string());
            saved.kinds.push((name, windows));
        }
        saved
    }

    /// What was stored; what this version has no name for is left out.
    pub(super) fn load(saved: &Saved) -> Self {
        let mut usual = Self::default();
        let keys: Vec<Option<u16>> =
            saved.keys.iter().map(|name| TypedKey::parse(name).map(|key| key.index() as u16)).collect();
        for (name, windows) in saved.kinds.iter().take(KINDS_MAX) {
            let kind = match name {
                None => None,
                Some(name) => match TypedKey::parse(name) {
                    Some(key) => Some(key.family()),
                    None => continue,
                },
            };
            let read = |events: &SavedEvents| {
                let mut read: Vec<(u16, u32)> = (events.iter().take(MODEL_WINDOW_EVENTS))
                    .filter_map(|(place, count)| Some((keys.get(usize::from(*place)).copied().flatten()?, *count)))
                    .collect();
                read.sort_unstable();
                read.into_boxed_slice()
            };
            usual.0.put(kind, windows.iter().take(WINDOWS_MAX).map(read).collect());
        }
        usual
    }
}

fn kind(scope: Scope) -> Kind {
    match scope {
        Scope::Source(_, family) => Some(family),
        Scope::Actor(_) => None,
    }
}

fn events(window: &Window) -> Events {
    let mut counts = BTreeMap::<u16, u32>::new();
    for position in &window.positions {
        let count = counts.entry(position.key.index() as u16).or_default();
        *count = count.saturating_add(position.count);
    }
    counts.into_iter().collect()
}

fn count(events: &Events, key: u16) -> u32 {
    events.iter().find(|(other, _)| *other == key).map_or(0, |(_, count)| *count)
}

/// Of each key of either, how many more are here than usual.
fn differences<'a>(here: &'a Events, usual: &'a Events) -> impl Iterator<Item = (u16, i64)> + 'a {
    let of_here = here.iter().map(|(key, more)| (*key, i64::from(*more) - i64::from(count(usual, *key))));
    let only_usual =
        usual.iter().filter(|(key, _)| count(here, *key) == 0).map(|(key, less)| (*key, -i64::from(*less)));
    of_here.chain(only_usual)
}

/// One difference in words: `missing 3 of "sshd: session closed for user <user>"`.
fn tell(key: u16, apart: i64, words: impl Fn(TypedKey) -> Box<str>) -> Option<String> {
    let text = words(TypedKey::from_index(key.into())?);
    let text = text.get(..text.floor_char_boundary(WORDS_BYTES_MAX))?;
    Some(if apart < 0 { format!("missing {} of \"{text}\"", -apart) } else { format!("{apart} more of \"{text}\"") })
}
