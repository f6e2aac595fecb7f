//! Whether a batch may be taken: one tenant's gate, pure.
//!
//! Judged in this order: is it the next of its sender (receiver.rs in proto says), has the tenant room
//! among what is not committed yet, and among what is not analysed yet. Both kinds of room are the
//! tenant's own, so one tenant's flood never makes another busy. The gate also hands out the time on
//! the tenant's analysis clock: Unix milliseconds that never go back, given to a batch when it is
//! taken, so that a replay of the log sees the same times. Where the server's clock was set back, it goes
//! on half as fast until that has caught up: what is due still comes due.

use std::collections::{HashMap, VecDeque};

use nms_proto::{
    id::{BatchSeq, Instance},
    limits::{BUSY_RETRY_MS, HUBS_PER_TENANT_MAX, TENANT_BACKLOG_BYTES, TENANT_UNCOMMITTED_BYTES},
    message::Batch,
    session::{
        receiver::{Judgement, Receiver},
        server::Answer,
    },
};

use crate::store::LogSeq;

/// Longest that the analysis clock runs at one look while it is ahead of the server's, in milliseconds.
const RUNS_MS_MAX: i64 = 60_000;

/// What a gate counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches taken.
    pub taken: u64,
    /// Events in them.
    pub events: u64,
    /// Batches that were durable before.
    pub duplicates: u64,
    /// Batches whose number belonged to another one.
    pub reused: u64,
    /// Batches out of order, and those after one that was refused.
    pub gaps: u64,
    /// Batches refused because the tenant had too much waiting.
    pub busy: u64,
    /// Batches that could not be stored, asked for again.
    pub withdrawn: u64,
    /// Events that senders say will never come.
    pub skipped_events: u64,
    /// Batches that never came, as the senders said; of those that a spool does not know any more nobody knows the events.
    pub skipped_batches: u64,
}

/// A hub's numbers, and when it was last heard of on the tenant's analysis clock.
#[derive(Debug)]
struct Sender {
    receiver: Receiver,
    seen_ms: i64,
    /// How often what it had sent was lost on the way into the log.
    lost: u64,
}

/// What stands between a tenant's connections and its log.
#[derive(Debug)]
pub struct Gate {
    senders: HashMap<Instance, Sender>,
    uncommitted_bytes: usize,
    /// Batches that wait for analysis, with their bytes, in the order of the log.
    backlog: VecDeque<(LogSeq, usize)>,
    backlog_bytes: usize,
    /// The last batch that is durable.
    logged: LogSeq,
    clock: AnalysisClock,
    counts: Counts,
    uncommitted_bytes_max: usize,
}

/// A tenant's analysis clock: Unix milliseconds that never go back and never stand still.
#[derive(Clone, Copy, Debug)]
struct AnalysisClock {
    at_ms: i64,
    /// The server's clock at the last look.
    seen_ms: Option<i64>,
    /// Half milliseconds that passed and are not in `at_ms`, 0 or 1.
    half: i64,
}

impl AnalysisClock {
    fn look(&mut self, now_ms: i64) -> i64 {
        let passed_ms = self.seen_ms.map_or(0, |seen_ms| now_ms.saturating_sub(seen_ms).max(0));
        self.seen_ms = Some(now_ms);
        if now_ms >= self.at_ms {
            (self.at_ms, self.half) = (now_ms, 0);
        } else {
            let halves = passed_ms.saturating_add(self.half);
            // Never beyond the server's clock by what passed alone: a step forward again is no time that passed.
            self.at_ms = self.at_ms.saturating_add((halves / 2).min(RUNS_MS_MAX));
            self.half = halves % 2;
        }
        self.at_ms
    }

