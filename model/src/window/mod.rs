//! Windows: the last events of one family at one source, and of one actor across sources.
//!
//! A run of one key is one position with a count, so that a flood costs one position and cannot push
//! out what came before; only a path of another class begins a position of its own. A window is ready when [`MODEL_WINDOW_STRIDE`]
//! positions are new, or [`MODEL_WINDOW_IDLE_MS`] after the last change that a net could see; what
//! changes nothing is not scored again. Gaps are measured in the events' own time (`at_ms`),
//! readiness in the caller's (`now_ms`), so a backlog is analysed in its own time.
//!
//! Bounded: the window unused for longest is handed out a last time and forgotten. Positions carry
//! the caller's event references, so that an explanation can point to lines.

mod snapshot;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use nms_proto::event::{Body, Event};
use nms_proto::extraction::{Actor, AppFamily, Extraction};
use nms_proto::limits::{MODEL_WINDOW_EVENTS, MODEL_WINDOW_IDLE_MS, MODEL_WINDOW_STRIDE, MODEL_WINDOWS_MAX};

use crate::key::{
    Context, Factor, Scope, Situation, SourceRole, TypedKey, UtcOffset, gap_value, repeat_value, scope_value,
};
pub use snapshot::SnapshotError;

/// An event on its way into the windows.
#[derive(Clone, Copy, Debug)]
pub struct KeyedEvent {
    /// What it means.
    pub key: TypedKey,
    /// The application that wrote it: its windows.
    pub family: AppFamily,
    /// Its factors, without scope, gap and repeat.
    pub context: Context,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// How many events it stands for ("message repeated N times"); at least 1.
    pub times: u32,
    /// The caller's reference to it.
    pub token: u64,
}

impl KeyedEvent {
    /// An event as its extraction has it, with the key of [`crate::words::key_of`]; `token` is the caller's reference. The one way from events
    /// to windows, for serving and for training alike, so that a model is given what it was trained on.
    ///
    /// The hub does not say yet what kind of host a source is, so the role stays unknown; sessions and
    /// the package manager are known where a file change names them.
    pub fn of(event: &Event, extraction: &Extraction<'_>, key: TypedKey, token: u64) -> Self {
        let (severity, admin_session, package_manager) = match &event.body {
            Body::Syslog(line) => (Some(line.severity), false, false),
            Body::File(file) => (None, !file.sessions.is_empty(), file.package_manager),
            _ => (None, false, false),
        };
        let situation = Situation {
            at_ms: event.at.unix_ms,
            offset: UtcOffset::Seconds(i32::from(event.at.offset_min) * 60),
            severity,
            role: SourceRole::Unknown,
            admin_session,
            package_manager,
        };
        Self {
            key,
            family: extraction.family,
            context: Context::of(extraction, &situation),
            at_ms: event.at.unix_ms,
            times: extraction.times.max(1),
            token,
        }
    }
}

/// A position of a window: one event, or a run of equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// What happened.
    pub key: TypedKey,
    /// Its factors, complete.
    pub context: Context,
    /// How often in a row.
    pub count: u32,
    /// When the first of the run happened.
    pub first_at_ms: i64,
    /// When the last of the run happened.
    pub last_at_ms: i64,
    /// The caller's reference to the first of the run.
    pub first: u64,
    /// The caller's reference to the last of the run.
    pub last: u64,
}

/// A window that is to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What it gathers.
    pub scope: Scope,
    /// Its positions, oldest first, at most [`MODEL_WINDOW_EVENTS`].
    pub positions: Vec<Position>,
    /// Positions at the end that were not in it, or changed, since it was last ready.
    pub fresh: usize,
}

#[derive(Debug, Default)]
struct Open {
    positions: VecDeque<Position>,
    fresh: usize,
    /// When it is ready if nothing more comes; none while nothing changed.
    due_ms: Option<u64>,
    /// Whether the queue of deadlines has an entry for it.
    queued: bool,
}

/// Most memory of the usual number of windows, in bytes: their positions, and a place in the cache and in the queue.
pub const MEMORY_BYTES_MAX: usize =
    MODEL_WINDOWS_MAX * (MODEL_WINDOW_EVENTS * size_of::<Position>() + 2 * size_of::<(Scope, Open)>());

/// What the windows count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Events taken.
    pub events: u64,
    /// Windows handed out.
    pub ready: u64,
    /// Windows forgotten because there were too many.
    pub forgotten: u64,
}

/// All windows of one tenant.
pub struct Windows {
    open: LruCache<Scope, Open>,
    deadlines: BinaryHeap<Reverse<(u64, Scope)>>,
    counts: WindowCounts,
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("open", &self.open.len()).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self::new(MODEL_WINDOWS_MAX)
    }
}

impl Windows {
    /// No windows yet, and at most `windows_max` (at least 1) at a time.
    pub fn new(windows_max: usize) -> Self {
        let windows_max = NonZeroUsize::new(windows_max).unwrap_or(NonZeroUsize::MIN);
        Self { open: LruCache::new(windows_max), deadlines: BinaryHeap::new(), counts: WindowCounts::default() }
    }

