//! The way into a spool: what a full disk does to it, and how much gathers in front of a small spool.

use crate::sim::SimDisk;
use nms_kit::intake::Checkpoint;
use nms_kit::spooler::Spooler;
use nms_kit::store::spool::{Limits, Spool};
use nms_kit::store::{Db, Settings};
use nms_proto::event::{Body, Draft, Event, Syslog};
use nms_proto::id::{EndpointId, EventId, EventSeq, Instance};
use nms_proto::json::Decoder;
use nms_proto::message::batch_events;
use nms_proto::time::{Stamp, Tick};

fn spooler(disk: &SimDisk, events_max: u64) -> Spooler {
    let settings = Settings { pace_us: 0, retry_ms: 1, ..Settings::with_cache(1 << 20) };
    let db = Db::open(Box::new(disk.clone()), settings).unwrap();
    let limits = Limits { events_max, bytes_max: 1 << 30, memory_bytes_max: 1 << 20, history_bytes_max: 0 };
    Spooler::new(Spool::open(db, limits, [7; 16]).unwrap())
}

fn event(number: u64, bytes: usize) -> Event {
    let body = Syslog { message: format!("{number} {}", "x".repeat(bytes)).into(), ..Syslog::default() };
    let id = EventId { instance: Instance([7; 16]), seq: EventSeq(number) };
    Draft::new(Body::Syslog(body)).named(id, EndpointId::new("192.0.2.1"), Stamp::utc(1_767_623_400_000))
}

/// The numbers of all events that the spool holds, in order.
fn held(spool: &Spool) -> Vec<u64> {
    let mut decoder = Decoder::default();
    let mut numbers = Vec::new();
    let mut from = 0;
    loop {
        let page = spool.contents(from).unwrap();
        let Some(last) = page.last() else { return numbers };
        from = last.number + 1;
        for batch in page {
            numbers.extend(batch_events(&mut decoder, &batch.body).unwrap().iter().map(|event| event.id.seq.0));
        }
    }
}

#[test]
fn what_a_full_disk_refuses_is_kept_offered_again_and_waited_for_by_nobody() {
    let disk = SimDisk::new(3);
    let mut spooler = spooler(&disk, 1_000_000);
    disk.set_capacity(disk.used() + (256 << 10));
    let mut now = Tick(0);
    let mut number = 0;
    let mut told = Vec::new();
    // What is refused is offered again at a time that it says; a disk that is full is noticed before that.
    while spooler.deadline().is_none() {
        let (done, durable) = smol::channel::bounded(1);
        spooler.push_group(now, &[event(number, 20_000)]).unwrap();
        let checkpoint = Checkpoint { key: "tail/x".into(), value: number.to_be_bytes().into() };
        spooler.mark(vec![checkpoint], Some(done));
        told.push(durable);
        // It returns at once, whatever the disk does: the owner has a dashboard to serve.
        spooler.flush(now, true).unwrap();
        number += 1;
        now = now.plus(50);
    }
    assert!(spooler.is_stuck());
    disk.set_capacity(u64::MAX);
    while spooler.is_stuck() {
        now = now.plus(1_000);
        spooler.flush(now, true).unwrap();
    }
    spooler.finish(now).unwrap();
    for durable in told {
        assert_eq!(durable.recv_blocking(), Ok(()), "whoever waited is told");
    }
    assert_eq!(held(spooler.spool()), (0..number).collect::<Vec<_>>());
    let place = spooler.spool().checkpoints().value(b"tail/x").unwrap().unwrap().sound();
    assert_eq!(place, Some((number - 1).to_be_bytes().to_vec()));
}

/// What was taken and found no room at the end is counted by source; the next run reads the count until it was told of it.
#[test]
fn what_is_given_up_at_an_end_is_counted_for_the_next_run() {
    let disk = SimDisk::new(5);
    let mut first = spooler(&disk, 1_000_000);
    first.push_group(Tick(0), &[event(0, 100)]).unwrap();
    first.finish(Tick(0)).unwrap();
    disk.set_capacity(disk.used());
    let mut number = 1;
    while !first.is_stuck() {
        first.push_group(Tick(number), &[event(number, 100_000)]).unwrap();
        first.flush(Tick(number), true).unwrap();
        number += 1;
    }
    first.push_group(Tick(number), &[event(number, 100)]).unwrap();
    number += 1;
    let untaken = [("192.0.2.1", 7), ("192.0.2.2", 3), ("an-agent", 5)];
    let untaken = untaken.into_iter().map(|(source, events)| (EndpointId::new(source), events)).collect();
    let lost = first.give_up(Tick(number), untaken, |source| source.as_str() != "an-agent").unwrap();
    drop(first);
    disk.set_capacity(u64::MAX);

    let mut second = spooler(&disk, 1_000_000);
    let held = held(second.spool()).len() as u64;
    assert_eq!(lost, number - held + 10, "whatever found room in the reserve is not lost");
    let given_up: Vec<_> = second.given_up().unwrap().into_iter().collect();
    assert_eq!(given_up, [(EndpointId::new("192.0.2.1"), lost - 3), (EndpointId::new("192.0.2.2"), 3)]);
    let more = [(EndpointId::new("192.0.2.2"), 1)].into();
    assert_eq!(second.give_up(Tick(0), more, |_| true), Ok(1));
    drop(second);

    let mut third = spooler(&disk, 1_000_000);
    assert_eq!(third.given_up().unwrap().values().sum::<u64>(), lost + 1, "what nobody was told of stays");
    third.mark(vec![Spooler::told_of_given_up()], None);
    third.finish(Tick(0)).unwrap();
    assert!(third.given_up().unwrap().is_empty());
}

#[test]
fn in_front_of_a_small_spool_little_gathers_and_batches_are_small() {
    let mut spooler = spooler(&SimDisk::new(4), 10_000);
    let mut pushed = 0;
    while !spooler.has_gathered() {
        spooler.push_group(Tick(0), &[event(pushed, 10)]).unwrap();
        pushed += 1;
    }
    assert_eq!(pushed, 312, "a thirty-second of what it holds");
    assert_eq!(spooler.fill_percent(), 3, "what has gathered counts before it is in the spool");
    spooler.set_events_max(1_024);
    spooler.finish(Tick(0)).unwrap();
    for number in 0..1_000 {
        spooler.push_group(Tick(1), &[event(pushed + number, 10)]).unwrap();
    }
    spooler.finish(Tick(1)).unwrap();
    let sizes: Vec<u64> =
        spooler.spool().entries(0).unwrap().iter().map(|entry| entry.header.as_ref().unwrap().events()).collect();
    assert!(sizes.iter().all(|events| *events <= 10_000 / 128), "a window of 64 is half the spool: {sizes:?}");
}

/// Where a start finds no room there are not even numbers: nothing is to be taken, and nobody is to be held up.
#[test]
fn a_start_on_a_full_disk_is_stuck_until_there_is_room() {
    let disk = SimDisk::new(5);
    let mut first = spooler(&disk, 1_000_000);
    assert!(!first.is_stuck());
    assert!(first.next_id().is_ok());
    first.spool().db().close();
    drop(first);
    disk.lose_reserve();
    disk.set_capacity(disk.used());
    let mut again = spooler(&disk, 1_000_000);
    assert!(again.is_stuck());
    assert_eq!(again.flush(Tick(0), true).unwrap(), []);
    disk.set_capacity(u64::MAX);
    while again.is_stuck() {
        std::thread::yield_now();
    }
    assert!(again.next_id().is_ok());
}