    /// Time until it shows `due_ms`, in milliseconds of the server's clock.
    fn wait_ms(&self, now_ms: i64, due_ms: i64) -> u64 {
        let left_ms = if now_ms >= self.at_ms {
            due_ms.saturating_sub(now_ms)
        } else {
            due_ms.saturating_sub(self.at_ms).saturating_mul(2)
        };
        left_ms.max(0).unsigned_abs()
    }
}

impl Gate {
    /// A gate in front of a log whose last batch is `logged`; its clock goes on from `clock_ms`.
    pub fn new(logged: LogSeq, clock_ms: i64) -> Self {
        let counts = Counts::default();
        Self {
            senders: HashMap::new(),
            uncommitted_bytes: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            logged,
            clock: AnalysisClock { at_ms: clock_ms, seen_ms: None, half: 0 },
            counts,
            uncommitted_bytes_max: TENANT_UNCOMMITTED_BYTES,
        }
    }

    /// How much may wait for its commit, in bytes; more is refused with SERVER_BUSY.
    pub fn set_uncommitted_bytes_max(&mut self, bytes: usize) {
        self.uncommitted_bytes_max = bytes;
    }

    /// Whether a hub's numbers are in mind.
    pub fn knows(&self, hub: Instance) -> bool {
        self.senders.contains_key(&hub)
    }

    /// Takes a hub's numbers into mind, as they were stored. Where there are too many, the one unseen for longest and
    /// not `live` is forgotten and returned.
    pub fn enter(
        &mut self,
        now_ms: i64,
        hub: Instance,
        receiver: Receiver,
        live: impl Fn(Instance) -> bool,
    ) -> Option<Instance> {
        let seen_ms = self.advance(now_ms);
        let sender = self.senders.entry(hub).or_insert(Sender { receiver, seen_ms, lost: 0 });
        sender.seen_ms = seen_ms;
        if self.senders.len() <= HUBS_PER_TENANT_MAX {
            return None;
        }
        let idle = self.senders.iter().filter(|(other, _)| **other != hub && !live(**other));
        let oldest = idle.min_by_key(|(other, sender)| (sender.seen_ms, **other)).map(|(other, _)| *other);
        oldest.inspect(|other| drop(self.senders.remove(other)))
    }

    /// The highest durable batch of a hub.
    pub fn durable(&self, hub: Instance) -> BatchSeq {
        self.senders.get(&hub).map(|sender| sender.receiver.durable()).unwrap_or_default()
    }

    /// How often batches of a hub were lost on their way into the log; its connection asks for them again.
    pub fn losses(&self, hub: Instance) -> u64 {
        self.senders.get(&hub).map_or(0, |sender| sender.lost)
    }

    /// Judges a batch. Where it is taken, gives its time on the tenant's analysis clock; it must then be handed to the
    /// log, or [`Gate::retract`]ed.
    ///
    /// # Errors
    /// What the sender is answered.
    pub fn admit(&mut self, now_ms: i64, hub: Instance, batch: &Batch) -> Result<i64, Answer> {
        let Some(sender) = self.senders.get(&hub) else {
            return Err(busy("this sender is not registered"));
        };
        let judgement = sender.receiver.judge(batch);
        let refusal = Answer::from_judgement(judgement).or_else(|| self.crowded(batch.content.len()));
        self.count(judgement, refusal.as_ref(), batch);
        if let Some(answer) = refusal {
            return Err(answer);
        }
        let arrived_ms = self.advance(now_ms);
        if let Some(sender) = self.senders.get_mut(&hub) {
            sender.receiver.admit(batch);
            sender.seen_ms = arrived_ms;
        }
        self.uncommitted_bytes += batch.content.len();
        Ok(arrived_ms)
    }