    /// Takes an event of `source`, by `actor` where one is known ([`actor_id`]); returns the windows
    /// that it made ready.
    pub fn push(&mut self, now_ms: u64, source: u64, actor: Option<u64>, event: KeyedEvent) -> Vec<Window> {
        self.counts.events += 1;
        let mut ready = Vec::new();
        self.append(now_ms, Scope::Source(source, event.family), &event, &mut ready);
        if let Some(actor) = actor {
            self.append(now_ms, Scope::Actor(actor), &event, &mut ready);
        }
        ready
    }

    /// The window of a scope as it stands, ready or not; none where it has no events.
    pub fn window(&self, scope: Scope) -> Option<Window> {
        let open = self.open.peek(&scope).filter(|open| !open.positions.is_empty())?;
        Some(Window { scope, positions: open.positions.iter().copied().collect(), fresh: open.fresh })
    }

    /// When [`Windows::tick`] is to be called next, in the caller's milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((due, _))| *due)
    }

    /// Returns the windows that nothing more came to in time.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Window> {
        let mut ready = Vec::new();
        while let Some(Reverse((due, scope))) = self.deadlines.peek().copied() {
            if due > now_ms {
                break;
            }
            self.deadlines.pop();
            let Some(open) = self.open.peek_mut(&scope) else { continue };
            open.queued = false;
            match open.due_ms {
                Some(due) if due <= now_ms => {
                    self.counts.ready += 1;
                    ready.push(hand_out(scope, open));
                }
                Some(due) => {
                    open.queued = true;
                    self.deadlines.push(Reverse((due, scope)));
                }
                None => {}
            }
        }
        ready
    }

    /// Windows open now.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no window is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What was counted since the start.
    pub fn counts(&self) -> WindowCounts {
        self.counts
    }

    fn append(&mut self, now_ms: u64, scope: Scope, event: &KeyedEvent, ready: &mut Vec<Window>) {
        if !self.open.contains(&scope) {
            self.make_room(ready);
        }
        let open = self.open.get_or_insert_mut(scope, Open::default);
        if !open.take(scope, event) {
            return;
        }
        if open.fresh >= MODEL_WINDOW_STRIDE {
            self.counts.ready += 1;
            ready.push(hand_out(scope, open));
            return;
        }
        let due = now_ms.saturating_add(MODEL_WINDOW_IDLE_MS);
        open.due_ms = Some(due);
        if !open.queued {
            open.queued = true;
            self.deadlines.push(Reverse((due, scope)));
        }
    }

    fn make_room(&mut self, ready: &mut Vec<Window>) {
        if self.open.len() < self.open.cap().get() {
            return;
        }
        if let Some((scope, mut open)) = self.open.pop_lru() {
            self.counts.forgotten += 1;
            if open.due_ms.is_some() {
                self.counts.ready += 1;
                ready.push(hand_out(scope, &mut open));
            }
        }
    }
}

impl Open {
    /// Takes an event; tells whether a net would see a difference.
    fn take(&mut self, scope: Scope, event: &KeyedEvent) -> bool {
        let times = event.times.max(1);
        if let Some(last) = self.positions.back_mut().filter(|last| continues(last, event)) {
            let before = repeat_value(last.count);
            last.count = last.count.saturating_add(times);
            last.last = event.token;
            last.last_at_ms = event.at_ms.max(last.last_at_ms);
            last.context = last.context.with(Factor::Repeat, repeat_value(last.count));
            let changed = repeat_value(last.count) != before;
            self.fresh = self.fresh.max(usize::from(changed));
            return changed;
        }
        let gap = self.positions.back().map(|last| event.at_ms.saturating_sub(last.last_at_ms));
        let context = event
            .context
            .with(Factor::Scope, scope_value(scope))
            .with(Factor::Gap, gap_value(gap))
            .with(Factor::Repeat, repeat_value(times));
        if self.positions.len() >= MODEL_WINDOW_EVENTS {
            self.positions.pop_front();
        }
        let (at, token) = (event.at_ms, event.token);
        self.positions.push_back(Position {
            key: event.key,
            context,
            count: times,
            first_at_ms: at,
            last_at_ms: at,
            first: token,
            last: token,
        });
        self.fresh += 1;
        true
    }
}

/// Whether `event` goes on with the run: the same key, and not another class of path.
fn continues(last: &Position, event: &KeyedEvent) -> bool {
    let same_object = last.context.value(Factor::Object) == event.context.value(Factor::Object);
    last.key == event.key && (same_object || !event.context.is_path())
}

fn hand_out(scope: Scope, open: &mut Open) -> Window {
    open.due_ms = None;
    let fresh = std::mem::take(&mut open.fresh);
    Window { scope, positions: open.positions.iter().copied().collect(), fresh }
}

/// A stable number for an actor, the same in every run (FNV-1a over kind and bytes).
pub fn actor_id(actor: &Actor<'_>) -> u64 {
    let hash = |state: u64, bytes: &[u8]| {
        bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    };
    match actor {
        Actor::Address(address) => hash(0xcbf2_9ce4_8422_2325, &address.to_canonical().to_string().into_bytes()),
        Actor::Name(name) => hash(0x8422_2325_cbf2_9ce4, name.as_bytes()),
    }
}
