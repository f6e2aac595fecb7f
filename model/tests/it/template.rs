//! The miner: lines in, groups out; bounded; ids survive a restart.

use std::num::NonZeroUsize;

use nms_model::template::{ANY, Bounds, Miner, SnapshotError, TemplateId};
use proptest::prelude::*;

fn small(templates: usize) -> Bounds {
    Bounds { templates_max: NonZeroUsize::new(templates).unwrap(), bytes_max: 1 << 20, nodes_max: 64 }
}

#[test]
fn alike_lines_share_a_template_and_others_do_not() {
    let mut miner = Miner::default();
    let first = miner.learn("Failed password for <user> from <ip> port <port> ssh2");
    let other = miner.learn("session opened for user <user>");
    let again = miner.learn("Failed password for <user> from <ip> port <port> ssh1");
    assert!(first.is_new && other.is_new && !again.is_new);
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, other.id);
    assert_eq!(again.count, 2);
    assert_eq!(miner.text(first.id).unwrap(), format!("Failed password for <user> from <ip> port <port> {ANY}"));
    assert_eq!(miner.find("Failed password for <user> from <ip> port <port> none"), Some(first.id));
    assert_eq!(miner.find("something else entirely"), None);
    assert_eq!(miner.count(first.id), 2, "looking does not count");
}

#[test]
fn the_template_unused_for_longest_is_forgotten_and_its_id_never_given_again() {
    let mut miner = Miner::new(small(2));
    let one = miner.learn("alpha a").id;
    let two = miner.learn("beta b b").id;
    miner.learn("alpha a");
    let three = miner.learn("gamma c c c").id;
    assert_eq!((miner.len(), miner.forgotten()), (2, 1));
    assert!(miner.text(two).is_none() && miner.text(one).is_some());
    let four = miner.learn("beta b b");
    assert!(four.is_new && four.id > three);
}

#[test]
fn a_snapshot_keeps_ids_counts_and_what_comes_next() {
    let mut miner = Miner::default();
    for line in ["alpha a <n>", "beta b", "alpha b <n>", "", "x1 y2 z3", "x4 y2 z3"] {
        miner.learn(line);
    }
    let mut restored = Miner::restore(&miner.snapshot(), Bounds::default()).unwrap();
    assert_eq!(restored.snapshot(), miner.snapshot());
    for line in ["alpha c <n>", "beta b", "x9 y2 z3", "new line here"] {
        assert_eq!(restored.learn(line), miner.learn(line), "{line}");
    }
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut miner = Miner::default();
    miner.learn("alpha a");
    let bytes = miner.snapshot();
    assert_eq!(Miner::restore(&bytes[..bytes.len() - 2], Bounds::default()).err(), Some(SnapshotError::Damaged));
    assert_eq!(Miner::restore(&[], Bounds::default()).err(), Some(SnapshotError::Damaged));
    let mut other = bytes;
    other[0] = 9;
    assert_eq!(Miner::restore(&other, Bounds::default()).err(), Some(SnapshotError::Version(9)));
}

proptest! {
    /// Whatever is learnt, the bounds hold, and a line learnt twice in a row keeps its template.
    #[test]
    fn bounded_and_stable(lines in prop::collection::vec("[a-d0-3 ]{0,12}", 1..200)) {
        let mut miner = Miner::new(small(8));
        for line in &lines {
            let first = miner.learn(line);
            let again = miner.learn(line);
            prop_assert_eq!(first.id, again.id);
            prop_assert!(!again.is_new && miner.len() <= 8);
        }
        let restored = Miner::restore(&miner.snapshot(), small(8)).unwrap();
        prop_assert_eq!(restored.snapshot(), miner.snapshot());
    }

    /// No bytes make a restore panic.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let restored = Miner::restore(&bytes, small(8));
        prop_assert!(restored.is_err() || restored.is_ok_and(|miner| miner.text(TemplateId(u32::MAX)).is_none()));
    }
}

#[test]
fn templates_are_bounded_in_bytes_whatever_the_lines_say() {
    let mut miner = Miner::new(Bounds { bytes_max: 100_000, ..Bounds::default() });
    for number in 0..2_000_u32 {
        // Lines of many tokens that nothing has in common.
        let line: Vec<String> = (0..number % 100 + 20).map(|at| format!("w{}x", (number * 131 + at) ^ 0x55)).collect();
        miner.learn(&line.join(" "));
        assert!(miner.bytes() <= 100_000);
    }
    assert!(miner.bytes() > 50_000 && miner.forgotten() > 0);
    let again = Miner::restore(&miner.snapshot(), Bounds::default()).unwrap();
    assert_eq!(again.bytes(), miner.bytes());
}

/// Lines of a few shapes: most come again as they were, some widen a template, some are new.
fn traffic(lines: usize) -> impl Iterator<Item = String> {
    let mut random = nms_model::random::Random::new(3);
    (0..lines).map(move |_| {
        let (verb, noun) = (random.below(4), random.below(12));
        match random.below(20) {
            0 => format!("verb{verb}x started {} of word{}", noun, random.below(500)),
            1 => format!("word{} alone", random.below(300)),
            _ => format!("unit of kind {} was started by <user> from <ip> as part{verb}", ["a", "b", "c"][noun % 3]),
        }
    })
}

#[test]
fn the_event_cache_changes_nothing_but_the_work() {
    for bounds in [Bounds::default(), small(8)] {
        let (mut with, mut without) = (Miner::new(bounds), Miner::new(bounds).without_cache());
        for line in traffic(20_000) {
            assert_eq!(with.learn(&line), without.learn(&line), "{line}");
        }
        assert_eq!(with.snapshot(), without.snapshot());
        assert_eq!((with.len(), with.forgotten()), (without.len(), without.forgotten()));
        assert!(with.cache().hit_rate() > 0.5, "{:?}", with.cache());
        assert_eq!(without.cache().hits, 0);
    }
}