    fn count(&mut self, judgement: Judgement, refusal: Option<&Answer>, batch: &Batch) {
        let counts = &mut self.counts;
        match (judgement, refusal) {
            (Judgement::Next, None) => {
                counts.taken += 1;
                counts.events += batch.events.len() as u64;
                for run in &batch.skipped {
                    let batches = run.to.0.saturating_sub(run.from.0).saturating_add(1);
                    counts.skipped_events = counts.skipped_events.saturating_add(run.events);
                    counts.skipped_batches = counts.skipped_batches.saturating_add(batches);
                }
            }
            (Judgement::Next, Some(_)) => counts.busy += 1,
            (Judgement::Duplicate | Judgement::Pending, _) => counts.duplicates += 1,
            (Judgement::Reused, _) => counts.reused += 1,
            (Judgement::Gap, _) => counts.gaps += 1,
        }
    }

    /// The refusal of `bytes` more; a tenant of whom nothing waits is never refused.
    fn crowded(&self, bytes: usize) -> Option<Answer> {
        let fits = |waiting: usize, max: usize| waiting == 0 || waiting.saturating_add(bytes) <= max;
        if !fits(self.uncommitted_bytes, self.uncommitted_bytes_max) {
            return Some(busy(&format!("{} of this tenant not stored yet", mebibytes(self.uncommitted_bytes))));
        }
        let waiting = self.backlog_bytes.saturating_add(self.uncommitted_bytes);
        (!fits(waiting, TENANT_BACKLOG_BYTES)).then(|| busy(&format!("tenant backlog {}", mebibytes(waiting))))
    }

    /// A batch that was admitted last was not handed to the log.
    pub fn retract(&mut self, hub: Instance, batch: Option<BatchSeq>, bytes: usize) {
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(bytes);
        self.counts.withdrawn += 1;
        if let (Some(sender), Some(batch)) = (self.senders.get_mut(&hub), batch) {
            sender.receiver.retract(batch);
        }
    }

    /// A batch is durable, at `seq`: it waits for analysis from now on.
    pub fn committed(&mut self, hub: Instance, batch: Option<BatchSeq>, seq: LogSeq, bytes: usize) {
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(bytes);
        self.backlog.push_back((seq, bytes));
        self.backlog_bytes = self.backlog_bytes.saturating_add(bytes);
        self.logged = self.logged.max(seq);
        if let (Some(sender), Some(batch)) = (self.senders.get_mut(&hub), batch) {
            sender.receiver.commit(batch);
        }
    }

    /// A batch that was handed to the log never becomes durable: it, and what came after it, is expected again.
    pub fn lost(&mut self, hub: Instance, bytes: usize) {
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(bytes);
        self.counts.withdrawn += 1;
        if let Some(sender) = self.senders.get_mut(&hub) {
            sender.receiver.withdraw();
            sender.lost += 1;
        }
    }

    /// Everything up to `seq` was analysed, or cannot be: none of it waits any more.
    pub fn analysed(&mut self, seq: LogSeq) {
        while let Some((_, bytes)) = self.backlog.pop_front_if(|(waiting, _)| *waiting <= seq) {
            self.backlog_bytes = self.backlog_bytes.saturating_sub(bytes);
        }
    }

    /// The time at which deadlines may be handled by whoever analysed everything up to `scored`: none while a batch is
    /// under way, whose time may be earlier.
    pub fn quiet(&mut self, now_ms: i64, scored: LogSeq) -> Option<i64> {
        (self.uncommitted_bytes == 0 && scored >= self.logged).then(|| self.advance(now_ms))
    }

    /// Time until the tenant's analysis clock shows `due_ms`, in milliseconds of the server's clock.
    pub fn wait_ms(&self, now_ms: i64, due_ms: i64) -> u64 {
        self.clock.wait_ms(now_ms, due_ms)
    }

    /// Bytes that wait for analysis.
    pub fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// The last durable batch.
    pub fn logged(&self) -> LogSeq {
        self.logged
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn advance(&mut self, now_ms: i64) -> i64 {
        self.clock.look(now_ms)
    }
}

fn busy(message: &str) -> Answer {
    Answer::Busy { retry_after_ms: BUSY_RETRY_MS, message: message.into() }
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
