//! The spool against a plain model: random appends, reads, acknowledgements, refusals, reopenings.

use crate::sim::SimDisk;
use nms_kit::store::header::{Count, Header};
use nms_kit::store::spool::{Batch, Cause, Instance, Limits, NewBatch, Spool, SpoolError, WhenFull};
use nms_kit::store::{Class, Db, Settings, ignore};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::mpsc;

const LIMITS: Limits =
    Limits { events_max: 300, bytes_max: 40_000, memory_bytes_max: 4_000, history_bytes_max: 10_000 };
/// As many batches as may have been in flight when a run ended.
const WINDOW: u64 = 64;

#[derive(Clone, Copy, Debug)]
enum Action {
    Append { batches: u8, events: u32, bytes: usize, drop: bool },
    Read { skip: u64, bytes: usize },
    Ack { of_sent: u64 },
    Quarantine { of_sent: u64 },
    Renumber,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1..12_u8, 1..5_u32, 0..900_usize, any::<bool>())
            .prop_map(|(batches, events, bytes, drop)| Action::Append { batches, events, bytes, drop }),
        4 => (0..5_u64, 0..6_000_usize).prop_map(|(skip, bytes)| Action::Read { skip, bytes }),
        3 => (0..100_u64).prop_map(|of_sent| Action::Ack { of_sent }),
        1 => (0..100_u64).prop_map(|of_sent| Action::Quarantine { of_sent }),
        1 => Just(Action::Renumber),
        1 => Just(Action::Reopen),
    ]
}

#[derive(Clone, Debug)]
enum Item {
    Held { body: Vec<u8>, events: u64, bytes: u64 },
    Gone { events: u64, cause: Cause },
}

/// What a spool is, said plainly: a row of numbered items.
#[derive(Debug)]
struct Model {
    items: BTreeMap<u64, Item>,
    next: u64,
    sent: u64,
    appended: u64,
    delivered: u64,
    lost: BTreeMap<Cause, u64>,
    instance: Instance,
}

impl Model {
    fn held(&self) -> (u64, u64) {
        self.items.values().fold((0, 0), |(events, bytes), item| match item {
            Item::Held { events: more, bytes: size, .. } => (events + more, bytes + size),
            Item::Gone { .. } => (events, bytes),
        })
    }

    fn lose(&mut self, number: u64, cause: Cause) {
        if let Some(Item::Held { events, .. }) = self.items.get(&number) {
            let events = *events;
            *self.lost.entry(cause).or_default() += events;
            self.items.insert(number, Item::Gone { events, cause });
        }
    }

    /// Makes room, and says whether it could.
    fn room(&mut self, events: u64, bytes: u64, drop: bool) -> bool {
        let mut going = Vec::new();
        let (mut held, mut size) = self.held();
        let mut unsent = self.items.range(self.sent..);
        while held + events > LIMITS.events_max || size + bytes > LIMITS.bytes_max {
            match unsent.next() {
                Some((number, Item::Held { events, bytes, .. })) if drop => {
                    going.push(*number);
                    (held, size) = (held - events, size - bytes);
                }
                Some((_, Item::Gone { .. })) if drop => {}
                _ => return false,
            }
        }
        for number in going {
            self.lose(number, Cause::SpoolFull);
        }
        true
    }

    fn first(&self) -> u64 {
        self.items.keys().next().copied().unwrap_or(self.next)
    }

    fn renumber(&mut self, fresh: Instance) {
        let shift = self.first() - 1;
        self.items = std::mem::take(&mut self.items).into_iter().map(|(number, item)| (number - shift, item)).collect();
        self.next -= shift;
        self.sent = self.sent.saturating_sub(shift);
        self.instance = fresh;
    }

    /// One line for each number: its body, or why it is missing.
    fn told(&self) -> Vec<String> {
        let last_held = self.items.iter().rev().find(|(_, item)| matches!(item, Item::Held { .. }));
        let last = last_held.map_or(0, |(number, _)| *number);
        self.items
            .range(..=last)
            .map(|(number, item)| match item {
                Item::Held { body, .. } => format!("{number} {}", String::from_utf8_lossy(body)),
                Item::Gone { cause, .. } => format!("{number} {}", cause.word()),
            })
            .collect()
    }
}

fn told(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for skipped in &batch.skipped {
            lines.extend((skipped.from..=skipped.to).map(|number| format!("{number} {}", skipped.cause.word())));
        }
        lines.push(format!("{} {}", batch.number, String::from_utf8_lossy(&batch.body)));
    }
    lines
}

fn open(disk: &SimDisk) -> Spool {
    let settings = Settings { pace_us: 0, retry_ms: 1, ..Settings::with_cache(1 << 20) };
    Spool::open(Db::open(Box::new(disk.clone()), settings).unwrap(), LIMITS, [1; 16]).unwrap()
}

struct Pair {
    disk: SimDisk,
    spool: Option<Spool>,
    model: Model,
    draws: u8,
    ids: u64,
}

impl Pair {
    fn new() -> Self {
        let disk = SimDisk::new(1);
        let spool = Some(open(&disk));
        let model = Model {
            items: BTreeMap::new(),
            next: 1,
            sent: 1 + WINDOW,
            appended: 0,
            delivered: 0,
            lost: BTreeMap::new(),
            instance: [1; 16],
        };
        Self { disk, spool, model, draws: 1, ids: 0 }
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Append { batches, events, bytes, drop } => self.append(batches, events, bytes, drop),
            Action::Read { skip, bytes } => {
                let from = self.model.first() + skip;
                let read = self.spool().read(from, bytes).unwrap();
                let expected = self.model.items.range(from..).any(|(_, item)| matches!(item, Item::Held { .. }));
                assert_eq!(!read.is_empty(), expected, "one at least where there is one");
                if let Some(last) = read.last() {
                    self.model.sent = self.model.sent.max(last.number + 1);
                }
            }
            Action::Ack { of_sent } => self.ack(of_sent),
            Action::Quarantine { of_sent } => {
                let number = self.sent_number(of_sent);
                let held = matches!(self.model.items.get(&number), Some(Item::Held { .. }));
                assert_eq!(self.spool().quarantine(number, "no such tenant").is_ok(), held);
                self.model.lose(number, Cause::Refused);
            }
            Action::Renumber => {
                self.draws += 1;
                smol::block_on(self.spool().renumber([self.draws; 16])).unwrap();
                self.model.renumber([self.draws; 16]);
            }
            Action::Reopen => {
                self.spool = None;
                self.spool = Some(open(&self.disk));
                self.model.sent = self.model.first() + WINDOW;
            }
        }
    }

    fn append(&mut self, batches: u8, events: u32, bytes: usize, drop: bool) {
        let counts = vec![Count { source: "r".into(), severity: 6, events }];
        let header = Header { oldest_at_ms: 1, counts };
        let first = self.model.next;
        let bodies: Vec<Vec<u8>> =
            (0..batches).map(|n| format!("{}/{n}{}", self.model.appended, ".".repeat(bytes)).into_bytes()).collect();
        let sizes: Vec<u64> = bodies.iter().map(|body| (20 + header.encoded_bytes() + body.len()) as u64).collect();
        let room = self.model.room(u64::from(events) * u64::from(batches), sizes.iter().sum(), drop);
        let new = bodies.iter().map(|body| NewBatch { header: header.clone(), body: body.as_slice().into() }).collect();
        let when_full = if drop { WhenFull::DropOldest } else { WhenFull::Refuse };
        let taken = smol::block_on(self.spool().append_durably(new, Vec::new(), when_full));
        if !room {
            assert!(matches!(taken, Err(SpoolError::Full { .. })), "{taken:?}");
            return;
        }
        assert_eq!(taken, Ok(first..first + u64::from(batches)));
        for (body, bytes) in bodies.into_iter().zip(sizes) {
            self.model.items.insert(self.model.next, Item::Held { body, events: events.into(), bytes });
            self.model.next += 1;
            self.model.appended += u64::from(events);
        }
    }

    /// A number from the first that is held to the last that was sent.
    fn sent_number(&self, of_sent: u64) -> u64 {
        let first = self.model.first();
        first + of_sent % (self.model.sent.min(self.model.next).saturating_sub(first)).max(1)
    }

    fn ack(&mut self, of_sent: u64) {
        let number = self.sent_number(of_sent);
        // An acknowledgement of what is missing covers what stands before it.
        let held = |(_, item): &(&u64, &Item)| matches!(item, Item::Held { .. });
        let Some(covered) = self.model.items.range(..=number).rfind(held).map(|(number, _)| *number) else {
            assert!(self.model.items.is_empty() || self.spool().ack(number) == Ok(0));
            return;
        };
        let later = self.model.items.split_off(&(covered + 1));
        let (events, _) = self.model.held();
        assert_eq!(self.spool().ack(number), Ok(events));
        self.model.delivered += events;
        self.model.items = later;
        self.model.sent = self.model.sent.max(covered + 1);
    }

    /// Everything that can be seen agrees.
    fn compare(&mut self) {
        let ids = loop {
            match self.spool().event_ids(30_000) {
                Err(SpoolError::Reserving) => self.spool().db().flush().unwrap(),
                ids => break ids.unwrap(),
            }
        };
        assert!(ids.start >= self.ids, "event numbers are never given again");
        self.ids = ids.end;
        let (events, bytes) = self.model.held();
        let stats = self.spool().stats();
        assert_eq!((stats.events, stats.bytes, stats.next), (events, bytes, self.model.next));
        assert_eq!((stats.appended, stats.delivered), (self.model.appended, self.model.delivered));
        let mut lost = BTreeMap::new();
        for loss in self.spool().losses() {
            *lost.entry(loss.cause).or_default() += loss.events;
        }
        assert_eq!(lost, self.model.lost);
        assert_eq!(stats.appended, stats.delivered + stats.events + lost.values().sum::<u64>());
        assert_eq!(self.spool().instance(), self.model.instance);
        let check = self.spool().check().unwrap();
        assert!(check.totals_agree && check.damaged.is_empty(), "{check:?}");
        let skipped: u64 = check.skipped.iter().map(|skipped| skipped.events).sum();
        let gone = self.model.items.values().map(|item| if let Item::Gone { events, .. } = item { *events } else { 0 });
        assert_eq!(skipped, gone.sum::<u64>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_spool_does_what_its_model_does(actions in proptest::collection::vec(action(), 1..60)) {
        let mut pair = Pair::new();
        for action in actions {
            pair.act(action);
            pair.compare();
        }
        let all = pair.spool().read(0, usize::MAX).unwrap();
        prop_assert_eq!(told(&all), pair.model.told());
    }
}

#[test]
fn a_checkpoint_commits_with_its_events() {
    let disk = SimDisk::new(1);
    let spool = open(&disk);
    let new = NewBatch { header: Header::default(), body: b"x".as_slice().into() };
    let put = spool.checkpoints().put(b"file", b"17");
    smol::block_on(spool.append_durably(vec![new], vec![put], WhenFull::Refuse)).unwrap();
    drop(spool);
    let spool = open(&disk);
    assert_eq!(spool.checkpoints().scan(b"fi").unwrap().entries, [(b"file".to_vec(), b"17".to_vec())]);
    smol::block_on(spool.db().commit(vec![spool.checkpoints().delete(b"file")], Class::Upkeep)).unwrap();
    assert_eq!(spool.checkpoints().value(b"file"), Ok(None));
}

#[test]
fn an_acknowledgement_of_what_was_never_appended_is_refused() {
    let spool = open(&SimDisk::new(1));
    assert_eq!(spool.ack(1), Err(SpoolError::NotHeld { batch: 1 }));
    assert_eq!(spool.ack(0), Ok(0));
}

#[test]
fn the_quarantine_lists_what_was_refused() {
    let disk = SimDisk::new(1);
    let spool = open(&disk);
    let new = NewBatch { header: Header::default(), body: b"bad".as_slice().into() };
    smol::block_on(spool.append_durably(vec![new], Vec::new(), WhenFull::Refuse)).unwrap();
    spool.quarantine(1, "field \"events\" is missing").unwrap();
    drop(spool);
    let list = open(&disk).quarantined().unwrap();
    assert_eq!((list[0].number, list[0].instance), (1, [1; 16]));
    assert_eq!((list[0].reason.as_str(), &*list[0].body), ("field \"events\" is missing", b"bad".as_slice()));
}

#[test]
fn a_damaged_name_is_replaced_and_all_is_sent_again() {
    let disk = SimDisk::new(1);
    let spool = open(&disk);
    smol::block_on(spool.renumber([0xEE; 16])).unwrap();
    let new = NewBatch { header: Header::default(), body: b"kept".as_slice().into() };
    smol::block_on(spool.append_durably(vec![new], Vec::new(), WhenFull::Refuse)).unwrap();
    drop(spool);
    while disk.flip(&[0xEE; 16]) {}
    let spool = open(&disk);
    assert_eq!((spool.instance(), spool.stats().renumbered), ([1; 16], 1));
    assert_eq!(told(&spool.read(0, 100).unwrap()), ["1 kept"]);
}

#[test]
fn delivered_batches_stay_to_be_looked_at_and_old_ones_go() {
    let disk = SimDisk::new(1);
    let open = || {
        let db = Db::open(Box::new(disk.clone()), Settings::with_cache(1 << 20)).unwrap();
        Spool::open(db, LIMITS, [9; 16]).unwrap()
    };
    let recent = |spool: &Spool| {
        let mut first_bytes = Vec::new();
        spool.recent(|_, body| first_bytes.push(body[0])).unwrap();
        first_bytes
    };
    let spool = open();
    for number in 1..=20_u8 {
        let mut header = Header::default();
        header.count("host", 6);
        let batch = NewBatch { header, body: vec![number; 1_500].into() };
        smol::block_on(spool.append_durably(vec![batch], Vec::new(), WhenFull::Refuse)).unwrap();
    }
    for number in 1..=18 {
        spool.ack(number).unwrap();
    }
    spool.db().flush().unwrap();
    assert_eq!(spool.stats().batches, 2, "what is delivered is not held");
    assert_eq!(recent(&spool), (13..=20).collect::<Vec<u8>>(), "10,000 bytes of delivered batches, and what is held");
    drop(spool);
    let again = open();
    assert_eq!((again.stats().batches, recent(&again)), (2, (13..=20).collect()));
    again.ack(20).unwrap();
    again.db().flush().unwrap();
    assert_eq!(recent(&again), (15..=20).collect::<Vec<u8>>());
}

#[test]
fn what_is_appended_and_not_durable_is_not_called_readable() {
    let spool = open(&SimDisk::new(1));
    let new = || NewBatch { header: Header::default(), body: b"x".as_slice().into() };
    let (committed, first) = mpsc::sync_channel(1);
    let (go_on, held) = mpsc::sync_channel::<()>(0);
    // The writer stands in the first commit's word while the second batch is appended.
    let done = Box::new(move |_| {
        committed.send(()).unwrap();
        held.recv().unwrap();
    });
    spool.append(vec![new()], Vec::new(), WhenFull::Refuse, done).unwrap();
    first.recv().unwrap();
    spool.append(vec![new()], Vec::new(), WhenFull::Refuse, ignore()).unwrap();
    let stats = spool.stats();
    assert_eq!((stats.durable, stats.next), (2, 3));
    assert_eq!(spool.read(1, 1 << 20).unwrap().len(), 1);
    go_on.send(()).unwrap();
    spool.db().flush().unwrap();
    assert_eq!((spool.stats().durable, spool.read(1, 1 << 20).unwrap().len()), (3, 2));
}
